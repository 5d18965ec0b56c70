//! CONNECT: who a client says it is and how it wants to be served.

use bytes::Bytes;
use rumqttc::mqttbytes::{FixedHeader as Fixed4, v4};
use rumqttc::v5::mqttbytes::v5;

use super::frame::Header;
use super::properties::{self, Place, text, walk};
use super::{Bad, Version};

/// A CONNECT, the same for both versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mqtt) struct Hello {
    pub(in crate::mqtt) version: Version,
    pub(in crate::mqtt) client_id: String,
    pub(in crate::mqtt) clean_start: bool,
    /// Seconds; 0 means none.
    pub(in crate::mqtt) keep_alive_s: u16,
    pub(in crate::mqtt) user: String,
    pub(in crate::mqtt) password: String,
    pub(in crate::mqtt) will: Option<Will>,
    /// Seconds the session outlives the connection; `u32::MAX` is for ever.
    pub(in crate::mqtt) session_expiry_s: u32,
    /// QoS 1 messages we may have unacknowledged at the client.
    pub(in crate::mqtt) receive_max: u16,
    /// The largest packet the client takes.
    pub(in crate::mqtt) packet_bytes_max: usize,
    /// Reason strings may be sent with any packet.
    pub(in crate::mqtt) wants_reasons: bool,
    /// The client asks for enhanced authentication.
    pub(in crate::mqtt) wants_auth: bool,
}

/// What is published on a client's behalf when it vanishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mqtt) struct Will {
    pub(in crate::mqtt) topic: String,
    pub(in crate::mqtt) payload: Bytes,
    pub(in crate::mqtt) qos: u8,
    pub(in crate::mqtt) retain: bool,
    /// The properties to pass on, as they stood in the CONNECT, without the will's own delay.
    pub(in crate::mqtt) properties: Bytes,
}

/// Reads a CONNECT. The inner error is a protocol level we do not speak, with the version to say so in.
pub(in crate::mqtt) fn hello(header: Header, frame: &Bytes) -> Result<Result<Hello, Version>, Bad> {
    let body = frame.get(header.head..).ok_or(Bad::Malformed("empty"))?;
    let (protocol, used) = text(body)?;
    let level = *body.get(used).ok_or(Bad::Malformed("no protocol level"))?;
    let flags = *body.get(used + 1).ok_or(Bad::Malformed("no connect flags"))?;
    match (protocol, level) {
        ("MQTT", 4) => {
            check_flags(flags)?;
            v4_hello(header, frame).map(Ok)
        }
        ("MQTT", 5) => {
            check_flags(flags)?;
            v5_hello(header, frame, flags).map(Ok)
        }
        ("MQTT", 6..) => Ok(Err(Version::V5)),
        // Also 3.1 (`MQIsdp`), whose refusal has the layout of 3.1.1.
        ("MQTT" | "MQIsdp", _) => Ok(Err(Version::V4)),
        _ => Err(Bad::Malformed("protocol name is not MQTT")),
    }
}

/// Section 3.1.2.3: the reserved bit is 0, and a will's QoS and retain need a will.
fn check_flags(flags: u8) -> Result<(), Bad> {
    if flags & 1 != 0 {
        return Err(Bad::Malformed("the reserved connect flag is set"));
    }
    if flags & 0x04 == 0 && flags & 0x38 != 0 {
        return Err(Bad::Malformed("will flags without a will"));
    }
    if flags & 0x18 == 0x18 {
        return Err(Bad::Malformed("will QoS 3"));
    }
    Ok(())
}

fn v4_hello(header: Header, frame: &Bytes) -> Result<Hello, Bad> {
    let fixed = Fixed4::new(header.first, header.head - 1, header.body);
    let connect = v4::Connect::read(fixed, frame.clone())?;
    let login = connect.login.unwrap_or_else(|| v4::Login::new("", ""));
    let will = connect.last_will.map(|will| Will {
        topic: will.topic,
        payload: will.message,
        qos: will.qos as u8,
        retain: will.retain,
        properties: Bytes::new(),
    });
    no_nul(&[&connect.client_id, &login.username, &login.password])?;
    Ok(Hello {
        version: Version::V4,
        client_id: connect.client_id,
        clean_start: connect.clean_session,
        keep_alive_s: connect.keep_alive,
        user: login.username,
        password: login.password,
        will,
        session_expiry_s: if connect.clean_session { 0 } else { u32::MAX },
        receive_max: u16::MAX,
        packet_bytes_max: usize::MAX,
        wants_reasons: false,
        wants_auth: false,
    })
}

fn v5_hello(header: Header, frame: &Bytes, flags: u8) -> Result<Hello, Bad> {
    let will_properties = check_v5(header, frame, flags)?;
    let fixed = v5::FixedHeader::new(header.first, header.head - 1, header.body);
    let (connect, will, login) = v5::Connect::read(fixed, frame.clone())?;
    let login = login.unwrap_or(v5::Login { username: String::new(), password: String::new() });
    let asked = connect.properties.unwrap_or_default();
    no_nul(&[&connect.client_id, &login.username, &login.password])?;
    Ok(Hello {
        version: Version::V5,
        client_id: connect.client_id,
        clean_start: connect.clean_start,
        keep_alive_s: connect.keep_alive,
        user: login.username,
        password: login.password,
        will: will.map(|will| v5_will(&will, will_properties)).transpose()?,
        session_expiry_s: asked.session_expiry_interval.unwrap_or(0),
        receive_max: asked.receive_maximum.unwrap_or(u16::MAX),
        packet_bytes_max: asked.max_packet_size.map_or(usize::MAX, |max| max as usize),
        wants_reasons: asked.request_problem_info != Some(0),
        wants_auth: asked.authentication_method.is_some(),
    })
}

fn v5_will(will: &v5::LastWill, properties: Bytes) -> Result<Will, Bad> {
    let topic = std::str::from_utf8(&will.topic).map_err(|_| Bad::Malformed("will topic"))?;
    Ok(Will {
        topic: topic.to_owned(),
        payload: will.message.clone(),
        qos: will.qos as u8,
        retain: will.retain,
        properties,
    })
}

/// Walks both property sections before the codec reads them; returns what of the will's is passed on.
fn check_v5(header: Header, frame: &Bytes, flags: u8) -> Result<Bytes, Bad> {
    // Protocol name (6), level, flags, keep-alive (2).
    let rest = frame.get(header.head + 10..).ok_or(Bad::Malformed("no keep-alive"))?;
    let (_, used) = walk(rest, Place::Connect, |_, _| Ok(()))?;
    if flags & 0x04 == 0 {
        return Ok(Bytes::new());
    }
    let rest = &rest[used..];
    let (_, used) = text(rest)?;
    let (section, _) = walk(&rest[used..], Place::Will, |_, _| Ok(()))?;
    Ok(properties::without_delay(section))
}

fn no_nul(texts: &[&str]) -> Result<(), Bad> {
    if texts.iter().any(|text| text.contains('\0')) {
        return Err(Bad::Malformed("text holds a NUL"));
    }
    Ok(())
}
