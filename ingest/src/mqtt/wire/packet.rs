//! What a client sends after CONNECT. PUBLISH borrows from its frame; the rest is rare and goes through the kept codec.

use bytes::Bytes;
use rumqttc::mqttbytes::{FixedHeader as Fixed4, v4};
use rumqttc::v5::mqttbytes::v5;

use super::frame::{self, Header};
use super::properties::{self, Place, counted, walk};
use super::{Bad, Version};
use crate::mqtt::topic;

/// A packet from a client that is logged in.
#[derive(Debug)]
pub(in crate::mqtt) enum Packet<'a> {
    Publish(Publish<'a>),
    PubAck { id: u16 },
    Subscribe { id: u16, filters: Vec<Filter>, with_id: bool },
    Unsubscribe { id: u16, filters: Vec<String> },
    Ping,
    Disconnect { keep_will: bool, session_expiry_s: Option<u32> },
}

/// A message on its way in. Its topic has been checked; its properties may be passed on as they are.
#[derive(Debug)]
pub(in crate::mqtt) struct Publish<'a> {
    pub(in crate::mqtt) topic: &'a str,
    pub(in crate::mqtt) payload: Bytes,
    pub(in crate::mqtt) properties: &'a [u8],
    /// 0 or 1.
    pub(in crate::mqtt) qos: u8,
    pub(in crate::mqtt) retain: bool,
    /// Not 0 when QoS is 1.
    pub(in crate::mqtt) id: u16,
}

/// One line of a SUBSCRIBE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mqtt) struct Filter {
    pub(in crate::mqtt) path: String,
    pub(in crate::mqtt) qos: u8,
    /// Whether what the subscriber itself publishes comes back to it.
    pub(in crate::mqtt) no_local: bool,
    /// Whether the retain flag stays as it was published.
    pub(in crate::mqtt) keep_retain: bool,
    pub(in crate::mqtt) retained: RetainHandling,
}

/// Whether a subscription is answered with the retained messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) enum RetainHandling {
    Always,
    WhenNew,
    Never,
}

/// Reads one whole frame.
pub(in crate::mqtt) fn read(
    version: Version,
    header: Header,
    frame: &Bytes,
) -> Result<Packet<'_>, Bad> {
    match header.kind() {
        frame::PUBLISH => publish(version, header, frame).map(Packet::Publish),
        frame::PUBACK => puback(version, header, frame),
        frame::SUBSCRIBE => subscribe(version, header, frame),
        frame::UNSUBSCRIBE => unsubscribe(version, header, frame),
        frame::PINGREQ if header.body == 0 => Ok(Packet::Ping),
        frame::PINGREQ => Err(Bad::Malformed("PINGREQ with a body")),
        frame::DISCONNECT => disconnect(version, header, frame),
        frame::CONNECT => Err(Bad::Protocol("a second CONNECT")),
        frame::AUTH => Err(Bad::Protocol("AUTH was not agreed on")),
        _ => Err(Bad::Protocol("QoS 2 was not agreed on")),
    }
}

fn publish(version: Version, header: Header, frame: &Bytes) -> Result<Publish<'_>, Bad> {
    let flags = header.flags();
    let qos = (flags >> 1) & 3;
    match qos {
        0 if flags & 8 != 0 => return Err(Bad::Malformed("DUP without QoS")),
        0 | 1 => (),
        2 => return Err(Bad::QosNotSupported),
        _ => return Err(Bad::Malformed("QoS 3")),
    }
    let body = &frame[header.head..];
    let (raw, mut at) = counted(body)?;
    let name = std::str::from_utf8(raw).map_err(|_| Bad::Malformed("topic is not UTF-8"))?;
    let mut id = 0;
    if qos == 1 {
        id = packet_id(&body[at..])?;
        at += 2;
    }
    let mut passed_on: &[u8] = &[];
    if version == Version::V5 {
        let (section, used) = walk(&body[at..], Place::Publish, |id, _| match id {
            properties::TOPIC_ALIAS => Err(Bad::TopicAlias),
            _ => Ok(()),
        })?;
        passed_on = section;
        at += used;
    }
    if !topic::is_name(name) {
        return Err(Bad::TopicInvalid);
    }
    let payload = frame.slice(header.head + at..);
    Ok(Publish { topic: name, payload, properties: passed_on, qos, retain: flags & 1 != 0, id })
}

