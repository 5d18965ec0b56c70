//! The first flush: after days without rain the first of it washes streets, yards and fields into the canals. Readings of
//! those hours are true and tell of the runoff, not of the river's state, so they carry a mark of their own beside the
//! flag, and are compared with other first flushes.

use std::time::Duration;

use crate::weather::rain_sum;
use crate::{Flag, Timestamp};

/// What counts as a first flush.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FirstFlushRule {
    /// So much rain begins one, mm,
    pub rain_mm: f64,
    /// within so long,
    pub within: Duration,
    /// after so long,
    pub dry: Duration,
    /// with no more rain than this, mm.
    pub dry_mm_max: f64,
    /// The share of the dry time that the gauge must know, 0 to 1: a silent gauge is not dry weather.
    pub dry_known: f64,
    /// How long the mark stays from the first rain.
    pub lasts: Duration,
    /// How often the gauge reports.
    pub interval: Duration,
}

/// Rain over 2.54 mm at least 72 hours after the last that much: the storm of which the United States' rule wants the first
/// runoff sampled (40 CFR 122.21(g)(7), 0.1 inch). That it comes within six hours, that nine tenths of the dry time is
/// known and that the mark stays for a day, by when the tide has changed the water of a canal twice, is the product's own.
impl Default for FirstFlushRule {
    fn default() -> Self {
        let hours = |hours: u64| Duration::from_secs(hours * 3_600);
        Self {
            rain_mm: 2.54,
            within: hours(6),
            dry: hours(72),
            dry_mm_max: 2.54,
            dry_known: 0.9,
            lasts: hours(24),
            interval: Duration::from_secs(600),
        }
    }
}

/// A time to be marked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FirstFlush {
    /// When the rain began.
    pub from: Timestamp,
    /// When the mark ends; not in it.
    pub until: Timestamp,
    /// The rain that made it one, mm.
    pub rain_mm: f64,
}

impl FirstFlush {
    /// Is a reading of this moment to be marked?
    #[must_use]
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }
}

/// The first flushes in the readings of a gauge (time, mm since the reading before, flag), oldest first.
///
/// What the gauge measured badly is not known, as [`rain_sum`] has it; where too little of the dry time is known there is no
/// first flush. None of a rule whose amounts are no numbers.
#[must_use]
pub fn first_flushes(rain: &[(Timestamp, f64, Flag)], rule: &FirstFlushRule) -> Vec<FirstFlush> {
    let mut found: Vec<FirstFlush> = Vec::new();
    for (index, &(at, mm, _)) in rain.iter().enumerate() {
        if mm.is_nan() || mm <= 0.0 || found.last().is_some_and(|flush| at < flush.until) {
            continue;
        }
        found.extend(begun_with(rain, index, rule));
    }
    found
}

/// The flush that begins with this reading, if one does.
fn begun_with(
    rain: &[(Timestamp, f64, Flag)],
    index: usize,
    rule: &FirstFlushRule,
) -> Option<FirstFlush> {
    let from = rain[index].0 - rule.interval;
    let sum = |begin: Timestamp, end: Timestamp| {
        // With one reading on each side more, for what reaches over an end.
        let first = rain.partition_point(|reading| reading.0 < begin).saturating_sub(1);
        let last = rain.partition_point(|reading| reading.0 <= end + rule.interval);
        rain_sum(rain.get(first..last)?, begin, end, rule.interval)
    };
    let before = sum(from - rule.dry, from)?;
    let dry = before.total_mm <= rule.dry_mm_max && rule.dry_known <= before.known;
    let rain_mm = sum(from, from + rule.within)?.total_mm;
    (dry && rule.rain_mm <= rain_mm).then_some(FirstFlush {
        from,
        until: from + rule.lasts,
        rain_mm,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_millis(hours * 3_600_000)
    }

    /// Ten days of hours, dry but for these.
    fn gauge(wet: &[(usize, f64, Flag)]) -> Vec<(Timestamp, f64, Flag)> {
        let mut gauge: Vec<_> = (0..240).map(|hour| (at(hour), 0.0, Flag::Good)).collect();
        for &(hour, mm, flag) in wet {
            gauge[hour] = (gauge[hour].0, mm, flag);
        }
        gauge
    }

    fn check(rain: &[(Timestamp, f64, Flag)], hours: &[i64]) {
        let interval = Duration::from_secs(3_600);
        let rule = FirstFlushRule { interval, ..FirstFlushRule::default() };
        let found: Vec<_> = first_flushes(rain, &rule).iter().map(|flush| flush.from).collect();
        assert_eq!(found, hours.iter().map(|&hour| at(hour)).collect::<Vec<_>>());
    }

    #[test]
    fn the_first_rain_after_three_dry_days_is_one() {
        check(&gauge(&[(100, 8.0, Flag::Good)]), &[99]);
        check(
            &gauge(&[(100, 1.0, Flag::Good), (101, 1.0, Flag::Good), (102, 1.0, Flag::Good)]),
            &[99],
        );
        check(&gauge(&[(100, 2.0, Flag::Good)]), &[]);
        check(&gauge(&[(100, 8.0, Flag::Good), (150, 8.0, Flag::Good)]), &[99]);
        check(&gauge(&[(100, 8.0, Flag::Good), (180, 8.0, Flag::Good)]), &[99, 179]);
        // Of the first three days nobody knows what was before.
        check(&gauge(&[(20, 8.0, Flag::Good)]), &[]);
    }

    #[test]
    fn a_silent_gauge_is_not_dry_weather() {
        let silent: Vec<_> = (50..70).map(|hour| (hour, 0.0, Flag::Missing)).collect();
        let mut rain = gauge(&silent);
        rain[100].1 = 8.0;
        check(&rain, &[]);
        check(&gauge(&[(100, 8.0, Flag::Bad)]), &[]);
        check(&gauge(&[(100, f64::NAN, Flag::Good)]), &[]);
        check(&[], &[]);
    }

    #[test]
    fn the_mark_stays_for_a_day() {
        let interval = Duration::from_secs(3_600);
        let rule = FirstFlushRule { interval, ..FirstFlushRule::default() };
        let flush = first_flushes(&gauge(&[(100, 8.0, Flag::Good)]), &rule)[0];
        assert!(flush.holds(at(99)) && flush.holds(at(122)));
        assert!(!flush.holds(at(98)) && !flush.holds(at(123)));
        assert!((flush.rain_mm - 8.0).abs() < 1e-12);
    }
}
