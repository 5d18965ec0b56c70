//! From many small files to few, so that a month ends as a handful whatever the rhythm of its seals, and, once it is over
//! and nothing comes any more, as one. A merge copies rows and decides nothing: each row keeps its journal position, and
//! reads go by that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use domain::{ParameterCode, StationCode, Timestamp};

use crate::HistoryError;
use crate::month::Month;
use crate::seal::Sealer;
use crate::sealed::{
    Facts, Footer, Form, Scan, SealedFile, SealedWriter, Written, sync_dir, write_manifest,
};
use crate::store::{Shared, lock};

/// A tier holds files whose rows are within a factor of eight; eight of them make one of the next. So a row is written
/// about seven times in its life, and a month never has more than seven files of a size.
const TIER_FILES: usize = 8;
/// Rows of the largest merge: a minute or two of work at the speed of a field PC, and a month of 2,000 stations at 10 s
/// (259 M rows) ends as 16 files and their tail.
const MERGE_ROWS_MAX: u64 = 16_000_000;
/// A month is settled so long after its end: what a station kept through an outage of two weeks came as a backlog.
const SETTLED: Duration = Duration::from_hours(14 * 24);
/// The files of a settled month become one where all but the largest hold at least an eighth of its rows: so late rows
/// that trickle in do not have a month written anew each time.
const SETTLED_SHARE: u64 = 8;

impl Shared {
    /// Merges once where a month has a full tier, or is settled and in pieces. What fails is logged, counted and tried again by the next seal; a
    /// damaged file is left out from then on.
    pub(crate) fn merge_one(&self, sealer: &mut Sealer, now: Timestamp) {
        if self.rests.load(Ordering::Relaxed) {
            return;
        }
        let files = self.read().files.clone();
        let Some(chosen) = self.choose(sealer, &files, now) else { return };
        let began = Instant::now();
        match self.merge(sealer, &files, &chosen) {
            Ok(facts) => {
                metrics::counter!("saltline_history_merged_total").increment(facts.readings);
                let seconds = began.elapsed().as_secs_f64();
                metrics::histogram!("saltline_history_merge_seconds").record(seconds);
                tracing::info!(file = facts.name(), rows = facts.rows, seconds, "merged");
            }
            Err(error) => {
                metrics::counter!("saltline_history_merge_failed_total").increment(1);
                tracing::error!(%error, "cannot merge; the files stay as they are");
                leave_out(sealer, &chosen, &error);
            }
        }
    }

    fn choose(
        &self,
        sealer: &mut Sealer,
        files: &[Arc<SealedFile>],
        now: Timestamp,
    ) -> Option<Vec<Arc<SealedFile>>> {
        let sound = |serial| !sealer.damaged.contains(&serial);
        if let Some(chosen) = full(files, &sound).or_else(|| rewritten(files, &sound)) {
            return Some(chosen);
        }
        if sealer.settle_after.is_some_and(|after| Instant::now() < after) {
            return None;
        }
        let busy = |month: Month| sealer.wrote.contains(&month);
        let over = |month: Month| month.last() < (now - SETTLED).as_millis();
        let chosen = settled(files, &sound, &|month| over(month) && !busy(month))?;
        // What is read is written again, and is about as long.
        let bytes: u64 = chosen.iter().map(|file| 2 * file.facts.bytes).sum();
        let pause = bytes as f64 / self.config.settle_bytes_per_second.max(1) as f64;
        sealer.settle_after = Some(Instant::now() + Duration::from_secs_f64(pause));
        Some(chosen)
    }

    fn merge(
        &self,
        sealer: &mut Sealer,
        files: &[Arc<SealedFile>],
        chosen: &[Arc<SealedFile>],
    ) -> Result<Facts, HistoryError> {
        let facts = self.write_merged(sealer.serial(), chosen)?;
        let gone = |file: &SealedFile| chosen.iter().any(|c| c.facts.serial == file.facts.serial);
        let kept: Vec<_> = files.iter().filter(|file| !gone(file)).cloned().collect();
        let named = kept.iter().map(|file| file.facts).chain([facts]);
        let sealed = self.read().sealed;
        let switched = sync_dir(&self.dir)
            .and_then(|()| write_manifest(&self.dir, sealer.next, sealed, named, &sealer.series));
        if let Err(error) = switched {
            self.forget(&[facts]);
            return Err(error);
        }
        self.replace(kept, facts, chosen);
        Ok(facts)
    }

