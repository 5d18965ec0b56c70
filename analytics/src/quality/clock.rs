//! A station's clock that stands: reports keep coming, but their time does not move. What it sends afterwards all bears
//! one time, so this test alone looks at what comes, in the order in which it comes, and not at the record.

use domain::{Flag, Timestamp};
use serde::{Deserialize, Serialize};

/// When a clock is called stuck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StuckClock {
    /// Reports with one time, received one after the other, that are suspect: the QARTOD manual's REP_CNT_SUSPECT.
    pub suspect: u32,
    /// And that are bad: REP_CNT_FAIL.
    pub fail: u32,
}

impl Default for StuckClock {
    /// 3 and 5, the counts of the manual for values that repeat (IOOS QARTOD, temperature and salinity, v2.1, test 8).
    fn default() -> Self {
        Self { suspect: 3, fail: 5 }
    }
}

/// The newest report of a station, and how often its time came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClockWatch {
    taken_ms: i64,
    received_ms: i64,
    times: u32,
}

impl ClockWatch {
    /// The flag of a report taken by the station's clock and received by ours. One that was received at the same time
    /// as the one before, or replayed, says nothing: a packet may come twice.
    pub fn step(&mut self, limits: StuckClock, taken: Timestamp, received: Timestamp) -> Flag {
        let (taken_ms, received_ms) = (taken.as_millis(), received.as_millis());
        let first = self.times == 0;
        if first || taken_ms != self.taken_ms {
            *self = Self { taken_ms, received_ms, times: 1 };
        } else if self.received_ms < received_ms {
            (self.received_ms, self.times) = (received_ms, self.times.saturating_add(1));
        }
        match self.times {
            times if limits.fail <= times => Flag::Bad,
            times if limits.suspect <= times => Flag::Suspect,
            _ => Flag::Good,
        }
    }
}
