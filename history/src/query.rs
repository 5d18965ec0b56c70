//! What is asked of history and what it answers.

use domain::{
    Aggregation, Directions, Edits, Every, Flag, Layer, ParameterCode, StationCode, Timestamp,
};

use crate::rollup::{Amount, State, Sum, counted};
use crate::series::Cell;

/// What became of the readings of one record. Its values are `stored`, `duplicate`, `corrected` or `reflagged`; what it
/// revised of older readings comes on top.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied {
    /// Nothing was known at that station, parameter and time.
    pub stored: u32,
    /// The same value with the same flag was there already; nothing changed.
    pub duplicate: u32,
    /// Another value was there, or another flag where nobody tested it; this one is read from now on, the older is kept
    /// below it.
    pub corrected: u32,
    /// The same value was there, and its tests said something else; what they say now is read from now on.
    pub reflagged: u32,
    /// Older readings whose tests say something else now, each a version of its own.
    pub revised: u32,
    /// Older readings of which a test that waited has spoken and whose flag is what it was: written over what the tests
    /// said before, as long as the reading is in memory.
    pub completed: u32,
    /// The tests of a reading were revised that is not there; nothing changed.
    pub unfounded: u32,
}

/// One series between two instants.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Where.
    pub station: StationCode,
    /// What.
    pub parameter: ParameterCode,
    /// First instant, included.
    pub from: Timestamp,
    /// Last instant, not included.
    pub to: Timestamp,
    /// Answers at most, the oldest first. For [`History::buckets`](crate::History::buckets) it counts buckets.
    pub limit: usize,
    /// What was known then: only what had reached us up to this instant, included. `None`: all.
    pub as_of: Option<Timestamp>,
    /// What people changed of the series, and which layers are asked for. The default changes nothing.
    pub edits: Edits,
}

/// A reading as it is shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// When it was taken.
    pub taken_at: Timestamp,
    /// When it reached us.
    pub received_at: Timestamp,
    /// The value in the parameter's unit; `None` when the sensor was missing.
    pub value: Option<f64>,
    /// How far it can be trusted.
    pub flag: Flag,
    /// How far it has come.
    pub layer: Layer,
}

/// The readings of one interval. Intervals without a reading give no bucket. Counted are the readings that have a value
/// and are neither bad (4) nor missing (9).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// The interval's start.
    pub start: Timestamp,
    /// The smallest counted, and the first time of it. Directions have none.
    pub min: Option<At>,
    /// The largest counted, and the first time of it. Directions have none.
    pub max: Option<At>,
    /// The first counted.
    pub first: Option<At>,
    /// The last counted.
    pub last: Option<At>,
    /// Mean of those counted: arithmetic, or as vectors for directions (none where they cancel).
    pub mean: Option<f64>,
    /// Sum of those counted, for a parameter that is added up.
    pub total: Option<f64>,
    /// How many are counted.
    pub count: u32,
    /// The worst flag of all readings of the interval, counted or not.
    pub flag: Flag,
}

/// A value and when it was taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct At {
    /// The value in the parameter's unit.
    pub value: f64,
    /// When it was taken.
    pub taken_at: Timestamp,
}

/// The newest reading of a series that has a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Latest {
    /// Where.
    pub station: StationCode,
    /// What.
    pub parameter: ParameterCode,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// When it reached us.
    pub received_at: Timestamp,
    /// The value in the parameter's unit.
    pub value: f64,
    /// How far it can be trusted.
    pub flag: Flag,
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Rows in memory that are not sealed yet.
    pub tail_rows: u64,
    /// Readings in those rows.
    pub tail_readings: u64,
    /// Bytes that those rows take in memory, about.
    pub tail_bytes: u64,
    /// Sealed files.
    pub sealed_files: u64,
    /// Their bytes.
    pub sealed_bytes: u64,
    /// Their rows.
    pub sealed_rows: u64,
    /// Readings in those rows.
    pub sealed_readings: u64,
    /// The oldest reading, sealed or not.
    pub oldest: Option<Timestamp>,
    /// The newest reading, sealed or not.
    pub newest: Option<Timestamp>,
    /// Journal position up to which all is sealed.
    pub sealed_position: Option<u64>,
}

