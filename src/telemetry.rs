//! Logs to stderr (JSON when it is not a terminal) and metrics for Prometheus.

use std::io::IsTerminal;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// Buckets of durations, seconds: from an idle disk's sync (0.2 ms) to a station's patience (10 s).
const SECONDS: &[f64] = &[
    0.000_25, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0,
];

/// Buckets of counts: from one record a sync to the largest group.
const COUNTS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 500.0, 1_000.0, 5_000.0];

/// Starts logging at this level (or filter). A second call does nothing.
pub fn log(level: &str) {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let set = if std::io::stderr().is_terminal() {
        lines.compact().try_init()
    } else {
        lines.json().flatten_event(true).try_init()
    };
    // Only a test in the same process can have been first, and then its choice stands.
    drop(set);
}

/// Starts counting. The handle renders `/metrics`.
///
/// # Errors
/// The reason, in words, where a recorder is installed already.
pub fn count() -> Result<PrometheusHandle, String> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)
        .and_then(|b| b.set_buckets_for_metric(Matcher::Suffix("_records".to_owned()), COUNTS))
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| error.to_string())
}
