//! How a series is spread: percentiles, and which part of the readings was beyond a limit; of the whole range, or by the
//! calendar month and the hour of the day in Vietnam, which is what a season usually looks like here (a climatology).

use std::collections::BTreeMap;

use domain::{Flag, VIETNAM_OFFSET_S};

use crate::{History, HistoryError, Point, Query};

/// Readings of one question: ten years of a reading a minute would be 5 million, and take 40 MB while it is answered.
pub const VALUES_MAX: usize = 6_000_000;

/// How readings are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// All of them.
    All,
    /// The twelve months.
    Month,
    /// The hours of the day.
    Hour,
    /// The hours of the day of each of the twelve months.
    MonthHour,
}

/// The readings of one month, one hour, or all.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// 1 to 12.
    pub month: Option<u8>,
    /// 0 to 23, in Vietnam.
    pub hour: Option<u8>,
    /// Readings that have a value and are neither bad (4) nor missing (9); all else is of these.
    pub count: u64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// The arithmetic mean.
    pub mean: f64,
    /// One for each percentile that was asked for, interpolated between the nearest two (Hyndman and Fan 1996, type 7).
    pub percentiles: Vec<f64>,
    /// For each limit that was asked for, the part of the readings at or above it, from 0 to 1.
    pub at_or_above: Vec<f64>,
}

/// What is asked of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Spread {
    /// How readings are put together.
    pub by: By,
    /// From 0 to 100.
    pub percentiles: Vec<f64>,
    /// In the parameter's unit.
    pub limits: Vec<f64>,
}

impl History {
    /// How the readings of a range are spread. Groups without a reading are left out; the query's limit is not heeded.
    /// `None` where there are more than [`VALUES_MAX`].
    ///
    /// # Errors
    /// As [`range`](Self::range).
    pub fn spread(
        &self,
        query: &Query,
        spread: &Spread,
    ) -> Result<Option<Vec<Group>>, HistoryError> {
        let (mut groups, mut count): (BTreeMap<Key, Vec<f64>>, usize) = (BTreeMap::new(), 0);
        let all = Query { limit: usize::MAX, ..query.clone() };
        self.visit(&all, |point| {
            if let Some(value) = counted(&point) {
                count += 1;
                groups.entry(key(spread.by, &point)).or_default().push(value);
            }
            count <= VALUES_MAX
        })?;
        if VALUES_MAX < count {
            return Ok(None);
        }
        Ok(Some(groups.into_iter().map(|(key, values)| group(key, values, spread)).collect()))
    }
}

type Key = (Option<u8>, Option<u8>);

/// The value, where it can be reckoned with.
pub(crate) fn counted(point: &Point) -> Option<f64> {
    let trusted = !matches!(point.flag, Flag::Bad | Flag::Missing);
    point.value.filter(|value| trusted && value.is_finite())
}

fn key(by: By, point: &Point) -> Key {
    let month = || u8::try_from(point.taken_at.local().date().month()).ok();
    let hour = || {
        let local = point.taken_at.as_millis().div_euclid(1_000) + i64::from(VIETNAM_OFFSET_S);
        u8::try_from(local.rem_euclid(86_400) / 3_600).ok()
    };
    match by {
        By::All => (None, None),
        By::Month => (month(), None),
        By::Hour => (None, hour()),
        By::MonthHour => (month(), hour()),
    }
}

fn group((month, hour): Key, mut values: Vec<f64>, spread: &Spread) -> Group {
    let count = values.len();
    let mean = values.iter().sum::<f64>() / count as f64;
    values.sort_by(f64::total_cmp);
    let above = |limit: &f64| count - values.partition_point(|value| value < limit);
    Group {
        month,
        hour,
        count: count as u64,
        min: values.first().copied().unwrap_or(f64::NAN),
        max: values.last().copied().unwrap_or(f64::NAN),
        mean,
        percentiles: spread.percentiles.iter().map(|&percent| at(&values, percent)).collect(),
        at_or_above: spread.limits.iter().map(|limit| above(limit) as f64 / count as f64).collect(),
    }
}

/// The percentile of sorted values.
fn at(sorted: &[f64], percent: f64) -> f64 {
    let place = (sorted.len() - 1) as f64 * percent / 100.0;
    let (low, part) = (place.floor() as usize, place.fract());
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + (sorted[high] - sorted[low]) * part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_between_the_readings_as_type_7_has_it() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        for (percent, right) in [(0.0, 1.0), (25.0, 1.75), (50.0, 3.0), (90.0, 6.8), (100.0, 8.0)] {
            assert!((at(&sorted, percent) - right).abs() < 1e-12, "{percent}");
        }
        assert_eq!(at(&[5.0], 37.0), 5.0);
    }

    #[test]
    fn a_limit_that_is_touched_is_reached() {
        let spread = Spread { by: By::All, percentiles: vec![], limits: vec![0.5, 1.0, 2.0, 9.0] };
        let group = group((None, None), vec![2.0, 1.0, 1.0, 4.0], &spread);
        assert_eq!(group.at_or_above, [1.0, 1.0, 0.5, 0.0]);
        assert_eq!((group.count, group.min, group.max, group.mean), (4, 1.0, 4.0, 2.0));
    }
}
