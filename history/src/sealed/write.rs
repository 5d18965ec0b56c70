//! Writes one sealed file, row group by row group, so that memory does not grow with the file.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::builder::{
    Decimal64Builder, Float64Builder, StringBuilder, TimestampMillisecondBuilder, UInt8Builder,
    UInt64Builder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use domain::{ParameterCode, StationCode, TestFlags};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use super::decimal::whole;
use super::{
    CRC_KEY, FIXED, Facts, Form, TESTS_KEY, Usual, VERSION, VERSION_KEY, VERSION_UNTESTED,
    file_name, flag_column, tests_column, value_column,
};
use crate::HistoryError;
use crate::month::Month;
use crate::rollup::{self, Gather, Place};
use crate::series::Cell;

/// A row group ends with the first station that ends after so many rows. Dictionaries pay from some thousand rows on.
const GROUP_ROWS_MIN: usize = 8_192;
/// And in the middle of a station at the latest here: 32,768 rows of six parameters are 3 MB before compression.
const GROUP_ROWS_MAX: usize = 32_768;

/// Digits of a decimal that 64 bits hold whatever they are.
const PRECISION: u8 = 18;

/// A parameter and how it is written.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) code: ParameterCode,
    /// What holds all its values.
    pub(crate) form: Form,
    /// Where of any of its readings it is known what each test said: what is usual.
    pub(crate) tests: Option<Usual>,
}

/// One parameter's columns while a row group is gathered.
struct Pair {
    values: Values,
    flags: UInt8Builder,
    tests: Option<(Usual, UInt64Builder)>,
}

/// Values as they are written.
enum Values {
    Floats(Float64Builder),
    Decimals(u8, Decimal64Builder),
}

impl Pair {
    fn new(&Written { form, tests, .. }: &Written) -> Self {
        let values = match form {
            Form::Float => Values::Floats(Float64Builder::new()),
            Form::Decimal(scale) => {
                Values::Decimals(scale, Decimal64Builder::new().with_data_type(kind(form)))
            }
        };
        Self {
            values,
            flags: UInt8Builder::new(),
            tests: tests.map(|usual| (usual, UInt64Builder::new())),
        }
    }

    fn append(&mut self, cell: Option<Cell>) {
        self.values.append(cell.and_then(|cell| cell.value));
        self.flags.append_option(cell.map(|cell| cell.flag.number()));
        if let Some((usual, column)) = &mut self.tests {
            let unusual = cell.filter(|cell| cell.tests != usual.of(cell.flag));
            column.append_option(unusual.map(|cell| cell.tests.bits()));
        } else {
            let tests = cell.map_or(TestFlags::NONE, |cell| cell.tests);
            debug_assert_eq!(tests, TestFlags::NONE, "a parameter is known to be tested before");
        }
    }
}

impl Values {
    /// The value is one of the form that the file was begun with.
    fn append(&mut self, value: Option<f64>) {
        match self {
            Self::Floats(floats) => floats.append_option(value),
            Self::Decimals(scale, decimals) => {
                let number = |value| whole(value, *scale).expect("the form holds every value");
                decimals.append_option(value.map(number));
            }
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Floats(floats) => Arc::new(floats.finish()),
            Self::Decimals(_, decimals) => Arc::new(decimals.finish()),
        }
    }
}

fn kind(form: Form) -> DataType {
    match form {
        Form::Float => DataType::Float64,
        Form::Decimal(scale) => DataType::Decimal64(PRECISION, scale.cast_signed()),
    }
}

/// A sealed file in the making, under a temporary name.
pub(crate) struct SealedWriter {
    month: Month,
    serial: u64,
    temporary: PathBuf,
    path: PathBuf,
    file: File,
    writer: ArrowWriter<File>,
    schema: SchemaRef,
    station: StringBuilder,
    last_station: Option<StationCode>,
    taken: TimestampMillisecondBuilder,
    received: TimestampMillisecondBuilder,
    position: UInt64Builder,
    pairs: Vec<Pair>,
    gathered: usize,
    rows: u64,
    readings: u64,
    span: Option<(i64, i64)>,
    crcs: String,
    gather: Gather,
}

