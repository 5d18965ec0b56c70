//! The listeners and everything behind them: accepts, gives each connection a place and a task of its own, and closes
//! in order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::intake::Intake;

use super::broker::Broker;
use super::config::Config;
use super::counters;
use super::gatekeeper::{Denied, Gatekeeper};
use super::keep::SessionLog;
use super::live::Live;
use super::login;
use super::message::Published;
use super::meter::Debts;
use super::places::{Place, Places};
use super::posting::Origin;
use super::recognise::Caller;
use super::tls::{Certificates, ClientCertificate, TlsError};
use super::topic;
use super::websocket::WebSocket;

/// Connections the kernel may hold while we accept: a province that comes back all at once.
const BACKLOG: u32 = 4_096;
/// After an accept that failed (no file descriptors left), so that the log is not flooded.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often sessions whose time is over are looked for.
const FORGET_EVERY: Duration = Duration::from_secs(10);
/// How often wills whose delay is over are looked for: their delay is in whole seconds.
const WILLS_EVERY: Duration = Duration::from_millis(250);

/// WebSockets that may wait for the door to take them in: it does nothing else for them than to give each a task.
const GUESTS_MAX: usize = 256;

/// The front door. Bind it, then run it.
pub struct Door {
    shared: Arc<Shared>,
    plain: TcpListener,
    tls: Option<(TcpListener, Arc<Certificates>)>,
    addresses: Addresses,
    attacher: Attacher,
    guests: mpsc::Receiver<Guest>,
}

/// What every connection shares.
pub(super) struct Shared {
    pub(super) config: Arc<Config>,
    pub(super) broker: Arc<Broker>,
    pub(super) intake: Intake,
    pub(super) gatekeeper: Arc<dyn Gatekeeper>,
    pub(super) live: Arc<Live>,
    pub(super) debts: Arc<Debts>,
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
        Self::bind_with(config, intake, gatekeeper, None)
    }

    /// The same with sessions, retained messages and wills kept on disk.
    ///
    /// # Errors
    /// As [`Door::bind`].
    pub fn bind_remembering(
        config: Config,
        intake: Intake,
        gatekeeper: Arc<dyn Gatekeeper>,
        sessions: SessionLog,
    ) -> Result<Self, DoorError> {
        Self::bind_with(config, intake, gatekeeper, Some(sessions))
    }

    fn bind_with(
        config: Config,
        intake: Intake,
        gatekeeper: Arc<dyn Gatekeeper>,
        sessions: Option<SessionLog>,
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
        let broker = Arc::new(Broker::new(Arc::clone(&config), sessions));
        let (live, debts) = (Arc::default(), Arc::default());
        let shared = Arc::new(Shared { config, broker, intake, gatekeeper, live, debts });
        let (to_door, guests) = mpsc::channel(GUESTS_MAX);
        Ok(Self { shared, plain, tls, addresses, attacher: Attacher { to_door }, guests })
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
        let certificates = self.tls.as_ref().map(|(_, held)| Arc::clone(held));
        Reloader { certificates, live: Arc::clone(&self.shared.live) }
    }

    /// For streams that somebody else accepted: WebSockets on the HTTP port.
    #[must_use]
    pub fn attacher(&self) -> Attacher {
        self.attacher.clone()
    }

    /// For looking again whether what let the connections in still opens.
    #[must_use]
    pub fn reviewer(&self) -> Reviewer {
        Reviewer { shared: Arc::clone(&self.shared) }
    }

    /// Serves until `stop`, then closes in order: nobody new, what is on its way to the disk is made durable and
    /// acknowledged, every MQTT 5 client is told (0x8B), and within twice the end deadline every connection is closed.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut connections = JoinSet::new();
        let mut chores = JoinSet::new();
        if let Some(log) = self.shared.broker.log.clone() {
            chores.spawn(log.wake_waiting());
        }
        chores.spawn(Arc::clone(&self.shared.broker.crowd).serve());
        self.accept_until(&stop, &mut connections).await;
        let Self { shared, plain, tls, guests, .. } = self;
        drop((plain, tls, guests));
        shared.broker.close();
        let all = async { while connections.join_next().await.is_some() {} };
        // A commit and a close take an end deadline each.
        let patience = shared.config.end_deadline * 2 + Duration::from_secs(1);
        if timeout(patience, all).await.is_err() {
            tracing::warn!("connections did not end in time");
        }
        connections.shutdown().await;
        if let Some(log) = &shared.broker.log {
            settle(log, shared.config.end_deadline).await;
        }
        chores.shutdown().await;
    }

    async fn accept_until(&mut self, stop: &CancellationToken, connections: &mut JoinSet<()>) {
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
                    admit(&self.shared, accepted, None, &places, stop, connections).await;
                }
                (accepted, certificates) = accept_tls(self.tls.as_ref()) => {
                    let certificates = Some(certificates);
                    admit(&self.shared, accepted, certificates, &places, stop, connections).await;
                }
                Some(guest) = self.guests.recv() => {
                    welcome_in(&self.shared, guest, &places, stop, connections);
                }
                Some(ended) = connections.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a connection's task failed");
                    }
                }
                _ = forget.tick() => self.shared.broker.forget_expired(Instant::now()),
                _ = wills.tick() => {
                    self.shared.broker.publish_due_wills(Instant::now());
                    self.shared.broker.pass_strays_on(Instant::now());
                }
            }
        }
    }
}

