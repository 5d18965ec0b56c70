//! Reads one sealed file: the footer once, then of the row groups that can hold what is asked only the columns that are
//! asked, each checked against its checksum before anything is decoded.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMillisecondType, UInt8Type, UInt64Type};
use arrow_array::{
    Array, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray, UInt8Array,
    UInt64Array,
};
use bytes::{Buf, Bytes};
use domain::{Flag, ParameterCode};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::statistics::Statistics;

use super::{CRC_KEY, FIXED, Facts, VERSION, VERSION_KEY};
use crate::HistoryError;
use crate::cache::Cache;
use crate::series::{Cell, Version};

/// Rows that a merge decodes of each source at a time.
const SCAN_ROWS: usize = 1_024;

/// A file that the manifest names, or named: one that a merge replaced is deleted when its last reader lets it go.
#[derive(Debug)]
pub(crate) struct SealedFile {
    pub(crate) facts: Facts,
    path: PathBuf,
    obsolete: AtomicBool,
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

/// What a file's footer says, decoded.
pub(crate) struct Footer {
    reader: ArrowReaderMetadata,
    groups: Vec<Group>,
    crcs: Vec<u32>,
    /// In the order of their columns.
    pub(crate) parameters: Vec<ParameterCode>,
}

struct Group {
    /// First and last station.
    stations: (String, String),
    /// First and last time taken.
    span: (i64, i64),
}

impl Footer {
    fn bytes(&self) -> usize {
        self.reader.metadata().memory_size() + self.crcs.len() * 4 + self.groups.len() * 128
    }

    pub(crate) fn groups(&self) -> usize {
        self.groups.len()
    }

    /// First and last time taken of all rows of the group, where it can hold this station.
    pub(crate) fn span(&self, group: usize, station: &str) -> Option<(i64, i64)> {
        let group = &self.groups[group];
        let (first, last) = (group.stations.0.as_str(), group.stations.1.as_str());
        (first <= station && station <= last).then_some(group.span)
    }
}

impl SealedFile {
    pub(crate) fn new(dir: &Path, facts: Facts) -> Arc<Self> {
        let path = dir.join(facts.name());
        Arc::new(Self { facts, path, obsolete: AtomicBool::new(false) })
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
        out: &mut Vec<Version>,
    ) -> Result<(), HistoryError> {
        let Some(pair) = footer.parameters.iter().position(|code| code.as_str() == parameter)
        else {
            return Ok(());
        };
        for group in 0..footer.groups() {
            let span = footer.span(group, station);
            if span.is_none_or(|(first, last)| last < from || to <= first) {
                continue;
            }
            let rows = self.rows(footer, group, &[pair])?;
            let (start, end) = rows.run(station);
            let start = start + rows.taken.values()[start..end].partition_point(|&t| t < from);
            let end = start + rows.taken.values()[start..end].partition_point(|&t| t < to);
            for row in start..end {
                let cell = rows.cell(0, row).map_err(|what| self.damaged(what))?;
                out.extend(cell.map(|cell| rows.version(row, cell)));
            }
        }
        Ok(())
    }

    /// All rows of a row group, with the columns of these parameters.
    pub(crate) fn rows(
        &self,
        footer: &Footer,
        group: usize,
        pairs: &[usize],
    ) -> Result<Rows, HistoryError> {
        let rows = footer.reader.metadata().row_group(group).num_rows();
        let rows = usize::try_from(rows).unwrap_or(0).max(1);
        let mut reader = self.reader(footer, group, pairs, rows)?;
        let batch = self.next(&mut reader)?;
        batch.ok_or_else(|| self.damaged("a row group is empty".to_owned()))
    }

    /// All rows of the file in order, a few at a time.
    pub(crate) fn scan(self: &Arc<Self>, footer: Arc<Footer>) -> Result<Scan, HistoryError> {
        let mut scan =
            Scan { file: Arc::clone(self), footer, group: 0, reader: None, rows: None, row: 0 };
        scan.refill()?;
        Ok(scan)
    }

    fn next(&self, reader: &mut ParquetRecordBatchReader) -> Result<Option<Rows>, HistoryError> {
        self.decode(|| match reader.next() {
            None => Ok(None),
            Some(Ok(batch)) => Rows::of(&batch).map(Some),
            Some(Err(error)) => Err(error.to_string()),
        })
    }

