//! The words of the sentinel: what it is told of a sonde, and what it answers.

use std::fmt;

use domain::{Flag, ParameterCode, Timestamp};
use serde::{Deserialize, Serialize};

/// What kind of thing a sensor feels: what a fault of it can look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sense {
    /// Conductivity, or the salinity computed of it: what grows in the cell makes it read low, a cleaning makes it jump up.
    Salt,
    /// Water above the sensor: tells at which depth the whole sonde hangs.
    Level,
    /// Temperature: fouls hardly ever, so a jump of it is a front of other water.
    Temperature,
    /// Any other: pH, oxygen, turbidity.
    Other,
}

/// One sensor of a sonde.
#[derive(Debug, Clone, PartialEq)]
pub struct Sensor {
    /// What it measures.
    pub parameter: ParameterCode,
    /// What it feels.
    pub sense: Sense,
    /// The smallest difference that it shows, in the parameter's unit.
    pub resolution: f64,
}

/// Why a reading is not good: a closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reason {
    /// Not a number, or infinite.
    NotANumber,
    /// Older than what was judged before: the sentinel walks with time and does not go back.
    Late,
    /// Below zero where nothing can be.
    BelowZero,
    /// The same value for longer than this water ever stood still.
    Stuck,
    /// The thermometer beside the cell is out of order, and without it a conductivity is no salinity.
    BadTemperature,
    /// Flickers between two levels that no water has in common.
    Flicker,
    /// It jumped back when the sonde was serviced: it had drifted or fouled before.
    Drift,
    /// It jumped away at one visit and back at the next: a wrong calibration between.
    Offset,
    /// The whole sonde hung at another depth.
    WrongDepth,
    /// It does not answer to the tide as this cell does when it is clean.
    Fouled,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 10] = [
        Self::NotANumber,
        Self::Late,
        Self::BelowZero,
        Self::Stuck,
        Self::BadTemperature,
        Self::Flicker,
        Self::Drift,
        Self::Offset,
        Self::WrongDepth,
        Self::Fouled,
    ];

    /// The reason in one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotANumber => "not-a-number",
            Self::Late => "late",
            Self::BelowZero => "below-zero",
            Self::Stuck => "stuck",
            Self::BadTemperature => "bad-temperature",
            Self::Flicker => "flicker",
            Self::Drift => "drift",
            Self::Offset => "offset",
            Self::WrongDepth => "wrong-depth",
            Self::Fouled => "fouled",
        }
    }

    /// The flag that it gives: bad where no water can be so, otherwise suspect. A late reading was not evaluated.
    #[must_use]
    pub const fn flag(self) -> Flag {
        match self {
            Self::NotANumber | Self::BelowZero => Flag::Bad,
            Self::Late => Flag::NotEvaluated,
            _ => Flag::Suspect,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the sentinel thinks of one value at the moment at which it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Good, suspect, bad; missing where there was no value; not evaluated where it came too late.
    pub flag: Flag,
    /// Why, where it is not good.
    pub reason: Option<Reason>,
}

impl Mark {
    /// Nothing speaks against it.
    pub const GOOD: Self = Self { flag: Flag::Good, reason: None };
    /// There was no value.
    pub const MISSING: Self = Self { flag: Flag::Missing, reason: None };

    /// The mark that a reason gives.
    #[must_use]
    pub const fn because(reason: Reason) -> Self {
        Self { flag: reason.flag(), reason: Some(reason) }
    }
}

/// Readings judged anew, because what came later showed what they were: those of a range have at least this flag.
#[derive(Debug, Clone, PartialEq)]
pub struct Revision {
    /// Of what.
    pub parameter: ParameterCode,
    /// First instant, included.
    pub from: Timestamp,
    /// Last instant, not included.
    pub to: Timestamp,
    /// Why.
    pub reason: Reason,
}
