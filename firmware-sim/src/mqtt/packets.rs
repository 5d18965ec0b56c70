//! Both versions of MQTT behind one small vocabulary: what a station sends and what it can be told.

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::{QoS as QoS4, v4};
use rumqttc::v5::mqttbytes::{QoS as QoS5, v5};

/// The largest packet that a station reads: commands of 4 kB and a configuration of 8 kB are the largest that come.
const READ_BYTES_MAX: u32 = 64 * 1024;

/// Which MQTT a station speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// MQTT 3.1.1.
    V311,
    /// MQTT 5.
    V5,
}

/// What the engine remembers of a station between two connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session {
    /// Nothing.
    Fresh,
    /// Its subscriptions and the commands that came meanwhile, for 14 days.
    Kept,
}

/// How long a kept session is kept: as long as a station's own log.
const SESSION_S: u32 = 14 * 86_400;

/// What a station can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// The door opened; so many packets may be under way at once.
    Welcome {
        /// The engine's receive maximum.
        window: u16,
    },
    /// The door stays shut, and why.
    Turned(String),
    /// The packet is safe.
    Acked(u16),
    /// The packet will never be accepted, and why.
    Refused(u16, String),
    /// The packet may be sent again later.
    Later(u16),
    /// The engine hangs up, and why.
    Goodbye(String),
    /// A message on a topic of the station's own.
    Message {
        /// The whole topic.
        topic: String,
        /// Its bytes.
        payload: Bytes,
        /// To be acknowledged with, where it asks for that.
        pkid: Option<u16>,
    },
    /// A sign of life.
    Alive,
}

/// A packet that cannot be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed mqtt packet: {0}")]
pub struct Malformed(pub String);

impl Version {
    /// CONNECT of a station, whose will says that it is offline.
    pub(super) fn connect(
        self,
        code: &str,
        key: Option<&str>,
        keep_alive_s: u16,
        session: Session,
        out: &mut BytesMut,
    ) -> Result<(), Malformed> {
        let fresh = session == Session::Fresh;
        let will_topic = format!("stations/{code}/state");
        let written = match self {
            Self::V311 => {
                let mut connect = v4::Connect::new(code);
                (connect.keep_alive, connect.clean_session) = (keep_alive_s, fresh);
                connect.last_will =
                    Some(v4::LastWill::new(will_topic, "offline", QoS4::AtLeastOnce, true));
                connect.login = key.map(|key| v4::Login::new(code, key));
                connect.write(out).map_err(malformed)
            }
            Self::V5 => {
                let mut kept = v5::ConnectProperties::new();
                kept.session_expiry_interval = Some(SESSION_S);
                let connect = v5::Connect {
                    keep_alive: keep_alive_s,
                    client_id: code.to_owned(),
                    clean_start: fresh,
                    properties: (!fresh).then_some(kept),
                };
                let will = v5::LastWill::new(will_topic, "offline", QoS5::AtLeastOnce, true, None);
                let login = key.map(|key| v5::Login::new(code, key));
                connect.write(&Some(will), &login, out).map_err(malformed)
            }
        };
        written.map(drop)
    }

    /// PUBLISH with QoS 1.
    pub(super) fn publish(
        self,
        topic: &str,
        payload: Bytes,
        pkid: u16,
        retain: bool,
        out: &mut BytesMut,
    ) -> Result<(), Malformed> {
        let written = match self {
            Self::V311 => {
                let mut publish = v4::Publish::from_bytes(topic, QoS4::AtLeastOnce, payload);
                (publish.pkid, publish.retain) = (pkid, retain);
                publish.write(out).map_err(malformed)
            }
            Self::V5 => {
                let mut publish = v5::Publish::new(topic, QoS5::AtLeastOnce, payload, None);
                (publish.pkid, publish.retain) = (pkid, retain);
                publish.write(out).map_err(malformed)
            }
        };
        written.map(drop)
    }

    /// SUBSCRIBE with QoS 1.
    pub(super) fn subscribe(
        self,
        filters: &[String],
        pkid: u16,
        out: &mut BytesMut,
    ) -> Result<(), Malformed> {
        let written = match self {
            Self::V311 => {
                let filter =
                    |path: &String| v4::SubscribeFilter::new(path.clone(), QoS4::AtLeastOnce);
                let mut subscribe = v4::Subscribe::new_many(filters.iter().map(filter));
                subscribe.pkid = pkid;
                subscribe.write(out).map_err(malformed)
            }
            Self::V5 => {
                let filter = |path: &String| v5::Filter::new(path.clone(), QoS5::AtLeastOnce);
                let mut subscribe = v5::Subscribe::new_many(filters.iter().map(filter), None);
                subscribe.pkid = pkid;
                subscribe.write(out).map_err(malformed)
            }
        };
        written.map(drop)
    }

