//! How long to wait before the next try: twice as long each time, within bounds, and never in step with the neighbours.

use std::time::Duration;

use tokio::time::Instant;

use crate::estuary::chance;

/// The first wait.
const FIRST: Duration = Duration::from_millis(500);
/// The longest wait: an engine that was restarted sees every station again within a minute.
const LONGEST: Duration = Duration::from_secs(30);

/// Bounded exponential back-off with seeded jitter.
#[derive(Debug)]
pub struct Backoff {
    seed: u64,
    tries: u32,
    due: Instant,
}

impl Backoff {
    /// Due at once.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, tries: 0, due: Instant::now() }
    }

    /// May the next try begin?
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.due <= Instant::now()
    }

    /// A try failed: how long to wait, between half of and one and a half times the step.
    pub fn next_wait(&mut self) -> Duration {
        let step = FIRST.saturating_mul(1 << self.tries.min(6)).min(LONGEST);
        self.tries = self.tries.saturating_add(1);
        let wait = step.mul_f64(0.5 + chance(self.seed, "backoff", i64::from(self.tries)));
        self.due = Instant::now() + wait;
        wait
    }

    /// It worked: the next failure starts from the first wait.
    pub fn reset(&mut self) {
        self.tries = 0;
        self.due = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_double_stay_bounded_and_differ_between_stations() {
        let (mut a, mut b) = (Backoff::new(1), Backoff::new(2));
        let waits: Vec<_> = (0..50).map(|_| a.next_wait()).collect();
        assert!(waits[0] < Duration::from_secs(1));
        assert!(waits.iter().all(|w| *w <= LONGEST.mul_f64(1.5)));
        assert!(waits[20..].iter().all(|w| LONGEST.mul_f64(0.5) <= *w));
        assert_ne!(waits[0], b.next_wait());
        assert!(!a.is_due());
        a.reset();
        assert!(a.is_due());
    }
}
