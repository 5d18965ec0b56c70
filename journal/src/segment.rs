//! One file of records, named by the position of its first: `00000000000000000042.seg`.
//!
//! ```text
//! magic   [u8; 8]  "SLTJRN" and the format's version in two digits, now "01"
//! first   u64      position of the first record, as in the name
//! crc32   u32      over magic and first
//! zero    [u8; 4]
//! frames  …        see `frame`
//! zeros   …        room for more, in the segment that is written to (see `commit`); a power cut leaves them there
//! ```
//! An old program refuses a segment of a newer version by its magic and touches nothing.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::frame::{self, Frame};
use crate::{JournalError, Position};

/// Bytes before the first frame.
pub const SEGMENT_HEADER: u64 = 24;
const MAGIC: [u8; 8] = *b"SLTJRN01";

/// Records between two entries of a segment's index. A read that starts anywhere walks over at most this many frames:
/// about 40 kB of headers, far below the cost of opening the file.
const INDEX_EVERY: u64 = 1_024;

/// A segment as readers see it.
#[derive(Debug, Clone)]
pub struct Segment {
    pub first: Position,
    pub path: PathBuf,
    pub file: Arc<File>,
    /// Some records' places, first record first; grows as records are written or walked over.
    pub index: Vec<(Position, u64)>,
    /// The place after the last durable record, where the writer keeps it up to date; else [`UNKNOWN`].
    end: Arc<AtomicU64>,
}

/// No writer says where a segment's records end: its file does.
const UNKNOWN: u64 = u64::MAX;

impl Segment {
    pub fn name(first: Position) -> String {
        format!("{first:020}.seg")
    }

    /// The position in a segment's file name, if it is one.
    pub fn parse_name(name: &str) -> Option<Position> {
        let digits = name.strip_suffix(".seg")?;
        (digits.len() == 20).then(|| digits.parse().ok())?
    }

    /// Makes a new segment and makes its existence durable.
    pub fn create(dir: &Path, first: Position) -> io::Result<Self> {
        let path = dir.join(Self::name(first));
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        let made = file
            .write_all(&header(first))
            .and_then(|()| file.sync_data())
            .and_then(|()| sync_dir(dir));
        if let Err(error) = made {
            // Half a header is no segment; what cannot be removed now is cleaned by recovery.
            drop(std::fs::remove_file(&path));
            return Err(error);
        }
        let index = vec![(first, SEGMENT_HEADER)];
        Ok(Self { first, path, file: Arc::new(file), index, end: Arc::new(UNKNOWN.into()) })
    }

    /// Opens a segment and checks its header. `Ok(None)` where the header itself is torn.
    pub fn open(path: &Path, first: Position) -> Result<Option<Self>, JournalError> {
        Self::open_as(path, first, OpenOptions::new().read(true).write(true))
    }

    /// The same for somebody who only looks.
    pub fn open_to_read(path: &Path, first: Position) -> Result<Option<Self>, JournalError> {
        Self::open_as(path, first, OpenOptions::new().read(true))
    }

    fn open_as(
        path: &Path,
        first: Position,
        options: &OpenOptions,
    ) -> Result<Option<Self>, JournalError> {
        let file = options.open(path).map_err(JournalError::io("open", path))?;
        let mut head = [0_u8; SEGMENT_HEADER as usize];
        match file.read_exact_at(&mut head, 0) {
            Ok(()) if head == header(first) => {}
            Ok(()) if head[..8] != MAGIC && is_version(&head) => {
                return Err(JournalError::UnknownFormat(path.to_owned()));
            }
            Ok(()) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(JournalError::io("read", path)(error)),
        }
        let index = vec![(first, SEGMENT_HEADER)];
        let end = Arc::new(UNKNOWN.into());
        Ok(Some(Self { first, path: path.to_owned(), file: Arc::new(file), index, end }))
    }

    /// Remembers where a record stands, if it is far enough from the last one remembered.
    pub fn note(&mut self, position: Position, offset: u64) {
        let last = self.index.last().map_or(0, |&(at, _)| at);
        if last + INDEX_EVERY <= position {
            self.index.push((position, offset));
        }
    }

