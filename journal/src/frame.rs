//! One record as bytes. All numbers little endian.
//!
//! ```text
//! length  u32   bytes of the record, 1 ..= RECORD_BYTES_MAX
//! crc32   u32   CRC-32 (IEEE) over the record's position (u64) and its bytes
//! record  [u8; length]
//! ```
//! The position is in the checksum but not in the frame: bytes of another place in the journal, or of an older file
//! that the disk left behind, never read as a record here. A length of zero never occurs, so a tail of zeros, which a
//! file system may leave after a power cut, is not a record either.

use bytes::{BufMut, Bytes};

use crate::Position;

/// Bytes of length and checksum before each record.
pub const HEADER: usize = 8;

/// The largest record: twice the largest MQTT packet that the front door may be configured to take (1 MiB), so that such
/// a packet fits whole, with whom it came from and whom it goes to. A program from before this was raised from 1 MiB
/// takes a larger record for a torn tail.
pub const RECORD_BYTES_MAX: usize = 2 << 20;

/// What stands at a place in a segment.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// A whole record, and the bytes that its frame takes.
    Whole { record: Bytes, size: usize },
    /// The bytes end before the frame does.
    Short,
    /// No frame: what is wrong.
    Bad(&'static str),
}

pub fn write(into: &mut Vec<u8>, position: Position, record: &[u8]) {
    let length = u32::try_from(record.len()).expect("append refuses records over 2 MiB");
    into.put_u32_le(length);
    into.put_u32_le(checksum(position, record));
    into.put_slice(record);
}

/// Reads the frame at the start of `bytes`, sharing its memory.
pub fn read(bytes: &Bytes, position: Position) -> Frame {
    let Some((head, rest)) = bytes.split_first_chunk::<HEADER>() else { return Frame::Short };
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let stated = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    if length == 0 || RECORD_BYTES_MAX < length {
        return Frame::Bad("impossible length");
    }
    if rest.len() < length {
        return Frame::Short;
    }
    let record = bytes.slice(HEADER..HEADER + length);
    if checksum(position, &record) != stated {
        return Frame::Bad("checksum differs");
    }
    Frame::Whole { record, size: HEADER + length }
}

fn checksum(position: Position, record: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&position.to_le_bytes());
    crc.update(record);
    crc.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(position: Position, record: &[u8]) -> Bytes {
        let mut out = Vec::new();
        write(&mut out, position, record);
        Bytes::from(out)
    }

    #[test]
    fn a_record_reads_back_only_at_its_own_position() {
        let bytes = framed(7, b"salt");
        assert_eq!(read(&bytes, 7), Frame::Whole { record: Bytes::from_static(b"salt"), size: 12 });
        assert_eq!(read(&bytes, 8), Frame::Bad("checksum differs"));
    }

    #[test]
    fn every_single_flipped_bit_is_seen() {
        let bytes = framed(7, b"salt");
        for bit in 0..bytes.len() * 8 {
            let mut torn = bytes.to_vec();
            torn[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(read(&Bytes::from(torn), 7), Frame::Whole { .. }), "bit {bit}");
        }
    }

    #[test]
    fn zeros_are_no_record_and_half_a_frame_is_short() {
        assert_eq!(read(&Bytes::from(vec![0; 64]), 0), Frame::Bad("impossible length"));
        let bytes = framed(0, b"salt");
        for cut in 0..bytes.len() {
            assert_eq!(read(&bytes.slice(..cut), 0), Frame::Short, "cut at {cut}");
        }
    }
}
