//! From a journal record to the tail. What a record says is compared with what is known at that time, so that a packet
//! sent twice is counted as such and stored once, wherever its first copy lies by now.

use std::sync::Arc;

use domain::{Admitted, Measured, ParameterCode};
use metrics::{Counter, counter};

use crate::month::Month;
use crate::sealed::{Footer, Rows, SealedFile};
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
    /// The parameters of the last record and their numbers by place: stations of one make report the same ones in the
    /// same order, and copies of one code are seen to be equal without reading them.
    places: Vec<(ParameterCode, u32)>,
}

/// One value of the record at hand.
#[derive(Debug)]
pub(crate) struct Incoming {
    parameter: u32,
    cell: Cell,
    before: Before,
}

impl History {
    /// Applies one record of the journal; one call per record, in the journal's order, from one writer. Other threads
    /// read it as soon as this returns. A position before the last applied one is a record that was applied already:
    /// nothing changes, and its values count as duplicates.
    pub fn apply(&self, position: u64, admitted: &Admitted) -> Applied {
        let mut writer = lock(&self.shared.writer);
        let Writer { incoming, cells, places } = &mut *writer;
        let mut state = self.shared.write();
        let applied = if state.applied.is_some_and(|applied| position < applied) {
            let duplicate = u32::try_from(admitted.values.len()).unwrap_or(u32::MAX);
            Applied { duplicate, ..Applied::default() }
        } else {
            let station = state.stations.number(&admitted.station);
            state.look(station, admitted, places, incoming);
            if incoming.iter().any(|value| value.before == Before::AskFiles) {
                let asked = (Arc::clone(&state.files), state.generation);
                drop(state);
                self.shared.ask_files(station, admitted, incoming, asked);
                state = self.shared.write();
            }
            let (applied, lost) = state.take(station, position, admitted, incoming, cells);
            drop(state);
            for parameter in lost {
                self.find_latest_again(station, parameter, admitted.taken_at.as_millis());
            }
            applied
        };
        self.shared.counters.count(&applied);
        applied
    }
}

impl State {
    /// Turns the record into incoming values, each with what memory knows of it.
    fn look(
        &mut self,
        station: u32,
        admitted: &Admitted,
        places: &mut Vec<(ParameterCode, u32)>,
        incoming: &mut Vec<Incoming>,
    ) {
        incoming.clear();
        let taken = admitted.taken_at.as_millis();
        for (place, &Measured { ref parameter, value, flag }) in admitted.values.iter().enumerate()
        {
            let parameter = match places.get(place) {
                Some((code, number)) if code == parameter => *number,
                _ => {
                    let number = self.parameters.number(parameter);
                    places.truncate(place);
                    places.push((parameter.clone(), number));
                    number
                }
            };
            let before = self.before(station, (parameter, place), taken);
            incoming.push(Incoming { parameter, cell: Cell { value, flag }, before });
        }
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

    /// Puts what is new into the tail. Also names the series whose latest value is no more.
    fn take(
        &mut self,
        station: u32,
        position: u64,
        admitted: &Admitted,
        incoming: &[Incoming],
        cells: &mut Vec<(u32, Cell)>,
    ) -> (Applied, Vec<u32>) {
        let (taken, received) = (admitted.taken_at.as_millis(), admitted.received_at.as_millis());
        let (mut applied, mut lost) = (Applied::default(), Vec::new());
        cells.clear();
        for (place, &Incoming { parameter, cell, before }) in incoming.iter().enumerate() {
            let repeated = cells.iter().position(|known| known.0 == parameter);
            let before = repeated.map_or(before, |at| Before::Holds(cells[at].1));
            match before {
                Before::Holds(held) if held == cell => {
                    applied.duplicate += 1;
                    continue;
                }
                Before::Holds(_) => applied.corrected += 1,
                Before::Nothing | Before::AskFiles => applied.stored += 1,
            }
            match repeated {
                Some(at) => cells[at].1 = cell,
                None => cells.push((parameter, cell)),
            }
            let version = Version { taken, received, position, cell };
            if self.series.note(station, (parameter, place), version) {
                lost.push(parameter);
            }
        }
        self.applied = Some(position);
        self.tail.arrived(received);
        if !cells.is_empty() {
            self.tail.push(station, taken, received, position, cells);
        }
        (applied, lost)
    }
}

/// What the sealed files know of one station around one time.
pub(crate) struct Window {
    generation: u64,
    /// First and last time of which everything is here.
    span: (i64, i64),
    /// Sorted by time and parameter.
    cells: Vec<Sealed>,
}

struct Sealed {
    taken: i64,
    value: f64,
    parameter: u16,
    /// The flag's number, with the highest bit where the value is missing: so a reading takes 24 bytes.
    flag: u8,
}

impl Window {
    fn find(&self, parameter: u32, taken: i64) -> Option<Cell> {
        let key = (taken, parameter);
        let at = self.cells.binary_search_by_key(&key, |c| (c.taken, u32::from(c.parameter)));
        let cell = &self.cells[at.ok()?];
        let flag = domain::Flag::from_number(cell.flag & 0x7f)?;
        Some(Cell { value: (cell.flag & 0x80 == 0).then_some(cell.value), flag })
    }
}

impl Shared {
    /// Answers what memory could not. Where the files cannot be read the value is stored as new: at worst one row too
    /// many, which reads back the same.
    fn ask_files(
        &self,
        station: u32,
        admitted: &Admitted,
        incoming: &mut [Incoming],
        asked: (Files, u64),
    ) {
        let taken = admitted.taken_at.as_millis();
        let window = self.window(station, admitted.station.as_str(), taken, asked);
        if let Err(error) = &window {
            metrics::counter!("saltline_history_lookup_failed_total").increment(1);
            tracing::error!(station = %admitted.station, %error, "cannot look for an older copy");
        }
        for value in incoming.iter_mut().filter(|value| value.before == Before::AskFiles) {
            let found = window.as_ref().ok().and_then(|w| w.find(value.parameter, taken));
            value.before = found.map_or(Before::Nothing, Before::Holds);
        }
    }

