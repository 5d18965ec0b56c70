//! Reads one sealed file: the footer once, then of the row groups that can hold what is asked only the columns that are
//! asked, each checked against its checksum before anything is decoded.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::ParquetMetaDataReader;

use super::chunks::Chunks;
use super::{FIXED, Facts, Footer, Rows, Scan, Usual};
use crate::HistoryError;
use crate::cache::Cache;
use crate::series::Version;

/// Which columns are read beside those that all parameters share.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    /// Values and flags of these parameters, by their place in the file.
    pub(crate) pairs: Vec<usize>,
    /// And what each test said of them?
    pub(crate) tests: Tests,
}

/// What each test said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tests {
    Asked,
    /// All cells are as if nobody had tested them.
    LeftOut,
}

impl Columns {
    /// Values and flags, as they are shown.
    pub(crate) fn shown(pairs: Vec<usize>) -> Self {
        Self { pairs, tests: Tests::LeftOut }
    }

    /// All that is stored of these parameters.
    pub(crate) fn tested(pairs: Vec<usize>) -> Self {
        Self { pairs, tests: Tests::Asked }
    }
}

/// A file that the manifest names, or named: one that a merge replaced is deleted when its last reader lets it go.
#[derive(Debug)]
pub(crate) struct SealedFile {
    pub(crate) facts: Facts,
    path: PathBuf,
    obsolete: AtomicBool,
    /// Its roll-ups are damaged, or it has none: the next merge writes it anew.
    pub(crate) rewrite: AtomicBool,
}

impl Drop for SealedFile {
    fn drop(&mut self) {
        if !*self.obsolete.get_mut() {
            return;
        }
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "merged file stays until the next start");
        }
    }
}

impl SealedFile {
    pub(crate) fn new(dir: &Path, facts: Facts) -> Arc<Self> {
        let path = dir.join(facts.name());
        let (obsolete, rewrite) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self { facts, path, obsolete, rewrite })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A merge has replaced it: delete it when nobody reads it any more.
    pub(crate) fn retire(&self) {
        self.obsolete.store(true, Ordering::Relaxed);
    }

    /// Can it hold something taken between these two, the second not included?
    pub(crate) fn overlaps(&self, from: i64, to: i64) -> bool {
        from <= self.facts.span.1 && self.facts.span.0 < to
    }

    /// The footer, from the cache where it is there.
    pub(crate) fn footer(
        &self,
        cache: &Mutex<Cache<u64, Footer>>,
    ) -> Result<Arc<Footer>, HistoryError> {
        let cached = crate::store::lock(cache).get(self.facts.serial);
        if let Some(footer) = cached {
            return Ok(footer);
        }
        let footer = Arc::new(self.read_footer()?);
        crate::store::lock(cache).put(self.facts.serial, Arc::clone(&footer), footer.bytes());
        Ok(footer)
    }

    /// Adds one series between two times, the second not included, to `out`.
    pub(crate) fn series(
        &self,
        footer: &Footer,
        (station, parameter): (&str, &str),
        (from, to): (i64, i64),
        tests: Tests,
        out: &mut Vec<Version>,
    ) -> Result<(), HistoryError> {
        let Some(pair) = footer.parameters.iter().position(|code| code.as_str() == parameter)
        else {
            return Ok(());
        };
        let columns = Columns { pairs: vec![pair], tests };
        for group in 0..footer.groups() {
            let span = footer.span(group, station);
            if span.is_none_or(|(first, last)| last < from || to <= first) {
                continue;
            }
            let rows = self.rows(footer, group, &columns)?;
            for row in rows.between(station, (from, to)) {
                let cell = rows.cell(0, row).map_err(|what| self.damaged(what))?;
                out.extend(cell.map(|cell| rows.version(row, cell)));
            }
        }
        Ok(())
    }

    /// All rows of a row group, with these columns.
    pub(crate) fn rows(
        &self,
        footer: &Footer,
        group: usize,
        columns: &Columns,
    ) -> Result<Rows, HistoryError> {
        let rows = footer.reader.metadata().row_group(group).num_rows();
        let rows = usize::try_from(rows).unwrap_or(0).max(1);
        let mut reader = self.reader(footer, group, columns, rows)?;
        let found =
            self.next(&mut reader, &footer.tests_of(columns))?.filter(|found| found.len() == rows);
        found.ok_or_else(|| self.damaged(format!("row group {group} has not its {rows} rows")))
    }

