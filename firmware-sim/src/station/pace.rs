//! How fast the past may follow: a cap on old reports in a second, so that a backlog of weeks leaves the line to the
//! news. By the station's own clock, with a small reserve for a modem that sleeps between two looks.

use domain::Timestamp;

/// Old reports in a second, unless the configuration says otherwise: 12 kbit/s of a line of 64.
pub const BACKLOG_PER_S: f64 = 10.0;

/// Old reports that may go at once after a pause: a window of packets.
const RESERVE: f64 = 20.0;

/// The cap.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    per_s: f64,
    saved: f64,
    at: Timestamp,
}

impl Pace {
    /// The usual cap, with its reserve full.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self { per_s: BACKLOG_PER_S, saved: RESERVE, at: now }
    }

    /// Another cap from now on.
    pub fn set(&mut self, per_s: f64) {
        self.per_s = per_s;
    }

    /// May an old report go now?
    pub fn may(&mut self, now: Timestamp) -> bool {
        let passed = now.since(self.at).as_secs_f64();
        self.saved = (self.saved + passed * self.per_s).min(RESERVE);
        self.at = self.at.max(now);
        1.0 <= self.saved
    }

    /// One went.
    pub fn went(&mut self) {
        self.saved -= 1.0;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_backlog_takes_its_share_and_no_more() {
        let mut now = Timestamp::from_millis(1_000_000);
        let mut pace = Pace::new(now);
        let mut went = 0;
        for _ in 0..10_000 {
            while pace.may(now) {
                pace.went();
                went += 1;
            }
            now = now + Duration::from_millis(10);
        }
        assert!((1_000..=1_020).contains(&went), "100 s at 10 a second and the reserve: {went}");
        pace.set(1.0);
        assert!(!pace.may(now));
        assert!(pace.may(now + Duration::from_secs(2)));
        assert!(pace.may(now), "a clock that steps back takes nothing away");
    }
}
