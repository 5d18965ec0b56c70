//! Readings of the past out of files into the journal: read, put into our words, gathered into reports, settled as every
//! report is, and taken in pieces by the one process that has the journal open. Where no engine runs that is this one;
//! beside a running engine the pieces go through a folder that it looks into.
//!
//! What was taken is remembered by the file's digest, so an import that was killed goes on, and one that was done is not
//! done again. History stores the same reading once in any case.

mod tables; // the source's names and flags
mod mark; // how far an import came
mod drain; // pieces out of the folder, into the engine
mod sink; // pieces to whoever has the journal
mod refused; // rows that are not believed
mod file; // one file from its first row to its last

use std::path::PathBuf;

use history::HistoryError;
use history::longform::LongformError;
use ingest::BadRecord;
use journal::JournalError;
use registry::RegistryError;

pub use drain::Drain;
pub use file::{Done, Job};
pub use sink::Sink;
pub use tables::{Tables, TablesError};

/// The folder of imports in the data folder.
pub const FOLDER: &str = "import";

/// Why an import cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file.
    #[error(transparent)]
    File(#[from] LongformError),
    /// A row that is not believed, where none may be.
    #[error(
        "`{path}` line {line}: {reason}: {detail}; mend it, or say --skip-bad to leave such rows out"
    )]
    Row {
        /// The file.
        path: PathBuf,
        /// Its line, or its row in Parquet.
        line: u64,
        /// Why, from the closed list.
        reason: domain::Reason,
        /// What exactly.
        detail: String,
    },
    /// Another import is under way.
    #[error("another import is under way (`{0}` is locked)")]
    Busy(PathBuf),
    /// The engine does not take what waits for it.
    #[error(
        "the running engine has taken nothing for {0} s; the import goes on where it stopped when it is run again"
    )]
    Stalled(u64),
    /// The engine put a piece aside.
    #[error("the running engine could not read a piece of this import (`{0}`); run it again")]
    Aside(PathBuf),
    /// The data folder's disk.
    #[error("cannot {doing} `{path}`")]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The journal.
    #[error("journal does not serve")]
    Journal(#[from] JournalError),
    /// A record of the journal is of a kind that this program does not know.
    #[error("journal holds a record that cannot be read")]
    Record(#[from] BadRecord),
    /// History, which follows it.
    #[error("history does not serve")]
    History(#[from] HistoryError),
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl ImportError {
    fn disk(doing: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Disk { doing, path, source }
    }
}
