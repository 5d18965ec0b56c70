//! Reads a journal through without opening it: every segment, every record, beside a running engine or on a copy.
//! Nothing is changed.
//!
//! A damaged record whose length still makes sense is stepped over, so that the count of what is lost is the count of
//! records that do not read back, not of all that stand behind the first. In the last segment an end that is not whole
//! is the torn tail of a power cut (or a write under way); damage is there only what has a whole record behind it.

use std::path::{Path, PathBuf};

use crate::frame::{self, Frame};
use crate::recovery::list;
use crate::segment::{SEGMENT_HEADER, Segment};
use crate::{JournalError, Position};

/// Bytes read at a time.
const CHUNK: usize = 4 << 20;

/// A segment that may be read through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unverified {
    /// Its file.
    pub path: PathBuf,
    /// Bytes of the file.
    pub bytes: u64,
    /// Position of its first record.
    pub first: Position,
    /// The first position of the next segment; `None` for the last.
    next: Option<Position>,
}

/// What a segment holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// Records that read back.
    pub records: u64,
    /// Records that do not read back, where that can be told.
    pub lost: u64,
    /// The first damage, if there is any.
    pub damage: Option<Damage>,
    /// Bytes of a torn tail, which the next start cuts off and keeps aside.
    pub torn_bytes: u64,
}

/// A place that does not read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// The record that should stand there.
    pub position: Position,
    /// Where in the file.
    pub offset: u64,
    /// What is wrong.
    pub what: &'static str,
}

/// The segments of the journal in `dir`, oldest first; none where there is no journal.
///
/// # Errors
/// [`JournalError::Io`] where the folder cannot be read.
pub fn segments(dir: &Path) -> Result<Vec<Unverified>, JournalError> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let names = list(dir)?;
    let mut segments = Vec::with_capacity(names.len());
    for (at, (first, path)) in names.iter().enumerate() {
        let bytes = std::fs::metadata(path).map_err(JournalError::io("look at", path))?.len();
        let next = names.get(at + 1).map(|(first, _)| *first);
        segments.push(Unverified { path: path.clone(), bytes, first: *first, next });
    }
    Ok(segments)
}

impl Unverified {
    /// Reads the segment through; `read` is told how many bytes were read so far.
    ///
    /// # Errors
    /// [`JournalError::Io`] where the disk does not answer, [`JournalError::UnknownFormat`] where a newer program
    /// wrote it. Damage is an answer, not an error.
    pub fn verify(&self, mut read: impl FnMut(u64)) -> Result<Verified, JournalError> {
        let Some(segment) = Segment::open(&self.path, self.first)? else {
            return Ok(self.headless());
        };
        let mut found = Verified::default();
        let mut from = (self.first, SEGMENT_HEADER);
        loop {
            let (position, offset, stopped) = segment.walk(from, CHUNK, |_, offset, _| {
                found.records += 1;
                read(offset);
                true
            })?;
            let whole = self.next.is_none_or(|next| next == position);
            if whole && segment.is_unused_from(offset)? {
                return Ok(found);
            }
            let damage = Damage { position, offset, what: what(&stopped) };
            match behind(&segment, position, offset)? {
                Some(next) => {
                    found.lost += 1;
                    found.damage.get_or_insert(damage);
                    from = next;
                }
                None => return Ok(self.end(found, damage, segment.length()?)),
            }
        }
    }

    /// Nothing behind this place can be read.
    fn end(&self, mut found: Verified, damage: Damage, length: u64) -> Verified {
        match self.next {
            Some(next) => {
                found.lost += next.saturating_sub(damage.position);
                found.damage.get_or_insert(damage);
            }
            None => found.torn_bytes = length.saturating_sub(damage.offset),
        }
        found
    }

    fn headless(&self) -> Verified {
        let damage = Damage { position: self.first, offset: 0, what: "header differs" };
        self.end(Verified::default(), damage, self.bytes)
    }
}

fn what(stopped: &Frame) -> &'static str {
    match stopped {
        Frame::Bad(what) => what,
        _ => "record ends early",
    }
}

