//! Intervals that cut time without a gap: of one length, or the calendar's in Vietnam, where a day's rain and a month's
//! hours above a limit are counted from midnight.

use std::time::Duration;

use crate::Timestamp;
use crate::time::VIETNAM_OFFSET_S;

/// A day of the moon: the tide comes back after it at the same phase. Mean lunar day, 24 h 50 min 28.328 s.
const TIDAL_DAY: Duration = Duration::from_millis(89_428_328);
const DAY_MS: i64 = 86_400_000;

/// How time is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    /// Of this length, counted from 1970-01-01T00:00:00Z. Not zero.
    Span(Duration),
    /// From midnight to midnight in Vietnam (UTC+7, no daylight saving).
    Day,
    /// A calendar month in Vietnam.
    Month,
}

impl Every {
    /// The mean lunar day, counted from 1970.
    pub const TIDAL_DAY: Self = Self::Span(TIDAL_DAY);

    /// The start of the interval that holds this instant.
    #[must_use]
    pub fn start(self, at: Timestamp) -> Timestamp {
        match self {
            Self::Span(length) => at.floor(length),
            Self::Day => {
                let shift = i64::from(VIETNAM_OFFSET_S) * 1_000;
                let local = at.as_millis().saturating_add(shift);
                Timestamp::from_millis(
                    (local.div_euclid(DAY_MS).saturating_mul(DAY_MS)).saturating_sub(shift),
                )
            }
            Self::Month => Timestamp::midnight(at.local().date().first_of_month()).unwrap_or(at),
        }
    }

    /// The end of the interval that begins here, which is the start of the next.
    #[must_use]
    pub fn end(self, start: Timestamp) -> Timestamp {
        self.after(start, 1)
    }

    /// The start of the interval `count` after the one that holds this instant.
    #[must_use]
    pub fn after(self, at: Timestamp, count: u32) -> Timestamp {
        let start = self.start(at);
        match self {
            Self::Span(length) => start + length.saturating_mul(count),
            Self::Day => start + Duration::from_hours(24).saturating_mul(count),
            Self::Month => {
                let months = jiff::Span::new().try_months(i64::from(count));
                let later = months.and_then(|months| start.local().date().checked_add(months));
                later.ok().and_then(Timestamp::midnight).unwrap_or(FAR)
            }
        }
    }
}

/// Behind the last month that a calendar knows.
const FAR: Timestamp = Timestamp::from_millis(i64::MAX);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn a_day_and_a_month_begin_at_midnight_in_vietnam() {
        let late = at("2026-02-28T17:30:00Z");
        assert_eq!(Every::Day.start(late), at("2026-03-01T00:00:00+07:00"));
        assert_eq!(Every::Month.start(late), at("2026-03-01T00:00:00+07:00"));
        assert_eq!(Every::Month.end(Every::Month.start(late)), at("2026-04-01T00:00:00+07:00"));
        let before = at("2026-02-28T16:59:59.999Z");
        assert_eq!(Every::Day.start(before), at("2026-02-28T00:00:00+07:00"));
        assert_eq!(Every::Month.start(before), at("2026-02-01T00:00:00+07:00"));
        assert_eq!(Every::Month.after(before, 13), at("2027-03-01T00:00:00+07:00"));
        assert_eq!(Every::Day.after(before, 2), at("2026-03-02T00:00:00+07:00"));
    }

    #[test]
    fn intervals_meet_without_a_gap_also_before_1970() {
        let quarter = Every::Span(Duration::from_mins(15));
        for every in [quarter, Every::TIDAL_DAY, Every::Day, Every::Month] {
            for text in ["1969-12-31T23:59:59.999Z", "2024-02-29T18:00:00Z", "2026-12-31T17:00:00Z"]
            {
                let start = every.start(at(text));
                let end = every.end(start);
                assert!(start <= at(text) && at(text) < end, "{every:?} {text}");
                assert_eq!(every.start(end), end);
                assert_eq!(every.start(Timestamp::from_millis(end.as_millis() - 1)), start);
            }
        }
    }

    #[test]
    fn the_ends_of_time_do_not_panic() {
        for every in [Every::Span(Duration::from_secs(1)), Every::Day, Every::Month] {
            for millis in [i64::MIN, i64::MAX] {
                let at = Timestamp::from_millis(millis);
                assert!(every.start(at) <= every.after(at, u32::MAX), "{every:?} {millis}");
            }
        }
    }
}
