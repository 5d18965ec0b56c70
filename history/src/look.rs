//! All readings at a moment, beside whoever has the store open: the sealed files that count, held by hard links so that a
//! merge cannot take them away meanwhile, and what the caller adds of the journal behind them. Nothing of the store is
//! changed.
//!
//! Memory: a thousand rows of each file of a month (some tens of files of at most a megabyte each), and 16 to 24 bytes for
//! each reading that is not sealed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use domain::{
    Admitted, Edits, Flag, Layer, ParameterCode, Revised, Shown, StationCode, TestFlags, Timestamp,
};

use crate::HistoryError;
use crate::cache::Cache;
use crate::layers;
use crate::month::Month;
use crate::names::Names;
use crate::sealed::{Columns, Footer, Manifest, Scan, SealedFile};
use crate::series::{Cell, Version};
use crate::tail::Tail;

/// Looks at a folder whose files a merge replaces meanwhile. A merge must fall between two readings of the manifest, so
/// the second nearly always holds.
const LOOKS: usize = 8;

/// A look at everything.
pub struct Look {
    hold: PathBuf,
    files: Vec<Arc<SealedFile>>,
    sealed: Option<u64>,
    stations: Names<StationCode>,
    parameters: Names<ParameterCode>,
    tail: Tail,
    /// Held while the look lives: one look into a folder at a time.
    _lock: File,
}

/// Which readings.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Of these stations; of all where none is named.
    pub stations: BTreeSet<StationCode>,
    /// Of these parameters; of all where none is named.
    pub parameters: BTreeSet<ParameterCode>,
    /// First instant, included.
    pub from: Timestamp,
    /// Last instant, not included.
    pub to: Timestamp,
    /// What was known then: only what had reached us up to this instant, included. `None`: all.
    pub as_of: Option<Timestamp>,
    /// What people changed, by station; of each series that has edits, with the layers that are wanted.
    pub edits: BTreeMap<StationCode, Vec<(ParameterCode, Edits)>>,
    /// What is wanted of the series that have none.
    pub unedited: Shown,
}

/// What is shown of one station at one time: of each parameter the last that the journal brought, or what people made of
/// it.
#[derive(Debug, Clone, PartialEq)]
pub struct WideRow {
    /// Where.
    pub station: StationCode,
    /// When.
    pub taken_at: Timestamp,
    /// When the last report that said anything of it reached us.
    pub received_at: Timestamp,
    /// Where that report stands in the journal.
    pub position: u64,
    /// Value and flag of each parameter, in the order of their codes.
    pub cells: Vec<(ParameterCode, Option<f64>, Flag)>,
    /// How many of them people changed.
    pub changed: usize,
}

impl Wanted {
    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self {
            stations: BTreeSet::new(),
            parameters: BTreeSet::new(),
            from: Timestamp::from_millis(i64::MIN),
            to: Timestamp::from_millis(i64::MAX),
            as_of: None,
            edits: BTreeMap::new(),
            unedited: Shown::Raw,
        }
    }

    /// Is everything wanted as it came, up to now?
    fn is_plain(&self) -> bool {
        self.as_of.is_none() && self.edits.is_empty() && self.unedited != Shown::Approved
    }

    fn edits_of(&self, station: &StationCode, parameter: &ParameterCode) -> Edits {
        let own = self.edits.get(station).into_iter().flatten();
        let found = own.into_iter().find(|(known, _)| known == parameter);
        found.map_or_else(|| Edits::new(vec![], self.unedited), |(_, edits)| edits.clone())
    }

    /// The times at which an edit may put something, by station and time.
    fn fills(&self, month: Month) -> Vec<(StationCode, i64)> {
        let from = self.from.as_millis().max(month.start());
        let to = self.to.as_millis().min(month.last().saturating_add(1));
        let mut fills = Vec::new();
        for (station, series) in self.edits.iter().filter(|(code, _)| self.station(code.as_str())) {
            for (_, edits) in series.iter().filter(|(code, _)| self.parameter(code)) {
                let times = edits.fills(Timestamp::from_millis(from), Timestamp::from_millis(to));
                fills.extend(times.iter().map(|at| (station.clone(), at.as_millis())));
            }
        }
        fills.sort();
        fills.dedup();
        fills
    }

    /// The months of which only an edit may know.
    fn filled_months(&self) -> BTreeSet<Month> {
        let series = self.edits.values().flatten();
        let times = series.flat_map(|(_, edits)| edits.fills(self.from, self.to));
        times.map(|at| Month::of(at.as_millis())).collect()
    }

    fn station(&self, code: &str) -> bool {
        self.stations.is_empty() || self.stations.contains(code)
    }

    fn parameter(&self, code: &ParameterCode) -> bool {
        self.parameters.is_empty() || self.parameters.contains(code)
    }

    fn span(&self) -> (i64, i64) {
        (self.from.as_millis(), self.to.as_millis())
    }
}