async fn accept_tls(
    tls: Option<&(TcpListener, Arc<Certificates>)>,
) -> (io::Result<(TcpStream, SocketAddr)>, Arc<Certificates>) {
    match tls {
        Some((listener, certificates)) => (listener.accept().await, Arc::clone(certificates)),
        None => std::future::pending().await,
    }
}

/// A place and a task for what was accepted.
async fn admit(
    shared: &Arc<Shared>,
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
    let Some(place) = place(places, address) else { return };
    let (shared, stop) = (Arc::clone(shared), stop.clone());
    connections.spawn(async move {
        // An acknowledgement is 4 bytes, and a station waits for it.
        stream.set_nodelay(true).ok();
        let may_be_nameless = certificates.is_none()
            && address.ip().is_loopback()
            && !shared.config.anonymous.is_empty();
        let caller = Caller { address, may_be_nameless, certificate: None, certificates, place };
        match &caller.certificates {
            None => login::serve(stream, caller, shared, &stop).await,
            Some(_) => serve_tls(stream, caller, shared, &stop).await,
        }
    });
}

fn place(places: &Arc<Places>, address: SocketAddr) -> Option<Place> {
    match places.take(address.ip(), tokio::time::Instant::now()) {
        Ok(place) => Some(place),
        Err(no_place) => {
            counters::connected(no_place.as_str());
            tracing::warn!(%address, outcome = no_place.as_str(), "turned away");
            None
        }
    }
}

/// What was noted of the last connections is made durable. On a full disk it is not waited for: it would only be
/// said again.
async fn settle(log: &SessionLog, deadline: Duration) {
    match timeout(deadline, log.settle()).await {
        Ok(Ok(())) => (),
        Ok(Err(error)) => tracing::error!(%error, "session log did not settle"),
        Err(_) => tracing::warn!("session log did not settle in time"),
    }
}

/// The handshake, in the connection's own task and with a deadline, then the same as without.
async fn serve_tls(
    stream: TcpStream,
    mut caller: Caller,
    shared: Arc<Shared>,
    stop: &CancellationToken,
) {
    let Some(certificates) = caller.certificates.clone() else { return };
    let deadline = shared.config.tls_handshake_deadline;
    let handshake = timeout(deadline, certificates.acceptor().accept(stream));
    let outcome = tokio::select! {
        () = stop.cancelled() => "shutting_down",
        () = caller.place.give_way.cancelled() => "gave_way",
        shaken = handshake => match shaken {
            Ok(Ok(stream)) => {
                caller.certificate = ClientCertificate::of(stream.get_ref().1.peer_certificates());
                return Box::pin(login::serve(stream, caller, shared, stop)).await;
            }
            Ok(Err(error)) => {
                tracing::debug!(address = %caller.address, %error, "TLS handshake failed");
                "tls_failed"
            }
            Err(_) => "tls_timeout",
        },
    };
    counters::connected(outcome);
    tracing::warn!(address = %caller.address, outcome, "turned away");
}

/// A stream of either kind.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// A WebSocket on its way in.
struct Guest {
    /// Ready when the HTTP side has let go of it.
    upgrade: BoxFuture<'static, Option<Box<dyn Duplex>>>,
    address: SocketAddr,
    same_origin: bool,
}

/// Hands WebSockets to the door. Clones share it.
#[derive(Clone)]
pub struct Attacher {
    to_door: mpsc::Sender<Guest>,
}

/// The door takes nobody in now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the front door takes nobody in now")]
pub struct NoRoom;

