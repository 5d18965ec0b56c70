//! History brought up to its journal where no engine runs: the same fold as the engine's, to its end and sealed.

use std::path::Path;

use domain::Clock;
use history::{History, HistoryError};
use ingest::{BadRecord, Decoder, Record};
use journal::{Journal, JournalError};

use crate::clock::SystemClock;
use crate::follow::READ_BYTES;
use crate::judge::{self, Coming, Memory, Moment, Rounds, SharedMemory, Tests};

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

/// Applies what the journal has and history has not, judges what came late with its neighbours, and seals it. `data` is the
/// data folder, where the state of the tests lies; `show` is told where it is and where the end is. Blocking.
///
/// # Errors
/// [`CatchUpError`]; nothing is lost, and the next start goes on.
pub fn catch_up(
    journal: &Journal,
    history: &History,
    (tests, data): (&Tests, &Path),
    mut show: impl FnMut(u64, u64),
) -> Result<(), CatchUpError> {
    let mut decoder = Decoder::default();
    let next = history.position().map_or(0, |position| position + 1);
    let memory = Memory::open(data, history.position(), tests.plans().is_some());
    let (mut next, mut last) = (next.max(journal.oldest()), None);
    let mut rounds = Rounds::default();
    loop {
        let records = journal.read(next, READ_BYTES)?;
        if records.is_empty() {
            break;
        }
        for (position, bytes) in records {
            let (coming, mut admitted) = match decoder.decode(&bytes)? {
                Record::Admitted(admitted) => (Coming::Live, admitted),
                Record::Imported(admitted) => (Coming::Imported, admitted),
                Record::Clock(_) => {
                    next = position + 1;
                    continue;
                }
            };
            let mut memory = Memory::of(&memory);
            let said = tests.judge(&mut memory.live, coming, &mut admitted);
            history.apply_judged(position, &admitted, said.flags, said.revised);
            last = Some(Moment { position, received_at: admitted.received_at });
            decoder.reuse(admitted);
            next = position + 1;
        }
        let end = journal.durable_end();
        if next < end {
            settle(history, &memory, (tests, &mut rounds, last), true);
            seal(journal, history, &memory, false)?;
        }
        show(next, end);
    }
    while settle(history, &memory, (tests, &mut rounds, last), false) {}
    seal(journal, history, &memory, true)
}

/// Settles a piece of what came late; false where none waits. What waits when history is full is settled by the engine.
fn settle(
    history: &History,
    memory: &SharedMemory,
    (tests, rounds, last): (&Tests, &mut Rounds, Option<Moment>),
    behind: bool,
) -> bool {
    let Some((plans, last)) = tests.plans().zip(last) else { return false };
    if !behind {
        rounds.hurry();
    }
    rounds.step((history, memory), plans, last, behind).is_some()
}

fn seal(
    journal: &Journal,
    history: &History,
    memory: &SharedMemory,
    force: bool,
) -> Result<(), CatchUpError> {
    if let Some(position) = judge::seal(history, memory, SystemClock.now(), force)? {
        journal.set_cursor("history", position + 1)?;
    }
    Ok(())
}
