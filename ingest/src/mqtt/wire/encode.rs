//! What we send, written straight into the connection's buffer. Nothing here can fail: every length is bounded by the
//! packet limit before it comes here.

use bytes::{BufMut, BytesMut};
use rumqttc::v5::mqttbytes::v5;

use super::{Version, code, properties};

const FITS: &str = "everything we send is far below the 256 MiB that MQTT can frame";
const SHORT: &str = "texts of ours are cut, and a client's came with a two-byte length";

/// How a CONNECT is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) enum Refused {
    /// Its fields cannot be read.
    Malformed,
    /// Its fields say what they must not.
    Protocol,
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
    /// Who it is, is kept out.
    Banned,
    /// We cannot tell now; try later.
    Unavailable,
    /// As many clients as we take are here.
    Busy,
}

impl Refused {
    const fn v4(self) -> u8 {
        match self {
            Self::Version => 1,
            Self::ClientId => 2,
            Self::Unavailable | Self::Busy | Self::Malformed | Self::Protocol => 3,
            Self::Login | Self::NotAuthorized | Self::AuthMethod | Self::Banned => 5,
        }
    }

    const fn v5(self) -> u8 {
        match self {
            Self::Malformed => 0x81,
            Self::Protocol => 0x82,
            Self::Version => 0x84,
            Self::ClientId => 0x85,
            Self::Login => 0x86,
            Self::NotAuthorized => code::NOT_AUTHORIZED,
            Self::Unavailable => 0x88,
            Self::Busy => 0x89,
            Self::AuthMethod => 0x8C,
            Self::Banned => 0x8A,
        }
    }
}

/// What a welcome tells an MQTT 5 client beyond "welcome". That QoS 2, retained messages, wildcards, subscription
/// identifiers and shared subscriptions are served is said by saying nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::mqtt) struct Welcome {
    pub(in crate::mqtt) session_present: bool,
    pub(in crate::mqtt) session_expiry_s: Option<u32>,
    pub(in crate::mqtt) receive_max: u16,
    pub(in crate::mqtt) packet_bytes_max: usize,
    pub(in crate::mqtt) topic_alias_max: u16,
    pub(in crate::mqtt) assigned_client_id: Option<String>,
    pub(in crate::mqtt) server_keep_alive_s: Option<u16>,
    /// The method of enhanced authentication that let the client in, and its last words.
    pub(in crate::mqtt) auth: Option<(&'static str, String)>,
    /// Below which topic answers to the client's requests may be sent, where it asked.
    pub(in crate::mqtt) response_topic: Option<String>,
}

/// CONNACK.
pub(in crate::mqtt) fn connack(
    to: &mut BytesMut,
    version: Version,
    answer: Result<&Welcome, (Refused, &str)>,
) {
    let (present, code, mut properties) = match (version, answer) {
        (_, Ok(welcome)) => (welcome.session_present, code::SUCCESS, welcome.properties()),
        (Version::V4, Err((refused, _))) => (false, refused.v4(), BytesMut::new()),
        (Version::V5, Err((refused, why))) => (false, refused.v5(), reason_string(why)),
    };
    if version == Version::V4 {
        to.extend_from_slice(&[0x20, 2, u8::from(present), code]);
        return;
    }
    to.put_u8(0x20);
    varint(to, 2 + counted_bytes(properties.len()));
    to.extend_from_slice(&[u8::from(present), code]);
    section(to, &mut properties);
}

impl Welcome {
    fn properties(&self) -> BytesMut {
        let mut to = BytesMut::new();
        if let Some(seconds) = self.session_expiry_s {
            to.put_u8(properties::SESSION_EXPIRY);
            to.put_u32(seconds);
        }
        to.put_u8(properties::RECEIVE_MAXIMUM);
        to.put_u16(self.receive_max);
        to.put_u8(properties::PACKET_MAXIMUM);
        to.put_u32(u32::try_from(self.packet_bytes_max).unwrap_or(u32::MAX));
        if let Some(id) = &self.assigned_client_id {
            text(&mut to, properties::ASSIGNED_CLIENT_ID, id);
        }
        to.put_u8(properties::ALIAS_MAXIMUM);
        to.put_u16(self.topic_alias_max);
        if let Some(seconds) = self.server_keep_alive_s {
            to.put_u8(properties::SERVER_KEEP_ALIVE);
            to.put_u16(seconds);
        }
        if let Some(topic) = &self.response_topic {
            text(&mut to, properties::RESPONSE_INFORMATION, topic);
        }
        if let Some((method, data)) = &self.auth {
            text(&mut to, properties::AUTH_METHOD, method);
            text(&mut to, properties::AUTH_DATA, data);
        }
        to
    }
}

