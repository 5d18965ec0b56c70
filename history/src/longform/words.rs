//! What the names, units and flags of a file mean here: its parameters are ours by a table, its units are turned by the
//! one table of units, its flags become QARTOD's numbers. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use domain::unit::{self, Conversion};
use domain::{Flag, Parameter, ParameterCode, Reason, Refusal, StationCode, Timestamp};
use rustc_hash::FxHashMap;

use super::{Row, Time, Value};

/// What a source's parameter means.
#[derive(Debug, Clone, PartialEq)]
pub enum Meaning {
    /// Our parameter, in this unit where the file does not say one.
    Parameter(ParameterCode, Option<String>),
    /// A parameter that the registry may have to learn first.
    New(Box<NewParameter>),
    /// Not wanted: its rows are counted and left.
    LeftOut,
}

/// A parameter that a table brings with it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewParameter {
    /// What the registry would keep.
    pub parameter: Parameter,
    /// The unit where the file does not say one.
    pub unit: Option<String>,
}

/// The source's names of parameters.
pub type Names = HashMap<String, Meaning>;

/// The source's flags: whole, or by their first word.
pub type Flags = HashMap<String, Flag>;

/// What is known before the first row.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The parameters of the registry, and what a table brings.
    pub parameters: Vec<Parameter>,
    /// What the source calls them.
    pub names: Names,
    /// What its flags mean.
    pub flags: Flags,
    /// The station of a file that does not name one.
    pub station: Option<StationCode>,
    /// Stations by their codes.
    pub stations: HashMap<String, StationCode>,
    /// Stations by what others call them, in lower case.
    pub known_as: HashMap<String, StationCode>,
    /// Is a station that nobody knows made?
    pub create: bool,
    /// Seconds that the clock of naive times is ahead of UTC.
    pub offset_s: Option<i32>,
}

/// A row as a reading in our words.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// Its place in the file.
    pub line: u64,
    /// Number of the station; [`Words::station`] has its code.
    pub station: u32,
    /// Number of the parameter; [`Words::parameter`] has its code.
    pub parameter: u32,
    /// When.
    pub taken_at: Timestamp,
    /// How much, in our unit.
    pub value: Option<f64>,
    /// What the source thinks of it.
    pub flag: Flag,
}

/// What a row says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Said {
    /// A reading.
    Reading(Reading),
    /// A parameter that is not wanted.
    LeftOut,
}

/// Turns rows into readings. Each name, unit and flag is looked up once.
#[derive(Debug)]
pub struct Words {
    known: Known,
    stations: Vec<StationCode>,
    parameters: Vec<ParameterCode>,
    new_stations: Vec<StationCode>,
    seen_stations: FxHashMap<String, Result<u32, Refusal>>,
    seen_measures: FxHashMap<String, FxHashMap<String, Result<Option<Measure>, Refusal>>>,
    seen_flags: FxHashMap<String, Result<Flag, Refusal>>,
    last_time: (String, Timestamp),
}

/// Texts of each kind that are remembered: what a file has more of is a column of the wrong kind.
const SEEN_MAX: usize = 10_000;

/// Stations that one file may bring: some hundred times what a province has. More are a column of the wrong kind.
const NEW_STATIONS_MAX: usize = 10_000;

#[derive(Debug, Clone, Copy)]
struct Measure {
    parameter: u32,
    conversion: Conversion,
}

/// What stands for a value that is not there.
const MISSING: [&str; 8] = ["", "-", "NaN", "nan", "NA", "N/A", "null", "NULL"];

impl Words {
    /// Ready for the first row.
    #[must_use]
    pub fn new(known: Known) -> Self {
        Self {
            known,
            stations: Vec::new(),
            parameters: Vec::new(),
            new_stations: Vec::new(),
            seen_stations: FxHashMap::default(),
            seen_measures: FxHashMap::default(),
            seen_flags: FxHashMap::default(),
            last_time: (String::new(), Timestamp::default()),
        }
    }

    /// The code of a station's number.
    #[must_use]
    pub fn station(&self, number: u32) -> &StationCode {
        &self.stations[number as usize]
    }

    /// The code of a parameter's number.
    #[must_use]
    pub fn parameter(&self, number: u32) -> &ParameterCode {
        &self.parameters[number as usize]
    }

    /// Stations that rows named and nobody knew, since the last time this was asked.
    pub fn take_new_stations(&mut self) -> Vec<StationCode> {
        std::mem::take(&mut self.new_stations)
    }

