//! Decoded rows of a sealed file, still in columns.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal128Type, Float64Type, TimestampMillisecondType, UInt8Type, UInt64Type,
};
use arrow_array::{
    Array, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray, UInt8Array,
    UInt64Array,
};
use domain::{Flag, TestFlags};

use super::{FIXED, Usual, decimal};
use crate::series::{Cell, Version};

/// Some rows, decoded.
pub(crate) struct Rows {
    station: StringArray,
    taken: TimestampMillisecondArray,
    received: TimestampMillisecondArray,
    position: UInt64Array,
    pairs: Vec<(Float64Array, UInt8Array)>,
    /// Of the same parameters, where they are asked and there.
    tests: Vec<Option<(UInt64Array, Usual)>>,
}

impl Rows {
    /// `tests` are the places of the pairs' tests behind them.
    pub(super) fn of(
        batch: &RecordBatch,
        tests: &[Option<(usize, Usual)>],
    ) -> Result<Self, String> {
        let columns = batch.columns();
        let time = |at: usize| columns[at].as_primitive_opt::<TimestampMillisecondType>().cloned();
        let pair = |pair: &[Arc<dyn Array>]| {
            let [value, flag] = pair else { return None };
            Some((values(value)?, flag.as_primitive_opt::<UInt8Type>()?.clone()))
        };
        let (pairs, tested) = columns[FIXED.len()..]
            .split_at_checked(tests.len() * 2)
            .ok_or("it has fewer columns than its version says")?;
        let tests_of = |place: &Option<(usize, Usual)>| match place {
            None => Some(None),
            Some((at, usual)) => {
                Some(Some((tested.get(*at)?.as_primitive_opt::<UInt64Type>()?.clone(), *usual)))
            }
        };
        let rows = || {
            Some(Self {
                station: columns[0].as_string_opt::<i32>()?.clone(),
                taken: time(1)?,
                received: time(2)?,
                position: columns[3].as_primitive_opt::<UInt64Type>()?.clone(),
                pairs: pairs.chunks(2).map(pair).collect::<Option<_>>()?,
                tests: tests.iter().map(tests_of).collect::<Option<_>>()?,
            })
        };
        rows().ok_or_else(|| "a column has another type than its version says".to_owned())
    }

    pub(crate) fn bytes(&self) -> usize {
        let fixed: [&dyn Array; 4] = [&self.station, &self.taken, &self.received, &self.position];
        let pair = |(values, flags): &(Float64Array, UInt8Array)| {
            values.get_array_memory_size() + flags.get_array_memory_size()
        };
        fixed.iter().map(|array| array.get_array_memory_size()).sum::<usize>()
            + self.pairs.iter().map(pair).sum::<usize>()
            + self.tests.iter().flatten().map(|(t, _)| t.get_array_memory_size()).sum::<usize>()
    }

    /// The rows of one station, as first and one past the last.
    pub(crate) fn run(&self, station: &str) -> (usize, usize) {
        let first = self.first(|code| code < station);
        (first, self.first(|code| code <= station).max(first))
    }

    fn first(&self, before: impl Fn(&str) -> bool) -> usize {
        let (mut low, mut high) = (0, self.station.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if before(self.station.value(middle)) { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Of the rows `start..end` of one station, so many before and after this time, as first and one past the last. A
    /// time is never cut apart: all its rows are inside or outside.
    pub(crate) fn near(
        &self,
        (start, end): (usize, usize),
        taken: i64,
        (before, after): (usize, usize),
    ) -> (usize, usize) {
        let times = &self.taken.values()[start..end];
        let at = times.partition_point(|&t| t < taken);
        let first = at.saturating_sub(before);
        let first = times.get(first).map_or(first, |&edge| times.partition_point(|&t| t < edge));
        let last = (at + after).min(times.len());
        let last = match last.checked_sub(1) {
            Some(row) => times.partition_point(|&t| t <= times[row]),
            None => 0,
        };
        (start + first, start + last.max(first))
    }

    pub(super) fn len(&self) -> usize {
        self.station.len()
    }

    /// Where a row stands in the order of a file.
    pub(super) fn key(&self, row: usize) -> (&str, i64, u64) {
        (self.station.value(row), self.taken.value(row), self.position.value(row))
    }

    pub(super) fn received(&self, row: usize) -> i64 {
        self.received.value(row)
    }

    /// All rows of one station between two times, the second not included.
    pub(super) fn between(&self, station: &str, (from, to): (i64, i64)) -> std::ops::Range<usize> {
        let (start, end) = self.run(station);
        let times = &self.taken.values()[start..end];
        let (first, last) =
            (times.partition_point(|&t| t < from), times.partition_point(|&t| t < to));
        start + first..start + last.max(first)
    }

    pub(crate) fn taken(&self, row: usize) -> i64 {
        self.taken.value(row)
    }

    pub(crate) fn version(&self, row: usize, cell: Cell) -> Version {
        let (received, position) = (self.received.value(row), self.position.value(row));
        Version { taken: self.taken.value(row), received, position, cell }
    }

    /// The cell of the `pair`-th parameter that was asked for.
    pub(crate) fn cell(&self, pair: usize, row: usize) -> Result<Option<Cell>, String> {
        let (values, flags) = &self.pairs[pair];
        if flags.is_null(row) {
            return Ok(None);
        }
        let number = flags.value(row);
        let flag = Flag::from_number(number).ok_or_else(|| format!("{number} is not a flag"))?;
        let value = (!values.is_null(row)).then(|| values.value(row));
        Ok(Some(Cell { value, flag, tests: self.tests(pair, row, flag)? }))
    }
}

impl Rows {
    fn tests(&self, pair: usize, row: usize, flag: Flag) -> Result<TestFlags, String> {
        match &self.tests[pair] {
            None => Ok(TestFlags::NONE),
            Some((tests, usual)) if tests.is_null(row) => Ok(usual.of(flag)),
            Some((tests, _)) => {
                TestFlags::try_from(tests.value(row)).map_err(|error| error.to_string())
            }
        }
    }
}

/// A column of values as floats; `None` where it holds anything else.
fn values(column: &Arc<dyn Array>) -> Option<Float64Array> {
    if let Some(floats) = column.as_primitive_opt::<Float64Type>() {
        return Some(floats.clone());
    }
    let wholes = column.as_primitive_opt::<Decimal128Type>()?;
    let scale = decimal::known(wholes.scale())?;
    // What does not fit cannot be ours; it must not become a number.
    let number = |whole: i128| i64::try_from(whole).map_or(f64::NAN, |n| decimal::value(n, scale));
    Some(wholes.unary(number))
}
