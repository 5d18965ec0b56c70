//! How far those are that follow the journal.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use journal::{Journal, Position};

/// Where each follower of a journal stands. How far that is behind the journal's end is worked out by whoever asks, so
/// that a record counts from the moment in which it is acknowledged, and not from when its follower looked up.
#[derive(Clone)]
pub struct Behind {
    journal: Journal,
    next: Arc<Mutex<BTreeMap<&'static str, Position>>>,
}

impl Behind {
    /// Of the followers of `journal`; there is none yet.
    #[must_use]
    pub fn new(journal: Journal) -> Self {
        Self { journal, next: Arc::default() }
    }

    /// `follower` has seen all records before `next`.
    pub fn reached(&self, follower: &'static str, next: Position) {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).insert(follower, next);
    }

    /// Sets `saltline_journal_behind_records` of each follower.
    pub fn show(&self) {
        // The end first: a follower that passes it meanwhile is not behind.
        let end = self.journal.durable_end();
        for (&follower, &next) in &*self.next.lock().unwrap_or_else(PoisonError::into_inner) {
            let behind = end.saturating_sub(next);
            metrics::gauge!("saltline_journal_behind_records", "follower" => follower)
                .set(behind as f64);
        }
    }
}
