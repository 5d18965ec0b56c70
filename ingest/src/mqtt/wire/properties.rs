//! The property sections of MQTT 5 (section 2.2.2): which may stand where, once or often, and whether each ends
//! inside its section. A section that passes here may be passed on verbatim.

use bytes::{Bytes, BytesMut};

use super::Bad;
use super::fields::Fields;
use super::frame::varint;
use crate::mqtt::topic;

/// How a property's value is laid out.
#[derive(Clone, Copy)]
enum Layout {
    Byte,
    Two,
    Four,
    Varint,
    Text,
    Binary,
    Pair,
}

/// A packet whose property section is walked; a bit of a mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Place {
    Connect = 1,
    Will = 2,
    Publish = 4,
    Subscribe = 8,
    Unsubscribe = 16,
    Ack = 32,
    Disconnect = 64,
    Auth = 128,
}

/// A property's value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'a> {
    /// 0 for texts.
    pub(super) number: u32,
    /// A text's or a binary's bytes, as they stand on the wire with their length before them.
    raw: &'a [u8],
}

impl<'a> Value<'a> {
    /// The bytes of a text or a binary.
    pub(super) fn content(self) -> &'a [u8] {
        self.raw.get(2..).unwrap_or_default()
    }

    /// A text, which the walk has checked.
    pub(super) fn text(self) -> &'a str {
        std::str::from_utf8(self.content()).unwrap_or_default()
    }
}

pub(super) const PAYLOAD_FORMAT: u8 = 0x01;
pub(super) const MESSAGE_EXPIRY: u8 = 0x02;
pub(super) const SUBSCRIPTION_ID: u8 = 0x0B;
pub(super) const CONTENT_TYPE: u8 = 0x03;
const RESPONSE_TOPIC: u8 = 0x08;
pub(super) const SESSION_EXPIRY: u8 = 0x11;
pub(super) const ASSIGNED_CLIENT_ID: u8 = 0x12;
pub(super) const SERVER_KEEP_ALIVE: u8 = 0x13;
pub(super) const AUTH_METHOD: u8 = 0x15;
pub(super) const AUTH_DATA: u8 = 0x16;
pub(super) const REQUEST_PROBLEM: u8 = 0x17;
pub(super) const WILL_DELAY: u8 = 0x18;
pub(super) const REQUEST_RESPONSE: u8 = 0x19;
pub(super) const RESPONSE_INFORMATION: u8 = 0x1A;
pub(super) const REASON_STRING: u8 = 0x1F;
pub(super) const ALIAS_MAXIMUM: u8 = 0x22;
pub(super) const RECEIVE_MAXIMUM: u8 = 0x21;
pub(super) const TOPIC_ALIAS: u8 = 0x23;
const USER_PROPERTY: u8 = 0x26;
pub(super) const PACKET_MAXIMUM: u8 = 0x27;

/// Table 2-4 of the specification, for what a client may send: the layout, and the mask of places.
const fn rule(id: u8) -> Option<(Layout, u8)> {
    const C: u8 = Place::Connect as u8;
    const W: u8 = Place::Will as u8;
    const P: u8 = Place::Publish as u8;
    const D: u8 = Place::Disconnect as u8;
    const A: u8 = Place::Auth as u8;
    Some(match id {
        PAYLOAD_FORMAT => (Layout::Byte, P | W),
        MESSAGE_EXPIRY => (Layout::Four, P | W),
        CONTENT_TYPE | RESPONSE_TOPIC => (Layout::Text, P | W),
        0x09 => (Layout::Binary, P | W),
        SUBSCRIPTION_ID => (Layout::Varint, Place::Subscribe as u8),
        SESSION_EXPIRY => (Layout::Four, C | D),
        AUTH_METHOD => (Layout::Text, C | A),
        AUTH_DATA => (Layout::Binary, C | A),
        REQUEST_PROBLEM | REQUEST_RESPONSE => (Layout::Byte, C),
        WILL_DELAY => (Layout::Four, W),
        REASON_STRING => (Layout::Text, Place::Ack as u8 | D | A),
        RECEIVE_MAXIMUM | ALIAS_MAXIMUM => (Layout::Two, C),
        TOPIC_ALIAS => (Layout::Two, P),
        USER_PROPERTY => (Layout::Pair, 0xFF),
        PACKET_MAXIMUM => (Layout::Four, C),
        _ => return None,
    })
}

