//! At which depth does the sonde hang? Tides and storms move the mean of some days by so much and no more; a sonde that
//! slid down its pipe, fell to the bottom or was hung on the wrong pin moves it further and leaves it there.

use serde::{Deserialize, Serialize};

use super::Limits;
use super::hours::{HOUR_MS, Hours};

/// Hours of either side of a shift: five tidal days, longer than a storm's surge.
pub(super) const SIDE_H: i64 = 124;

/// A sonde hangs wrong for at most as long as it hangs at all before somebody comes: six weeks. Then that is its depth.
const WRONG_H: i64 = 42 * 24;

/// A shift of the mean depth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Shift {
    hour: i64,
    size: f64,
}

/// What is known of a sonde's depth.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Depth {
    /// The largest shift of those that are going by at the moment.
    passing: Option<Shift>,
    /// The sign of a shift that has gone by and is not yet quite gone.
    spent: f64,
    /// The shift that put it where it hangs wrong, and up to which hour that was told.
    wrong: Option<(Shift, i64)>,
}

/// How far the mean depth of the days from `hour` on lies from that of the days before.
pub(super) fn shift(hours: &Hours, hour: i64) -> Option<f64> {
    Some(hours.mean(hour, SIDE_H)? - hours.mean(hour - SIDE_H, SIDE_H)?)
}

impl Depth {
    /// Looks once an hour, with the largest shift that was ever natural here. Answers the time (milliseconds) in which the
    /// whole sonde hung wrong and this was not yet told.
    pub fn look(
        &mut self,
        hours: &Hours,
        hour: i64,
        natural: f64,
        limits: &Limits,
    ) -> Option<(i64, i64)> {
        let middle = hour - SIDE_H;
        let now = shift(hours, middle).map(|size| Shift { hour: middle, size });
        let needed = limits.shift_times * natural;
        let turned = self.settle(now, needed);
        if let Some(end) = turned
            && let Some((start, told)) = self.wrong
        {
            let back = -end.size / start.size;
            if 0.5 <= back {
                self.wrong = None;
                return span(told, end.hour);
            }
        }
        if let Some(start) = turned {
            self.wrong = Some((start, start.hour));
        }
        let (start, told) = self.wrong?;
        if self.passing.is_some() {
            // Perhaps it hangs right again: what that shift was is seen when it has gone by.
            return None;
        }
        if WRONG_H < middle - start.hour {
            self.wrong = None;
        } else if let Some((_, told)) = &mut self.wrong {
            *told = middle.max(*told);
        }
        span(told, middle)
    }

    /// A shift has gone by when less than half of it is left.
    fn settle(&mut self, now: Option<Shift>, needed: f64) -> Option<Shift> {
        let size = now.map_or(0.0, |now| now.size);
        let gone = self.passing.filter(|it| size / it.size < 0.5);
        if let Some(gone) = gone {
            self.passing = None;
            self.spent = gone.size.signum();
        }
        if size.abs() <= needed || size.signum() != self.spent {
            self.spent = 0.0;
        }
        let larger = |it: Shift| it.size.abs() < size.abs();
        if needed < size.abs() && self.spent == 0.0 && self.passing.is_none_or(larger) {
            self.passing = now;
        }
        gone
    }
}

fn span(from: i64, to: i64) -> Option<(i64, i64)> {
    (from < to).then(|| (from * HOUR_MS, to * HOUR_MS))
}
