//! A probe that hangs in the air at low water: it measures next to nothing, and next to nothing looks like the
//! freshest water of the year. The level at the same time says whether it can have been wet.

use domain::Flag;
use serde::{Deserialize, Serialize};

use super::Witness;

/// Where a probe hangs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exposure {
    /// Height of the probe in m above the station's datum, as the water level.
    pub probe_m: f64,
    /// Water in m that must stand above it: waves, and the error of the level.
    pub margin_m: f64,
}

impl Exposure {
    /// The flag of what a probe below the water measures: 4 where the level is at or below the probe, 3 within the
    /// margin above it, 2 where the level cannot be heard.
    #[must_use]
    pub fn judge(&self, level: Witness) -> Flag {
        match level.heard() {
            None => Flag::NotEvaluated,
            Some(level) if level <= self.probe_m => Flag::Bad,
            Some(level) if level < self.probe_m + self.margin_m => Flag::Suspect,
            Some(_) => Flag::Good,
        }
    }
}
