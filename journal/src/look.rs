//! Reading a journal's folder without opening it: for a command beside the running engine. Nothing is locked, cut or
//! written. What was written and not yet synced may be seen; a record that is not whole yet is the end.

use std::collections::VecDeque;
use std::path::Path;

use bytes::Bytes;

use crate::frame::HEADER;
use crate::recovery;
use crate::segment::Segment;
use crate::{JournalError, Position};

/// Bytes read at a time.
const CHUNK: usize = 1 << 20;

/// The newest records of a folder that `wanted` says yes to, newest first, at most `most` of them, and only such that
/// stand before the position `before`, if there is one. One segment is in hand at a time, so a page near the end costs
/// a part of the journal. A folder that is not there holds nothing.
///
/// # Errors
/// [`JournalError`] where the folder or a file cannot be read.
pub fn newest(
    dir: &Path,
    before: Option<Position>,
    most: usize,
    mut wanted: impl FnMut(Position, &Bytes) -> bool,
) -> Result<Vec<(Position, Bytes)>, JournalError> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let mut out = Vec::new();
    for (first, path) in recovery::list(dir)?.into_iter().rev() {
        if most <= out.len() {
            break;
        }
        if before.is_some_and(|before| before <= first) {
            continue;
        }
        let found = in_segment(&path, first, before, most - out.len(), &mut wanted)?;
        out.extend(found.into_iter().rev());
    }
    Ok(out)
}

/// Gives the records of a folder from `from` on, oldest first, until `take` says no. Returns the position of the first
/// that was given, which is later than `from` where retention has taken what stood before it, or `None` where there was
/// none.
///
/// # Errors
/// [`JournalError`] where the folder or a file cannot be read, [`JournalError::Damaged`] where a record has others behind
/// it and does not read back.
pub fn since(
    dir: &Path,
    from: Position,
    mut take: impl FnMut(Position, &Bytes) -> bool,
) -> Result<Option<Position>, JournalError> {
    if !dir.exists() {
        return Ok(None);
    }
    let all = recovery::list(dir)?;
    let mut first_given = None;
    for (at, (first, path)) in all.iter().enumerate() {
        let next = all.get(at + 1).map(|(next, _)| *next);
        if next.is_some_and(|next| next <= from) {
            continue;
        }
        let segment = match Segment::open_to_read(path, *first) {
            Ok(Some(segment)) => segment,
            Ok(None) => break,
            Err(_) if !path.exists() => continue,
            Err(error) => return Err(error),
        };
        let mut more = true;
        let (end, offset, _) =
            segment.walk(segment.nearest(*first), CHUNK.max(HEADER), |position, _, record| {
                if position < from {
                    return true;
                }
                first_given.get_or_insert(position);
                more = take(position, &record);
                more
            })?;
        if !more {
            break;
        }
        if next.is_some_and(|next| next != end) {
            let path = path.clone();
            return Err(JournalError::Damaged { path, offset, what: "record does not read back" });
        }
    }
    Ok(first_given)
}

fn in_segment(
    path: &Path,
    first: Position,
    before: Option<Position>,
    most: usize,
    wanted: &mut impl FnMut(Position, &Bytes) -> bool,
) -> Result<VecDeque<(Position, Bytes)>, JournalError> {
    let mut found = VecDeque::new();
    let segment = match Segment::open_to_read(path, first) {
        Ok(Some(segment)) => segment,
        // A header that is not whole yet: it is being made.
        Ok(None) => return Ok(found),
        // Retention took it while we looked.
        Err(_) if !path.exists() => return Ok(found),
        Err(error) => return Err(error),
    };
    segment.walk(segment.nearest(first), CHUNK.max(HEADER), |position, _, record| {
        if before.is_some_and(|before| before <= position) {
            return false;
        }
        if wanted(position, &record) {
            if most <= found.len() {
                found.pop_front();
            }
            // A copy: a slice would keep its whole chunk.
            found.push_back((position, Bytes::copy_from_slice(&record)));
        }
        true
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Journal};

    #[test]
    fn a_look_beside_the_writer_sees_the_newest_first_and_pages_back() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { segment_bytes_max: 256, ..Config::default() };
        let journal = Journal::open(dir.path(), &config).unwrap();
        for n in 0..100_u32 {
            journal.append_blocking(vec![Bytes::from(format!("record {n}"))]).unwrap();
        }
        let page = |before| {
            let even = |_, record: &Bytes| (*record.last().unwrap() - b'0').is_multiple_of(2);
            let page = newest(dir.path(), before, 7, even).unwrap();
            page.into_iter().map(|(position, _)| position).collect::<Vec<_>>()
        };
        assert_eq!(page(None), [98, 96, 94, 92, 90, 88, 86]);
        assert_eq!(page(Some(86)), [84, 82, 80, 78, 76, 74, 72]);
        assert_eq!(page(Some(3)), [2, 0]);
        assert_eq!(newest(&dir.path().join("none"), None, 5, |_, _| true).unwrap(), []);
    }

    #[test]
    fn what_came_since_is_read_in_order_from_any_place() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { segment_bytes_max: 256, ..Config::default() };
        let journal = Journal::open(dir.path(), &config).unwrap();
        for n in 0..100_u32 {
            journal.append_blocking(vec![Bytes::from(format!("record {n}"))]).unwrap();
        }
        for from in [0, 1, 37, 99, 100] {
            let mut read = Vec::new();
            let first = since(dir.path(), from, |position, record| {
                assert_eq!(record, &format!("record {position}"));
                read.push(position);
                position < 98
            });
            assert_eq!(first.unwrap(), read.first().copied());
            assert_eq!(read, (from..99.max(from + 1).min(100)).collect::<Vec<_>>(), "{from}");
        }
        let (_, path) = recovery::list(dir.path()).unwrap().remove(0);
        std::fs::remove_file(path).unwrap();
        let first = since(dir.path(), 0, |_, _| true).unwrap();
        assert!(first.is_some_and(|first| 0 < first), "what retention took is seen to be gone");
        assert_eq!(since(&dir.path().join("none"), 0, |_, _| true).unwrap(), None);
    }

    #[test]
    fn half_a_record_at_the_end_is_not_there_yet() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path(), &Config::default()).unwrap();
        journal.append_blocking(vec![Bytes::from_static(b"whole")]).unwrap();
        let (_, path) = recovery::list(dir.path()).unwrap().remove(0);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&bytes[..], &[9, 0, 0]].concat()).unwrap();
        assert_eq!(newest(dir.path(), None, 5, |_, _| true).unwrap().len(), 1);
        assert_eq!(std::fs::read(&path).unwrap().len(), bytes.len() + 3, "nothing was cut");
    }
}
