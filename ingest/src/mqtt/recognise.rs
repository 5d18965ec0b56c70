//! Who is calling: by certificate, by a proof of its key, by the key itself, by a claim code, or as nobody in particular
//! where the configuration lets nobody in particular in.

use std::net::SocketAddr;
use std::sync::Arc;

use registry::{CLAIM_PREFIX, Verifier, secret};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::sleep;

use super::door::Shared;
use super::gatekeeper::{Admission, Denied, Entry, Provable};
use super::login::TurnedAway;
use super::places::Place;
use super::scram::{self, ClientFirst, NotProved};
use super::socket::Socket;
use super::tls::{Certificates, ClientCertificate};
use super::wire::{self, Bad, Hello, Packet, Refused, Version, peek};

/// Where a client comes from and what it showed before it said a word.
pub(super) struct Caller {
    pub(super) address: SocketAddr,
    /// May it come in without a name, where anybody may?
    pub(super) may_be_nameless: bool,
    pub(super) certificate: Option<Arc<ClientCertificate>>,
    /// What its certificate is judged by.
    pub(super) certificates: Option<Arc<Certificates>>,
    pub(super) place: Place,
}

/// Who it is.
pub(super) enum Known {
    /// Somebody, and what of an exchange is still to be said with the welcome.
    Client { admission: Admission, last_words: Option<String> },
    /// Somebody at a station with its claim code: not the station yet.
    Claimant { station: String, code: String },
}

/// Asks the gatekeeper. A wrong key and an unknown name get the same answer after the same time.
pub(super) async fn recognise<S>(
    socket: &mut Socket<S>,
    hello: &Hello,
    caller: &Caller,
    shared: &Shared,
) -> Result<Known, TurnedAway>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let denied = match hello.auth_method.as_deref() {
        Some(scram::METHOD) => match prove(socket, hello, shared).await {
            Ok(known) => return Ok(known),
            Err(Failed::Denied(denied)) => denied,
            Err(Failed::Gone(turned_away)) => return Err(turned_away),
        },
        Some(_) => {
            let why = "the only authentication method is SCRAM-SHA-256";
            return Err(refuse(hello, "bad_auth_method", Refused::AuthMethod, why));
        }
        None => match ask(hello, caller, shared).await {
            Ok(known) => return Ok(known),
            Err(denied) => denied,
        },
    };
    tracing::warn!(address = %caller.address, user = hello.user, ?denied, "login refused");
    sleep(shared.config.denied_delay).await;
    let (outcome, refused, why) = match denied {
        Denied::WrongKey => ("denied", Refused::Login, "user name or password is wrong"),
        Denied::Disabled => ("disabled", Refused::Banned, "this station is disabled"),
        Denied::Unavailable => ("unavailable", Refused::Unavailable, "try again later"),
    };
    Err(refuse(hello, outcome, refused, why))
}

fn refuse(hello: &Hello, outcome: &'static str, refused: Refused, why: &'static str) -> TurnedAway {
    TurnedAway { outcome, answer: Some((hello.version, refused, why)) }
}

/// Without an exchange: what the CONNECT and the handshake say is all there is.
async fn ask(hello: &Hello, caller: &Caller, shared: &Shared) -> Result<Known, Denied> {
    let gatekeeper = &shared.gatekeeper;
    if hello.password.is_empty() {
        if let Some(certificate) = &caller.certificate {
            if !hello.user.is_empty() && hello.user != certificate.name {
                return Err(Denied::WrongKey);
            }
            return gatekeeper.certified(&certificate.name).await.map(client);
        }
        if hello.user.is_empty() && caller.may_be_nameless {
            return Ok(anybody(shared));
        }
        if is_nobody(hello, caller, shared).await? {
            return Ok(anybody(shared));
        }
        // No secret is empty, and what anybody sends without thinking is not to cost a look into the book.
        return Err(Denied::WrongKey);
    }
    let code = std::str::from_utf8(&hello.password).unwrap_or_default();
    if code.starts_with(CLAIM_PREFIX) && gatekeeper.may_claim(&hello.user, code).await? {
        return Ok(Known::Claimant { station: hello.user.clone(), code: code.to_owned() });
    }
    match gatekeeper.login(&hello.user, &hello.password).await {
        Err(Denied::WrongKey) if is_nobody(hello, caller, shared).await? => Ok(anybody(shared)),
        admitted => admitted.map(client),
    }
}

