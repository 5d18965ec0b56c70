//! What may go wrong, cut by what the caller does next: wait and try again, call the operator, or start elsewhere.

use std::io;
use std::path::{Path, PathBuf};

/// An error of the embedded store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The disk refused. Nothing is lost: what was to be sealed stays in the tail, and the next call tries again.
    #[error("cannot {doing} `{path}`")]
    Disk {
        /// What was tried, as a verb.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system or the Parquet writer said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file is not what was sealed: a checksum is wrong, or bytes are missing. The rest of history can be read.
    #[error("`{path}` is damaged: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A file of a version that this program does not know; a newer one wrote it.
    #[error("`{path}` has format version {found}, and this program reads {known}")]
    UnknownVersion {
        /// The file.
        path: PathBuf,
        /// The version it names.
        found: String,
        /// The newest version known here.
        known: u32,
    },
    /// Another process (or another handle that is not a clone) holds this folder.
    #[error("`{path}` is in use by another process")]
    InUse {
        /// The folder's lock file.
        path: PathBuf,
    },
}

impl HistoryError {
    pub(crate) fn disk(
        doing: &'static str,
        path: &Path,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Disk { doing, path: path.to_owned(), source: source.into() }
    }

    pub(crate) fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.into() }
    }

    /// A failed read: bytes that are not there are damage, all else is the disk's.
    pub(crate) fn reading(path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::UnexpectedEof => {
                Self::damaged(path, "it is shorter than what was sealed")
            }
            io::ErrorKind::NotFound => Self::damaged(path, "it is missing"),
            _ => Self::disk("read", path, source),
        }
    }
}