impl SealedWriter {
    /// Begins a file of `month` with these parameters, in this order. Every value must be one of its parameter's form.
    pub(crate) fn create(
        dir: &Path,
        month: Month,
        serial: u64,
        parameters: &[Written],
        rollup_readings_min: usize,
    ) -> Result<Self, HistoryError> {
        let path = dir.join(file_name(month, serial));
        let temporary = path.with_extension("parquet.tmp");
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(true).open(&temporary);
        let file = file.map_err(|e| HistoryError::disk("create", &temporary, e))?;
        let schema = Arc::new(schema(parameters));
        let writing = ArrowWriterOptions::new()
            .with_properties(properties(parameters))
            .with_skip_arrow_metadata(true);
        let handle = file.try_clone().map_err(|e| HistoryError::disk("open", &temporary, e))?;
        let writer = ArrowWriter::try_new_with_options(handle, Arc::clone(&schema), writing)
            .map_err(|e| failed(&temporary, e))?;
        let pairs = parameters.iter().map(Pair::new).collect();
        let codes: Vec<ParameterCode> = parameters.iter().map(|one| one.code.clone()).collect();
        Ok(Self {
            month,
            serial,
            temporary,
            path,
            file,
            writer,
            schema,
            station: StringBuilder::new(),
            last_station: None,
            taken: times(),
            received: times(),
            position: UInt64Builder::new(),
            pairs,
            gathered: 0,
            rows: 0,
            readings: 0,
            span: None,
            crcs: String::new(),
            gather: Gather::new(&codes, rollup_readings_min),
        })
    }

    /// Adds a row; rows come sorted by station, time, position. `cells` stand in the order of the file's parameters.
    pub(crate) fn row(
        &mut self,
        station: &StationCode,
        (taken, received, position): (i64, i64, u64),
        cells: &[Option<Cell>],
    ) -> Result<(), HistoryError> {
        let same = self.last_station.as_ref() == Some(station);
        if GROUP_ROWS_MAX <= self.gathered || (GROUP_ROWS_MIN <= self.gathered && !same) {
            self.end_group()?;
        }
        if !same && let Some(last) = self.last_station.replace(station.clone()) {
            self.gather.station(last.as_str());
        }
        self.station.append_value(station.as_str());
        self.taken.append_value(taken);
        self.received.append_value(received);
        self.position.append_value(position);
        for (pair, cell) in self.pairs.iter_mut().zip(cells) {
            pair.append(*cell);
            self.readings += u64::from(cell.is_some());
        }
        self.gather.row(taken, received, cells);
        self.gathered += 1;
        self.rows += 1;
        self.span = Some(self.span.map_or((taken, taken), |(a, b)| (a.min(taken), b.max(taken))));
        Ok(())
    }

    /// Ends the file, syncs it and gives it its name. The folder's sync is the caller's, once for all files.
    pub(crate) fn finish(mut self) -> Result<Facts, HistoryError> {
        let facts = self.end();
        if facts.is_err() {
            self.abandon();
        }
        facts
    }

    /// Deletes what was written so far.
    pub(crate) fn abandon(self) {
        if let Err(error) = fs::remove_file(&self.temporary) {
            tracing::warn!(path = %self.temporary.display(), %error, "temporary file stays");
        }
    }

    fn end(&mut self) -> Result<Facts, HistoryError> {
        self.end_group()?;
        self.end_rollups()?;
        let usual = self.pairs.iter().filter_map(|pair| Some(pair.tests.as_ref()?.0.written()));
        let usual = usual.collect::<Vec<_>>();
        let version = if usual.is_empty() { VERSION_UNTESTED } else { VERSION };
        self.mark(VERSION_KEY, version.to_string());
        if !usual.is_empty() {
            self.mark(TESTS_KEY, usual.join(" "));
        }
        let crcs = std::mem::take(&mut self.crcs);
        self.mark(CRC_KEY, crcs);
        self.writer.finish().map_err(|e| failed(&self.temporary, e))?;
        self.writer.sync().map_err(|e| HistoryError::disk("write", &self.temporary, e))?;
        self.file.sync_all().map_err(|e| HistoryError::disk("sync", &self.temporary, e))?;
        let facts = self.facts()?;
        fs::rename(&self.temporary, &self.path)
            .map_err(|e| HistoryError::disk("rename", &self.temporary, e))?;
        Ok(facts)
    }

    /// Behind the row groups, before the footer.
    fn end_rollups(&mut self) -> Result<(), HistoryError> {
        if let Some(last) = self.last_station.take() {
            self.gather.station(last.as_str());
        }
        let gather = std::mem::replace(&mut self.gather, Gather::new(&[], 1));
        let (pages, directory) = gather.finish();
        let offset = self.file.metadata().map_err(|e| HistoryError::reading(&self.temporary, e))?;
        let place = Place::of(offset.len(), &pages, &directory);
        for bytes in [pages, directory] {
            let wrote = self.writer.write_all(&bytes);
            wrote.map_err(|e| HistoryError::disk("write", &self.temporary, e))?;
        }
        self.mark(rollup::KEY, place.written());
        Ok(())
    }

    fn mark(&mut self, key: &str, value: String) {
        self.writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
    }