    fn reader(
        &self,
        footer: &Footer,
        group: usize,
        pairs: &[usize],
        batch: usize,
    ) -> Result<ParquetRecordBatchReader, HistoryError> {
        let fixed = 0..FIXED.len();
        let wanted =
            pairs.iter().flat_map(|pair| [pair * 2 + FIXED.len(), pair * 2 + FIXED.len() + 1]);
        let columns: Vec<usize> = fixed.chain(wanted).collect();
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
            if crc32fast::hash(&bytes) != footer.crcs[group * group_meta.num_columns() + column] {
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
        self.understand(metadata)
    }

    fn understand(&self, metadata: ParquetMetaData) -> Result<Footer, HistoryError> {
        let mark = |key: &str| {
            let marks = metadata.file_metadata().key_value_metadata()?;
            marks.iter().find(|mark| mark.key == key)?.value.clone()
        };
        let version = mark(VERSION_KEY).unwrap_or_else(|| "none".to_owned());
        if version != VERSION.to_string() {
            let (path, found) = (self.path.clone(), version);
            return Err(HistoryError::UnknownVersion { path, found, known: VERSION });
        }
        let crcs = mark(CRC_KEY).and_then(|text| parse_crcs(&text));
        let groups = metadata.row_groups().iter().map(group).collect::<Option<Vec<_>>>();
        let parameters = parameters(&metadata);
        let (Some(crcs), Some(groups), Some(parameters)) = (crcs, groups, parameters) else {
            return Err(self.damaged("its columns or statistics are not those of version 1".into()));
        };
        let columns = FIXED.len() + parameters.len() * 2;
        if crcs.len() != groups.len() * columns {
            return Err(self.damaged("checksums are missing".to_owned()));
        }
        let reader = self.decode(|| {
            let options = ArrowReaderOptions::new();
            ArrowReaderMetadata::try_new(Arc::new(metadata), options).map_err(|e| e.to_string())
        })?;
        Ok(Footer { reader, groups, crcs, parameters })
    }

    fn damaged(&self, what: String) -> HistoryError {
        HistoryError::damaged(&self.path, what)
    }

    /// Runs a step of the Parquet decoder. It is meant to return errors; where it panics on bytes that it does not
    /// expect, that too is a damaged file and not the end of the process.
    fn decode<T>(&self, step: impl FnOnce() -> Result<T, String>) -> Result<T, HistoryError> {
        match catch_unwind(AssertUnwindSafe(step)) {
            Ok(done) => done.map_err(|what| self.damaged(what)),
            Err(_) => Err(self.damaged("the decoder gave up on it".to_owned())),
        }
    }
}

/// Some rows, decoded.
pub(crate) struct Rows {
    station: StringArray,
    taken: TimestampMillisecondArray,
    received: TimestampMillisecondArray,
    position: UInt64Array,
    pairs: Vec<(Float64Array, UInt8Array)>,
}

impl Rows {
    fn of(batch: &RecordBatch) -> Result<Self, String> {
        let columns = batch.columns();
        let time = |at: usize| columns[at].as_primitive_opt::<TimestampMillisecondType>().cloned();
        let pair = |pair: &[Arc<dyn Array>]| {
            let [value, flag] = pair else { return None };
            let value = value.as_primitive_opt::<Float64Type>()?.clone();
            Some((value, flag.as_primitive_opt::<UInt8Type>()?.clone()))
        };
        let rows = || {
            Some(Self {
                station: columns[0].as_string_opt::<i32>()?.clone(),
                taken: time(1)?,
                received: time(2)?,
                position: columns[3].as_primitive_opt::<UInt64Type>()?.clone(),
                pairs: columns[FIXED.len()..].chunks(2).map(pair).collect::<Option<_>>()?,
            })
        };
        rows().ok_or_else(|| "a column has another type than version 1 says".to_owned())
    }

