//! The hot tail: readings in memory, columnar by station. Rows stand in the order of the journal, an index gives them
//! in the order of time, so late and repeated readings cost what punctual ones cost.

use std::collections::BTreeMap;

use domain::{Flag, TestFlags};

use crate::month::Month;
use crate::series::{Cell, Version, place};

/// A flag byte of a column: 0 where the row has no such parameter, else the QARTOD number, with this bit set where the
/// value is missing.
const NO_VALUE: u8 = 0x80;

#[derive(Debug, Default)]
struct Column {
    parameter: u32,
    values: Vec<f64>,
    flags: Vec<u8>,
    words: Words,
}

/// What the tests said of each row, by runs: nearly all readings have the word of the one before. A run takes 12 bytes,
/// and the first where nothing was tested takes none.
#[derive(Debug, Default)]
struct Words {
    /// Where each run begins.
    rows: Vec<u32>,
    words: Vec<TestFlags>,
}

impl Words {
    fn put(&mut self, row: u32, tests: TestFlags) {
        if self.words.last().copied().unwrap_or_default() != tests {
            self.rows.push(row);
            self.words.push(tests);
        }
    }

    fn get(&self, row: u32) -> TestFlags {
        let run = self.rows.partition_point(|&begins| begins <= row).checked_sub(1);
        run.map_or(TestFlags::NONE, |run| self.words[run])
    }

    /// Another word for one row of a column that has `end` rows; those beside it keep theirs. The row is mostly the last.
    fn set(&mut self, row: u32, end: u32, tests: TestFlags) {
        let before = self.get(row);
        if before == tests {
            return;
        }
        let mut at = self.rows.partition_point(|&begins| begins < row);
        let behind = at + usize::from(self.rows.get(at) == Some(&row));
        if row + 1 < end && self.rows.get(behind) != Some(&(row + 1)) {
            self.begin(behind, row + 1, before);
        }
        if at == behind {
            self.begin(at, row, tests);
        } else {
            self.words[at] = tests;
        }
        at += 1;
        for run in [at, at - 1] {
            self.join(run);
        }
    }

    fn begin(&mut self, run: usize, row: u32, tests: TestFlags) {
        self.rows.insert(run, row);
        self.words.insert(run, tests);
    }

    /// Two runs of one word are one.
    fn join(&mut self, run: usize) {
        let before = run.checked_sub(1).map_or(TestFlags::NONE, |before| self.words[before]);
        if self.words.get(run) == Some(&before) {
            self.rows.remove(run);
            self.words.remove(run);
        }
    }

    fn bytes(&self) -> usize {
        self.rows.capacity() * size_of::<u32>() + self.words.capacity() * size_of::<TestFlags>()
    }
}

impl Column {
    /// Rows in which this parameter did not occur are filled up only when it occurs again.
    fn put(&mut self, number: u32, cell: Cell) {
        let row = number as usize;
        self.values.resize(row, 0.0);
        self.flags.resize(row, 0);
        self.values.push(cell.value.unwrap_or(0.0));
        let missing = if cell.value.is_none() { NO_VALUE } else { 0 };
        self.flags.push(cell.flag.number() | missing);
        self.words.put(number, cell.tests);
    }

    /// Other words of the tests for a row that is here.
    fn set(&mut self, row: u32, cell: Cell) {
        let missing = self.flags[row as usize] & NO_VALUE;
        self.flags[row as usize] = cell.flag.number() | missing;
        let end = u32::try_from(self.flags.len()).unwrap_or(u32::MAX);
        self.words.set(row, end, cell.tests);
    }

    fn get(&self, row: u32) -> Option<Cell> {
        let byte = *self.flags.get(row as usize)?;
        let flag = Flag::from_number(byte & !NO_VALUE)?;
        let value = (byte & NO_VALUE == 0).then(|| self.values[row as usize]);
        Some(Cell { value, flag, tests: self.words.get(row) })
    }
}

/// The rows of one station.
#[derive(Debug, Default)]
pub(crate) struct StationTail {
    /// Time to the newest row of that time.
    index: BTreeMap<i64, u32>,
    /// A row to the one that it corrects; there are few.
    older: BTreeMap<u32, u32>,
    received: Vec<i64>,
    position: Vec<u64>,
    columns: Vec<Column>,
}

impl StationTail {
    fn push(&mut self, taken: i64, received: i64, position: u64, cells: &[(u32, Cell)]) {
        let row = self.received.len();
        let number = u32::try_from(row).expect("a tail is sealed long before 4 billion rows");
        self.received.push(received);
        self.position.push(position);
        for (near, &(parameter, cell)) in cells.iter().enumerate() {
            self.column(parameter, near).put(number, cell);
        }
        if let Some(before) = self.index.insert(taken, number) {
            self.older.insert(number, before);
        }
    }

