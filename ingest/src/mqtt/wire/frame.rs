//! Where a packet ends: the fixed header, read before a byte of the rest is waited or allocated for.

use super::Bad;

pub(super) const CONNECT: u8 = 1;
pub(super) const PUBLISH: u8 = 3;
pub(super) const PUBACK: u8 = 4;
pub(super) const PUBREC: u8 = 5;
pub(super) const PUBREL: u8 = 6;
pub(super) const PUBCOMP: u8 = 7;
pub(super) const SUBSCRIBE: u8 = 8;
pub(super) const UNSUBSCRIBE: u8 = 10;
pub(super) const PINGREQ: u8 = 12;
pub(super) const DISCONNECT: u8 = 14;
pub(super) const AUTH: u8 = 15;

/// A fixed header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) struct Header {
    /// Packet type and flags.
    pub(super) first: u8,
    /// Bytes of the fixed header itself: 2 to 5.
    pub(super) head: usize,
    /// Bytes after it.
    pub(super) body: usize,
}

impl Header {
    /// Bytes of the whole packet.
    pub(in crate::mqtt) const fn total(self) -> usize {
        self.head + self.body
    }

    /// The packet type.
    pub(super) const fn kind(self) -> u8 {
        self.first >> 4
    }

    /// Is this a CONNECT?
    pub(in crate::mqtt) const fn is_connect(self) -> bool {
        self.kind() == CONNECT
    }

    /// The four flags.
    pub(super) const fn flags(self) -> u8 {
        self.first & 0x0F
    }
}

/// Reads the fixed header; `None` while its bytes are not all there.
pub(in crate::mqtt) fn peek(bytes: &[u8], bytes_max: usize) -> Result<Option<Header>, Bad> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    check_first(first)?;
    let Some((body, used)) = varint(&bytes[1..])? else { return Ok(None) };
    let header = Header { first, head: 1 + used, body };
    if bytes_max < header.total() {
        return Err(Bad::TooLarge(header.total()));
    }
    Ok(Some(header))
}

/// The flags are fixed for every type but PUBLISH; types a server sends are not for it to receive.
fn check_first(first: u8) -> Result<(), Bad> {
    let flags_needed = match first >> 4 {
        PUBLISH => return Ok(()),
        PUBREL | SUBSCRIBE | UNSUBSCRIBE => 2,
        CONNECT | PUBACK | PUBREC | PUBCOMP | PINGREQ | DISCONNECT | AUTH => 0,
        _ => return Err(Bad::Malformed("packet type is not one a client sends")),
    };
    if first & 0x0F == flags_needed {
        Ok(())
    } else {
        Err(Bad::Malformed("reserved flags are wrong"))
    }
}

/// A variable byte integer and how many bytes it took; `None` while it is not all there.
pub(super) fn varint(bytes: &[u8]) -> Result<Option<(usize, usize)>, Bad> {
    let mut value = 0;
    for (at, &byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok(Some((value, at + 1)));
        }
    }
    if bytes.len() < 4 { Ok(None) } else { Err(Bad::Malformed("length has more than 4 bytes")) }
}
