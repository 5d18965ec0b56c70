//! Readings out again, in the form they are read in: our parameters in our units, QARTOD's number as the flag.

use std::io::{self, Write};
use std::sync::Arc;

use arrow_array::builder::{Float64Builder, StringBuilder, TimestampMillisecondBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use domain::{Flag, ParameterCode, StationCode, Timestamp};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::{COLUMNS, Form};

/// Rows that are gathered before they are written.
const BATCH: usize = 8_192;

/// Rows of a row group: 128 of the batches, some MB packed in memory, and few enough groups that a file of years is read
/// fast.
const GROUP_ROWS: usize = 128 * BATCH;

/// Writes readings in one of the three forms.
pub struct Writer<W: Write + Send> {
    to: To<W>,
}

enum To<W: Write + Send> {
    Text { out: W, form: Form, line: String },
    Columns(Box<Columns<W>>),
}

/// Where batches of columns go.
enum Sink<W: Write + Send> {
    Parquet(ArrowWriter<W>),
    Arrow(StreamWriter<W>),
}

struct Columns<W: Write + Send> {
    sink: Sink<W>,
    schema: SchemaRef,
    time: TimestampMillisecondBuilder,
    station: StringBuilder,
    parameter: StringBuilder,
    value: Float64Builder,
    unit: StringBuilder,
    flag: StringBuilder,
    gathered: usize,
}

impl<W: Write + Send> Writer<W> {
    /// Begins: a header, where the form has one.
    ///
    /// # Errors
    /// What the disk says.
    pub fn begin(form: Form, mut out: W) -> io::Result<Self> {
        let to = match form {
            Form::Csv => {
                out.write_all(format!("{}\n", COLUMNS.join(",")).as_bytes())?;
                To::Text { out, form, line: String::new() }
            }
            Form::JsonLines => To::Text { out, form, line: String::new() },
            Form::Parquet => To::Columns(Box::new(Columns::parquet(out)?)),
        };
        Ok(Self { to })
    }

    /// Goes on with a text: without a header.
    ///
    /// # Panics
    /// Where the form is Parquet, which is no text: its files are put together by [`super::join`].
    pub fn go_on(form: Form, out: W) -> Self {
        assert!(form != Form::Parquet, "a Parquet file ends once");
        Self { to: To::Text { out, form, line: String::new() } }
    }

    /// Begins an Arrow IPC stream: for answers, which other programs read without a copy; `import` does not read it.
    ///
    /// # Errors
    /// What the disk says.
    pub fn arrow(out: W) -> io::Result<Self> {
        let schema = schema();
        let sink = StreamWriter::try_new(out, &schema).map_err(io::Error::other)?;
        Ok(Self { to: To::Columns(Box::new(Columns::begin(Sink::Arrow(sink), schema))) })
    }

    /// Writes a reading.
    ///
    /// # Errors
    /// What the disk says.
    pub fn write(
        &mut self,
        (station, parameter, unit): (&StationCode, &ParameterCode, &str),
        taken_at: Timestamp,
        value: Option<f64>,
        flag: Flag,
    ) -> io::Result<()> {
        match &mut self.to {
            To::Text { out, form, line } => {
                line.clear();
                let row = (station, parameter, unit, taken_at, value, flag);
                match form {
                    Form::Csv => csv(line, row),
                    _ => json(line, row),
                }
                out.write_all(line.as_bytes())
            }
            To::Columns(columns) => {
                columns.row((station, parameter, unit), taken_at, value, flag);
                if columns.gathered < BATCH { Ok(()) } else { columns.flush() }
            }
        }
    }

    /// Ends the file and gives back what it was written to.
    ///
    /// # Errors
    /// What the disk says.
    pub fn finish(self) -> io::Result<W> {
        match self.to {
            To::Text { mut out, .. } => {
                out.flush()?;
                Ok(out)
            }
            To::Columns(mut columns) => {
                columns.flush()?;
                let mut out = match columns.sink {
                    Sink::Parquet(writer) => writer.into_inner().map_err(failed)?,
                    Sink::Arrow(writer) => writer.into_inner().map_err(io::Error::other)?,
                };
                out.flush()?;
                Ok(out)
            }
        }
    }
}

impl<W: Write + Send> std::fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

type Line<'a> = (&'a StationCode, &'a ParameterCode, &'a str, Timestamp, Option<f64>, Flag);