impl Attacher {
    /// Gives the door a stream that speaks WebSocket from its first byte. `upgrade` is awaited in the connection's own
    /// task. `same_origin`: it was not opened by a page of somebody else's, which counts where no key is asked for.
    ///
    /// # Errors
    /// [`NoRoom`]: too many wait, or the engine stops.
    pub fn attach<S>(
        &self,
        upgrade: impl Future<Output = Option<S>> + Send + 'static,
        address: SocketAddr,
        same_origin: bool,
    ) -> Result<(), NoRoom>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let upgrade =
            async move { upgrade.await.map(|stream| Box::new(stream) as Box<dyn Duplex>) };
        let guest = Guest { upgrade: upgrade.boxed(), address, same_origin };
        self.to_door.try_send(guest).map_err(|_| {
            counters::connected("too_many_websockets");
            NoRoom
        })
    }
}

/// A place and a task for a WebSocket.
fn welcome_in(
    shared: &Arc<Shared>,
    guest: Guest,
    places: &Arc<Places>,
    stop: &CancellationToken,
    connections: &mut JoinSet<()>,
) {
    let Guest { upgrade, address, same_origin } = guest;
    let Some(place) = place(places, address) else { return };
    let (shared, stop) = (Arc::clone(shared), stop.clone());
    connections.spawn(async move {
        let config = &shared.config;
        let may_be_nameless = config.anonymous_websocket
            && same_origin
            && address.ip().is_loopback()
            && !config.anonymous.is_empty();
        let upgraded = tokio::select! {
            () = stop.cancelled() => None,
            () = place.give_way.cancelled() => None,
            upgraded = timeout(config.connect_deadline, upgrade) => upgraded.ok().flatten(),
        };
        let Some(stream) = upgraded else {
            counters::connected("not_upgraded");
            tracing::warn!(%address, outcome = "not_upgraded", "turned away");
            return;
        };
        let stream = WebSocket::over(stream, config.packet_bytes_max).await;
        let caller =
            Caller { address, may_be_nameless, certificate: None, certificates: None, place };
        Box::pin(login::serve(stream, caller, shared, &stop)).await;
    });
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
    /// For those who are connected now, and answered by nobody: QoS 0. What does not arrive is asked for again.
    Fleeting,
}

impl Publisher {
    /// Publishes to everybody who may read and reads the topic, with QoS 1 unless it is fleeting.
    ///
    /// # Panics
    /// Where `topic` is not a topic name: the engine's topics are made of codes, which always are.
    pub fn publish(&self, topic: &str, payload: &[u8], keep: Keep) {
        assert!(topic::is_name(topic), "`{topic}` is made of codes, so it is a topic name");
        let retain = keep == Keep::Retained;
        let qos = if keep == Keep::Fleeting { 0 } else { 1 };
        let properties = &[];
        let published = Published { topic, payload, properties, expiry_s: None, qos, retain };
        self.broker.publish(published, Origin::Engine);
    }
}

/// Reads the certificate again, as on SIGHUP.
#[derive(Clone)]
pub struct Reloader {
    certificates: Option<Arc<Certificates>>,
    live: Arc<Live>,
}

impl Reloader {
    /// Reads the files again. Connections that stand are not touched, but for those whose client certificate would not
    /// be taken any more.
    ///
    /// # Errors
    /// [`TlsError`]: the old files stay in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        let Some(certificates) = &self.certificates else { return Ok(()) };
        certificates.reload()?;
        self.live.dismiss_certificates(|certificate| certificates.is_good(certificate));
        Ok(())
    }
}

/// Looks again whether what let the connections in still opens, as when the book has changed.
#[derive(Clone)]
pub struct Reviewer {
    shared: Arc<Shared>,
}

impl Reviewer {
    /// Ends the connections whose key, token or station does not open any more (0x98). Returns when the next key or
    /// token ends by itself.
    ///
    /// # Errors
    /// [`Denied::Unavailable`] where the book cannot be read; nobody is sent away then.
    pub async fn review(&self) -> Result<Option<domain::Timestamp>, Denied> {
        let (ids, held): (Vec<_>, Vec<_>) = self.shared.live.credentials().into_iter().unzip();
        let review = self.shared.gatekeeper.review(held).await?;
        let gone = review.gone.iter().filter_map(|&place| ids.get(place).copied());
        self.shared.live.dismiss(gone);
        Ok(review.next_end)
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