    /// PUBACK: four bytes in both versions.
    pub(super) fn acknowledge(self, pkid: u16, out: &mut BytesMut) {
        let [high, low] = pkid.to_be_bytes();
        out.extend_from_slice(&[0x40, 0x02, high, low]);
    }

    /// PINGREQ.
    pub(super) fn ping(self, out: &mut BytesMut) {
        out.extend_from_slice(&[0xc0, 0x00]);
    }

    /// DISCONNECT without a reason: the same two bytes in both versions.
    pub(super) fn goodbye(self, out: &mut BytesMut) {
        out.extend_from_slice(&[0xe0, 0x00]);
    }

    /// The next whole packet, if it is there.
    pub(super) fn read(self, inbox: &mut BytesMut) -> Result<Option<Incoming>, Malformed> {
        match self {
            Self::V311 => match v4::Packet::read(inbox, READ_BYTES_MAX as usize) {
                Ok(packet) => Ok(Some(told_by_v4(packet))),
                Err(rumqttc::mqttbytes::Error::InsufficientBytes(_)) => Ok(None),
                Err(error) => Err(malformed(error)),
            },
            Self::V5 => match v5::Packet::read(inbox, Some(READ_BYTES_MAX)) {
                Ok(packet) => Ok(Some(told_by_v5(packet))),
                Err(rumqttc::v5::mqttbytes::Error::InsufficientBytes(_)) => Ok(None),
                // The codec does not know that a DISCONNECT may be empty.
                Err(rumqttc::v5::mqttbytes::Error::PayloadRequired) => {
                    Ok(Some(Incoming::Goodbye("no reason given".to_owned())))
                }
                Err(error) => Err(malformed(error)),
            },
        }
    }
}

fn malformed(error: impl std::fmt::Display) -> Malformed {
    Malformed(error.to_string())
}

fn told_by_v4(packet: v4::Packet) -> Incoming {
    match packet {
        v4::Packet::ConnAck(ack) if ack.code == v4::ConnectReturnCode::Success => {
            Incoming::Welcome { window: u16::MAX }
        }
        v4::Packet::ConnAck(ack) => Incoming::Turned(format!("{:?}", ack.code)),
        v4::Packet::PubAck(ack) => Incoming::Acked(ack.pkid),
        v4::Packet::Publish(publish) => Incoming::Message {
            pkid: (publish.qos != QoS4::AtMostOnce).then_some(publish.pkid),
            topic: publish.topic,
            payload: publish.payload,
        },
        _ => Incoming::Alive,
    }
}

fn told_by_v5(packet: v5::Packet) -> Incoming {
    use v5::PubAckReason::{NoMatchingSubscribers, QuotaExceeded, Success};
    match packet {
        v5::Packet::ConnAck(ack) if ack.code == v5::ConnectReturnCode::Success => {
            let window = ack.properties.and_then(|p| p.receive_max).unwrap_or(u16::MAX);
            Incoming::Welcome { window }
        }
        v5::Packet::ConnAck(ack) => Incoming::Turned(format!("{:?}", ack.code)),
        v5::Packet::PubAck(ack) => match ack.reason {
            Success | NoMatchingSubscribers => Incoming::Acked(ack.pkid),
            QuotaExceeded => Incoming::Later(ack.pkid),
            reason => {
                let words = ack.properties.and_then(|p| p.reason_string).unwrap_or_default();
                Incoming::Refused(ack.pkid, format!("{reason:?} {words}").trim_end().to_owned())
            }
        },
        v5::Packet::Publish(publish) => Incoming::Message {
            topic: String::from_utf8_lossy(&publish.topic).into_owned(),
            payload: publish.payload,
            pkid: (publish.qos != QoS5::AtMostOnce).then_some(publish.pkid),
        },
        v5::Packet::Disconnect(bye) => Incoming::Goodbye(format!("{:?}", bye.reason_code)),
        _ => Incoming::Alive,
    }
}
