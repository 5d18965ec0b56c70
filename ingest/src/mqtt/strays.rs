//! Letters of groups that nobody could take when the member who had them ended its session: the others' queues were
//! full. They wait here for room, in memory, and are looked at again with every tick.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::config::Config;
use super::counters::dropped;
use super::message::Letter;

/// See the module. As much may wait as in one session's queue: so much one member may have had.
#[derive(Debug)]
pub(super) struct Strays {
    held: Mutex<Held>,
    /// How many; zero means that nobody need look.
    count: AtomicUsize,
    messages_max: usize,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Held {
    letters: VecDeque<Letter>,
    bytes: usize,
}

impl Strays {
    pub(super) fn new(config: &Config) -> Self {
        let Config { queue_messages_max, queue_bytes_max, .. } = *config;
        let (messages_max, bytes_max) = (queue_messages_max, queue_bytes_max);
        Self { held: Mutex::default(), count: AtomicUsize::new(0), messages_max, bytes_max }
    }

    /// Keeps a letter whose session is over, or drops it where too many wait.
    pub(super) fn keep(&self, letter: Letter) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = letter.message.bytes();
        if self.messages_max <= held.letters.len() || self.bytes_max < held.bytes + bytes {
            tracing::debug!(topic = %letter.message.topic, "nobody of the group can take it");
            return dropped("no_shared_subscriber");
        }
        held.bytes += bytes;
        held.letters.push_back(Letter { no: None, ..letter });
        self.count.store(held.letters.len(), Ordering::Relaxed);
    }

    /// Takes all of them, oldest first.
    pub(super) fn take(&self) -> VecDeque<Letter> {
        if self.count.swap(0, Ordering::Relaxed) == 0 {
            return VecDeque::new();
        }
        std::mem::take(&mut *self.held.lock().unwrap_or_else(PoisonError::into_inner)).letters
    }
}