impl Look {
    /// Looks into the store in `dir`. Links to its files are held in the folder `hold`, on the same disk, which is made
    /// and goes away with the look.
    ///
    /// # Errors
    /// [`HistoryError::InUse`] where another look is under way, [`HistoryError`] where the manifest cannot be read.
    pub fn open(dir: &Path, hold: &Path) -> Result<Self, HistoryError> {
        let lock = lock(&hold.with_extension("lock"))?;
        clear(hold)?;
        fs::create_dir_all(hold).map_err(|e| HistoryError::disk("create", hold, e))?;
        for _ in 0..LOOKS {
            let manifest = Manifest::read(dir)?.unwrap_or_default();
            let mut whole = true;
            for facts in &manifest.files {
                whole &= link(&dir.join(facts.name()), &hold.join(facts.name()))?;
            }
            let again = Manifest::read(dir)?.unwrap_or_default();
            // A file that is not there although the manifest still names it is missed when it is read.
            if whole || again.files == manifest.files {
                let files =
                    manifest.files.iter().map(|&facts| SealedFile::new(hold, facts)).collect();
                return Ok(Self {
                    hold: hold.to_owned(),
                    files,
                    sealed: manifest.sealed,
                    stations: manifest.stations,
                    parameters: manifest.parameters,
                    tail: Tail::default(),
                    _lock: lock,
                });
            }
        }
        let what = "its files change faster than they can be held";
        Err(HistoryError::damaged(dir, what))
    }

    /// The journal position up to which everything is in the files; what stands behind it is the caller's to
    /// [`add`](Self::add).
    #[must_use]
    pub fn position(&self) -> Option<u64> {
        self.sealed
    }

    /// Adds a record of the journal that is not sealed yet, in the journal's order.
    pub fn add(&mut self, position: u64, admitted: &Admitted) {
        self.add_judged(position, admitted, &[], &[]);
    }

    /// The same with what each test said, and with what the tests say now of older readings: of those that were added here.
    /// What is sealed stays as it was sealed.
    pub fn add_judged(
        &mut self,
        position: u64,
        admitted: &Admitted,
        flags: &[TestFlags],
        revised: &[Revised],
    ) {
        let station = self.stations.number(&admitted.station);
        let mut cells: Vec<(u32, Cell)> = Vec::with_capacity(admitted.values.len());
        for (at, measured) in admitted.values.iter().enumerate() {
            let number = self.parameters.number(&measured.parameter);
            let tests = flags.get(at).copied().unwrap_or_default();
            let cell = Cell::untested(measured.value, measured.flag).tested(tests);
            match cells.iter_mut().find(|(known, _)| *known == number) {
                Some(known) => known.1 = cell,
                None => cells.push((number, cell)),
            }
        }
        if !cells.is_empty() {
            let (taken, received) =
                (admitted.taken_at.as_millis(), admitted.received_at.as_millis());
            self.tail.push(station, taken, received, position, &cells);
        }
        for revised in revised {
            let Some(number) = self.parameters.find(revised.parameter.as_str()) else { continue };
            let (taken, received) =
                (revised.taken_at.as_millis(), admitted.received_at.as_millis());
            let Some(held) = self.tail.find(station, number, taken) else { continue };
            let cell = held.tested(revised.flags);
            if cell != held && !self.tail.complete((station, number), taken, position, cell) {
                self.tail.push(station, taken, received, position, &[(number, cell)]);
            }
        }
    }

