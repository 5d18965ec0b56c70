//! What is counted. The labels `line` and `station` are names of the configuration; the others come from closed lists.

use domain::StationCode;
use metrics::{Gauge, counter, gauge};

use crate::line::Told;

/// Handles of what is counted for a line.
#[derive(Clone)]
pub(super) struct Counters {
    name: String,
    open: Gauge,
}

impl Counters {
    pub(super) fn new(name: &str) -> Self {
        let open = gauge!("saltline_serial_line_open", "line" => name.to_owned());
        Self { name: name.to_owned(), open }
    }

    /// What became of a line of text.
    pub(super) fn line(&self, outcome: &'static str) {
        let line = self.name.clone();
        counter!("saltline_serial_lines_total", "line" => line, "outcome" => outcome).increment(1);
    }

    /// What became of a turn of a logger that is asked.
    pub(super) fn poll(&self, station: &StationCode, outcome: &'static str, count: u32) {
        let station = station.to_string();
        counter!("saltline_serial_polls_total", "station" => station, "outcome" => outcome)
            .increment(count.into());
    }
}

impl Told for Counters {
    fn opened(&self, outcome: &'static str) {
        let line = self.name.clone();
        counter!("saltline_serial_opens_total", "line" => line, "outcome" => outcome).increment(1);
    }

    fn is_open(&self, open: bool) {
        self.open.set(f64::from(u8::from(open)));
    }
}
