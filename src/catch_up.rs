//! History brought up to its journal where no engine runs: the same fold as the engine's, to its end and sealed.

use analytics::quality::Quality;
use domain::Clock;
use history::{History, HistoryError};
use ingest::{BadRecord, Decoder, Record};
use journal::{Journal, JournalError};

use crate::clock::SystemClock;
use crate::follow::READ_BYTES;

/// Why history stays behind.
#[derive(Debug, thiserror::Error)]
pub enum CatchUpError {
    /// The journal does not read back.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// It holds what this program does not know.
    #[error("journal holds a record that cannot be read")]
    Record(#[from] BadRecord),
    /// History does not open, or cannot be written.
    #[error(transparent)]
    History(#[from] HistoryError),
}

/// Applies what the journal has and history has not, and seals it. `show` is told where it is and where the end is.
/// Blocking.
///
/// # Errors
/// [`CatchUpError`]; nothing is lost, and the next start goes on.
pub fn catch_up(
    journal: &Journal,
    history: &History,
    quality: &Quality,
    mut show: impl FnMut(u64, u64),
) -> Result<(), CatchUpError> {
    let mut decoder = Decoder::default();
    let next = history.position().map_or(0, |position| position + 1);
    let mut next = next.max(journal.oldest());
    loop {
        let records = journal.read(next, READ_BYTES)?;
        if records.is_empty() {
            break;
        }
        for (position, bytes) in records {
            if let Record::Admitted(mut admitted) | Record::Imported(mut admitted) =
                decoder.decode(&bytes)?
            {
                quality.judge(&mut admitted);
                history.apply(position, &admitted);
                decoder.reuse(admitted);
            }
            next = position + 1;
        }
        seal(journal, history, false)?;
        show(next, journal.durable_end());
    }
    seal(journal, history, true)
}

fn seal(journal: &Journal, history: &History, force: bool) -> Result<(), CatchUpError> {
    if let Some(position) = history.seal(SystemClock.now(), force)? {
        journal.set_cursor("history", position + 1)?;
    }
    Ok(())
}