    /// One step for readers; who still reads the old files finishes first, then they are deleted.
    fn replace(&self, mut kept: Vec<Arc<SealedFile>>, facts: Facts, gone: &[Arc<SealedFile>]) {
        kept.push(SealedFile::new(&self.dir, facts));
        let mut state = self.write();
        state.files = Arc::new(kept);
        state.gauge();
        drop(state);
        let mut footers = lock(&self.footers);
        for file in gone {
            footers.remove(file.facts.serial);
            file.retire();
        }
    }

    fn write_merged(&self, serial: u64, chosen: &[Arc<SealedFile>]) -> Result<Facts, HistoryError> {
        let footers: Vec<Arc<Footer>> =
            chosen.iter().map(|file| file.footer(&self.footers)).collect::<Result<_, _>>()?;
        let parameters = union(&footers);
        let mut sources = Vec::with_capacity(chosen.len());
        for (file, footer) in chosen.iter().zip(&footers) {
            sources.push(Source::new(file.scan(Arc::clone(footer))?, footer, &parameters));
        }
        let written = written(chosen, &footers, &parameters)?;
        let month = chosen[0].facts.month;
        let mut writer = SealedWriter::create(
            &self.dir,
            month,
            serial,
            &written,
            self.config.rollup_readings_min,
        )?;
        match copy(&mut sources, &mut writer, parameters.len()) {
            Ok(()) => writer.finish(),
            Err(error) => {
                writer.abandon();
                Err(error)
            }
        }
    }
}

/// How each parameter is to be written: what some file has as floats is looked at anew.
fn written(
    chosen: &[Arc<SealedFile>],
    footers: &[Arc<Footer>],
    parameters: &[ParameterCode],
) -> Result<Vec<Written>, HistoryError> {
    let of = |code: &ParameterCode| {
        let holds = |footer: &Footer| footer.parameters.iter().position(|known| known == code);
        let files = chosen.iter().zip(footers);
        let files: Vec<_> =
            files.filter_map(|(f, footer)| Some((f, footer, holds(footer)?))).collect();
        // The largest file knows best what is usual.
        let tested = files.iter().filter_map(|(f, footer, at)| Some((f, footer.usual(*at)?)));
        let tests = tested.max_by_key(|(file, _)| file.facts.rows).map(|(_, usual)| usual);
        let said = files.iter().map(|(_, footer, pair)| footer.form(*pair).unwrap_or(Form::Float));
        let mut form = said.fold(Form::NONE, Form::and);
        if form == Form::Float {
            form = Form::NONE;
            for (file, footer, pair) in files {
                form = seen(form, Scan::every(file, Arc::clone(footer), pair)?)?;
            }
        }
        Ok(Written { code: code.clone(), form, tests })
    };
    parameters.iter().map(of).collect()
}

/// The form of the values of a scan and of those before.
fn seen(mut form: Form, mut scan: Scan) -> Result<Form, HistoryError> {
    while scan.key().is_some() && form != Form::Float {
        if let Some(value) = scan.cell(0)?.and_then(|cell| cell.value) {
            form = form.with(value);
        }
        scan.step()?;
    }
    Ok(form)
}

/// One of the files that are merged.
struct Source {
    scan: Scan,
    /// For each of its parameters, the place in the new file.
    places: Vec<usize>,
}

impl Source {
    fn new(scan: Scan, footer: &Footer, parameters: &[ParameterCode]) -> Self {
        let place = |code| parameters.iter().position(|known| known == code);
        let places = footer.parameters.iter();
        let places = places.map(|code| place(code).expect("the union holds every parameter"));
        Self { scan, places: places.collect() }
    }
}

