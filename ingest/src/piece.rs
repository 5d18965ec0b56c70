//! Readings of the past on their way from a file into the journal, in pieces that are small enough to stand between two
//! live reports. Whoever reads the file makes them; the one process that has the journal open takes them, itself or out of
//! a folder.
//!
//! All numbers little endian:
//! ```text
//! magic    [u8; 8]  "SLTPCE01"
//! name     u8, and so many bytes of UTF-8: whose piece it is, letters and digits
//! first    u64      number of its first record among all of the import
//! count    u32      records
//! records  count × (u32 length · a record of kind 3, see `record`)
//! crc32    u32      over all before
//! ```
//! A piece that does not read back is refused whole. A program that does not know the version refuses it by its magic.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use domain::{Admitted, Timestamp};

use crate::record::{Decoder, Record};

const MAGIC: [u8; 8] = *b"SLTPCE01";

/// Records of a piece: of six values each, 200 kB, which a disk writes and syncs in the time that one report takes.
pub const PIECE_RECORDS_MAX: u32 = 2_048;

/// Bytes of a piece at most, whatever its records are: 2,048 of the largest (128 values of long names) would be 20 MB.
const PIECE_BYTES_MAX: usize = 512 << 10;

/// Some records of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    name: String,
    first: u64,
    records: Vec<Bytes>,
    bytes: usize,
    values: u64,
}

/// The bytes are not a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a piece: {0}")]
pub struct BadPiece(&'static str);

impl Piece {
    /// An empty piece of the import of this name, which begins with so-many-th record of it.
    #[must_use]
    pub fn begin(name: &str, first: u64) -> Self {
        Self { name: name.to_owned(), first, records: Vec::new(), bytes: 0, values: 0 }
    }

    /// Whose it is.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of its first record, and of the one behind its last.
    #[must_use]
    pub fn span(&self) -> (u64, u64) {
        (self.first, self.first + self.records.len() as u64)
    }

    /// Readings in it.
    #[must_use]
    pub fn values(&self) -> u64 {
        self.values
    }

    /// Is nothing in it?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Has it as much as a piece may have?
    #[must_use]
    pub fn is_full(&self) -> bool {
        PIECE_RECORDS_MAX as usize <= self.records.len() || PIECE_BYTES_MAX <= self.bytes
    }

    /// Adds a record.
    pub fn add(&mut self, admitted: &Admitted) {
        let mut record = BytesMut::with_capacity(64 + admitted.values.len() * 32);
        Record::encode_imported(admitted, &mut record);
        self.bytes += record.len();
        self.values += admitted.values.len() as u64;
        self.records.push(record.freeze());
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.bytes + self.records.len() * 4);
        out.put_slice(&MAGIC);
        out.put_u8(u8::try_from(self.name.len()).expect("names of imports are digests"));
        out.put_slice(self.name.as_bytes());
        out.put_u64_le(self.first);
        out.put_u32_le(u32::try_from(self.records.len()).expect("a piece is small"));
        for record in &self.records {
            out.put_u32_le(u32::try_from(record.len()).expect("a record is small"));
            out.put_slice(record);
        }
        let crc = crc32fast::hash(&out);
        out.put_u32_le(crc);
        out
    }

    /// Reads a piece, each record of it too.
    ///
    /// # Errors
    /// [`BadPiece`]: something of it does not read back.
    pub fn decode(bytes: &Bytes) -> Result<Self, BadPiece> {
        let short = BadPiece("ends early");
        let end = bytes.len().checked_sub(4).ok_or(short)?;
        if bytes.get(..8) != Some(&MAGIC[..]) {
            return Err(BadPiece("magic differs"));
        }
        if (&bytes[end..]).get_u32_le() != crc32fast::hash(&bytes[..end]) {
            return Err(BadPiece("checksum differs"));
        }
        let mut rest = bytes.slice(8..end);
        let length = usize::from(rest.try_get_u8().map_err(|_| short)?);
        if rest.len() < length {
            return Err(short);
        }
        let name = rest.split_to(length);
        let plain = |byte: &u8| byte.is_ascii_alphanumeric();
        let name = std::str::from_utf8(&name).ok().filter(|name| name.bytes().all(|b| plain(&b)));
        let name = name.ok_or(BadPiece("its name is no name"))?.to_owned();
        let first = rest.try_get_u64_le().map_err(|_| short)?;
        let count = rest.try_get_u32_le().map_err(|_| short)?;
        let mut piece = Self::begin(&name, first);
        let mut decoder = Decoder::default();
        for _ in 0..count {
            let length = rest.try_get_u32_le().map_err(|_| short)? as usize;
            if rest.len() < length {
                return Err(short);
            }
            let record = rest.split_to(length);
            let Ok(Record::Imported(admitted)) = decoder.decode(&record) else {
                return Err(BadPiece("a record does not read back"));
            };
            piece.bytes += record.len();
            piece.values += admitted.values.len() as u64;
            decoder.reuse(admitted);
            piece.records.push(record);
        }
        if rest.is_empty() { Ok(piece) } else { Err(BadPiece("bytes are left over")) }
    }

    /// The records as the journal takes them, received now.
    #[must_use]
    pub fn into_records(self, now: Timestamp) -> Vec<Bytes> {
        self.records.into_iter().map(|record| Record::received(&record, now)).collect()
    }
}

#[cfg(test)]
mod tests {
    use domain::{Flag, Measured, ParameterCode, StationCode};

    use super::*;

    fn piece() -> Piece {
        let mut piece = Piece::begin("abc123", 7);
        for n in 0..3_u32 {
            piece.add(&Admitted {
                station: StationCode::new("xuan-hoa").unwrap(),
                taken_at: Timestamp::from_millis(i64::from(n) * 1_000),
                received_at: Timestamp::from_millis(0),
                seq: None,
                replay: true,
                values: vec![Measured {
                    parameter: ParameterCode::new("ph").unwrap(),
                    value: Some(f64::from(n)),
                    flag: Flag::Good,
                }],
            });
        }
        piece
    }

    #[test]
    fn a_piece_reads_back_and_is_received_when_it_is_taken() {
        let read = Piece::decode(&Bytes::from(piece().encode())).unwrap();
        assert_eq!(read, piece());
        assert_eq!((read.name(), read.span(), read.values()), ("abc123", (7, 10), 3));
        let now = Timestamp::from_millis(1_773_266_400_123);
        let records = read.into_records(now);
        let Ok(Record::Imported(admitted)) = Decoder::default().decode(&records[2]) else {
            panic!("a record of another kind");
        };
        assert_eq!((admitted.received_at, admitted.taken_at.as_millis()), (now, 2_000));
        assert!(admitted.replay);
    }

    #[test]
    fn a_changed_byte_or_a_missing_end_is_no_piece() {
        let whole = piece().encode();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            assert!(Piece::decode(&Bytes::from(bytes)).is_err(), "byte {at}");
            assert!(Piece::decode(&Bytes::copy_from_slice(&whole[..at])).is_err(), "cut at {at}");
        }
    }
}
