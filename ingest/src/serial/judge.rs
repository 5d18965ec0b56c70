//! A line to a report. Nothing of a line is believed where one word of it is not as the profile says: what is wrong in one
//! place was not sent so.

use std::borrow::Cow;

use domain::{Reason, Refusal, Report, Said, Stated, Status, Timestamp};

use crate::formats::{VALUES_MAX, decimal, json::shorten, number, refused};

use super::check::Unproved;
use super::profile::{At, Profile, Sentence, StatusWord, Time, Value};

/// What a line is.
#[derive(Debug, Clone, PartialEq)]
pub enum Judged {
    /// A report; which sentence of the profile it is.
    Report(usize, Report<'static>),
    /// A line that says nothing of the water, as the profile knows.
    Skipped,
    /// Whole, and no sentence of the profile: another device's, or of another address.
    Foreign(Refusal),
    /// Its check does not prove it.
    Unproved(Refusal),
    /// Not as the profile says.
    Refused(Refusal),
}

impl Profile {
    /// Judges a line, without what it begins and ends with, of the logger at this address.
    #[must_use]
    pub fn judge(&self, line: &[u8], address: &str) -> Judged {
        let shown = || shorten(&String::from_utf8_lossy(line)).into_owned();
        let said = match self.check.as_ref().map(|check| check.proved(self.begins, line)) {
            None => line,
            Some(Ok(said)) => said,
            Some(Err(why @ (Unproved::None | Unproved::Differs { .. }))) => {
                let detail = format!("{why}: {}", shown());
                return Judged::Unproved(refused(Reason::BadChecksum, &detail));
            }
        };
        let Ok(said) = std::str::from_utf8(said) else {
            return Judged::Refused(refused(Reason::Malformed, "it is not UTF-8"));
        };
        if self.skip.iter().any(|skip| said.starts_with(skip.as_str())) {
            return Judged::Skipped;
        }
        let words = self.words(said);
        let first = words.first().copied().unwrap_or_default();
        let mut named = self.sentences.iter().enumerate().filter(|(_, one)| one.is(first, address));
        let Some(begun) = named.next() else {
            let detail = format!("no sentence of profile `{}` begins so: {}", self.name, shown());
            return Judged::Foreign(refused(Reason::Malformed, &detail));
        };
        let fits = std::iter::once(begun).chain(named).find(|(_, one)| one.fits(words.len()));
        let Some((at, sentence)) = fits else {
            let detail = format!("{} words; {}: {}", words.len(), begun.1.wanted(), shown());
            return Judged::Refused(refused(Reason::BadCount, &detail));
        };
        match self.report(sentence, &words) {
            Ok(report) if report.values.is_empty() => {
                let detail = format!("it has none of the profile's values: {}", shown());
                Judged::Refused(refused(Reason::BadCount, &detail))
            }
            Ok(report) => Judged::Report(at, report),
            Err(refusal) => Judged::Refused(refusal),
        }
    }

    fn words<'a>(&self, said: &'a str) -> Vec<&'a str> {
        match self.separator {
            ' ' => said.split_ascii_whitespace().collect(),
            separator => said.split(separator).map(str::trim).collect(),
        }
    }

    fn report(&self, sentence: &Sentence, words: &[&str]) -> Result<Report<'static>, Refusal> {
        let status = match &sentence.status {
            Some(status) => status.says(words)?,
            None => Status::Measuring,
        };
        let taken = match &sentence.time {
            Some(time) => Stated::At(time.says(words)?),
            None => Stated::OnArrival,
        };
        let mut values = Vec::with_capacity(sentence.values.len());
        let groups: Vec<&[&str]> = match sentence.group {
            Some(group) => words.get(1..).unwrap_or_default().chunks_exact(group).collect(),
            None => vec![words],
        };
        for value in &sentence.values {
            for group in &groups {
                if let Some((number, unit)) = self.value(value, group)? {
                    let name = Cow::Owned(value.name.clone());
                    values.push(Said { name, value: number, unit: Some(unit), status });
                }
            }
        }
        if VALUES_MAX < values.len() {
            let detail = format!("{} values; {VALUES_MAX} are possible", values.len());
            return Err(refused(Reason::BadCount, &detail));
        }
        Ok(Report { taken, seq: None, replay: false, values })
    }

    /// The value and its unit; `None` where these words do not have it.
    #[expect(
        clippy::type_complexity,
        reason = "a number that may be missing, with its unit, if it is there at all"
    )]
    fn value(
        &self,
        value: &Value,
        words: &[&str],
    ) -> Result<Option<(Option<f64>, Cow<'static, str>)>, Refusal> {
        if !value.when.iter().all(|(word, says)| words.get(*word).is_some_and(|it| it == says)) {
            return Ok(None);
        }
        let word = match &value.at {
            At::Word(word) => words.get(*word).copied(),
            At::Key(key) => {
                words.iter().find_map(|word| word.strip_prefix(key.as_str())?.strip_prefix('='))
            }
        };
        let Some(word) = word else { return Ok(None) };
        let own = |unit: &str| Cow::Owned(unit.to_owned());
        if word.is_empty() || self.absent.iter().chain(&value.absent).any(|absent| absent == word) {
            return Ok(Some((None, own(&value.unit))));
        }
        if value.invalid.iter().any(|end| word.ends_with(end.as_str())) {
            return Ok(Some((None, own(&value.unit))));
        }
        let (text, unit) = value.unit_of(word, words)?;
        let read = if self.decimal_comma { decimal(text) } else { number(text) };
        let read = read.ok_or_else(|| {
            let detail = format!("{}: `{}` is not a number", value.name, shorten(word));
            refused(Reason::NotANumber, &detail)
        })?;
        // -9999 and -9999.0 are one number, however many digits the profile has.
        let is_absent =
            |absent: &String| number(absent).is_some_and(|it| it.to_bits() == read.to_bits());
        let number = match self.absent.iter().chain(&value.absent).any(is_absent) {
            true => None,
            false => Some(read * value.scale + value.offset),
        };
        Ok(Some((number, own(unit))))
    }
}

