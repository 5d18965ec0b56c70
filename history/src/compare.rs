//! Is history what the journal says? Each value of a record at or below the sealed position must read back from the
//! sealed files: of its station, parameter and time the last that was written up to that record has the same value, to the
//! bit. A value that was there before may have stayed where it was.
//!
//! Flags are compared where nothing was tested: what the tests say of a reading depends on what came before it, on other
//! series and on the limits of that day, and no record of the journal tells that. A revision says the value again that
//! stood before, so the values are compared across it.
//!
//! Records are taken in the journal's order and asked for in lots; each lot goes once through the files that can hold it.

use domain::{Admitted, ParameterCode, StationCode, TestFlags, Timestamp};
use rustc_hash::FxHashMap;

use crate::cache::Cache;
use crate::names::Names;
use crate::sealed::{Columns, Scan, SealedFile};
use crate::series::Cell;
use crate::{HistoryError, Look};
use std::sync::{Arc, Mutex};

/// Values of a lot: of 80 bytes each, 80 MB. It is nine days of 200 stations with six values every 15 minutes, so most
/// files are gone through a few times.
const LOT: usize = 1_000_000;

/// Differences that are named; more are counted.
const NAMED_MAX: usize = 100;

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Compared {
    /// Values of the journal that were looked for.
    pub values: u64,
    /// Those that differ or are missing, the first of them.
    pub differ: Vec<Differs>,
    /// How many they are.
    pub differing: u64,
    /// Values that are the same, were not tested, and have another flag: a parameter's range was changed since.
    pub other_flags: u64,
}

/// A value that history does not have as the journal does.
#[derive(Debug, Clone, PartialEq)]
pub struct Differs {
    /// The record.
    pub position: u64,
    /// Where.
    pub station: StationCode,
    /// What.
    pub parameter: ParameterCode,
    /// When.
    pub taken_at: Timestamp,
    /// What the journal says.
    pub journal: Option<f64>,
    /// What the files say; `None` where they say nothing.
    pub history: Option<Option<f64>>,
}

/// A comparison under way.
pub struct Comparing<'a> {
    look: &'a Look,
    stations: Names<StationCode>,
    parameters: Names<ParameterCode>,
    asked: Vec<Asked>,
    found: Compared,
}

struct Asked {
    station: u32,
    parameter: u32,
    taken: i64,
    position: u64,
    cell: Cell,
    /// The newest that was found up to the record.
    best: Option<(u64, Cell)>,
    /// Another of the same station and time, or its own place.
    next: usize,
}

impl Look {
    /// Begins a comparison of what is sealed with records of the journal.
    #[must_use]
    pub fn compare(&self) -> Comparing<'_> {
        Comparing {
            look: self,
            stations: Names::default(),
            parameters: Names::default(),
            asked: Vec::new(),
            found: Compared::default(),
        }
    }
}

