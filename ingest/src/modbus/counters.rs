//! What is counted. The labels `line` and `station` are names of the configuration; the others come from closed lists.

use std::time::Duration;

use domain::StationCode;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::line::Told;

/// Handles of what is counted for a line.
#[derive(Clone)]
pub(super) struct LineCounters {
    name: String,
    open: Gauge,
    /// Frames and bytes that nobody asked for.
    pub(super) strays: Counter,
}

impl LineCounters {
    pub(super) fn new(name: &str) -> Self {
        Self {
            open: gauge!("saltline_modbus_line_open", "line" => name.to_owned()),
            strays: counter!("saltline_modbus_strays_total", "line" => name.to_owned()),
            name: name.to_owned(),
        }
    }
}

impl Told for LineCounters {
    fn opened(&self, outcome: &'static str) {
        let line = self.name.clone();
        counter!("saltline_modbus_opens_total", "line" => line, "outcome" => outcome).increment(1);
    }

    fn is_open(&self, open: bool) {
        self.open.set(f64::from(u8::from(open)));
    }
}

/// Handles of what is counted for a slave.
#[derive(Clone)]
pub(super) struct SlaveCounters {
    station: StationCode,
    answered: Counter,
    late: Histogram,
    took: Histogram,
}

impl SlaveCounters {
    pub(super) fn new(station: &StationCode) -> Self {
        let label = station.to_string();
        Self {
            answered: counter!("saltline_modbus_polls_total", "station" => label, "outcome" => "answered"),
            late: histogram!("saltline_modbus_late_seconds"),
            took: histogram!("saltline_modbus_poll_seconds"),
            station: station.clone(),
        }
    }

    /// A whole poll is on disk.
    pub(super) fn durable(&self) {
        self.answered.increment(1);
    }

    /// What became of a turn that brought no whole poll: a label of `Fault`, or why nobody asked.
    pub(super) fn poll(&self, outcome: &'static str) {
        self.add(outcome, 1);
    }

    /// Turns that were over before they could be taken.
    pub(super) fn missed(&self, turns: u32) {
        if 0 < turns {
            self.add("missed", turns.into());
        }
    }

    fn add(&self, outcome: &'static str, count: u64) {
        let station = self.station.to_string();
        counter!("saltline_modbus_polls_total", "station" => station, "outcome" => outcome)
            .increment(count);
    }

    /// A poll began so late after its turn.
    pub(super) fn late(&self, by: Duration) {
        self.late.record(by.as_secs_f64());
    }

    /// A poll took so long.
    pub(super) fn took(&self, long: Duration) {
        self.took.record(long.as_secs_f64());
    }
}
