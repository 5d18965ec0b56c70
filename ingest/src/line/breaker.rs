//! Whom to leave alone, and for how long: a slave that does not answer costs its line one timeout, and the next one only
//! after a wait that doubles up to a bound.

use std::time::Duration;

use tokio::time::Instant;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    failures: u32,
    until: Option<Instant>,
}

impl Breaker {
    /// May the slave be asked?
    pub(crate) fn lets(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until <= now)
    }

    /// It answered.
    pub(crate) fn answered(&mut self) {
        *self = Self::default();
    }

    /// It did not: it is left alone for `first`, then twice as long, and so on up to `most`. Never shorter than `first`,
    /// because so long an answer to the last question may still be under way.
    pub(crate) fn silent(&mut self, now: Instant, first: Duration, most: Duration) -> Duration {
        let wait = first.saturating_mul(1 << self.failures.min(16)).min(most.max(first));
        self.failures = self.failures.saturating_add(1);
        self.until = Some(now + wait);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_slave_is_asked_ever_less_often_and_a_living_one_at_once() {
        let (first, most) = (Duration::from_secs(3), Duration::from_secs(20));
        let start = Instant::now();
        let mut breaker = Breaker::default();
        assert!(breaker.lets(start));
        for wait in [3, 6, 12, 20, 20] {
            assert_eq!(breaker.silent(start, first, most).as_secs(), wait);
            assert!(!breaker.lets(start + Duration::from_secs(wait) - Duration::from_millis(1)));
            assert!(breaker.lets(start + Duration::from_secs(wait)));
        }
        breaker.answered();
        assert!(breaker.lets(start));
        assert_eq!(breaker.silent(start, first, Duration::ZERO), first);
    }
}
