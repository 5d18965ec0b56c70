//! How a device's lines are to be read, as data: one TOML file a device, with the public document that it was read from.
//! `docs/wire.md` explains every key.

mod read; // from text
mod shelf; // the profiles there are
#[cfg(test)]
mod tests;

pub use shelf::Profiles;

pub use super::check::{Check, Form, Kind};

/// A device.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Its name: that of its file without `.toml`.
    pub name: String,
    /// The device as people call it.
    pub device: String,
    /// The public document that this was taken from, with its edition.
    pub source: String,
    /// The character that a line begins with, where it has one that stands nowhere else in it.
    pub begins: Option<u8>,
    /// What ends a line.
    pub ends: Vec<u8>,
    /// A longer line is none.
    pub bytes_max: usize,
    /// What stands behind a line to prove it.
    pub check: Option<Check>,
    /// What stands between words; of blanks several count as one.
    pub separator: char,
    /// Have numbers a decimal comma?
    pub decimal_comma: bool,
    /// Words that mean "there is none", beside the empty one.
    pub absent: Vec<String>,
    /// Beginnings of lines that say nothing of the water.
    pub skip: Vec<String>,
    /// How it is asked, where it does not stream.
    pub poll: Option<Poll>,
    /// The lines that it writes.
    pub sentences: Vec<Sentence>,
}

/// How a device is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poll {
    /// The command; `{address}` stands for the logger's address.
    pub ask: String,
    /// What is said when the lines are on disk, so that the device may go on to its next record; nothing where empty.
    pub took: String,
    /// Lines of an answer.
    pub lines: usize,
}

/// A line.
#[derive(Debug, Clone, PartialEq)]
pub struct Sentence {
    /// Its first word: `?` stands for any character, `{address}` for the logger's address. Any where it is empty.
    pub begins: String,
    /// How many words it has, the first counted; any number where it is not said.
    pub words: Option<usize>,
    /// Behind the first word they come in groups of so many.
    pub group: Option<usize>,
    /// A word that says how the sensors are.
    pub status: Option<StatusWord>,
    /// When it was measured, by the device's clock.
    pub time: Option<Time>,
    /// What it measures.
    pub values: Vec<Value>,
}

/// A word that says how the sensors are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusWord {
    /// Which, counted from 0.
    pub word: usize,
    /// What it says when the sensors measure; another word is a fault. Any where it is empty.
    pub measuring: Vec<String>,
    /// What it says when they are being calibrated.
    pub calibrating: Vec<String>,
    /// What it says when they are in error.
    pub fault: Vec<String>,
}

/// When a line was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Time {
    /// The words that say it, laid together with a blank between.
    pub words: Vec<usize>,
    /// How they say it, in the letters of strftime.
    pub format: String,
    /// Seconds that the device's clock is ahead of UTC.
    pub offset_s: i32,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// Its name in reports; the parameter unless the station's own profile is to map it.
    pub name: String,
    /// Where it stands.
    pub at: At,
    /// It is taken only where these words (of its group, where there are groups) say this.
    pub when: Vec<(usize, String)>,
    /// The unit after scaling, where nothing of the line says it.
    pub unit: String,
    /// The word (of its group) that says the unit.
    pub unit_word: Option<usize>,
    /// What the line calls units. Without `unit_word` it is the end of the value's own word.
    pub units: Vec<(String, String)>,
    /// `value = scale · number + offset`
    pub scale: f64,
    /// Added after scaling, in the unit.
    pub offset: f64,
    /// Ends of the value's word that say that it is worth nothing.
    pub invalid: Vec<String>,
    /// Numbers that mean "there is none".
    pub absent: Vec<String>,
}

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// This word, counted from 0; in a group counted from its first.
    Word(usize),
    /// Behind this name, as `Dm=236D`.
    Key(String),
}

impl Profile {
    /// Does it stream?
    #[must_use]
    pub const fn streams(&self) -> bool {
        self.poll.is_none()
    }

    /// Has a line something that shows where it begins, or that nothing of it is missing?
    #[must_use]
    pub const fn shows_its_beginning(&self) -> bool {
        self.begins.is_some() || self.check.is_some()
    }

    /// The parameters and fields that its reports name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let values = self.sentences.iter().flat_map(|sentence| &sentence.values);
        values.map(|value| value.name.as_str())
    }
}
