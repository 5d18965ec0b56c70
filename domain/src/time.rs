//! Instants. Stored and compared as milliseconds of UTC, shown to people in the local time of the province
//! (Asia/Ho_Chi_Minh, UTC+7, no daylight saving since 1975).

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use jiff::fmt::StdFmtWrite;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::{Offset, TimeZone};

/// Vietnam keeps one offset all year.
const VIETNAM: Offset = Offset::constant(7);

/// An instant in UTC, in whole milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// The text is not an instant: what was wrong with it, in words for a technician.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadTime {
    /// Not a date and time of RFC 3339 at all.
    #[error("not an RFC 3339 time")]
    Malformed,
    /// A date and time without `Z` or an offset: it could be any of 24 instants.
    #[error("time has no offset; write +07:00 or Z")]
    NoOffset,
}

/// Seconds that a wall clock in Vietnam is ahead of UTC.
pub const VIETNAM_OFFSET_S: i32 = 7 * 3_600;

/// Year, month, day, hour, minute, perhaps second and its fraction, in the digits of a text.
fn civil(text: &str) -> Option<jiff::civil::DateTime> {
    let (whole, fraction) = match text.split_once(['.', ',']) {
        Some((whole, fraction)) => (whole, fraction),
        None => (text, ""),
    };
    let between = |c: char| matches!(c, '-' | '/' | ' ' | 'T' | ':');
    if !whole.chars().all(|c| c.is_ascii_digit() || between(c)) {
        return None;
    }
    let digits: String = whole.chars().filter(char::is_ascii_digit).collect();
    if !matches!(digits.len(), 12 | 14) || fraction.len() > 9 {
        return None;
    }
    let number = |from: usize, to: usize| digits.get(from..to).unwrap_or("0").parse::<i16>().ok();
    let small = |from: usize| i8::try_from(number(from, from + 2)?).ok();
    let nanoseconds = match fraction {
        "" => 0,
        digits => format!("{digits:0<9}").parse().ok()?,
    };
    let second = if digits.len() == 14 { small(12)? } else { 0 };
    let (date, clock) = ((number(0, 4)?, small(4)?, small(6)?), (small(8)?, small(10)?));
    jiff::civil::DateTime::new(date.0, date.1, date.2, clock.0, clock.1, second, nanoseconds).ok()
}

/// Reads `+07:00` or `Z`: the seconds that a clock is ahead of UTC. `None` for all else.
#[must_use]
pub fn parse_utc_offset(text: &str) -> Option<i32> {
    if text == "Z" {
        return Some(0);
    }
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let number = |text: &str, most: i32| {
        let two = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i32>().ok().filter(|&n| two && n <= most)
    };
    let (hours, minutes) = (number(hours, 14)?, number(minutes, 59)?);
    Some(sign * (hours * 3_600 + minutes * 60)).filter(|it| it.abs() <= 14 * 3_600)
}

/// Tells the time. The rim is given one; everything inside takes `now`.
pub trait Clock: Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

impl Timestamp {
    /// An instant from milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339 with any offset.
    ///
    /// # Errors
    /// [`BadTime::NoOffset`] for a date-time without `Z` or offset, [`BadTime::Malformed`] for all else.
    pub fn parse_rfc3339(text: &str) -> Result<Self, BadTime> {
        if let Ok(instant) = text.parse::<jiff::Timestamp>() {
            return Ok(Self(instant.as_millisecond()));
        }
        match text.parse::<jiff::civil::DateTime>() {
            Ok(_) => Err(BadTime::NoOffset),
            Err(_) => Err(BadTime::Malformed),
        }
    }

