//! A real record, read from Parquet or CSV in long form: `time_utc, station, parameter, value, unit, source_flag`.

mod csv; // plain or gzipped
mod parquet; // column by column
mod mapping; // their names and units to ours
mod reports; // rows of one time are one report

use std::path::Path;

use domain::Timestamp;

pub use mapping::{Mapping, Target, Unmapped};
pub use reports::{Report, Sorted, sort};

/// Rows that are read from one file: 20 million of 24 bytes are 480 MB; the largest known record has 1.2 million.
pub const ROWS_MAX: usize = 20_000_000;

/// One row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// When it was measured.
    pub at: Timestamp,
    /// Which quantity: an index into [`Record::series`].
    pub series: u16,
    /// Its value, as it stands there.
    pub value: f64,
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Record {
    /// The quantities that occur: name and unit as the file writes them.
    pub series: Vec<(String, String)>,
    /// All rows in the order of the file.
    pub rows: Vec<Row>,
}

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file cannot be opened or read.
    #[error("cannot read the record")]
    Io(#[from] std::io::Error),
    /// It is no Parquet file, or a damaged one.
    #[error("cannot read the record as parquet")]
    Parquet(#[from] ::parquet::errors::ParquetError),
    /// A batch of it cannot be decoded.
    #[error("cannot decode the record")]
    Arrow(#[from] arrow_schema::ArrowError),
    /// A column is missing or of an unexpected type.
    #[error("column `{column}`: {what}")]
    Column {
        /// Which column.
        column: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// A line of a CSV file makes no sense.
    #[error("line {line}: {what}")]
    Line {
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// More rows than anybody has.
    #[error("more than {ROWS_MAX} rows")]
    TooLong,
}

/// Reads a file: `.parquet`, `.csv` or `.csv.gz`.
///
/// # Errors
/// [`RecordError`] says what is wrong with the file, and where.
pub fn read(path: &Path) -> Result<Record, RecordError> {
    let file = std::fs::File::open(path)?;
    match path.extension().and_then(std::ffi::OsStr::to_str) {
        Some("parquet") => parquet::read(file),
        Some("gz") => csv::read(flate2::read::MultiGzDecoder::new(file)),
        _ => csv::read(file),
    }
}

impl Record {
    fn series(&mut self, name: &str, unit: &str) -> Result<u16, RecordError> {
        // Rows of a file come in runs of one quantity or take turns among a dozen.
        let known = self.series.iter().position(|(n, u)| n == name && u == unit);
        let index = known.unwrap_or_else(|| {
            self.series.push((name.to_owned(), unit.to_owned()));
            self.series.len() - 1
        });
        u16::try_from(index).map_err(|_| RecordError::Column {
            column: "parameter",
            what: "more than 65,535 different quantities".to_owned(),
        })
    }

    fn push(&mut self, at: Timestamp, series: u16, value: f64) -> Result<(), RecordError> {
        if ROWS_MAX <= self.rows.len() {
            return Err(RecordError::TooLong);
        }
        self.rows.push(Row { at, series, value });
        Ok(())
    }
}
