//! What is known of each series without looking: its newest value, and how new the sealed files are. The first answers
//! `latest` from memory, the second spares nearly every reading a look at the disk.

use domain::{Flag, TestFlags};

/// One cell of a row: a value, or the word that the sensor is missing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    pub(crate) value: Option<f64>,
    pub(crate) flag: Flag,
    /// What each test said of it; none where nobody tested it, and where a read did not ask.
    pub(crate) tests: TestFlags,
}

impl Cell {
    /// Of a reading that nobody tested.
    pub(crate) const fn untested(value: Option<f64>, flag: Flag) -> Self {
        Self { value, flag, tests: TestFlags::NONE }
    }

    /// The same as the tests find it: their worst is its flag. What was said of it beside its tests stays said: who admitted
    /// it called it bad, or nothing was measured.
    pub(crate) fn tested(self, tests: TestFlags) -> Self {
        let flag = match (self.value, self.tests.worst()) {
            _ if tests == TestFlags::NONE => self.flag,
            (None, _) => self.flag,
            (Some(_), worst) if worst == self.flag => tests.worst(),
            (Some(_), _) => self.flag.worse(tests.worst()),
        };
        Self { flag, tests, ..self }
    }

    /// Is it what is held already? Who did not test a reading, or tested it by itself, knows no better than who knew its
    /// neighbours.
    pub(crate) fn adds_nothing_to(self, held: Self) -> bool {
        let untested = self.tests == TestFlags::NONE && held.tests != TestFlags::NONE;
        let a_part = self.tests != TestFlags::NONE
            && self.tests.within(held.tests)
            && held.flag.worse(self.flag) == held.flag;
        self == held || ((untested || a_part) && self.measures(held))
    }

    /// Is the value the same? To the bit: a correction of the last digit is a correction.
    pub(crate) fn measures(self, other: Self) -> bool {
        self.value.map(f64::to_bits) == other.value.map(f64::to_bits)
    }
}

impl PartialEq for Cell {
    fn eq(&self, other: &Self) -> bool {
        self.flag == other.flag && self.tests == other.tests && self.measures(*other)
    }
}

/// A cell with its times: what a series is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Version {
    pub(crate) taken: i64,
    pub(crate) received: i64,
    pub(crate) position: u64,
    pub(crate) cell: Cell,
}

/// What is known of one series.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) parameter: u32,
    /// The newest reading, of any kind.
    pub(crate) newest: i64,
    /// The newest reading in sealed files.
    pub(crate) newest_sealed: Option<i64>,
    /// The newest reading that has a value.
    pub(crate) latest: Option<Version>,
}

/// Where in a list something of this parameter stands; `near` is looked at first, because stations say the same things in
/// the same order again and again.
pub(crate) fn place<T>(
    all: &[T],
    of: impl Fn(&T) -> u32,
    parameter: u32,
    near: usize,
) -> Option<usize> {
    match all.get(near) {
        Some(there) if of(there) == parameter => Some(near),
        _ => all.iter().position(|known| of(known) == parameter),
    }
}

/// The series of every station, by the station's number; a station has few, so they are searched one by one.
#[derive(Debug, Clone, Default)]
pub(crate) struct SeriesTable {
    stations: Vec<Vec<Series>>,
}

impl SeriesTable {
    pub(crate) fn of(&self, station: u32) -> &[Series] {
        self.stations.get(station as usize).map_or(&[], Vec::as_slice)
    }

    /// What is known of a series that is probably `near` its place.
    pub(crate) fn get(&self, station: u32, parameter: u32, near: usize) -> Option<&Series> {
        let all = self.of(station);
        place(all, |series| series.parameter, parameter, near).map(|at| &all[at])
    }

    pub(crate) fn put(&mut self, station: u32, series: Series) {
        let all = self.station(station);
        match all.iter_mut().find(|known| known.parameter == series.parameter) {
            Some(known) => *known = series,
            None => all.push(series),
        }
    }

    /// Takes note of a new reading of a parameter that is probably `near` its place. `true` where it took the value of the latest away, so that the one before it has
    /// to be looked for.
    pub(crate) fn note(
        &mut self,
        station: u32,
        (parameter, near): (u32, usize),
        version: Version,
    ) -> bool {
        let all = self.station(station);
        let found = place(all, |series| series.parameter, parameter, near);
        let at = found.unwrap_or_else(|| {
            let newest = version.taken;
            all.push(Series { parameter, newest, newest_sealed: None, latest: None });
            all.len() - 1
        });
        let series = &mut all[at];
        series.newest = series.newest.max(version.taken);
        let held = series.latest.map(|latest| latest.taken);
        if version.cell.value.is_none() {
            return held == Some(version.taken);
        }
        if held.is_none_or(|held| held <= version.taken) {
            series.latest = Some(version);
        }
        false
    }

    /// Takes note of what the tests say now of a reading that is the latest, perhaps.
    pub(crate) fn complete(
        &mut self,
        station: u32,
        (parameter, near): (u32, usize),
        taken: i64,
        cell: Cell,
    ) {
        let all = self.station(station);
        let at = place(all, |series| series.parameter, parameter, near);
        let latest = at.and_then(|at| all[at].latest.as_mut());
        if let Some(latest) = latest.filter(|latest| latest.taken == taken) {
            latest.cell = cell;
        }
    }

    /// Puts what was found in place of a latest value that is no more.
    pub(crate) fn set_latest(&mut self, station: u32, parameter: u32, latest: Option<Version>) {
        let all = self.station(station);
        if let Some(series) = all.iter_mut().find(|known| known.parameter == parameter) {
            series.latest = latest;
        }
    }

    /// The table as it will be when everything it knows is sealed.
    pub(crate) fn all_sealed(&self) -> Self {
        let mut table = self.clone();
        for series in table.stations.iter_mut().flatten() {
            series.newest_sealed = Some(series.newest);
        }
        table
    }

    /// Takes over how far `sealed` says that files reach.
    pub(crate) fn sealed_as(&mut self, sealed: &Self) {
        for (station, all) in sealed.stations.iter().enumerate() {
            for series in all {
                let known = self.stations[station].iter_mut();
                if let Some(known) = known.into_iter().find(|k| k.parameter == series.parameter) {
                    known.newest_sealed = series.newest_sealed;
                }
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Series)> {
        let numbered = (0..).zip(&self.stations);
        numbered.flat_map(|(station, all)| all.iter().map(move |series| (station, series)))
    }

    fn station(&mut self, station: u32) -> &mut Vec<Series> {
        let at = station as usize;
        if self.stations.len() <= at {
            self.stations.resize_with(at + 1, Vec::new);
        }
        &mut self.stations[at]
    }
}
