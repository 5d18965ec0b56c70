//! What the door counts. Labels come from closed lists in the code that counts.

use metrics::{Counter, Gauge, counter, gauge};

/// Handles of the counters on the path of every message; the rest are looked up where they are counted. The metrics
/// recorder has to stand before the door is bound.
#[derive(Clone)]
pub(super) struct Counters {
    pub(super) connections: Gauge,
    pub(super) sessions: Gauge,
    pub(super) retained: Gauge,
    pub(super) publishes: [Counter; 3],
    pub(super) bytes_in: Counter,
    pub(super) bytes_out: Counter,
}

impl Counters {
    pub(super) fn new() -> Self {
        Self {
            connections: gauge!("saltline_mqtt_connections"),
            sessions: gauge!("saltline_mqtt_sessions"),
            retained: gauge!("saltline_mqtt_retained"),
            publishes: [
                counter!("saltline_mqtt_publishes_total", "qos" => "0"),
                counter!("saltline_mqtt_publishes_total", "qos" => "1"),
                counter!("saltline_mqtt_publishes_total", "qos" => "2"),
            ],
            bytes_in: counter!("saltline_mqtt_bytes_total", "direction" => "in"),
            bytes_out: counter!("saltline_mqtt_bytes_total", "direction" => "out"),
        }
    }
}

/// How a try to connect ended.
pub(super) fn connected(outcome: &'static str) {
    counter!("saltline_mqtt_connects_total", "outcome" => outcome).increment(1);
}

/// A packet or a part of one was refused.
pub(super) fn refused(reason: &'static str) {
    counter!("saltline_mqtt_refused_total", "reason" => reason).increment(1);
}

/// A message was not delivered or not kept.
pub(super) fn dropped(reason: &'static str) {
    counter!("saltline_mqtt_dropped_total", "reason" => reason).increment(1);
}

/// A connection ended.
pub(super) fn closed(reason: &'static str) {
    counter!("saltline_mqtt_closed_total", "reason" => reason).increment(1);
}

/// A client publishes above its rate and is read more slowly from here on.
pub(super) fn slowed() {
    counter!("saltline_mqtt_slowed_total").increment(1);
}

/// Somebody proved again who they are, or failed to.
pub(super) fn authenticated(outcome: &'static str) {
    counter!("saltline_mqtt_reauthentications_total", "outcome" => outcome).increment(1);
}
