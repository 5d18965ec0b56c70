//! What a source calls its parameters and what its flags mean, as TOML: what is shipped, and over it what a person wrote.
//!
//! ```toml
//! [parameters]
//! water_temp = "water_temperature"
//! EC = { parameter = "conductivity_25", unit = "µS/cm" }   # the unit where the file says none
//! do_sat = { new = "do_saturation", unit = "%", name_vi = "Độ bão hòa oxy", name_en = "Oxygen saturation" }
//! note = { leave_out = true }
//!
//! [flags]
//! "<-3>" = 4
//! ```

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use domain::{Aggregation, Flag, Parameter, ParameterCode};
use history::longform::{Flags, Meaning, Names, NewParameter};
use serde::Deserialize;

/// The tables that are shipped.
const SHIPPED: [(&str, &str); 2] = [
    ("configs/import/parameters.toml", include_str!("../../configs/import/parameters.toml")),
    ("configs/import/flags.toml", include_str!("../../configs/import/flags.toml")),
];

/// Names and flags of a source.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    /// What it calls its parameters.
    pub names: Names,
    /// What its flags mean.
    pub flags: Flags,
}

/// A table cannot be meant.
#[derive(Debug, thiserror::Error)]
pub enum TablesError {
    /// It cannot be read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not such a table.
    #[error("`{path}`: {why}")]
    Bad {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    parameters: HashMap<String, RawMeaning>,
    #[serde(default)]
    flags: HashMap<String, u8>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawMeaning {
    Code(String),
    Table(RawTable),
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawTable {
    parameter: Option<String>,
    new: Option<String>,
    unit: Option<String>,
    ucum: Option<String>,
    name_vi: Option<String>,
    name_en: Option<String>,
    decimals: Option<u8>,
    aggregation: Option<String>,
    leave_out: bool,
}

impl Tables {
    /// What is shipped, and over it these files.
    ///
    /// # Errors
    /// [`TablesError`]: file and what is wrong with it.
    pub fn read<'a>(files: impl IntoIterator<Item = &'a Path>) -> Result<Self, TablesError> {
        let mut tables = Self::default();
        for (path, text) in SHIPPED {
            tables.lay(Path::new(path), text)?;
        }
        for path in files {
            let text = std::fs::read_to_string(path)
                .map_err(|source| TablesError::Read { path: path.to_owned(), source })?;
            tables.lay(path, &text)?;
        }
        Ok(tables)
    }

    /// The parameters that the tables bring, by their codes.
    pub fn new_parameters(&self) -> impl Iterator<Item = &Parameter> {
        self.names.values().filter_map(|meaning| match meaning {
            Meaning::New(new) => Some(&new.parameter),
            _ => None,
        })
    }

    /// Do the tables say the unit of every parameter that they name?
    #[must_use]
    pub fn says_units(&self) -> bool {
        self.names.values().any(|meaning| match meaning {
            Meaning::Parameter(_, unit) => unit.is_some(),
            Meaning::New(new) => new.unit.is_some(),
            Meaning::LeftOut => false,
        })
    }

    fn lay(&mut self, path: &Path, text: &str) -> Result<(), TablesError> {
        let bad = |why: String| TablesError::Bad { path: path.to_owned(), why };
        let raw: Raw = toml::from_str(text).map_err(|error| bad(error.to_string()))?;
        for (name, meaning) in raw.parameters {
            let meaning = mean(meaning).map_err(|why| bad(format!("parameters.{name}: {why}")))?;
            self.names.insert(name, meaning);
        }
        for (name, number) in raw.flags {
            let flag = Flag::from_number(number).ok_or_else(|| {
                bad(format!("flags.{name:?}: {number} is none of QARTOD's: 1 good, 2 not evaluated, 3 suspect, 4 bad, 9 missing"))
            })?;
            self.flags.insert(name, flag);
        }
        Ok(())
    }
}

fn mean(raw: RawMeaning) -> Result<Meaning, String> {
    let code = |text: &str| ParameterCode::new(text).map_err(|error| error.to_string());
    match raw {
        RawMeaning::Code(text) => Ok(Meaning::Parameter(code(&text)?, None)),
        RawMeaning::Table(RawTable { leave_out: true, parameter: None, new: None, .. }) => {
            Ok(Meaning::LeftOut)
        }
        RawMeaning::Table(RawTable {
            leave_out: false,
            parameter: Some(text),
            new: None,
            unit,
            ..
        }) => Ok(Meaning::Parameter(code(&text)?, unit)),
        RawMeaning::Table(RawTable {
            leave_out: false,
            parameter: None,
            new: Some(text),
            unit,
            ucum,
            name_vi,
            name_en,
            decimals,
            aggregation,
        }) => {
            let unit_text = unit.clone().unwrap_or_default();
            let parameter = Parameter {
                code: code(&text)?,
                ucum: ucum.unwrap_or_else(|| unit_text.clone()),
                unit: unit_text,
                name_vi: name_vi.ok_or("a new parameter needs name_vi")?,
                name_en: name_en.ok_or("a new parameter needs name_en")?,
                decimals: decimals.unwrap_or(1),
                fail: None,
                suspect: None,
                aggregation: match aggregation.as_deref().map(str::parse::<Aggregation>) {
                    None => Aggregation::default(),
                    Some(word) => word.map_err(|error| error.to_string())?,
                },
            };
            Ok(Meaning::New(Box::new(NewParameter { parameter, unit })))
        }
        RawMeaning::Table(_) => Err("write one of parameter, new, leave_out = true".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lay(text: &str) -> Result<Tables, String> {
        let mut tables = Tables::default();
        tables.lay(Path::new("t.toml"), text).map_err(|error| error.to_string())?;
        Ok(tables)
    }

    #[test]
    fn what_is_shipped_is_sound_and_names_our_parameters() {
        let tables = Tables::read([]).unwrap();
        let ours = domain::standard_parameters();
        for (name, meaning) in &tables.names {
            let Meaning::Parameter(code, _) = meaning else { continue };
            assert!(ours.iter().any(|parameter| parameter.code == *code), "{name} is {code}");
        }
        for (flag, number) in [("<0>", 1), ("<1>", 3), ("<-3>", 4), ("<-2>", 9), ("", 2), ("4", 4)]
        {
            assert_eq!(tables.flags.get(flag).map(|flag| flag.number()), Some(number), "{flag}");
        }
        let swmp = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/import/swmp.toml");
        assert!(0 < Tables::read([swmp.as_path()]).unwrap().new_parameters().count());
    }

    #[test]
    fn a_table_that_cannot_be_meant_says_file_key_and_what_would_be_right() {
        for (text, part) in [
            ("[flags]\nx = 5", "t.toml`: flags.\"x\": 5 is none of QARTOD's"),
            ("[parameter]\nx = 1", "unknown field `parameter`, expected `parameters` or `flags`"),
            ("[parameters]\nx = \"Ph\"", "parameters.x: `Ph` is not a parameter code"),
            ("[parameters]\nx = { unit = \"m\" }", "write one of parameter, new"),
            ("[parameters]\nx = { new = \"depth\", unit = \"m\" }", "needs name_vi"),
        ] {
            let error = lay(text).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
