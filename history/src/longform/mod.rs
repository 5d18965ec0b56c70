//! Readings in long form, as other programs keep them: a row for each value, `time_utc, station, parameter, value, unit,
//! source_flag`. Read from CSV, JSON lines and Parquet, written to the same three; what is written reads back as it was.
//!
//! # The form
//! Columns are found by their names, whatever their order and capitals; others are ignored. `source_flag` may be
//! missing, and `station` or `unit` where whoever reads says which.
//!
//! | column | CSV | JSON lines | Parquet |
//! |---|---|---|---|
//! | `time_utc` | RFC 3339 with an offset | the same | timestamp (s, ms, µs, ns) adjusted to UTC, or a text |
//! | `station`, `parameter`, `unit` | text | text | text, plain or dictionary |
//! | `value` | a number; empty, `-`, `NaN`, `NA`, `null`: the sensor is missing | a number, the same as text, or null | a float or an integer |
//! | `source_flag` | text | text or number | text or integer |
//!
//! A time without an offset is read only where an offset is given. What is written has times with milliseconds and `Z`,
//! our parameters in our units, and QARTOD's number as the flag.
//!
//! # Bounds
//! A text file may be packed by gzip and is read as a stream: a line has at most [`LINE_BYTES_MAX`] bytes, and all of it,
//! unpacked, at most as many as the caller allows. Of Parquet one row group is in hand at a time, [`BATCH_ROWS`] rows of it
//! decoded; a page of it is unpacked as a whole, and a row group that says that it unpacks to more than the caller allows
//! is not begun.

mod bound; // no more bytes than allowed
mod open; // which of the three
mod text; // lines, each by itself
mod csv; // rows of a table
mod lines; // rows of JSON
mod parquet; // rows of Parquet
mod words; // what names, units and flags mean here
mod gather; // rows of one time, side by side
mod write; // out again
mod join; // and several as one

use domain::{Refusal, Timestamp};

pub use gather::{Gather, READINGS_MAX, Wide};
pub use join::join;
pub use open::{Form, Longform, Opening};
pub use words::{Flags, Known, Meaning, Names, NewParameter, Reading, Said, Words};
pub use write::Writer;

/// Bytes of a line at most: six cells of any sense take some hundred.
pub const LINE_BYTES_MAX: usize = 64 << 10;

/// Rows decoded of Parquet at a time.
pub const BATCH_ROWS: usize = 8_192;

/// The columns, in the order in which they are written.
pub const COLUMNS: [&str; 6] = ["time_utc", "station", "parameter", "value", "unit", "source_flag"];

/// A row as the file has it, nothing believed yet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row<'a> {
    /// When, of the three forms that files have.
    pub time: Time<'a>,
    /// Where; empty where the file does not say it.
    pub station: &'a str,
    /// What, in the file's word.
    pub parameter: &'a str,
    /// How much.
    pub value: Value<'a>,
    /// In which unit; empty where the file does not say it.
    pub unit: &'a str,
    /// What the source thinks of it.
    pub flag: &'a str,
}

/// A time as a file has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time<'a> {
    /// A text.
    Text(&'a str),
    /// An instant.
    At(Timestamp),
    /// Milliseconds of a clock of which nobody says how far it is ahead of UTC.
    Naive(i64),
}

/// A value as a file has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// A text.
    Text(&'a str),
    /// A number.
    Number(f64),
    /// None.
    Missing,
}

/// A row and where it stands: its line in a text, its number (from 1) in Parquet.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed<'a> {
    /// The place.
    pub line: u64,
    /// The row, or why the file's bytes are none.
    pub row: Result<Row<'a>, Refusal>,
}

/// Why a file cannot be read or written on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LongformError {
    /// The disk does not give it, or does not take it.
    #[error("cannot {doing} `{path}`")]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not readings in long form.
    #[error("`{path}`: {why}")]
    NotLongform {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong, and what would be right.
        why: String,
    },
    /// It is more than is allowed, or ends in its middle.
    #[error("`{path}` after {rows} rows: {why}")]
    Broken {
        /// The file.
        path: std::path::PathBuf,
        /// Rows read of it.
        rows: u64,
        /// What is wrong.
        why: String,
    },
}

