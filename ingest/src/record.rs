//! A record of the readings' journal. All numbers little endian; a text is its length (u8) and its UTF-8 bytes.
//!
//! ```text
//! kind 1, an admitted report:
//!   1 u8 · station text · taken_at i64 ms · received_at i64 ms · marks u8 (1 replay, 2 has seq)
//!   · seq u64 if marked · count u8 · count × (parameter text · flag u8, plus 128 if a value follows · value f64)
//! kind 2, the clock:
//!   2 u8 · now i64 ms
//! kind 3, readings of the past that somebody imported:
//!   3 u8 · as kind 1
//! ```
//! What is imported is kept by history and judged by nobody: years of it, told as found in a backlog, would be
//! thousands of messages about water that flowed by long ago.
//! The clock is in the journal because silence is judged by it: what follows the journal needs nothing else to come to
//! the same verdicts again. A kind that is not known is an error, not skipped: an old program must not step over what
//! a new one wrote. A changed layout gets a new kind; the old one stays readable as long as a journal is kept.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use domain::{Admitted, Flag, Measured, ParameterCode, StationCode, Timestamp};
use rustc_hash::FxHashSet;

const ADMITTED: u8 = 1;
const CLOCK: u8 = 2;
const IMPORTED: u8 = 3;
const REPLAY: u8 = 1;
const HAS_SEQ: u8 = 2;
const HAS_VALUE: u8 = 128;

/// One record, read back.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// Readings of one station at one time.
    Admitted(Admitted),
    /// The time passed to this.
    Clock(Timestamp),
    /// Readings of the past, out of a file: for history alone.
    Imported(Admitted),
}

