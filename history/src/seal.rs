//! From the tail to sealed files. The tail is set aside in one step and stays readable; its files are written beside
//! everything; one new manifest makes them count. Where any of it fails, the tail set aside waits for the next call.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::sync::Arc;
use std::time::Instant;

use domain::{ParameterCode, StationCode, Timestamp};

use crate::month::Month;
use crate::sealed::{Facts, Form, Manifest, Met, SealedFile, SealedWriter, Written};
use crate::sealed::{series_lines, sync_dir, write_manifest};
use crate::series::SeriesTable;
use crate::store::{Shared, State, lock};
use crate::tail::Tail;
use crate::{Config, History, HistoryError};

/// What a seal remembers for the next one; its lock lets one seal run at a time.
pub(crate) struct Sealer {
    /// The next serial number. Never given twice, also where a seal failed.
    pub(crate) next: u64,
    /// The manifest's lines of all series, as they were sealed last.
    pub(crate) series: String,
    /// Files that a merge found damaged: they stay as they are, for the operator.
    pub(crate) damaged: HashSet<u64>,
    /// The months that the last seal wrote into.
    pub(crate) wrote: BTreeSet<Month>,
    /// Settled months become one file again from then on: the pace of that.
    pub(crate) settle_after: Option<Instant>,
}

impl Sealer {
    pub(crate) fn new(manifest: &Manifest) -> Self {
        let (stations, parameters) = (manifest.stations.codes(), manifest.parameters.codes());
        Self {
            next: manifest.next,
            series: series_lines(stations, parameters, &manifest.series),
            damaged: HashSet::new(),
            wrote: BTreeSet::new(),
            settle_after: None,
        }
    }

    pub(crate) fn serial(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }
}

/// A tail set aside, with everything a file and a manifest need beside it.
pub(crate) struct Sealing {
    pub(crate) tail: Tail,
    /// The series as they are when this is sealed.
    series: SeriesTable,
    stations: Vec<StationCode>,
    parameters: Vec<ParameterCode>,
    position: Option<u64>,
}

impl History {
    /// Seals the tail where it is due, or in any case with `force`; then merges small files of one month, once. Blocks
    /// for as long as that takes, while [`apply`](Self::apply) and all reads go on. Returns the new position where
    /// there is one.
    ///
    /// # Errors
    /// [`HistoryError::Disk`] where the disk refused; the tail stays readable and the next call tries again. A merge
    /// that fails is logged and counted, never an error: it loses nothing and the next call tries again.
    pub fn seal(&self, now: Timestamp, force: bool) -> Result<Option<u64>, HistoryError> {
        let mut sealer = lock(&self.shared.sealer);
        let mut sealed = None;
        // Two rounds at most: what an earlier call could not write, then what has gathered since.
        for _ in 0..2 {
            let Some((sealing, _)) = self.shared.set_aside(now, force) else { break };
            self.shared.seal(&mut sealer, &sealing)?;
            sealed = sealing.position;
        }
        self.shared.merge_one(&mut sealer, now);
        Ok(sealed)
    }
}

/// A tail that waits to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetAside {
    /// The last record that was applied to it.
    pub position: u64,
    /// It was set aside now, and not by an earlier call.
    pub now: bool,
}

impl History {
    /// The first half of [`seal`](Self::seal), for whoever keeps something of the same moment: sets the tail aside where it
    /// is due, or in any case with `force`. It stays readable, and the next [`seal_set_aside`](Self::seal_set_aside)
    /// writes it. `None` where there is nothing to write.
    #[must_use]
    pub fn set_aside(&self, now: Timestamp, force: bool) -> Option<SetAside> {
        let (sealing, fresh) = self.shared.set_aside(now, force)?;
        Some(SetAside { position: sealing.position?, now: fresh })
    }

