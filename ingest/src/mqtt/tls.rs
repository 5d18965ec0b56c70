//! The TLS side of the door: its own certificate, the authorities of client certificates and their revocation lists,
//! from PEM files that are read again on demand. Sessions that stand are not touched, but for those whose certificate
//! is not good any more.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime};
use tokio_rustls::TlsAcceptor;

use super::config::TlsConfig;
use super::der;

/// A certificate, its key, an authority or a revocation list cannot be used.
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
    /// The authorities or their revocation lists cannot be used.
    #[error("the authorities of `{path}` cannot be used")]
    Authority {
        /// The authorities' file.
        path: PathBuf,
        /// Why not.
        source: rustls::server::VerifierBuilderError,
    },
    /// An authority is not a certificate that can sign.
    #[error("`{path}` holds a certificate that cannot be an authority")]
    Root {
        /// The authorities' file.
        path: PathBuf,
        /// Why not.
        source: rustls::Error,
    },
}

/// A client's certificate, verified at its handshake.
#[derive(Debug)]
pub(super) struct ClientCertificate {
    /// Its common name: a station's code.
    pub(super) name: String,
    chain: Vec<CertificateDer<'static>>,
}

impl ClientCertificate {
    /// The certificate that a verified handshake showed, where it showed one with a common name.
    pub(super) fn of(shown: Option<&[CertificateDer<'_>]>) -> Option<Arc<Self>> {
        let chain: Vec<_> = shown?.iter().map(|one| one.clone().into_owned()).collect();
        let own = webpki::EndEntityCert::try_from(chain.first()?).ok()?;
        let name = der::common_name(own.subject())?;
        Some(Arc::new(Self { name, chain }))
    }
}

/// What the files say now.
struct Current {
    server: Arc<ServerConfig>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
}

/// The certificates in use.
pub(super) struct Certificates {
    config: TlsConfig,
    current: RwLock<Current>,
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
        TlsAcceptor::from(Arc::clone(&current.server))
    }

    /// Would this client's certificate be taken now?
    pub(super) fn is_good(&self, client: &ClientCertificate) -> bool {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let (Some(verifier), Some((own, between))) = (&current.clients, client.chain.split_first())
        else {
            return false;
        };
        match verifier.verify_client_cert(own, between, UnixTime::now()) {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(name = client.name, %error, "a client's certificate is not good");
                false
            }
        }
    }
}

fn read(config: &TlsConfig) -> Result<Current, TlsError> {
    let TlsConfig { certificate, key, .. } = config;
    let chain = all::<CertificateDer<'static>>(certificate)?;
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|source| TlsError::Read { path: key.clone(), source })?;
    let clients = config.client_ca.as_deref().map(|ca| clients(ca, config)).transpose()?;
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map(|builder| match &clients {
            Some(clients) => builder.with_client_cert_verifier(Arc::clone(clients)),
            None => builder.with_no_client_auth(),
        });
    let server = builder
        .and_then(|builder| builder.with_single_cert(chain, secret))
        .map_err(|source| TlsError::Use { path: certificate.clone(), source })?;
    Ok(Current { server: Arc::new(server), clients })
}

/// Who signs the certificates of stations, and which of those are revoked. A client without a certificate may still
/// come with its key. Only the station's own certificate is looked up in the lists, and an authority without a list
/// beside one with a list is refused: a list that was forgotten is not "nothing is revoked". A list past its next
/// update still counts: that its renewal was forgotten must not lock a province out.
fn clients(ca: &Path, config: &TlsConfig) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for root in all::<CertificateDer<'static>>(ca)? {
        roots.add(root).map_err(|source| TlsError::Root { path: ca.to_owned(), source })?;
    }
    let lists = match &config.crl {
        Some(path) => all::<CertificateRevocationListDer<'static>>(path)?,
        None => Vec::new(),
    };
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .with_crls(lists)
        .only_check_end_entity_revocation()
        .allow_unauthenticated()
        .build();
    let verifier =
        verifier.map_err(|source| TlsError::Authority { path: ca.to_owned(), source })?;
    Ok(verifier)
}

/// Everything of one kind in a PEM file.
fn all<T: PemObject>(path: &Path) -> Result<Vec<T>, TlsError> {
    T::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|source| TlsError::Read { path: path.to_owned(), source })
}