impl Value {
    /// The number's text, and its unit.
    fn unit_of<'a>(&'a self, word: &'a str, words: &[&str]) -> Result<(&'a str, &'a str), Refusal> {
        if self.units.is_empty() {
            return Ok((word, &self.unit));
        }
        let found = match self.unit_word {
            Some(at) => {
                let says = words.get(at).copied().unwrap_or_default();
                self.units.iter().find(|(name, _)| name == says).map(|(_, unit)| (word, unit))
            }
            None => self
                .units
                .iter()
                .find_map(|(name, unit)| Some((word.strip_suffix(name.as_str())?, unit))),
        };
        found.map(|(text, unit)| (text, unit.as_str())).ok_or_else(|| {
            let known: Vec<_> = self.units.iter().map(|(name, _)| name.as_str()).collect();
            let detail = format!("{}: the unit is none of {}", self.name, known.join(", "));
            refused(Reason::WrongUnit, &detail)
        })
    }
}

impl Sentence {
    /// Does a line that begins with this word call itself so?
    fn is(&self, first: &str, address: &str) -> bool {
        if self.begins.is_empty() {
            return true;
        }
        let mut first = first.chars();
        let wanted = self.begins.replace("{address}", address);
        wanted.chars().all(|c| first.next().is_some_and(|it| c == '?' || c == it))
            && first.next().is_none()
    }

    const fn fits(&self, words: usize) -> bool {
        match (self.words, self.group) {
            (Some(wanted), _) => words == wanted,
            (None, Some(group)) => group < words && (words - 1).is_multiple_of(group),
            (None, None) => true,
        }
    }

    fn wanted(&self) -> String {
        match (self.words, self.group) {
            (Some(words), _) => format!("this line has {words}"),
            (None, Some(group)) => format!("behind the first they come in groups of {group}"),
            (None, None) => "any number will do".to_owned(),
        }
    }
}

impl StatusWord {
    fn says(&self, words: &[&str]) -> Result<Status, Refusal> {
        let said = words.get(self.word).copied().unwrap_or_default();
        let is = |of: &[String]| of.iter().any(|word| word == said);
        match () {
            () if is(&self.fault) => Ok(Status::Fault),
            () if is(&self.calibrating) => Ok(Status::Calibrating),
            () if is(&self.measuring) || self.measuring.is_empty() => Ok(Status::Measuring),
            // Where it is said what measuring looks like, anything else is trouble; a word that is no word is damage.
            () if said.chars().all(|c| c.is_ascii_alphanumeric()) && !said.is_empty() => {
                Ok(Status::Fault)
            }
            () => {
                let detail = format!("the status is `{}`", shorten(said));
                Err(refused(Reason::UnknownStatus, &detail))
            }
        }
    }
}

impl Time {
    fn says(&self, words: &[&str]) -> Result<Timestamp, Refusal> {
        let word = |at: &usize| words.get(*at).copied().unwrap_or_default();
        let text = self.words.iter().map(word).collect::<Vec<_>>().join(" ");
        Timestamp::parse_pattern(text.trim_matches('"'), &self.format, self.offset_s).map_err(
            |_| {
                let detail = format!("time: `{}` is not {}", shorten(&text), self.format);
                refused(Reason::BadTime, &detail)
            },
        )
    }
}
