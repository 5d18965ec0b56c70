//! How far the stations' clocks are from ours, as far as their reports tell: a report that was taken and sent at once
//! arrives later by what the network takes, so `taken_at − received_at` is the clock's error less a delay that is never
//! negative. Of the last reports the second largest is taken: near the upper edge, where the delay is smallest, and one
//! wild stamp cannot make it.
//!
//! A station that sends in batches, or whose files lie in a folder first, seems to be behind by the shortest of these
//! waits. A report without a time of its own says nothing, and so does a replay.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{StationCode, Timestamp};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// Reports that are looked at: three hours of a station that reports every five minutes, and so long a clock that was
/// set back is still taken for fast. In memory 500 bytes a station.
const WINDOW: usize = 32;

/// A clock that is further off than this is told to people: a tide moves 2 cm in a minute, and nobody sees that.
pub const CLOCK_OFF_MAX_MS: i64 = 60_000;

/// See the module. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Clocks {
    held: Arc<Mutex<FxHashMap<StationCode, VecDeque<Seen>>>>,
}

/// One report: how far ahead of ours its time was, and when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Seen(i64, i64);

/// How far a station's clock is from ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockOffset {
    /// Whose.
    pub station: StationCode,
    /// Milliseconds that it is ahead of ours; below zero, behind.
    pub ahead_ms: i64,
    /// Reports that this is known from.
    pub reports: usize,
    /// When the newest of them came.
    pub at: Timestamp,
}

/// The same over a restart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedClocks {
    stations: std::collections::BTreeMap<String, Vec<Seen>>,
}

impl Clocks {
    /// Takes note of a live report's time.
    pub fn note(&self, station: &StationCode, taken_at: Timestamp, received_at: Timestamp) {
        let (taken, came) = (taken_at.as_millis(), received_at.as_millis());
        let seen = Seen(taken.saturating_sub(came), came);
        let mut held = self.held();
        let Some(window) = held.get_mut(station) else {
            held.insert(station.clone(), VecDeque::from([seen]));
            return;
        };
        match window.back_mut() {
            // What came in one packet was not all sent at once: the newest was.
            Some(last) if last.1 == came => last.0 = last.0.max(seen.0),
            _ => {
                if window.len() == WINDOW {
                    window.pop_front();
                }
                window.push_back(seen);
            }
        }
    }

    /// How far this station's clock is from ours, where it ever said a time.
    #[must_use]
    pub fn offset(&self, station: &StationCode) -> Option<ClockOffset> {
        offset(station, self.held().get(station)?)
    }

    /// The same of every station.
    #[must_use]
    pub fn all(&self) -> Vec<ClockOffset> {
        self.held().iter().filter_map(|(station, window)| offset(station, window)).collect()
    }

    /// Forgets the stations that are not to be kept.
    pub fn keep(&self, wanted: impl Fn(&StationCode) -> bool) {
        self.held().retain(|station, _| wanted(station));
    }

    /// What is to be known after a restart.
    #[must_use]
    pub fn save(&self) -> SavedClocks {
        let held = self.held();
        let row = |(station, window): (&StationCode, &VecDeque<Seen>)| {
            (station.to_string(), window.iter().copied().collect())
        };
        SavedClocks { stations: held.iter().map(row).collect() }
    }

    /// Knows again what was known.
    pub fn restore(&self, saved: SavedClocks) {
        let row = |(code, seen): (String, Vec<Seen>)| {
            let newest = seen.len().saturating_sub(WINDOW);
            Some((StationCode::new(&code).ok()?, seen.into_iter().skip(newest).collect()))
        };
        *self.held() = saved.stations.into_iter().filter_map(row).collect();
    }

    fn held(&self) -> MutexGuard<'_, FxHashMap<StationCode, VecDeque<Seen>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn offset(station: &StationCode, window: &VecDeque<Seen>) -> Option<ClockOffset> {
    let mut ahead: Vec<i64> = window.iter().map(|seen| seen.0).collect();
    ahead.sort_unstable();
    let ahead_ms = *ahead.iter().rev().nth(1).or(ahead.last())?;
    let at = Timestamp::from_millis(window.back()?.1);
    Some(ClockOffset { station: station.clone(), ahead_ms, reports: ahead.len(), at })
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: i64 = 1_773_266_400_000;

    fn station() -> StationCode {
        StationCode::new("xuan-hoa").unwrap()
    }

    /// The estimate after reports each taken so many milliseconds off and so long under way.
    fn after(reports: &[(i64, i64)]) -> i64 {
        let clocks = Clocks::default();
        for (n, &(off, delay)) in (0..).zip(reports) {
            let sent = T0 + n * 300_000;
            let (taken, came) = (sent + off, sent + delay);
            clocks.note(&station(), Timestamp::from_millis(taken), Timestamp::from_millis(came));
        }
        clocks.offset(&station()).unwrap().ahead_ms
    }

    #[test]
    fn the_error_is_told_from_the_delay_and_a_wild_stamp_changes_nothing() {
        let delays = [2_000, 150, 90_000, 300, 45_000, 180, 600_000, 220];
        for off in [0, 120_000, -7_200_000, -1_773_266_000_000] {
            let mut reports: Vec<_> = delays.iter().map(|&delay| (off, delay)).collect();
            assert!((after(&reports) - off).abs() <= 180, "{off}: {}", after(&reports));
            reports[3].0 = 280_000;
            assert!((after(&reports) - off).abs() <= 220, "{off}: {}", after(&reports));
        }
    }

    #[test]
    fn a_clock_that_was_set_is_believed_within_the_window() {
        let mut reports = vec![(240_000, 200); 40];
        reports.extend(vec![(0, 200); WINDOW]);
        assert_eq!(after(&reports), -200);
        let mut forward = vec![(-3_600_000, 200); 40];
        forward.extend([(0, 200); 2]);
        assert_eq!(after(&forward), -200, "forward it is believed at once");
    }

    #[test]
    fn of_a_packet_the_newest_report_counts_and_a_restart_forgets_nothing() {
        let clocks = Clocks::default();
        let at = |ms| Timestamp::from_millis(T0 + ms);
        for n in 0..288 {
            clocks.note(&station(), at(n * 300_000), at(288 * 300_000));
        }
        let found = clocks.offset(&station()).unwrap();
        assert_eq!((found.ahead_ms, found.reports), (-300_000, 1));
        let again = Clocks::default();
        again
            .restore(serde_json::from_value(serde_json::to_value(clocks.save()).unwrap()).unwrap());
        assert_eq!(again.all(), [found]);
        again.keep(|_| false);
        assert!(again.all().is_empty());
        clocks.note(&station(), Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX));
    }
}
