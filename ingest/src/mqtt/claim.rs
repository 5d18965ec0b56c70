//! Somebody with a claim code, until they have the station's key. A counter of its own, apart from the broker: there is
//! one topic to ask on, one to be answered on, and the key passes nobody else's subscription.
//!
//! ```text
//! CONNECT    user name = the station's code, password = the claim code
//! SUBSCRIBE  claim/{station}/key
//! PUBLISH    claim/{station}        any payload; the code is used up now
//! ◀ PUBLISH  claim/{station}/key    {"code": "…", "key": "…"}
//! ```

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::counters;
use super::door::Shared;
use super::socket::Socket;
use super::wire::{self, Answering, Bad, Outgoing, Packet, Subscribe, Version, Welcome, code};

/// From the welcome to the goodbye: an exchange of four packets, over a modem that loses half of them.
const COUNTER_OPEN: Duration = Duration::from_secs(60);

/// Who stands at the counter.
pub(super) struct Claimant {
    pub(super) station: String,
    pub(super) code: String,
    pub(super) version: Version,
    pub(super) welcome: Welcome,
}

/// How a visit ended: the counter's label.
enum Left {
    Goodbye,
    Closed,
    Refused(Bad),
    Unavailable,
    Late,
}

/// Serves one claimant to the end.
pub(super) async fn serve<S>(mut socket: Socket<S>, claimant: Claimant, shared: &Shared)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    wire::connack(&mut socket.write, claimant.version, Ok(&claimant.welcome));
    let Claimant { station, version, .. } = &claimant;
    let visit = Counter { claimant: &claimant, subscribed: false }.visit(&mut socket, shared);
    let left = timeout(COUNTER_OPEN, visit).await.unwrap_or(Left::Late);
    let (reason, bad) = match left {
        Left::Goodbye => ("claim_goodbye", None),
        Left::Closed => ("claim_closed", None),
        Left::Late => ("claim_late", None),
        Left::Unavailable => ("claim_unavailable", None),
        Left::Refused(bad) => (bad.as_str(), Some(bad)),
    };
    counters::closed(reason);
    tracing::info!(station, reason, "a claimant left");
    if let (Some(bad), Version::V5) = (bad, version) {
        wire::disconnect(&mut socket.write, bad.code(), &bad.to_string());
    }
    socket.close_on_talker(shared.config.end_deadline).await;
}

struct Counter<'a> {
    claimant: &'a Claimant,
    subscribed: bool,
}

impl Counter<'_> {
    async fn visit<S>(mut self, socket: &mut Socket<S>, shared: &Shared) -> Left
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            if std::future::poll_fn(|cx| socket.poll_drain(cx)).await.is_err() {
                return Left::Closed;
            }
            let whole = match wire::peek(&socket.read, shared.config.packet_bytes_max) {
                Ok(header) => header.filter(|header| header.total() <= socket.read.len()),
                Err(bad) => return Left::Refused(bad),
            };
            let Some(header) = whole else {
                match socket.fill().await {
                    Ok(1..) => continue,
                    Ok(0) | Err(_) => return Left::Closed,
                }
            };
            let frame = socket.read.split_to(header.total()).freeze();
            match wire::read(self.claimant.version, header, &frame) {
                Ok(packet) => {
                    if let Err(left) = self.handle(packet, socket, shared).await {
                        return left;
                    }
                }
                Err(bad) => return Left::Refused(bad),
            }
        }
    }

    async fn handle<S>(
        &mut self,
        packet: Packet<'_>,
        socket: &mut Socket<S>,
        shared: &Shared,
    ) -> Result<(), Left> {
        match packet {
            Packet::Subscribe(subscribe) => self.subscribe(&subscribe, socket),
            Packet::Publish(publish) if publish.qos == 2 => {
                return Err(Left::Refused(Bad::Protocol("a claim is made with QoS 0 or 1")));
            }
            Packet::Publish(publish) => {
                let answer = self.publish(publish.topic, shared).await?;
                if publish.qos == 1 {
                    let (kind, version) = (Answering::Ack, self.claimant.version);
                    wire::answer(&mut socket.write, version, kind, publish.id, answer.said);
                }
                if let Some(key) = answer.key {
                    self.hand_over(&key, socket);
                }
            }
            Packet::Ping => wire::pingresp(&mut socket.write),
            Packet::PubAck(_) => (),
            Packet::Disconnect { .. } => return Err(Left::Goodbye),
            _ => return Err(Left::Refused(Bad::Protocol("a claimant may only claim"))),
        }
        Ok(())
    }

    fn subscribe<S>(&mut self, subscribe: &Subscribe, socket: &mut Socket<S>) {
        let mine = self.reply_topic();
        let answer = |filter: &wire::Filter| match filter.path == mine {
            true => filter.options.qos.min(1),
            false => code::NOT_AUTHORIZED,
        };
        let answers: Vec<u8> = subscribe.filters.iter().map(answer).collect();
        self.subscribed |= answers.iter().any(|&answer| answer < code::UNSPECIFIED);
        wire::suback(&mut socket.write, self.claimant.version, subscribe.id, &answers);
    }

    async fn publish(&self, topic: &str, shared: &Shared) -> Result<Answer, Left> {
        let refused = |why| Answer { said: (code::NOT_AUTHORIZED, why), key: None };
        if topic.strip_prefix("claim/") != Some(&self.claimant.station) {
            counters::refused("foreign_topic");
            return Ok(refused("a claimant publishes on claim/ and its station only"));
        }
        if !self.subscribed {
            // Nothing is used up for somebody who would not hear the answer.
            return Ok(refused("subscribe to the answer first"));
        }
        match shared.gatekeeper.claim(&self.claimant.code).await {
            Ok(Some(key)) => {
                tracing::info!(station = self.claimant.station, "claimed");
                Ok(Answer { said: (code::SUCCESS, ""), key: Some(key.reveal().to_owned()) })
            }
            Ok(None) => Ok(refused("the claim code was used, or its time is over")),
            Err(_) => Err(Left::Unavailable),
        }
    }

    fn hand_over<S>(&self, key: &str, socket: &mut Socket<S>) {
        let said = serde_json::json!({ "code": self.claimant.station, "key": key }).to_string();
        let topic = self.reply_topic();
        let (payload, qos, id) = (said.as_bytes(), 1, 1);
        let message = Outgoing { topic: &topic, payload, qos, id, ..Outgoing::default() };
        wire::publish(&mut socket.write, self.claimant.version, message);
    }

    fn reply_topic(&self) -> String {
        format!("claim/{}/key", self.claimant.station)
    }
}

struct Answer {
    said: (u8, &'static str),
    key: Option<String>,
}
