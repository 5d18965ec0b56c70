//! A broker that nobody knows yet: what comes on its topics in a while. Nothing is acknowledged, nothing is published,
//! and no session is left behind: the broker's other clients lose nothing by it.

use std::error::Error;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, interval, timeout, timeout_at};

use super::config::{Address, Config, Login, Tls, Version};
use super::connection::ANSWER_MAX;
use super::dial::{DialError, Stream, dial};
use super::oversized::{Look, Oversized};
use super::template::Template;
use super::tls;
use super::wire::{self, Incoming, Stay};
use super::worker::DIAL_MAX;

/// The keep-alive that we ask for; a ping goes out at half of it.
const KEEP_ALIVE_S: u16 = 30;

/// The largest message that is read whole: as large as an upstream may be configured to read.
const PACKET_MAX: usize = 1 << 20;

/// Bytes that are kept in all: a thousand messages of the largest report there is, 64 KiB.
const KEPT_MAX: usize = 64 << 20;

/// Where and for how long is listened.
#[derive(Debug, Clone)]
pub struct Sounding {
    /// The broker.
    pub address: Address,
    /// How it is trusted, where it speaks TLS.
    pub tls: Option<Tls>,
    /// Who we are there.
    pub login: Option<Login>,
    /// Which MQTT is spoken.
    pub version: Version,
    /// Under which name: another than every other client's, or that one is thrown out.
    pub client_id: String,
    /// What is subscribed to.
    pub topics: Vec<Template>,
    /// For how long.
    pub long: Duration,
    /// Messages that are enough.
    pub messages: usize,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// On which topic.
    pub topic: String,
    /// Its bytes; of one that is too large the first 4 KiB.
    pub payload: Bytes,
    /// How many bytes it has.
    pub bytes: usize,
    /// Did the broker keep it from before?
    pub retained: bool,
}

/// Nothing could be heard.
#[derive(Debug, thiserror::Error)]
pub enum Unsounded {
    /// Nobody is there, or not now.
    #[error("the broker cannot be reached")]
    Away(#[source] io::Error),
    /// It took too long.
    #[error("the broker did not answer within {} s", .0.as_secs())]
    Silent(Duration),
    /// Its certificate, or ours, cannot be used.
    #[error("TLS cannot be used with this broker")]
    Untrusted(#[source] Box<dyn Error + Send + Sync>),
    /// It does not let us in.
    #[error("the broker turned us away: {0}")]
    TurnedAway(String),
    /// It is there, and has no room now.
    #[error("the broker is busy: {0}")]
    Busy(String),
    /// It does not let us hear this.
    #[error("the broker refuses the topics {0}")]
    Refused(String),
    /// It ended the connection.
    #[error("the broker hung up: {0}")]
    HungUp(String),
    /// It does not speak MQTT, or another one.
    #[error("what answers does not speak this MQTT: {0}")]
    Foreign(String),
}

impl Unsounded {
    /// Would another try, later, find something else?
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Away(_) | Self::Silent(_) | Self::Busy(_))
    }
}

impl From<DialError> for Unsounded {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Connect(error) => Self::Away(error),
            DialError::Handshake(error) if !is_of_tls(&error) => Self::Away(error),
            other => Self::Untrusted(other.into()),
        }
    }
}

/// Did the handshake fail for what was said in it, not for the path?
fn is_of_tls(error: &io::Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some()
}

/// Listens until the time is over, or enough was heard.
///
/// # Errors
/// [`Unsounded`] where the broker cannot be reached, or does not let us hear anything.
pub async fn sound(sounding: &Sounding) -> Result<Vec<Heard>, Unsounded> {
    let config = config(sounding);
    if let Some(tls) = &config.tls {
        tls::connector(tls).map_err(|error| Unsounded::Untrusted(error.into()))?;
    }
    let stream = timeout(DIAL_MAX, dial(&config)).await;
    let stream = stream.map_err(|_| Unsounded::Silent(DIAL_MAX))??;
    let mut ear = Ear {
        config,
        stream,
        read: BytesMut::new(),
        oversized: Oversized::default(),
        heard: Vec::new(),
        kept: 0,
    };
    timeout(ANSWER_MAX, ear.enter()).await.map_err(|_| Unsounded::Silent(ANSWER_MAX))??;
    let until = Instant::now() + sounding.long;
    let ended = timeout_at(until, ear.listen(sounding.messages)).await;
    let mut bye = BytesMut::new();
    wire::goodbye(&mut bye);
    // Who does not take our goodbye is left all the same.
    timeout(Duration::from_secs(1), ear.stream.write_all(&bye)).await.ok();
    match ended {
        // What was heard before counts.
        Ok(Err(_)) if !ear.heard.is_empty() => Ok(ear.heard),
        Ok(Err(error)) => Err(error),
        Ok(Ok(())) | Err(_) => Ok(ear.heard),
    }
}

