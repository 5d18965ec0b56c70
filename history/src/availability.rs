//! How much of a series is there: of the readings that were to come, how many came, how many of them can be used, and
//! where nothing is.

use std::time::Duration;

use domain::{Every, Timestamp};

use crate::statistics::counted;
use crate::{History, HistoryError, Query};

/// One interval of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Availability {
    /// The interval's start.
    pub start: Timestamp,
    /// Readings that were to come in it, or in that part of it that is in the range: a reading every interval of the
    /// station.
    pub expected: u64,
    /// Readings that came, of any kind.
    pub came: u64,
    /// Those that have a value and are neither bad (4) nor missing (9).
    pub usable: u64,
    /// The longest time without a usable reading, as far as it lies in the interval.
    pub longest_gap: Duration,
}

/// A time without a usable reading, longer than was asked for: from the reading before it to the one behind it, or to the
/// ends of the range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Where it begins.
    pub from: Timestamp,
    /// Where it ends.
    pub to: Timestamp,
}

/// How much is there of a range.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Available {
    /// In order, every interval of the range, also where nothing came.
    pub intervals: Vec<Availability>,
    /// The gaps, in order, as many as fit.
    pub gaps: Vec<Gap>,
    /// Gaps beyond those.
    pub more_gaps: u64,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    /// Time between two readings.
    pub interval: Duration,
    /// How the range is cut.
    pub every: Every,
    /// A longer time without a usable reading is a gap.
    pub gap_min: Duration,
    /// Gaps that are told one by one.
    pub gaps_max: usize,
}

impl History {
    /// How much of a series is there in a range, both ends of which count. The caller bounds the number of intervals.
    ///
    /// # Errors
    /// As [`range`](Self::range).
    pub fn availability(&self, query: &Query, rhythm: Rhythm) -> Result<Available, HistoryError> {
        let mut counting = Counting::new(query, rhythm);
        let all = Query { limit: usize::MAX, ..query.clone() };
        self.visit(&all, |point| {
            counting.reading(point.taken_at, counted(&point).is_some());
            true
        })?;
        Ok(counting.finish())
    }
}

struct Counting {
    rhythm: Rhythm,
    to: Timestamp,
    /// The last usable reading, or the range's start.
    last: Timestamp,
    found: Available,
}

impl Counting {
    fn new(query: &Query, rhythm: Rhythm) -> Self {
        let mut intervals = Vec::new();
        let mut start = rhythm.every.start(query.from);
        while start < query.to {
            let end = rhythm.every.end(start);
            let part = end.min(query.to).since(start.max(query.from));
            let expected = part.as_millis() / rhythm.interval.as_millis().max(1);
            let expected = u64::try_from(expected).unwrap_or(u64::MAX);
            let longest_gap = Duration::ZERO;
            intervals.push(Availability { start, expected, came: 0, usable: 0, longest_gap });
            start = end;
        }
        let found = Available { intervals, ..Available::default() };
        Self { rhythm, to: query.to, last: query.from, found }
    }

    fn reading(&mut self, taken: Timestamp, usable: bool) {
        let at = self.found.intervals.partition_point(|one| one.start <= taken);
        let Some(interval) = at.checked_sub(1).map(|at| &mut self.found.intervals[at]) else {
            return;
        };
        interval.came += 1;
        if usable {
            interval.usable += 1;
            self.gap(taken);
            self.last = taken;
        }
    }

    /// From the last usable reading to here there was none.
    fn gap(&mut self, to: Timestamp) {
        let from = self.last;
        let first = self.found.intervals.partition_point(|one| one.start <= from).saturating_sub(1);
        for at in first..self.found.intervals.len() {
            let end = self.found.intervals.get(at + 1).map_or(self.to, |next| next.start);
            let one = &mut self.found.intervals[at];
            if to <= one.start {
                break;
            }
            one.longest_gap = one.longest_gap.max(to.min(end).since(from.max(one.start)));
        }
        if self.rhythm.gap_min < to.since(from) {
            match self.found.gaps.len() < self.rhythm.gaps_max {
                true => self.found.gaps.push(Gap { from, to }),
                false => self.found.more_gaps += 1,
            }
        }
    }

    fn finish(mut self) -> Available {
        self.gap(self.to);
        self.found
    }
}

#[cfg(test)]
mod tests {
    use domain::{Edits, ParameterCode, StationCode};

    use super::*;

    fn t(minute: i64) -> Timestamp {
        Timestamp::from_millis(minute * 60_000)
    }

    fn count(range: (i64, i64), readings: &[(i64, bool)]) -> Available {
        let query = Query {
            station: StationCode::new("a").unwrap(),
            parameter: ParameterCode::new("ph").unwrap(),
            from: t(range.0),
            to: t(range.1),
            limit: 1,
            as_of: None,
            edits: Edits::default(),
        };
        let minutes = Duration::from_mins;
        let every = Every::Span(minutes(60));
        let rhythm = Rhythm { interval: minutes(15), every, gap_min: minutes(40), gaps_max: 2 };
        let mut counting = Counting::new(&query, rhythm);
        readings.iter().for_each(|&(minute, usable)| counting.reading(t(minute), usable));
        counting.finish()
    }

    #[test]
    fn what_was_to_come_is_counted_also_where_nothing_came() {
        let found = count((30, 240), &[(30, true), (45, false), (60, true), (230, true)]);
        let row = |one: &Availability| {
            let gap = one.longest_gap.as_secs() / 60;
            (one.start.as_millis() / 60_000, one.expected, one.came, one.usable, gap)
        };
        let rows: Vec<_> = found.intervals.iter().map(row).collect();
        assert_eq!(
            rows,
            [(0, 2, 2, 1, 30), (60, 4, 1, 1, 60), (120, 4, 0, 0, 60), (180, 4, 1, 1, 50)]
        );
        assert_eq!(found.gaps, [Gap { from: t(60), to: t(230) }]);
    }

    #[test]
    fn an_empty_range_is_one_gap_and_gaps_beyond_the_most_are_counted() {
        let found = count((0, 120), &[]);
        assert_eq!(found.gaps, [Gap { from: t(0), to: t(120) }]);
        let many: Vec<(i64, bool)> = (0..5).map(|n| (n * 50, true)).collect();
        let found = count((0, 201), &many);
        assert_eq!((found.gaps.len(), found.more_gaps), (2, 2));
    }
}