/// Gathers points in time order into the buckets of an interval.
pub(crate) struct Bucketing {
    every: Every,
    /// The end of the interval that is open.
    end: Option<Timestamp>,
    limit: usize,
    aggregation: Aggregation,
    sum: Sum,
    directions: Directions,
    done: Vec<Bucket>,
}

impl Bucketing {
    pub(crate) fn new(every: Every, limit: usize, aggregation: Aggregation) -> Self {
        let directions = Directions::default();
        let (sum, done) = (Sum::default(), Vec::new());
        Self { every, end: None, limit, aggregation, sum, directions, done }
    }

    /// Takes the next point; `false` when it would open a bucket beyond the limit.
    pub(crate) fn take(&mut self, point: &Point) -> bool {
        let opened = self.open(point.taken_at);
        if opened {
            self.add(point);
        }
        opened
    }

    /// Takes what the points of a stretch of time come to, which lies in one interval; `false` as above.
    pub(crate) fn merge(&mut self, state: &State) -> bool {
        let opened = self.open(Timestamp::from_millis(state.span.0));
        if opened {
            self.put_together(state);
        }
        opened
    }

    fn open(&mut self, at: Timestamp) -> bool {
        // Points come in order, so the end alone says whether this one still belongs to it.
        if self.end.is_some_and(|end| at < end) {
            return true;
        }
        if self.limit <= self.done.len() {
            return false;
        }
        self.settle();
        let start = self.every.start(at);
        self.end = Some(self.every.end(start));
        self.begin(start);
        true
    }

    pub(crate) fn finish(mut self) -> Vec<Bucket> {
        self.settle();
        self.done
    }

    fn begin(&mut self, start: Timestamp) {
        (self.sum, self.directions) = (Sum::default(), Directions::default());
        self.done.push(Bucket {
            start,
            min: None,
            max: None,
            first: None,
            last: None,
            mean: None,
            total: None,
            count: 0,
            flag: Flag::Missing,
        });
    }

    fn add(&mut self, point: &Point) {
        let Some(bucket) = self.done.last_mut() else { return };
        bucket.flag = bucket.flag.worse(point.flag);
        let Some(value) = counted(Cell::untested(point.value, point.flag)) else { return };
        let now = At { value, taken_at: point.taken_at };
        bucket.count = bucket.count.saturating_add(1);
        bucket.first.get_or_insert(now);
        bucket.last = Some(now);
        if self.aggregation == Aggregation::Direction {
            self.directions.add(value);
            return;
        }
        self.sum.add(value);
        bucket.extremes(now, now);
    }

    fn put_together(&mut self, state: &State) {
        let Some(bucket) = self.done.last_mut() else { return };
        bucket.flag = bucket.flag.worse(state.flag);
        let Some(counted) = &state.counted else { return };
        let at = |(value, taken)| At { value, taken_at: Timestamp::from_millis(taken) };
        bucket.count = bucket.count.saturating_add(state.count);
        bucket.first.get_or_insert(at(counted.first));
        bucket.last = Some(at(counted.last));
        match &counted.amount {
            Amount::Number { min, max, sum } => {
                self.sum.merge(sum);
                bucket.extremes(at(*min), at(*max));
            }
            Amount::Vectors(directions) => self.directions.merge(*directions),
        }
    }

    /// The open interval will get no more: what its readings come to.
    fn settle(&mut self) {
        let Some(bucket) = self.done.last_mut().filter(|bucket| 0 < bucket.count) else { return };
        if self.aggregation == Aggregation::Direction {
            bucket.mean = self.directions.mean(bucket.count);
            return;
        }
        let sum = self.sum.value();
        bucket.mean = Some(sum / f64::from(bucket.count));
        bucket.total = (self.aggregation == Aggregation::Total).then_some(sum);
    }
}

impl Bucket {
    /// Takes the least and the greatest of what came later: of equal ones the first stands.
    fn extremes(&mut self, least: At, greatest: At) {
        self.min = Some(self.min.filter(|min| min.value <= least.value).unwrap_or(least));
        self.max = Some(self.max.filter(|max| greatest.value <= max.value).unwrap_or(greatest));
    }
}
