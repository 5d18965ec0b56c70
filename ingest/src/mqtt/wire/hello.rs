//! CONNECT: who a client says it is and how it wants to be served.

use bytes::Bytes;

use super::fields::Fields;
use super::frame::Header;
use super::properties::{self, Place, walk};
use super::{Bad, Version};

/// A CONNECT, the same for all versions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::mqtt) struct Hello {
    pub(in crate::mqtt) version: Version,
    /// MQTT 3.1, which knows no *session present*.
    pub(in crate::mqtt) is_3_1: bool,
    pub(in crate::mqtt) client_id: String,
    pub(in crate::mqtt) clean_start: bool,
    /// Seconds; 0 means none.
    pub(in crate::mqtt) keep_alive_s: u16,
    pub(in crate::mqtt) user: String,
    pub(in crate::mqtt) password: Bytes,
    pub(in crate::mqtt) will: Option<Will>,
    /// Seconds the session outlives the connection; `u32::MAX` is for ever.
    pub(in crate::mqtt) session_expiry_s: u32,
    /// Messages with QoS 1 and 2 we may have unacknowledged at the client.
    pub(in crate::mqtt) receive_max: u16,
    /// The largest packet the client takes.
    pub(in crate::mqtt) packet_bytes_max: usize,
    /// Topic aliases we may use towards the client.
    pub(in crate::mqtt) topic_alias_max: u16,
    /// Reason strings may be sent with any packet.
    pub(in crate::mqtt) wants_reasons: bool,
    /// The client asks below which topic answers to its requests may be sent.
    pub(in crate::mqtt) wants_response_topic: bool,
    /// The method of enhanced authentication that the client asks for, and its first words.
    pub(in crate::mqtt) auth_method: Option<String>,
    pub(in crate::mqtt) auth_data: Bytes,
}

/// What is published on a client's behalf when it vanishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mqtt) struct Will {
    pub(in crate::mqtt) topic: String,
    pub(in crate::mqtt) payload: Bytes,
    pub(in crate::mqtt) qos: u8,
    pub(in crate::mqtt) retain: bool,
    /// How long we wait for the client to come back.
    pub(in crate::mqtt) delay_s: u32,
    /// Seconds from its publication until it is worth nothing.
    pub(in crate::mqtt) expiry_s: Option<u32>,
    /// The properties to pass on, as they stood in the CONNECT.
    pub(in crate::mqtt) properties: Bytes,
}

/// Why a CONNECT is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) enum BadHello {
    /// A protocol level we do not speak, and the version to say so in.
    Level(Version),
    /// It is wrong inside; MQTT 5 has an answer for that.
    Fields(Version, Bad),
    /// It is not MQTT at all: nothing is answered.
    NotMqtt(Bad),
}

/// Reads a CONNECT.
pub(in crate::mqtt) fn hello(header: Header, frame: &Bytes) -> Result<Hello, BadHello> {
    let body = frame.get(header.head..).unwrap_or_default();
    let mut fields = Fields::new(body);
    let name = fields.text().map_err(BadHello::NotMqtt)?;
    let level = fields.byte().map_err(BadHello::NotMqtt)?;
    let (version, is_3_1) = match (name, level) {
        ("MQTT", 5) => (Version::V5, false),
        ("MQTT", 4) => (Version::V4, false),
        ("MQIsdp", 3) => (Version::V4, true),
        ("MQTT", 6..) => return Err(BadHello::Level(Version::V5)),
        ("MQTT" | "MQIsdp", _) => return Err(BadHello::Level(Version::V4)),
        _ => return Err(BadHello::NotMqtt(Bad::Malformed("protocol name is not MQTT"))),
    };
    let read = |fields| rest(Hello { version, is_3_1, ..Hello::default() }, fields, frame);
    read(fields).map_err(|bad| BadHello::Fields(version, bad))
}

