//! What was typed. A key is known if the defaults have it; the last layer that sets it wins and is named in errors.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::SettingsError;

/// The defaults, every key explained.
pub const DEFAULTS: &str = include_str!("../../configs/saltline.toml");

/// Prefix of environment variables that set keys; `__` stands for the dot.
const PREFIX: &str = "SALTLINE__";

/// The layers of a configuration, lowest first.
#[derive(Debug)]
pub struct Layers {
    layers: Vec<(String, Table)>,
}

impl Layers {
    /// Reads the defaults, the file and its `conf.d`, and the given environment.
    ///
    /// # Errors
    /// [`SettingsError`] where a file cannot be read, is not TOML, or has a key that nobody reads.
    pub fn read(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let mut layers = Self { layers: Vec::new() };
        layers.add("defaults", DEFAULTS)?;
        if let Some(file) = file {
            for path in std::iter::once(file.to_owned()).chain(drop_ins(file)?) {
                let text = std::fs::read_to_string(&path).map_err(read_error(&path))?;
                layers.add(&path.display().to_string(), &text)?;
            }
        }
        let mut set: Vec<_> = env.into_iter().filter(|(key, _)| key.starts_with(PREFIX)).collect();
        set.sort();
        for (name, value) in set {
            let key = name[PREFIX.len()..].to_lowercase().replace("__", ".");
            layers.add_one(&name, &key, &value)?;
        }
        Ok(layers)
    }

    /// The value of a key and where it was set.
    pub fn get(&self, key: &str) -> (&str, &Value) {
        self.layers
            .iter()
            .rev()
            .find_map(|(origin, table)| find(table, key).map(|value| (origin.as_str(), value)))
            .expect("the defaults have every key that is asked for, as the tests show")
    }

    fn add(&mut self, origin: &str, text: &str) -> Result<(), SettingsError> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            SettingsError::Syntax { origin: origin.to_owned(), message: error.to_string() }
        })?;
        self.add_table(origin, table)
    }

    fn add_one(&mut self, origin: &str, key: &str, text: &str) -> Result<(), SettingsError> {
        let known = self.layers.first().and_then(|(_, defaults)| find(defaults, key));
        let value = match known {
            Some(Value::Integer(_)) => text.parse().map(Value::Integer).ok(),
            Some(Value::Boolean(_)) => text.parse().map(Value::Boolean).ok(),
            _ => None,
        };
        let value = value.unwrap_or_else(|| Value::String(text.to_owned()));
        let wrap = |inner, part: &str| Value::Table(Table::from_iter([(part.to_owned(), inner)]));
        match key.rsplit('.').fold(value, wrap) {
            Value::Table(table) => self.add_table(origin, table),
            _ => Ok(()),
        }
    }

    fn add_table(&mut self, origin: &str, table: Table) -> Result<(), SettingsError> {
        if let Some((_, defaults)) = self.layers.first() {
            check_keys(origin, "", &table, defaults)?;
        }
        self.layers.push((origin.to_owned(), table));
        Ok(())
    }
}

fn find<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    match key.split_once('.') {
        None => table.get(key),
        Some((section, rest)) => find(table.get(section)?.as_table()?, rest),
    }
}

pub(super) fn check_keys(
    origin: &str,
    section: &str,
    typed: &Table,
    known: &Table,
) -> Result<(), SettingsError> {
    for (name, value) in typed {
        let key = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
        match (value, known.get(name)) {
            (_, None) => {
                let hint = hint(name, section, known);
                return Err(SettingsError::UnknownKey { origin: origin.to_owned(), key, hint });
            }
            (Value::Table(typed), Some(Value::Table(known))) => {
                check_keys(origin, &key, typed, known)?;
            }
            (found, Some(known)) if found.type_str() != known.type_str() => {
                return Err(SettingsError::BadValue {
                    origin: origin.to_owned(),
                    key,
                    found: format!("`{found}`"),
                    wanted: format!("a {} is wanted", known.type_str()),
                });
            }
            _ => {}
        }
    }
    Ok(())
}

fn hint(name: &str, section: &str, known: &Table) -> String {
    let near = |key: &&String| strsim::jaro_winkler(key, name);
    match known.keys().max_by(|a, b| near(a).total_cmp(&near(b))) {
        Some(best) if 0.75 < near(&best) => format!("; did you mean `{best}`?"),
        _ => {
            let names: Vec<_> = known.keys().map(|key| format!("`{key}`")).collect();
            let place = if section.is_empty() { "there are" } else { "the section has" };
            format!("; {place} {}", names.join(", "))
        }
    }
}

fn drop_ins(file: &Path) -> Result<Vec<PathBuf>, SettingsError> {
    let dir = file.parent().unwrap_or(Path::new(".")).join("conf.d");
    let entries = match std::fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(read_error(&dir)(error)),
    };
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(read_error(&dir))?;
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    paths.sort();
    Ok(paths)
}

fn read_error(path: &Path) -> impl FnOnce(std::io::Error) -> SettingsError {
    let path = path.display().to_string();
    move |source| SettingsError::Read { path, source }
}
