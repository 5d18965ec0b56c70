//! All readings at a moment, for export, statistics and comparison: what is sealed, without opening the store, and behind
//! it what the journal has; so nothing that was acknowledged before is left out. The journal's records are judged as
//! history's follower judges them.

use std::io;
use std::path::{Path, PathBuf};

use analytics::quality::Live;
use history::{HistoryError, Look};
use ingest::{Decoder, Record};
use journal::JournalError;

use crate::judge::{Coming, Shelf, Tests};

/// Readings that are not sealed and are held in memory: four times what the engine lets gather, 100 MB. More stand in the
/// journal only after a long import, until the engine has gone through it.
pub const UNSEALED_MAX: usize = 4_000_000;

/// Looks at history and journal until the two fit: a seal and retention must both fall between.
const LOOKS: usize = 4;

/// Where the links to sealed files are, below the data folder. Backups pass over hidden folders.
const HOLD: &str = ".readout";

/// Why readings cannot be given out.
#[derive(Debug, thiserror::Error)]
pub enum ReadoutError {
    /// History does not read back.
    #[error(transparent)]
    History(HistoryError),
    /// Another export, comparison or count is under way.
    #[error("another command reads all of history now (`{0}` is locked)")]
    Busy(PathBuf),
    /// The journal does not read back.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal holds what this program does not know.
    #[error("record {0} of the journal cannot be read")]
    Record(u64),
    /// Too much of the journal is not in history.
    #[error(
        "{0} readings or more of the journal are not in history yet; wait for the engine, or start it"
    )]
    Behind(usize),
    /// Records are gone that history has not sealed.
    #[error(
        "the journal begins at record {oldest}, and history ends at {sealed}: what was between is gone"
    )]
    Gap {
        /// The oldest record.
        oldest: u64,
        /// The first that history has not.
        sealed: u64,
    },
    /// It would be written over.
    #[error("`{0}` is there already, and is not written over")]
    There(PathBuf),
    /// The output cannot be written.
    #[error("cannot write `{path}`")]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl From<HistoryError> for ReadoutError {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::InUse { path } => Self::Busy(path),
            error => Self::History(error),
        }
    }
}

/// What is sealed of a data folder, and nothing else.
pub fn sealed(data: &Path) -> Result<Look, ReadoutError> {
    Ok(Look::open(&data.join("history"), &data.join(HOLD))?)
}

/// All readings of a data folder, and the first record of the journal that is not among them.
pub fn look(data: &Path, tests: &Tests) -> Result<(Look, u64), ReadoutError> {
    let mut gap = None;
    for _ in 0..LOOKS {
        let mut look = Look::open(&data.join("history"), &data.join(HOLD))?;
        let sealed = look.position().map_or(0, |position| position + 1);
        let (mut next, mut bad, mut full) = (sealed, None, false);
        let mut decoder = Decoder::default();
        let mut live = match tests.plans() {
            Some(_) => Shelf::of_history(data).load(sealed),
            None => Live::default(),
        };
        let first = journal::since(&data.join("journal"), sealed, |position, bytes| {
            let record = decoder.decode(bytes);
            let mut add = |coming, mut admitted| {
                let said = tests.judge(&mut live, coming, &mut admitted);
                look.add_judged(position, &admitted, said.flags, said.revised);
                decoder.reuse(admitted);
            };
            match record {
                Ok(Record::Admitted(admitted)) => add(Coming::Live, admitted),
                Ok(Record::Imported(admitted)) => add(Coming::Imported, admitted),
                Ok(Record::Clock(_)) => (),
                Err(_) => bad = Some(position),
            }
            next = position + 1;
            full = UNSEALED_MAX <= look.unsealed();
            bad.is_none() && !full
        })?;
        if let Some(position) = bad {
            return Err(ReadoutError::Record(position));
        }
        if full {
            return Err(ReadoutError::Behind(UNSEALED_MAX));
        }
        match first {
            // It was sealed and deleted since history's manifest was read.
            Some(oldest) if sealed < oldest => gap = Some(ReadoutError::Gap { oldest, sealed }),
            _ => return Ok((look, next)),
        }
    }
    Err(gap.expect("only a gap looks again"))
}
