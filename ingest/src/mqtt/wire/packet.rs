//! What a client sends after CONNECT. PUBLISH borrows from its frame, because it is nearly all of the traffic.

use std::borrow::Cow;

use bytes::Bytes;

use super::fields::Fields;
use super::frame::{self, Header};
use super::properties::{self, Place, walk};
use super::{Bad, Version, code};
use crate::mqtt::topic;

/// A packet from a client that is logged in.
#[derive(Debug)]
pub(in crate::mqtt) enum Packet<'a> {
    Publish(Publish<'a>),
    PubAck(Answer),
    PubRec(Answer),
    PubRel(Answer),
    PubComp(Answer),
    Subscribe(Subscribe),
    Unsubscribe { id: u16, filters: Vec<String> },
    Ping,
    Disconnect { keep_will: bool, session_expiry_s: Option<u32> },
    Auth(Auth),
}

/// A message on its way in. Its topic has been checked; its properties may be passed on as they are.
#[derive(Debug)]
pub(in crate::mqtt) struct Publish<'a> {
    /// Empty only where an alias stands for it.
    pub(in crate::mqtt) topic: &'a str,
    pub(in crate::mqtt) alias: Option<u16>,
    pub(in crate::mqtt) payload: Bytes,
    pub(in crate::mqtt) properties: Cow<'a, [u8]>,
    /// Seconds until it is worth nothing.
    pub(in crate::mqtt) expiry_s: Option<u32>,
    /// Its sender says that the payload is UTF-8.
    pub(in crate::mqtt) is_text: bool,
    /// What its sender says that the payload is.
    pub(in crate::mqtt) content_type: Option<&'a str>,
    /// 0, 1 or 2.
    pub(in crate::mqtt) qos: u8,
    pub(in crate::mqtt) retain: bool,
    /// Not 0 when QoS is 1 or 2.
    pub(in crate::mqtt) id: u16,
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) struct Answer {
    pub(in crate::mqtt) id: u16,
    /// The reason code: 0 before MQTT 5.
    pub(in crate::mqtt) code: u8,
}

/// SUBSCRIBE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mqtt) struct Subscribe {
    pub(in crate::mqtt) id: u16,
    pub(in crate::mqtt) filters: Vec<Filter>,
}

/// One line of a SUBSCRIBE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mqtt) struct Filter {
    pub(in crate::mqtt) path: String,
    pub(in crate::mqtt) options: Options,
    pub(in crate::mqtt) retained: RetainHandling,
}

/// How a subscription is served, for as long as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) struct Options {
    pub(in crate::mqtt) qos: u8,
    /// Whether what the subscriber itself publishes stays away from it.
    pub(in crate::mqtt) no_local: bool,
    /// Whether the retain flag stays as it was published.
    pub(in crate::mqtt) keep_retain: bool,
    /// The subscription identifier that goes with every message; 0 for none.
    pub(in crate::mqtt) id: u32,
}

/// Whether a subscription is answered with the retained messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) enum RetainHandling {
    Always,
    WhenNew,
    Never,
}

/// AUTH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mqtt) struct Auth {
    /// 0x18 to go on, 0x19 to begin again.
    pub(in crate::mqtt) code: u8,
    pub(in crate::mqtt) method: Option<String>,
    pub(in crate::mqtt) data: Bytes,
}

