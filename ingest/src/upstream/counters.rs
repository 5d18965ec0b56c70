//! What is counted. The label `upstream` is a name of the configuration; the others come from closed lists here.

use metrics::{Counter, Gauge, counter, gauge};

/// Handles of what is counted for each message of one upstream.
#[derive(Clone)]
pub(super) struct Counters {
    name: String,
    /// Workers that are connected and subscribed.
    pub(super) connected: Gauge,
    pub(super) stored: Counter,
    pub(super) partly: Counter,
    pub(super) refused: Counter,
    pub(super) nothing: Counter,
    pub(super) acknowledged: Counter,
}

impl Counters {
    pub(super) fn new(name: &str) -> Self {
        let fate = |fate| counter!("saltline_upstream_messages_total", "upstream" => name.to_owned(), "fate" => fate);
        Self {
            connected: gauge!("saltline_upstream_connected", "upstream" => name.to_owned()),
            stored: fate("stored"),
            partly: fate("partly"),
            refused: fate("refused"),
            nothing: fate("nothing"),
            acknowledged: counter!("saltline_upstream_acknowledged_total", "upstream" => name.to_owned()),
            name: name.to_owned(),
        }
    }

    /// A try to connect ended; the outcome is a label of `Lost`, or `welcome`.
    pub(super) fn connect(&self, outcome: &'static str) {
        let upstream = self.name.clone();
        counter!("saltline_upstream_connects_total", "upstream" => upstream, "outcome" => outcome)
            .increment(1);
    }

    /// A connection that stood was lost.
    pub(super) fn lost(&self, reason: &'static str) {
        let upstream = self.name.clone();
        counter!("saltline_upstream_lost_total", "upstream" => upstream, "reason" => reason)
            .increment(1);
    }
}
