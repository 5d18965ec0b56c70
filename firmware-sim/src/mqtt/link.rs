//! One connection to the engine, with a deadline on everything that can hang.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::packets::{Incoming, Malformed, Session, Version};

/// Packets under way at once, where the engine does not ask for fewer: a station's modem has little memory.
pub const WINDOW: u16 = 20;
/// What a connection attempt may take in all: TCP, TLS and CONNACK over a bad mobile network.
const OPEN_WITHIN: Duration = Duration::from_secs(10);
/// What the engine may take to accept bytes or to answer anything at all while an answer is due.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// Sign of life from our side at least so often.
const KEEP_ALIVE_S: u16 = 30;

/// Why there is no connection (any more).
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No connection, or it broke.
    #[error("no connection to `{address}`")]
    Io {
        /// Where to.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The engine refused the station.
    #[error("refused at the door: {0}")]
    Turned(String),
    /// The engine hung up.
    #[error("the engine hung up: {0}")]
    Closed(String),
    /// It took too long.
    #[error("no answer in time")]
    Slow,
    /// A packet that is none.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The certificates given cannot be used.
    #[error("cannot use the certificates: {0}")]
    Certificates(String),
}

/// TLS towards an engine whose certificate was issued by a given authority.
#[derive(Clone)]
pub struct Tls(Arc<rustls::ClientConfig>);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Trusts the authorities of a PEM file, and no others.
    ///
    /// # Errors
    /// [`LinkError::Certificates`] where the file cannot be read or holds none.
    pub fn trusting(ca: &std::path::Path) -> Result<Self, LinkError> {
        let broken = |e: &dyn std::fmt::Display| LinkError::Certificates(e.to_string());
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(ca).map_err(|e| broken(&e))? {
            roots.add(certificate.map_err(|e| broken(&e))?).map_err(|e| broken(&e))?;
        }
        if roots.is_empty() {
            return Err(LinkError::Certificates(format!("none in `{}`", ca.display())));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| broken(&e))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }
}

/// Where the engine is.
#[derive(Debug, Clone)]
pub struct Door {
    /// `HOST:PORT`.
    pub address: String,
    /// TLS, if wanted.
    pub tls: Option<Tls>,
}