impl Comparing<'_> {
    /// Takes a record that is sealed, judged as history judges it.
    ///
    /// # Errors
    /// [`HistoryError`] where a file that is needed cannot be trusted or read.
    pub fn record(&mut self, position: u64, admitted: &Admitted) -> Result<(), HistoryError> {
        let station = self.stations.number(&admitted.station);
        let taken = admitted.taken_at.as_millis();
        for (at, measured) in admitted.values.iter().enumerate() {
            // Of the same parameter twice in one record the later counts.
            let after = &admitted.values[at + 1..];
            if after.iter().any(|later| later.parameter == measured.parameter) {
                continue;
            }
            let parameter = self.parameters.number(&measured.parameter);
            let cell = Cell::untested(measured.value, measured.flag);
            let next = self.asked.len();
            self.asked.push(Asked { station, parameter, taken, position, cell, best: None, next });
        }
        if LOT <= self.asked.len() { self.answer() } else { Ok(()) }
    }

    /// Answers what is left and says what was found.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub fn finish(mut self) -> Result<Compared, HistoryError> {
        self.answer()?;
        Ok(self.found)
    }

    fn answer(&mut self) -> Result<(), HistoryError> {
        let times = self.asked.iter().map(|asked| asked.taken);
        let Some(span) = times.clone().min().zip(times.max()) else { return Ok(()) };
        let mut heads: FxHashMap<(u32, i64), usize> = FxHashMap::default();
        for (at, asked) in self.asked.iter_mut().enumerate() {
            if let Some(before) = heads.insert((asked.station, asked.taken), at) {
                asked.next = before;
            }
        }
        let to = span.1.saturating_add(1);
        for file in self.look.files().iter().filter(|file| file.overlaps(span.0, to)) {
            self.file(file, (span.0, to), &heads)?;
        }
        for asked in std::mem::take(&mut self.asked) {
            self.judge(&asked);
        }
        Ok(())
    }

    fn file(
        &mut self,
        file: &Arc<SealedFile>,
        (from, to): (i64, i64),
        heads: &FxHashMap<(u32, i64), usize>,
    ) -> Result<(), HistoryError> {
        let footer = file.footer(&Mutex::new(Cache::new(0)))?;
        let overlaps = |group: &usize| {
            footer.group_span(*group).is_some_and(|(first, last)| from <= last && first < to)
        };
        let groups: Vec<usize> = (0..footer.groups()).filter(overlaps).collect();
        let number = |code: &ParameterCode| self.parameters.find(code.as_str());
        let numbers: Vec<Option<u32>> = footer.parameters.iter().map(number).collect();
        let pairs = (0..numbers.len()).collect();
        let mut scan = Scan::of(file, Arc::clone(&footer), groups, Columns::tested(pairs))?;
        let mut last: Option<(String, Option<u32>)> = None;
        while let Some((code, taken, position)) = scan.key() {
            let station = match &last {
                Some((known, number)) if known == code => *number,
                _ => {
                    let number = self.stations.find(code);
                    last = Some((code.to_owned(), number));
                    number
                }
            };
            let head = station.and_then(|station| heads.get(&(station, taken)).copied());
            if let Some(head) = head {
                for (pair, parameter) in numbers.iter().enumerate() {
                    let (Some(parameter), Some(cell)) = (*parameter, scan.cell(pair)?) else {
                        continue;
                    };
                    self.note(head, parameter, (position, cell));
                }
            }
            scan.step()?;
        }
        Ok(())
    }

    fn note(&mut self, head: usize, parameter: u32, found: (u64, Cell)) {
        let mut at = head;
        loop {
            let asked = &mut self.asked[at];
            let newer = asked.best.is_none_or(|(position, _)| position <= found.0);
            if asked.parameter == parameter && found.0 <= asked.position && newer {
                asked.best = Some(found);
            }
            if asked.next == at {
                return;
            }
            at = asked.next;
        }
    }

    fn judge(&mut self, asked: &Asked) {
        self.found.values += 1;
        let bits = |cell: Cell| cell.value.map(f64::to_bits);
        match asked.best {
            Some((_, cell)) if bits(cell) == bits(asked.cell) => {
                let untested = cell.tests == TestFlags::NONE;
                self.found.other_flags += u64::from(untested && cell.flag != asked.cell.flag);
            }
            best => {
                self.found.differing += 1;
                if self.found.differ.len() < NAMED_MAX {
                    self.found.differ.push(Differs {
                        position: asked.position,
                        station: self.stations.code(asked.station).clone(),
                        parameter: self.parameters.code(asked.parameter).clone(),
                        taken_at: Timestamp::from_millis(asked.taken),
                        journal: asked.cell.value,
                        history: best.map(|(_, cell)| cell.value),
                    });
                }
            }
        }
    }
}

impl std::fmt::Debug for Comparing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Comparing").field("found", &self.found).finish_non_exhaustive()
    }
}
