//! Which intervals are kept, and which questions they answer.

use std::time::Duration;

use domain::{Every, Timestamp};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Vietnam is seven hours before UTC and has no daylight saving.
const VIETNAM_MS: i64 = 7 * HOUR_MS;

/// A length of intervals that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Level {
    /// Ten minutes, counted from 1970.
    TenMinutes,
    /// An hour.
    Hour,
    /// A day of Vietnam.
    Day,
    /// A day of the moon, counted from 1970.
    TidalDay,
}

impl Level {
    pub(crate) const ALL: [Self; 4] = [Self::TenMinutes, Self::Hour, Self::Day, Self::TidalDay];

    /// Its number on disk.
    pub(crate) fn number(self) -> u8 {
        self as u8
    }

    pub(crate) fn of_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.number() == number)
    }

    /// The longest intervals of which every interval of `every` is made up, whole; `None` where none are.
    pub(crate) fn within(every: Every) -> Option<Self> {
        let length = match every {
            Every::Day | Every::Month => return Some(Self::Day),
            Every::Span(length) => i64::try_from(length.as_millis()).ok().filter(|&ms| 0 < ms)?,
        };
        let fits = |level: &Self| length % level.length_ms() == 0;
        [Self::TidalDay, Self::Hour, Self::TenMinutes].into_iter().find(fits)
    }

    fn length_ms(self) -> i64 {
        match self {
            Self::TenMinutes => 10 * MINUTE_MS,
            Self::Hour => HOUR_MS,
            Self::Day => DAY_MS,
            Self::TidalDay => tidal_day_ms(),
        }
    }

    fn shift_ms(self) -> i64 {
        if self == Self::Day { VIETNAM_MS } else { 0 }
    }

    /// The interval that holds this time, as its first and last millisecond.
    pub(crate) fn interval(self, at: i64) -> (i64, i64) {
        let (length, shift) = (self.length_ms(), self.shift_ms());
        let since = at.saturating_add(shift).rem_euclid(length);
        let start = at.saturating_sub(since);
        (start, start.saturating_add(length - 1))
    }
}

fn tidal_day_ms() -> i64 {
    let zero = Timestamp::from_millis(0);
    let length: Duration = Every::TIDAL_DAY.end(zero).since(zero);
    i64::try_from(length.as_millis()).unwrap_or(DAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(seconds: u64) -> Every {
        Every::Span(Duration::from_secs(seconds))
    }

    #[test]
    fn an_interval_asked_for_is_made_up_of_whole_ones() {
        for (asked, level) in [
            (Every::Day, Some(Level::Day)),
            (Every::Month, Some(Level::Day)),
            (Every::TIDAL_DAY, Some(Level::TidalDay)),
            (every(3_600), Some(Level::Hour)),
            (every(86_400), Some(Level::Hour)),
            (every(1_800), Some(Level::TenMinutes)),
            (every(900), None),
            (every(7_776), None),
        ] {
            assert_eq!(Level::within(asked), level, "{asked:?}");
            let Some(level) = level else { continue };
            for at in (-40_000_000_000..40_000_000_000_i64).step_by(777_777_777) {
                let (first, last) = level.interval(at);
                assert!(first <= at && at <= last);
                let start = |ms| asked.start(Timestamp::from_millis(ms));
                assert_eq!(start(first), start(last), "{level:?} {at}");
            }
        }
    }

    #[test]
    fn intervals_meet_and_the_ends_of_time_do_not_panic() {
        for level in Level::ALL {
            assert_eq!(Level::of_number(level.number()), Some(level));
            let (_, last) = level.interval(1_773_273_600_000);
            assert_eq!(level.interval(last + 1).0, last + 1);
            for at in [i64::MIN, i64::MAX, -1, 0] {
                let (first, last) = level.interval(at);
                assert!(first <= at && at <= last, "{level:?} {at}");
            }
        }
    }
}
