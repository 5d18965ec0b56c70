//! Whom we trust: the authorities of a file, or the system's. Read again for each connection, so that a renewed
//! certificate needs no restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsConnector;

use super::config::Tls;

/// A certificate cannot be used.
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
    /// There is nobody to trust.
    #[error("no certificate authority is known: name one in tls_ca_file")]
    Nobody,
    /// A certificate is of a kind that is not supported, or does not fit its key.
    #[error("certificate cannot be used")]
    Use(#[from] rustls::Error),
}

/// What the next handshake uses.
///
/// # Errors
/// [`TlsError`] where a file cannot be read, or nobody is trusted.
pub fn connector(tls: &Tls) -> Result<TlsConnector, TlsError> {
    let roots = Arc::new(authorities(tls.authorities.as_deref())?);
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let config = match &tls.own {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let secret = PrivateKeyDer::from_pem_file(key).map_err(read_error(key))?;
            builder.with_client_auth_cert(chain(certificate)?, secret)?
        }
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

fn authorities(file: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    match file {
        Some(file) => {
            for authority in chain(file)? {
                roots.add(authority)?;
            }
        }
        None => {
            // What cannot be read of the system's is left out; with none left there is nobody to trust.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() { Err(TlsError::Nobody) } else { Ok(roots) }
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(read_error(path))
}

fn read_error(path: &Path) -> impl FnOnce(rustls_pki_types::pem::Error) -> TlsError {
    let path = path.to_owned();
    |source| TlsError::Read { path, source }
}