/// The place of the record behind a damaged one, if the damaged one's length leads to it.
fn behind(
    segment: &Segment,
    position: Position,
    offset: u64,
) -> Result<Option<(Position, u64)>, JournalError> {
    let head = segment.chunk(offset, frame::HEADER)?;
    let Some(length) = head.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes)) else {
        return Ok(None);
    };
    let next = (position + 1, offset + frame::HEADER as u64 + u64::from(length));
    let bytes = segment.chunk(next.1, frame::HEADER + frame::RECORD_BYTES_MAX)?;
    let whole = matches!(frame::read(&bytes, next.0), Frame::Whole { .. });
    Ok(whole.then_some(next))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{Config, Journal};

    /// A journal of 60 records of 9 or 10 bytes in several segments, closed.
    fn journal() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { segment_bytes_max: 512, ..Config::default() };
        let journal = Journal::open(dir.path(), &config).unwrap();
        for n in 0..60 {
            journal.append_blocking(vec![Bytes::from(format!("record {n:02}"))]).unwrap();
        }
        dir
    }

    fn flip(path: &Path, offset: u64) {
        let mut bytes = std::fs::read(path).unwrap();
        bytes[usize::try_from(offset).unwrap()] ^= 1;
        std::fs::write(path, bytes).unwrap();
    }

    fn all(dir: &Path) -> Vec<Verified> {
        segments(dir).unwrap().iter().map(|segment| segment.verify(|_| {}).unwrap()).collect()
    }

    #[test]
    fn a_sound_journal_is_counted_to_its_last_record() {
        let dir = journal();
        let all = all(dir.path());
        assert!(2 < all.len());
        assert!(all.iter().all(|one| one.damage.is_none() && one.torn_bytes == 0));
        assert_eq!(all.iter().map(|one| one.records).sum::<u64>(), 60);
    }

    #[test]
    fn a_flipped_byte_costs_one_record_and_is_named() {
        let dir = journal();
        let first = segments(dir.path()).unwrap()[0].clone();
        // The text of the third record.
        let offset = SEGMENT_HEADER + 2 * 17;
        flip(&first.path, offset + frame::HEADER as u64 + 2);
        let found = first.verify(|_| {}).unwrap();
        let damage = Damage { position: 2, offset, what: "checksum differs" };
        assert_eq!((found.lost, found.damage), (1, Some(damage)));
        assert_eq!(all(dir.path()).iter().map(|one| one.records).sum::<u64>(), 59);
    }

    #[test]
    fn a_length_that_makes_no_sense_costs_the_rest_of_its_segment() {
        let dir = journal();
        let found = segments(dir.path()).unwrap();
        let (first, next) = (found[0].clone(), found[1].first);
        flip(&first.path, SEGMENT_HEADER + 2 * 17 + 3);
        let found = first.verify(|_| {}).unwrap();
        assert_eq!((found.records, found.lost), (2, next - 2));
        assert_eq!(found.damage.map(|damage| damage.position), Some(2));
    }

    #[test]
    fn a_missing_end_of_a_finished_segment_is_damage_and_of_the_last_a_torn_tail() {
        let dir = journal();
        let found = segments(dir.path()).unwrap();
        for segment in [&found[0], found.last().unwrap()] {
            let bytes = std::fs::read(&segment.path).unwrap();
            std::fs::write(&segment.path, &bytes[..bytes.len() - 3]).unwrap();
        }
        let all = all(dir.path());
        assert_eq!((all[0].lost, all[0].damage.is_some()), (1, true));
        let last = all.last().unwrap();
        assert_eq!((last.lost, last.damage, last.torn_bytes), (0, None, 14));
    }

    #[test]
    fn a_flipped_byte_in_the_last_segment_is_damage_where_records_stand_behind_it() {
        let dir = journal();
        let last = segments(dir.path()).unwrap().pop().unwrap();
        flip(&last.path, SEGMENT_HEADER + frame::HEADER as u64);
        let found = last.verify(|_| {}).unwrap();
        assert_eq!((found.lost, found.torn_bytes), (1, 0));
        assert_eq!(found.damage.map(|damage| damage.offset), Some(SEGMENT_HEADER));
    }

    #[test]
    fn a_torn_header_is_told() {
        let dir = journal();
        let first = segments(dir.path()).unwrap()[0].clone();
        flip(&first.path, 9);
        let found = first.verify(|_| {}).unwrap();
        assert_eq!(found.damage.map(|damage| damage.what), Some("header differs"));
        assert!(0 < found.lost);
    }

    #[test]
    fn where_there_is_no_journal_there_is_nothing_to_verify() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(segments(&dir.path().join("journal")).unwrap(), []);
    }
}
