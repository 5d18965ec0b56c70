//! Two clocks: the machine's, and the virtual one that runs from a start at a speed. The engine's demonstration uses
//! the same formula, so both sides agree on what time it is in the estuary.

use std::time::Duration;

use domain::{Clock, Timestamp};

/// The machine's clock: the only place of this crate that asks it.
#[derive(Debug, Clone, Copy, Default)]
pub struct MachineClock;

impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
    }
}

/// Virtual time: `start + (real − epoch) × speed`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VirtualTime {
    /// The virtual instant at the epoch.
    pub start: Timestamp,
    /// The real instant at which virtual time began.
    pub epoch: Timestamp,
    /// Virtual seconds in a real second.
    pub speed: f64,
}

impl VirtualTime {
    /// The virtual instant at a real one.
    #[must_use]
    pub fn at(&self, real: Timestamp) -> Timestamp {
        let passed = (real.as_millis() - self.epoch.as_millis()) as f64 * self.speed;
        Timestamp::from_millis(self.start.as_millis() + passed as i64)
    }

    /// How long to wait, in real time, for a virtual instant.
    #[must_use]
    pub fn wait(&self, real: Timestamp, until: Timestamp) -> Duration {
        until.since(self.at(real)).div_f64(self.speed.max(1e-6))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_times_as_fast_is_a_minute_a_second() {
        let at = Timestamp::from_millis;
        let time = VirtualTime { start: at(1_000_000), epoch: at(5_000), speed: 60.0 };
        assert_eq!(time.at(at(5_000)), at(1_000_000));
        assert_eq!(time.at(at(6_000)), at(1_060_000));
        assert_eq!(time.at(at(4_000)), at(940_000), "the epoch may lie ahead");
        assert_eq!(time.wait(at(5_000), at(1_120_000)), Duration::from_secs(2));
        assert_eq!(time.wait(at(5_000), at(900_000)), Duration::ZERO);
    }
}