    pub(crate) fn bytes(&self) -> usize {
        let fixed: [&dyn Array; 4] = [&self.station, &self.taken, &self.received, &self.position];
        let pair = |(values, flags): &(Float64Array, UInt8Array)| {
            values.get_array_memory_size() + flags.get_array_memory_size()
        };
        fixed.iter().map(|array| array.get_array_memory_size()).sum::<usize>()
            + self.pairs.iter().map(pair).sum::<usize>()
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
        Ok(Some(Cell { value, flag }))
    }
}

/// A file read from its first row to its last.
pub(crate) struct Scan {
    file: Arc<SealedFile>,
    footer: Arc<Footer>,
    group: usize,
    reader: Option<ParquetRecordBatchReader>,
    rows: Option<Rows>,
    row: usize,
}

impl Scan {
    /// Where the present row stands in the order of a sealed file; `None` behind the last.
    pub(crate) fn key(&self) -> Option<(&str, i64, u64)> {
        let rows = self.rows.as_ref()?;
        Some((
            rows.station.value(self.row),
            rows.taken.value(self.row),
            rows.position.value(self.row),
        ))
    }

    pub(crate) fn damaged(&self, what: String) -> HistoryError {
        self.file.damaged(what)
    }

    pub(crate) fn received(&self) -> i64 {
        self.rows.as_ref().map_or(0, |rows| rows.received.value(self.row))
    }

    pub(crate) fn cell(&self, pair: usize) -> Result<Option<Cell>, HistoryError> {
        let Some(rows) = &self.rows else { return Ok(None) };
        rows.cell(pair, self.row).map_err(|what| self.file.damaged(what))
    }

    pub(crate) fn step(&mut self) -> Result<(), HistoryError> {
        self.row += 1;
        if self.rows.as_ref().is_some_and(|rows| self.row < rows.station.len()) {
            return Ok(());
        }
        self.refill()
    }

    fn refill(&mut self) -> Result<(), HistoryError> {
        self.row = 0;
        loop {
            if let Some(reader) = &mut self.reader {
                self.rows = self.file.next(reader)?;
                if self.rows.is_some() {
                    return Ok(());
                }
            }
            if self.footer.groups() <= self.group {
                (self.reader, self.rows) = (None, None);
                return Ok(());
            }
            let pairs: Vec<usize> = (0..self.footer.parameters.len()).collect();
            self.reader = Some(self.file.reader(&self.footer, self.group, &pairs, SCAN_ROWS)?);
            self.group += 1;
        }
    }
}

/// Checked column chunks, standing for the file that they come from.
struct Chunks {
    length: u64,
    parts: Vec<(u64, Bytes)>,
}

impl Chunks {
    fn from(&self, start: u64) -> Result<Bytes, ParquetError> {
        let holds = |part: &&(u64, Bytes)| part.0 <= start && start - part.0 < part.1.len() as u64;
        let found = self.parts.iter().find(holds).and_then(|(first, bytes)| {
            usize::try_from(start - first).ok().map(|skip| bytes.slice(skip..))
        });
        found.ok_or_else(|| ParquetError::EOF(format!("offset {start} is in no column chunk")))
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Chunks {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        self.from(start).map(Buf::reader)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let mut bytes = self.from(start)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF(format!("{length} bytes at {start} leave their chunk")));
        }
        bytes.truncate(length);
        Ok(bytes)
    }
}

fn parse_crcs(text: &str) -> Option<Vec<u32>> {
    let digits = |at: usize| text.get(at..at + 8).and_then(|hex| u32::from_str_radix(hex, 16).ok());
    (0..text.len()).step_by(8).map(digits).collect()
}

fn group(meta: &RowGroupMetaData) -> Option<Group> {
    let text = |bytes: Option<&[u8]>| Some(String::from_utf8_lossy(bytes?).into_owned());
    let stations = meta.column(0).statistics()?;
    let Statistics::Int64(taken) = meta.column(1).statistics()? else { return None };
    Some(Group {
        stations: (text(stations.min_bytes_opt())?, text(stations.max_bytes_opt())?),
        span: (*taken.min_opt()?, *taken.max_opt()?),
    })
}

/// The parameters by the names of their columns; `None` where the columns are not those of this version.
fn parameters(metadata: &ParquetMetaData) -> Option<Vec<ParameterCode>> {
    let columns = metadata.file_metadata().schema_descr().columns();
    let names: Vec<String> = columns.iter().map(|column| column.path().string()).collect();
    let (fixed, pairs) = names.split_at_checked(FIXED.len())?;
    if fixed != FIXED {
        return None;
    }
    let pair = |pair: &[String]| {
        let code = pair[0].strip_suffix(".value")?;
        let same = pair.get(1)?.strip_suffix(".flag")? == code;
        ParameterCode::new(code).ok().filter(|_| same)
    };
    pairs.chunks(2).map(pair).collect()
}