    /// Readings that are not sealed.
    #[must_use]
    pub fn unsealed(&self) -> usize {
        self.tail.readings
    }

    /// Rows in files that can hold something of what is wanted, and beside them: for a bar.
    #[must_use]
    pub fn rows(&self, wanted: &Wanted) -> u64 {
        let (from, to) = wanted.span();
        let files = self.files.iter().filter(|file| file.overlaps(from, to));
        files.map(|file| file.facts.rows).sum::<u64>() + self.tail.rows as u64
    }

    /// The months of which something may be wanted, as far as they are in its range: first instant, and the first that is
    /// not included.
    #[must_use]
    pub fn months(&self, wanted: &Wanted) -> Vec<(Timestamp, Timestamp)> {
        let (from, to) = wanted.span();
        let clipped =
            |month: Month| (month.start().max(from), month.last().saturating_add(1).min(to));
        let spans = self.months_of(wanted).into_iter().map(clipped).filter(|(from, to)| from < to);
        spans.map(|(from, to)| (Timestamp::from_millis(from), Timestamp::from_millis(to))).collect()
    }

    fn months_of(&self, wanted: &Wanted) -> BTreeSet<Month> {
        let (from, to) = wanted.span();
        let files = self.files.iter().filter(|file| file.overlaps(from, to));
        let held = files.map(|file| file.facts.month).chain(self.tail.months());
        held.chain(wanted.filled_months()).collect()
    }