    /// The nearest remembered place at or before `position`.
    pub fn nearest(&self, position: Position) -> (Position, u64) {
        let after = self.index.partition_point(|&(at, _)| at <= position);
        self.index[after.saturating_sub(1)]
    }

    /// A copy that knows only the place nearest to `at`: what a reader needs, without the index of a whole segment.
    pub fn light(&self, at: Position) -> Self {
        let index = vec![self.nearest(at)];
        let end = self.end.clone();
        Self { first: self.first, path: self.path.clone(), file: self.file.clone(), index, end }
    }

    /// Everything before this place is durable, and readers need not look behind it.
    pub fn ends_at(&self, offset: u64) {
        self.end.store(offset, Ordering::Release);
    }

    /// The file's bytes.
    pub fn length(&self) -> Result<u64, JournalError> {
        let meta = self.file.metadata().map_err(JournalError::io("look at", &self.path))?;
        Ok(meta.len())
    }

    /// Is there nothing but zeros from this place on? That is room which was never written to, or the end of the file.
    pub fn is_unused_from(&self, mut offset: u64) -> Result<bool, JournalError> {
        loop {
            let chunk = self.chunk(offset, 1 << 18)?;
            if chunk.is_empty() {
                return Ok(true);
            }
            if chunk.iter().any(|&byte| byte != 0) {
                return Ok(false);
            }
            offset += chunk.len() as u64;
        }
    }

    /// Reads about `size` bytes from `offset`, fewer at the end of the file.
    pub fn chunk(&self, offset: u64, size: usize) -> Result<Bytes, JournalError> {
        // A follower at the end of a busy journal asks thousands of times a second for the little that is new: room
        // for a whole chunk would be zeroed each time, and the writer's room read with it.
        let length = match self.end.load(Ordering::Acquire) {
            UNKNOWN => self.length()?,
            end => end,
        };
        let there = usize::try_from(length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let size = size.min(there);
        let mut chunk = vec![0; size];
        let mut filled = 0;
        while filled < size {
            match self.file.read_at(&mut chunk[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(JournalError::io("read", &self.path)(error)),
            }
        }
        chunk.truncate(filled);
        Ok(Bytes::from(chunk))
    }

    /// Walks frames from a known place and hands each record to `each` until it says stop, the file ends or a frame is
    /// not whole. Returns the place after the last whole frame and what stood there.
    pub fn walk(
        &self,
        from: (Position, u64),
        chunk_bytes: usize,
        mut each: impl FnMut(Position, u64, Bytes) -> bool,
    ) -> Result<(Position, u64, Frame), JournalError> {
        let (mut position, mut offset) = from;
        let mut size = chunk_bytes;
        loop {
            let mut chunk = self.chunk(offset, size)?;
            let at_end = chunk.len() < size;
            let start = offset;
            loop {
                match frame::read(&chunk, position) {
                    Frame::Whole { record, size } => {
                        if !each(position, offset, record) {
                            return Ok((position, offset, Frame::Short));
                        }
                        chunk = chunk.slice(size..);
                        position += 1;
                        offset += size as u64;
                    }
                    Frame::Short if !at_end => break,
                    other => return Ok((position, offset, other)),
                }
            }
            // No whole frame fitted: ask for one of the largest size.
            size =
                if offset == start { frame::HEADER + frame::RECORD_BYTES_MAX } else { chunk_bytes };
        }
    }
}

/// Another version's header, and not half of ours: two digits stand after the name.
fn is_version(head: &[u8]) -> bool {
    head[..6] == MAGIC[..6] && head[6..8].iter().all(u8::is_ascii_digit)
}

fn header(first: Position) -> [u8; SEGMENT_HEADER as usize] {
    let mut head = [0; SEGMENT_HEADER as usize];
    head[..8].copy_from_slice(&MAGIC);
    head[8..16].copy_from_slice(&first.to_le_bytes());
    let crc = crc32fast::hash(&head[..16]);
    head[16..20].copy_from_slice(&crc.to_le_bytes());
    head
}

/// Makes names in a folder durable: a new file, a rename, a removal.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
