//! How far QuestDB is, told by the follower to the reader.

use std::sync::atomic::{AtomicU64, Ordering};

/// Everything below this position of the journal can be queried in QuestDB; nothing is known at 0.
#[derive(Debug, Default)]
pub struct Standing(AtomicU64);

impl Standing {
    /// Everything below `next` can be queried.
    pub(super) fn set(&self, next: u64) {
        self.0.store(next, Ordering::Release);
    }

    /// The first record of which it is not known.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}
