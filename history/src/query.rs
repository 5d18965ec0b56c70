//! What is asked of history and what it answers.

use domain::{
    Aggregation, Directions, Edits, Every, Flag, Layer, ParameterCode, StationCode, Timestamp,
};

/// What became of the readings of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied {
    /// Nothing was known at that station, parameter and time.
    pub stored: u32,
    /// The same value with the same flag was there already; nothing changed.
    pub duplicate: u32,
    /// Another value or flag was there; this one is read from now on, the older is kept below it.
    pub corrected: u32,
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
    sum: f64,
    directions: Directions,
    done: Vec<Bucket>,
}

impl Bucketing {
    pub(crate) fn new(every: Every, limit: usize, aggregation: Aggregation) -> Self {
        let directions = Directions::default();
        Self { every, end: None, limit, aggregation, sum: 0.0, directions, done: Vec::new() }
    }

    /// Takes the next point; `false` when it would open a bucket beyond the limit.
    pub(crate) fn take(&mut self, point: &Point) -> bool {
        // Points come in order, so the end alone says whether this one still belongs to it.
        if self.end.is_none_or(|end| end <= point.taken_at) {
            if self.limit <= self.done.len() {
                return false;
            }
            let start = self.every.start(point.taken_at);
            self.end = Some(self.every.end(start));
            self.begin(start);
        }
        self.add(point);
        true
    }

    pub(crate) fn finish(self) -> Vec<Bucket> {
        self.done
    }

    fn begin(&mut self, start: Timestamp) {
        (self.sum, self.directions) = (0.0, Directions::default());
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
        let Some(value) = point.value else { return };
        if matches!(point.flag, Flag::Bad | Flag::Missing) {
            return;
        }
        let now = At { value, taken_at: point.taken_at };
        bucket.count = bucket.count.saturating_add(1);
        bucket.first.get_or_insert(now);
        bucket.last = Some(now);
        if self.aggregation == Aggregation::Direction {
            self.directions.add(value);
            bucket.mean = self.directions.mean();
            return;
        }
        self.sum += value;
        bucket.mean = Some(self.sum / f64::from(bucket.count));
        bucket.total = (self.aggregation == Aggregation::Total).then_some(self.sum);
        bucket.min = Some(bucket.min.filter(|min| min.value <= value).unwrap_or(now));
        bucket.max = Some(bucket.max.filter(|max| value <= max.value).unwrap_or(now));
    }
}