/// Reads the section's length at the start of `bytes` and walks the section, handing each number to `seen`.
/// Returns the section without its length, and how many bytes both took.
pub(super) fn walk<'a>(
    bytes: &'a [u8],
    place: Place,
    mut seen: impl FnMut(u8, Value<'a>) -> Result<(), Bad>,
) -> Result<(&'a [u8], usize), Bad> {
    let (length, used) = varint(bytes)?.ok_or(Bad::Malformed("no property length"))?;
    let end = used + length;
    let section =
        bytes.get(used..end).ok_or(Bad::Malformed("properties cross the packet's end"))?;
    let mut rest = section;
    let mut before: u64 = 0;
    while let Some((&id, after)) = rest.split_first() {
        let (layout, places) = rule(id).ok_or(Bad::Malformed("unknown property"))?;
        if places & place as u8 == 0 {
            return Err(Bad::Protocol("property does not belong to this packet"));
        }
        if id != USER_PROPERTY && before & (1 << id) != 0 {
            return Err(Bad::Protocol("property is there twice"));
        }
        before |= 1 << id;
        let (number, size) = value(layout, after)?;
        let value = Value { number, raw: &after[..size] };
        check_range(id, value)?;
        seen(id, value)?;
        rest = &after[size..];
    }
    Ok((section, end))
}

/// The number a value holds (0 for texts) and its size.
fn value(layout: Layout, bytes: &[u8]) -> Result<(u32, usize), Bad> {
    const SHORT: Bad = Bad::Malformed("property crosses the section's end");
    let number = |size: usize| {
        let raw = bytes.get(..size).ok_or(SHORT)?;
        Ok((raw.iter().fold(0_u32, |sum, &byte| (sum << 8) | u32::from(byte)), size))
    };
    match layout {
        Layout::Byte => number(1),
        Layout::Two => number(2),
        Layout::Four => number(4),
        Layout::Varint => {
            let (value, size) = varint(bytes)?.ok_or(SHORT)?;
            Ok((u32::try_from(value).map_err(|_| SHORT)?, size))
        }
        Layout::Binary => sized(bytes, |fields| fields.binary().map(drop)),
        Layout::Text => sized(bytes, |fields| fields.text().map(drop)),
        Layout::Pair => sized(bytes, |fields| {
            fields.text()?;
            fields.text().map(drop)
        }),
    }
}

fn sized<'a>(
    bytes: &'a [u8],
    read: impl FnOnce(&mut Fields<'a>) -> Result<(), Bad>,
) -> Result<(u32, usize), Bad> {
    let mut fields = Fields::new(bytes);
    read(&mut fields)?;
    Ok((0, bytes.len() - fields.rest().len()))
}

/// Values that the specification calls a protocol error.
fn check_range(id: u8, value: Value<'_>) -> Result<(), Bad> {
    let bad = match id {
        PAYLOAD_FORMAT | REQUEST_PROBLEM | REQUEST_RESPONSE => 1 < value.number,
        RECEIVE_MAXIMUM | PACKET_MAXIMUM | SUBSCRIPTION_ID => value.number == 0,
        RESPONSE_TOPIC => !topic::is_name(value.text()),
        _ => false,
    };
    if bad { Err(Bad::Protocol("property value is out of its range")) } else { Ok(()) }
}

/// What of a walked section is passed on to subscribers: all but the expiry, which is counted down, the alias, which
/// is between two ends of one connection, and a will's delay, which is for us.
pub(super) fn passed_on(section: &[u8]) -> Bytes {
    let mut kept = BytesMut::with_capacity(section.len());
    let mut rest = section;
    while let Some((&id, after)) = rest.split_first() {
        let Some((layout, _)) = rule(id) else { break };
        let Ok((_, size)) = value(layout, after) else { break };
        if !matches!(id, MESSAGE_EXPIRY | TOPIC_ALIAS | WILL_DELAY) {
            kept.extend_from_slice(&rest[..=size]);
        }
        rest = &after[size..];
    }
    kept.freeze()
}