/// Reads one whole frame.
pub(in crate::mqtt) fn read(
    version: Version,
    header: Header,
    frame: &Bytes,
) -> Result<Packet<'_>, Bad> {
    let fields = Fields::new(frame.get(header.head..).unwrap_or_default());
    match header.kind() {
        frame::PUBLISH => publish(version, header, frame).map(Packet::Publish),
        frame::PUBACK => answer(version, fields, code::is_of_puback).map(Packet::PubAck),
        frame::PUBREC => answer(version, fields, code::is_of_puback).map(Packet::PubRec),
        frame::PUBREL => answer(version, fields, code::is_of_pubrel).map(Packet::PubRel),
        frame::PUBCOMP => answer(version, fields, code::is_of_pubrel).map(Packet::PubComp),
        frame::SUBSCRIBE => subscribe(version, fields).map(Packet::Subscribe),
        frame::UNSUBSCRIBE => unsubscribe(version, fields),
        frame::PINGREQ if header.body == 0 => Ok(Packet::Ping),
        frame::PINGREQ => Err(Bad::Malformed("PINGREQ with a body")),
        frame::DISCONNECT => disconnect(version, fields),
        frame::AUTH if version == Version::V5 => auth(fields, frame).map(Packet::Auth),
        frame::AUTH => Err(Bad::Malformed("AUTH is not of this version")),
        _ => Err(Bad::Protocol("a second CONNECT")),
    }
}

fn publish(version: Version, header: Header, frame: &Bytes) -> Result<Publish<'_>, Bad> {
    let flags = header.flags();
    let qos = (flags >> 1) & 3;
    match qos {
        0 if flags & 8 != 0 => return Err(Bad::Malformed("DUP without QoS")),
        3 => return Err(Bad::Malformed("QoS 3")),
        _ => (),
    }
    let mut fields = Fields::new(&frame[header.head..]);
    let name = fields.wide_text()?;
    let id = if qos == 0 { 0 } else { fields.packet_id()? };
    let (mut alias, mut expiry_s, mut is_text, mut content_type) = (None, None, false, None);
    let mut properties = Cow::Borrowed(&[][..]);
    if version == Version::V5 {
        let (section, used) = walk(fields.rest(), Place::Publish, |id, value| {
            match id {
                properties::TOPIC_ALIAS if value.number == 0 => return Err(Bad::TopicAlias),
                properties::TOPIC_ALIAS => alias = u16::try_from(value.number).ok(),
                properties::MESSAGE_EXPIRY => expiry_s = Some(value.number),
                properties::PAYLOAD_FORMAT => is_text = value.number == 1,
                properties::CONTENT_TYPE => content_type = Some(value.text()),
                _ => (),
            }
            Ok(())
        })?;
        properties = match (alias, expiry_s) {
            (None, None) => Cow::Borrowed(section),
            _ => Cow::Owned(properties::passed_on(section).into()),
        };
        fields.skip(used)?;
    }
    if name.is_empty() && version == Version::V5 {
        if alias.is_none() {
            return Err(Bad::Protocol("neither a topic nor an alias for it"));
        }
    } else if !topic::is_name(name) {
        return Err(Bad::TopicInvalid);
    }
    let payload = frame.slice(frame.len() - fields.rest().len()..);
    let retain = flags & 1 != 0;
    let topic = name;
    Ok(Publish {
        topic,
        alias,
        payload,
        properties,
        expiry_s,
        is_text,
        content_type,
        qos,
        retain,
        id,
    })
}

/// PUBACK and its kin: from MQTT 5 on a reason code and properties may follow, and both may be left out.
fn answer(version: Version, mut fields: Fields<'_>, known: fn(u8) -> bool) -> Result<Answer, Bad> {
    let id = fields.packet_id()?;
    let mut code = code::SUCCESS;
    if version == Version::V5 && !fields.is_empty() {
        code = fields.byte()?;
        if !known(code) {
            return Err(Bad::Malformed("reason code is not one of this packet's"));
        }
        if !fields.is_empty() {
            let (_, used) = walk(fields.rest(), Place::Ack, |_, _| Ok(()))?;
            fields.skip(used)?;
        }
    }
    fields.end()?;
    Ok(Answer { id, code })
}