    /// All rows of the file in order, a few at a time.
    pub(crate) fn scan(self: &Arc<Self>, footer: Arc<Footer>) -> Result<Scan, HistoryError> {
        Scan::begin(self, footer)
    }

    /// The next rows of a reader, which has such columns of `tests`; `None` behind the last.
    pub(super) fn next(
        &self,
        reader: &mut ParquetRecordBatchReader,
        tests: &[Option<(usize, Usual)>],
    ) -> Result<Option<Rows>, HistoryError> {
        self.decode(|| match reader.next() {
            None => Ok(None),
            Some(Ok(batch)) => Rows::of(&batch, tests).map(Some),
            Some(Err(error)) => Err(error.to_string()),
        })
    }

    pub(super) fn reader(
        &self,
        footer: &Footer,
        group: usize,
        columns: &Columns,
        batch: usize,
    ) -> Result<ParquetRecordBatchReader, HistoryError> {
        let fixed = 0..FIXED.len();
        let pairs = columns.pairs.iter();
        let wanted = pairs.flat_map(|pair| [pair * 2 + FIXED.len(), pair * 2 + FIXED.len() + 1]);
        let tests = footer.tests_columns(columns);
        let columns: Vec<usize> = fixed.chain(wanted).chain(tests).collect();
        let chunks = self.chunks(footer, group, &columns)?;
        let schema = footer.reader.parquet_schema();
        let mask = ProjectionMask::leaves(schema, columns);
        self.decode(|| {
            ParquetRecordBatchReaderBuilder::new_with_metadata(chunks, footer.reader.clone())
                .with_row_groups(vec![group])
                .with_projection(mask)
                .with_batch_size(batch)
                .build()
                .map_err(|error| error.to_string())
        })
    }

    /// Reads these column chunks and checks each.
    fn chunks(
        &self,
        footer: &Footer,
        group: usize,
        columns: &[usize],
    ) -> Result<Chunks, HistoryError> {
        let file = File::open(&self.path).map_err(|e| HistoryError::reading(&self.path, e))?;
        let group_meta = footer.reader.metadata().row_group(group);
        let mut parts = Vec::with_capacity(columns.len());
        for &column in columns {
            let (start, length) = group_meta.column(column).byte_range();
            let mut bytes = vec![0; usize::try_from(length).expect("a chunk fits in memory")];
            let read = file.read_exact_at(&mut bytes, start);
            read.map_err(|e| HistoryError::reading(&self.path, e))?;
            if crc32fast::hash(&bytes) != footer.crc(group, column) {
                let name = group_meta.column(column).column_path().string();
                let what = format!("the checksum of column {name} in row group {group} is wrong");
                return Err(self.damaged(what));
            }
            parts.push((start, Bytes::from(bytes)));
        }
        Ok(Chunks { length: self.facts.bytes, parts })
    }

    fn read_footer(&self) -> Result<Footer, HistoryError> {
        let Facts { bytes, footer_bytes, footer_crc, .. } = self.facts;
        let file = File::open(&self.path).map_err(|e| HistoryError::reading(&self.path, e))?;
        let length = file.metadata().map_err(|e| HistoryError::reading(&self.path, e))?.len();
        if length != bytes {
            return Err(self.damaged(format!("it has {length} bytes, {bytes} were sealed")));
        }
        let mut footer = vec![0; usize::try_from(footer_bytes).expect("a footer fits in memory")];
        let read = file.read_exact_at(&mut footer, bytes - footer_bytes);
        read.map_err(|e| HistoryError::reading(&self.path, e))?;
        if crc32fast::hash(&footer) != footer_crc {
            return Err(self.damaged("the checksum of its footer is wrong".to_owned()));
        }
        footer.truncate(footer.len() - 8);
        let metadata = self.decode(|| {
            ParquetMetaDataReader::decode_metadata(&footer).map_err(|error| error.to_string())
        })?;
        Footer::understand(self, metadata)
    }

    pub(super) fn damaged(&self, what: String) -> HistoryError {
        HistoryError::damaged(&self.path, what)
    }

    /// Runs a step of the Parquet decoder. It is meant to return errors; where it panics on bytes that it does not
    /// expect, that too is a damaged file and not the end of the process.
    pub(super) fn decode<T>(
        &self,
        step: impl FnOnce() -> Result<T, String>,
    ) -> Result<T, HistoryError> {
        match catch_unwind(AssertUnwindSafe(step)) {
            Ok(done) => done.map_err(|what| self.damaged(what)),
            Err(_) => Err(self.damaged("the decoder gave up on it".to_owned())),
        }
    }
}
