//! An entry of a list: keys that are read one by one, each with what holds where it is not said. Lines of all kinds are such.

use std::path::Path;
use std::time::Duration;

use ingest::line::{OfText, Parity, Place, ProfileError, Serial, Shelf};
use toml::{Table, Value};

use super::config::duration;
use super::{Layers, SettingsError};

/// One entry as it was typed.
pub(super) struct Entry<'a> {
    pub(super) origin: &'a str,
    pub(super) key: String,
    pub(super) typed: &'a Table,
    pub(super) usual: &'a Table,
}

/// The profiles that are shipped, and over them those of the folder that `key` names.
pub(super) fn shelf<P: OfText>(
    layers: &Layers,
    key: &str,
    shipped: Result<Shelf<P>, ProfileError>,
) -> Result<Shelf<P>, SettingsError> {
    let (origin, folder) = layers.get(key);
    let wrong = |error: &dyn std::error::Error| {
        let why = error.source().map(|why| format!(": {why}")).unwrap_or_default();
        bad(origin, key.to_owned(), folder, &format!("{error}{why}"))
    };
    let mut shelf = shipped.map_err(|error| wrong(&error))?;
    if let Some(path) = folder.as_str().filter(|path| !path.is_empty()) {
        shelf.add_folder(Path::new(path)).map_err(|error| wrong(&error))?;
    }
    Ok(shelf)
}

/// The entry as a table.
pub(super) fn table<'a>(
    origin: &str,
    key: &str,
    entry: &'a Value,
    wanted: &str,
) -> Result<&'a Table, SettingsError> {
    entry.as_table().ok_or_else(|| bad(origin, key.to_owned(), entry, wanted))
}

pub(super) fn bad(origin: &str, key: String, found: &Value, wanted: &str) -> SettingsError {
    SettingsError::BadValue {
        origin: origin.to_owned(),
        key,
        found: format!("`{found}`"),
        wanted: wanted.to_owned(),
    }
}

impl Entry<'_> {
    pub(super) fn name(&self) -> Result<String, SettingsError> {
        let name = self.text("name");
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || 32 < name.len() || !name.chars().all(fits) {
            return Err(self.bad("name", "use 1 to 32 of a-z, 0-9 and -"));
        }
        Ok(name.to_owned())
    }

    pub(super) fn place(&self) -> Result<Place, SettingsError> {
        Place::parse(self.text("url")).map_err(|error| self.bad("url", &error.to_string()))
    }

    pub(super) fn serial(&self) -> Result<Serial, SettingsError> {
        let whole = |key| self.value(key).as_integer();
        let baud = whole("baud").and_then(|baud| u32::try_from(baud).ok());
        let baud = baud.filter(|baud| (300..=4_000_000).contains(baud));
        let stop_bits = whole("stop_bits").and_then(|bits| u8::try_from(bits).ok());
        // Modbus has no other characters than those of eight bits, and no key for them.
        let data_bits =
            if self.usual.contains_key("data_bits") { whole("data_bits") } else { Some(8) };
        let data_bits = data_bits.and_then(|bits| u8::try_from(bits).ok());
        Ok(Serial {
            baud: baud.ok_or_else(|| self.bad("baud", "write 300 to 4000000"))?,
            data_bits: data_bits
                .filter(|bits| matches!(bits, 7 | 8))
                .ok_or_else(|| self.bad("data_bits", "write 7 or 8"))?,
            parity: Parity::parse(self.text("parity"))
                .ok_or_else(|| self.bad("parity", "write none, even or odd"))?,
            stop_bits: stop_bits
                .filter(|bits| matches!(bits, 1 | 2))
                .ok_or_else(|| self.bad("stop_bits", "write 1 or 2"))?,
        })
    }

    pub(super) fn value(&self, key: &str) -> &Value {
        let usual = || self.usual.get(key).expect("every key that is asked for is usual");
        self.typed.get(key).unwrap_or_else(usual)
    }

    pub(super) fn text(&self, key: &str) -> &str {
        self.value(key).as_str().unwrap_or_default()
    }

    pub(super) fn duration(&self, key: &str) -> Result<Duration, SettingsError> {
        duration(self.text(key)).map_err(|wanted| self.bad(key, wanted))
    }

    /// A duration, or nothing where the text is empty.
    pub(super) fn perhaps(&self, key: &str) -> Result<Option<Duration>, SettingsError> {
        Some(self.text(key)).filter(|text| !text.is_empty()).map(|_| self.duration(key)).transpose()
    }

    pub(super) fn bad(&self, key: &str, wanted: &str) -> SettingsError {
        bad(self.origin, format!("{}.{key}", self.key), self.value(key), wanted)
    }
}
