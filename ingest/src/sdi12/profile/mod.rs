//! What a sensor's values mean, as data: one TOML file a sensor, with the public document that it was read from.
//! `docs/wire.md` explains every key.

mod read; // from text
mod shelf; // the profiles there are
#[cfg(test)]
mod tests;

pub use shelf::Profiles;

use std::fmt;

use domain::Status;

use super::answer::Address;

/// A sensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Its name: that of its file without `.toml`.
    pub name: String,
    /// The sensor as people call it.
    pub device: String,
    /// The public document that this was taken from, with its edition.
    pub source: String,
    /// How the maker's name begins in its identity; not looked at where it is empty.
    pub vendor: String,
    /// How the model's name begins.
    pub model: String,
    /// Are values asked for with a CRC? Every sensor of version 1.3 and above has it.
    pub crc: bool,
    /// What is measured, in this order.
    pub measures: Vec<Measure>,
}

/// A measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// How it is begun.
    pub command: Command,
    /// So many values it has.
    pub count: usize,
    /// A value that says how the sensor is.
    pub status: Option<StatusValue>,
    /// Those that are taken.
    pub values: Vec<Value>,
}

/// How a measurement is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// `aM!` to `aM9!`: the bus waits for it.
    Measure(u8),
    /// `aC!` to `aC9!`: others are asked meanwhile.
    Concurrent(u8),
    /// `aR0!` to `aR9!`: the values come at once.
    Read(u8),
}

/// A value that says how the sensor is.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusValue {
    /// Which, counted from 1.
    pub at: usize,
    /// What it is when the sensor measures; another number is a fault.
    pub measuring: Vec<f64>,
    /// What it is when the sensor is being calibrated.
    pub calibrating: Vec<f64>,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// Its name in reports; the parameter unless the station's own profile is to map it.
    pub name: String,
    /// Which of the measurement's values, counted from 1.
    pub at: usize,
    /// `value = scale · number + offset`
    pub scale: f64,
    /// Added after scaling, in the unit.
    pub offset: f64,
    /// The unit after scaling.
    pub unit: String,
    /// Numbers that mean "there is none".
    pub absent: Vec<f64>,
}

impl Command {
    /// The command of this text: `M`, `M1`, `C`, `R0`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, number) = text.split_at_checked(1)?;
        let number = match (number.as_bytes(), kind) {
            ([], "M" | "C") => 0,
            ([digit @ b'1'..=b'9'], _) | ([digit @ b'0'], "R") => digit - b'0',
            _ => return None,
        };
        match kind {
            "M" => Some(Self::Measure(number)),
            "C" => Some(Self::Concurrent(number)),
            "R" => Some(Self::Read(number)),
            _ => None,
        }
    }

    /// The command as it is sent.
    #[must_use]
    pub fn text(self, address: Address, crc: bool) -> String {
        let crc = if crc { "C" } else { "" };
        match self {
            Self::Measure(0) => format!("{address}M{crc}!"),
            Self::Measure(number) => format!("{address}M{crc}{number}!"),
            Self::Concurrent(0) => format!("{address}C{crc}!"),
            Self::Concurrent(number) => format!("{address}C{crc}{number}!"),
            Self::Read(number) => format!("{address}R{crc}{number}!"),
        }
    }
}

/// As a profile writes it.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Measure(0) => f.write_str("M"),
            Self::Measure(number) => write!(f, "M{number}"),
            Self::Concurrent(0) => f.write_str("C"),
            Self::Concurrent(number) => write!(f, "C{number}"),
            Self::Read(number) => write!(f, "R{number}"),
        }
    }
}

impl StatusValue {
    /// What this number says.
    #[must_use]
    pub fn says(&self, number: f64) -> Status {
        let is = |of: &[f64]| of.iter().any(|one| one.to_bits() == number.to_bits());
        match () {
            () if is(&self.measuring) => Status::Measuring,
            () if is(&self.calibrating) => Status::Calibrating,
            () => Status::Fault,
        }
    }
}

impl Profile {
    /// The parameters and fields that its reports name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let values = self.measures.iter().flat_map(|measure| &measure.values);
        values.map(|value| value.name.as_str())
    }
}