    /// Reads a date and a time of day that somebody's wall clock showed, `offset_s` seconds ahead of UTC: `-`, `/`, a
    /// blank, `T` and `:` between the numbers or nothing at all, seconds and their fraction or none.
    ///
    /// # Errors
    /// [`BadTime::Malformed`].
    pub fn parse_local(text: &str, offset_s: i32) -> Result<Self, BadTime> {
        let offset = Offset::from_seconds(offset_s).map_err(|_| BadTime::Malformed)?;
        let civil = civil(text.trim()).ok_or(BadTime::Malformed)?;
        let instant = offset.to_timestamp(civil).map_err(|_| BadTime::Malformed)?;
        Ok(Self(instant.as_millisecond()))
    }

    /// Reads a date and a time of day in the letters of strftime, as a clock showed them that is `offset_s` seconds ahead
    /// of UTC: `%d%m%y %H%M%S`. A date without a time of day is its midnight.
    ///
    /// # Errors
    /// [`BadTime::Malformed`].
    pub fn parse_pattern(text: &str, pattern: &str, offset_s: i32) -> Result<Self, BadTime> {
        let offset = Offset::from_seconds(offset_s).map_err(|_| BadTime::Malformed)?;
        let read = jiff::fmt::strtime::parse(pattern, text.trim());
        let civil = read.and_then(|read| read.to_datetime()).map_err(|_| BadTime::Malformed)?;
        let instant = offset.to_timestamp(civil).map_err(|_| BadTime::Malformed)?;
        Ok(Self(instant.as_millisecond()))
    }

    /// How long after `earlier` this is; zero where it is not after.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The start of the interval of length `every` (counted from the epoch) that holds this instant.
    #[must_use]
    pub fn floor(self, every: Duration) -> Self {
        let step = i64::try_from(every.as_millis()).unwrap_or(i64::MAX).max(1);
        Self(self.0.div_euclid(step).saturating_mul(step))
    }

    /// The civil date and time on a wall clock in Vietnam.
    #[must_use]
    pub fn local(self) -> jiff::civil::DateTime {
        VIETNAM.to_datetime(self.to_jiff())
    }

    /// Midnight in Vietnam; `None` beyond the years that a calendar knows.
    pub(crate) fn midnight(date: jiff::civil::Date) -> Option<Self> {
        let instant = VIETNAM.to_timestamp(date.at(0, 0, 0, 0)).ok()?;
        Some(Self(instant.as_millisecond()))
    }

    /// RFC 3339 with `+07:00`, to the second: for texts read by people and by CAP.
    #[must_use]
    pub fn to_local_rfc3339(self) -> String {
        self.to_jiff()
            .to_zoned(TimeZone::fixed(VIETNAM))
            .strftime("%Y-%m-%dT%H:%M:%S%:z")
            .to_string()
    }

    fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        })
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// RFC 3339 in UTC with three digits of milliseconds, as the API and the store write it.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let printed = MILLISECONDS.print_timestamp(&self.to_jiff(), StdFmtWrite(f));
        printed.map_err(|_| fmt::Error)
    }
}