/// May this name come in as anybody, because it is nobody's? One that is somebody's stays wrong with a wrong key. It
/// tells nothing that costs: whoever may come in as anybody may do so without a name too.
async fn is_nobody(hello: &Hello, caller: &Caller, shared: &Shared) -> Result<bool, Denied> {
    if !(caller.may_be_nameless && shared.config.anonymous_named) {
        return Ok(false);
    }
    let nobody = shared.gatekeeper.provable(&hello.user).await?.is_none();
    if nobody {
        tracing::info!(address = %caller.address, user = hello.user, "a name of nobody's: anybody");
    }
    Ok(nobody)
}

/// Somebody of whom only the address is known, with what that may do.
fn anybody(shared: &Shared) -> Known {
    let grants = shared.config.anonymous.clone();
    client(Entry::Guest { name: "anonymous".to_owned(), grants }.into())
}

fn client(admission: Admission) -> Known {
    Known::Client { admission, last_words: None }
}

/// Why an exchange did not end in a welcome.
enum Failed {
    Denied(Denied),
    Gone(TurnedAway),
}

impl From<NotProved> for Failed {
    fn from(_: NotProved) -> Self {
        Self::Denied(Denied::WrongKey)
    }
}

/// SCRAM within CONNECT, AUTH, AUTH and CONNACK (MQTT 5, section 4.12).
async fn prove<S>(socket: &mut Socket<S>, hello: &Hello, shared: &Shared) -> Result<Known, Failed>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let first = ClientFirst::read(&hello.auth_data)?;
    if !hello.user.is_empty() && hello.user != first.user {
        return Err(NotProved.into());
    }
    let user = first.user.clone();
    let found = shared.gatekeeper.provable(&user).await.map_err(Failed::Denied)?;
    let challenge = challenge(first, &user, found.as_ref())?;
    wire::auth(&mut socket.write, 0x18, scram::METHOD, &challenge.text);
    let said = hear(socket, shared).await.map_err(Failed::Gone)?;
    let keys = found.as_ref().map_or(&[][..], |found| &found.keys);
    let (place, last_words) = challenge.check(&said, keys.iter().map(|(_, verifier)| verifier))?;
    let found = found.ok_or(NotProved)?;
    let credential = found.keys[place].0.clone();
    let admission = Admission { entry: found.entry, credential };
    Ok(Known::Client { admission, last_words: Some(last_words) })
}

/// The challenge for this name; nobody's looks like everybody's.
pub(super) fn challenge(
    first: ClientFirst,
    user: &str,
    found: Option<&Provable>,
) -> Result<scram::Challenge, NotProved> {
    let nobody = Verifier::of_nobody(user);
    let verifier = found.and_then(|found| found.keys.first()).map_or(&nobody, |(_, it)| it);
    let ours = secret::token().map_err(|_| NotProved)?;
    Ok(first.challenge(&ours, &verifier.salt, verifier.iterations))
}

/// The client's next AUTH, which must go on with the exchange.
async fn hear<S>(socket: &mut Socket<S>, shared: &Shared) -> Result<bytes::Bytes, TurnedAway>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let bad = |bad: Bad| TurnedAway::silently(bad.as_str());
    if std::future::poll_fn(|cx| socket.poll_drain(cx)).await.is_err() {
        return Err(TurnedAway::silently("broken"));
    }
    loop {
        if let Some(header) = peek(&socket.read, shared.config.packet_bytes_max).map_err(bad)?
            && header.total() <= socket.read.len()
        {
            let frame = socket.read.split_to(header.total()).freeze();
            return match wire::read(Version::V5, header, &frame).map_err(bad)? {
                Packet::Auth(auth)
                    if auth.code == 0x18 && auth.method.as_deref() == Some(scram::METHOD) =>
                {
                    Ok(auth.data)
                }
                _ => Err(TurnedAway {
                    outcome: "bad_auth",
                    answer: Some((Version::V5, Refused::Protocol, "an AUTH was to come")),
                }),
            };
        }
        match socket.fill().await {
            Ok(0) => return Err(TurnedAway::silently("closed")),
            Ok(_) => (),
            Err(_) => return Err(TurnedAway::silently("broken")),
        }
    }
}
