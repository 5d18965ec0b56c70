//! What a device's registers mean, as data: one TOML file a device, with the public document that it was read from.
//! `docs/wire.md` explains every key.

mod read; // from text
mod shelf; // the profiles there are
#[cfg(test)]
mod tests;

pub use shelf::Profiles;

use domain::Status;
pub use domain::raw::Absent;
use domain::raw::{Kind, Order};

use super::plan::plan;
use super::wire::{Block, Function};

/// A device.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Its name: that of its file without `.toml`.
    pub name: String,
    /// The device as people call it.
    pub device: String,
    /// The public document that the registers were taken from, with its edition.
    pub source: String,
    /// Registers nobody wants that may be read to save a question.
    pub gap: u16,
    /// Registers of one question.
    pub most: u16,
    /// What it measures.
    pub values: Vec<Value>,
    /// What it says of its sensors.
    pub statuses: Vec<StatusWord>,
    /// What may be written, where the configuration allows writing at all.
    pub writes: Vec<Write>,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// Its name in reports; the parameter unless the station's own profile is to map it.
    pub name: String,
    /// Which table.
    pub function: Function,
    /// The first register, counted from 0 as on the wire.
    pub register: u16,
    /// What it is made of.
    pub kind: Kind,
    /// Where a bit of a register is the value: which, 0 the least.
    pub bit: Option<u8>,
    /// How its words and bytes lie.
    pub order: Order,
    /// `value = scale · raw + offset`
    pub scale: f64,
    /// Added after scaling, in the unit.
    pub offset: f64,
    /// The unit after scaling.
    pub unit: String,
    /// Raw numbers that mean "there is none".
    pub absent: Vec<Absent>,
}

/// A register whose bits, or whose number, tell how sensors are.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusWord {
    /// Which table.
    pub function: Function,
    /// Which register.
    pub register: u16,
    /// How its bytes lie.
    pub order: Order,
    /// What its bits mean; the worst that is set holds.
    pub bits: Vec<(u8, Status)>,
    /// What its number means, where it is a number and not bits.
    pub numbers: Vec<(u16, Status)>,
    /// The names of the values that it speaks of; all where it names none.
    pub of: Vec<String>,
}

/// Something that may be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// What commands call it.
    pub name: String,
    /// The first holding register, or the coil where the kind is a bit.
    pub register: u16,
    /// What it is made of.
    pub kind: Kind,
    /// How its words and bytes lie.
    pub order: Order,
    /// `written = (value − offset) / scale`
    pub scale: f64,
    /// See `scale`.
    pub offset: f64,
    /// The unit of the value that a person gives.
    pub unit: String,
    /// The least that may be written, in that unit.
    pub low: f64,
    /// The most.
    pub high: f64,
}

impl Value {
    /// The registers that it takes.
    #[must_use]
    pub const fn block(&self) -> Block {
        Block { function: self.function, first: self.register, count: self.kind.width() }
    }
}

impl StatusWord {
    /// The register that it is.
    #[must_use]
    pub const fn block(&self) -> Block {
        Block { function: self.function, first: self.register, count: 1 }
    }

    /// Does it speak of this value?
    #[must_use]
    pub fn is_of(&self, name: &str) -> bool {
        self.of.is_empty() || self.of.iter().any(|of| of == name)
    }

    /// What it says.
    #[must_use]
    pub fn says(&self, word: u16) -> Status {
        let bit = |(bit, status): &(u8, Status)| (word >> bit & 1 == 1).then_some(*status);
        let number = |(number, status): &(u16, Status)| (*number == word).then_some(*status);
        let said = self.bits.iter().filter_map(bit).chain(self.numbers.iter().filter_map(number));
        said.fold(Status::Measuring, worse)
    }
}

/// The worse of two: a fault, then calibration.
#[must_use]
pub const fn worse(one: Status, other: Status) -> Status {
    match (one, other) {
        (Status::Fault, _) | (_, Status::Fault) => Status::Fault,
        (Status::Calibrating, _) | (_, Status::Calibrating) => Status::Calibrating,
        (Status::Measuring, Status::Measuring) => Status::Measuring,
    }
}

impl Profile {
    /// The questions of one poll, the fewest there can be.
    #[must_use]
    pub fn plan(&self) -> Vec<Block> {
        let values = self.values.iter().map(Value::block);
        let wanted: Vec<Block> =
            values.chain(self.statuses.iter().map(StatusWord::block)).collect();
        plan(&wanted, self.gap, self.most)
    }

    /// The parameters and fields that its reports name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|value| value.name.as_str())
    }
}
