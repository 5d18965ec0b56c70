//! Which of the three a file is, and the rows of it one after the other.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;

use super::bound::Bound;
use super::csv::Table;
use super::lines::Lines;
use super::parquet::Columns;
use super::{Given, LongformError, Placed};

/// One of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A table with a header; commas, semicolons or tabs between the cells.
    Csv,
    /// A JSON object on each line.
    JsonLines,
    /// Apache Parquet.
    Parquet,
}

/// How a file is to be opened.
#[derive(Debug, Clone, Copy)]
pub struct Opening {
    /// What it is; by its ending where nothing is said.
    pub form: Option<Form>,
    /// Whoever reads knows the station, and the file has no such column.
    pub has_station: bool,
    /// Whoever reads knows the units, and the file need not say them.
    pub has_units: bool,
    /// Bytes that it may have unpacked.
    pub unpacked_bytes_max: u64,
}

/// An open file.
pub struct Longform {
    path: PathBuf,
    rows: Rows,
    extra: Vec<String>,
    bytes: u64,
    read: Arc<AtomicU64>,
}

enum Rows {
    Csv(Table<Box<dyn Read + Send>>),
    Lines(Lines<Box<dyn Read + Send>>),
    Parquet(Box<Columns>),
}

impl Form {
    /// What a file's name says: its form, and whether gzip is around it.
    #[must_use]
    pub fn of(path: &Path) -> Option<(Self, bool)> {
        let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
        let (name, packed) = match name.strip_suffix(".gz") {
            Some(inner) => (inner.to_owned(), true),
            None => (name, false),
        };
        let form = match name.rsplit_once('.')?.1 {
            "csv" | "tsv" => Self::Csv,
            "jsonl" | "ndjson" => Self::JsonLines,
            "parquet" if !packed => Self::Parquet,
            _ => return None,
        };
        Some((form, packed))
    }
}

impl Longform {
    /// Opens a file and reads what its columns are.
    ///
    /// # Errors
    /// [`LongformError`]: it cannot be read, or is not readings in long form.
    pub fn open(path: &Path, opening: Opening) -> Result<Self, LongformError> {
        let disk = |source| LongformError::Disk { doing: "read", path: path.to_owned(), source };
        let not = |why| LongformError::NotLongform { path: path.to_owned(), why };
        let named = Form::of(path);
        let form =
            opening.form.or(named.map(|(form, _)| form)).ok_or_else(|| not(unnamed(path)))?;
        let packed = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gz"));
        let file = File::open(path).map_err(disk)?;
        let bytes = file.metadata().map_err(disk)?.len();
        let read = Arc::new(AtomicU64::new(0));
        let given = Given { station: opening.has_station, unit: opening.has_units };
        let most = opening.unpacked_bytes_max;
        let stream = |file: File| -> Box<dyn Read + Send> {
            let counted = Counted { inner: file, read: Arc::clone(&read) };
            let buffered = BufReader::with_capacity(1 << 18, counted);
            match packed {
                true => Box::new(Bound::new(MultiGzDecoder::new(buffered), most)),
                false => Box::new(buffered),
            }
        };
        let (rows, extra) = match form {
            Form::Csv => {
                let (table, extra) = Table::open(stream(file), given).map_err(not)?;
                (Rows::Csv(table), extra)
            }
            Form::JsonLines => {
                let (lines, extra) = Lines::open(stream(file), given).map_err(not)?;
                (Rows::Lines(lines), extra)
            }
            Form::Parquet => {
                let (columns, extra) = Columns::open(file, given, most).map_err(not)?;
                (Rows::Parquet(Box::new(columns)), extra)
            }
        };
        Ok(Self { path: path.to_owned(), rows, extra, bytes, read })
    }

    /// Columns that mean nothing here.
    #[must_use]
    pub fn extra(&self) -> &[String] {
        &self.extra
    }

    /// How far it was read, and how far there is to read: of something, for a bar.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        match &self.rows {
            Rows::Parquet(columns) => columns.progress(),
            Rows::Csv(_) | Rows::Lines(_) => (self.read.load(Ordering::Relaxed), self.bytes),
        }
    }

    /// The next row; `None` behind the last. A row that cannot be read is a row.
    ///
    /// # Errors
    /// [`LongformError::Broken`]: nothing behind this place can be read.
    pub fn next_row(&mut self) -> Result<Option<Placed<'_>>, LongformError> {
        let path = &self.path;
        let broken = |(rows, why)| LongformError::Broken { path: path.clone(), rows, why };
        match &mut self.rows {
            Rows::Csv(table) => table.next_row().map_err(broken),
            Rows::Lines(lines) => lines.next_row().map_err(broken),
            Rows::Parquet(columns) => columns.next_row().map_err(broken),
        }
    }
}

impl std::fmt::Debug for Longform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Longform").field("path", &self.path).finish_non_exhaustive()
    }
}

fn unnamed(path: &Path) -> String {
    let ending = path.extension().map(|it| it.to_string_lossy().to_ascii_lowercase());
    match ending.as_deref() {
        Some("zip" | "7z" | "rar" | "xz" | "bz2" | "zst") => {
            "unpack it first; only .gz is read as it is".to_owned()
        }
        Some("xlsx" | "xls" | "ods") => "save it as CSV first".to_owned(),
        _ => "its ending says no form: .csv, .tsv, .jsonl, .ndjson (each also .gz) or .parquet; or say --format".to_owned(),
    }
}

struct Counted {
    inner: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(out)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
