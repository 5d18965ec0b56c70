//! From a journal record to the tail. What a record says is compared with what is known at that time, so that a packet
//! sent twice is counted as such and stored once, wherever its first copy lies by now.

use std::sync::Arc;

use domain::{Admitted, Measured, ParameterCode, Revised, TestFlags};
use metrics::{Counter, counter};

use crate::month::Month;
use crate::sealed::{Columns, Footer, Rows, SealedFile};
use crate::series::{Cell, Version};
use crate::store::{Files, Shared, State, lock};
use crate::{Applied, History, HistoryError};

/// Rows around a late reading that are kept for the next ones: backlogs come in order, most often upwards. With 24 bytes
/// a reading, a window of six-value rows takes 18 kB, and one decoded row group (a few ms) serves about 100 look-ups.
const WINDOW_ROWS: (usize, usize) = (32, 96);

/// What is known of a value before it is applied.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Before {
    Nothing,
    Holds(Cell),
    /// Not in memory, and not newer than the sealed files.
    AskFiles,
}

/// The writer's memory: room for the record at hand, and what helps with the next one.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    incoming: Vec<Incoming>,
    cells: Vec<(u32, Cell)>,
    lost: Vec<Lost>,
    /// The parameters of the last record and their numbers by place: stations of one make report the same ones in the
    /// same order, and copies of one code are seen to be equal without reading them.
    places: Vec<(ParameterCode, u32)>,
}

/// A series whose latest value is no more, and when that was taken.
type Lost = (u32, i64);

/// One value of the record at hand, or new flags of an older one.
#[derive(Debug)]
pub(crate) struct Incoming {
    parameter: u32,
    /// Where its parameter probably stands among the station's.
    near: usize,
    taken: i64,
    says: Says,
    before: Before,
}

#[derive(Debug, Clone, Copy)]
enum Says {
    Value(Cell),
    Flags(TestFlags),
}

/// What is to be applied at one position of the journal.
struct Judged<'a> {
    position: u64,
    admitted: &'a Admitted,
    flags: &'a [TestFlags],
    revised: &'a [Revised],
}

impl History {
    /// Applies one record of the journal; one call per record, in the journal's order, from one writer. Other threads
    /// read it as soon as this returns. A position before the last applied one is a record that was applied already:
    /// nothing changes, and its values count as duplicates.
    pub fn apply(&self, position: u64, admitted: &Admitted) -> Applied {
        self.apply_judged(position, admitted, &[], &[])
    }

    /// The same with what each test said: `flags` in the order of the record's values ([`TestFlags::NONE`] where there are
    /// fewer), and of older readings of the station those that are `revised` by it. The worst of its tests is a reading's
    /// flag, unless whoever admitted it said worse.
    ///
    /// A revised reading is a new version, at this position and as of when this record reached us, with the value that it
    /// had; but where it is in memory and its flag stays what it was, the new words stand in place of the old ones
    /// ([`Applied::completed`]). One that is not there, or cannot be looked up, is counted ([`Applied::unfounded`]) and logged.
    ///
    /// What is said without flags of a value that is there with flags is a duplicate: who did not test it knows no better.
    pub fn apply_judged(
        &self,
        position: u64,
        admitted: &Admitted,
        flags: &[TestFlags],
        revised: &[Revised],
    ) -> Applied {
        let judged = Judged { position, admitted, flags, revised };
        let applied = self.apply_one(&judged);
        self.shared.counters.count(&applied);
        if 0 < applied.unfounded {
            let (station, readings) = (&admitted.station, applied.unfounded);
            tracing::warn!(%station, position, readings, "flags of readings that are not there");
        }
        applied
    }

