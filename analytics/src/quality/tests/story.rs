//! A record as a line of text: `00:00 3.1 | 00:05 - | 00:10 3.2`, and what came of it.

use domain::{QualityTest, Timestamp};

use crate::quality::{Limits, Point, TestPlan, judge};

/// Midnight UTC of a day of the dry season.
pub(super) const DAY_MS: i64 = 1_710_201_600_000;

pub(super) fn at(minutes: i64) -> Timestamp {
    Timestamp::from_millis(DAY_MS + minutes * 60_000)
}

/// Readings every five minutes; NaN is a missing value.
pub(super) fn every_five(values: &[f64]) -> Vec<Point> {
    let point = |(i, &value): (usize, &f64)| {
        Point::new(at(5 * i64::try_from(i).unwrap()), (!value.is_nan()).then_some(value))
    };
    values.iter().enumerate().map(point).collect()
}

pub(super) fn plan(limits: &Limits) -> TestPlan {
    TestPlan::new(limits).unwrap()
}

/// The numbers of one test's flags; 0 where it did not run.
pub(super) fn flags(limits: &Limits, record: &[Point], test: QualityTest) -> Vec<u8> {
    let judged = judge(&plan(limits), record);
    judged.iter().map(|it| it.get(test).map_or(0, domain::Flag::number)).collect()
}

pub(super) fn check(limits: &Limits, values: &[f64], test: QualityTest, expected: &[u8]) {
    assert_eq!(flags(limits, &every_five(values), test), expected, "{test} of {values:?}");
}

/// The text of times and values as a record.
pub(super) fn told(text: &str) -> Vec<Point> {
    let point = |reading: &str| {
        let (time, value) = reading.trim().split_once(' ').unwrap();
        let (hours, minutes) = time.split_once(':').unwrap();
        let minutes = 60 * hours.parse::<i64>().unwrap() + minutes.parse::<i64>().unwrap();
        Point::new(at(minutes), value.parse().ok())
    };
    text.split('|').map(point).collect()
}