    fn window(
        &self,
        station: u32,
        code: &str,
        taken: i64,
        (files, generation): (Files, u64),
    ) -> Result<Arc<Window>, HistoryError> {
        let cached = lock(&self.windows).get(station).filter(|window| {
            window.generation == generation && window.span.0 <= taken && taken <= window.span.1
        });
        if let Some(window) = cached {
            return Ok(window);
        }
        metrics::counter!("saltline_history_windows_read_total").increment(1);
        let window = Arc::new(self.read_window(code, taken, &files, generation)?);
        let bytes = window.cells.capacity() * size_of::<Sealed>() + size_of::<Window>();
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
        let mut gathered = Gathered { span: (month.start(), month.last()), cells: Vec::new() };
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
        let rows = Arc::new(file.rows(footer, group, &pairs)?);
        lock(&self.blocks).put(key, Arc::clone(&rows), rows.bytes());
        Ok(rows)
    }
}

/// A window in the making.
struct Gathered {
    span: (i64, i64),
    /// With the journal position of each.
    cells: Vec<(u64, Sealed)>,
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
                self.cells.push((version.position, sealed(version, parameter)));
            }
        }
        Ok(())
    }

    /// Of each time and parameter the last stands, as everywhere.
    fn window(self, generation: u64) -> Window {
        let Self { span, mut cells } = self;
        cells.retain(|(_, cell)| span.0 <= cell.taken && cell.taken <= span.1);
        cells.sort_by_key(|(position, cell)| (cell.taken, cell.parameter, *position));
        cells.reverse();
        cells.dedup_by_key(|(_, cell)| (cell.taken, cell.parameter));
        cells.reverse();
        let cells = cells.into_iter().map(|(_, cell)| cell).collect();
        Window { generation, span, cells }
    }
}

fn sealed(version: Version, parameter: u16) -> Sealed {
    let Version { taken, cell, .. } = version;
    let missing = if cell.value.is_none() { 0x80 } else { 0 };
    let (value, flag) = (cell.value.unwrap_or(0.0), cell.flag.number() | missing);
    Sealed { taken, value, parameter, flag }
}

/// Handles, because looking a counter up costs more than counting.
pub(crate) struct Counters {
    stored: Counter,
    duplicate: Counter,
    corrected: Counter,
}

impl Counters {
    pub(crate) fn new() -> Self {
        let of = |outcome| counter!("saltline_history_applied_total", "outcome" => outcome);
        Self { stored: of("stored"), duplicate: of("duplicate"), corrected: of("corrected") }
    }

    fn count(&self, applied: &Applied) {
        let Applied { stored, duplicate, corrected, .. } = *applied;
        let counts =
            [(&self.stored, stored), (&self.duplicate, duplicate), (&self.corrected, corrected)];
        for (counter, readings) in counts.into_iter().filter(|&(_, readings)| 0 < readings) {
            counter.increment(u64::from(readings));
        }
    }
}
