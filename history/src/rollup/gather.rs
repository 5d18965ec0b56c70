//! From rows, which come sorted by station, time and position, to pages.

use std::sync::OnceLock;

use domain::{Aggregation, ParameterCode, standard_parameters};

use super::block::Block;
use super::level::Level;
use super::pack::put_varint;
use super::state::State;
use crate::series::Cell;

/// From so many intervals on it can be told that a level does not pay.
const STATES_TO_TELL: usize = 8;

/// The rows of a file in the making.
pub(crate) struct Gather {
    /// A level is kept where an interval stands for so many readings or more on average.
    readings_min: usize,
    series: Vec<Series>,
    pages: Vec<u8>,
    directory: Vec<u8>,
}

/// One parameter of the station at hand.
struct Series {
    direction: bool,
    /// The newest version so far of the time at hand.
    pending: Option<(i64, Cell)>,
    received: i64,
    readings: usize,
    levels: [Levelled; 4],
}

/// The intervals of one level.
#[derive(Default)]
struct Levelled {
    states: Vec<State>,
    /// The last millisecond of the last of them.
    end: i64,
    given_up: bool,
}

impl Gather {
    pub(crate) fn new(parameters: &[ParameterCode], readings_min: usize) -> Self {
        let series = parameters.iter().map(|code| Series::new(is_direction(code))).collect();
        Self { readings_min, series, pages: Vec::new(), directory: Vec::new() }
    }

    /// Takes the station's next row.
    pub(crate) fn row(&mut self, taken: i64, received: i64, cells: &[Option<Cell>]) {
        for (series, cell) in self.series.iter_mut().zip(cells) {
            let Some(cell) = *cell else { continue };
            series.received = series.received.max(received);
            // Of one time the last counts.
            match series.pending.replace((taken, cell)) {
                Some(before) if before.0 != taken => series.settle(before, self.readings_min),
                _ => {}
            }
        }
    }

    /// Ends a station: what was gathered of it is a page, where anything pays.
    pub(crate) fn station(&mut self, code: &str) {
        let begins = self.pages.len();
        for (place, series) in self.series.iter_mut().enumerate() {
            series.end(place, self.readings_min, &mut self.pages);
        }
        let page = &self.pages[begins..];
        self.directory.push(u8::try_from(code.len()).expect("a code has 32 bytes at most"));
        self.directory.extend(code.as_bytes());
        put_varint(&mut self.directory, page.len() as u64);
        self.directory.extend(crc32fast::hash(page).to_le_bytes());
    }

    /// Pages and directory; both empty where no page has anything.
    pub(crate) fn finish(self) -> (Vec<u8>, Vec<u8>) {
        if self.pages.is_empty() { Default::default() } else { (self.pages, self.directory) }
    }
}

impl Series {
    fn new(direction: bool) -> Self {
        let levels = Default::default();
        Self { direction, pending: None, received: i64::MIN, readings: 0, levels }
    }

    fn settle(&mut self, (taken, cell): (i64, Cell), readings_min: usize) {
        self.readings += 1;
        for (level, kept) in Level::ALL.into_iter().zip(&mut self.levels) {
            if kept.given_up {
                continue;
            }
            match kept.states.last_mut().filter(|_| taken <= kept.end) {
                Some(state) => state.add(taken, cell, self.direction),
                None => {
                    let pays = readings_min.saturating_mul(kept.states.len()) <= self.readings;
                    if STATES_TO_TELL <= kept.states.len() && !pays {
                        *kept = Levelled { given_up: true, ..Levelled::default() };
                        continue;
                    }
                    kept.end = level.interval(taken).1;
                    kept.states.push(State::of(taken, cell, self.direction));
                }
            }
        }
    }

    fn end(&mut self, place: usize, readings_min: usize, page: &mut Vec<u8>) {
        if let Some(last) = self.pending.take() {
            self.settle(last, readings_min);
        }
        let (received, readings) = (self.received, self.readings);
        for (level, kept) in Level::ALL.into_iter().zip(&mut self.levels) {
            let states = std::mem::take(kept).states;
            let pays = !states.is_empty() && readings_min.saturating_mul(states.len()) <= readings;
            if !pays || !states.iter().all(State::is_tame) {
                continue;
            }
            let block = Block { direction: self.direction, received, states };
            let Some(bytes) = block.encode() else { continue };
            put_varint(page, place as u64);
            page.push(level.number());
            put_varint(page, bytes.len() as u64);
            page.extend(bytes);
        }
        *self = Self::new(self.direction);
    }
}

/// Which parameters are directions is the registry's to say. What is kept for the standard ones answers as the standard
/// says; where the registry says otherwise, or has directions of its own, the readings are asked.
fn is_direction(code: &ParameterCode) -> bool {
    static DIRECTIONS: OnceLock<Vec<ParameterCode>> = OnceLock::new();
    let directions = DIRECTIONS.get_or_init(|| {
        let all = standard_parameters().into_iter();
        all.filter(|p| p.aggregation == Aggregation::Direction).map(|p| p.code).collect()
    });
    directions.contains(code)
}
