//! What is asked of history and what it answers.

use std::time::Duration;

use domain::{Flag, ParameterCode, StationCode, Timestamp};

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
#[derive(Debug, Clone, PartialEq, Eq)]
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
}

/// A reading as it stands now.
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
}

/// The readings of one interval. Intervals without a reading give no bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// The interval's start.
    pub start: Timestamp,
    /// Smallest value, of those counted.
    pub min: Option<f64>,
    /// Largest value, of those counted.
    pub max: Option<f64>,
    /// Arithmetic mean of those counted.
    pub mean: Option<f64>,
    /// Readings that have a value and are neither bad (4) nor missing (9).
    pub count: u32,
    /// The worst flag of all readings of the interval, counted or not.
    pub flag: Flag,
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
    every: Duration,
    limit: usize,
    sum: f64,
    done: Vec<Bucket>,
}

impl Bucketing {
    pub(crate) fn new(every: Duration, limit: usize) -> Self {
        Self { every, limit, sum: 0.0, done: Vec::new() }
    }

    /// Takes the next point; `false` when it would open a bucket beyond the limit.
    pub(crate) fn take(&mut self, point: &Point) -> bool {
        let start = point.taken_at.floor(self.every);
        if self.done.last().is_none_or(|bucket| bucket.start != start) {
            if self.limit <= self.done.len() {
                return false;
            }
            self.open(start);
        }
        self.add(point);
        true
    }

    pub(crate) fn finish(self) -> Vec<Bucket> {
        self.done
    }

    fn open(&mut self, start: Timestamp) {
        self.sum = 0.0;
        let flag = Flag::Missing;
        self.done.push(Bucket { start, min: None, max: None, mean: None, count: 0, flag });
    }

    fn add(&mut self, point: &Point) {
        let Some(bucket) = self.done.last_mut() else { return };
        bucket.flag = bucket.flag.worse(point.flag);
        let Some(value) = point.value else { return };
        if matches!(point.flag, Flag::Bad | Flag::Missing) {
            return;
        }
        self.sum += value;
        bucket.count = bucket.count.saturating_add(1);
        bucket.min = Some(bucket.min.map_or(value, |min| min.min(value)));
        bucket.max = Some(bucket.max.map_or(value, |max| max.max(value)));
        bucket.mean = Some(self.sum / f64::from(bucket.count));
    }
}