    /// Gives every station and time of which something is wanted, month by month, in each by station and time, until
    /// `take` breaks. `went` is told how many rows were gone through.
    ///
    /// # Errors
    /// [`HistoryError`] where a file that is needed cannot be trusted or read.
    pub fn each<B>(
        &self,
        wanted: &Wanted,
        mut take: impl FnMut(WideRow) -> ControlFlow<B>,
        mut went: impl FnMut(u64),
    ) -> Result<ControlFlow<B>, HistoryError> {
        let mut rows = 0;
        for month in self.months_of(wanted) {
            let mut merged = self.month(month, wanted)?;
            while let Some(row) = merged.next(&mut rows)? {
                if rows.is_multiple_of(1_024) {
                    went(rows);
                }
                if let ControlFlow::Break(with) = take(row) {
                    return Ok(ControlFlow::Break(with));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The files, for whoever goes through them one by one.
    pub(crate) fn files(&self) -> &[Arc<SealedFile>] {
        &self.files
    }

    /// The parameters that are known, in no order that matters.
    pub(crate) fn parameters(&self) -> &[ParameterCode] {
        self.parameters.codes()
    }

    /// What of a series is not sealed and had reached us by then.
    pub(crate) fn unsealed_of(
        &self,
        (station, parameter): (&str, &str),
        known_by: i64,
    ) -> Vec<Version> {
        let mut hot = Vec::new();
        let numbers = self.stations.find(station).zip(self.parameters.find(parameter));
        if let Some(series) = numbers {
            self.tail.series(series, (i64::MIN, i64::MAX), known_by, &mut hot);
        }
        hot
    }

    fn month<'a>(&'a self, month: Month, wanted: &'a Wanted) -> Result<Merged<'a>, HistoryError> {
        let (from, to) = wanted.span();
        let mut sources = Vec::new();
        for file in self.files.iter().filter(|f| f.facts.month == month && f.overlaps(from, to)) {
            let footer = file.footer(&Mutex::new(Cache::new(0)))?;
            sources.extend(FileSource::begin(file, &footer, wanted)?);
        }
        let mut order: Vec<u32> = (0..).take(self.stations.codes().len()).collect();
        order.sort_by_key(|&number| self.stations.code(number));
        let of = move |number: u32| Some((number, self.tail.station(number)?));
        let rows = order
            .into_iter()
            .filter_map(of)
            .flat_map(move |(number, tail)| tail.rows(month).map(move |row| (number, row)));
        let tail = rows.filter_map(move |(number, row)| {
            let station = self.stations.code(number);
            let in_span = from <= row.taken && row.taken < to;
            if !in_span || !wanted.station(station.as_str()) {
                return None;
            }
            let name = |(number, cell)| (self.parameters.code(number).clone(), cell);
            let cells = row.cells().map(name).filter(|(code, _)| wanted.parameter(code)).collect();
            Some(Row {
                station: station.clone(),
                taken: row.taken,
                received: row.received(),
                position: row.position(),
                cells,
            })
        });
        let mut tail: Box<dyn Iterator<Item = Row> + 'a> = Box::new(tail);
        let hot = tail.next();
        let mut fills = wanted.fills(month).into_iter();
        let fill = fills.next();
        Ok(Merged { wanted, sources, tail, hot, fills, fill })
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        if let Err(error) = clear(&self.hold) {
            tracing::warn!(path = %self.hold.display(), %error, "links stay until the next look");
        }
    }
}

impl std::fmt::Debug for Look {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Look").field("sealed", &self.sealed).finish_non_exhaustive()
    }
}

/// A row of a file or of what is not sealed.
struct Row {
    station: StationCode,
    taken: i64,
    received: i64,
    position: u64,
    cells: Vec<(ParameterCode, Cell)>,
}

/// One file, its row groups and columns that can hold something wanted.
struct FileSource<'a> {
    scan: Scan,
    parameters: Vec<ParameterCode>,
    wanted: &'a Wanted,
    station: Option<StationCode>,
}

impl<'a> FileSource<'a> {
    fn begin(
        file: &Arc<SealedFile>,
        footer: &Arc<Footer>,
        wanted: &'a Wanted,
    ) -> Result<Option<Self>, HistoryError> {
        let pairs: Vec<usize> = (0..footer.parameters.len())
            .filter(|&pair| wanted.parameter(&footer.parameters[pair]))
            .collect();
        let (from, to) = wanted.span();
        let holds = |group: usize, code: &str| {
            footer.span(group, code).is_some_and(|(first, last)| from <= last && first < to)
        };
        let groups: Vec<usize> = (0..footer.groups())
            .filter(|&group| match wanted.stations.is_empty() {
                true => {
                    footer.group_span(group).is_some_and(|(first, last)| from <= last && first < to)
                }
                false => wanted.stations.iter().any(|code| holds(group, code.as_str())),
            })
            .collect();
        if pairs.is_empty() || groups.is_empty() {
            return Ok(None);
        }
        let parameters = pairs.iter().map(|&pair| footer.parameters[pair].clone()).collect();
        let scan = Scan::of(file, Arc::clone(footer), groups, Columns::shown(pairs))?;
        let mut source = Self { scan, parameters, wanted, station: None };
        source.settle()?;
        Ok(Some(source))
    }

    /// Goes on to the next row that is wanted, where this one is not.
    fn settle(&mut self) -> Result<(), HistoryError> {
        let (from, to) = self.wanted.span();
        while let Some((station, taken, _)) = self.scan.key() {
            if from <= taken && taken < to && self.wanted.station(station) {
                return Ok(());
            }
            self.scan.step()?;
        }
        Ok(())
    }

    fn key(&self) -> Option<(&str, i64, u64)> {
        self.scan.key()
    }

    /// When the row that comes next reached us, and where it stands in the journal.
    fn last(&self) -> (i64, u64) {
        (self.scan.received(), self.scan.key().map_or(0, |(_, _, position)| position))
    }

    fn take(&mut self, into: &mut Cells) -> Result<(), HistoryError> {
        let last = self.last();
        for (pair, code) in self.parameters.iter().enumerate() {
            if let Some(cell) = self.scan.cell(pair)? {
                into.put(code, cell, last);
            }
        }
        self.scan.step()?;
        self.settle()
    }

    fn station(&mut self) -> Result<StationCode, HistoryError> {
        let code = self.scan.key().map_or("", |(code, _, _)| code);
        match &self.station {
            Some(known) if known.as_str() == code => Ok(known.clone()),
            _ => {
                let made = StationCode::new(code);
                let made = made.map_err(|error| self.scan.damaged(error.to_string()))?;
                self.station = Some(made.clone());
                Ok(made)
            }
        }
    }
}

/// What is known of one station at one time.
enum Cells {
    /// Of each parameter the latest in the journal.
    Plain(Vec<(ParameterCode, Cell)>),
    /// Of each parameter every version, for edits and for what was known then; without their time.
    Versions(Vec<(ParameterCode, Vec<Version>)>),
}

impl Cells {
    fn begin(wanted: &Wanted) -> Self {
        if wanted.is_plain() { Self::Plain(Vec::new()) } else { Self::Versions(Vec::new()) }
    }

    fn put(&mut self, code: &ParameterCode, cell: Cell, (received, position): (i64, u64)) {
        match self {
            Self::Plain(into) => match into.binary_search_by(|(known, _)| known.cmp(code)) {
                // Rows come in the journal's order.
                Ok(at) => into[at].1 = cell,
                Err(at) => into.insert(at, (code.clone(), cell)),
            },
            Self::Versions(into) => {
                let at = match into.binary_search_by(|(known, _)| known.cmp(code)) {
                    Ok(at) => at,
                    Err(at) => {
                        into.insert(at, (code.clone(), Vec::new()));
                        at
                    }
                };
                into[at].1.push(Version { taken: 0, received, position, cell });
            }
        }
    }

    /// What is shown of it; `None` where that is nothing.
    fn row(
        self,
        wanted: &Wanted,
        (station, taken): (StationCode, i64),
        (received, position): (i64, u64),
    ) -> Option<WideRow> {
        let taken_at = Timestamp::from_millis(taken);
        let received_at = Timestamp::from_millis(received);
        let (mut cells, mut changed) = (Vec::new(), 0);
        match self {
            Self::Plain(plain) => {
                cells.extend(plain.into_iter().map(|(code, cell)| (code, cell.value, cell.flag)));
            }
            Self::Versions(mut all) => {
                // A line stands also where nothing was measured.
                for (code, _) in wanted.edits.get(&station).into_iter().flatten() {
                    if wanted.parameter(code)
                        && let Err(at) = all.binary_search_by(|(known, _)| known.cmp(code))
                    {
                        all.insert(at, (code.clone(), Vec::new()));
                    }
                }
                for (code, mut versions) in all {
                    versions.iter_mut().for_each(|version| version.taken = taken);
                    let edits = wanted.edits_of(&station, &code);
                    let known_by = wanted.as_of.map_or(i64::MAX, Timestamp::as_millis);
                    versions.retain(|version| version.received <= known_by);
                    let span = (taken, taken.saturating_add(1));
                    for point in layers::shown(versions, &edits, known_by, span) {
                        changed += usize::from(point.layer != Layer::Raw);
                        cells.push((code.clone(), point.value, point.flag));
                    }
                }
            }
        }
        let some = !cells.is_empty();
        some.then_some(WideRow { station, taken_at, received_at, position, cells, changed })
    }
}

/// What is known of one station at one time, with when the last of it reached us and where it stands in the journal.
type Gathered = ((StationCode, i64), (i64, u64), Cells);

/// A month's files, what is not sealed of it and what edits put into it, row by row.
struct Merged<'a> {
    wanted: &'a Wanted,
    sources: Vec<FileSource<'a>>,
    tail: Box<dyn Iterator<Item = Row> + 'a>,
    hot: Option<Row>,
    fills: std::vec::IntoIter<(StationCode, i64)>,
    fill: Option<(StationCode, i64)>,
}

/// Which of the sources has the row that comes next.
enum Next {
    Fill,
    File(usize),
    Tail,
}

impl Merged<'_> {
    fn first(&self) -> Option<(Next, (&str, i64))> {
        let fill = self.fill.as_ref().map(|(code, taken)| (Next::Fill, (code.as_str(), *taken)));
        let row = self.first_row();
        match (fill, row) {
            (Some(fill), Some(row)) if row.1 < fill.1 => Some(row),
            (Some(fill), _) => Some(fill),
            (None, row) => row,
        }
    }