/// Everything after the protocol level.
fn rest(mut hello: Hello, mut fields: Fields<'_>, frame: &Bytes) -> Result<Hello, Bad> {
    let flags = fields.byte()?;
    check_flags(hello.version, flags)?;
    hello.clean_start = flags & 0x02 != 0;
    hello.keep_alive_s = fields.two()?;
    match hello.version {
        Version::V4 => {
            hello.session_expiry_s = if hello.clean_start { 0 } else { u32::MAX };
            (hello.receive_max, hello.packet_bytes_max) = (u16::MAX, usize::MAX);
        }
        Version::V5 => wishes(&mut hello, &mut fields, frame)?,
    }
    hello.client_id = fields.text()?.to_owned();
    if flags & 0x04 != 0 {
        hello.will = Some(will(hello.version, flags, &mut fields)?);
    }
    if flags & 0x80 != 0 {
        hello.user = fields.text()?.to_owned();
    }
    if flags & 0x40 != 0 {
        hello.password = Bytes::copy_from_slice(fields.binary()?);
    }
    fields.end()?;
    Ok(hello)
}

/// Section 3.1.2.3: the reserved bit is 0, a will's QoS and retain need a will, and before MQTT 5 a password needs a
/// user name.
fn check_flags(version: Version, flags: u8) -> Result<(), Bad> {
    if flags & 1 != 0 {
        return Err(Bad::Malformed("the reserved connect flag is set"));
    }
    if flags & 0x04 == 0 && flags & 0x38 != 0 {
        return Err(Bad::Malformed("will flags without a will"));
    }
    if flags & 0x18 == 0x18 {
        return Err(Bad::Malformed("will QoS 3"));
    }
    if version == Version::V4 && flags & 0xC0 == 0x40 {
        return Err(Bad::Malformed("a password without a user name"));
    }
    Ok(())
}

/// The property section of MQTT 5.
fn wishes(hello: &mut Hello, fields: &mut Fields<'_>, frame: &Bytes) -> Result<(), Bad> {
    (hello.receive_max, hello.packet_bytes_max) = (u16::MAX, usize::MAX);
    hello.wants_reasons = true;
    let two = |number| u16::try_from(number).unwrap_or(u16::MAX);
    let (_, used) = walk(fields.rest(), Place::Connect, |id, value| {
        match id {
            properties::SESSION_EXPIRY => hello.session_expiry_s = value.number,
            properties::RECEIVE_MAXIMUM => hello.receive_max = two(value.number),
            properties::PACKET_MAXIMUM => hello.packet_bytes_max = value.number as usize,
            properties::ALIAS_MAXIMUM => hello.topic_alias_max = two(value.number),
            properties::REQUEST_PROBLEM => hello.wants_reasons = value.number == 1,
            properties::REQUEST_RESPONSE => hello.wants_response_topic = value.number == 1,
            properties::AUTH_METHOD => hello.auth_method = Some(value.text().to_owned()),
            properties::AUTH_DATA => hello.auth_data = frame.slice_ref(value.content()),
            _ => (),
        }
        Ok(())
    })?;
    fields.skip(used)?;
    if hello.auth_method.is_none() && !hello.auth_data.is_empty() {
        return Err(Bad::Protocol("authentication data without a method"));
    }
    Ok(())
}

fn will(version: Version, flags: u8, fields: &mut Fields<'_>) -> Result<Will, Bad> {
    let (mut delay_s, mut expiry_s, mut properties) = (0, None, Bytes::new());
    if version == Version::V5 {
        let (section, used) = walk(fields.rest(), Place::Will, |id, value| {
            match id {
                properties::WILL_DELAY => delay_s = value.number,
                properties::MESSAGE_EXPIRY => expiry_s = Some(value.number),
                _ => (),
            }
            Ok(())
        })?;
        properties = properties::passed_on(section);
        fields.skip(used)?;
    }
    Ok(Will {
        topic: fields.text()?.to_owned(),
        payload: Bytes::copy_from_slice(fields.binary()?),
        qos: (flags >> 3) & 3,
        retain: flags & 0x20 != 0,
        delay_s,
        expiry_s,
        properties,
    })
}
