//! Rows of Parquet, some thousand decoded at a time. Types are those of Parquet itself, not what an Arrow writer says
//! beside them, so a dictionary is a text like any other.

use std::fmt::Write as _;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, TimeUnit};
use domain::{Reason, Refusal, Timestamp};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};

use super::{BATCH_ROWS, COLUMNS, Given, Placed, Places, Row, Time, Value};

/// A Parquet file whose columns were found.
pub(super) struct Columns {
    reader: ParquetRecordBatchReader,
    names: Vec<String>,
    given: Given,
    batch: Option<Batch>,
    /// The row of the batch that comes next.
    at: usize,
    /// Rows that were given.
    rows: u64,
    whole: u64,
    flag: String,
}

/// Decoded columns, each of a type that is known.
struct Batch {
    length: usize,
    time: Times,
    station: Option<StringArray>,
    parameter: StringArray,
    value: ArrayRef,
    unit: Option<StringArray>,
    flag: Option<Flags>,
}

enum Times {
    Text(StringArray),
    /// With what makes milliseconds of them, and whether they are adjusted to UTC.
    Stamps(ArrayRef, TimeUnit, bool),
}

enum Flags {
    Text(StringArray),
    Numbers(Vec<Option<i64>>),
}

impl Columns {
    /// Looks at the footer; also gives the columns that mean nothing here.
    pub(super) fn open(
        file: File,
        given: Given,
        unpacked_bytes_max: u64,
    ) -> Result<(Self, Vec<String>), String> {
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder = decode(|| {
            ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
                .map_err(|error| format!("it is no whole Parquet file: {error}"))
        })?;
        let metadata = builder.metadata();
        let names: Vec<String> =
            builder.schema().fields().iter().map(|field| field.name().clone()).collect();
        let (_, extra) = Places::find(&names, given)?;
        for (at, group) in metadata.row_groups().iter().enumerate() {
            let bytes = u64::try_from(group.total_byte_size()).unwrap_or(u64::MAX);
            if unpacked_bytes_max < bytes {
                return Err(format!(
                    "row group {at} says that it unpacks to {bytes} bytes; {unpacked_bytes_max} are allowed"
                ));
            }
        }
        let whole = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or(0);
        let wanted = |name: &str| COLUMNS.contains(&name.trim().to_ascii_lowercase().as_str());
        let roots = names.iter().enumerate().filter(|(_, name)| wanted(name)).map(|(at, _)| at);
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let kept = names.iter().filter(|name| wanted(name)).cloned().collect();
        let reader = decode(|| {
            builder
                .with_projection(mask)
                .with_batch_size(BATCH_ROWS)
                .build()
                .map_err(|error| error.to_string())
        })?;
        let columns = Self {
            reader,
            names: kept,
            given,
            batch: None,
            at: 0,
            rows: 0,
            whole,
            flag: String::new(),
        };
        Ok((columns, extra))
    }

    pub(super) fn progress(&self) -> (u64, u64) {
        (self.rows, self.whole)
    }

    pub(super) fn next_row(&mut self) -> Result<Option<Placed<'_>>, (u64, String)> {
        while self.batch.as_ref().is_none_or(|batch| batch.length <= self.at) {
            let reader = &mut self.reader;
            let next = decode(|| reader.next().transpose().map_err(|error| error.to_string()));
            let Some(batch) = next.map_err(|why| (self.rows, why))? else { return Ok(None) };
            let batch = Batch::of(&batch, &self.names, self.given);
            self.batch = Some(batch.map_err(|why| (self.rows, why))?);
            self.at = 0;
        }
        let Some(batch) = &self.batch else { return Ok(None) };
        let at = self.at;
        self.at += 1;
        self.rows += 1;
        self.flag.clear();
        Ok(Some(Placed { line: self.rows, row: batch.row(at, &mut self.flag) }))
    }
}

impl Batch {
    fn of(batch: &RecordBatch, names: &[String], given: Given) -> Result<Self, String> {
        let (places, _) = Places::find(names, given)?;
        let column = |at: usize| batch.column(at);
        let text = |at: usize| -> Result<StringArray, String> {
            column(at).as_string_opt::<i32>().cloned().ok_or_else(|| {
                format!("the column {} is {}, not text", names[at], column(at).data_type())
            })
        };
        let value = column(places.value);
        if !(value.data_type().is_integer()
            || matches!(value.data_type(), DataType::Float32 | DataType::Float64))
        {
            return Err(format!("the column value is {}, not a number", value.data_type()));
        }
        Ok(Self {
            length: batch.num_rows(),
            time: times(column(places.time))?,
            station: places.station.map(text).transpose()?,
            parameter: text(places.parameter)?,
            value: value.clone(),
            unit: places.unit.map(text).transpose()?,
            flag: places.flag.map(|at| flags(column(at))).transpose()?,
        })
    }

