//! An entry of a list: keys that are read one by one, each with what holds where it is not said. Lines of all kinds are such,
//! folders that are watched, brokers that we take from and departments that get files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ingest::line::{OfText, Parity, Place, ProfileError, Serial, Shelf};
use toml::{Table, Value};

use super::config::duration;
use super::layers::check_keys;
use super::{Layers, SettingsError};

/// One entry as it was typed.
pub(super) struct Entry<'a> {
    origin: &'a str,
    key: String,
    typed: &'a Table,
    usual: &'a Table,
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

/// Reads every entry of the layer that set the list last. `usual` is every key of an entry, with what holds where it is not
/// said; `read` is given an entry and what was read of those before it.
pub(super) fn entries<T>(
    layers: &Layers,
    key: &str,
    usual: &str,
    read: impl FnMut(&Entry<'_>, &[T]) -> Result<T, SettingsError>,
) -> Result<Vec<T>, SettingsError> {
    let (origin, list) = layers.get(key);
    let wanted = format!("write [[{key}]] and its keys below it");
    each((origin, key), list, usual, &wanted, read)
}

fn each<T>(
    (origin, key): (&str, &str),
    list: &Value,
    usual: &str,
    wanted: &str,
    mut read: impl FnMut(&Entry<'_>, &[T]) -> Result<T, SettingsError>,
) -> Result<Vec<T>, SettingsError> {
    let usual: Table = usual.parse().expect("a fixed text that the tests read");
    let mut all = Vec::new();
    for (at, entry) in list.as_array().into_iter().flatten().enumerate() {
        let key = format!("{key}[{at}]");
        let Some(typed) = entry.as_table() else { return Err(bad(origin, key, entry, wanted)) };
        check_keys(origin, &key, typed, &usual)?;
        all.push(read(&Entry { origin, key, typed, usual: &usual }, &all)?);
    }
    Ok(all)
}

/// Is the list under this key empty?
pub(super) fn is_empty(layers: &Layers, key: &str) -> bool {
    layers.get(key).1.as_array().is_none_or(Vec::is_empty)
}

fn bad(origin: &str, key: String, found: &Value, wanted: &str) -> SettingsError {
    SettingsError::BadValue {
        origin: origin.to_owned(),
        key,
        found: match found {
            // Somebody may have written a password into it.
            Value::String(url) if url.contains("://") && url.contains('@') => {
                "not shown".to_owned()
            }
            found => format!("`{found}`"),
        },
        wanted: wanted.to_owned(),
    }
}

impl Entry<'_> {
    /// The entries of a list within this one, read in the same way; one that names none is told what to write.
    pub(super) fn each<T>(
        &self,
        key: &str,
        usual: &str,
        wanted: &str,
        read: impl FnMut(&Entry<'_>, &[T]) -> Result<T, SettingsError>,
    ) -> Result<Vec<T>, SettingsError> {
        let (place, list) = (format!("{}.{key}", self.key), self.value(key));
        let read = each((self.origin, &place), list, usual, &format!("write {wanted}"), read)?;
        if read.is_empty() {
            return Err(self.bad(key, &format!("name at least one, as {wanted}")));
        }
        Ok(read)
    }

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

    pub(super) fn optional(&self, key: &str) -> Option<&str> {
        Some(self.text(key)).filter(|text| !text.is_empty())
    }

    pub(super) fn path(&self, key: &str) -> Option<PathBuf> {
        self.optional(key).map(PathBuf::from)
    }

    pub(super) fn duration(&self, key: &str) -> Result<Duration, SettingsError> {
        duration(self.text(key)).map_err(|wanted| self.bad(key, wanted))
    }

    /// A duration, or nothing where the text is empty.
    pub(super) fn perhaps(&self, key: &str) -> Result<Option<Duration>, SettingsError> {
        self.optional(key).map(|_| self.duration(key)).transpose()
    }

    pub(super) fn bad(&self, key: &str, wanted: &str) -> SettingsError {
        bad(self.origin, format!("{}.{key}", self.key), self.value(key), wanted)
    }
}

/// What the tests of every list need.
#[cfg(test)]
pub(super) mod stand {
    use super::super::{DEFAULTS, Layers, SettingsError};

    /// A configuration of this text.
    pub(in super::super) fn layers(text: &str) -> Result<Layers, SettingsError> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("saltline.toml");
        std::fs::write(&file, text).unwrap();
        Layers::read(Some(&file), [])
    }

    /// The example entry that the configuration file has of a list, as somebody would take it over.
    pub(in super::super) fn example(key: &str) -> String {
        let head = format!("# [[{key}]]");
        let lines = DEFAULTS.lines().skip_while(|line| !line.starts_with(&head));
        let lines = lines.take_while(|line| line.starts_with('#'));
        lines.map(|line| format!("{}\n", line.strip_prefix("# ").unwrap_or(line))).collect()
    }

    /// Every usual key stands in the example.
    pub(in super::super) fn explains(example: &str, usual: &str) {
        for (key, _) in usual.lines().filter_map(|line| line.split_once(" = ")) {
            assert!(example.contains(&format!("{key} = ")), "{key}");
        }
    }
}
