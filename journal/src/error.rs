//! Cut by what the caller does next: go on from the oldest record, repair the disk, or stop the process.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::Position;

/// What a journal can answer instead of a proof or a record.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// A file cannot be opened, read, listed or renamed.
    #[error("cannot {act} `{path}`")]
    Io {
        /// What was tried.
        act: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: Arc<io::Error>,
    },
    /// Another process has this folder open.
    #[error("journal `{0}` is in use by another process")]
    InUse(PathBuf),
    /// A sealed segment does not read back as it was written.
    #[error("segment `{path}` is damaged at byte {offset}: {what}")]
    Damaged {
        /// The segment's file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What was found.
        what: &'static str,
    },
    /// The segment was written by a program newer than this one.
    #[error("segment `{0}` has a format this version does not know")]
    UnknownFormat(PathBuf),
    /// The record was deleted by retention; `oldest` is the first that is left.
    #[error("record {wanted} is gone; the oldest is {oldest}")]
    Gone {
        /// What was asked for.
        wanted: Position,
        /// The first record that is left.
        oldest: Position,
    },
    /// A write or sync failed. Final for the process: what is on disk is not known any more, so nothing may be
    /// acknowledged (a second fsync after a failed one can succeed without the data being there).
    #[error("journal has failed for good: {0}")]
    Failed(Arc<str>),
    /// The journal was closed before the records were on disk.
    #[error("journal is closed")]
    Closed,
    /// A record is empty or larger than a segment may hold.
    #[error("record of {0} bytes; 1 to {max} are possible", max = crate::frame::RECORD_BYTES_MAX)]
    BadRecord(usize),
    /// A cursor's name is not a file name.
    #[error("`{0}` is not a cursor name; use a-z, 0-9 and -")]
    BadCursorName(String),
}

impl JournalError {
    pub(crate) fn io(
        act: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { act, path, source: Arc::new(source) }
    }
}