    /// The row in our words.
    ///
    /// # Errors
    /// A [`Refusal`] with its reason from the closed list.
    pub fn read(&mut self, line: u64, row: &Row<'_>) -> Result<Said, Refusal> {
        let taken_at = self.time(row.time)?;
        let measure = self.measure(row.parameter, row.unit)?;
        let Some(Measure { parameter, conversion }) = measure else { return Ok(Said::LeftOut) };
        let station = self.station_of(row.station)?;
        let flag = self.flag(row.flag)?;
        let value = match row.value {
            Value::Missing => None,
            Value::Number(number) if number.is_nan() => None,
            Value::Number(number) => Some(number),
            Value::Text(text) => number(text)?,
        };
        if let Some(value) = value
            && !value.is_finite()
        {
            return Err(refusal(
                Reason::NotANumber,
                format!("value: {value} is no number of a sensor"),
            ));
        }
        // Without a value there is nothing to think of it. One that the source calls missing is there all the same: it
        // is kept, and not to be trusted.
        let (value, flag) = match (value, flag) {
            (None, _) => (None, Flag::Missing),
            (Some(value), Flag::Missing) => (Some(conversion.apply(value)), Flag::Bad),
            (Some(value), flag) => (Some(conversion.apply(value)), flag),
        };
        Ok(Said::Reading(Reading { line, station, parameter, taken_at, value, flag }))
    }

    fn time(&mut self, time: Time<'_>) -> Result<Timestamp, Refusal> {
        let no_offset = || {
            let detail = "time_utc: it has no offset; write Z or +07:00, or say --utc-offset";
            refusal(Reason::NoOffset, detail.to_owned())
        };
        let text = match time {
            Time::At(at) => return Ok(at),
            Time::Naive(millis) => {
                let offset_s = self.known.offset_s.ok_or_else(no_offset)?;
                let utc = millis.saturating_sub(i64::from(offset_s) * 1_000);
                return Ok(Timestamp::from_millis(utc));
            }
            // Rows of one time mostly stand together.
            Time::Text(text) if text == self.last_time.0 => return Ok(self.last_time.1),
            Time::Text(text) => text,
        };
        let at = match Timestamp::parse_rfc3339(text) {
            Ok(at) => at,
            Err(error) => {
                let local = self.known.offset_s.map(|offset| Timestamp::parse_local(text, offset));
                match local {
                    Some(Ok(at)) => at,
                    None if Timestamp::parse_local(text, 0).is_ok() => return Err(no_offset()),
                    _ => {
                        let shown = shorten(text);
                        let detail = format!("time_utc: `{shown}`: {error}");
                        return Err(refusal(Reason::BadTime, detail));
                    }
                }
            }
        };
        self.last_time.0.clear();
        self.last_time.0.push_str(text);
        self.last_time.1 = at;
        Ok(at)
    }

    fn station_of(&mut self, text: &str) -> Result<u32, Refusal> {
        if let Some(found) = self.seen_stations.get(text) {
            return found.clone();
        }
        let found = self.find_station(text).map(|code| number_of(&mut self.stations, &code));
        remember(&mut self.seen_stations, text, found.clone());
        found
    }

    fn find_station(&mut self, text: &str) -> Result<StationCode, Refusal> {
        if let Some(code) = self.known.station.as_ref().filter(|_| text.is_empty()) {
            return Ok(code.clone());
        }
        let by_name = || self.known.known_as.get(&text.to_lowercase());
        if let Some(code) = self.known.stations.get(text).or_else(by_name) {
            return Ok(code.clone());
        }
        let unknown = |detail| Err(refusal(Reason::UnknownStation, detail));
        let code = match StationCode::new(text) {
            Ok(code) => code,
            Err(error) => return unknown(format!("station: {error}")),
        };
        if !self.known.create {
            let near = nearest(text, self.known.stations.keys().map(String::as_str));
            let detail = format!("station: there is no `{code}`{near}; --create makes it");
            return unknown(detail);
        }
        if NEW_STATIONS_MAX <= self.stations.len() {
            let detail = format!(
                "station: the file names more than {NEW_STATIONS_MAX}; is this the right column?"
            );
            return unknown(detail);
        }
        self.known.stations.insert(text.to_owned(), code.clone());
        self.new_stations.push(code.clone());
        Ok(code)
    }

    fn measure(&mut self, name: &str, unit: &str) -> Result<Option<Measure>, Refusal> {
        if let Some(found) = self.seen_measures.get(name).and_then(|units| units.get(unit)) {
            return found.clone();
        }
        let found = self.find_measure(name, unit);
        if self.seen_measures.len() < SEEN_MAX {
            remember(self.seen_measures.entry(name.to_owned()).or_default(), unit, found.clone());
        }
        found
    }

