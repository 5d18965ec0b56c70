//! From an address to a stream, encrypted where it is to be.

use std::io;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::config::Config;
use super::tls::{self, TlsError};

/// A stream to a broker.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The broker cannot be reached.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    #[error("TLS cannot be used")]
    Tls(#[from] TlsError),
    #[error("`{0}` cannot be in a certificate")]
    Name(String),
    #[error("TLS handshake failed")]
    Handshake(#[source] io::Error),
}

/// Opens a stream.
pub(super) async fn dial(config: &Config) -> Result<Box<dyn Stream>, DialError> {
    let host = config.address.host.as_str();
    let stream =
        TcpStream::connect((host, config.address.port)).await.map_err(DialError::Connect)?;
    // An acknowledgement is four bytes that the broker waits for.
    stream.set_nodelay(true).map_err(DialError::Connect)?;
    let Some(tls) = &config.tls else { return Ok(Box::new(stream)) };
    let connector = tls::connector(tls)?;
    let name =
        ServerName::try_from(host.to_owned()).map_err(|_| DialError::Name(host.to_owned()))?;
    let stream = connector.connect(name, stream).await.map_err(DialError::Handshake)?;
    Ok(Box::new(stream))
}