/// Who knocks.
#[derive(Debug, Clone)]
pub struct Login {
    /// The station's code: user name and client id.
    pub code: String,
    /// Its key; none where the door asks for none.
    pub key: Option<String>,
    /// The MQTT it speaks.
    pub version: Version,
    /// What the engine is to remember of it between two connections.
    pub session: Session,
    /// Packets it would have under way at once, if the engine does not ask for fewer.
    pub window: u16,
}

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// An open connection.
pub struct Link {
    address: String,
    wire: Box<dyn Wire>,
    version: Version,
    inbox: BytesMut,
    outbox: BytesMut,
    window: u16,
    last_sent: Instant,
    last_heard: Instant,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Link {
    /// Connects and logs in.
    ///
    /// # Errors
    /// [`LinkError`]; all but `Turned` are worth another try later.
    pub async fn open(door: &Door, login: &Login) -> Result<Self, LinkError> {
        timeout(OPEN_WITHIN, Self::knock(door, login)).await.map_err(|_| LinkError::Slow)?
    }

    async fn knock(door: &Door, login: &Login) -> Result<Self, LinkError> {
        let wire = wire(door).await.map_err(|source| io(&door.address, source))?;
        let mut link = Self {
            address: door.address.clone(),
            wire,
            version: login.version,
            inbox: BytesMut::new(),
            outbox: BytesMut::new(),
            window: login.window.max(1),
            last_sent: Instant::now(),
            last_heard: Instant::now(),
        };
        let key = login.key.as_deref();
        let out = &mut link.outbox;
        login.version.connect(&login.code, key, KEEP_ALIVE_S, login.session, out)?;
        link.flush().await?;
        match link.next().await? {
            Incoming::Welcome { window } => link.window = link.window.min(window.max(1)),
            Incoming::Turned(why) => return Err(LinkError::Turned(why)),
            other => return Err(LinkError::Closed(format!("{other:?} instead of a welcome"))),
        }
        Ok(link)
    }

    /// How many packets may be under way at once.
    #[must_use]
    pub fn window(&self) -> u16 {
        self.window
    }

    /// Puts a QoS 1 publish into the next flush.
    ///
    /// # Errors
    /// [`LinkError::Malformed`] where it cannot be written as a packet.
    pub fn publish(
        &mut self,
        topic: &str,
        payload: impl Into<Bytes>,
        pkid: u16,
        retain: bool,
    ) -> Result<(), LinkError> {
        self.version.publish(topic, payload.into(), pkid, retain, &mut self.outbox)?;
        Ok(())
    }

    /// Puts a subscription with QoS 1 into the next flush.
    ///
    /// # Errors
    /// [`LinkError::Malformed`] where it cannot be written as a packet.
    pub fn subscribe(&mut self, filters: &[String], pkid: u16) -> Result<(), LinkError> {
        self.version.subscribe(filters, pkid, &mut self.outbox)?;
        Ok(())
    }

    /// Puts the acknowledgement of a message into the next flush.
    pub fn acknowledge(&mut self, pkid: u16) {
        self.version.acknowledge(pkid, &mut self.outbox);
    }

    /// Hands everything to the network; a peer that takes nothing for 20 s is gone.
    ///
    /// # Errors
    /// [`LinkError::Io`] or [`LinkError::Slow`].
    pub async fn flush(&mut self) -> Result<(), LinkError> {
        if self.outbox.is_empty() {
            return Ok(());
        }
        let writing = async {
            self.wire.write_all_buf(&mut self.outbox).await?;
            self.wire.flush().await
        };
        let written = timeout(ANSWER_WITHIN, writing).await.map_err(|_| LinkError::Slow)?;
        self.last_sent = Instant::now();
        written.map_err(|source| io(&self.address, source))
    }

    /// The next packet from the engine. May be dropped while it waits: nothing is lost.
    ///
    /// # Errors
    /// [`LinkError`] when the connection is over.
    pub async fn next(&mut self) -> Result<Incoming, LinkError> {
        loop {
            if let Some(incoming) = self.version.read(&mut self.inbox)? {
                return Ok(incoming);
            }
            let read = self.wire.read_buf(&mut self.inbox).await;
            self.last_heard = Instant::now();
            match read.map_err(|source| io(&self.address, source))? {
                0 => return Err(LinkError::Closed("end of stream".to_owned())),
                _ => continue,
            }
        }
    }

    /// Sends a sign of life if one is due.
    ///
    /// # Errors
    /// [`LinkError::Slow`] where the engine has been silent although it owed an answer.
    pub async fn keep_alive(&mut self, owed: bool) -> Result<(), LinkError> {
        let half = Duration::from_secs(u64::from(KEEP_ALIVE_S) / 2);
        if owed && ANSWER_WITHIN < self.last_heard.elapsed() {
            return Err(LinkError::Slow);
        }
        // PINGRESP counts as heard, so a door that answers no ping is noticed as well.
        if 3 * half < self.last_heard.elapsed() {
            return Err(LinkError::Slow);
        }
        let quiet = half < self.last_sent.elapsed();
        let deaf =
            half < self.last_heard.elapsed() && Duration::from_secs(2) < self.last_sent.elapsed();
        if quiet || deaf {
            self.version.ping(&mut self.outbox);
            self.flush().await?;
        }
        Ok(())
    }

    /// Says goodbye and closes.
    ///
    /// # Errors
    /// [`LinkError::Io`] where it could not be said.
    pub async fn close(mut self) -> Result<(), LinkError> {
        self.version.goodbye(&mut self.outbox);
        self.flush().await?;
        self.wire.shutdown().await.map_err(|source| io(&self.address, source))
    }
}

async fn wire(door: &Door) -> std::io::Result<Box<dyn Wire>> {
    let stream = TcpStream::connect(&door.address).await?;
    stream.set_nodelay(true)?;
    let Some(Tls(config)) = &door.tls else { return Ok(Box::new(stream)) };
    let host = door.address.rsplit_once(':').map_or(door.address.as_str(), |(host, _)| host);
    let host = host.trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(host)
        .map_err(|e| std::io::Error::new(std::io::ErrorKind::InvalidInput, e))?;
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
    Ok(Box::new(connector.connect(name, stream).await?))
}

fn io(address: &str, source: std::io::Error) -> LinkError {
    LinkError::Io { address: address.to_owned(), source }
}