    /// The other half: writes what was set aside, if anything was, and merges as [`seal`](Self::seal) does. Returns the
    /// new position where there is one.
    ///
    /// # Errors
    /// As [`seal`](Self::seal).
    pub fn seal_set_aside(&self, now: Timestamp) -> Result<Option<u64>, HistoryError> {
        let mut sealer = lock(&self.shared.sealer);
        let waiting = self.shared.read().sealing.clone();
        if let Some(sealing) = &waiting {
            self.shared.seal(&mut sealer, sealing)?;
        }
        self.shared.merge_one(&mut sealer, now);
        Ok(waiting.and_then(|sealing| sealing.position))
    }
}

impl Shared {
    /// What is to be written: what waits since a failure, or the tail where it is due; and whether it was set aside now.
    fn set_aside(&self, now: Timestamp, force: bool) -> Option<(Arc<Sealing>, bool)> {
        let _writer = lock(&self.writer);
        let mut state = self.write();
        if let Some(waiting) = &state.sealing {
            return Some((Arc::clone(waiting), false));
        }
        let due = force || state.tail.is_due(&self.config, now);
        if !due || state.applied == state.sealed && state.tail.rows == 0 {
            return None;
        }
        let sealing = Arc::new(state.set_aside());
        state.sealing = Some(Arc::clone(&sealing));
        Some((sealing, true))
    }

    fn seal(&self, sealer: &mut Sealer, sealing: &Sealing) -> Result<(), HistoryError> {
        let began = Instant::now();
        if let Err(error) = self.write_out(sealer, sealing) {
            metrics::counter!("saltline_history_seal_failed_total").increment(1);
            let (readings, error_chain) = (sealing.tail.readings, &error as &dyn std::error::Error);
            tracing::error!(
                error = error_chain,
                readings,
                "cannot seal; the tail stays, and the journal keeps its readings"
            );
            return Err(error);
        }
        let readings = sealing.tail.readings as u64;
        metrics::counter!("saltline_history_sealed_total").increment(readings);
        metrics::histogram!("saltline_history_seal_seconds").record(began.elapsed().as_secs_f64());
        tracing::info!(readings, rows = sealing.tail.rows, position = ?sealing.position, "sealed");
        Ok(())
    }

    fn write_out(&self, sealer: &mut Sealer, sealing: &Sealing) -> Result<(), HistoryError> {
        let mut written = Vec::new();
        let series = series_lines(&sealing.stations, &sealing.parameters, &sealing.series);
        let files = self.read().files.clone();
        let done = self.write_months(sealer, sealing, &mut written).and_then(|()| {
            let facts = files.iter().map(|file| file.facts).chain(written.iter().copied());
            write_manifest(&self.dir, sealer.next, sealing.position, facts, &series)
        });
        if let Err(error) = done {
            self.forget(&written);
            return Err(error);
        }
        sealer.series = series;
        self.publish(sealing, &written);
        Ok(())
    }

    fn write_months(
        &self,
        sealer: &mut Sealer,
        sealing: &Sealing,
        written: &mut Vec<Facts>,
    ) -> Result<(), HistoryError> {
        let mut order: Vec<u32> = (0..).take(sealing.stations.len()).collect();
        order.sort_by_key(|&station| &sealing.stations[station as usize]);
        sealer.wrote = sealing.tail.months().into_iter().collect();
        for month in sealing.tail.months() {
            written.push(self.write_month(sealer.serial(), sealing, month, &order)?);
        }
        if written.is_empty() { Ok(()) } else { sync_dir(&self.dir) }
    }

    fn write_month(
        &self,
        serial: u64,
        sealing: &Sealing,
        month: Month,
        order: &[u32],
    ) -> Result<Facts, HistoryError> {
        let (used, codes): (Vec<u32>, Vec<Written>) =
            sealing.parameters_of(month).into_iter().unzip();
        let mut place = vec![0; sealing.parameters.len()];
        used.iter().enumerate().for_each(|(at, &number)| place[number as usize] = at);
        let mut writer = SealedWriter::create(
            &self.dir,
            month,
            serial,
            &codes,
            self.config.rollup_readings_min,
        )?;
        let mut cells = vec![None; codes.len()];
        let wrote = sealing.rows(month, order).try_for_each(|(station, row)| {
            cells.fill(None);
            row.cells().for_each(|(number, cell)| cells[place[number as usize]] = Some(cell));
            let station = &sealing.stations[station as usize];
            writer.row(station, (row.taken, row.received(), row.position()), &cells)
        });
        match wrote {
            Ok(()) => writer.finish(),
            Err(error) => {
                writer.abandon();
                Err(error)
            }
        }
    }