    fn row<'a>(&'a self, at: usize, flag: &'a mut String) -> Result<Row<'a>, Refusal> {
        match &self.flag {
            None => (),
            Some(Flags::Text(texts)) => flag.push_str(some(texts, at).trim()),
            Some(Flags::Numbers(numbers)) => {
                if let Some(number) = numbers[at] {
                    write!(flag, "{number}").expect("writing to a string does not fail");
                }
            }
        }
        Ok(Row {
            time: self.time(at)?,
            station: self.station.as_ref().map_or("", |texts| some(texts, at).trim()),
            parameter: some(&self.parameter, at).trim(),
            value: number(&self.value, at).map_or(Value::Missing, Value::Number),
            unit: self.unit.as_ref().map_or("", |texts| some(texts, at).trim()),
            flag,
        })
    }

    fn time(&self, at: usize) -> Result<Time<'_>, Refusal> {
        let missing =
            || Refusal { reason: Reason::BadTime, detail: "time_utc: there is no time".to_owned() };
        let (stamps, unit, adjusted) = match &self.time {
            Times::Text(texts) if texts.is_null(at) => return Err(missing()),
            Times::Text(texts) => return Ok(Time::Text(texts.value(at).trim())),
            Times::Stamps(stamps, ..) if stamps.is_null(at) => return Err(missing()),
            Times::Stamps(stamps, unit, adjusted) => (stamps, unit, *adjusted),
        };
        let millis = match unit {
            TimeUnit::Second => {
                stamps.as_primitive::<TimestampSecondType>().value(at).saturating_mul(1_000)
            }
            TimeUnit::Millisecond => stamps.as_primitive::<TimestampMillisecondType>().value(at),
            TimeUnit::Microsecond => {
                stamps.as_primitive::<TimestampMicrosecondType>().value(at).div_euclid(1_000)
            }
            TimeUnit::Nanosecond => {
                stamps.as_primitive::<TimestampNanosecondType>().value(at).div_euclid(1_000_000)
            }
        };
        Ok(if adjusted { Time::At(Timestamp::from_millis(millis)) } else { Time::Naive(millis) })
    }
}

fn some(texts: &StringArray, at: usize) -> &str {
    if texts.is_null(at) { "" } else { texts.value(at) }
}

fn times(column: &ArrayRef) -> Result<Times, String> {
    match column.data_type() {
        DataType::Utf8 => Ok(Times::Text(column.as_string().clone())),
        DataType::Timestamp(unit, zone) => Ok(Times::Stamps(column.clone(), *unit, zone.is_some())),
        other => Err(format!("the column time_utc is {other}, neither a timestamp nor text")),
    }
}

fn flags(column: &ArrayRef) -> Result<Flags, String> {
    match column.data_type() {
        DataType::Utf8 => Ok(Flags::Text(column.as_string().clone())),
        kind if kind.is_integer() => {
            let whole = |at| number(column, at).map(|number| number as i64);
            Ok(Flags::Numbers((0..column.len()).map(whole).collect()))
        }
        other => Err(format!("the column source_flag is {other}, neither text nor an integer")),
    }
}

/// The number of a column of floats or integers.
fn number(column: &ArrayRef, at: usize) -> Option<f64> {
    if column.is_null(at) {
        return None;
    }
    Some(match column.data_type() {
        DataType::Float64 => column.as_primitive::<Float64Type>().value(at),
        // As it is written in decimal: 8.85 as a short float is 8.85, not 8.850000381469727.
        DataType::Float32 => {
            let short = column.as_primitive::<Float32Type>().value(at);
            short.to_string().parse().unwrap_or_else(|_| f64::from(short))
        }
        DataType::Int8 => f64::from(column.as_primitive::<Int8Type>().value(at)),
        DataType::Int16 => f64::from(column.as_primitive::<Int16Type>().value(at)),
        DataType::Int32 => f64::from(column.as_primitive::<Int32Type>().value(at)),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(at) as f64,
        DataType::UInt8 => f64::from(column.as_primitive::<UInt8Type>().value(at)),
        DataType::UInt16 => f64::from(column.as_primitive::<UInt16Type>().value(at)),
        DataType::UInt32 => f64::from(column.as_primitive::<UInt32Type>().value(at)),
        DataType::UInt64 => column.as_primitive::<UInt64Type>().value(at) as f64,
        _ => return None,
    })
}

/// Runs a step of the decoder. It is meant to return errors; where it panics on bytes that it does not expect, that is a
/// file that cannot be read, and not the end of the process.
fn decode<T>(step: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(step))
        .unwrap_or_else(|_| Err("the decoder gave up on it".to_owned()))
}