fn csv(line: &mut String, (station, parameter, unit, taken_at, value, flag): Line<'_>) {
    use std::fmt::Write as _;
    let unit = match unit.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", unit.replace('"', "\"\"")),
        false => unit.to_owned(),
    };
    let value = value.map_or_else(String::new, |value| value.to_string());
    writeln!(line, "{taken_at},{station},{parameter},{value},{unit},{}", flag.number())
        .expect("writing to a string does not fail");
}

fn json(line: &mut String, (station, parameter, unit, taken_at, value, flag): Line<'_>) {
    use std::fmt::Write as _;
    let unit = serde_json::Value::from(unit);
    let value = serde_json::Value::from(value);
    writeln!(
        line,
        "{{\"time_utc\":\"{taken_at}\",\"station\":\"{station}\",\"parameter\":\"{parameter}\",\"value\":{value},\
         \"unit\":{unit},\"source_flag\":\"{}\"}}",
        flag.number()
    )
    .expect("writing to a string does not fail");
}

fn schema() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Millisecond, Some(Arc::from("UTC")));
    let kinds = [
        (time, false),
        (DataType::Utf8, false),
        (DataType::Utf8, false),
        (DataType::Float64, true),
        (DataType::Utf8, false),
        (DataType::Utf8, false),
    ];
    let fields = COLUMNS.into_iter().zip(kinds);
    let fields: Vec<Field> =
        fields.map(|(name, (kind, null))| Field::new(name, kind, null)).collect();
    Arc::new(Schema::new(fields))
}

impl<W: Write + Send> Columns<W> {
    fn parquet(out: W) -> io::Result<Self> {
        let schema = schema();
        let level = ZstdLevel::try_new(3).expect("zstd has a level 3");
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .build();
        let writer =
            ArrowWriter::try_new(out, Arc::clone(&schema), Some(properties)).map_err(failed)?;
        Ok(Self::begin(Sink::Parquet(writer), schema))
    }

    fn begin(sink: Sink<W>, schema: SchemaRef) -> Self {
        Self {
            sink,
            schema,
            time: TimestampMillisecondBuilder::new().with_timezone("UTC"),
            station: StringBuilder::new(),
            parameter: StringBuilder::new(),
            value: Float64Builder::new(),
            unit: StringBuilder::new(),
            flag: StringBuilder::new(),
            gathered: 0,
        }
    }

    fn row(
        &mut self,
        (station, parameter, unit): (&StationCode, &ParameterCode, &str),
        taken_at: Timestamp,
        value: Option<f64>,
        flag: Flag,
    ) {
        self.time.append_value(taken_at.as_millis());
        self.station.append_value(station.as_str());
        self.parameter.append_value(parameter.as_str());
        self.value.append_option(value);
        self.unit.append_value(unit);
        self.flag.append_value(match flag {
            Flag::Good => "1",
            Flag::NotEvaluated => "2",
            Flag::Suspect => "3",
            Flag::Bad => "4",
            Flag::Missing => "9",
        });
        self.gathered += 1;
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.gathered == 0 {
            return Ok(());
        }
        self.gathered = 0;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.time.finish()),
            Arc::new(self.station.finish()),
            Arc::new(self.parameter.finish()),
            Arc::new(self.value.finish()),
            Arc::new(self.unit.finish()),
            Arc::new(self.flag.finish()),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .expect("every row appends to every column");
        match &mut self.sink {
            Sink::Parquet(writer) => writer.write(&batch).map_err(failed),
            Sink::Arrow(writer) => writer.write(&batch).map_err(io::Error::other),
        }
    }
}

pub(super) fn failed(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(source) => io::Error::other(source),
        },
        other => io::Error::other(other),
    }
}