    fn apply_one(&self, judged: &Judged<'_>) -> Applied {
        let mut writer = lock(&self.shared.writer);
        let Writer { incoming, cells, lost, places } = &mut *writer;
        let mut state = self.shared.write();
        if state.applied.is_some_and(|applied| judged.position < applied) {
            let duplicate = u32::try_from(judged.admitted.values.len()).unwrap_or(u32::MAX);
            return Applied { duplicate, ..Applied::default() };
        }
        let station = state.stations.number(&judged.admitted.station);
        let mut applied = Applied::default();
        state.look(station, judged, places, incoming, &mut applied);
        if incoming.iter().any(|value| value.before == Before::AskFiles) {
            let asked = (Arc::clone(&state.files), state.generation);
            drop(state);
            self.shared.ask_files(station, judged.admitted, incoming, &asked);
            state = self.shared.write();
        }
        lost.clear();
        state.take(station, judged, incoming, (cells, lost), &mut applied);
        drop(state);
        for &(parameter, taken) in &*lost {
            self.find_latest_again(station, parameter, taken);
        }
        applied
    }
}

impl State {
    /// Turns the record into incoming values, in the order of time, each with what memory knows of it.
    fn look(
        &mut self,
        station: u32,
        judged: &Judged<'_>,
        places: &mut Vec<(ParameterCode, u32)>,
        incoming: &mut Vec<Incoming>,
        applied: &mut Applied,
    ) {
        incoming.clear();
        let taken = judged.admitted.taken_at.as_millis();
        let values = judged.admitted.values.iter().enumerate();
        for (near, &Measured { ref parameter, value, flag }) in values {
            let parameter = match places.get(near) {
                Some((code, number)) if code == parameter => *number,
                _ => {
                    let number = self.parameters.number(parameter);
                    places.truncate(near);
                    places.push((parameter.clone(), number));
                    number
                }
            };
            let tests = judged.flags.get(near).copied().unwrap_or_default();
            let says = Says::Value(Cell::untested(value, flag).tested(tests));
            let before = self.before(station, (parameter, near), taken);
            incoming.push(Incoming { parameter, near, taken, says, before });
        }
        if judged.revised.is_empty() {
            return;
        }
        for revised in judged.revised {
            let Some(parameter) = self.parameters.find(revised.parameter.as_str()) else {
                applied.unfounded += 1;
                continue;
            };
            let (taken, says) = (revised.taken_at.as_millis(), Says::Flags(revised.flags));
            let near = places.iter().position(|place| place.1 == parameter).unwrap_or(0);
            let before = self.before(station, (parameter, near), taken);
            incoming.push(Incoming { parameter, near, taken, says, before });
        }
        incoming.sort_by_key(|value| value.taken);
    }

    fn before(&self, station: u32, (parameter, place): (u32, usize), taken: i64) -> Before {
        let series = self.series.get(station, parameter, place);
        let Some(series) = series.filter(|series| taken <= series.newest) else {
            return Before::Nothing;
        };
        let sealing = || self.sealing.as_ref()?.tail.find(station, parameter, taken);
        match self.tail.find(station, parameter, taken).or_else(sealing) {
            Some(cell) => Before::Holds(cell),
            None if series.newest_sealed.is_some_and(|newest| taken <= newest) => Before::AskFiles,
            None => Before::Nothing,
        }
    }

    /// Puts what is new into the tail, a row for each time. Also names the series whose latest value is no more.
    fn take(
        &mut self,
        station: u32,
        judged: &Judged<'_>,
        incoming: &[Incoming],
        (cells, lost): (&mut Vec<(u32, Cell)>, &mut Vec<Lost>),
        applied: &mut Applied,
    ) {
        let (position, received) = (judged.position, judged.admitted.received_at.as_millis());
        self.applied = Some(position);
        self.tail.arrived(received);
        for row in incoming.chunk_by(|a, b| a.taken == b.taken) {
            let taken = row[0].taken;
            cells.clear();
            for value in row {
                let &Incoming { parameter, near, says, before, .. } = value;
                let repeated = cells.iter().position(|known| known.0 == parameter);
                let before = match repeated {
                    Some(at) => Before::Holds(cells[at].1),
                    None => self.again(station, value).unwrap_or(before),
                };
                if repeated.is_none() && self.complete(station, position, value, before) {
                    applied.completed += 1;
                    continue;
                }
                let Some(cell) = changed(says, before, applied) else { continue };
                match repeated {
                    Some(at) => cells[at].1 = cell,
                    None => cells.push((parameter, cell)),
                }
                let version = Version { taken, received, position, cell };
                if self.series.note(station, (parameter, near), version) {
                    lost.push((parameter, taken));
                }
            }
            if !cells.is_empty() {
                self.tail.push(station, taken, received, position, cells);
            }
        }
    }
}

