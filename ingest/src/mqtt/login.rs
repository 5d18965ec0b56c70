//! From an accepted stream to a connection that is logged in, or to a refusal that is told, counted and logged.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::access::{Access, Proving};
use super::aliases;
use super::attachment::{Attachment, Kick};
use super::broker::{Attached, NoSession};
use super::claim::{self, Claimant};
use super::connection::{Connection, timer};
use super::counters;
use super::door::Shared;
use super::gatekeeper::{Admission, Credential};
use super::inbound::{Inbound, Why};
use super::meter::Meter;
use super::peer::{Destination, Peer};
use super::recognise::{Caller, Known, recognise};
use super::scram;
use super::session::Room;
use super::socket::Socket;
use super::wire::{self, BadHello, Hello, Refused, Version, Welcome, hello, peek};

/// Why somebody was turned away.
#[derive(Debug)]
pub(super) struct TurnedAway {
    /// From a closed list: the counter's label.
    pub(super) outcome: &'static str,
    /// What is said, where something can be said.
    pub(super) answer: Option<(Version, Refused, &'static str)>,
}

impl TurnedAway {
    /// Without a word: what came was not an MQTT client's greeting.
    pub(super) const fn silently(outcome: &'static str) -> Self {
        Self { outcome, answer: None }
    }

    /// As it fits into the largest packet that the client takes: the reason string goes first, then the answer.
    fn within(mut self, bytes_max: usize) -> Self {
        let fits = |&(version, refused, why): &(Version, Refused, &str)| {
            let mut packet = BytesMut::new();
            wire::connack(&mut packet, version, Err((refused, why)));
            packet.len() <= bytes_max
        };
        if let Some((_, _, why)) = self.answer.as_mut().filter(|answer| !fits(answer)) {
            *why = "";
        }
        self.answer = self.answer.filter(fits);
        self
    }
}

/// Serves one stream from its first byte to its last.
pub(super) async fn serve<S>(
    stream: S,
    caller: Caller,
    shared: Arc<Shared>,
    stop: &CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut socket = Socket::new(stream, shared.broker.counters.clone());
    // From the socket to the welcome; the time that a wrong key waits for its answer is not the client's.
    let deadline = shared.config.connect_deadline + shared.config.denied_delay;
    let login = tokio::select! {
        // Those that are logged in are sent away by the broker; here is nothing to finish.
        () = stop.cancelled() => Err(TurnedAway::silently("shutting_down")),
        () = caller.place.give_way.cancelled() => Err(TurnedAway::silently("gave_way")),
        login = timeout(deadline, log_in(&mut socket, &caller, &shared)) => {
            login.unwrap_or(Err(TurnedAway::silently("timeout")))
        }
    };
    match login {
        Ok(Welcomed::Client(login)) => {
            counters::connected("welcome");
            caller.place.settle();
            let (credential, reviews) = (login.credential.clone(), login.reviews);
            let attachment = Arc::clone(&login.attachment);
            look_again(&attachment, credential, reviews, &caller, &shared).await;
            login.into_connection(socket, shared).run().await;
        }
        Ok(Welcomed::Claimant(claimant)) => {
            counters::connected("claimant");
            caller.place.settle();
            claim::serve(socket, claimant, &shared).await;
        }
        Err(turned_away) => turn_away(socket, &caller, &shared, &turned_away).await,
    }
}

async fn turn_away<S>(
    mut socket: Socket<S>,
    caller: &Caller,
    shared: &Shared,
    turned_away: &TurnedAway,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let TurnedAway { outcome, answer } = turned_away;
    counters::connected(outcome);
    tracing::warn!(address = %caller.address, outcome, "turned away");
    if let Some((version, refused, why)) = answer {
        wire::connack(&mut socket.write, *version, Err((*refused, why)));
        socket.close_on_talker(shared.config.end_deadline).await;
    }
}

/// Somebody who was let in, before the welcome is said.
enum Welcomed {
    Client(Box<Login>),
    Claimant(Claimant),
}

/// A client and all that it gets.
struct Login {
    access: Access,
    credential: Credential,
    /// How many reviews had begun when it was recognised.
    reviews: u64,
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
    caller: &Caller,
    shared: &Shared,
) -> Result<Welcomed, TurnedAway>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let hello = read_hello(socket, shared).await?;
    let bytes_max = hello.packet_bytes_max;
    let entered = enter(socket, hello, caller, shared).await;
    entered.map_err(|turned_away| turned_away.within(bytes_max))
}

