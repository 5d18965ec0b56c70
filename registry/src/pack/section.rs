//! A table of a pack's file that knows which keys it may have. Unknown keys are found when it is made, before any is
//! missed: who wrote `intervall` wants to hear of the slip, not that `interval` is missing.

use std::str::FromStr;
use std::time::Duration;

use domain::BadCode;
use toml::{Table, Value};

use super::{PackError, Problem, parse_duration};

/// One table, with its place in the file for messages.
pub(super) struct Section<'a> {
    file: &'static str,
    path: String,
    table: &'a Table,
}

/// The whole file, as TOML.
pub(super) fn parse(file: &'static str, text: &str) -> Result<Table, PackError> {
    text.parse()
        .map_err(|source: toml::de::Error| PackError::Syntax { file, source: source.into() })
}

/// The known word that is spelt most like this one.
pub(super) fn nearest(word: &str, known: &[&'static str]) -> &'static str {
    let likeness = |known: &str| strsim::jaro_winkler(word, known);
    let order = |a: &&&str, b: &&&str| likeness(a).total_cmp(&likeness(b));
    known.iter().max_by(order).copied().unwrap_or_default()
}

impl<'a> Section<'a> {
    /// The file's outermost table.
    pub(super) fn root(
        file: &'static str,
        table: &'a Table,
        known: &[&'static str],
    ) -> Result<Self, PackError> {
        Self { file, path: String::new(), table }.knowing(known)
    }

    /// The tables of the array `[[name]]`, each called by its `key` or, lacking that, by its number from 1.
    pub(super) fn each(
        &self,
        name: &str,
        key: &str,
        known: &[&'static str],
    ) -> Result<Vec<Self>, PackError> {
        let Some(value) = self.table.get(name) else { return Ok(Vec::new()) };
        let wanted = format!("tables, each under [[{name}]]");
        let Value::Array(items) = value else { return Err(self.wrong(name, value, wanted)) };
        let mut sections = Vec::with_capacity(items.len());
        for (number, item) in (1..).zip(items) {
            let Value::Table(table) = item else { return Err(self.wrong(name, item, wanted)) };
            let called = table.get(key).and_then(Value::as_str);
            let called = called.map_or(format!("#{number}"), str::to_owned);
            let path = format!("{}[{called}]", self.key(name));
            sections.push(Self { file: self.file, path, table }.knowing(known)?);
        }
        Ok(sections)
    }

    fn knowing(self, known: &[&'static str]) -> Result<Self, PackError> {
        match self.table.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(self),
            Some(key) => {
                let nearest = nearest(key, known);
                Err(self.at(key, Problem::Unknown { nearest, known: known.join(", ") }))
            }
        }
    }

    /// A text that must be there.
    pub(super) fn text(&self, key: &str, wanted: &'static str) -> Result<&'a str, PackError> {
        match self.table.get(key) {
            None => Err(self.at(key, Problem::Missing { wanted })),
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(self.wrong(key, other, wanted)),
        }
    }

    /// A text that may be there.
    pub(super) fn text_maybe(&self, key: &str) -> Result<Option<&'a str>, PackError> {
        match self.table.get(key) {
            None => Ok(None),
            Some(_) => self.text(key, "a text in quotes").map(Some),
        }
    }

    /// A code that must be there.
    pub(super) fn code<T: FromStr<Err = BadCode>>(
        &self,
        key: &str,
        wanted: &'static str,
    ) -> Result<T, PackError> {
        self.parse_code(key, self.text(key, wanted)?)
    }

    /// A code that may be there.
    pub(super) fn code_maybe<T: FromStr<Err = BadCode>>(
        &self,
        key: &str,
    ) -> Result<Option<T>, PackError> {
        self.text_maybe(key)?.map(|text| self.parse_code(key, text)).transpose()
    }

    /// A list of codes; empty where it is missing.
    pub(super) fn codes<T: FromStr<Err = BadCode>>(
        &self,
        key: &str,
        wanted: &'static str,
    ) -> Result<Vec<T>, PackError> {
        let Some(value) = self.table.get(key) else { return Ok(Vec::new()) };
        let Value::Array(items) = value else { return Err(self.wrong(key, value, wanted)) };
        let one = |item: &Value| match item {
            Value::String(text) => self.parse_code(key, text),
            other => Err(self.wrong(key, other, wanted)),
        };
        items.iter().map(one).collect()
    }

    /// A list of texts; empty where it is missing.
    pub(super) fn texts_maybe(
        &self,
        key: &str,
        wanted: &'static str,
    ) -> Result<Vec<String>, PackError> {
        let Some(value) = self.table.get(key) else { return Ok(Vec::new()) };
        let Value::Array(items) = value else { return Err(self.wrong(key, value, wanted)) };
        let one = |item: &Value| match item {
            Value::String(text) => Ok(text.clone()),
            other => Err(self.wrong(key, other, wanted)),
        };
        items.iter().map(one).collect()
    }

    /// A finite number that must be there.
    pub(super) fn number(&self, key: &str, wanted: &'static str) -> Result<f64, PackError> {
        match self.number_maybe(key, wanted)? {
            Some(number) => Ok(number),
            None => Err(self.at(key, Problem::Missing { wanted })),
        }
    }

    /// A finite number that may be there.
    pub(super) fn number_maybe(
        &self,
        key: &str,
        wanted: &'static str,
    ) -> Result<Option<f64>, PackError> {
        let Some(value) = self.table.get(key) else { return Ok(None) };
        let number = match value {
            Value::Float(number) => Some(*number).filter(|number| number.is_finite()),
            // A whole number beyond 32 bits is no coordinate, kilometre or limit.
            Value::Integer(whole) => i32::try_from(*whole).ok().map(f64::from),
            _ => None,
        };
        number.map(Some).ok_or_else(|| self.wrong(key, value, wanted))
    }

    /// A small whole number; 0 where it is missing.
    pub(super) fn small(&self, key: &str, wanted: &'static str) -> Result<u8, PackError> {
        let Some(value) = self.table.get(key) else { return Ok(0) };
        let whole = value.as_integer().and_then(|whole| u8::try_from(whole).ok());
        whole.ok_or_else(|| self.wrong(key, value, wanted))
    }

    /// A whole number of this width that may be there.
    pub(super) fn whole_maybe<T: TryFrom<i64>>(
        &self,
        key: &str,
        wanted: &'static str,
    ) -> Result<Option<T>, PackError> {
        let Some(value) = self.table.get(key) else { return Ok(None) };
        let whole = value.as_integer().and_then(|whole| T::try_from(whole).ok());
        whole.map(Some).ok_or_else(|| self.wrong(key, value, wanted))
    }

    /// A list of which each item is read by itself; empty where it is missing.
    pub(super) fn list<T>(
        &self,
        key: &str,
        read: impl Fn(&Value) -> Option<T>,
        wanted: &'static str,
    ) -> Result<Vec<T>, PackError> {
        let Some(value) = self.table.get(key) else { return Ok(Vec::new()) };
        let Value::Array(items) = value else { return Err(self.wrong(key, value, wanted)) };
        let one = |item: &Value| read(item).ok_or_else(|| self.wrong(key, item, wanted));
        items.iter().map(one).collect()
    }

    /// A duration that must be there.
    pub(super) fn duration(&self, key: &str) -> Result<Duration, PackError> {
        let wanted = "a whole number with ms, s, m, h or d, as \"15m\"";
        let text = self.text(key, wanted)?;
        parse_duration(text).ok_or_else(|| self.wrong(key, &Value::from(text), wanted))
    }

    /// The error that this key is not what it must be.
    pub(super) fn wrong(&self, key: &str, found: &Value, wanted: impl Into<String>) -> PackError {
        /// A message is read on one screen, whatever was pasted into the file.
        const FOUND_CHARS_MAX: usize = 80;
        let found: String = found.to_string().chars().take(FOUND_CHARS_MAX).collect();
        self.at(key, Problem::wrong(found, wanted))
    }

    /// The error that this key has this problem.
    pub(super) fn at(&self, key: &str, source: Problem) -> PackError {
        PackError::At { file: self.file, key: self.key(key), source }
    }

    fn parse_code<T: FromStr<Err = BadCode>>(&self, key: &str, text: &str) -> Result<T, PackError> {
        text.parse().map_err(|why| self.at(key, Problem::NotACode(why)))
    }

    fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}