/// The library's printer, told once; its `Display` takes half as long again (70 ns here beside 110).
const MILLISECONDS: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_is_read_in_the_forms_of_loggers() {
        let five = Timestamp::parse_rfc3339("2024-03-12T05:00:00+07:00").unwrap();
        for text in
            ["20240312050000", "2024-03-12 05:00:00", "2024/03/12 05:00", "2024-03-12T05:00:00.000"]
        {
            assert_eq!(Timestamp::parse_local(text, VIETNAM_OFFSET_S), Ok(five), "{text}");
        }
        let half = Timestamp::parse_local("2024-03-12 05:00:00.5", VIETNAM_OFFSET_S).unwrap();
        assert_eq!(half.as_millis() - five.as_millis(), 500);
        for text in [
            "",
            "2024031205",
            "2024-13-12 05:00",
            "2024-03-12 05:00:00+07:00",
            "20240312 5:00:00",
            "x",
        ] {
            assert_eq!(Timestamp::parse_local(text, 0), Err(BadTime::Malformed), "{text}");
        }
    }

    #[test]
    fn a_clock_is_read_in_the_letters_that_it_writes() {
        let five = Timestamp::parse_rfc3339("2024-03-12T05:00:07+07:00").unwrap();
        for (text, pattern) in [
            ("120324 050007", "%d%m%y %H%M%S"),
            ("2024/072 05:00:07", "%Y/%j %H:%M:%S"),
            (" 12.03.2024 05:00:07 ", "%d.%m.%Y %T"),
        ] {
            let read = Timestamp::parse_pattern(text, pattern, VIETNAM_OFFSET_S);
            assert_eq!(read, Ok(five), "{text}");
        }
        let half = Timestamp::parse_pattern("120324 050007.50", "%d%m%y %H%M%S%.f", 25_200);
        assert_eq!(half.unwrap().as_millis() - five.as_millis(), 500);
        for (text, pattern) in [
            ("", "%d%m%y"),
            ("320324", "%d%m%y"),
            ("1203", "%d%m%y"),
            ("050007", "%H%M%S"),
            ("x", "x"),
        ] {
            let read = Timestamp::parse_pattern(text, pattern, 0);
            assert_eq!(read, Err(BadTime::Malformed), "{text}");
        }
    }

    #[test]
    fn an_offset_from_utc_is_read_and_nothing_else() {
        for (text, seconds) in [
            ("+07:00", Some(25_200)),
            ("-03:30", Some(-12_600)),
            ("Z", Some(0)),
            ("+14:00", Some(50_400)),
            ("+14:30", None),
            ("+7:00", None),
            ("7", None),
            ("+07", None),
            ("+07:60", None),
            ("ặ07:00", None),
            ("", None),
        ] {
            assert_eq!(parse_utc_offset(text), seconds, "{text}");
        }
    }

    #[test]
    fn any_offset_is_the_same_instant() {
        let local = Timestamp::parse_rfc3339("2026-03-12T05:00:00+07:00").unwrap();
        let utc = Timestamp::parse_rfc3339("2026-03-11T22:00:00Z").unwrap();
        assert_eq!(local, utc);
        assert_eq!(local.to_string(), "2026-03-11T22:00:00.000Z");
        assert_eq!(local.to_local_rfc3339(), "2026-03-12T05:00:00+07:00");
        assert_eq!(local.local().hour(), 5);
    }

    #[test]
    fn a_time_without_offset_is_named_as_such() {
        assert_eq!(Timestamp::parse_rfc3339("2026-03-12T05:00:00"), Err(BadTime::NoOffset));
        assert_eq!(Timestamp::parse_rfc3339("12/03/2026 5h"), Err(BadTime::Malformed));
    }

    #[test]
    fn every_time_is_written_as_the_calendar_says() {
        let mut at = -62_167_219_200_000_i64 - 90_000_000;
        while at < 253_402_300_800_000 + 90_000_000 {
            let time = Timestamp::from_millis(at);
            assert_eq!(time.to_string(), format!("{:.3}", time.to_jiff()), "{at}");
            at += 86_400_000 * 7 + 12_345_678;
        }
        for at in [i64::MIN, i64::MAX, -1, 0, 951_782_399_999, 951_782_400_000, 4_107_542_400_000] {
            let time = Timestamp::from_millis(at);
            assert_eq!(time.to_string(), format!("{:.3}", time.to_jiff()), "{at}");
        }
    }

    #[test]
    fn floors_also_before_the_epoch() {
        let minute = Duration::from_secs(60);
        assert_eq!(Timestamp::from_millis(-1).floor(minute).as_millis(), -60_000);
        assert_eq!(Timestamp::from_millis(61_000).floor(minute).as_millis(), 60_000);
    }

    #[test]
    fn the_ends_of_time_do_not_panic() {
        let far = Timestamp::from_millis(i64::MAX) + Duration::MAX;
        assert!(!far.to_string().is_empty());
        assert_eq!(Timestamp::from_millis(5).since(Timestamp::from_millis(9)), Duration::ZERO);
    }
}
