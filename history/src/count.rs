//! How much there is of each series and in each file, and what it costs on disk.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use domain::{ParameterCode, StationCode, Timestamp};

use crate::cache::Cache;
use crate::sealed::SealedFile;
use crate::{HistoryError, Look, Wanted, WideRow};

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

/// One series: what reads back of it, and what it costs.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesCount {
    /// Where.
    pub station: StationCode,
    /// What.
    pub parameter: ParameterCode,
    /// Readings: of each time one, whatever was sent twice or corrected.
    pub readings: u64,
    /// The first time taken.
    pub first: Timestamp,
    /// The last time taken.
    pub last: Timestamp,
    /// Its share of the files' bytes: its readings' part of their columns, and of what all columns share.
    pub bytes: f64,
}

/// Of each parameter of one station in a file: how many.
type Here = BTreeMap<String, Vec<u64>>;
type Counts = BTreeMap<StationCode, BTreeMap<ParameterCode, Counted>>;

#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    readings: u64,
    span: Option<(Timestamp, Timestamp)>,
    bytes: f64,
}

impl Look {
    /// Counts every reading. `went` is told how many rows were gone through.
    ///
    /// # Errors
    /// [`HistoryError`] where a file cannot be trusted or read.
    pub fn count(
        &self,
        went: impl FnMut(u64),
    ) -> Result<(Vec<FileCount>, Vec<SeriesCount>), HistoryError> {
        let (mut counts, mut files) = (Counts::new(), Vec::new());
        let take = |row: WideRow| {
            note(&mut counts, &row);
            ControlFlow::<()>::Continue(())
        };
        // Nothing breaks, so it went to its end.
        self.each(&Wanted::all(), take, went)?.continue_value();
        for file in self.files() {
            weigh(file, &mut counts)?;
            let facts = file.facts;
            files.push(FileCount {
                name: facts.name().into(),
                rows: facts.rows,
                readings: facts.readings,
                bytes: facts.bytes,
                first: Timestamp::from_millis(facts.span.0),
                last: Timestamp::from_millis(facts.span.1),
            });
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let mut series = Vec::new();
        for (station, parameters) in counts {
            for (parameter, Counted { readings, span, bytes }) in parameters {
                let Some((first, last)) = span else { continue };
                let station = station.clone();
                series.push(SeriesCount { station, parameter, readings, first, last, bytes });
            }
        }
        Ok((files, series))
    }
}

fn note(counts: &mut Counts, row: &WideRow) {
    if !counts.contains_key(&row.station) {
        counts.insert(row.station.clone(), BTreeMap::new());
    }
    let Some(of) = counts.get_mut(&row.station) else { return };
    for (code, _, _) in &row.cells {
        if !of.contains_key(code) {
            of.insert(code.clone(), Counted::default());
        }
        let Some(counted) = of.get_mut(code) else { continue };
        counted.readings += 1;
        let first = counted.span.map_or(row.taken_at, |(first, _)| first.min(row.taken_at));
        let last = counted.span.map_or(row.taken_at, |(_, last)| last.max(row.taken_at));
        counted.span = Some((first, last));
    }
}

/// Shares a file's bytes out among its series.
fn weigh(file: &Arc<SealedFile>, counts: &mut Counts) -> Result<(), HistoryError> {
    let footer = file.footer(&Mutex::new(Cache::new(0)))?;
    let mut scan = file.scan(Arc::clone(&footer))?;
    let width = footer.parameters.len();
    let mut here = Here::new();
    let (mut station, mut of) = (String::new(), vec![0; width]);
    while let Some((code, _, _)) = scan.key() {
        if code != station {
            let before = std::mem::replace(&mut station, code.to_owned());
            here.insert(before, std::mem::replace(&mut of, vec![0; width]));
        }
        for (pair, count) in of.iter_mut().enumerate() {
            *count += u64::from(scan.cell(pair)?.is_some());
        }
        scan.step()?;
    }
    here.insert(station, of);
    let (shared, columns) = footer.column_bytes();
    let whole = |pair: usize| here.values().map(|of| of[pair]).sum::<u64>().max(1) as f64;
    let each: Vec<f64> = (0..width).map(|pair| columns[pair] as f64 / whole(pair)).collect();
    let shared = shared as f64 / file.facts.readings.max(1) as f64;
    for (code, of) in &here {
        let Some(known) = counts.get_mut(code.as_str()) else { continue };
        for (pair, count) in of.iter().enumerate() {
            if let Some(counted) = known.get_mut(&footer.parameters[pair]) {
                counted.bytes += *count as f64 * (each[pair] + shared);
            }
        }
    }
    Ok(())
}
