//! How long to wait before the next try: doubling, bounded, and never the same for two workers, so that a broker that
//! comes back is not met by everybody at once.

use std::time::Duration;

use tokio::time::Instant;

/// The wait after the first failure: a broker that restarts is back within a second or two.
const FIRST: Duration = Duration::from_millis(250);

/// A connection that lasted so long was a good one, and the next failure is a first one again.
const GOOD: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug)]
pub(crate) struct Backoff {
    max: Duration,
    failures: u32,
    /// Where the random sequence is (xorshift); any start but 0 will do.
    state: u64,
}

impl Backoff {
    /// Waits of at most `max`; `seed` tells workers apart.
    pub(crate) fn new(max: Duration, seed: u64) -> Self {
        Self { max, failures: 0, state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1 }
    }

    /// Forgets failures where the connection since `began` was a good one.
    pub(crate) fn lasted_since(&mut self, began: Instant) {
        if GOOD <= began.elapsed() {
            self.failures = 0;
        }
    }

    /// Forgets failures: what was tried went well.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// The next wait: between half and all of 250 ms, 500 ms, 1 s and so on.
    pub(crate) fn next(&mut self) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.failures.min(16)).min(self.max);
        self.failures = self.failures.saturating_add(1);
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let part = (self.state >> 40) as f64 / f64::from(1_u32 << 24);
        whole.mul_f64(0.5 + part / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_bound_and_differ_between_workers() {
        let max = Duration::from_secs(30);
        let (mut one, mut two) = (Backoff::new(max, 1), Backoff::new(max, 2));
        let ones: Vec<_> = (0..12).map(|_| one.next()).collect();
        let twos: Vec<_> = (0..12).map(|_| two.next()).collect();
        assert_ne!(ones, twos);
        assert!(ones[0] <= FIRST && FIRST / 2 <= ones[0], "{ones:?}");
        assert!(ones.iter().chain(&twos).all(|wait| *wait <= max));
        assert!(max / 2 <= ones[11], "{ones:?}");
    }
}