/// Where each column stands in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Places {
    time: usize,
    station: Option<usize>,
    parameter: usize,
    value: usize,
    unit: Option<usize>,
    flag: Option<usize>,
}

/// What the reader says of columns that the file need not have.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Given {
    pub(crate) station: bool,
    pub(crate) unit: bool,
}

impl Places {
    /// Finds the columns by their names; the error names all that are missing, each with the nearest that is there.
    fn find<S: AsRef<str>>(names: &[S], given: Given) -> Result<(Self, Vec<String>), String> {
        let names: Vec<String> =
            names.iter().map(|name| name.as_ref().trim().to_ascii_lowercase()).collect();
        let [time, station, parameter, value, unit, flag] =
            COLUMNS.map(|wanted| names.iter().position(|name| name == wanted));
        let needed = [
            ("time_utc", time.is_some()),
            ("station", station.is_some() || given.station),
            ("parameter", parameter.is_some()),
            ("value", value.is_some()),
            ("unit", unit.is_some() || given.unit),
        ];
        let missing: Vec<_> = needed
            .iter()
            .filter(|(_, there)| !there)
            .map(|(name, _)| missing(name, &names))
            .collect();
        if station.is_some() && given.station {
            return Err("it has a column station; take --station away".to_owned());
        }
        let (Some(time), Some(parameter), Some(value)) = (time, parameter, value) else {
            return Err(missing.join("; "));
        };
        if !missing.is_empty() {
            return Err(missing.join("; "));
        }
        for (at, name) in names.iter().enumerate() {
            if COLUMNS.contains(&name.as_str()) && names[..at].contains(name) {
                return Err(format!("the column {name} stands there twice"));
            }
        }
        let extra =
            names.iter().filter(|name| !COLUMNS.contains(&name.as_str())).cloned().collect();
        Ok((Self { time, station, parameter, value, unit, flag }, extra))
    }
}

fn missing(wanted: &str, names: &[String]) -> String {
    let near = |name: &String| strsim::jaro_winkler(wanted, name);
    let other = |name: &&String| !COLUMNS.contains(&name.as_str());
    let nearest = names.iter().filter(other).max_by(|a, b| near(a).total_cmp(&near(b)));
    let hint = match nearest.filter(|name| 0.7 < near(name)) {
        Some(name) => format!("; is it `{name}`? Rename that to {wanted}"),
        None => String::new(),
    };
    let instead = match wanted {
        "station" => " (or say --station CODE)",
        "unit" => " (or a table of --parameters that says each unit)",
        _ => "",
    };
    format!("the column {wanted} is missing{instead}{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, given: Given) -> Result<Vec<String>, String> {
        let names: Vec<&str> = header.split(',').collect();
        Places::find(&names, given).map(|(_, extra)| extra)
    }

    #[test]
    fn columns_are_found_by_name_in_any_order_and_others_are_named() {
        let header = "Unit,value,note,PARAMETER, station ,time_utc,source_flag";
        assert_eq!(check(header, Given::default()), Ok(vec!["note".to_owned()]));
        let without = Given { station: true, unit: true };
        assert_eq!(check("time_utc,parameter,value", without), Ok(vec![]));
    }

    #[test]
    fn a_missing_column_is_named_with_the_nearest_that_is_there() {
        let bad = check("time,station,parameter,values", Given::default()).unwrap_err();
        for part in [
            "time_utc is missing; is it `time`",
            "value is missing; is it `values`",
            "unit is missing (or",
        ] {
            assert!(bad.contains(part), "{bad}");
        }
        let twice = check("time_utc,station,parameter,value,unit,value", Given::default());
        assert!(twice.unwrap_err().contains("value stands there twice"));
        let both =
            check("time_utc,station,parameter,value,unit", Given { station: true, unit: false });
        assert!(both.unwrap_err().contains("take --station away"));
    }
}
