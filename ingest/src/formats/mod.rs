//! Bytes to reports. One file a format; nothing is believed yet.

pub mod json; // the report of docs/wire.md

use domain::{Refusal, Report};

/// Reports that one packet may hold: a day of a station that reports every 5 minutes, sent at once after an outage.
pub const REPORTS_MAX: usize = 288;

/// Values that one report may hold: the standard parameters are 26; a logger with several sondes has some of each.
pub const VALUES_MAX: usize = 128;

/// What the bytes of one station can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The report of `docs/wire.md`.
    Json,
}

impl Format {
    /// The name of a configuration.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// The names there are.
    pub const NAMES: &'static str = "json";

    /// Reads the reports of one packet.
    ///
    /// # Errors
    /// A [`Refusal`] of the whole packet.
    pub fn decode(self, payload: &[u8]) -> Result<Vec<Report<'_>>, Refusal> {
        match self {
            Self::Json => json::decode(payload),
        }
    }
}