impl State {
    /// What the tail knows now of a reading that gets new flags: this record may have completed it already.
    fn again(&self, station: u32, value: &Incoming) -> Option<Before> {
        let Says::Flags(_) = value.says else { return None };
        self.tail.find(station, value.parameter, value.taken).map(Before::Holds)
    }

    /// New flags of a reading in memory that need no version of their own; see [`Tail::complete`](crate::tail::Tail).
    fn complete(&mut self, station: u32, position: u64, value: &Incoming, before: Before) -> bool {
        let (Says::Flags(tests), Before::Holds(held)) = (value.says, before) else { return false };
        let cell = held.tested(tests);
        let series = (station, value.parameter);
        let says = tests != TestFlags::NONE && cell != held;
        let done = says && self.tail.complete(series, value.taken, position, cell);
        if done {
            self.series.complete(station, (value.parameter, value.near), value.taken, cell);
        }
        done
    }
}

/// What is to be stored of what is said; `None` where that changes nothing.
fn changed(says: Says, before: Before, applied: &mut Applied) -> Option<Cell> {
    let held = match before {
        Before::Holds(held) => Some(held),
        Before::Nothing | Before::AskFiles => None,
    };
    let (cell, count) = match (says, held) {
        (Says::Value(cell), None) => (cell, &mut applied.stored),
        (Says::Value(cell), Some(held)) if cell.adds_nothing_to(held) => {
            applied.duplicate += 1;
            return None;
        }
        (Says::Value(cell), Some(held)) if cell.measures(held) && cell.tests != held.tests => {
            (cell, &mut applied.reflagged)
        }
        (Says::Value(cell), Some(_)) => (cell, &mut applied.corrected),
        (Says::Flags(_), None) => {
            applied.unfounded += 1;
            return None;
        }
        (Says::Flags(tests), Some(held)) => {
            let cell = held.tested(tests);
            if cell == held || tests == TestFlags::NONE {
                return None;
            }
            (cell, &mut applied.revised)
        }
    };
    *count += 1;
    Some(cell)
}

/// What the sealed files know of one station around one time.
pub(crate) struct Window {
    generation: u64,
    /// First and last time of which everything is here.
    span: (i64, i64),
    /// Sorted by time and parameter.
    cells: Vec<Sealed>,
    /// What the tests said, each word once.
    words: Vec<TestFlags>,
}

struct Sealed {
    taken: i64,
    value: f64,
    /// Its place among the words of the window.
    word: u32,
    parameter: u16,
    /// The flag's number, with the highest bit where the value is missing: so a reading takes 24 bytes.
    flag: u8,
}

impl Window {
    fn bytes(&self) -> usize {
        let words = self.words.capacity() * size_of::<TestFlags>();
        self.cells.capacity() * size_of::<Sealed>() + words + size_of::<Self>()
    }

    fn find(&self, parameter: u32, taken: i64) -> Option<Cell> {
        let key = (taken, parameter);
        let at = self.cells.binary_search_by_key(&key, |c| (c.taken, u32::from(c.parameter)));
        let cell = &self.cells[at.ok()?];
        let flag = domain::Flag::from_number(cell.flag & 0x7f)?;
        let tests = self.words.get(cell.word as usize).copied().unwrap_or_default();
        Some(Cell { value: (cell.flag & 0x80 == 0).then_some(cell.value), flag, tests })
    }
}

