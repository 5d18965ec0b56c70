//! What we send. PUBLISH and PUBACK are written here, straight into the connection's buffer; the rare packets through
//! the kept codec. Nothing here can fail: every length is bounded by the packet limit before it comes here.

use bytes::{BufMut, BytesMut};
use rumqttc::mqttbytes::{QoS as QoS4, v4};
use rumqttc::v5::mqttbytes::{QoS as QoS5, v5};

use super::Version;

const FITS: &str = "everything we send is far below the 256 MiB that MQTT can frame";

/// How a CONNECT is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) enum Refused {
    /// A protocol level we do not speak.
    Version,
    /// The client id is not this user's.
    ClientId,
    /// User name or password are wrong; never which.
    Login,
    /// What it asks for (its will) is not its right.
    NotAuthorized,
    /// An authentication method that is not offered.
    AuthMethod,
    /// We cannot tell now; try later.
    Unavailable,
    /// As many clients as we take are here.
    Busy,
}

impl Refused {
    const fn v4(self) -> v4::ConnectReturnCode {
        use v4::ConnectReturnCode as Code;
        match self {
            Self::Version => Code::RefusedProtocolVersion,
            Self::ClientId => Code::BadClientId,
            Self::Login | Self::NotAuthorized | Self::AuthMethod => Code::NotAuthorized,
            Self::Unavailable | Self::Busy => Code::ServiceUnavailable,
        }
    }

    const fn v5(self) -> v5::ConnectReturnCode {
        use v5::ConnectReturnCode as Code;
        match self {
            Self::Version => Code::UnsupportedProtocolVersion,
            Self::ClientId => Code::ClientIdentifierNotValid,
            Self::Login => Code::BadUserNamePassword,
            Self::NotAuthorized => Code::NotAuthorized,
            Self::AuthMethod => Code::BadAuthenticationMethod,
            Self::Unavailable => Code::ServerUnavailable,
            Self::Busy => Code::ServerBusy,
        }
    }
}

/// What a welcome tells an MQTT 5 client beyond "welcome".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::mqtt) struct Welcome {
    pub(in crate::mqtt) session_present: bool,
    pub(in crate::mqtt) session_expiry_s: Option<u32>,
    pub(in crate::mqtt) receive_max: u16,
    pub(in crate::mqtt) packet_bytes_max: usize,
    pub(in crate::mqtt) assigned_client_id: Option<String>,
    pub(in crate::mqtt) server_keep_alive_s: Option<u16>,
}

/// CONNACK.
pub(in crate::mqtt) fn connack(
    to: &mut BytesMut,
    version: Version,
    answer: Result<&Welcome, (Refused, &str)>,
) {
    match (version, answer) {
        (Version::V4, Ok(welcome)) => {
            let code = v4::ConnectReturnCode::Success;
            v4::ConnAck::new(code, welcome.session_present).write(to).expect(FITS);
        }
        (Version::V4, Err((refused, _))) => {
            v4::ConnAck::new(refused.v4(), false).write(to).expect(FITS);
        }
        (Version::V5, Ok(welcome)) => v5_welcome(to, welcome),
        (Version::V5, Err((refused, why))) => {
            let properties = v5::ConnAckProperties {
                reason_string: Some(why.to_owned()),
                ..no_connack_properties()
            };
            let code = refused.v5();
            v5::ConnAck { session_present: false, code, properties: Some(properties) }
                .write(to)
                .expect(FITS);
        }
    }
}

fn v5_welcome(to: &mut BytesMut, welcome: &Welcome) {
    let properties = v5::ConnAckProperties {
        session_expiry_interval: welcome.session_expiry_s,
        receive_max: Some(welcome.receive_max),
        max_qos: Some(1),
        max_packet_size: Some(u32::try_from(welcome.packet_bytes_max).unwrap_or(u32::MAX)),
        assigned_client_identifier: welcome.assigned_client_id.clone(),
        subscription_identifiers_available: Some(0),
        shared_subscription_available: Some(0),
        server_keep_alive: welcome.server_keep_alive_s,
        ..no_connack_properties()
    };
    let session_present = welcome.session_present;
    let code = v5::ConnectReturnCode::Success;
    v5::ConnAck { session_present, code, properties: Some(properties) }.write(to).expect(FITS);
}

const fn no_connack_properties() -> v5::ConnAckProperties {
    v5::ConnAckProperties {
        session_expiry_interval: None,
        receive_max: None,
        max_qos: None,
        retain_available: None,
        max_packet_size: None,
        assigned_client_identifier: None,
        topic_alias_max: None,
        reason_string: None,
        user_properties: Vec::new(),
        wildcard_subscription_available: None,
        subscription_identifiers_available: None,
        shared_subscription_available: None,
        server_keep_alive: None,
        response_information: None,
        server_reference: None,
        authentication_method: None,
        authentication_data: None,
    }
}

/// PUBACK. The refusal is told to MQTT 5 only; 3.1.1 has no word for it.
pub(in crate::mqtt) fn puback(
    to: &mut BytesMut,
    version: Version,
    id: u16,
    refused: Option<(v5::PubAckReason, &str)>,
) {
    match (version, refused) {
        (Version::V5, Some((reason, why))) => {
            let properties = (!why.is_empty()).then(|| v5::PubAckProperties {
                reason_string: Some(why.to_owned()),
                user_properties: Vec::new(),
            });
            v5::PubAck { pkid: id, reason, properties }.write(to).expect(FITS);
        }
        _ => {
            let [high, low] = id.to_be_bytes();
            to.extend_from_slice(&[0x40, 2, high, low]);
        }
    }
}

