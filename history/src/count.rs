//! How much there is of each series and in each file, and what it costs on disk.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use domain::{ParameterCode, StationCode, Timestamp};

use crate::cache::Cache;
use crate::sealed::SealedFile;
use crate::{HistoryError, Look};

/// One sealed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCount {
    /// Its name.
    pub name: PathBuf,
    /// Its rows: one for each report.
    pub rows: u64,
    /// Readings in them.
    pub readings: u64,
    /// Its bytes.
    pub bytes: u64,
    /// The first time taken.
    pub first: Timestamp,
    /// The last time taken.
    pub last: Timestamp,
}

/// One series.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesCount {
    /// Where.
    pub station: StationCode,
    /// What.
    pub parameter: ParameterCode,
    /// Readings, with those that were corrected since.
    pub readings: u64,
    /// The first time taken.
    pub first: Timestamp,
    /// The last time taken.
    pub last: Timestamp,
    /// Its share of the files' bytes: its readings' part of their columns, and of what all columns share.
    pub bytes: f64,
}

/// Of each parameter of one station in a file: how many, first and last.
type Here = Vec<Option<(u64, (i64, i64))>>;
type Counts = BTreeMap<(StationCode, ParameterCode), (u64, (i64, i64), f64)>;

impl Look {
    /// Counts every reading. `went` is told how many rows were gone through.
    ///
    /// # Errors
    /// [`HistoryError`] where a file cannot be trusted or read.
    pub fn count(
        &self,
        mut went: impl FnMut(u64),
    ) -> Result<(Vec<FileCount>, Vec<SeriesCount>), HistoryError> {
        let (mut counts, mut files, mut rows) = (Counts::new(), Vec::new(), 0);
        for file in self.files() {
            count(file, &mut counts)?;
            let facts = file.facts;
            rows += facts.rows;
            went(rows);
            files.push(FileCount {
                name: facts.name().into(),
                rows: facts.rows,
                readings: facts.readings,
                bytes: facts.bytes,
                first: Timestamp::from_millis(facts.span.0),
                last: Timestamp::from_millis(facts.span.1),
            });
        }
        self.each_unsealed(|station, parameter, taken| {
            note(&mut counts, (station.clone(), parameter.clone()), (1, (taken, taken), 0.0));
        });
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let series = counts.into_iter().map(|((station, parameter), (readings, span, bytes))| {
            let (first, last) = (Timestamp::from_millis(span.0), Timestamp::from_millis(span.1));
            SeriesCount { station, parameter, readings, first, last, bytes }
        });
        Ok((files, series.collect()))
    }
}

fn note(
    counts: &mut Counts,
    of: (StationCode, ParameterCode),
    (readings, (first, last), bytes): (u64, (i64, i64), f64),
) {
    let known = counts.entry(of).or_insert((0, (first, last), 0.0));
    known.0 += readings;
    known.1 = (known.1.0.min(first), known.1.1.max(last));
    known.2 += bytes;
}

fn count(file: &Arc<SealedFile>, counts: &mut Counts) -> Result<(), HistoryError> {
    let footer = file.footer(&Mutex::new(Cache::new(0)))?;
    let mut scan = file.scan(Arc::clone(&footer))?;
    let width = footer.parameters.len();
    // Of each station, parameter by parameter.
    let mut here: BTreeMap<String, Here> = BTreeMap::new();
    let mut station = String::new();
    let mut of = vec![None; width];
    while let Some((code, taken, _)) = scan.key() {
        if code != station {
            let before = std::mem::replace(&mut station, code.to_owned());
            let gathered = std::mem::replace(&mut of, vec![None; width]);
            here.insert(before, gathered);
        }
        for (pair, place) in of.iter_mut().enumerate() {
            if scan.cell(pair)?.is_some() {
                let (n, (first, _)) = place.unwrap_or((0, (taken, taken)));
                *place = Some((n + 1, (first, taken)));
            }
        }
        scan.step()?;
    }
    here.insert(station, of);
    here.remove("");
    let (shared, columns) = footer.column_bytes();
    let of_pair = |pair: usize| {
        here.values().filter_map(|of| of[pair]).map(|(n, _)| n).sum::<u64>().max(1) as f64
    };
    let whole: Vec<f64> = (0..width).map(of_pair).collect();
    let all = (file.facts.readings.max(1)) as f64;
    for (code, of) in &here {
        let station = StationCode::new(code).map_err(|error| scan.damaged(error.to_string()))?;
        for (pair, found) in of.iter().enumerate() {
            let Some((n, span)) = *found else { continue };
            let bytes = n as f64 * (columns[pair] as f64 / whole[pair] + shared as f64 / all);
            note(counts, (station.clone(), footer.parameters[pair].clone()), (n, span, bytes));
        }
    }
    Ok(())
}