impl Shared {
    /// Answers what memory could not. Where the files cannot be read a value is stored as new: at worst one row too many,
    /// which reads back the same. New flags have nothing to stand on then.
    fn ask_files(
        &self,
        station: u32,
        admitted: &Admitted,
        incoming: &mut [Incoming],
        asked: &(Files, u64),
    ) {
        for row in incoming.chunk_by_mut(|a, b| a.taken == b.taken) {
            if row.iter().all(|value| value.before != Before::AskFiles) {
                continue;
            }
            let taken = row[0].taken;
            let window = self.window(station, admitted.station.as_str(), taken, asked);
            if let Err(error) = &window {
                metrics::counter!("saltline_history_lookup_failed_total").increment(1);
                tracing::error!(station = %admitted.station, %error, "cannot look for an older copy");
            }
            for value in row.iter_mut().filter(|value| value.before == Before::AskFiles) {
                let found = window.as_ref().ok().and_then(|w| w.find(value.parameter, taken));
                value.before = found.map_or(Before::Nothing, Before::Holds);
            }
        }
    }

    fn window(
        &self,
        station: u32,
        code: &str,
        taken: i64,
        (files, generation): &(Files, u64),
    ) -> Result<Arc<Window>, HistoryError> {
        let cached = lock(&self.windows).get(station).filter(|window| {
            window.generation == *generation && window.span.0 <= taken && taken <= window.span.1
        });
        if let Some(window) = cached {
            return Ok(window);
        }
        metrics::counter!("saltline_history_windows_read_total").increment(1);
        let window = Arc::new(self.read_window(code, taken, files, *generation)?);
        let bytes = window.bytes();
        lock(&self.windows).put(station, Arc::clone(&window), bytes);
        Ok(window)
    }

    /// Reads the row groups that can hold the station at this time. Other row groups only bound how far the window may
    /// claim to know everything, as the month's ends do.
    fn read_window(
        &self,
        code: &str,
        taken: i64,
        files: &Files,
        generation: u64,
    ) -> Result<Window, HistoryError> {
        let month = Month::of(taken);
        let span = (month.start(), month.last());
        let mut gathered = Gathered { span, cells: Vec::new(), words: Vec::new() };
        for file in files.iter().filter(|file| file.facts.month == month) {
            let footer = file.footer(&self.footers)?;
            let numbers = self.numbers(&footer);
            for group in 0..footer.groups() {
                let Some((first, last)) = footer.span(group, code) else { continue };
                if last < taken {
                    gathered.begins_after(last);
                } else if taken < first {
                    gathered.ends_before(first);
                } else {
                    let rows = self.block(file, &footer, group)?;
                    let added = gathered.add(&rows, &numbers, code, taken);
                    added.map_err(|what| HistoryError::damaged(file.path(), what))?;
                }
            }
        }
        Ok(gathered.window(generation))
    }

    /// Our numbers of a file's parameters.
    fn numbers(&self, footer: &Footer) -> Vec<Option<u16>> {
        let state = self.read();
        let number =
            |code: &ParameterCode| u16::try_from(state.parameters.find(code.as_str())?).ok();
        footer.parameters.iter().map(number).collect()
    }

    fn block(
        &self,
        file: &SealedFile,
        footer: &Footer,
        group: usize,
    ) -> Result<Arc<Rows>, HistoryError> {
        let key = (file.facts.serial, group);
        let cached = lock(&self.blocks).get(key);
        if let Some(rows) = cached {
            return Ok(rows);
        }
        let pairs: Vec<usize> = (0..footer.parameters.len()).collect();
        let rows = Arc::new(file.rows(footer, group, &Columns::tested(pairs))?);
        lock(&self.blocks).put(key, Arc::clone(&rows), rows.bytes());
        Ok(rows)
    }
}

