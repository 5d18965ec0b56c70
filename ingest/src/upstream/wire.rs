//! Both versions of MQTT in one vocabulary, client side, with rumqttc's codec. Only what a consumer needs: we ask for
//! QoS 1, so nothing comes with QoS 2, and we offer no topic aliases, so every topic is spelled out.

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::{self as bytes4, v4};
use rumqttc::v5::mqttbytes::{self as bytes5, v5};

use crate::formats::sparkplug::Ask;

use super::config::{Config, Version};
use super::frame::{Header, header};

/// The id of our one SUBSCRIBE.
const SUBSCRIBE_ID: u16 = 1;

/// What a broker says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Incoming {
    /// We are in.
    Welcome {
        /// Has the broker kept what it had for us?
        session_present: bool,
        /// The keep-alive that the broker wants instead of ours.
        keep_alive_s: Option<u16>,
    },
    /// We are not, and why.
    TurnedAway(String),
    /// The answer to our filters: which of them are refused.
    Subscribed { refused: Vec<usize> },
    /// A message.
    Message(Message),
    /// A sign of life.
    Alive,
    /// The broker hangs up, and why.
    Goodbye(String),
    /// What a broker must not send to us.
    Unasked(&'static str),
}

/// A message as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    /// The id to acknowledge; none with QoS 0.
    pub(super) id: Option<u16>,
    /// Was it kept by the broker from before we subscribed?
    pub(super) retained: bool,
}

/// Bytes that are not MQTT.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed packet: {0}")]
pub(super) struct Malformed(String);

fn malformed(error: impl std::fmt::Display) -> Malformed {
    Malformed(error.to_string())
}

/// Does the broker keep anything for us?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stay {
    /// While we are away, and until we acknowledge it: a session that outlives the connection, QoS 1.
    Kept,
    /// Nothing: a session that ends with its connection, QoS 0.
    Passing,
}

/// CONNECT, under a fixed client id.
pub(super) fn connect(
    to: &mut BytesMut,
    config: &Config,
    stay: Stay,
    client_id: &str,
    keep_alive_s: u16,
    receive_max: u16,
) -> Result<(), Malformed> {
    let login = config.login.as_ref();
    match config.version {
        Version::V311 => {
            let mut connect = v4::Connect::new(client_id);
            connect.keep_alive = keep_alive_s;
            connect.clean_session = stay == Stay::Passing;
            connect.login = login.map(|it| v4::Login::new(&it.user, &it.password));
            connect.write(to).map_err(malformed)?;
        }
        Version::V5 => {
            let mut properties = v5::ConnectProperties::new();
            let expiry_s = match stay {
                Stay::Kept => config.session_expiry.as_secs(),
                Stay::Passing => 0,
            };
            properties.session_expiry_interval = Some(u32::try_from(expiry_s).unwrap_or(u32::MAX));
            properties.receive_maximum = Some(receive_max);
            properties.max_packet_size = u32::try_from(config.packet_bytes_max).ok();
            let connect = v5::Connect {
                keep_alive: keep_alive_s,
                client_id: client_id.to_owned(),
                clean_start: stay == Stay::Passing,
                properties: Some(properties),
            };
            let login = login.map(|it| v5::Login::new(&it.user, &it.password));
            connect.write(&None, &login, to).map_err(malformed)?;
        }
    }
    Ok(())
}

/// SUBSCRIBE to every topic, in the group where there is one.
pub(super) fn subscribe(to: &mut BytesMut, config: &Config, stay: Stay) -> Result<(), Malformed> {
    let path = |template: &super::Template| match &config.share {
        Some(group) => format!("$share/{group}/{}", template.filter()),
        None => template.filter().to_owned(),
    };
    let paths = config.topics.iter().map(path);
    match config.version {
        Version::V311 => {
            let qos = match stay {
                Stay::Kept => bytes4::QoS::AtLeastOnce,
                Stay::Passing => bytes4::QoS::AtMostOnce,
            };
            let filter = |path| v4::SubscribeFilter::new(path, qos);
            let mut subscribe = v4::Subscribe::new_many(paths.map(filter));
            subscribe.pkid = SUBSCRIBE_ID;
            subscribe.write(to).map_err(malformed)?;
        }
        Version::V5 => {
            let qos = match stay {
                Stay::Kept => bytes5::QoS::AtLeastOnce,
                Stay::Passing => bytes5::QoS::AtMostOnce,
            };
            let filter = |path: String| {
                let mut filter = v5::Filter::new(path, qos);
                // What is retained was told when the session began; a shared subscription never gets it.
                filter.retain_forward_rule = v5::RetainForwardRule::OnNewSubscribe;
                filter
            };
            let mut subscribe = v5::Subscribe::new_many(paths.map(filter), None);
            subscribe.pkid = SUBSCRIBE_ID;
            subscribe.write(to).map_err(malformed)?;
        }
    }
    Ok(())
}

/// PUBACK: the same four bytes in both versions. A refused message is acknowledged like a stored one: its bytes are
/// with the dead letters, and a broker can do nothing with our reason.
pub(super) fn puback(to: &mut BytesMut, id: u16) {
    let [high, low] = id.to_be_bytes();
    to.extend_from_slice(&[0x40, 0x02, high, low]);
}

