//! One file from its first row to its last: rows become readings in our words, readings of one time a report, the report
//! is settled as every other, and goes on in pieces.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use domain::{
    Admitted, Clock, Flag, Parameter, Refusal, Report, Said, Stated, Station, Status, Timestamp,
};
use history::longform::{
    Gather, Known, Longform, Opening, Placed, READINGS_MAX, Said as Reads, Wide, Words,
};
use ingest::{ADMIT, ParameterTable, Piece, VALUES_MAX, admit};
use registry::Registry;

use super::ImportError;
use super::refused::{Cells, Refused, cells};
use super::sink::Sink;
use crate::clock::SystemClock;

/// Rows between two looks at the bar.
const SHOW_EVERY: u64 = 16_384;

/// What is to be imported, and how.
pub struct Job {
    /// How files are opened.
    pub opening: Opening,
    /// What is known of names, units, flags, stations.
    pub known: Known,
    /// Leave rows out that are not believed.
    pub skip_bad: bool,
    /// Read and judge, and store nothing.
    pub check: bool,
    /// Also where it was imported before.
    pub again: bool,
}

/// What became of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// Rows read.
    pub rows: u64,
    /// Readings in the journal, of this import and, where it goes on with another, of that.
    pub readings: u64,
    /// Reports that they make.
    pub records: u64,
    /// Of these, reports that an earlier run of this import had brought in.
    pub before: u64,
    /// Rows that say once more what another says.
    pub repeated: u64,
    /// Rows of parameters that are not wanted.
    pub left_out: u64,
    /// Rows that are not believed.
    pub refused: u64,
    /// Where these are written.
    pub refused_to: Option<PathBuf>,
    /// Stations that were made.
    pub created: Vec<String>,
    /// Columns that mean nothing here.
    pub extra: Vec<String>,
    /// All of it was imported before, and nothing was done.
    pub known: bool,
}

/// A file under way.
struct Run<'a> {
    job: &'a Job,
    registry: &'a Registry,
    sink: Option<&'a Sink>,
    table: ParameterTable,
    words: Words,
    gather: Gather,
    refused: Refused,
    piece: Piece,
    name: String,
    /// The moment that rows are judged by: that of the first run, so that a later one judges alike.
    judged_at: Timestamp,
    done: Done,
}

impl Job {
    /// Imports one file; without a sink it is only looked at. `show` is told how far it was read, and how far there is.
    pub async fn import(
        &self,
        path: &Path,
        registry: &Registry,
        sink: Option<&Sink>,
        mut show: impl FnMut(u64, u64),
    ) -> Result<Done, ImportError> {
        let mut file = Longform::open(path, self.opening)?;
        let name = self.name(path)?;
        let mark = sink.filter(|_| !self.again).map(|sink| sink.mark(&name));
        if let Some(mark) = mark.filter(|mark| mark.done) {
            return Ok(Done {
                records: mark.records,
                before: mark.records,
                known: true,
                ..Done::default()
            });
        }
        let before = mark.map_or(0, |mark| mark.records);
        let parameters: &[Parameter] = &self.known.parameters;
        let mut run = Run {
            job: self,
            registry,
            sink,
            table: ParameterTable::new(parameters),
            words: Words::new(self.known.clone()),
            gather: Gather::default(),
            refused: Refused::of(path, self.skip_bad),
            piece: Piece::begin(&name, before),
            judged_at: match sink {
                Some(sink) => sink.began(&name)?,
                None => SystemClock.now(),
            },
            name,
            done: Done { before, extra: file.extra().to_vec(), ..Done::default() },
        };
        while let Some(placed) = file.next_row()? {
            run.row(&placed)?;
            if run.gather.is_full() {
                run.give().await?;
            }
            if run.done.rows.is_multiple_of(SHOW_EVERY) {
                let (read, whole) = file.progress();
                show(read, whole);
            }
        }
        run.give().await?;
        run.finish().await
    }

    /// All that decides what becomes of a file, so that an import goes on only where it would do the same again.
    fn told(&self) -> String {
        let known = &self.known;
        let names: BTreeMap<_, _> = known.names.iter().collect();
        let flags: BTreeMap<_, _> = known.flags.iter().collect();
        let units: BTreeMap<_, _> =
            known.parameters.iter().map(|it| (&it.code, &it.unit)).collect();
        let known_as: BTreeMap<_, _> = known.known_as.iter().collect();
        // Where stations are made as they come, those that were made the last time change nothing.
        let stations: BTreeSet<_> = match known.create {
            true => BTreeSet::new(),
            false => known.stations.keys().collect(),
        };
        format!(
            "{names:?} {flags:?} {units:?} {known_as:?} {stations:?} {:?} {:?} {} {}",
            known.station, known.offset_s, self.skip_bad, READINGS_MAX
        )
    }

    /// The name of a file's import: what is in it, and all that decides what becomes of that.
    fn name(&self, path: &Path) -> Result<String, ImportError> {
        let mut digest = blake3::Hasher::new();
        digest.update(self.told().as_bytes());
        digest.update(format!("{:?}", self.opening.form).as_bytes());
        let mut file = std::fs::File::open(path).map_err(ImportError::disk("read", path))?;
        let mut chunk = vec![0; 1 << 18];
        loop {
            match file.read(&mut chunk).map_err(ImportError::disk("read", path))? {
                0 => return Ok(digest.finalize().to_hex()[..32].to_owned()),
                read => digest.update(&chunk[..read]),
            };
        }
    }
}

