//! From an accepted stream to a connection that is logged in, or to a refusal that is told, counted and logged.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::aliases;
use super::attachment::Attachment;
use super::broker::{Attached, NoSession};
use super::connection::{Connection, timer};
use super::counters;
use super::door::Shared;
use super::gatekeeper::{Denied, Entry};
use super::inbound::{Inbound, Why};
use super::peer::{Destination, Peer};
use super::session::Room;
use super::socket::Socket;
use super::wire::{self, BadHello, Hello, Refused, Version, Welcome, hello, peek};

/// Why somebody was turned away.
#[derive(Debug)]
struct TurnedAway {
    /// From a closed list: the counter's label.
    outcome: &'static str,
    /// What is said, where something can be said.
    answer: Option<(Version, Refused, &'static str)>,
}

impl TurnedAway {
    /// Without a word: what came was not an MQTT client's greeting.
    const fn silently(outcome: &'static str) -> Self {
        Self { outcome, answer: None }
    }
}

/// Serves one stream from its first byte to its last.
pub(super) async fn serve<S>(
    stream: S,
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: &CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut socket = Socket::new(stream, shared.broker.counters.clone());
    let login = tokio::select! {
        // Those that are logged in are sent away by the broker; here is nothing to finish.
        () = stop.cancelled() => Err(TurnedAway::silently("shutting_down")),
        login = log_in(&mut socket, address, &shared) => login,
    };
    match login {
        Ok(login) => {
            counters::connected("welcome");
            login.into_connection(socket, shared).run().await;
        }
        Err(turned_away) => turn_away(socket, address, &shared, &turned_away).await,
    }
}

async fn turn_away<S>(
    mut socket: Socket<S>,
    address: SocketAddr,
    shared: &Shared,
    turned_away: &TurnedAway,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let TurnedAway { outcome, answer } = turned_away;
    counters::connected(outcome);
    tracing::warn!(%address, outcome, "turned away");
    if let Some((version, refused, why)) = answer {
        wire::connack(&mut socket.write, *version, Err((*refused, why)));
        socket.close_on_talker(shared.config.end_deadline).await;
    }
}

/// Somebody who was let in, before the welcome is said.
struct Login {
    hello: Hello,
    peer: Arc<Peer>,
    attached: Attached,
    attachment: Arc<Attachment>,
    welcome: Welcome,
    silence_max: Option<Duration>,
}

/// The recipe: read, recognise, check what is asked for, give a session.
async fn log_in<S>(
    socket: &mut Socket<S>,
    address: SocketAddr,
    shared: &Shared,
) -> Result<Login, TurnedAway>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let reading = timeout(shared.config.connect_deadline, read_hello(socket, shared));
    let mut hello = reading.await.map_err(|_| TurnedAway::silently("timeout"))??;
    let refuse =
        |outcome, refused, why| TurnedAway { outcome, answer: Some((hello.version, refused, why)) };
    if hello.auth_method.is_some() {
        let why = "no authentication method is offered; use user name and password";
        return Err(refuse("bad_auth_method", Refused::AuthMethod, why));
    }
    let entry = recognise(&hello, address, shared).await?;
    let peer = Arc::new(Peer::new(entry));
    let assigned = client_id(&hello, &peer).map_err(|why| {
        tracing::warn!(name = peer.name(), client_id = hello.client_id, "client id refused");
        refuse("bad_client_id", Refused::ClientId, why)
    })?;
    if let Some(will) = &hello.will
        && peer.destination(&will.topic) != Destination::Subscribers
    {
        let why = "the will's topic is not one that this client may publish on";
        return Err(refuse("bad_will", Refused::NotAuthorized, why));
    }
    let key = peer.session_key(assigned.as_deref().unwrap_or(&hello.client_id));
    let expiry_s = session_expiry_s(&hello, shared.config.session_expiry_max);
    let attachment = Arc::new(Attachment::new(Arc::clone(&peer), hello.will.take()));
    let attached = shared
        .broker
        .attach(&key, hello.clean_start, expiry_s, &attachment)
        .map_err(|no| no_session(no, hello.version))?;
    let keep_alive_s = keep_alive_s(&hello, shared.config.keep_alive_s_max);
    let welcome = Welcome {
        session_present: attached.present && !hello.is_3_1,
        session_expiry_s: (expiry_s != hello.session_expiry_s).then_some(expiry_s),
        receive_max: shared.config.in_flight_max,
        packet_bytes_max: shared.config.packet_bytes_max,
        topic_alias_max: shared.config.topic_alias_max,
        response_topic: hello.wants_response_topic.then(|| peer.response_topic()).flatten(),
        assigned_client_id: assigned,
        server_keep_alive_s: (keep_alive_s != hello.keep_alive_s).then_some(keep_alive_s),
    };
    let silence = Duration::from_secs(u64::from(keep_alive_s)) * 3 / 2;
    let silence_max = (keep_alive_s != 0).then_some(silence);
    Ok(Login { hello, peer, attached, attachment, welcome, silence_max })
}

async fn read_hello<S>(socket: &mut Socket<S>, shared: &Shared) -> Result<Hello, TurnedAway>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let header = loop {
        let header = peek(&socket.read, shared.config.packet_bytes_max)
            .map_err(|bad| TurnedAway::silently(bad.as_str()))?;
        match header {
            Some(header) if !header.is_connect() => {
                return Err(TurnedAway::silently("not_connect"));
            }
            Some(header) if header.total() <= socket.read.len() => break header,
            _ => (),
        }
        match socket.fill().await {
            Ok(0) => return Err(TurnedAway::silently("closed")),
            Ok(_) => (),
            Err(_) => return Err(TurnedAway::silently("broken")),
        }
    };
    let frame = socket.read.split_to(header.total()).freeze();
    hello(header, &frame).map_err(not_a_hello)
}

