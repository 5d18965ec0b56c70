//! What is counted. The labels `line` and `station` are names of the configuration; the others come from closed lists.

use domain::StationCode;
use metrics::{Counter, Gauge, counter, gauge};

use crate::line::Told;

/// Handles of what is counted for a bus.
#[derive(Clone)]
pub(super) struct Counters {
    name: String,
    open: Gauge,
    /// Lines that nobody waited for.
    pub(super) strays: Counter,
}

impl Counters {
    pub(super) fn new(name: &str) -> Self {
        Self {
            open: gauge!("saltline_sdi12_line_open", "line" => name.to_owned()),
            strays: counter!("saltline_sdi12_strays_total", "line" => name.to_owned()),
            name: name.to_owned(),
        }
    }

    /// A command is said once more.
    pub(super) fn retry(&self, why: &'static str) {
        let line = self.name.clone();
        counter!("saltline_sdi12_retries_total", "line" => line, "why" => why).increment(1);
    }

    /// What became of a turn of a sensor.
    pub(super) fn poll(&self, station: &StationCode, outcome: &'static str, count: u32) {
        let station = station.to_string();
        counter!("saltline_sdi12_polls_total", "station" => station, "outcome" => outcome)
            .increment(count.into());
    }

    /// A sensor did not say that it was ready when its time was over.
    pub(super) fn unserved(&self, station: &StationCode) {
        let station = station.to_string();
        counter!("saltline_sdi12_unserved_total", "station" => station).increment(1);
    }
}

impl Told for Counters {
    fn opened(&self, outcome: &'static str) {
        let line = self.name.clone();
        counter!("saltline_sdi12_opens_total", "line" => line, "outcome" => outcome).increment(1);
    }

    fn is_open(&self, open: bool) {
        self.open.set(f64::from(u8::from(open)));
    }
}
