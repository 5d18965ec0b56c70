//! When whose turn is. Turns lie on a grid of their own period, so that a poll that took long moves no other; on one
//! line they are spread over the period, and lines are spread by their names, so that a thousand do not ask at once.

use std::time::Duration;

use domain::Timestamp;
use tokio::time::Instant;

/// The turns of one slave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cadence {
    every: Duration,
    due: Instant,
}

impl Cadence {
    /// Turns each `every` from the epoch on, moved by `shift` (0 to 1) of a period; the first is the next after `now`,
    /// which is `instant` too.
    pub(crate) fn new(every: Duration, shift: f64, now: Timestamp, instant: Instant) -> Self {
        let period = i64::try_from(every.as_millis()).unwrap_or(i64::MAX).max(1);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "a part of a period"
        )]
        let shift = (period as f64 * shift.rem_euclid(1.0)) as i64;
        let passed = (now.as_millis().wrapping_sub(shift)).rem_euclid(period);
        let wait = Duration::from_millis(u64::try_from(period - passed).unwrap_or(0));
        Self { every, due: instant + wait }
    }

    /// The next turn.
    pub(crate) const fn due(&self) -> Instant {
        self.due
    }

    /// The turn was taken, or given up, at `now`. Turns that are over already are left out; how many is the answer.
    pub(crate) fn advance(&mut self, now: Instant) -> u32 {
        self.due += self.every;
        let mut missed = 0;
        while self.due + self.every <= now {
            self.due += self.every;
            missed += 1;
        }
        missed
    }
}

/// A part of a period for a name, from 0 to 1: always the same.
pub(crate) fn shift_of(name: &str) -> f64 {
    // FNV-1a: short, and the same in every release.
    let hash = name
        .bytes()
        .fold(0x811C_9DC5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    f64::from(hash) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_stay_on_their_grid_however_long_one_takes() {
        let every = Duration::from_secs(10);
        let start = Instant::now();
        let mut cadence = Cadence::new(every, 0.25, Timestamp::from_millis(1_001_000), start);
        // 1,001 s are 1 s into a period, whose turn is at 2.5 s.
        assert_eq!(cadence.due() - start, Duration::from_millis(1_500));
        assert_eq!(cadence.advance(start + Duration::from_secs(9)), 0);
        assert_eq!(cadence.due() - start, Duration::from_millis(11_500));
        assert_eq!(cadence.advance(start + Duration::from_secs(45)), 2);
        assert_eq!(cadence.due() - start, Duration::from_millis(41_500));
    }

    #[test]
    fn names_spread_over_the_period() {
        let mut tenths = [0; 10];
        for n in 0..1_000 {
            tenths[(shift_of(&format!("line-{n}")) * 10.0) as usize] += 1;
        }
        assert!(tenths.iter().all(|&n| 40 < n), "{tenths:?}");
    }
}