    fn find_measure(&mut self, name: &str, stated: &str) -> Result<Option<Measure>, Refusal> {
        let (code, default) = match self.known.names.get(name) {
            Some(Meaning::LeftOut) => return Ok(None),
            Some(Meaning::Parameter(code, unit)) => (code.as_str(), unit.as_deref()),
            Some(Meaning::New(new)) => (new.parameter.code.as_str(), new.unit.as_deref()),
            None => (name, None),
        };
        let ours = self.known.parameters.iter().find(|parameter| parameter.code.as_str() == code);
        let Some(ours) = ours else { return Err(self.unknown_parameter(name, code)) };
        // UCUM's name for a number without a unit.
        let stated = if stated == "1" { "" } else { stated };
        let stated = if stated.is_empty() { default.unwrap_or("") } else { stated };
        let conversion = match unit::between(stated, &ours.unit) {
            _ if stated == ours.unit => Conversion::NONE,
            Some(conversion) => conversion,
            None => return Err(self.wrong_unit(name, stated, ours)),
        };
        let parameter = number_of(&mut self.parameters, &ours.code.clone());
        Ok(Some(Measure { parameter, conversion }))
    }

    fn unknown_parameter(&self, name: &str, code: &str) -> Refusal {
        let shown = shorten(name);
        let detail = if name == code {
            let ours = self.known.parameters.iter().map(|parameter| parameter.code.as_str());
            let near = nearest(name, ours.chain(self.known.names.keys().map(String::as_str)));
            format!("parameter: `{shown}` is unknown{near}; name it in a table of --parameters")
        } else {
            format!(
                "parameter: `{shown}` is `{code}` by the table, which the registry does not have; --create makes what the table brings"
            )
        };
        refusal(Reason::UnknownParameter, detail)
    }

    fn wrong_unit(&self, name: &str, stated: &str, ours: &Parameter) -> Refusal {
        let (name, code, unit) = (shorten(name), &ours.code, &ours.unit);
        let cause = match (stated, unit::measures(stated)) {
            ("", _) => "no unit is said".to_owned(),
            (_, None) => {
                let near = nearest(stated, unit::spellings());
                format!("`{}` is no unit that is known{near}", shorten(stated))
            }
            (_, Some(what)) => {
                let fits = self
                    .known
                    .parameters
                    .iter()
                    .filter(|p| unit::between(stated, &p.unit).is_some());
                let fits: Vec<&str> = fits.map(|p| p.code.as_str()).take(3).collect();
                let is = if fits.is_empty() {
                    String::new()
                } else {
                    format!("; is it {}?", fits.join(" or "))
                };
                format!("`{}` is a unit of {what}{is}", shorten(stated))
            }
        };
        let detail = format!("unit: {cause} ({name} is taken as {code}, which is in `{unit}`)");
        refusal(Reason::WrongUnit, detail)
    }

    fn flag(&mut self, text: &str) -> Result<Flag, Refusal> {
        if let Some(found) = self.seen_flags.get(text) {
            return found.clone();
        }
        let first = text.split([' ', '[', '(']).next().unwrap_or(text);
        let known = self.known.flags.get(text).or_else(|| self.known.flags.get(first));
        let found = known.copied().ok_or_else(|| {
            let detail = format!(
                "source_flag: `{}` is in no table; name it in one of --flags",
                shorten(text)
            );
            refusal(Reason::UnknownStatus, detail)
        });
        remember(&mut self.seen_flags, text, found.clone());
        found
    }
}

fn remember<T>(seen: &mut FxHashMap<String, T>, text: &str, found: T) {
    if seen.len() < SEEN_MAX {
        seen.insert(text.to_owned(), found);
    }
}

fn number_of<C: PartialEq + Clone>(all: &mut Vec<C>, code: &C) -> u32 {
    let at = all.iter().position(|known| known == code).unwrap_or_else(|| {
        all.push(code.clone());
        all.len() - 1
    });
    u32::try_from(at).expect("codes are rows of the registry")
}

fn number(text: &str) -> Result<Option<f64>, Refusal> {
    if MISSING.contains(&text) {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        let hint = if text.contains(',') { "; the decimal point is a point" } else { "" };
        let detail = format!("value: `{}` is not a number{hint}", shorten(text));
        refusal(Reason::NotANumber, detail)
    })
}

fn nearest<'a>(name: &str, of: impl Iterator<Item = &'a str>) -> String {
    let near = |other: &str| strsim::jaro_winkler(name, other);
    match of.max_by(|a, b| near(a).total_cmp(&near(b))).filter(|best| 0.8 < near(best)) {
        Some(best) => format!("; did you mean `{best}`?"),
        None => String::new(),
    }
}

/// What is said of a text is short, however long it is.
fn shorten(text: &str) -> Arc<str> {
    text.chars().take(64).collect::<String>().into()
}

fn refusal(reason: Reason, detail: String) -> Refusal {
    Refusal { reason, detail }
}