/// Always the row that comes first among the sources, until all are empty.
fn copy(
    sources: &mut [Source],
    writer: &mut SealedWriter,
    width: usize,
) -> Result<(), HistoryError> {
    let mut cells = vec![None; width];
    let mut station: Option<StationCode> = None;
    loop {
        let filled = sources.iter().enumerate();
        let filled = filled.filter_map(|(at, source)| source.scan.key().map(|key| (key, at)));
        let Some(((code, taken, position), at)) = filled.min() else { return Ok(()) };
        let same = station.take().filter(|station| station.as_str() == code);
        let code = match same {
            Some(same) => same,
            None => StationCode::new(code)
                .map_err(|error| sources[at].scan.damaged(error.to_string()))?,
        };
        let source = &mut sources[at];
        cells.fill(None);
        for (pair, &place) in source.places.iter().enumerate() {
            cells[place] = source.scan.cell(pair)?;
        }
        writer.row(&code, (taken, source.scan.received(), position), &cells)?;
        source.scan.step()?;
        station = Some(code);
    }
}

/// The oldest files of the lowest full tier, of the oldest month that has one.
fn full(files: &[Arc<SealedFile>], sound: &impl Fn(u64) -> bool) -> Option<Vec<Arc<SealedFile>>> {
    let mut tiers: BTreeMap<_, Vec<&Arc<SealedFile>>> = BTreeMap::new();
    for file in files.iter().filter(|file| sound(file.facts.serial)) {
        let tier = file.facts.rows.max(1).ilog(TIER_FILES as u64);
        tiers.entry((tier, file.facts.month)).or_default().push(file);
    }
    tiers.into_values().find_map(|mut tier| {
        tier.sort_by_key(|file| file.facts.serial);
        let chosen = tier.get(..TIER_FILES)?;
        (rows(chosen) <= MERGE_ROWS_MAX)
            .then(|| chosen.iter().map(|file| Arc::clone(file)).collect())
    })
}

/// All files of the oldest settled month that is in pieces.
fn settled(
    files: &[Arc<SealedFile>],
    sound: &impl Fn(u64) -> bool,
    over: &impl Fn(Month) -> bool,
) -> Option<Vec<Arc<SealedFile>>> {
    let mut months: BTreeMap<Month, Vec<&Arc<SealedFile>>> = BTreeMap::new();
    for file in files.iter().filter(|file| sound(file.facts.serial) && over(file.facts.month)) {
        months.entry(file.facts.month).or_default().push(file);
    }
    let chosen = months.into_values().find(|month| {
        let all = rows(month);
        let largest = month.iter().map(|file| file.facts.rows).max().unwrap_or(0);
        1 < month.len() && all <= MERGE_ROWS_MAX && largest <= (all - largest) * SETTLED_SHARE
    });
    chosen.map(|month| month.into_iter().cloned().collect())
}

fn rows(files: &[&Arc<SealedFile>]) -> u64 {
    files.iter().map(|file| file.facts.rows).sum()
}

/// A file whose roll-ups somebody missed: written anew, by itself.
fn rewritten(
    files: &[Arc<SealedFile>],
    sound: &impl Fn(u64) -> bool,
) -> Option<Vec<Arc<SealedFile>>> {
    let mut wanted = files.iter().filter(|file| {
        let rewrite = file.rewrite.load(Ordering::Relaxed) && sound(file.facts.serial);
        rewrite && file.facts.rows <= MERGE_ROWS_MAX
    });
    wanted.next().map(|file| vec![Arc::clone(file)])
}

fn union(footers: &[Arc<Footer>]) -> Vec<ParameterCode> {
    let mut all: Vec<_> = footers.iter().flat_map(|footer| footer.parameters.clone()).collect();
    all.sort();
    all.dedup();
    all
}

fn leave_out(sealer: &mut Sealer, chosen: &[Arc<SealedFile>], error: &HistoryError) {
    let (HistoryError::Damaged { path, .. } | HistoryError::UnknownVersion { path, .. }) = error
    else {
        return;
    };
    let damaged = chosen.iter().filter(|file| file.path() == path);
    sealer.damaged.extend(damaged.map(|file| file.facts.serial));
}
