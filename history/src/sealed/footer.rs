//! What a sealed file says of itself: its version, its columns, its checksums, and where which rows are.

use std::sync::{Arc, OnceLock};

use arrow_schema::DataType;
use domain::ParameterCode;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;

use super::decimal::known;
use super::file::{Columns, Tests};
use super::{
    CRC_KEY, FIXED, Form, SealedFile, TESTS, TESTS_KEY, Usual, VERSION, VERSION_KEY, VERSION_MIN,
};
use crate::HistoryError;
use crate::rollup::{self, Directory, Place};

/// What a file's footer says, decoded.
pub(crate) struct Footer {
    pub(super) reader: ArrowReaderMetadata,
    groups: Vec<Group>,
    crcs: Vec<u32>,
    /// In the order of their columns.
    pub(crate) parameters: Vec<ParameterCode>,
    /// Of which of them it is known what each test said, in the order of those columns, and what is usual.
    tested: Vec<(usize, Usual)>,
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
        let (Some(crcs), Some(groups), Some((parameters, tested))) = (crcs, groups, parameters)
        else {
            return Err(
                file.damaged("its columns or statistics are not those of its version".into())
            );
        };
        let usual = mark(TESTS_KEY).unwrap_or_default();
        let usual: Option<Vec<_>> = usual.split_ascii_whitespace().map(Usual::read).collect();
        let Some(usual) = usual.filter(|usual| usual.len() == tested.len()) else {
            return Err(file.damaged("the usual words of its tests are not said".to_owned()));
        };
        let tested: Vec<_> = tested.into_iter().zip(usual).collect();
        let columns = FIXED.len() + parameters.len() * 2 + tested.len();
        if crcs.len() != groups.len() * columns {
            return Err(file.damaged("checksums are missing".to_owned()));
        }
        let reader = file.decode(|| {
            let options = ArrowReaderOptions::new();
            ArrowReaderMetadata::try_new(Arc::new(metadata), options).map_err(|e| e.to_string())
        })?;
        let directory = OnceLock::new();
        Ok(Self { reader, groups, crcs, parameters, tested, rollups, directory })
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
        let columns = FIXED.len() + self.parameters.len() * 2 + self.tested.len();
        self.crcs[group * columns + column]
    }

    pub(crate) fn groups(&self) -> usize {
        self.groups.len()
    }

    /// What the tests usually say of the `pair`-th parameter, where the file knows what they said.
    pub(crate) fn usual(&self, pair: usize) -> Option<Usual> {
        self.tested.iter().find(|tested| tested.0 == pair).map(|tested| tested.1)
    }

    /// Of each of these parameters the place of its tests among the tests that are read, and what is usual.
    pub(super) fn tests_of(&self, columns: &Columns) -> Vec<Option<(usize, Usual)>> {
        let read = self.tests_read(columns);
        let place = |pair: &usize| {
            let place = read.iter().position(|&at| self.tested[at].0 == *pair)?;
            Some((place, self.tested[read[place]].1))
        };
        columns.pairs.iter().map(place).collect()
    }

    /// The columns of those tests, in the order of the file.
    pub(super) fn tests_columns(&self, columns: &Columns) -> Vec<usize> {
        let before = FIXED.len() + self.parameters.len() * 2;
        self.tests_read(columns).into_iter().map(|at| before + at).collect()
    }

    fn tests_read(&self, columns: &Columns) -> Vec<usize> {
        if columns.tests == Tests::LeftOut {
            return Vec::new();
        }
        (0..self.tested.len()).filter(|&at| columns.pairs.contains(&self.tested[at].0)).collect()
    }

    /// Bytes of the columns that all parameters share, and of each parameter's own.
    pub(crate) fn column_bytes(&self) -> (u64, Vec<u64>) {
        let (mut shared, mut own) = (0, vec![0; self.parameters.len()]);
        for group in self.reader.metadata().row_groups() {
            for (at, column) in group.columns().iter().enumerate() {
                let bytes = column.byte_range().1;
                match at.checked_sub(FIXED.len()) {
                    None => shared += bytes,
                    Some(of) => match self.tested.get(of.wrapping_sub(own.len() * 2)) {
                        Some(&(pair, _)) => own[pair] += bytes,
                        None => own[of / 2] += bytes,
                    },
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

/// The parameters by the names of their columns, and which of them are tested; `None` where the columns are not those of
/// this version.
fn parameters(metadata: &ParquetMetaData) -> Option<(Vec<ParameterCode>, Vec<usize>)> {
    let columns = metadata.file_metadata().schema_descr().columns();
    let names: Vec<String> = columns.iter().map(|column| column.path().string()).collect();
    let (fixed, own) = names.split_at_checked(FIXED.len())?;
    if fixed != FIXED {
        return None;
    }
    let tests = own.iter().position(|name| name.ends_with(TESTS)).unwrap_or(own.len());
    let (pairs, tests) = own.split_at(tests);
    let pair = |pair: &[String]| {
        let code = pair[0].strip_suffix(".value")?;
        let same = pair.get(1)?.strip_suffix(".flag")? == code;
        ParameterCode::new(code).ok().filter(|_| same)
    };
    let parameters = pairs.chunks(2).map(pair).collect::<Option<Vec<_>>>()?;
    let tested = |name: &String| {
        let code = name.strip_suffix(TESTS)?;
        parameters.iter().position(|known| known.as_str() == code)
    };
    let tested = tests.iter().map(tested).collect::<Option<Vec<_>>>()?;
    tested.is_sorted_by(|a, b| a < b).then_some((parameters, tested))
}