/// MQTT 5 is told what is wrong with its CONNECT; 3.1.1 has no word for it.
fn not_a_hello(bad: BadHello) -> TurnedAway {
    match bad {
        BadHello::Level(version) => {
            let answer = (version, Refused::Version, "use MQTT 3.1, 3.1.1 or 5.0");
            TurnedAway { outcome: "bad_version", answer: Some(answer) }
        }
        BadHello::Fields(Version::V5, bad) => {
            let (refused, why) = match bad {
                wire::Bad::Protocol(why) => (Refused::Protocol, why),
                wire::Bad::Malformed(why) => (Refused::Malformed, why),
                _ => (Refused::Malformed, bad.as_str()),
            };
            TurnedAway { outcome: bad.as_str(), answer: Some((Version::V5, refused, why)) }
        }
        BadHello::Fields(Version::V4, bad) | BadHello::NotMqtt(bad) => {
            TurnedAway::silently(bad.as_str())
        }
    }
}

/// Asks the gatekeeper. A wrong key and an unknown name get the same answer after the same time.
async fn recognise(
    hello: &Hello,
    address: SocketAddr,
    shared: &Shared,
) -> Result<Entry, TurnedAway> {
    let nameless = hello.user.is_empty() && hello.password.is_empty();
    if nameless && address.ip().is_loopback() && !shared.config.anonymous.is_empty() {
        let grants = shared.config.anonymous.clone();
        return Ok(Entry::Guest { name: "anonymous".to_owned(), grants });
    }
    let denied = if nameless {
        Denied::WrongKey
    } else {
        match shared.gatekeeper.login(&hello.user, &hello.password).await {
            Ok(entry) => return Ok(entry),
            Err(denied) => denied,
        }
    };
    tracing::warn!(%address, user = hello.user, ?denied, "login refused");
    sleep(shared.config.denied_delay).await;
    let (outcome, refused, why) = match denied {
        Denied::WrongKey => ("denied", Refused::Login, "user name or password is wrong"),
        Denied::Unavailable => ("unavailable", Refused::Unavailable, "try again later"),
    };
    Err(TurnedAway { outcome, answer: Some((hello.version, refused, why)) })
}

/// The id to assign where the client left it to us; an error where it may not have the one it chose.
fn client_id(hello: &Hello, peer: &Peer) -> Result<Option<String>, &'static str> {
    let empty = hello.client_id.is_empty();
    // MQTT 3.1.1, section 3.1.3.1: a session that is to be found again needs a name.
    if empty && hello.version == Version::V4 && !hello.clean_start {
        return Err("an empty client id needs a clean session");
    }
    match peer {
        Peer::Station { pass, .. } if empty => Ok(Some(pass.station.code.to_string())),
        Peer::Station { pass, .. } if hello.client_id != pass.station.code.as_str() => {
            Err("the client id of a station is its code")
        }
        Peer::Guest { .. } if empty => Ok(Some(next_guest_id())),
        _ => Ok(None),
    }
}

/// An id that no other guest has, in this run of the engine.
fn next_guest_id() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("guest-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn session_expiry_s(hello: &Hello, max: Duration) -> u32 {
    hello.session_expiry_s.min(u32::try_from(max.as_secs()).unwrap_or(u32::MAX))
}

/// The client's keep-alive, or ours where it is above our limit and the client can be told (MQTT 5).
fn keep_alive_s(hello: &Hello, max: Option<u16>) -> u16 {
    let asked = hello.keep_alive_s;
    match max {
        Some(max) if hello.version == Version::V5 && (asked == 0 || max < asked) => max,
        _ => asked,
    }
}

fn no_session(no: NoSession, version: Version) -> TurnedAway {
    let (outcome, refused) = match no {
        NoSession::ShuttingDown => ("shutting_down", Refused::Unavailable),
        NoSession::TooMany => ("too_many_sessions", Refused::Busy),
    };
    TurnedAway { outcome, answer: Some((version, refused, "try again later")) }
}

impl Login {
    fn into_connection<S>(self, mut socket: Socket<S>, shared: Arc<Shared>) -> Connection<S>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Self { hello, peer, attached, attachment, welcome, silence_max } = self;
        wire::connack(&mut socket.write, hello.version, Ok(&welcome));
        tracing::info!(name = peer.name(), version = ?hello.version, "connected");
        let room = Room {
            version: hello.version,
            receive_max: usize::from(hello.receive_max.min(shared.config.in_flight_max)),
            packet_bytes_max: hello.packet_bytes_max,
            write_bytes_max: shared.config.write_bytes_max,
            aliases: aliases::Outgoing::new(hello.topic_alias_max),
        };
        // A reason string has at most 200 bytes; for a smaller client it would be the packet too many.
        let told = hello.wants_reasons && 256 <= hello.packet_bytes_max;
        Connection {
            socket,
            shared,
            peer,
            session: attached.session,
            attachment,
            older: attached.older,
            aliases: aliases::Incoming::default(),
            room,
            why: if told { Why::Told } else { Why::Untold },
            inbound: Inbound::default(),
            silence_max,
            heard_at: Instant::now(),
            timer: timer(),
            mail: true,
        }
    }
}
