//! The property sections of MQTT 5 (section 2.2.2): which may stand where, once or often, and whether each ends
//! inside its section. A section that passes here may be passed on verbatim.

use bytes::{Bytes, BytesMut};

use super::Bad;
use super::frame::varint;

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
}

pub(super) const MESSAGE_EXPIRY: u8 = 0x02;
pub(super) const SUBSCRIPTION_ID: u8 = 0x0B;
pub(super) const SESSION_EXPIRY: u8 = 0x11;
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
    Some(match id {
        0x01 => (Layout::Byte, P | W),
        MESSAGE_EXPIRY => (Layout::Four, P | W),
        0x03 | 0x08 => (Layout::Text, P | W),
        0x09 => (Layout::Binary, P | W),
        SUBSCRIPTION_ID => (Layout::Varint, Place::Subscribe as u8),
        SESSION_EXPIRY => (Layout::Four, C | D),
        0x15 => (Layout::Text, C),
        0x16 => (Layout::Binary, C),
        0x17 | 0x19 => (Layout::Byte, C),
        WILL_DELAY => (Layout::Four, W),
        0x1F => (Layout::Text, Place::Ack as u8 | D),
        RECEIVE_MAXIMUM | 0x22 => (Layout::Two, C),
        TOPIC_ALIAS => (Layout::Two, P),
        USER_PROPERTY => (Layout::Pair, 0xFF),
        PACKET_MAXIMUM => (Layout::Four, C),
        _ => return None,
    })
}

/// Reads the section's length at the start of `bytes` and walks the section, handing each number to `seen`.
/// Returns the section without its length, and how many bytes both took.
pub(super) fn walk(
    bytes: &[u8],
    place: Place,
    mut seen: impl FnMut(u8, u32) -> Result<(), Bad>,
) -> Result<(&[u8], usize), Bad> {
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
        check_range(id, number)?;
        seen(id, number)?;
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
        Layout::Binary => Ok((0, counted(bytes)?.1)),
        Layout::Text => Ok((0, text(bytes)?.1)),
        Layout::Pair => {
            let (_, key) = text(bytes)?;
            let (_, value) = text(&bytes[key..])?;
            Ok((0, key + value))
        }
    }
}

/// Values that the specification calls a protocol error.
fn check_range(id: u8, number: u32) -> Result<(), Bad> {
    let bad = match id {
        0x01 | 0x17 | 0x19 => 1 < number,
        RECEIVE_MAXIMUM | PACKET_MAXIMUM | SUBSCRIPTION_ID => number == 0,
        _ => false,
    };
    if bad { Err(Bad::Protocol("property value is out of its range")) } else { Ok(()) }
}

/// Bytes after their two-byte length, and how many bytes both took.
pub(super) fn counted(bytes: &[u8]) -> Result<(&[u8], usize), Bad> {
    const SHORT: Bad = Bad::Malformed("a field crosses the packet's end");
    let (length, rest) = bytes.split_first_chunk::<2>().ok_or(SHORT)?;
    let length = usize::from(u16::from_be_bytes(*length));
    Ok((rest.get(..length).ok_or(SHORT)?, 2 + length))
}

/// A UTF-8 string after its two-byte length (section 1.5.4: no NUL, no surrogates), and how many bytes both took.
pub(super) fn text(bytes: &[u8]) -> Result<(&str, usize), Bad> {
    let (raw, used) = counted(bytes)?;
    let text = std::str::from_utf8(raw).map_err(|_| Bad::Malformed("text is not UTF-8"))?;
    if raw.contains(&0) {
        return Err(Bad::Malformed("text holds a NUL"));
    }
    Ok((text, used))
}

const WILL_DELAY: u8 = 0x18;

/// A walked will's section without its delay, which is for us and not for those who get the will.
pub(super) fn without_delay(section: &[u8]) -> Bytes {
    let mut kept = BytesMut::with_capacity(section.len());
    let mut rest = section;
    while let Some((&id, after)) = rest.split_first() {
        let Some((layout, _)) = rule(id) else { break };
        let Ok((_, size)) = value(layout, after) else { break };
        if id != WILL_DELAY {
            kept.extend_from_slice(&rest[..=size]);
        }
        rest = &after[size..];
    }
    kept.freeze()
}
