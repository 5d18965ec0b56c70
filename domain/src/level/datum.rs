//! A level is a height above a zero. A staff's zero is where somebody nailed it, so a level of one staff and a level of
//! another may be compared only where both zeros stand on one datum.

use crate::Range;

/// A zero of heights, and how high a station's own zero lies above it.
#[derive(Debug, Clone, PartialEq)]
pub struct Datum {
    /// Its name, as `Hòn Dấu` (the national height system) or `station`.
    pub name: String,
    /// How high the station's zero lies above it, m; negative below.
    pub station_zero_m: f64,
}

/// A water level above a named datum.
#[derive(Debug, Clone, PartialEq)]
pub struct Height {
    /// Metres above the datum.
    pub level_m: f64,
    /// The datum's name.
    pub datum: String,
}

/// Heights of water that an estuary can have, m, with room for a datum at the bottom of a well.
const HEIGHT_M: Range = Range { low: -50.0, high: 50.0 };

impl Datum {
    /// A level above the station's own zero, as a level above this datum. `None` for what is no number or beyond ±50 m.
    #[must_use]
    pub fn above(&self, level_m: f64) -> Option<Height> {
        let level_m = Some(level_m + self.station_zero_m).filter(|&m| HEIGHT_M.holds(m))?;
        Some(Height { level_m, datum: self.name.clone() })
    }
}

/// How much higher the water stands outside of a gate than inside, m: positive when it would flow in. `None` where the two
/// are not above one datum.
#[must_use]
pub fn head_difference(outside: &Height, inside: &Height) -> Option<f64> {
    (outside.datum == inside.datum).then_some(outside.level_m - inside.level_m)
}
