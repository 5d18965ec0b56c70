//! What is remembered of clients, on disk: sessions that outlive their connection, what waits for them, retained
//! messages and wills. A log of changes, of which the state is a fold; a snapshot now and then, so that the log stays
//! small and a start short.
//!
//! ```text
//! sessions/                 the log's folder: a journal, its records as in `codec`
//!   snapshot                as in `snapshot`: everything before its position
//!   00000000000000000000.seg …  the changes since, and perhaps some before that a power cut left behind
//! ```
//! A torn tail is the journal's matter: it is cut after the last whole change, and any prefix of the log is a state
//! that once was. Whoever was told something was told it after its change was on disk, so no cut takes it back.

mod change; // what can change
mod codec; // a change as bytes
mod state; // what all changes come to
mod snapshot; // the living state in one file
mod log; // written, noted, reached, compacted
mod line; // one session's part of it
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing; // what reads the log, for the fuzzer

use std::path::PathBuf;

use journal::{JournalError, Position};

pub use log::SessionLog;

pub(super) use change::{
    Addressed, Body, Change, LetterNo, MessageNo, Options, Published, Retain, SessionNo, Terms,
    Testament,
};
pub(super) use line::Line;
pub(super) use state::{KeptSession, KeptWill, Stage, State};

/// What is remembered of clients cannot be opened or kept.
#[derive(Debug, thiserror::Error)]
pub enum SessionLogError {
    /// The log's journal does not serve.
    #[error("session log does not serve")]
    Journal(#[from] JournalError),
    /// The snapshot cannot be written or does not read back.
    #[error("snapshot of sessions `{path}` does not serve")]
    Snapshot {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The snapshot speaks of more than the log holds: one of the two was replaced.
    #[error("snapshot of sessions stands at {snapshot}, but their log ends at {end}")]
    Foreign {
        /// Where the snapshot stands.
        snapshot: Position,
        /// Where the log ends.
        end: Position,
    },
    /// A record of the log is not a change that this program knows.
    #[error("record {position} of the session log cannot be read")]
    Change {
        /// Its position.
        position: Position,
        /// What is wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The log's thread cannot be started.
    #[error("cannot start the session log's thread")]
    Thread(#[source] std::io::Error),
}

#[cfg(test)]
mod tests;