impl Run<'_> {
    fn row(&mut self, placed: &Placed<'_>) -> Result<(), ImportError> {
        self.done.rows += 1;
        let line = placed.line;
        match &placed.row {
            Err(refusal) => self.refused.take(line, refusal, &Cells::default()),
            Ok(row) => match self.words.read(line, row) {
                Ok(Reads::Reading(reading)) => {
                    self.gather.add(&reading);
                    Ok(())
                }
                Ok(Reads::LeftOut) => {
                    self.done.left_out += 1;
                    Ok(())
                }
                Err(refusal) => self.refused.take(line, &refusal, &cells(Some(row))),
            },
        }
    }

    /// Gives on what is gathered.
    async fn give(&mut self) -> Result<(), ImportError> {
        for code in self.words.take_new_stations() {
            self.done.created.push(code.to_string());
            if self.sink.is_some() {
                self.registry.put_station(&Station::new(code)).await?;
            }
        }
        let mut gather = std::mem::take(&mut self.gather);
        for wide in gather.drain() {
            for admitted in self.settle(&wide)? {
                self.done.records += 1;
                self.done.readings += admitted.values.len() as u64;
                if self.done.before < self.done.records {
                    self.piece.add(&admitted);
                }
                if self.piece.is_full() {
                    self.put().await?;
                }
            }
        }
        self.gather = gather;
        Ok(())
    }

    /// Settles what a station said at one time, as every report is settled; a report of more values than one may have
    /// becomes several.
    fn settle(&mut self, wide: &Wide) -> Result<Vec<Admitted>, ImportError> {
        self.done.repeated += wide.repeated;
        for (line, refusal) in &wide.refused {
            let cells = self.cells(wide, None);
            self.refused.take(*line, refusal, &cells)?;
        }
        // The words of the file are ours by now; what the station's logger calls them does not matter.
        let station = Station::new(self.words.station(wide.station).clone());
        let mut all = Vec::with_capacity(1);
        for values in wide.values.chunks(VALUES_MAX) {
            let said = |&(parameter, value, flag, _): &(u32, Option<f64>, Flag, u64)| Said {
                name: self.words.parameter(parameter).as_str().into(),
                value,
                unit: None,
                // What the source itself rejects is kept as such, whatever it is.
                status: if flag == Flag::Bad { Status::Fault } else { Status::Measuring },
            };
            let report = Report {
                taken: Stated::At(wide.taken_at),
                seq: None,
                replay: true,
                values: values.iter().map(said).collect(),
            };
            let admission = admit(&report, &station, &self.table, &ADMIT, self.judged_at);
            drop(report);
            let mut refusals = admission.refused.into_iter();
            let mut admitted = admission.admitted;
            let whole = admitted.is_none().then(|| refusals.as_slice().first().cloned()).flatten();
            let mut at = 0;
            for value in values {
                let code = self.words.parameter(value.0);
                let there = admitted.as_mut().and_then(|it| it.values.get_mut(at));
                match there.filter(|measured| measured.parameter == *code) {
                    Some(measured) => {
                        measured.flag = value.2;
                        at += 1;
                    }
                    None => {
                        let refusal = refusals.next().or_else(|| whole.clone());
                        self.refuse(wide, value, refusal)?;
                    }
                }
            }
            all.extend(admitted);
        }
        Ok(all)
    }

    fn refuse(
        &mut self,
        wide: &Wide,
        value: &(u32, Option<f64>, Flag, u64),
        refusal: Option<Refusal>,
    ) -> Result<(), ImportError> {
        let refusal = refusal.expect("a value that is not admitted is refused");
        let cells = self.cells(wide, Some(value));
        self.refused.take(value.3, &refusal, &cells)
    }

    /// The cells of a row that was put into our words already.
    fn cells(&self, wide: &Wide, value: Option<&(u32, Option<f64>, Flag, u64)>) -> Cells {
        let station = self.words.station(wide.station).to_string();
        let mut cells = [
            wide.taken_at.to_string(),
            station,
            String::new(),
            String::new(),
            String::new(),
            String::new(),
        ];
        if let Some((parameter, value, flag, _)) = value {
            let code = self.words.parameter(*parameter);
            let ours = self.job.known.parameters.iter().find(|parameter| parameter.code == *code);
            cells[2] = code.to_string();
            cells[3] = value.map_or_else(String::new, |value| value.to_string());
            cells[4] = ours.map_or_else(String::new, |ours| ours.unit.clone());
            cells[5] = flag.number().to_string();
        }
        cells
    }

    async fn put(&mut self) -> Result<(), ImportError> {
        let next = Piece::begin(&self.name, self.piece.span().1);
        let piece = std::mem::replace(&mut self.piece, next);
        match self.sink {
            Some(sink) if !piece.is_empty() => sink.put(piece).await,
            _ => Ok(()),
        }
    }

    async fn finish(mut self) -> Result<Done, ImportError> {
        self.put().await?;
        self.done.refused_to = self.refused.finish()?;
        self.done.refused = self.refused.count();
        if let Some(sink) = self.sink {
            sink.finish(&self.name, self.done.records).await?;
        }
        Ok(self.done)
    }
}