/// PUBLISH with QoS 0, which nobody answers: what is asked for is asked for again.
pub(super) fn publish(to: &mut BytesMut, version: Version, ask: &Ask) {
    let body = 2 + ask.topic.len() + usize::from(version == Version::V5) + ask.payload.len();
    to.extend_from_slice(&[0x30]);
    let mut left = body;
    loop {
        let more = if left < 0x80 { 0 } else { 0x80 };
        to.extend_from_slice(&[(left & 0x7F) as u8 | more]);
        left >>= 7;
        if left == 0 {
            break;
        }
    }
    let length =
        u16::try_from(ask.topic.len()).expect("it answers a topic of 65,535 bytes or less");
    to.extend_from_slice(&length.to_be_bytes());
    to.extend_from_slice(ask.topic.as_bytes());
    if version == Version::V5 {
        to.extend_from_slice(&[0]);
    }
    to.extend_from_slice(&ask.payload);
}

/// PINGREQ.
pub(super) fn ping(to: &mut BytesMut) {
    to.extend_from_slice(&[0xC0, 0x00]);
}

/// DISCONNECT that keeps the session.
pub(super) fn goodbye(to: &mut BytesMut) {
    to.extend_from_slice(&[0xE0, 0x00]);
}

/// The next whole packet, if it is there. Larger ones than `bytes_max` were taken out before.
pub(super) fn read(
    from: &mut BytesMut,
    version: Version,
    bytes_max: usize,
) -> Result<Option<Incoming>, Malformed> {
    // The codec also says that bytes are missing where a whole packet is too short for what it claims to hold.
    match header(from) {
        Header::Torn => return Ok(None),
        Header::Whole { head, body } if from.len() < head + body => return Ok(None),
        Header::Whole { .. } | Header::Bad => (),
    }
    match version {
        Version::V311 => match v4::Packet::read(from, bytes_max) {
            Ok(packet) => Ok(Some(said_by_v4(packet))),
            Err(error) => Err(malformed(error)),
        },
        Version::V5 => match v5::Packet::read(from, u32::try_from(bytes_max).ok()) {
            Ok(packet) => said_by_v5(packet).map(Some),
            // The codec does not know that a DISCONNECT may be empty.
            Err(bytes5::Error::PayloadRequired) => {
                Ok(Some(Incoming::Goodbye("no reason given".to_owned())))
            }
            Err(error) => Err(malformed(error)),
        },
    }
}

fn said_by_v4(packet: v4::Packet) -> Incoming {
    match packet {
        v4::Packet::ConnAck(ack) if ack.code == v4::ConnectReturnCode::Success => {
            Incoming::Welcome { session_present: ack.session_present, keep_alive_s: None }
        }
        v4::Packet::ConnAck(ack) => Incoming::TurnedAway(format!("{:?}", ack.code)),
        v4::Packet::SubAck(ack) => {
            let failed = |code: &v4::SubscribeReasonCode| *code == v4::SubscribeReasonCode::Failure;
            Incoming::Subscribed { refused: places(&ack.return_codes, failed) }
        }
        v4::Packet::Publish(publish) => match publish.qos {
            bytes4::QoS::ExactlyOnce => Incoming::Unasked("a message with QoS 2"),
            qos => Incoming::Message(Message {
                topic: publish.topic,
                payload: publish.payload,
                id: (qos == bytes4::QoS::AtLeastOnce).then_some(publish.pkid),
                retained: publish.retain,
            }),
        },
        v4::Packet::PingResp => Incoming::Alive,
        _ => Incoming::Unasked("a packet that is not a broker's"),
    }
}

fn said_by_v5(packet: v5::Packet) -> Result<Incoming, Malformed> {
    Ok(match packet {
        v5::Packet::ConnAck(ack) if ack.code == v5::ConnectReturnCode::Success => {
            Incoming::Welcome {
                session_present: ack.session_present,
                keep_alive_s: ack.properties.and_then(|it| it.server_keep_alive),
            }
        }
        v5::Packet::ConnAck(ack) => {
            let why = ack.properties.and_then(|it| it.reason_string).unwrap_or_default();
            Incoming::TurnedAway(format!("{:?} {why}", ack.code).trim_end().to_owned())
        }
        v5::Packet::SubAck(ack) => {
            let failed = |code: &v5::SubscribeReasonCode| {
                !matches!(code, v5::SubscribeReasonCode::Success(_))
            };
            Incoming::Subscribed { refused: places(&ack.return_codes, failed) }
        }
        v5::Packet::Publish(publish) => match publish.qos {
            bytes5::QoS::ExactlyOnce => Incoming::Unasked("a message with QoS 2"),
            _ if publish.topic.is_empty() => Incoming::Unasked("a topic alias"),
            qos => Incoming::Message(Message {
                topic: std::str::from_utf8(&publish.topic).map_err(malformed)?.to_owned(),
                payload: publish.payload,
                id: (qos == bytes5::QoS::AtLeastOnce).then_some(publish.pkid),
                retained: publish.retain,
            }),
        },
        v5::Packet::PingResp(_) => Incoming::Alive,
        v5::Packet::Disconnect(bye) => {
            let why = bye.properties.and_then(|it| it.reason_string).unwrap_or_default();
            Incoming::Goodbye(format!("{:?} {why}", bye.reason_code).trim_end().to_owned())
        }
        _ => Incoming::Unasked("a packet that is not a broker's"),
    })
}

fn places<T>(all: &[T], wanted: impl Fn(&T) -> bool) -> Vec<usize> {
    all.iter().enumerate().filter(|(_, it)| wanted(it)).map(|(at, _)| at).collect()
}
