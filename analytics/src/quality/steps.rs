//! From one reading to the next: how fast a value changes, and whether it stands out from both of its neighbours.

use domain::Flag;

use super::Levels;
use super::saved::{Number, in_order};

/// A value and when it was taken, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Taken {
    pub(super) at: i64,
    pub(super) value: f64,
}

in_order!(Taken { at: i64, value: Number });

/// QARTOD's rate of change: units per second between two readings.
pub(super) fn rate(limits: Levels, before: Taken, now: Taken) -> Flag {
    let seconds = (now.at - before.at) as f64 / 1_000.0;
    limits.judge(((now.value - before.value) / seconds).abs())
}

/// QARTOD's spike: how far `value` is from the middle of its neighbours.
pub(super) fn spike_average(limits: Levels, before: f64, value: f64, after: f64) -> Flag {
    limits.judge((value - f64::midpoint(before, after)).abs())
}

/// QARTOD's spike there and back: the smaller of both steps, if they have opposite signs.
pub(super) fn spike_differential(limits: Levels, before: f64, value: f64, after: f64) -> Flag {
    let (there, back) = (value - before, after - value);
    let spike = if there * back < 0.0 { there.abs().min(back.abs()) } else { 0.0 };
    limits.judge(spike)
}

impl Levels {
    /// Above `fail` 4, above `suspect` 3, else 1.
    pub(super) fn judge(self, size: f64) -> Flag {
        if self.fail.is_some_and(|fail| fail < size) {
            Flag::Bad
        } else if self.suspect < size {
            Flag::Suspect
        } else {
            Flag::Good
        }
    }
}
