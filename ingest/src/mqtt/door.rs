//! The listeners and everything behind them: accepts, gives each connection a place and a task of its own, and closes
//! in order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::intake::Intake;

use super::broker::Broker;
use super::config::Config;
use super::counters;
use super::gatekeeper::Gatekeeper;
use super::login;
use super::message::Published;
use super::places::Places;
use super::tls::{Certificates, TlsError};
use super::topic;

/// Connections the kernel may hold while we accept: a province that comes back all at once.
const BACKLOG: u32 = 4_096;
/// After an accept that failed (no file descriptors left), so that the log is not flooded.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often sessions whose time is over are looked for.
const FORGET_EVERY: Duration = Duration::from_secs(10);
/// How often wills whose delay is over are looked for: their delay is in whole seconds.
const WILLS_EVERY: Duration = Duration::from_millis(250);

/// The front door. Bind it, then run it.
pub struct Door {
    shared: Arc<Shared>,
    plain: TcpListener,
    tls: Option<(TcpListener, Arc<Certificates>)>,
    addresses: Addresses,
}

/// What every connection shares.
pub(super) struct Shared {
    pub(super) config: Arc<Config>,
    pub(super) broker: Arc<Broker>,
    pub(super) intake: Intake,
    pub(super) gatekeeper: Arc<dyn Gatekeeper>,
}

/// Where the door serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// MQTT.
    pub plain: SocketAddr,
    /// MQTT over TLS.
    pub tls: Option<SocketAddr>,
}

/// The door cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The certificate cannot be used.
    #[error("cannot serve TLS")]
    Tls(#[from] TlsError),
}

impl Door {
    /// Opens the listeners. Call it inside a Tokio runtime and after the metrics recorder is installed.
    ///
    /// # Errors
    /// [`DoorError`] where an address or a certificate cannot be used.
    pub fn bind(
        config: Config,
        intake: Intake,
        gatekeeper: Arc<dyn Gatekeeper>,
    ) -> Result<Self, DoorError> {
        let plain = listen(config.listen)?;
        let tls = match &config.tls {
            Some(tls) => {
                let certificates = Arc::new(Certificates::load(tls.clone())?);
                Some((listen(tls.listen)?, certificates))
            }
            None => None,
        };
        let addresses = Addresses {
            plain: address(&plain, config.listen)?,
            tls: tls.as_ref().map(|(tls, _)| address(tls, config.listen)).transpose()?,
        };
        let config = Arc::new(config);
        let broker = Arc::new(Broker::new(Arc::clone(&config)));
        let shared = Arc::new(Shared { config, broker, intake, gatekeeper });
        Ok(Self { shared, plain, tls, addresses })
    }

    /// Where it serves.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// For the engine's own topics.
    #[must_use]
    pub fn publisher(&self) -> Publisher {
        Publisher { broker: Arc::clone(&self.shared.broker) }
    }

    /// For reading the certificate again.
    #[must_use]
    pub fn reloader(&self) -> Reloader {
        Reloader { certificates: self.tls.as_ref().map(|(_, held)| Arc::clone(held)) }
    }

    /// Serves until `stop`, then closes in order: nobody new, what is on its way to the disk is made durable and
    /// acknowledged, every MQTT 5 client is told (0x8B), and within twice the end deadline every connection is closed.
    pub async fn run(self, stop: CancellationToken) {
        let mut connections = JoinSet::new();
        self.accept_until(&stop, &mut connections).await;
        let Self { shared, plain, tls, .. } = self;
        drop((plain, tls));
        shared.broker.close();
        let all = async { while connections.join_next().await.is_some() {} };
        // A commit and a close take an end deadline each.
        let patience = shared.config.end_deadline * 2 + Duration::from_secs(1);
        if timeout(patience, all).await.is_err() {
            tracing::warn!("connections did not end in time");
        }
        connections.shutdown().await;
    }

