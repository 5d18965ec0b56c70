//! A province as a folder of text: `stations.toml`, `rivers.geojson`, `rules.toml`, `roster.toml`, `quality.toml`. A pack
//! says what is to be there; applied twice it changes nothing the second time, and what it does not name it leaves alone.
//! Its examples and their comments are in `configs/tien-giang`.
//!
//! Every file may be missing, but not all of them. A key that is not known is refused with the nearest right one:
//! a rule whose `hold` was spelt `hodl` would ring at the wrong time for years.

mod error; // file, key, what was found, what would be accepted
mod section; // a table that knows which keys it may have
mod duration; // "15m"
mod stations; // stations.toml
mod layout; // how a station's bytes lie
mod derived; // what is made of its readings
mod rivers; // rivers.geojson
mod rules; // rules.toml
mod roster; // roster.toml
mod apply; // from text to the book

use std::collections::HashMap;
use std::path::Path;

use domain::{Duty, Person, Rule, Station};

use crate::River;

pub use apply::{Applied, Count};
pub use duration::parse_duration;
pub use error::{PackError, Problem};
pub use layout::read_layout;

/// The stations' file.
pub const STATIONS: &str = "stations.toml";
/// The map's file.
pub const RIVERS: &str = "rivers.geojson";
/// The rules' file.
pub const RULES: &str = "rules.toml";
/// The people's file.
pub const ROSTER: &str = "roster.toml";
/// The tests' file.
pub const QUALITY: &str = "quality.toml";

/// Every file that a pack may have today.
pub const FILES: [&str; 5] = [STATIONS, RIVERS, RULES, ROSTER, QUALITY];

/// A province pack, read and understood.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pack {
    /// From `stations.toml`.
    pub stations: Vec<Station>,
    /// Rivers, canals and coasts, from `rivers.geojson`.
    pub rivers: Vec<River>,
    /// From `rules.toml`.
    pub rules: Vec<Rule>,
    /// From `roster.toml`.
    pub people: Vec<Person>,
    /// From `roster.toml`.
    pub duties: Vec<Duty>,
    /// `quality.toml` as it was typed; `None` where there is none. What it means is not read here: see
    /// [`Registry::put_quality`](crate::Registry::put_quality).
    pub quality: Option<String>,
}

/// Reads a pack from wherever `file` finds its texts by name: a folder, or what was built into the program.
///
/// # Errors
/// [`PackError`] with file and key of the first thing that is wrong.
pub fn read(file: &dyn Fn(&str) -> Option<String>) -> Result<Pack, PackError> {
    let texts = FILES.map(file);
    if texts.iter().all(Option::is_none) {
        return Err(PackError::NotAPack);
    }
    let [stations, rivers, rules, roster, quality] = texts;
    let [stations, rivers, rules, roster] =
        [stations, rivers, rules, roster].map(Option::unwrap_or_default);
    if let Some(text) = &quality {
        section::parse(QUALITY, text)?;
    }
    let (people, duties) = roster::read(&roster)?;
    let pack = Pack {
        stations: stations::read(&stations)?,
        rivers: rivers::read(&rivers)?,
        rules: rules::read(&rules)?,
        people,
        duties,
        quality,
    };
    stations::check_rivers(&pack.stations, &pack.rivers)?;
    Ok(pack)
}

/// Reads a pack from a folder. Files of later versions (`gates.toml`, `crops.toml`, …) are named in the log and
/// otherwise left alone.
///
/// # Errors
/// [`PackError`] with file and key of the first thing that is wrong.
pub fn read_dir(folder: &Path) -> Result<Pack, PackError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| PackError::Unreadable { path, source }
    };
    let mut texts = HashMap::new();
    for entry in std::fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if FILES.contains(&name) {
            let text = std::fs::read_to_string(&path).map_err(failed(&path))?;
            texts.insert(name.to_owned(), text);
        } else if name.ends_with(".toml") || name.ends_with(".geojson") {
            tracing::warn!(file = name, "this file of the pack is not read by this version");
        }
    }
    read(&|name| texts.get(name).cloned())
}
