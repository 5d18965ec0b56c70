//! What a power cut left behind. Only the last segment can be torn, because a segment is finished and synced before
//! the next one begins; so only it is read through at start, and the start takes as long for a month as for a day.
//!
//! Everything after the last good record is cut off. Zeros alone are room that was never used. Anything else was never
//! acknowledged, unless the disk itself damaged it; therefore the cut bytes are kept beside the segments as
//! `torn-<position>-<n>.bin`, counted and logged.

use std::path::Path;

use crate::frame::{self, Frame};
use crate::segment::{Segment, sync_dir};
use crate::{JournalError, Position};

/// Bytes read at a time when the last segment is walked through.
const CHUNK: usize = 4 << 20;

/// The journal as found on disk.
pub struct Found {
    pub segments: Vec<Segment>,
    pub end: Position,
    /// Length of the last segment's file after the cut.
    pub tail_bytes: u64,
    /// Bytes cut off after the last good record.
    pub torn_bytes: u64,
}

pub fn recover(dir: &Path) -> Result<Found, JournalError> {
    let mut names = list(dir)?;
    let mut torn_bytes = 0;
    let mut segments = Vec::with_capacity(names.len());
    while let Some((first, path)) = names.pop() {
        let last = segments.is_empty();
        match Segment::open(&path, first)? {
            Some(segment) => segments.push(segment),
            // Created, but the power went before its header was durable: it holds nothing.
            None if last => {
                torn_bytes += keep_torn(dir, &path, first, 0)?;
                std::fs::remove_file(&path).map_err(JournalError::io("remove", &path))?;
                sync_dir(dir).map_err(JournalError::io("sync", dir))?;
            }
            None => {
                return Err(JournalError::Damaged { path, offset: 0, what: "header differs" });
            }
        }
    }
    segments.reverse();
    let Some(last) = segments.last_mut() else {
        let fresh = Segment::create(dir, 0).map_err(JournalError::io("create segment in", dir))?;
        let tail_bytes = crate::segment::SEGMENT_HEADER;
        fresh.ends_at(tail_bytes);
        return Ok(Found { segments: vec![fresh], end: 0, tail_bytes, torn_bytes });
    };
    let (end, tail_bytes, cut) = walk_last(dir, last)?;
    Ok(Found { segments, end, tail_bytes, torn_bytes: torn_bytes + cut })
}

/// Reads the last segment through and cuts it after its last good record.
fn walk_last(dir: &Path, last: &mut Segment) -> Result<(Position, u64, u64), JournalError> {
    let mut places = Vec::new();
    let from = last.nearest(last.first);
    let (end, offset, stopped) = last.walk(from, CHUNK, |position, offset, _| {
        places.push((position, offset));
        true
    })?;
    for (position, offset) in places {
        last.note(position, offset);
    }
    let torn = !last.is_unused_from(offset)?;
    let cut = if torn { keep_torn(dir, &last.path, end, offset)? } else { 0 };
    if offset < last.length()? {
        last.file.set_len(offset).map_err(JournalError::io("cut", &last.path))?;
    }
    // A killed process leaves written pages that were never synced: durable before anybody reads them.
    last.file.sync_all().map_err(JournalError::io("sync", &last.path))?;
    last.ends_at(offset);
    if !torn {
        return Ok((end, offset, 0));
    }
    let what = match stopped {
        Frame::Bad(what) => what,
        _ => "record ends early",
    };
    tracing::warn!(path = %last.path.display(), position = end, bytes = cut, what, "cut a torn tail");
    Ok((end, offset, cut))
}

/// Copies what is about to be cut into a file of its own.
fn keep_torn(
    dir: &Path,
    path: &Path,
    position: Position,
    offset: u64,
) -> Result<u64, JournalError> {
    let bytes = std::fs::read(path).map_err(JournalError::io("read", path))?;
    let torn = bytes.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or(&[]);
    let zeros = torn.iter().all(|&b| b == 0);
    if !torn.is_empty() && !zeros {
        let free = (0..1_000).map(|n| dir.join(format!("torn-{position}-{n}.bin")));
        if let Some(aside) = free.into_iter().find(|aside| !aside.exists())
            && let Err(error) = std::fs::write(&aside, torn)
        {
            // A full disk must not keep the journal from opening; the cut is still counted and logged.
            tracing::warn!(path = %aside.display(), %error, "cannot keep the torn bytes aside");
        }
    }
    metrics::counter!("saltline_journal_torn_bytes_total").increment(torn.len() as u64);
    Ok(torn.len() as u64)
}

/// The segments of a folder, oldest first.
pub fn list(dir: &Path) -> Result<Vec<(Position, std::path::PathBuf)>, JournalError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(JournalError::io("list", dir))? {
        let entry = entry.map_err(JournalError::io("list", dir))?;
        if let Some(first) = entry.file_name().to_str().and_then(Segment::parse_name) {
            found.push((first, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

const _: () = assert!(frame::HEADER + frame::RECORD_BYTES_MAX <= CHUNK, "a chunk holds any frame");