/// The bytes are not a record of a kind that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a record: {0}")]
pub struct BadRecord(&'static str);

impl Record {
    /// The bytes of an admitted report.
    #[must_use]
    pub fn encode_admitted(admitted: &Admitted) -> Bytes {
        let mut out = BytesMut::with_capacity(64 + admitted.values.len() * 32);
        put_report(&mut out, ADMITTED, admitted);
        out.freeze()
    }

    /// Adds the bytes of readings that are imported to `out`.
    pub fn encode_imported(admitted: &Admitted, out: &mut BytesMut) {
        put_report(out, IMPORTED, admitted);
    }

    /// A record of readings with another time of arrival.
    pub(crate) fn received(record: &Bytes, now: Timestamp) -> Bytes {
        let mut out = BytesMut::from(&record[..]);
        // Behind the kind, the station and the time taken.
        let at = 2 + usize::from(out[1]) + 8;
        out[at..at + 8].copy_from_slice(&now.as_millis().to_le_bytes());
        out.freeze()
    }

    /// The bytes that say how late it is.
    #[must_use]
    pub fn encode_clock(now: Timestamp) -> Bytes {
        let mut out = BytesMut::with_capacity(9);
        out.put_u8(CLOCK);
        out.put_i64_le(now.as_millis());
        out.freeze()
    }
}

fn put_report(out: &mut BytesMut, kind: u8, admitted: &Admitted) {
    out.put_u8(kind);
    put_text(out, admitted.station.as_str());
    out.put_i64_le(admitted.taken_at.as_millis());
    out.put_i64_le(admitted.received_at.as_millis());
    let marks = if admitted.replay { REPLAY } else { 0 };
    match admitted.seq {
        None => out.put_u8(marks),
        Some(seq) => {
            out.put_u8(marks | HAS_SEQ);
            out.put_u64_le(seq);
        }
    }
    out.put_u8(u8::try_from(admitted.values.len()).expect("a report holds at most 128 values"));
    for measured in &admitted.values {
        put_text(out, measured.parameter.as_str());
        match measured.value {
            None => out.put_u8(measured.flag.number()),
            Some(value) => {
                out.put_u8(measured.flag.number() | HAS_VALUE);
                out.put_f64_le(value);
            }
        }
    }
}

fn put_text(out: &mut BytesMut, text: &str) {
    out.put_u8(u8::try_from(text.len()).expect("codes are at most 64 bytes"));
    out.put_slice(text.as_bytes());
}

/// Reads records, keeping each code once: a follower meets the same few thousand again and again.
#[derive(Debug, Default)]
pub struct Decoder {
    stations: FxHashSet<StationCode>,
    parameters: FxHashSet<ParameterCode>,
    /// The parameters of the last report by their place: stations of one make report the same ones in the same order,
    /// and comparing costs less than hashing.
    last: Vec<ParameterCode>,
    /// Room of a report that is no longer needed.
    spare: Vec<Measured>,
}

impl Decoder {
    /// Reads one record.
    ///
    /// # Errors
    /// [`BadRecord`] where the bytes are of no known kind or end early.
    pub fn decode(&mut self, mut bytes: &[u8]) -> Result<Record, BadRecord> {
        let record = match bytes.try_get_u8().map_err(short)? {
            ADMITTED => Record::Admitted(self.admitted(&mut bytes)?),
            IMPORTED => Record::Imported(self.admitted(&mut bytes)?),
            CLOCK => Record::Clock(Timestamp::from_millis(bytes.try_get_i64_le().map_err(short)?)),
            _ => return Err(BadRecord("unknown kind")),
        };
        if bytes.is_empty() { Ok(record) } else { Err(BadRecord("bytes are left over")) }
    }

    fn admitted(&mut self, bytes: &mut &[u8]) -> Result<Admitted, BadRecord> {
        let station = interned(&mut self.stations, utf8(text(bytes)?)?, StationCode::new)?;
        let taken_at = Timestamp::from_millis(bytes.try_get_i64_le().map_err(short)?);
        let received_at = Timestamp::from_millis(bytes.try_get_i64_le().map_err(short)?);
        let marks = bytes.try_get_u8().map_err(short)?;
        let seq = match marks & HAS_SEQ {
            0 => None,
            _ => Some(bytes.try_get_u64_le().map_err(short)?),
        };
        let count = usize::from(bytes.try_get_u8().map_err(short)?);
        let mut values = std::mem::take(&mut self.spare);
        values.truncate(count);
        values.reserve(count - values.len());
        for place in 0..count {
            self.measured(place, bytes, &mut values)?;
        }
        Ok(Admitted { station, taken_at, received_at, seq, replay: marks & REPLAY != 0, values })
    }

    /// Takes back a report that is no longer needed: the next one is read into its room.
    pub fn reuse(&mut self, admitted: Admitted) {
        self.spare = admitted.values;
    }

    /// Reads the value of one place into `values`, over what stands there.
    fn measured(
        &mut self,
        place: usize,
        bytes: &mut &[u8],
        values: &mut Vec<Measured>,
    ) -> Result<(), BadRecord> {
        let code = text(bytes)?;
        let mark = bytes.try_get_u8().map_err(short)?;
        let flag = Flag::from_number(mark & !HAS_VALUE).ok_or(BadRecord("unknown flag"))?;
        let value = match mark & HAS_VALUE {
            0 => None,
            _ => Some(bytes.try_get_f64_le().map_err(short)?),
        };
        match values.get_mut(place) {
            Some(there) if there.parameter.as_str().as_bytes() == code => {
                there.value = value;
                there.flag = flag;
            }
            Some(there) => {
                *there = Measured { parameter: self.parameter(place, code)?, value, flag }
            }
            None => values.push(Measured { parameter: self.parameter(place, code)?, value, flag }),
        }
        Ok(())
    }

    fn parameter(&mut self, place: usize, text: &[u8]) -> Result<ParameterCode, BadRecord> {
        match self.last.get(place) {
            Some(last) if last.as_str().as_bytes() == text => return Ok(last.clone()),
            _ => (),
        }
        let code = interned(&mut self.parameters, utf8(text)?, ParameterCode::new)?;
        self.last.truncate(place);
        self.last.push(code.clone());
        Ok(code)
    }
}

fn interned<C, E>(
    known: &mut FxHashSet<C>,
    text: &str,
    make: impl FnOnce(&str) -> Result<C, E>,
) -> Result<C, BadRecord>
where
    C: Clone + Eq + std::hash::Hash + std::borrow::Borrow<str>,
{
    if let Some(code) = known.get(text) {
        return Ok(code.clone());
    }
    let code = make(text).map_err(|_| BadRecord("not a code"))?;
    known.insert(code.clone());
    Ok(code)
}

fn text<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], BadRecord> {
    let length = usize::from(bytes.try_get_u8().map_err(short)?);
    let (text, rest) = bytes.split_at_checked(length).ok_or(BadRecord("ends early"))?;
    *bytes = rest;
    Ok(text)
}

