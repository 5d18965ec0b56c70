//! Calendar months of UTC: one sealed file never holds two of them, so that old months stay as they are.

use std::fmt;

const DAY_MS: i64 = 86_400_000;

/// A month, counted from January of the year 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Month(i64);

impl Month {
    /// The month that holds this instant (milliseconds since 1970).
    pub(crate) fn of(millis: i64) -> Self {
        let day = millis.div_euclid(DAY_MS);
        // A first guess by the mean month, then at most one step in each direction.
        let mut month = Self(1970 * 12 + (day as f64 / 30.436_875).floor() as i64);
        while day < month.first_day() {
            month.0 -= 1;
        }
        while month.next().first_day() <= day {
            month.0 += 1;
        }
        month
    }

    fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Its first instant.
    pub(crate) fn start(self) -> i64 {
        self.first_day().saturating_mul(DAY_MS)
    }

    /// Its last instant.
    pub(crate) fn last(self) -> i64 {
        self.next().first_day().checked_mul(DAY_MS).map_or(i64::MAX, |next| next - 1)
    }

    /// Days from 1970-01-01 to the first of the month, by the Gregorian rule of leap years. The year is taken to
    /// begin in March, so that the leap day is its last.
    fn first_day(self) -> i64 {
        let since_march = self.0 - 2;
        let (year, month) = (since_march.div_euclid(12), since_march.rem_euclid(12));
        let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
        let days_before_month = (month * 153 + 2) / 5;
        const MARCH_1_OF_YEAR_0: i64 = -719_468;
        MARCH_1_OF_YEAR_0 + year * 365 + leap_days + days_before_month
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.div_euclid(12), self.0.rem_euclid(12) + 1)
    }
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;

    use super::*;

    #[test]
    fn a_month_begins_and_ends_where_the_calendar_says() {
        for (text, name) in [
            ("2026-03-31T23:59:59.999Z", "2026-03"),
            ("2026-04-01T00:00:00Z", "2026-04"),
            ("2024-02-29T12:00:00Z", "2024-02"),
            ("2000-02-29T12:00:00Z", "2000-02"),
            ("1970-01-01T00:00:00Z", "1970-01"),
            ("1969-12-31T23:59:59.999Z", "1969-12"),
            ("2099-12-31T23:59:59Z", "2099-12"),
        ] {
            let at = Timestamp::parse_rfc3339(text).unwrap().as_millis();
            let month = Month::of(at);
            assert_eq!(month.to_string(), name);
            assert!(month.start() <= at && at <= month.last(), "{text}");
            let start = Timestamp::from_millis(month.start()).to_string();
            assert_eq!(start, format!("{name}-01T00:00:00.000Z"));
        }
    }

    #[test]
    fn the_ends_of_time_have_a_month() {
        for at in [i64::MIN, i64::MAX] {
            let month = Month::of(at);
            assert!(month.start() <= at && at <= month.last());
        }
    }
}