fn subscribe(version: Version, mut fields: Fields<'_>) -> Result<Subscribe, Bad> {
    let id = fields.packet_id()?;
    let mut subscription_id = 0;
    if version == Version::V5 {
        let (_, used) = walk(fields.rest(), Place::Subscribe, |id, value| {
            if id == properties::SUBSCRIPTION_ID {
                subscription_id = value.number;
            }
            Ok(())
        })?;
        fields.skip(used)?;
    }
    let mut filters = Vec::new();
    while !fields.is_empty() {
        let path = fields.text()?.to_owned();
        let (mut options, retained) = match version {
            Version::V4 => v4_options(fields.byte()?)?,
            Version::V5 => v5_options(fields.byte()?)?,
        };
        options.id = subscription_id;
        filters.push(Filter { path, options, retained });
    }
    if filters.is_empty() {
        return Err(Bad::Protocol("SUBSCRIBE without a filter"));
    }
    Ok(Subscribe { id, filters })
}

fn v4_options(byte: u8) -> Result<(Options, RetainHandling), Bad> {
    if 2 < byte {
        return Err(Bad::Malformed("requested QoS is not 0, 1 or 2"));
    }
    let options = Options { qos: byte, no_local: false, keep_retain: false, id: 0 };
    Ok((options, RetainHandling::Always))
}

fn v5_options(byte: u8) -> Result<(Options, RetainHandling), Bad> {
    if byte & 0xC0 != 0 {
        return Err(Bad::Malformed("reserved subscription options are set"));
    }
    if byte & 3 == 3 {
        return Err(Bad::Protocol("requested QoS 3"));
    }
    let retained = match (byte >> 4) & 3 {
        0 => RetainHandling::Always,
        1 => RetainHandling::WhenNew,
        2 => RetainHandling::Never,
        _ => return Err(Bad::Protocol("retain handling 3")),
    };
    let (no_local, keep_retain) = (byte & 4 != 0, byte & 8 != 0);
    Ok((Options { qos: byte & 3, no_local, keep_retain, id: 0 }, retained))
}

fn unsubscribe(version: Version, mut fields: Fields<'_>) -> Result<Packet<'static>, Bad> {
    let id = fields.packet_id()?;
    if version == Version::V5 {
        let (_, used) = walk(fields.rest(), Place::Unsubscribe, |_, _| Ok(()))?;
        fields.skip(used)?;
    }
    let mut filters = Vec::new();
    while !fields.is_empty() {
        filters.push(fields.text()?.to_owned());
    }
    if filters.is_empty() {
        return Err(Bad::Protocol("UNSUBSCRIBE without a filter"));
    }
    Ok(Packet::Unsubscribe { id, filters })
}

fn disconnect(version: Version, mut fields: Fields<'_>) -> Result<Packet<'static>, Bad> {
    let (mut code, mut session_expiry_s) = (code::SUCCESS, None);
    if version == Version::V5 && !fields.is_empty() {
        code = fields.byte()?;
        if !code::is_of_clients_disconnect(code) {
            return Err(Bad::Protocol("reason code is not one of a client's DISCONNECT"));
        }
        if !fields.is_empty() {
            let (_, used) = walk(fields.rest(), Place::Disconnect, |id, value| {
                if id == properties::SESSION_EXPIRY {
                    session_expiry_s = Some(value.number);
                }
                Ok(())
            })?;
            fields.skip(used)?;
        }
    }
    fields.end()?;
    // 0x00 is the one end after which nobody is told; 0x04 and every error keep the will.
    Ok(Packet::Disconnect { keep_will: code != code::SUCCESS, session_expiry_s })
}

fn auth(mut fields: Fields<'_>, frame: &Bytes) -> Result<Auth, Bad> {
    let mut auth = Auth { code: code::SUCCESS, method: None, data: Bytes::new() };
    if !fields.is_empty() {
        auth.code = fields.byte()?;
        if !code::is_of_clients_auth(auth.code) {
            return Err(Bad::Protocol("reason code is not one of a client's AUTH"));
        }
        let (_, used) = walk(fields.rest(), Place::Auth, |id, value| {
            match id {
                properties::AUTH_METHOD => auth.method = Some(value.text().to_owned()),
                properties::AUTH_DATA => auth.data = frame.slice_ref(value.content()),
                _ => (),
            }
            Ok(())
        })?;
        fields.skip(used)?;
    }
    fields.end()?;
    Ok(auth)
}