    /// Deletes files that no manifest names, so that a full disk does not become fuller with each attempt. Where the new
    /// manifest is on disk after all (only the folder's sync failed), they stay for the next start to judge.
    pub(crate) fn forget(&self, written: &[Facts]) {
        let Ok(Some(manifest)) = Manifest::read(&self.dir) else { return };
        if manifest.files.iter().any(|known| written.contains(known)) {
            return;
        }
        for facts in written {
            let path = self.dir.join(facts.name());
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "unfinished file stays until the next start");
            }
        }
    }

    /// One step for readers: before it they see the tail set aside, after it the files.
    fn publish(&self, sealing: &Sealing, written: &[Facts]) {
        let new = written.iter().map(|&facts| SealedFile::new(&self.dir, facts));
        let mut state = self.write();
        state.files = Arc::new(state.files.iter().cloned().chain(new).collect());
        state.series.sealed_as(&sealing.series);
        state.sealed = sealing.position;
        state.generation += 1;
        let done = state.sealing.take();
        state.gauge();
        drop(state);
        drop(done); // Frees the tail outside the lock.
    }
}

impl Tail {
    fn is_due(&self, config: &Config, now: Timestamp) -> bool {
        let oldest = self.oldest_received.map(Timestamp::from_millis);
        config.tail_readings_max <= self.readings
            || oldest.is_some_and(|oldest| config.tail_age_max <= now.since(oldest))
    }
}

impl State {
    fn set_aside(&mut self) -> Sealing {
        Sealing {
            tail: std::mem::take(&mut self.tail),
            series: self.series.all_sealed(),
            stations: self.stations.codes().to_vec(),
            parameters: self.parameters.codes().to_vec(),
            position: self.applied,
        }
    }

    pub(crate) fn gauge(&self) {
        let bytes: u64 = self.files.iter().map(|file| file.facts.bytes).sum();
        metrics::gauge!("saltline_history_sealed_files").set(self.files.len() as f64);
        metrics::gauge!("saltline_history_sealed_bytes").set(bytes as f64);
        metrics::gauge!("saltline_history_tail_readings").set(self.tail.readings as f64);
    }
}

impl Sealing {
    /// The rows of a month in the order of a file.
    fn rows<'a>(
        &'a self,
        month: Month,
        order: &'a [u32],
    ) -> impl Iterator<Item = (u32, crate::tail::TailRow<'a>)> {
        let tails = order.iter().filter_map(|&s| self.tail.station(s).map(|tail| (s, tail)));
        tails.flat_map(move |(station, tail)| tail.rows(month).map(move |row| (station, row)))
    }

    /// The parameters of a month in the order of their codes, each with how all its readings are written.
    fn parameters_of(&self, month: Month) -> Vec<(u32, Written)> {
        let mut used: Vec<Option<(Form, Met)>> = Vec::new();
        used.resize_with(self.parameters.len(), || None);
        let order: Vec<u32> = (0..).take(self.stations.len()).collect();
        for (_, row) in self.rows(month, &order) {
            for (number, cell) in row.cells() {
                let (form, met) =
                    used[number as usize].get_or_insert_with(|| (Form::NONE, Met::default()));
                *form = cell.value.map_or(*form, |value| form.with(value));
                met.add(cell.flag, cell.tests);
            }
        }
        let written = |(code, used): (&ParameterCode, Option<(Form, Met)>)| {
            used.map(|(form, met)| Written { code: code.clone(), form, tests: met.usual() })
        };
        let all = self.parameters.iter().zip(used).map(written);
        let mut numbered: Vec<(u32, Written)> =
            (0..).zip(all).filter_map(|(number, written)| Some((number, written?))).collect();
        numbered.sort_by(|a, b| a.1.code.cmp(&b.1.code));
        numbered
    }
}