/// A window in the making.
struct Gathered {
    span: (i64, i64),
    /// With the journal position of each.
    cells: Vec<(u64, Sealed)>,
    words: Vec<TestFlags>,
}

impl Gathered {
    fn begins_after(&mut self, time: i64) {
        self.span.0 = self.span.0.max(time.saturating_add(1));
    }

    fn ends_before(&mut self, time: i64) {
        self.span.1 = self.span.1.min(time.saturating_sub(1));
    }

    /// Takes the station's rows around the time, and gives up claiming what lies beyond them.
    fn add(
        &mut self,
        rows: &Rows,
        numbers: &[Option<u16>],
        code: &str,
        taken: i64,
    ) -> Result<(), String> {
        let (start, end) = rows.run(code);
        let (first, last) = rows.near((start, end), taken, WINDOW_ROWS);
        if start < first {
            self.begins_after(rows.taken(first - 1));
        }
        if last < end {
            self.ends_before(rows.taken(last));
        }
        for row in first..last {
            for (pair, number) in numbers.iter().enumerate() {
                let (Some(cell), Some(parameter)) = (rows.cell(pair, row)?, *number) else {
                    continue;
                };
                let version = rows.version(row, cell);
                let word = self.word(cell.tests);
                self.cells.push((version.position, sealed(version, parameter, word)));
            }
        }
        Ok(())
    }

    /// The place of a word; there are few, and most readings have the one of the reading before.
    fn word(&mut self, tests: TestFlags) -> u32 {
        let at = self.words.iter().position(|known| *known == tests).unwrap_or_else(|| {
            self.words.push(tests);
            self.words.len() - 1
        });
        u32::try_from(at).expect("a window has some thousand cells")
    }

    /// Of each time and parameter the last stands, as everywhere.
    fn window(self, generation: u64) -> Window {
        let Self { span, mut cells, words } = self;
        cells.retain(|(_, cell)| span.0 <= cell.taken && cell.taken <= span.1);
        cells.sort_by_key(|(position, cell)| (cell.taken, cell.parameter, *position));
        cells.reverse();
        cells.dedup_by_key(|(_, cell)| (cell.taken, cell.parameter));
        cells.reverse();
        let cells = cells.into_iter().map(|(_, cell)| cell).collect();
        Window { generation, span, cells, words }
    }
}

fn sealed(version: Version, parameter: u16, word: u32) -> Sealed {
    let Version { taken, cell, .. } = version;
    let missing = if cell.value.is_none() { 0x80 } else { 0 };
    let (value, flag) = (cell.value.unwrap_or(0.0), cell.flag.number() | missing);
    Sealed { taken, value, word, parameter, flag }
}

/// Handles, because looking a counter up costs more than counting.
pub(crate) struct Counters {
    stored: Counter,
    duplicate: Counter,
    corrected: Counter,
    reflagged: Counter,
    revised: Counter,
    completed: Counter,
    unfounded: Counter,
}

impl Counters {
    pub(crate) fn new() -> Self {
        let of = |outcome| counter!("saltline_history_applied_total", "outcome" => outcome);
        Self {
            stored: of("stored"),
            duplicate: of("duplicate"),
            corrected: of("corrected"),
            reflagged: of("reflagged"),
            revised: of("revised"),
            completed: of("completed"),
            unfounded: of("unfounded"),
        }
    }

    fn count(&self, applied: &Applied) {
        let Applied { stored, duplicate, corrected, reflagged, revised, completed, unfounded } =
            *applied;
        let counts = [
            (&self.stored, stored),
            (&self.duplicate, duplicate),
            (&self.corrected, corrected),
            (&self.reflagged, reflagged),
            (&self.revised, revised),
            (&self.completed, completed),
            (&self.unfounded, unfounded),
        ];
        for (counter, readings) in counts.into_iter().filter(|&(_, readings)| 0 < readings) {
            counter.increment(u64::from(readings));
        }
    }
}
