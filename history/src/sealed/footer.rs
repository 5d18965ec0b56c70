//! What a sealed file says of itself: its version, its columns, its checksums, and where which rows are.

use std::sync::{Arc, OnceLock};

use arrow_schema::DataType;
use domain::ParameterCode;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;

use super::decimal::known;
use super::{CRC_KEY, FIXED, Form, SealedFile, VERSION, VERSION_KEY, VERSION_MIN};
use crate::HistoryError;
use crate::rollup::{self, Directory, Place};

/// What a file's footer says, decoded.
pub(crate) struct Footer {
    pub(super) reader: ArrowReaderMetadata,
    groups: Vec<Group>,
    crcs: Vec<u32>,
    /// In the order of their columns.
    pub(crate) parameters: Vec<ParameterCode>,
    /// Where its roll-ups are; `None` of a file from before there were any.
    pub(super) rollups: Option<Place>,
    /// Their directory, once it was read.
    pub(super) directory: OnceLock<Directory>,
}

struct Group {
    /// First and last station.
    stations: (String, String),
    /// First and last time taken.
    span: (i64, i64),
}

impl Footer {
    /// What the metadata says, where it is of this version.
    pub(super) fn understand(
        file: &SealedFile,
        metadata: ParquetMetaData,
    ) -> Result<Self, HistoryError> {
        let mark = |key: &str| {
            let marks = metadata.file_metadata().key_value_metadata()?;
            marks.iter().find(|mark| mark.key == key)?.value.clone()
        };
        let version = mark(VERSION_KEY).unwrap_or_else(|| "none".to_owned());
        if !(VERSION_MIN..=VERSION).any(|known| version == known.to_string()) {
            let (path, found) = (file.path().to_owned(), version);
            return Err(HistoryError::UnknownVersion { path, found, known: VERSION });
        }
        // A version that is not known has nothing to read.
        let rollups = mark(rollup::KEY).map(|text| Place::read(&text).unwrap_or_default());
        let crcs = mark(CRC_KEY).and_then(|text| parse_crcs(&text));
        let groups = metadata.row_groups().iter().map(group).collect::<Option<Vec<_>>>();
        let parameters = parameters(&metadata);
        let (Some(crcs), Some(groups), Some(parameters)) = (crcs, groups, parameters) else {
            return Err(
                file.damaged("its columns or statistics are not those of its version".into())
            );
        };
        let columns = FIXED.len() + parameters.len() * 2;
        if crcs.len() != groups.len() * columns {
            return Err(file.damaged("checksums are missing".to_owned()));
        }
        let reader = file.decode(|| {
            let options = ArrowReaderOptions::new();
            ArrowReaderMetadata::try_new(Arc::new(metadata), options).map_err(|e| e.to_string())
        })?;
        let directory = OnceLock::new();
        Ok(Self { reader, groups, crcs, parameters, rollups, directory })
    }

    /// How the values of the `pair`-th parameter are written; `None` where it is a way that this program does not know.
    pub(crate) fn form(&self, pair: usize) -> Option<Form> {
        match self.reader.schema().field(FIXED.len() + pair * 2).data_type() {
            DataType::Float64 => Some(Form::Float),
            DataType::Decimal128(_, scale) => known(*scale).map(Form::Decimal),
            _ => None,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        // Of an entry of the directory, three times its bytes in memory.
        let directory = self.rollups.map_or(0, |place| place.directory as usize * 3);
        let own = self.crcs.len() * 4 + self.groups.len() * 128;
        self.reader.metadata().memory_size() + own + directory
    }

    /// The checksum of a column chunk.
    pub(super) fn crc(&self, group: usize, column: usize) -> u32 {
        self.crcs[group * (FIXED.len() + self.parameters.len() * 2) + column]
    }

    pub(crate) fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Bytes of the columns that all parameters share, and of each parameter's own two.
    pub(crate) fn column_bytes(&self) -> (u64, Vec<u64>) {
        let (mut shared, mut own) = (0, vec![0; self.parameters.len()]);
        for group in self.reader.metadata().row_groups() {
            for (at, column) in group.columns().iter().enumerate() {
                let bytes = column.byte_range().1;
                match at.checked_sub(FIXED.len()) {
                    None => shared += bytes,
                    Some(of) => own[of / 2] += bytes,
                }
            }
        }
        (shared, own)
    }

    /// First and last time taken of all rows of the group.
    pub(crate) fn group_span(&self, group: usize) -> Option<(i64, i64)> {
        self.groups.get(group).map(|group| group.span)
    }

    /// First and last time taken of all rows of the group, where it can hold this station.
    pub(crate) fn span(&self, group: usize, station: &str) -> Option<(i64, i64)> {
        let group = &self.groups[group];
        let (first, last) = (group.stations.0.as_str(), group.stations.1.as_str());
        (first <= station && station <= last).then_some(group.span)
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
