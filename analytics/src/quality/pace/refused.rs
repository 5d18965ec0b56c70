//! What is not learned, and why.

use super::super::BadPlan;

/// Why a water does not bear a test.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Unbearable {
    /// It stands still for so long by itself that no standstill says anything.
    #[error("stands still for {hours} h by itself")]
    Stands {
        /// In most weeks' longest standstill, in hours.
        hours: f64,
    },
    /// It goes by a factor of eight or more in one step by itself, also from large values.
    #[error(
        "goes by a factor of eight or more in one step in {weeks} of {of} weeks, also above {least}"
    )]
    Slips {
        /// Weeks with such a step.
        weeks: usize,
        /// Of so many.
        of: usize,
        /// The largest value that was tried as the smaller side of the step.
        least: f64,
    },
}

/// History does not bear limits.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NoPace {
    /// It is too short.
    #[error("history spans {days} days; {needed} are needed")]
    Span {
        /// What it spans.
        days: u64,
        /// What is needed.
        needed: u64,
    },
    /// It never moved: a sensor that is not there, or a fresh year.
    #[error("none of {count} readings differs from the one before it")]
    Still {
        /// Readings.
        count: usize,
    },
    /// Too few weeks are known well enough.
    #[error(
        "{salt} weeks are more than half full and not fresh, of {full} full ones; {needed} are needed"
    )]
    Weeks {
        /// More than half full.
        full: usize,
        /// Of them not fresh.
        salt: usize,
        /// What is needed.
        needed: usize,
    },
    /// The limits to begin with contradict each other.
    #[error("the limits to begin with are no plan")]
    Plan(#[from] BadPlan),
}
