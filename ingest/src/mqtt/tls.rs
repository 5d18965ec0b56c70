//! The TLS side of the door: certificates from PEM files, read again on demand without touching sessions that stand.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::config::TlsConfig;

/// The certificate or its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not PEM of the right kind.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: rustls_pki_types::pem::Error,
    },
    /// The certificate and the key do not fit each other, or are of a kind that is not supported.
    #[error("certificate `{path}` cannot be used with its key")]
    Use {
        /// The certificate's file.
        path: PathBuf,
        /// Why not.
        source: rustls::Error,
    },
}

/// The certificate in use.
pub(super) struct Certificates {
    config: TlsConfig,
    current: RwLock<Arc<ServerConfig>>,
}

impl Certificates {
    pub(super) fn load(config: TlsConfig) -> Result<Self, TlsError> {
        let current = RwLock::new(read(&config)?);
        Ok(Self { config, current })
    }

    /// Reads the files again. New handshakes use them; where they cannot be used, the old ones stay.
    pub(super) fn reload(&self) -> Result<(), TlsError> {
        let fresh = read(&self.config)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// What the next handshake uses.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&current))
    }
}

fn read(config: &TlsConfig) -> Result<Arc<ServerConfig>, TlsError> {
    let TlsConfig { certificate, key, .. } = config;
    let at = |path: &Path| {
        let path = path.to_owned();
        |source| TlsError::Read { path, source }
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(at(certificate))?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(at(key))?;
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, secret))
        .map_err(|source| TlsError::Use { path: certificate.clone(), source })?;
    Ok(Arc::new(server))
}