fn puback(version: Version, header: Header, frame: &Bytes) -> Result<Packet<'_>, Bad> {
    let body = &frame[header.head..];
    let id = packet_id(body)?;
    match (version, body.len()) {
        (_, 2) | (Version::V5, 3) => Ok(Packet::PubAck { id }),
        (Version::V5, _) => {
            walk(&body[3..], Place::Ack, |_, _| Ok(()))?;
            Ok(Packet::PubAck { id })
        }
        (Version::V4, _) => Err(Bad::Malformed("PUBACK with a tail")),
    }
}

fn subscribe(version: Version, header: Header, frame: &Bytes) -> Result<Packet<'_>, Bad> {
    let body = &frame[header.head..];
    let id = packet_id(body)?;
    let mut with_id = false;
    let filters = match version {
        Version::V4 => {
            let packet = v4::Subscribe::read(fixed4(header), frame.clone())?;
            packet.filters.into_iter().map(v4_filter).collect()
        }
        Version::V5 => {
            walk(&body[2..], Place::Subscribe, |id, _| {
                with_id |= id == properties::SUBSCRIPTION_ID;
                Ok(())
            })?;
            let packet = v5::Subscribe::read(fixed5(header), frame.clone())?;
            packet.filters.into_iter().map(v5_filter).collect()
        }
    };
    Ok(Packet::Subscribe { id, filters, with_id })
}

fn unsubscribe(version: Version, header: Header, frame: &Bytes) -> Result<Packet<'_>, Bad> {
    let body = &frame[header.head..];
    let id = packet_id(body)?;
    let filters = match version {
        Version::V4 => v4::Unsubscribe::read(fixed4(header), frame.clone())?.topics,
        Version::V5 => {
            walk(&body[2..], Place::Unsubscribe, |_, _| Ok(()))?;
            v5::Unsubscribe::read(fixed5(header), frame.clone())?.filters
        }
    };
    if filters.is_empty() {
        return Err(Bad::Protocol("UNSUBSCRIBE without a filter"));
    }
    Ok(Packet::Unsubscribe { id, filters })
}

/// Read here: rumqttc calls a DISCONNECT without a body an error.
fn disconnect(version: Version, header: Header, frame: &Bytes) -> Result<Packet<'_>, Bad> {
    let body = &frame[header.head..];
    let mut session_expiry_s = None;
    match (version, body.len()) {
        (_, 0) | (Version::V5, 1) => (),
        (Version::V4, _) => return Err(Bad::Malformed("DISCONNECT with a body")),
        (Version::V5, _) => {
            walk(&body[1..], Place::Disconnect, |id, number| {
                if id == properties::SESSION_EXPIRY {
                    session_expiry_s = Some(number);
                }
                Ok(())
            })?;
        }
    }
    // 0x00 is the one end after which nobody is told; 0x04 and every error keep the will.
    let keep_will = body.first().is_some_and(|&code| code != 0);
    Ok(Packet::Disconnect { keep_will, session_expiry_s })
}

fn packet_id(bytes: &[u8]) -> Result<u16, Bad> {
    let raw = bytes.first_chunk::<2>().ok_or(Bad::Malformed("no packet id"))?;
    match u16::from_be_bytes(*raw) {
        0 => Err(Bad::Malformed("packet id 0")),
        id => Ok(id),
    }
}

fn fixed4(header: Header) -> Fixed4 {
    Fixed4::new(header.first, header.head - 1, header.body)
}

fn fixed5(header: Header) -> v5::FixedHeader {
    v5::FixedHeader::new(header.first, header.head - 1, header.body)
}

fn v4_filter(filter: v4::SubscribeFilter) -> Filter {
    Filter {
        path: filter.path,
        qos: filter.qos as u8,
        no_local: false,
        keep_retain: false,
        retained: RetainHandling::Always,
    }
}

fn v5_filter(filter: v5::Filter) -> Filter {
    Filter {
        path: filter.path,
        qos: filter.qos as u8,
        no_local: filter.nolocal,
        keep_retain: filter.preserve_retain,
        retained: match filter.retain_forward_rule {
            v5::RetainForwardRule::OnEverySubscribe => RetainHandling::Always,
            v5::RetainForwardRule::OnNewSubscribe => RetainHandling::WhenNew,
            v5::RetainForwardRule::Never => RetainHandling::Never,
        },
    }
}
