//! What has to be sent: slots of stations in which something was measured, or corrected, and that were not sent since.
//! Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{StationCode, Timestamp};

/// Slots that may wait in memory: of 200 stations 17 days without the server, some 100 MB. What comes then waits in the
/// journal.
pub(super) const WAITING_MAX: usize = 1_000_000;

/// A slot of a station: the readings of so long before its end, the end included.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    pub(super) end: Timestamp,
    pub(super) station: StationCode,
}

impl Slot {
    /// The slot that a reading is of. Who measures on the hour speaks of the five minutes before it.
    pub(super) fn of(station: StationCode, taken_at: Timestamp, every: Duration) -> Self {
        let floor = taken_at.floor(every);
        let end = if floor == taken_at { floor } else { floor + every };
        Self { end, station }
    }
}

/// The slots that wait, each with the first record of the journal that speaks of it.
#[derive(Debug, Default)]
pub(super) struct Slots {
    waiting: BTreeMap<Slot, u64>,
}

impl Slots {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Is there no room for another record?
    pub(super) fn is_full(&self) -> bool {
        WAITING_MAX <= self.waiting.len()
    }

    /// A record speaks of this slot.
    pub(super) fn add(&mut self, slot: Slot, position: u64) {
        self.waiting.entry(slot).or_insert(position);
    }

    /// Does this slot wait?
    pub(super) fn holds(&self, slot: &Slot) -> bool {
        self.waiting.contains_key(slot)
    }

    /// It was sent, or will never be.
    pub(super) fn remove(&mut self, slot: &Slot) {
        self.waiting.remove(slot);
    }

    /// The slots that are over since `settle`, the oldest first, but those that `later` names.
    pub(super) fn due(
        &self,
        now: Timestamp,
        settle: Duration,
        most: usize,
        later: impl Fn(&Slot) -> bool,
    ) -> Vec<Slot> {
        let over = self.waiting.keys().take_while(|slot| slot.end + settle <= now);
        over.filter(|slot| !later(slot)).take(most).cloned().collect()
    }

    /// Takes out what ended before `oldest`; returns how many.
    pub(super) fn forget(&mut self, oldest: Timestamp) -> usize {
        let mut forgotten = 0;
        while let Some(first) = self.waiting.first_entry() {
            if oldest <= first.key().end {
                break;
            }
            first.remove();
            forgotten += 1;
        }
        forgotten
    }

    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.waiting.keys().next().map(|slot| slot.end)
    }

    /// The first record that is still needed, where `next` is the first that was not read.
    pub(super) fn needed(&self, next: u64) -> u64 {
        self.waiting.values().copied().min().unwrap_or(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(300);

    fn slot(station: &str, minutes: i64) -> Slot {
        let taken_at = Timestamp::from_millis(minutes * 60_000);
        Slot::of(StationCode::new(station).unwrap(), taken_at, EVERY)
    }

    #[test]
    fn a_slot_holds_what_was_measured_up_to_its_end() {
        assert_eq!(slot("a", 10).end, Timestamp::from_millis(600_000));
        assert_eq!(slot("a", 11).end, Timestamp::from_millis(900_000));
        assert_eq!(slot("a", 15), slot("a", 11));
        assert_ne!(slot("a", 15), slot("a", 16));
    }

    #[test]
    fn the_oldest_goes_first_and_the_journal_is_held_by_what_waits() {
        let mut slots = Slots::default();
        assert_eq!(slots.needed(7), 7);
        for (position, (station, minutes)) in
            (7_u64..).zip([("b", 20), ("a", 20), ("a", 3), ("b", 20), ("a", 4)])
        {
            slots.add(slot(station, minutes), position);
        }
        let at = |minutes: i64| Timestamp::from_millis(minutes * 60_000);
        let due = |slots: &Slots, minutes: i64| slots.due(at(minutes), EVERY, 10, |_| false);
        assert_eq!(due(&slots, 24), [slot("a", 5)]);
        assert_eq!(due(&slots, 25), [slot("a", 5), slot("a", 20), slot("b", 20)]);
        assert_eq!(slots.due(at(25), EVERY, 2, |it| *it == slot("a", 20)).len(), 2);
        assert_eq!((slots.len(), slots.needed(12)), (3, 7));
        slots.remove(&slot("b", 20));
        assert_eq!(slots.needed(12), 8);
        assert_eq!(slots.forget(at(6)), 1);
        assert_eq!((slots.oldest(), slots.needed(12)), (Some(at(20)), 8));
    }
}