    fn facts(&self) -> Result<Facts, HistoryError> {
        let bytes =
            self.file.metadata().map_err(|e| HistoryError::reading(&self.temporary, e))?.len();
        let mut tail = [0; 8];
        self.read(&mut tail, bytes - 8)?;
        let footer_bytes = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]])) + 8;
        let footer_crc = self.crc(bytes - footer_bytes, footer_bytes)?;
        Ok(Facts {
            month: self.month,
            serial: self.serial,
            rows: self.rows,
            readings: self.readings,
            bytes,
            footer_bytes,
            footer_crc,
            span: self.span.unwrap_or((0, 0)),
        })
    }

    fn end_group(&mut self) -> Result<(), HistoryError> {
        if self.gathered == 0 {
            return Ok(());
        }
        self.gathered = 0;
        let batch = self.batch();
        self.writer.write(&batch).map_err(|e| failed(&self.temporary, e))?;
        self.writer.flush().map_err(|e| failed(&self.temporary, e))?;
        self.writer.sync().map_err(|e| HistoryError::disk("write", &self.temporary, e))?;
        let last = self.writer.flushed_row_groups().last();
        let chunks = last.map(|group| group.columns().iter().map(ColumnChunkMetaData::byte_range));
        for (start, length) in chunks.into_iter().flatten().collect::<Vec<_>>() {
            let crc = self.crc(start, length)?;
            self.crcs.push_str(&format!("{crc:08x}"));
        }
        Ok(())
    }

    fn batch(&mut self) -> RecordBatch {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.station.finish()),
            Arc::new(self.taken.finish()),
            Arc::new(self.received.finish()),
            Arc::new(self.position.finish()),
        ];
        for pair in &mut self.pairs {
            columns.push(pair.values.finish());
            columns.push(Arc::new(pair.flags.finish()));
        }
        for tests in self.pairs.iter_mut().filter_map(|pair| pair.tests.as_mut()) {
            columns.push(Arc::new(tests.1.finish()));
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .expect("every row appends to every column")
    }

    /// The checksum of what stands on disk (in the page cache, in truth: it was written just now).
    fn crc(&self, start: u64, length: u64) -> Result<u32, HistoryError> {
        let mut bytes = vec![0; usize::try_from(length).expect("a chunk fits in memory")];
        self.read(&mut bytes, start)?;
        Ok(crc32fast::hash(&bytes))
    }

    fn read(&self, bytes: &mut [u8], start: u64) -> Result<(), HistoryError> {
        let read = self.file.read_exact_at(bytes, start);
        read.map_err(|e| HistoryError::disk("read back", &self.temporary, e))
    }
}

fn failed(path: &Path, source: ParquetError) -> HistoryError {
    match source {
        ParquetError::External(source) => HistoryError::disk("write", path, source),
        source => HistoryError::disk("write", path, source),
    }
}

fn times() -> TimestampMillisecondBuilder {
    TimestampMillisecondBuilder::new().with_timezone("UTC")
}

fn schema(parameters: &[Written]) -> Schema {
    let time = DataType::Timestamp(TimeUnit::Millisecond, Some(Arc::from("UTC")));
    let fixed = [DataType::Utf8, time.clone(), time, DataType::UInt64];
    let mut fields: Vec<Field> =
        FIXED.into_iter().zip(fixed).map(|(name, kind)| Field::new(name, kind, false)).collect();
    for Written { code, form, .. } in parameters {
        fields.push(Field::new(value_column(code.as_str()), kind(*form), true));
        fields.push(Field::new(flag_column(code.as_str()), DataType::UInt8, true));
    }
    for Written { code, .. } in parameters.iter().filter(|one| one.tests.is_some()) {
        fields.push(Field::new(tests_column(code.as_str()), DataType::UInt64, true));
    }
    Schema::new(fields)
}

fn properties(parameters: &[Written]) -> WriterProperties {
    let level = ZstdLevel::try_new(3).expect("zstd has a level 3");
    let sorted =
        |column| SortingColumn { column_idx: column, descending: false, nulls_first: false };
    let mut with = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(None)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true)
        .set_sorting_columns(Some(vec![sorted(0), sorted(1), sorted(3)]));
    for name in ["station", "taken_at"] {
        with = with.set_column_statistics_enabled(column(name), EnabledStatistics::Chunk);
    }
    for name in ["taken_at", "received_at", "position"] {
        with = plainly(with, name, Encoding::DELTA_BINARY_PACKED);
    }
    for Written { code, form, .. } in parameters {
        let name = value_column(code.as_str());
        with = match form {
            Form::Decimal(_) => plainly(with, &name, Encoding::DELTA_BINARY_PACKED),
            // Where a dictionary does not pay (more than 1 MB of different values), bytes of the same weight side by
            // side compress better than whole floats.
            Form::Float => with.set_column_encoding(column(&name), Encoding::BYTE_STREAM_SPLIT),
        };
    }
    with.build()
}

fn plainly(
    with: WriterPropertiesBuilder,
    name: &str,
    encoding: Encoding,
) -> WriterPropertiesBuilder {
    with.set_column_dictionary_enabled(column(name), false)
        .set_column_encoding(column(name), encoding)
}

/// The names have points in them, so the path must not be made by parsing.
fn column(name: &str) -> ColumnPath {
    ColumnPath::new(vec![name.to_owned()])
}
