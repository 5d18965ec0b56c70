//! Parquet, whatever way a writer chose to store texts and times.

use std::fs::File;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float64Type, Int32Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use domain::Timestamp;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{Record, RecordError};

/// Reads the whole file, batch by batch.
pub(super) fn read(file: File) -> Result<Record, RecordError> {
    let mut record = Record::default();
    for batch in ParquetRecordBatchReaderBuilder::try_new(file)?.build()? {
        take(&batch?, &mut record)?;
    }
    Ok(record)
}

fn take(batch: &RecordBatch, record: &mut Record) -> Result<(), RecordError> {
    let column = |column: &'static str| {
        batch
            .column_by_name(column)
            .ok_or(RecordError::Column { column, what: "missing".to_owned() })
    };
    let millis = millis(column("time_utc")?)?;
    let (parameter, unit) = (column("parameter")?, column("unit")?);
    let values = column("value")?;
    let values = values
        .as_primitive_opt::<Float64Type>()
        .ok_or_else(|| unexpected("value", values.data_type()))?;
    for (row, millis) in millis.into_iter().enumerate() {
        let millis = millis.ok_or(RecordError::Column {
            column: "time_utc",
            what: "a row has no time".to_owned(),
        })?;
        let series = record.series(text("parameter", parameter, row)?, text("unit", unit, row)?)?;
        let value = if values.is_null(row) { f64::NAN } else { values.value(row) };
        record.push(Timestamp::from_millis(millis), series, value)?;
    }
    Ok(())
}

fn millis(column: &ArrayRef) -> Result<Vec<Option<i64>>, RecordError> {
    let DataType::Timestamp(unit, _) = column.data_type() else {
        return Err(unexpected("time_utc", column.data_type()));
    };
    Ok(match unit {
        TimeUnit::Second => column
            .as_primitive::<TimestampSecondType>()
            .iter()
            .map(|t| t.map(|t| t * 1000))
            .collect(),
        TimeUnit::Millisecond => column.as_primitive::<TimestampMillisecondType>().iter().collect(),
        TimeUnit::Microsecond => column
            .as_primitive::<TimestampMicrosecondType>()
            .iter()
            .map(|t| t.map(|t| t.div_euclid(1000)))
            .collect(),
        TimeUnit::Nanosecond => column
            .as_primitive::<TimestampNanosecondType>()
            .iter()
            .map(|t| t.map(|t| t.div_euclid(1_000_000)))
            .collect(),
    })
}

fn text<'a>(name: &'static str, column: &'a ArrayRef, row: usize) -> Result<&'a str, RecordError> {
    if column.is_null(row) {
        return Ok("");
    }
    match column.data_type() {
        DataType::Utf8 => Ok(column.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Ok(column.as_string::<i64>().value(row)),
        DataType::Utf8View => Ok(column.as_string_view().value(row)),
        DataType::Dictionary(key, _) if **key == DataType::Int32 => {
            let dictionary = column.as_dictionary::<Int32Type>();
            let key = dictionary.key(row).unwrap_or_default();
            text(name, dictionary.values(), key)
        }
        other => Err(unexpected(name, other)),
    }
}

fn unexpected(column: &'static str, found: &DataType) -> RecordError {
    RecordError::Column { column, what: format!("unexpected type {found}") }
}
