//! A copy of everything that must survive, made beside a running engine: a cut whose parts belong together, kept in a
//! folder in which nothing is stored twice.
//!
//! ```text
//! saltline-backups     what this folder is, and the version of its form
//! objects/ab/abcd…     a file's content, zstd, named by the BLAKE3 digest of what it unpacks to
//! backups/NAME.json    one backup: its files, their digests, and where the journal ended; written last
//! ```
//! A backup exists once its `.json` does, and everything it names was synced before. What another backup holds already is
//! not written again, so one every hour costs what the hour brought.

mod cut; // the data folder, standing still
mod bucket; // the same below a bucket
mod repository; // contents by digest, backups by name
mod create; // from the one to the other
mod restore; // and back, with every byte compared

use std::path::{Path, PathBuf};

use journal::JournalError;
use registry::RegistryError;
use serde::{Deserialize, Serialize};

pub use bucket::BucketConfig;
pub use create::create;
pub use repository::{Pruned, Repository};
pub use restore::{restore, verify};

use crate::store::StoreError;

/// The version of the form above.
const FORMAT: u32 = 1;

/// One backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// The version of the form.
    pub format: u32,
    /// Its name: when it was made, as `2026-03-11T220000Z`.
    pub name: String,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// The program that made it.
    pub version: String,
    /// The first position of the readings' journal that is not in it.
    pub journal_end: u64,
    /// Its files, by path.
    pub files: Vec<Kept>,
}

impl Backup {
    /// Bytes of all files, unpacked.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Below the data folder, with `/`.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// BLAKE3 of its content, hexadecimal.
    pub digest: String,
    /// Who may read it: the lowest nine bits of its Unix mode.
    pub mode: u32,
    /// When it was last written, nanoseconds since 1970: a file that is never changed again need not be read to be known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified_ns: Option<u64>,
}

/// What a new backup came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The backup.
    pub backup: Backup,
    /// Contents that no backup had before.
    pub new_objects: u64,
    /// What they take on disk.
    pub new_bytes: u64,
}

/// Which backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The newest.
    Newest,
    /// The one of this name.
    Named(String),
    /// The newest that holds nothing of the journal at this position or behind it.
    Before(u64),
}

/// A backup cannot be made, or does not serve.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The disk does not.
    #[error("cannot {act} `{path}`")]
    Disk {
        /// What was tried.
        act: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The store does not.
    #[error("cannot {act} `{place}`")]
    Bucket {
        /// What was tried.
        act: &'static str,
        /// With what.
        place: String,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store does not let us.
    #[error(
        "cannot {act} `{place}`: the store does not accept the key, or the key may not do that"
    )]
    Key {
        /// What was tried.
        act: &'static str,
        /// With what.
        place: String,
    },
    /// A pruning beside it took away what it counted on.
    #[error("a pruning of `{0}` took away what this backup counted on; make it again")]
    Pruned(PathBuf),
    /// There is nothing to back up.
    #[error("there is no data folder `{0}`")]
    NoData(PathBuf),
    /// Another backup of this data, or another use of this folder of backups, is under way.
    #[error("`{0}` is in use by another backup")]
    Busy(PathBuf),
    /// The folder holds something else.
    #[error("`{0}` is not a folder of backups, and not empty")]
    NotBackups(PathBuf),
    /// A newer program wrote it.
    #[error("`{path}` has version {found}; this program knows version {FORMAT}")]
    TooNew {
        /// What.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// Nothing was backed up so far, or nothing of that name.
    #[error("there is no such backup in `{0}`")]
    None(PathBuf),
    /// A restored folder must be a new one.
    #[error("`{0}` is not empty: restore into a new folder, and put it in place yourself")]
    NotEmpty(PathBuf),
    /// Not the bytes that were backed up.
    #[error("`{path}` of the backup is damaged: {what}")]
    Damaged {
        /// The file as it was called in the data folder, or the backup.
        path: String,
        /// In which way.
        what: String,
    },
    /// Files come and go faster than they can be held; each try sees them gone again.
    #[error("the data folder does not stand still: `{0}` was gone at each of several looks")]
    Restless(PathBuf),
    /// The copy is whole, and does not open.
    #[error("the backup does not open")]
    Store(#[from] StoreError),
    /// The registry cannot be copied.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The journal of the copy cannot be looked at.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl BackupError {
    fn disk(act: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Disk { act, path: path.to_owned(), source }
    }

    fn bucket(
        act: &'static str,
        place: &str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Bucket { act, place: place.to_owned(), source: source.into() }
    }

    fn damaged(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.into(), what: what.into() }
    }
}

/// A folder's entries are on disk with their files only once the folder is synced.
fn sync_dir(dir: &Path) -> Result<(), BackupError> {
    let synced = std::fs::File::open(dir).and_then(|folder| folder.sync_all());
    synced.map_err(BackupError::disk("sync", dir))
}

#[cfg(test)]
mod tests;
