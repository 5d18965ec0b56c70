//! A profile's text, key by key. Nothing is skipped: a key that nobody reads is an error that names the nearest.

use toml::{Table, Value as Toml};

/// The text is not a profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("profile `{profile}`: {place}: {why}")]
pub struct ProfileError {
    /// Which profile.
    pub profile: String,
    /// Where in it.
    pub place: String,
    /// What is wrong, and what would be accepted.
    pub why: String,
}

/// What is wrong, and where.
#[derive(Debug)]
pub(crate) struct Bad {
    pub(crate) place: String,
    pub(crate) why: String,
}

/// One table and where it stands.
pub(crate) struct Keys<'a> {
    pub(crate) place: String,
    pub(crate) table: &'a Table,
}

/// Reads the text of a profile with this name.
pub(crate) fn read<P>(
    name: &str,
    text: &str,
    profile: impl FnOnce(&Table) -> Result<P, Bad>,
) -> Result<P, ProfileError> {
    let wrong = |place: String, why: String| ProfileError { profile: name.to_owned(), place, why };
    let table: Table = text
        .parse()
        .map_err(|error: toml::de::Error| wrong("text".to_owned(), error.to_string()))?;
    profile(&table).map_err(|Bad { place, why }| wrong(place, why))
}

impl<'a> Keys<'a> {
    /// A table at this place, of which these keys are known.
    pub(crate) fn new(place: &str, table: &'a Table, known: &[&str]) -> Result<Self, Bad> {
        for key in table.keys() {
            if known.contains(&key.as_str()) {
                continue;
            }
            let near = |name: &&&str| strsim::jaro_winkler(name, key);
            let best = known.iter().max_by(|a, b| near(a).total_cmp(&near(b)));
            let hint = match best.filter(|best| 0.75 < near(best)) {
                Some(best) => format!("did you mean `{best}`?"),
                None => format!("there are {}", known.join(", ")),
            };
            let why = format!("unknown key `{key}`; {hint}");
            return Err(Bad { place: place.to_owned(), why });
        }
        Ok(Self { place: place.to_owned(), table })
    }

    pub(crate) fn bad(&self, key: &str, why: &str) -> Bad {
        Bad { place: format!("{}.{key}", self.place), why: why.to_owned() }
    }

    pub(crate) fn each<T>(
        &self,
        key: &str,
        known: &[&str],
        read: impl Fn(&Keys<'_>) -> Result<T, Bad>,
    ) -> Result<Vec<T>, Bad> {
        let list = self.list(key)?.iter().enumerate();
        list.map(|(number, entry)| {
            let place = format!("{key}[{number}]");
            let table =
                entry.as_table().ok_or_else(|| self.bad(&place, "write [[…]] and its keys"))?;
            read(&Keys::new(&place, table, known)?)
        })
        .collect()
    }

    pub(crate) fn list(&self, key: &str) -> Result<&'a [Toml], Bad> {
        match self.table.get(key) {
            None => Ok(&[]),
            Some(Toml::Array(list)) => Ok(list),
            Some(_) => Err(self.bad(key, "write a list")),
        }
    }

    pub(crate) fn text(&self, key: &str) -> Result<String, Bad> {
        self.text_or(key, None).and_then(|text| match text.is_empty() {
            true => Err(self.bad(key, "it must not be empty")),
            false => Ok(text),
        })
    }

    pub(crate) fn text_or(&self, key: &str, usual: Option<&str>) -> Result<String, Bad> {
        match (self.table.get(key), usual) {
            (Some(Toml::String(text)), _) => Ok(text.clone()),
            (None, Some(usual)) => Ok(usual.to_owned()),
            (None, None) => Err(self.bad(key, "it is missing")),
            (Some(_), _) => Err(self.bad(key, "write a text")),
        }
    }

    pub(crate) fn number(&self, key: &str, most: u16) -> Result<u16, Bad> {
        let found = self.table.get(key).ok_or_else(|| self.bad(key, "it is missing"))?;
        self.as_number(key, found, most)
    }

    pub(crate) fn number_or(&self, key: &str, usual: u16, most: u16) -> Result<u16, Bad> {
        if self.table.contains_key(key) { self.number(key, most) } else { Ok(usual) }
    }

    pub(crate) fn as_number(&self, key: &str, found: &Toml, most: u16) -> Result<u16, Bad> {
        let number = found.as_integer().and_then(|n| u16::try_from(n).ok()).filter(|n| *n <= most);
        number.ok_or_else(|| self.bad(key, &format!("write a whole number from 0 to {most}")))
    }

    pub(crate) fn numbers(&self, key: &str, most: u16) -> Result<Vec<u16>, Bad> {
        self.list(key)?.iter().map(|found| self.as_number(key, found, most)).collect()
    }

    pub(crate) fn real(&self, key: &str) -> Result<f64, Bad> {
        let number = match self.table.get(key) {
            Some(Toml::Float(number)) => Some(*number),
            #[expect(clippy::cast_precision_loss, reason = "nobody scales by 2^53")]
            Some(Toml::Integer(number)) => Some(*number as f64),
            _ => None,
        };
        number.filter(|n| n.is_finite()).ok_or_else(|| self.bad(key, "write a number"))
    }

    pub(crate) fn real_or(&self, key: &str, usual: f64) -> Result<f64, Bad> {
        if self.table.contains_key(key) { self.real(key) } else { Ok(usual) }
    }

    /// Is the key there?
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    pub(crate) fn yes_or_no(&self, key: &str) -> Result<bool, Bad> {
        match self.table.get(key) {
            None => Ok(false),
            Some(Toml::Boolean(yes)) => Ok(*yes),
            Some(_) => Err(self.bad(key, "write true or false")),
        }
    }

    /// A list of texts.
    pub(crate) fn texts(&self, key: &str) -> Result<Vec<String>, Bad> {
        let text = |found: &Toml| match found.as_str() {
            Some(text) => Ok(text.to_owned()),
            None => Err(self.bad(key, "write a list of texts")),
        };
        self.list(key)?.iter().map(text).collect()
    }

    /// A table of texts, as `{ K = "km/h" }`.
    pub(crate) fn pairs(&self, key: &str) -> Result<Vec<(String, String)>, Bad> {
        let wanted = || self.bad(key, "write a table of texts, as { K = \"km/h\" }");
        match self.table.get(key) {
            None => Ok(Vec::new()),
            Some(Toml::Table(table)) => table
                .iter()
                .map(|(name, text)| {
                    Ok((name.clone(), text.as_str().ok_or_else(wanted)?.to_owned()))
                })
                .collect(),
            Some(_) => Err(wanted()),
        }
    }

    /// A table below this one, of which these keys are known.
    pub(crate) fn below(&self, key: &str, known: &[&str]) -> Result<Option<Keys<'a>>, Bad> {
        match self.table.get(key) {
            None => Ok(None),
            Some(Toml::Table(table)) => Ok(Some(Keys::new(key, table, known)?)),
            Some(_) => Err(self.bad(key, "write a table")),
        }
    }
}
