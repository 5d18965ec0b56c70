//! What the tests remember of the readings that history was given. It is of the same moment as history's files: when the
//! tail is set aside the state is written down, before the files are its file is on disk, and a start reads the one that
//! belongs to them. So a power cut changes nothing: the journal behind the files is judged again by the state that it was
//! judged by before.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use analytics::quality::Live;
use domain::Timestamp;
use history::{History, HistoryError};

use super::shelf::{Shelf, written};

/// Shared by the follower and whoever seals. Held while a record is judged and applied, so that nobody sets the tail aside
/// between the two.
pub type SharedMemory = Arc<Mutex<Memory>>;

/// The state of history's tests.
#[derive(Debug)]
pub struct Memory {
    /// What is known of each series.
    pub live: Live,
    shelf: Shelf,
    /// The last record of the tail that was set aside, or of the files where none was.
    cut: Option<u64>,
    /// The state at that record, until its file is on disk.
    state: Option<Vec<u8>>,
}

impl Memory {
    /// The state of this data folder's history, which is sealed up to `position`.
    #[must_use]
    pub fn open(data: &Path, position: Option<u64>, tested: bool) -> SharedMemory {
        let shelf = Shelf::of_history(data);
        let live = match tested {
            true => shelf.load(next(position)),
            false => Live::default(),
        };
        Arc::new(Mutex::new(Self { live, shelf, cut: position, state: None }))
    }

    /// Is the record still in memory, so that what it says of others is stored with it?
    #[must_use]
    pub fn is_open(&self, position: u64) -> bool {
        self.cut.is_none_or(|cut| cut < position)
    }

    /// Takes the memory of its lock. A holder that panicked left a state that is whole: it is changed report by report.
    pub fn of(shared: &SharedMemory) -> MutexGuard<'_, Self> {
        shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_aside(&mut self, history: &History, now: Timestamp, force: bool) -> bool {
        let Some(aside) = history.set_aside(now, force) else { return false };
        if aside.now {
            self.cut = Some(aside.position);
            self.state = (!self.live.is_empty()).then(|| written(&self.live));
        }
        true
    }
}

fn next(position: Option<u64>) -> u64 {
    position.map_or(0, |position| position + 1)
}

/// Seals history where it is due, or in any case with `force`, and keeps the state of that moment. Returns the new position
/// where there is one. A state that cannot be written is counted and logged; the next start begins anew then.
///
/// # Errors
/// As [`History::seal`].
pub fn seal(
    history: &History,
    memory: &SharedMemory,
    now: Timestamp,
    force: bool,
) -> Result<Option<u64>, HistoryError> {
    let mut sealed = None;
    // Two rounds at most: what an earlier call could not write, then what has gathered since.
    for round in 0..2 {
        let due = Memory::of(memory).set_aside(history, now, force);
        if !due && 0 < round {
            break;
        }
        save(memory);
        let Some(position) = history.seal_set_aside(now)? else { break };
        Memory::of(memory).shelf.clear(next(Some(position)));
        sealed = Some(position);
    }
    Ok(sealed)
}

fn save(memory: &SharedMemory) {
    let (shelf, cut, state) = {
        let mut memory = Memory::of(memory);
        (memory.shelf.clone(), memory.cut, memory.state.take())
    };
    let Some(state) = state else { return };
    if let Err(error) = shelf.save(next(cut), &state) {
        metrics::counter!("saltline_quality_state_failed_total", "follower" => "history")
            .increment(1);
        tracing::error!(%error, "cannot write down what the tests know; the next start begins anew");
    }
}