fn utf8(text: &[u8]) -> Result<&str, BadRecord> {
    std::str::from_utf8(text).map_err(|_| BadRecord("not a text"))
}

fn short(_: bytes::TryGetError) -> BadRecord {
    BadRecord("ends early")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example(seq: Option<u64>, replay: bool, values: &[(f64, bool)]) -> Admitted {
        let measured = |(n, &(value, missing)): (usize, &(f64, bool))| Measured {
            parameter: ParameterCode::new(&format!("p{n}")).unwrap(),
            value: (!missing).then_some(value),
            flag: if missing { Flag::Missing } else { Flag::NotEvaluated },
        };
        Admitted {
            station: StationCode::new("xuan-hoa").unwrap(),
            taken_at: Timestamp::from_millis(-5),
            received_at: Timestamp::from_millis(1_773_266_400_123),
            seq,
            replay,
            values: values.iter().enumerate().map(measured).collect(),
        }
    }

    proptest! {
        #[test]
        fn a_record_reads_back_to_the_bit(
            seq in proptest::option::of(any::<u64>()),
            replay in any::<bool>(),
            values in prop::collection::vec((-1e9..1e9_f64, any::<bool>()), 0..128),
        ) {
            let admitted = example(seq, replay, &values);
            let bytes = Record::encode_admitted(&admitted);
            prop_assert_eq!(Decoder::default().decode(&bytes), Ok(Record::Admitted(admitted)));
        }

        #[test]
        fn a_record_read_into_the_room_of_another_is_the_same(
            first in prop::collection::vec((-1e9..1e9_f64, any::<bool>()), 0..9),
            then in prop::collection::vec((-1e9..1e9_f64, any::<bool>()), 0..9),
            turned in any::<bool>(),
        ) {
            let (mut first, then) = (example(Some(1), false, &first), example(None, true, &then));
            if turned {
                first.values.reverse();
            }
            let mut decoder = Decoder::default();
            let bytes = Record::encode_admitted(&first);
            prop_assert_eq!(decoder.decode(&bytes), Ok(Record::Admitted(first.clone())));
            decoder.reuse(first);
            let bytes = Record::encode_admitted(&then);
            prop_assert_eq!(decoder.decode(&bytes), Ok(Record::Admitted(then)));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(Decoder::default().decode(&bytes));
        }
    }

    #[test]
    fn half_a_record_and_more_than_one_are_errors() {
        let bytes = Record::encode_admitted(&example(Some(1), true, &[(1.0, false)]));
        for cut in 0..bytes.len() {
            assert!(Decoder::default().decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        let mut longer = bytes.to_vec();
        longer.push(0);
        assert!(Decoder::default().decode(&longer).is_err());
        let clock = Record::encode_clock(Timestamp::from_millis(7));
        assert_eq!(Decoder::default().decode(&clock), Ok(Record::Clock(Timestamp::from_millis(7))));
        assert!(Decoder::default().decode(&[99, 0]).is_err());
    }
}