    async fn accept_until(&self, stop: &CancellationToken, connections: &mut JoinSet<()>) {
        let places = Arc::new(Places::new(
            &self.shared.config,
            self.shared.broker.counters.connections.clone(),
        ));
        let mut forget = tokio::time::interval(FORGET_EVERY);
        let mut wills = tokio::time::interval(WILLS_EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.plain.accept() => {
                    self.admit(accepted, None, &places, stop, connections).await;
                }
                (accepted, certificates) = self.accept_tls() => {
                    self.admit(accepted, Some(certificates), &places, stop, connections).await;
                }
                Some(ended) = connections.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a connection's task failed");
                    }
                }
                _ = forget.tick() => self.shared.broker.forget_expired(Instant::now()),
                _ = wills.tick() => self.shared.broker.publish_due_wills(Instant::now()),
            }
        }
    }

    async fn accept_tls(&self) -> (io::Result<(TcpStream, SocketAddr)>, Arc<Certificates>) {
        match &self.tls {
            Some((listener, certificates)) => (listener.accept().await, Arc::clone(certificates)),
            None => std::future::pending().await,
        }
    }

    /// A place and a task for what was accepted.
    async fn admit(
        &self,
        accepted: io::Result<(TcpStream, SocketAddr)>,
        certificates: Option<Arc<Certificates>>,
        places: &Arc<Places>,
        stop: &CancellationToken,
        connections: &mut JoinSet<()>,
    ) {
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                counters::connected("accept_failed");
                tracing::error!(%error, "cannot accept");
                return sleep(ACCEPT_PAUSE).await;
            }
        };
        let place = match places.take(address.ip()) {
            Ok(place) => place,
            Err(no_place) => {
                counters::connected(no_place.as_str());
                tracing::warn!(%address, outcome = no_place.as_str(), "turned away");
                return;
            }
        };
        let shared = Arc::clone(&self.shared);
        let stop = stop.clone();
        connections.spawn(async move {
            // An acknowledgement is 4 bytes, and a station waits for it.
            stream.set_nodelay(true).ok();
            match certificates {
                None => login::serve(stream, address, shared, &stop).await,
                Some(certificates) => {
                    serve_tls(stream, address, shared, &certificates, &stop).await;
                }
            }
            drop(place);
        });
    }
}

/// The handshake, in the connection's own task and with a deadline, then the same as without.
async fn serve_tls(
    stream: TcpStream,
    address: SocketAddr,
    shared: Arc<Shared>,
    certificates: &Certificates,
    stop: &CancellationToken,
) {
    let deadline = shared.config.tls_handshake_deadline;
    let handshake = timeout(deadline, certificates.acceptor().accept(stream));
    let outcome = tokio::select! {
        () = stop.cancelled() => "shutting_down",
        shaken = handshake => match shaken {
            Ok(Ok(stream)) => return Box::pin(login::serve(stream, address, shared, stop)).await,
            Ok(Err(error)) => {
                tracing::debug!(%address, %error, "TLS handshake failed");
                "tls_failed"
            }
            Err(_) => "tls_timeout",
        },
    };
    counters::connected(outcome);
    tracing::warn!(%address, outcome, "turned away");
}

/// Publishes for the engine itself. Clones share the door.
#[derive(Clone)]
pub struct Publisher {
    broker: Arc<Broker>,
}

/// How long a message of the engine stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Kept for those who subscribe later; an empty payload takes the kept one away.
    Retained,
    /// For those who are subscribed now.
    Passing,
}

impl Publisher {
    /// Publishes with QoS 1 to everybody who may read and reads the topic.
    ///
    /// # Panics
    /// Where `topic` is not a topic name: the engine's topics are made of codes, which always are.
    pub fn publish(&self, topic: &str, payload: &[u8], keep: Keep) {
        assert!(topic::is_name(topic), "`{topic}` is made of codes, so it is a topic name");
        let retain = keep == Keep::Retained;
        let properties = &[];
        let published = Published { topic, payload, properties, expiry_s: None, qos: 1, retain };
        self.broker.publish(published, None);
    }
}

/// Reads the certificate again, as on SIGHUP.
#[derive(Clone)]
pub struct Reloader {
    certificates: Option<Arc<Certificates>>,
}

impl Reloader {
    /// Reads the files again; connections that stand are not touched.
    ///
    /// # Errors
    /// [`TlsError`]: the old certificate stays in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.certificates.as_ref().map_or(Ok(()), |certificates| certificates.reload())
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, DoorError> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|source| DoorError::Bind { address, source })
}

fn address(listener: &TcpListener, wanted: SocketAddr) -> Result<SocketAddr, DoorError> {
    listener.local_addr().map_err(|source| DoorError::Bind { address: wanted, source })
}