    fn first_row(&self) -> Option<(Next, (&str, i64))> {
        let files = self.sources.iter().enumerate();
        let files = files.filter_map(|(at, source)| Some((source.key()?, at))).min();
        let hot = self.hot.as_ref().map(|row| (row.station.as_str(), row.taken, row.position));
        match (files, hot) {
            (Some((key, _)), Some(hot)) if hot < key => Some((Next::Tail, (hot.0, hot.1))),
            (Some((key, at)), _) => Some((Next::File(at), (key.0, key.1))),
            (None, Some(hot)) => Some((Next::Tail, (hot.0, hot.1))),
            (None, None) => None,
        }
    }

    /// The next row of which something is shown.
    fn next(&mut self, rows: &mut u64) -> Result<Option<WideRow>, HistoryError> {
        while let Some((key, last, cells)) = self.gather(rows)? {
            let row = cells.row(self.wanted, key, last);
            if row.is_some() {
                return Ok(row);
            }
        }
        Ok(None)
    }

    /// Everything of the next station and time.
    fn gather(&mut self, rows: &mut u64) -> Result<Option<Gathered>, HistoryError> {
        let mut cells = Cells::begin(self.wanted);
        let (mut now, mut last): (Option<(StationCode, i64)>, _) = (None, (0, 0));
        while let Some((next, key)) = self.first() {
            if now.as_ref().is_some_and(|(station, taken)| (station.as_str(), *taken) != key) {
                break;
            }
            let taken = key.1;
            match next {
                Next::Fill => {
                    now = self.fill.take();
                    self.fill = self.fills.next();
                    continue;
                }
                Next::File(at) => {
                    last = self.sources[at].last();
                    if now.is_none() {
                        now = Some((self.sources[at].station()?, taken));
                    }
                    self.sources[at].take(&mut cells)?;
                }
                Next::Tail => {
                    let Some(row) = self.hot.take() else { break };
                    last = (row.received, row.position);
                    self.hot = self.tail.next();
                    row.cells.iter().for_each(|(code, cell)| cells.put(code, *cell, last));
                    now.get_or_insert((row.station, taken));
                }
            }
            *rows += 1;
        }
        Ok(now.map(|key| (key, last, cells)))
    }
}

fn lock(path: &Path) -> Result<File, HistoryError> {
    let file = File::create(path).map_err(|e| HistoryError::disk("create", path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(HistoryError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(HistoryError::disk("lock", path, error)),
    }
}

fn clear(dir: &Path) -> Result<(), HistoryError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(HistoryError::disk("delete", dir, error))
        }
        _ => Ok(()),
    }
}

/// Holds a file; `false` where a merge took it first. Where a file system has no links, it is copied.
fn link(from: &Path, to: &Path) -> Result<bool, HistoryError> {
    match fs::hard_link(from, to) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(_) => match fs::copy(from, to) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(HistoryError::disk("copy", from, error)),
        },
    }
}