/// SUBACK: per filter the granted QoS or why not.
pub(in crate::mqtt) fn suback(
    to: &mut BytesMut,
    version: Version,
    id: u16,
    answers: &[Result<u8, v5::SubscribeReasonCode>],
) {
    match version {
        Version::V4 => {
            let code = |answer: &Result<u8, _>| match answer {
                Ok(0) => v4::SubscribeReasonCode::Success(QoS4::AtMostOnce),
                Ok(_) => v4::SubscribeReasonCode::Success(QoS4::AtLeastOnce),
                Err(_) => v4::SubscribeReasonCode::Failure,
            };
            let codes = answers.iter().map(code).collect();
            v4::SubAck::new(id, codes).write(to).expect(FITS);
        }
        Version::V5 => {
            let code = |answer: &Result<u8, v5::SubscribeReasonCode>| match answer {
                Ok(0) => v5::SubscribeReasonCode::Success(QoS5::AtMostOnce),
                Ok(_) => v5::SubscribeReasonCode::Success(QoS5::AtLeastOnce),
                Err(code) => *code,
            };
            let return_codes = answers.iter().map(code).collect();
            v5::SubAck { pkid: id, return_codes, properties: None }.write(to).expect(FITS);
        }
    }
}

/// UNSUBACK: per filter whether there was a subscription (told to MQTT 5 only).
pub(in crate::mqtt) fn unsuback(to: &mut BytesMut, version: Version, id: u16, existed: &[bool]) {
    match version {
        Version::V4 => {
            v4::UnsubAck::new(id).write(to).expect(FITS);
        }
        Version::V5 => {
            let reason = |&existed: &bool| match existed {
                true => v5::UnsubAckReason::Success,
                false => v5::UnsubAckReason::NoSubscriptionExisted,
            };
            let reasons = existed.iter().map(reason).collect();
            v5::UnsubAck { pkid: id, reasons, properties: None }.write(to).expect(FITS);
        }
    }
}

/// PINGRESP.
pub(in crate::mqtt) fn pingresp(to: &mut BytesMut) {
    to.extend_from_slice(&[0xD0, 0]);
}

/// DISCONNECT, which only MQTT 5 servers may send.
pub(in crate::mqtt) fn disconnect(to: &mut BytesMut, code: v5::DisconnectReasonCode, why: &str) {
    let mut packet = v5::Disconnect::new(code);
    packet.properties = Some(v5::DisconnectProperties {
        session_expiry_interval: None,
        reason_string: Some(why.to_owned()),
        user_properties: Vec::new(),
        server_reference: None,
    });
    packet.write(to).expect(FITS);
}

/// A message on its way out.
#[derive(Debug, Clone, Copy)]
pub(in crate::mqtt) struct Outgoing<'a> {
    pub(in crate::mqtt) topic: &'a str,
    pub(in crate::mqtt) payload: &'a [u8],
    /// A checked property section; MQTT 3.1.1 does not get it.
    pub(in crate::mqtt) properties: &'a [u8],
    pub(in crate::mqtt) retain: bool,
    pub(in crate::mqtt) again: bool,
    /// 0 for QoS 0.
    pub(in crate::mqtt) id: u16,
}

/// PUBLISH.
pub(in crate::mqtt) fn publish(to: &mut BytesMut, version: Version, message: Outgoing<'_>) {
    let qos = u8::from(message.id != 0);
    to.reserve(publish_bytes(version, message));
    let flags = u8::from(message.again) << 3 | qos << 1 | u8::from(message.retain);
    to.put_u8(0x30 | flags);
    varint(to, body_bytes(version, message));
    to.put_u16(u16::try_from(message.topic.len()).expect("topics are checked on their way in"));
    to.extend_from_slice(message.topic.as_bytes());
    if qos == 1 {
        to.put_u16(message.id);
    }
    if version == Version::V5 {
        varint(to, message.properties.len());
        to.extend_from_slice(message.properties);
    }
    to.extend_from_slice(message.payload);
}

/// How many bytes the PUBLISH takes, for the client's own limit.
pub(in crate::mqtt) const fn publish_bytes(version: Version, message: Outgoing<'_>) -> usize {
    let body = body_bytes(version, message);
    1 + varint_bytes(body) + body
}

const fn body_bytes(version: Version, message: Outgoing<'_>) -> usize {
    let id = if message.id == 0 { 0 } else { 2 };
    let properties = match version {
        Version::V4 => 0,
        Version::V5 => varint_bytes(message.properties.len()) + message.properties.len(),
    };
    2 + message.topic.len() + id + properties + message.payload.len()
}

const fn varint_bytes(value: usize) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

fn varint(to: &mut BytesMut, mut value: usize) {
    loop {
        let low = (value & 0x7F) as u8;
        value >>= 7;
        if value == 0 {
            to.put_u8(low);
            return;
        }
        to.put_u8(low | 0x80);
    }
}