    fn column(&mut self, parameter: u32, near: usize) -> &mut Column {
        let found = place(&self.columns, |column| column.parameter, parameter, near);
        let at = found.unwrap_or_else(|| {
            self.columns.push(Column { parameter, ..Column::default() });
            self.columns.len() - 1
        });
        &mut self.columns[at]
    }

    /// The row and those it corrects, newest first.
    fn versions(&self, newest: u32) -> impl Iterator<Item = u32> {
        std::iter::successors(Some(newest), |row| self.older.get(row).copied())
    }

    /// Those of one time that had reached us by then, newest first.
    fn known<'a>(
        &'a self,
        column: &'a Column,
        taken: i64,
        newest: u32,
        known_by: i64,
    ) -> impl Iterator<Item = Version> + 'a {
        self.versions(newest).filter_map(move |row| {
            let (received, position) = (self.received[row as usize], self.position[row as usize]);
            if known_by < received {
                return None;
            }
            column.get(row).map(|cell| Version { taken, received, position, cell })
        })
    }

    /// Every row of a month, in the order of a sealed file: time, then the journal's order.
    pub(crate) fn rows(&self, month: Month) -> impl Iterator<Item = TailRow<'_>> {
        self.index.range(month.start()..=month.last()).flat_map(move |(&taken, &newest)| {
            let mut versions: Vec<u32> = self.versions(newest).collect();
            versions.reverse();
            versions.into_iter().map(move |row| TailRow { tail: self, taken, row })
        })
    }
}

/// One row of the tail.
pub(crate) struct TailRow<'a> {
    tail: &'a StationTail,
    pub(crate) taken: i64,
    row: u32,
}

impl TailRow<'_> {
    pub(crate) fn received(&self) -> i64 {
        self.tail.received[self.row as usize]
    }

    pub(crate) fn position(&self) -> u64 {
        self.tail.position[self.row as usize]
    }

    pub(crate) fn cells(&self) -> impl Iterator<Item = (u32, Cell)> {
        self.tail.columns.iter().filter_map(|c| c.get(self.row).map(|cell| (c.parameter, cell)))
    }
}

/// Everything that is not sealed.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    stations: Vec<StationTail>,
    pub(crate) rows: usize,
    pub(crate) readings: usize,
    /// When the first record of it arrived, also where that record brought nothing new.
    pub(crate) oldest_received: Option<i64>,
    /// The first and the last time taken.
    pub(crate) span: Option<(i64, i64)>,
}

impl Tail {
    /// Takes note that a record was applied, whether or not it brings a row.
    pub(crate) fn arrived(&mut self, received: i64) {
        self.oldest_received = Some(self.oldest_received.map_or(received, |o| o.min(received)));
    }

    pub(crate) fn push(
        &mut self,
        station: u32,
        taken: i64,
        received: i64,
        position: u64,
        cells: &[(u32, Cell)],
    ) {
        let at = station as usize;
        if self.stations.len() <= at {
            self.stations.resize_with(at + 1, StationTail::default);
        }
        self.stations[at].push(taken, received, position, cells);
        self.rows += 1;
        self.readings += cells.len();
        self.span = Some(self.span.map_or((taken, taken), |(a, b)| (a.min(taken), b.max(taken))));
    }

    pub(crate) fn station(&self, station: u32) -> Option<&StationTail> {
        self.stations.get(station as usize).filter(|tail| !tail.index.is_empty())
    }

    /// What is known here of one series at one time.
    pub(crate) fn find(&self, station: u32, parameter: u32, taken: i64) -> Option<Cell> {
        let tail = self.station(station)?;
        let &newest = tail.index.get(&taken)?;
        let column = tail.columns.iter().find(|column| column.parameter == parameter)?;
        tail.known(column, taken, newest, i64::MAX).next().map(|version| version.cell)
    }

    /// Writes what the tests say now over what they said, where the reading lies here and nobody loses by it: the flag of
    /// the reading is the same, or the record that brought it is the one that revises it. False where it is to be a
    /// version of its own.
    pub(crate) fn complete(
        &mut self,
        (station, parameter): (u32, u32),
        taken: i64,
        position: u64,
        cell: Cell,
    ) -> bool {
        let Some(tail) = self.stations.get_mut(station as usize) else { return false };
        let at = tail.columns.iter().position(|column| column.parameter == parameter);
        let Some((at, newest)) = at.zip(tail.index.get(&taken).copied()) else { return false };
        let held = |row| Some((row, tail.columns[at].get(row)?));
        let Some((row, held)) = tail.versions(newest).find_map(held) else { return false };
        let completes = held.flag == cell.flag || tail.position[row as usize] == position;
        if completes {
            tail.columns[at].set(row, cell);
        }
        completes
    }

