//! QARTOD's climatology test: what this water is in this part of the year, and, where it was learned, at this hour of
//! the tide. Seasons are closed at both ends and the last one that holds wins, as in `ioos_qc`; outside of all of them
//! nothing is evaluated.

use std::sync::Arc;
use std::time::Duration;

use domain::{Flag, Timestamp, VIETNAM_OFFSET_S};

use super::plan::Bounds;
use super::{Learned, Period, Season};

/// The climatology of one series.
#[derive(Debug, Clone, Default)]
pub(super) struct Calendar {
    utc_offset_s: i32,
    seasons: Vec<(Season, Bounds)>,
    pub(super) learned: Option<Arc<Learned>>,
}

impl Calendar {
    pub(super) const fn new(utc_offset_s: i32, seasons: Vec<(Season, Bounds)>) -> Self {
        Self { utc_offset_s, seasons, learned: None }
    }

    /// The flag of a number at a time; `None` when there is no climatology.
    pub(super) fn judge(&self, at: Timestamp, value: f64) -> Option<Flag> {
        let typed = (!self.seasons.is_empty()).then(|| self.typed(at, value));
        let learned = self.learned.as_ref().map(|learned| learned.judge(at, value));
        match (typed, learned) {
            (Some(typed), Some(learned)) => Some(typed.worse(learned)),
            (typed, learned) => typed.or(learned),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.seasons.is_empty() && self.learned.is_none()
    }

    fn typed(&self, at: Timestamp, value: f64) -> Flag {
        let day = civil(at, self.utc_offset_s);
        let holds = |(season, _): &&(Season, Bounds)| season.holds(day);
        let last = self.seasons.iter().rev().find(holds);
        last.map_or(Flag::NotEvaluated, |(_, bounds)| bounds.judge(value))
    }
}

/// Month, ISO week and day of the year.
type Day = (u16, u16, u16);

/// The day that a wall clock shows which is so many seconds ahead of UTC.
fn civil(at: Timestamp, utc_offset_s: i32) -> Day {
    let shift = Duration::from_secs(u64::from((utc_offset_s - VIETNAM_OFFSET_S).unsigned_abs()));
    let shifted = if utc_offset_s < VIETNAM_OFFSET_S { at - shift } else { at + shift };
    let local = shifted.local();
    let number = |it: i16| u16::try_from(it).unwrap_or(0);
    let week = local.date().iso_week_date().week();
    (number(local.month().into()), number(week.into()), number(local.day_of_year()))
}

/// Month of a wall clock in Vietnam, 0 to 11.
pub(super) fn month(at: Timestamp) -> usize {
    usize::try_from(at.local().month() - 1).unwrap_or(0)
}

/// Twelfths of the M2 tide (12.4206012 h, the principal lunar tide) since the epoch: 0 to 11. The beginning is
/// arbitrary, but the same for ever: at one place a phase is always the same hour of the tide, to a few minutes of
/// nodal modulation.
#[must_use]
pub fn tide_phase(at: Timestamp) -> usize {
    const M2_MS: i64 = 44_714_164;
    usize::try_from(at.as_millis().rem_euclid(M2_MS) * 12 / M2_MS).unwrap_or(0)
}

impl Season {
    fn holds(&self, (month, week, day_of_year): Day) -> bool {
        let now = match self.period {
            Period::Month => month,
            Period::Week => week,
            Period::DayOfYear => day_of_year,
        };
        if self.from <= self.to {
            (self.from..=self.to).contains(&now)
        } else {
            self.from <= now || now <= self.to
        }
    }
}

impl Period {
    pub(super) const fn most(self) -> u16 {
        match self {
            Self::Month => 12,
            Self::Week => 53,
            Self::DayOfYear => 366,
        }
    }
}

impl Bounds {
    /// Outside of the fail range 4, of the suspect range 3, else 1.
    pub(super) fn judge(&self, value: f64) -> Flag {
        if self.fail.is_some_and(|fail| !fail.holds(value)) {
            Flag::Bad
        } else if self.suspect.is_some_and(|suspect| !suspect.holds(value)) {
            Flag::Suspect
        } else {
            Flag::Good
        }
    }
}
