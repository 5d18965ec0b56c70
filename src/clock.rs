//! What time it is. The engine and the demo's stations share one formula, so that both agree without speaking:
//! `virtual now = start + (now − epoch) × speed`.

use std::time::{SystemTime, UNIX_EPOCH};

use domain::{Clock, Timestamp};

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that the rim asks")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock that runs faster than the machine's, for the demo.
#[derive(Debug, Clone, Copy)]
pub struct FastClock {
    /// The virtual time at the epoch.
    pub start: Timestamp,
    /// The machine's time at the epoch.
    pub epoch: Timestamp,
    /// Virtual seconds in a second.
    pub speed: f64,
}

impl Clock for FastClock {
    fn now(&self) -> Timestamp {
        let passed = SystemClock.now().as_millis() - self.epoch.as_millis();
        let passed = (passed as f64 * self.speed).round() as i64;
        Timestamp::from_millis(self.start.as_millis() + passed)
    }
}