    /// Adds one series between two times to `out`, every version that had reached us by then.
    pub(crate) fn series(
        &self,
        (station, parameter): (u32, u32),
        (from, to): (i64, i64),
        known_by: i64,
        out: &mut Vec<Version>,
    ) {
        let Some(tail) = self.station(station) else { return };
        let Some(column) = tail.columns.iter().find(|c| c.parameter == parameter) else { return };
        let rows = tail.index.range(from..to);
        out.extend(rows.flat_map(|(&taken, &newest)| tail.known(column, taken, newest, known_by)));
    }

    /// The months in which rows were taken, in order.
    pub(crate) fn months(&self) -> Vec<Month> {
        let mut months = std::collections::BTreeSet::new();
        for tail in &self.stations {
            let mut from = i64::MIN;
            while let Some((&taken, _)) = tail.index.range(from..).next() {
                let month = Month::of(taken);
                months.insert(month);
                let Some(next) = month.last().checked_add(1) else { break };
                from = next;
            }
        }
        months.into_iter().collect()
    }

    /// Bytes in memory, about: a B-tree's node is two thirds full, and 12 bytes of entry become 24.
    pub(crate) fn bytes(&self) -> usize {
        let station = |tail: &StationTail| {
            let columns = tail.columns.iter();
            let cells: usize = columns
                .map(|c| c.values.capacity() * 8 + c.flags.capacity() + c.words.bytes())
                .sum();
            cells + tail.received.capacity() * 16 + (tail.index.len() + tail.older.len()) * 24
        };
        self.stations.iter().map(station).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(value: f64) -> Cell {
        Cell::untested(Some(value), Flag::Good)
    }

    #[test]
    fn late_rows_are_read_in_the_order_of_time_and_corrections_win() {
        let mut tail = Tail::default();
        tail.push(0, 30, 1, 1, &[(0, cell(3.0))]);
        tail.push(0, 10, 2, 2, &[(0, cell(1.0)), (1, cell(7.0))]);
        tail.push(0, 30, 3, 3, &[(0, cell(3.5))]);
        let mut out = Vec::new();
        tail.series((0, 0), (0, 31), i64::MAX, &mut out);
        let read: Vec<_> = out.iter().map(|v| (v.taken, v.cell.value)).collect();
        assert_eq!(read, [(10, Some(1.0)), (30, Some(3.5)), (30, Some(3.0))], "newest first");
        assert_eq!(tail.find(0, 1, 30), None);
        let rows: Vec<_> =
            tail.stations[0].rows(Month::of(0)).map(|r| (r.taken, r.position())).collect();
        assert_eq!(rows, [(10, 2), (30, 1), (30, 3)]);
    }

    #[test]
    fn any_row_may_get_another_word() {
        use domain::QualityTest::{GrossRange, RateOfChange};
        let words = [
            TestFlags::NONE,
            TestFlags::NONE.with(GrossRange, Flag::Good),
            TestFlags::NONE.with(RateOfChange, Flag::Suspect),
        ];
        let mut seed = 7_u64;
        let mut random = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as usize % below
        };
        for _ in 0..2_000 {
            let (mut runs, mut plain) = (Words::default(), Vec::new());
            for _ in 0..30 {
                if plain.is_empty() || random(2) == 0 {
                    plain.push(words[random(3)]);
                    runs.put(plain.len() as u32 - 1, plain[plain.len() - 1]);
                } else {
                    let row = random(plain.len());
                    plain[row] = words[random(3)];
                    runs.set(row as u32, plain.len() as u32, plain[row]);
                }
                let read: Vec<_> = (0..plain.len() as u32).map(|row| runs.get(row)).collect();
                assert_eq!(read, plain);
                let twice = runs.words.windows(2).any(|two| two[0] == two[1]);
                assert!(!twice && runs.words.first() != Some(&TestFlags::NONE), "{runs:?}");
            }
        }
    }

    #[test]
    fn a_missing_sensor_is_not_an_absent_one() {
        let mut tail = Tail::default();
        let missing = Cell::untested(None, Flag::Missing);
        tail.push(0, 1, 1, 1, &[(0, missing)]);
        assert_eq!(tail.find(0, 0, 1), Some(missing));
        assert_eq!(tail.find(0, 1, 1), None);
    }
}
