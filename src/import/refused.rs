//! Rows that are not believed, written beside the file: line, reason and detail before the columns of long form, so that
//! the file can be mended and imported as it is.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use domain::Refusal;
use history::longform::{COLUMNS, Row, Time, Value};

use super::ImportError;

/// The rows that one file had and that are refused.
pub struct Refused {
    of: PathBuf,
    path: PathBuf,
    skip: bool,
    out: Option<BufWriter<File>>,
    count: u64,
}

/// The cells of a refused row, in the order of the columns.
pub type Cells = [String; 6];

impl Refused {
    /// Of this file; without `skip` the first one is an error.
    pub fn of(path: &Path, skip: bool) -> Self {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".refused.csv");
        let beside = path.with_file_name(name);
        Self { of: path.to_owned(), path: beside, skip, out: None, count: 0 }
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// Takes a row.
    pub fn take(&mut self, line: u64, refusal: &Refusal, cells: &Cells) -> Result<(), ImportError> {
        let Refusal { reason, detail } = refusal;
        if !self.skip {
            let (path, detail) = (self.of.clone(), detail.clone());
            return Err(ImportError::Row { path, line, reason: *reason, detail });
        }
        self.count += 1;
        let mut row = vec![line.to_string(), reason.to_string(), detail.clone()];
        row.extend_from_slice(cells);
        let written = match &mut self.out {
            Some(out) => put(out, &row),
            None => File::create(&self.path).map(BufWriter::new).and_then(|mut out| {
                let head = ["line", "reason", "detail"].into_iter().chain(COLUMNS);
                put(&mut out, &head.map(str::to_owned).collect::<Vec<_>>())?;
                put(&mut out, &row)?;
                self.out = Some(out);
                Ok(())
            }),
        };
        written.map_err(ImportError::disk("write", &self.path))
    }

    /// Ends the file, if there is one, and says where it is. One of an earlier import of the same file goes away.
    pub fn finish(&mut self) -> Result<Option<PathBuf>, ImportError> {
        match self.out.take() {
            Some(mut out) => {
                out.flush().map_err(ImportError::disk("write", &self.path))?;
                Ok(Some(self.path.clone()))
            }
            None => Ok(None),
        }
    }
}

fn put(out: &mut impl Write, row: &[String]) -> std::io::Result<()> {
    let cell = |cell: &String| match cell.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"").replace(['\n', '\r'], " ")),
        false => cell.clone(),
    };
    let cells: Vec<String> = row.iter().map(cell).collect();
    writeln!(out, "{}", cells.join(","))
}

/// The cells of a row as it was read.
pub fn cells(row: Option<&Row<'_>>) -> Cells {
    let Some(row) = row else { return Cells::default() };
    let time = match row.time {
        Time::Text(text) => text.to_owned(),
        Time::At(at) => at.to_string(),
        Time::Naive(millis) => {
            domain::Timestamp::from_millis(millis).to_string().trim_end_matches('Z').to_owned()
        }
    };
    let value = match row.value {
        Value::Text(text) => text.to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Missing => String::new(),
    };
    [
        time,
        row.station.to_owned(),
        row.parameter.to_owned(),
        value,
        row.unit.to_owned(),
        row.flag.to_owned(),
    ]
}