fn text(to: &mut BytesMut, property: u8, text: &str) {
    to.put_u8(property);
    to.put_u16(u16::try_from(text.len()).expect(SHORT));
    to.extend_from_slice(text.as_bytes());
}

/// A section with a reason string; empty where there is nothing to say.
fn reason_string(why: &str) -> BytesMut {
    let mut to = BytesMut::new();
    if !why.is_empty() {
        text(&mut to, properties::REASON_STRING, why);
    }
    to
}

/// A property section after its length.
fn section(to: &mut BytesMut, properties: &mut BytesMut) {
    varint(to, properties.len());
    to.unsplit(properties.split());
}

const fn counted_bytes(length: usize) -> usize {
    varint_bytes(length) + length
}

/// The four packets that only name another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::mqtt) enum Answering {
    /// PUBACK: the end of QoS 1.
    Ack = 0x40,
    /// PUBREC: a message with QoS 2 is with us.
    Rec = 0x50,
    /// PUBREL: its id may be used again, we say.
    Rel = 0x62,
    /// PUBCOMP: its id may be used again, we hear.
    Comp = 0x70,
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP. The code and the words are told to MQTT 5 only; 3.1.1 has no place for them.
pub(in crate::mqtt) fn answer(
    to: &mut BytesMut,
    version: Version,
    kind: Answering,
    id: u16,
    (code, why): (u8, &str),
) {
    let [high, low] = id.to_be_bytes();
    if version == Version::V4 || (code == code::SUCCESS && why.is_empty()) {
        to.extend_from_slice(&[kind as u8, 2, high, low]);
    } else if why.is_empty() {
        to.extend_from_slice(&[kind as u8, 3, high, low, code]);
    } else {
        let mut properties = reason_string(why);
        to.put_u8(kind as u8);
        varint(to, 3 + counted_bytes(properties.len()));
        to.extend_from_slice(&[high, low, code]);
        section(to, &mut properties);
    }
}

/// SUBACK: per filter the granted QoS or why not.
pub(in crate::mqtt) fn suback(to: &mut BytesMut, version: Version, id: u16, codes: &[u8]) {
    let told = |code: u8| match version {
        Version::V4 if code::UNSPECIFIED <= code => code::UNSPECIFIED,
        _ => code,
    };
    acks(to, version, 0x90, id, codes.iter().map(|&code| told(code)));
}

/// UNSUBACK: per filter whether there was a subscription (told to MQTT 5 only).
pub(in crate::mqtt) fn unsuback(to: &mut BytesMut, version: Version, id: u16, codes: &[u8]) {
    let told = if version == Version::V5 { codes } else { &[] };
    acks(to, version, 0xB0, id, told.iter().copied());
}

fn acks(
    to: &mut BytesMut,
    version: Version,
    first: u8,
    id: u16,
    codes: impl ExactSizeIterator<Item = u8>,
) {
    to.put_u8(first);
    varint(to, 2 + usize::from(version == Version::V5) + codes.len());
    to.put_u16(id);
    if version == Version::V5 {
        to.put_u8(0);
    }
    to.extend(codes);
}

/// PINGRESP.
pub(in crate::mqtt) fn pingresp(to: &mut BytesMut) {
    to.extend_from_slice(&[0xD0, 0]);
}