/// The same for somebody whose greeting was read.
async fn enter<S>(
    socket: &mut Socket<S>,
    mut hello: Hello,
    caller: &Caller,
    shared: &Shared,
) -> Result<Welcomed, TurnedAway>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let refuse =
        |outcome, refused, why| TurnedAway { outcome, answer: Some((hello.version, refused, why)) };
    let reviews = shared.live.reviews();
    let (admission, last_words) = match recognise(socket, &hello, caller, shared).await? {
        Known::Client { admission, last_words } => (admission, last_words),
        Known::Claimant { station, code } => {
            let welcome = claimants_welcome(&hello, &station, shared);
            let version = hello.version;
            return Ok(Welcomed::Claimant(Claimant { station, code, version, welcome }));
        }
    };
    let Admission { entry, credential } = admission;
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
    let keep_alive_s = keep_alive_s(&hello, shared);
    let welcome = Welcome {
        session_present: attached.present && !hello.is_3_1,
        session_expiry_s: (expiry_s != hello.session_expiry_s).then_some(expiry_s),
        receive_max: shared.config.in_flight_max,
        packet_bytes_max: shared.config.packet_bytes_max,
        topic_alias_max: shared.config.topic_alias_max,
        response_topic: hello.wants_response_topic.then(|| peer.response_topic()).flatten(),
        assigned_client_id: assigned,
        server_keep_alive_s: (keep_alive_s != hello.keep_alive_s).then_some(keep_alive_s),
        auth: last_words.map(|words| (scram::METHOD, words)),
    };
    let silence = Duration::from_secs(u64::from(keep_alive_s)) * 3 / 2;
    let silence_max = (keep_alive_s != 0).then_some(silence);
    let certificate = matches!(credential, Credential::Certificate { .. })
        .then(|| caller.certificate.clone())
        .flatten();
    let access = Access {
        presence: shared.live.enter(credential.clone(), certificate, &attachment),
        meter: Meter::new(shared.config.rate, &key, &shared.debts, Instant::now()),
        method: welcome.auth.as_ref().map(|(method, _)| *method),
        proving: Proving::Not,
    };
    let login = Login {
        access,
        credential,
        reviews,
        hello,
        peer,
        attached,
        attachment,
        welcome,
        silence_max,
    };
    Ok(Welcomed::Client(Box::new(login)))
}

/// What a claimant is told: no session, and no more than it needs.
fn claimants_welcome(hello: &Hello, station: &str, shared: &Shared) -> Welcome {
    Welcome {
        session_expiry_s: (hello.session_expiry_s != 0).then_some(0),
        receive_max: 1,
        packet_bytes_max: shared.config.packet_bytes_max,
        assigned_client_id: hello.client_id.is_empty().then(|| station.to_owned()),
        ..Welcome::default()
    }
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

/// The client's keep-alive, or ours where it is above our limit and the client can be told (MQTT 5). None at all is
/// replaced where the configuration says so.
fn keep_alive_s(hello: &Hello, shared: &Shared) -> u16 {
    let asked = hello.keep_alive_s;
    match shared.config.keep_alive_s_max {
        Some(max) if asked == 0 && !shared.config.keep_alive_none => max,
        Some(max) if hello.version == Version::V5 && max < asked => max,
        _ => asked,
    }
}

fn no_session(no: NoSession, version: Version) -> TurnedAway {
    let (outcome, refused) = match no {
        NoSession::ShuttingDown => ("shutting_down", Refused::Unavailable),
        NoSession::TooMany => ("too_many_sessions", Refused::Busy),
        NoSession::StorageBusy => ("storage_busy", Refused::Unavailable),
    };
    TurnedAway { outcome, answer: Some((version, refused, "try again later")) }
}

/// What let it in may have been revoked between the question and now: then the review did not see it here.
async fn look_again(
    attachment: &Attachment,
    credential: Credential,
    reviews: u64,
    caller: &Caller,
    shared: &Shared,
) {
    if let (Credential::Certificate { .. }, Some(shown), Some(certificates)) =
        (&credential, &caller.certificate, &caller.certificates)
        && !certificates.is_good(shown)
    {
        return attachment.kick(Kick::Revoked);
    }
    if shared.live.reviews() == reviews {
        return;
    }
    match shared.gatekeeper.review(vec![credential]).await {
        Ok(review) if review.gone.is_empty() => (),
        // A book that cannot be read now will be reviewed again when it can.
        Err(_) => (),
        Ok(_) => attachment.kick(Kick::Revoked),
    }
}

impl Login {
    fn into_connection<S>(
        self: Box<Self>,
        mut socket: Socket<S>,
        shared: Arc<Shared>,
    ) -> Connection<S>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Self { access, hello, peer, attached, attachment, welcome, silence_max, .. } = *self;
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
            access,
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
