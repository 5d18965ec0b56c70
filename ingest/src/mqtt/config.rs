//! How the door is built: where it listens and where each of its limits lies.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::Grant;

/// The door's configuration. Defaults are safe: loopback, no TLS listener, nobody without a key.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where plain MQTT is served; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where MQTT over TLS is served.
    pub tls: Option<TlsConfig>,
    /// What a client on loopback may do without a name and a key. Empty: nothing, it is turned away.
    pub anonymous: Vec<Grant>,
    /// Whether that holds for WebSockets too. Behind a proxy every client comes from loopback.
    pub anonymous_websocket: bool,
    /// Whether it holds too for who gives a name and a key where the book knows no such name. Suites log in so; people
    /// who mistyped their station's code do too, and would wonder why they may do so little.
    pub anonymous_named: bool,
    /// Connections that may be shaking hands at one time: from the socket to the welcome. A province that comes back
    /// at once has 2,000; each costs some kilobytes and, with TLS, a millisecond of a core.
    pub handshakes_max: usize,
    /// The same, from one address.
    pub handshakes_per_address_max: usize,
    /// What one client may publish. `None`: as much as it can.
    pub rate: Option<Rate>,
    /// What becomes of a message that does not fit into a session's queue.
    pub queue_policy: QueuePolicy,
    /// Connections at one time, handshakes included. A province has hundreds of stations; 20,000 leaves room for
    /// dashboards and a storm of reconnects, at about 8 KiB each 160 MiB.
    pub connections_max: usize,
    /// Connections from one address at one time. Stations on a carrier's network share a few addresses, so this
    /// only keeps one address from taking every place.
    pub connections_per_address_max: usize,
    /// From the accepted socket to the whole CONNECT. A 2G modem needs 3 s; nobody needs 10.
    pub connect_deadline: Duration,
    /// From the accepted socket to the end of the TLS handshake.
    pub tls_handshake_deadline: Duration,
    /// How long a wrong key waits for its answer: long enough that guessing is slow, short for a technician.
    pub denied_delay: Duration,
    /// The largest packet taken. A report of six values has 150 bytes, an array of a day's backlog 100 KB.
    pub packet_bytes_max: usize,
    /// The longest keep-alive in seconds; a client that asks for more is told this one on MQTT 5. `None` leaves the
    /// choice to the client.
    pub keep_alive_s_max: Option<u16>,
    /// May a client ask for no keep-alive at all?
    pub keep_alive_none: bool,
    /// Publishes of one connection that may wait for the disk: also the receive maximum told to MQTT 5 clients. Eight
    /// batches of 128; a client with more waits for its acknowledgements.
    pub in_flight_max: u16,
    /// Bytes of publishes of one connection that may wait for the disk.
    pub in_flight_bytes_max: usize,
    /// Topic aliases of one connection's client. A station has five topics; 16 of at most 64 KiB each cost a client
    /// that means ill 1 MiB of our memory.
    pub topic_alias_max: u16,
    /// Subscriptions of one session.
    pub subscriptions_max: usize,
    /// Messages that wait for one session, absent or slow.
    pub queue_messages_max: usize,
    /// Bytes of messages that wait for one session.
    pub queue_bytes_max: usize,
    /// Sessions without a connection that are remembered.
    pub sessions_max: usize,
    /// The longest that a session without a connection is remembered.
    pub session_expiry_max: Duration,
    /// Retained messages: 2,000 stations with 26 parameters fit.
    pub retained_messages_max: usize,
    /// Bytes of retained messages.
    pub retained_bytes_max: usize,
    /// Bytes that may wait in one connection's write buffer before its queue is left to wait.
    pub write_bytes_max: usize,
    /// A client that takes not a byte for so long is dropped.
    pub write_deadline: Duration,
    /// How long a connection that ends may wait for its last commit, and again for its last write. Twice this and a
    /// second is what the door takes to stop: 11 s of the 30 s that the engine has.
    pub end_deadline: Duration,
}

/// How much one client may publish, and what happens above it: it is read more slowly, so that nothing is lost; and
/// where it pushes against that for too long it is sent away (0x97).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Publishes a second, in the long run.
    pub messages_per_s: u64,
    /// Bytes of payload a second, in the long run.
    pub bytes_per_s: u64,
    /// So much time's worth of both may come at once: a backlog after an absence.
    pub burst: Duration,
    /// How long a client may push against its rate.
    pub patience: Duration,
}

/// What becomes of a message that does not fit into a session's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QueuePolicy {
    /// It is dropped: an older state of the water that did arrive is better than a hole at an unknown place.
    #[default]
    DropNewest,
    /// The oldest is dropped: what is now matters more than what was.
    DropOldest,
    /// The session ends, and with it its connection: a reader that must have all of it is better told.
    Disconnect,
}

impl QueuePolicy {
    /// The policy as the configuration writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DropNewest => "drop-newest",
            Self::DropOldest => "drop-oldest",
            Self::Disconnect => "disconnect",
        }
    }

    /// The policy of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::DropNewest, Self::DropOldest, Self::Disconnect]
            .into_iter()
            .find(|policy| policy.as_str() == text)
    }
}

/// The TLS listener.
#[derive(Debug, Clone)]
pub struct TlsConfig {
    /// Where MQTT over TLS is served; port 0 takes a free one.
    pub listen: SocketAddr,
    /// PEM file with the certificate and its chain.
    pub certificate: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
    /// PEM file with the authorities whose client certificates let stations in; the common name is the code.
    pub client_ca: Option<PathBuf>,
    /// PEM file with their revocation lists.
    pub crl: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 1883)),
            tls: None,
            anonymous: Vec::new(),
            anonymous_websocket: false,
            anonymous_named: false,
            handshakes_max: 4_096,
            handshakes_per_address_max: 2_048,
            rate: None,
            queue_policy: QueuePolicy::DropNewest,
            connections_max: 20_000,
            connections_per_address_max: 12_000,
            connect_deadline: Duration::from_secs(10),
            tls_handshake_deadline: Duration::from_secs(10),
            denied_delay: Duration::from_millis(100),
            packet_bytes_max: 256 * 1024,
            keep_alive_s_max: None,
            keep_alive_none: true,
            in_flight_max: 1_024,
            in_flight_bytes_max: 1024 * 1024,
            topic_alias_max: 16,
            subscriptions_max: 256,
            queue_messages_max: 1_000,
            queue_bytes_max: 1024 * 1024,
            sessions_max: 10_000,
            session_expiry_max: Duration::from_secs(7 * 24 * 3600),
            retained_messages_max: 65_536,
            retained_bytes_max: 64 * 1024 * 1024,
            write_bytes_max: 256 * 1024,
            write_deadline: Duration::from_secs(20),
            end_deadline: Duration::from_secs(5),
        }
    }
}