/// AUTH: go on (0x18), or done (0x00).
pub(in crate::mqtt) fn auth(to: &mut BytesMut, code: u8, method: &str, data: &str) {
    let mut said = BytesMut::new();
    text(&mut said, properties::AUTH_METHOD, method);
    text(&mut said, properties::AUTH_DATA, data);
    to.put_u8(0xF0);
    varint(to, 1 + counted_bytes(said.len()));
    to.put_u8(code);
    section(to, &mut said);
}

/// DISCONNECT, which only MQTT 5 servers may send.
pub(in crate::mqtt) fn disconnect(to: &mut BytesMut, code: v5::DisconnectReasonCode, why: &str) {
    let mut packet = v5::Disconnect::new(code);
    packet.properties = (!why.is_empty()).then(|| v5::DisconnectProperties {
        session_expiry_interval: None,
        reason_string: Some(why.to_owned()),
        user_properties: Vec::new(),
        server_reference: None,
    });
    packet.write(to).expect(FITS);
}

/// A message on its way out.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::mqtt) struct Outgoing<'a> {
    /// Empty where the alias alone says it.
    pub(in crate::mqtt) topic: &'a str,
    pub(in crate::mqtt) payload: &'a [u8],
    /// What MQTT 3.1.1 does not get.
    pub(in crate::mqtt) extra: Extra<'a>,
    pub(in crate::mqtt) qos: u8,
    pub(in crate::mqtt) retain: bool,
    pub(in crate::mqtt) again: bool,
    /// 0 for QoS 0.
    pub(in crate::mqtt) id: u16,
}

/// The properties of a message on its way out.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::mqtt) struct Extra<'a> {
    /// A checked section, passed on.
    pub(in crate::mqtt) passed_on: &'a [u8],
    /// Seconds that are left until it is worth nothing.
    pub(in crate::mqtt) expiry_s: Option<u32>,
    /// The identifiers of the subscriptions that brought it.
    pub(in crate::mqtt) ids: &'a [u32],
    pub(in crate::mqtt) alias: Option<u16>,
}

impl Extra<'_> {
    fn bytes(&self) -> usize {
        let ids: usize = self.ids.iter().map(|&id| 1 + varint_bytes(id as usize)).sum();
        let expiry = if self.expiry_s.is_some() { 5 } else { 0 };
        let alias = if self.alias.is_some() { 3 } else { 0 };
        self.passed_on.len() + expiry + ids + alias
    }

    fn write(&self, to: &mut BytesMut) {
        varint(to, self.bytes());
        to.extend_from_slice(self.passed_on);
        if let Some(seconds) = self.expiry_s {
            to.put_u8(properties::MESSAGE_EXPIRY);
            to.put_u32(seconds);
        }
        if let Some(alias) = self.alias {
            to.put_u8(properties::TOPIC_ALIAS);
            to.put_u16(alias);
        }
        // Last, because rumqttc 0.25 counts them twice and then misses what follows them.
        for &id in self.ids {
            to.put_u8(properties::SUBSCRIPTION_ID);
            varint(to, id as usize);
        }
    }
}

/// PUBLISH.
pub(in crate::mqtt) fn publish(to: &mut BytesMut, version: Version, message: Outgoing<'_>) {
    to.reserve(publish_bytes(version, message));
    let flags = u8::from(message.again) << 3 | message.qos << 1 | u8::from(message.retain);
    to.put_u8(0x30 | flags);
    varint(to, body_bytes(version, message));
    to.put_u16(u16::try_from(message.topic.len()).expect("topics are checked on their way in"));
    to.extend_from_slice(message.topic.as_bytes());
    if message.qos != 0 {
        to.put_u16(message.id);
    }
    if version == Version::V5 {
        message.extra.write(to);
    }
    to.extend_from_slice(message.payload);
}

/// How many bytes the PUBLISH takes, for the client's own limit.
pub(in crate::mqtt) fn publish_bytes(version: Version, message: Outgoing<'_>) -> usize {
    1 + counted_bytes(body_bytes(version, message))
}

fn body_bytes(version: Version, message: Outgoing<'_>) -> usize {
    let id = if message.qos == 0 { 0 } else { 2 };
    let properties = match version {
        Version::V4 => 0,
        Version::V5 => counted_bytes(message.extra.bytes()),
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