fn config(sounding: &Sounding) -> Config {
    Config {
        name: "probe".to_owned(),
        address: sounding.address.clone(),
        tls: sounding.tls.clone(),
        login: sounding.login.clone(),
        version: sounding.version,
        client_id: sounding.client_id.clone(),
        share: None,
        workers: 1,
        topics: sounding.topics.clone(),
        format: None,
        packet_bytes_max: PACKET_MAX,
        session_expiry: Duration::ZERO,
        retry_max: Duration::ZERO,
    }
}

/// One connection that only listens.
struct Ear {
    config: Config,
    stream: Box<dyn Stream>,
    read: BytesMut,
    oversized: Oversized,
    heard: Vec<Heard>,
    kept: usize,
}

impl Ear {
    /// CONNECT and SUBSCRIBE, and what is said to each.
    async fn enter(&mut self) -> Result<(), Unsounded> {
        let mut write = BytesMut::new();
        let foreign = |error: wire::Malformed| Unsounded::Foreign(error.to_string());
        let id = self.config.client_id.clone();
        wire::connect(&mut write, &self.config, Stay::Passing, &id, KEEP_ALIVE_S, u16::MAX)
            .map_err(foreign)?;
        self.stream.write_all_buf(&mut write).await.map_err(Unsounded::Away)?;
        self.stream.flush().await.map_err(Unsounded::Away)?;
        match self.next().await? {
            Incoming::Welcome { .. } => (),
            Incoming::TurnedAway(why) => return Err(turned_away(why)),
            other => {
                return Err(Unsounded::Foreign(format!("instead of CONNACK it sent {other:?}")));
            }
        }
        wire::subscribe(&mut write, &self.config, Stay::Passing).map_err(foreign)?;
        self.stream.write_all_buf(&mut write).await.map_err(Unsounded::Away)?;
        self.stream.flush().await.map_err(Unsounded::Away)?;
        loop {
            match self.next().await? {
                // What is retained may come before the answer.
                Incoming::Message(message) => self.keep(message, None),
                Incoming::Subscribed { refused } if refused.is_empty() => return Ok(()),
                Incoming::Subscribed { refused } => {
                    let topics = &self.config.topics;
                    let names = refused.iter().filter_map(|&at| topics.get(at));
                    let names: Vec<_> = names.map(|topic| topic.filter().to_owned()).collect();
                    return Err(Unsounded::Refused(names.join(", ")));
                }
                Incoming::Alive => (),
                Incoming::Goodbye(why) => return Err(Unsounded::HungUp(why)),
                other => {
                    return Err(Unsounded::Foreign(format!("instead of SUBACK it sent {other:?}")));
                }
            }
        }
    }

    async fn listen(&mut self, enough: usize) -> Result<(), Unsounded> {
        let mut beat = interval(Duration::from_secs(u64::from(KEEP_ALIVE_S) / 2));
        beat.tick().await;
        while self.heard.len() < enough && self.kept < KEPT_MAX {
            tokio::select! {
                packet = self.next() => match packet? {
                    Incoming::Message(message) => self.keep(message, None),
                    Incoming::Goodbye(why) => return Err(Unsounded::HungUp(why)),
                    Incoming::Alive => (),
                    other => return Err(Unsounded::Foreign(format!("it sent {other:?}"))),
                },
                _ = beat.tick() => {
                    let mut ping = BytesMut::new();
                    wire::ping(&mut ping);
                    self.stream.write_all(&ping).await.map_err(Unsounded::Away)?;
                }
            }
        }
        Ok(())
    }

    /// The next packet; of messages that are too large only the beginning. May be dropped and asked again.
    async fn next(&mut self) -> Result<Incoming, Unsounded> {
        let (version, most) = (self.config.version, self.config.packet_bytes_max);
        loop {
            match self.oversized.look(&mut self.read, version, most) {
                Look::Waiting => (),
                Look::Hopeless => {
                    return Err(Unsounded::Foreign("a packet that is too large".to_owned()));
                }
                Look::Gone(message, bytes) => self.keep(message, Some(bytes)),
                Look::Ordinary => {
                    let packet = wire::read(&mut self.read, version, most);
                    if let Some(packet) =
                        packet.map_err(|error| Unsounded::Foreign(error.to_string()))?
                    {
                        return Ok(packet);
                    }
                }
            }
            match self.stream.read_buf(&mut self.read).await {
                Ok(0) => return Err(Unsounded::HungUp("it closed the connection".to_owned())),
                Ok(_) => (),
                Err(error) => return Err(Unsounded::Away(error)),
            }
        }
    }

    fn keep(&mut self, message: wire::Message, bytes: Option<usize>) {
        let wire::Message { topic, payload, retained, .. } = message;
        self.kept += topic.len() + payload.len();
        let bytes = bytes.unwrap_or(payload.len());
        self.heard.push(Heard { topic, payload, bytes, retained });
    }
}

/// A refusal that another try may not get: both versions call it the same.
fn turned_away(why: String) -> Unsounded {
    let busy = ["ServiceUnavailable", "ServerUnavailable", "ServerBusy", "ConnectionRateExceeded"];
    match busy.iter().any(|word| why.starts_with(word)) {
        true => Unsounded::Busy(why),
        false => Unsounded::TurnedAway(why),
    }
}
