//! Bytes to reports. One file a format; nothing is believed yet.

pub mod json; // the report of docs/wire.md

/// Reports that one packet may hold: a day of a station that reports every 5 minutes, sent at once after an outage.
pub const REPORTS_MAX: usize = 288;

/// Values that one report may hold: the standard parameters are 26; a logger with several sondes has some of each.
pub const VALUES_MAX: usize = 128;
