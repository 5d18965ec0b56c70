//! What the portal asks of the other rooms, in shapes made for showing. Pages and the API are written against this
//! one trait; [`crate::Rooms`] answers it from history, registry and alerting, and tests answer it from memory.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use domain::{
    Aggregation, Alert, AlertId, Edit, Edits, Every, Flag, Layer, Notice, Parameter, ParameterCode,
    Place, Rule, RuleCode, Shown, Station, StationCode, Timestamp, Water, Why,
};
use futures_util::future::BoxFuture;
use history::{Available, Group, Rhythm, Spread, Tested};

use crate::words::Lang;

/// An answer that may take a while.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Trouble>>;

/// Another room did not answer.
#[derive(Debug, thiserror::Error)]
#[error("{room} did not answer")]
pub struct Trouble {
    room: &'static str,
    #[source]
    source: Box<dyn Error + Send + Sync>,
}

impl Trouble {
    /// Which room, and what it said.
    pub fn new(room: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { room, source: source.into() }
    }
}

/// What a line on the map is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// A river or one of its branches.
    River,
    /// A canal.
    Canal,
    /// The line of the coast.
    Coast,
}

/// A line on the map.
#[derive(Debug, Clone, PartialEq)]
pub struct River {
    /// Its key, which stations name.
    pub code: String,
    /// What it is.
    pub course: Course,
    /// Its name as people say it.
    pub name: String,
    /// The same in English.
    pub name_en: String,
    /// From the mouth up.
    pub line: Vec<Place>,
}

/// A limit of a rule, as a line on a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// In the parameter's unit.
    pub limit: f64,
    /// The rule's level, 0 the lowest.
    pub level: u8,
    /// How many levels the rule has.
    pub of: u8,
    /// The rule's name.
    pub rule: String,
}

/// The province's book: everything that changes rarely, read together.
#[derive(Debug, Clone, Default)]
pub struct Book {
    /// By code.
    pub stations: Vec<Station>,
    /// By code.
    pub parameters: Vec<Parameter>,
    /// In the order they are drawn.
    pub rivers: Vec<River>,
    /// Threshold rules.
    pub rules: Vec<Rule>,
    /// What people changed of what was measured, by station; of each in the order of their numbers.
    pub edits: HashMap<StationCode, Vec<Edit>>,
}

impl Book {
    /// The station with this code.
    #[must_use]
    pub fn station(&self, code: &str) -> Option<&Station> {
        self.stations.iter().find(|station| station.code.as_str() == code)
    }

    /// The parameter with this code.
    #[must_use]
    pub fn parameter(&self, code: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.code.as_str() == code)
    }

    /// The rule with this code.
    #[must_use]
    pub fn rule(&self, code: &RuleCode) -> Option<&Rule> {
        self.rules.iter().find(|rule| &rule.code == code)
    }

    /// The edits of a series, for a reader who wants these layers.
    #[must_use]
    pub fn edits_of(
        &self,
        station: &StationCode,
        parameter: &ParameterCode,
        shown: Shown,
    ) -> Edits {
        let edited = self.edits.contains_key(station);
        let own = self.edits.get(station).into_iter().flatten();
        let own = own.filter(|edit| &edit.parameter == parameter && shown != Shown::Raw);
        let own = Edits::new(own.cloned().collect(), shown);
        // Nothing is made again where nobody corrected anything.
        let at = edited.then(|| self.station(station.as_str())).flatten();
        let mut declared = at.into_iter().flat_map(|station| &station.profile.derived);
        match declared.find(|derived| derived.parameter() == parameter) {
            None => own,
            Some(derived) => {
                let inputs = derived.inputs().iter();
                let inputs = inputs.map(|input| self.edits_of(station, input, shown)).collect();
                own.of_inputs(derived.clone(), inputs)
            }
        }
    }

    /// The name of a river, or the word that the station used for it.
    #[must_use]
    pub fn river_name<'a>(&'a self, code: &'a str, lang: Lang) -> &'a str {
        let river = self.rivers.iter().find(|river| river.code == code);
        river.map_or(code, |river| lang.say(&river.name, &river.name_en))
    }

    /// The limits that hold for a parameter at a station, lowest first; one line for one number.
    #[must_use]
    pub fn limits(&self, station: &StationCode, parameter: &ParameterCode) -> Vec<Limit> {
        let mut limits: Vec<Limit> = self
            .rules
            .iter()
            .filter(|rule| rule.watches(station) && &rule.parameter == parameter)
            .flat_map(|rule| {
                let of = u8::try_from(rule.levels.len()).unwrap_or(u8::MAX);
                (0..of).zip(&rule.levels).map(move |(level, step)| Limit {
                    limit: step.limit,
                    level,
                    of,
                    rule: rule.name.clone(),
                })
            })
            .collect();
        limits.sort_by(|a, b| a.limit.total_cmp(&b.limit));
        limits.dedup_by(|a, b| a.limit == b.limit);
        limits
    }
}

/// The newest value of a parameter at a station.
#[derive(Debug, Clone, PartialEq)]
pub struct Latest {
    /// Where.
    pub station: StationCode,
    /// What.
    pub parameter: ParameterCode,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// When it reached us.
    pub received_at: Timestamp,
    /// In the parameter's unit.
    pub value: f64,
    /// How far it can be trusted.
    pub flag: Flag,
}

/// One stored reading of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// When it was taken.
    pub taken_at: Timestamp,
    /// In the parameter's unit; `None` when the sensor was missing.
    pub value: Option<f64>,
    /// How far it can be trusted.
    pub flag: Flag,
    /// How far it has come.
    pub layer: Layer,
}

/// The readings of one interval of a series, together. Counted are those that have a value and are neither bad nor
/// missing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// The interval's start.
    pub start: Timestamp,
    /// The smallest counted, and its first time; directions have none.
    pub min: Option<At>,
    /// The largest counted, and its first time; directions have none.
    pub max: Option<At>,
    /// The first counted.
    pub first: Option<At>,
    /// The last counted.
    pub last: Option<At>,
    /// Mean of those counted, as vectors for directions.
    pub mean: Option<f64>,
    /// Their sum, for what is added up.
    pub total: Option<f64>,
    /// How many are counted.
    pub count: u32,
    /// The worst flag of all.
    pub flag: Flag,
}

/// A side of a limit, the limit included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Beyond {
    /// At it or above.
    Above(f64),
    /// At it or below.
    Below(f64),
}

/// How long a series was beyond a limit in one interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spells {
    /// The interval's start.
    pub start: Timestamp,
    /// How long it was.
    pub beyond: Duration,
    /// Of how long that is known.
    pub known: Duration,
    /// How often.
    pub spells: u32,
    /// How long without a break.
    pub longest: Duration,
}

/// A value and when it was taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct At {
    /// The value.
    pub value: f64,
    /// Its time.
    pub taken_at: Timestamp,
}

/// Which readings: of one parameter at one station, `from` included, `to` excluded.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// Where.
    pub station: StationCode,
    /// What.
    pub parameter: ParameterCode,
    /// The first instant.
    pub from: Timestamp,
    /// The first instant after.
    pub to: Timestamp,
    /// What was known then; `None`: what is known now.
    pub as_of: Option<Timestamp>,
    /// What people changed of it, and which layers are wanted.
    pub edits: Edits,
}

/// How the water stands under one rule at one station.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The rule.
    pub rule: RuleCode,
    /// Where.
    pub station: StationCode,
    /// On what.
    pub parameter: ParameterCode,
    /// The state.
    pub water: Water,
    /// The limit of the level reached; `None` unless exceeding.
    pub limit: Option<f64>,
    /// The newest good value.
    pub value: Option<f64>,
    /// When it was taken.
    pub taken_at: Option<Timestamp>,
    /// Since when the state holds, in event time; `None` before the first answer.
    pub since: Option<Timestamp>,
    /// Why it came to be; `None` before the first answer.
    pub why: Option<Why>,
}

/// How far a notice has come.
#[derive(Debug, Clone, PartialEq)]
pub enum Delivery {
    /// Not handed over yet.
    Waiting {
        /// How often it was tried.
        attempts: u32,
        /// When it is tried next.
        next_at: Option<Timestamp>,
        /// What the last try said.
        last_error: Option<String>,
    },
    /// The mail server or the SMSC took it.
    HandedOver {
        /// When.
        at: Timestamp,
    },
    /// A receipt came.
    Delivered {
        /// When.
        at: Timestamp,
    },
    /// Nobody will get it.
    GivenUp {
        /// When that was decided.
        at: Timestamp,
        /// Why.
        why: String,
    },
}

/// A notice and how far it has come.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// The message.
    pub notice: Notice,
    /// Its way.
    pub delivery: Delivery,
}

/// What a user of the portal may do. Each role may do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads what is not public.
    Viewer,
    /// Acknowledges alerts.
    Operator,
    /// Manages the province's book.
    Admin,
}

impl Role {
    /// The role as the API writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// Somebody with an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name used to sign in.
    pub name: String,
    /// What the user may do.
    pub role: Role,
}

/// Only the hash of a session's id is stored: who reads the registry cannot take over a session.
pub type SessionHash = [u8; 32];

/// Everything that pages and the API read, and the two things that people may do: sign in, and answer an alert.
pub trait View: Send + Sync + 'static {
    /// Stations, parameters, rivers and rules as they stand now.
    fn book(&self) -> Answer<'_, Arc<Book>>;
    /// The newest value of every parameter at every station.
    fn latest(&self) -> Answer<'_, Vec<Latest>>;
    /// The parameters of which a station has readings.
    fn parameters(&self, station: &StationCode) -> Answer<'_, Vec<ParameterCode>>;
    /// At most `limit` readings, oldest first.
    fn points(&self, wanted: Wanted, limit: usize) -> Answer<'_, Vec<Point>>;
    /// The readings by intervals of `every`, oldest first; intervals without any reading may be left out.
    fn buckets(
        &self,
        wanted: Wanted,
        every: Every,
        aggregation: Aggregation,
    ) -> Answer<'_, Vec<Bucket>>;

    /// How long a series was beyond a limit, by intervals, oldest first; of the time between two readings further apart
    /// than `gap_max` nothing is known.
    fn spells(
        &self,
        wanted: Wanted,
        every: Every,
        beyond: Beyond,
        gap_max: Duration,
    ) -> Answer<'_, Vec<Spells>>;
    /// How the readings of a range are spread; `None` where there are too many.
    fn spread(&self, wanted: Wanted, spread: Spread) -> Answer<'_, Option<Vec<Group>>>;
    /// What each test said of the readings of a range, as they came.
    fn test_flags(&self, wanted: Wanted) -> Answer<'_, Vec<Tested>>;
    /// How much of a series is there.
    fn availability(&self, wanted: Wanted, rhythm: Rhythm) -> Answer<'_, Available>;

    /// The same of many series, each with its own `gap_max`, in their order.
    fn spells_of(
        &self,
        wanted: Vec<(Wanted, Duration)>,
        every: Every,
        beyond: Beyond,
    ) -> Answer<'_, Vec<Vec<Spells>>> {
        Box::pin(async move {
            let mut all = Vec::with_capacity(wanted.len());
            for (wanted, gap_max) in wanted {
                all.push(self.spells(wanted, every, beyond, gap_max).await?);
            }
            Ok(all)
        })
    }
    /// How the water stands under each rule at each station.
    fn standing(&self) -> Vec<Standing>;
    /// Alerts, newest first.
    fn alerts(&self) -> Vec<Arc<Alert>>;
    /// One alert.
    fn alert(&self, id: &AlertId) -> Option<Arc<Alert>>;
    /// Somebody answers an alert; `None` when there is no such alert.
    fn acknowledge<'a>(
        &'a self,
        id: &'a AlertId,
        by: &'a str,
        note: &'a str,
    ) -> Answer<'a, Option<Arc<Alert>>>;
    /// At most `newest` notices, newest first.
    fn notices(&self, newest: usize) -> Vec<Told>;
    /// Moves with every change of an alert or a notice.
    fn changes(&self) -> tokio::sync::watch::Receiver<u64>;
    /// Name and password; `None` when they do not belong together.
    fn sign_in<'a>(&'a self, name: &'a str, password: &'a str) -> Answer<'a, Option<User>>;
    /// Remembers a session.
    fn put_session<'a>(
        &'a self,
        session: SessionHash,
        user: &'a str,
        expires: Timestamp,
    ) -> Answer<'a, ()>;
    /// Whose session this is, unless it has expired.
    fn session(&self, session: SessionHash, now: Timestamp) -> Answer<'_, Option<User>>;
    /// Forgets a session.
    fn drop_session(&self, session: SessionHash) -> Answer<'_, ()>;
    /// Writes an act into the audit log.
    fn audit<'a>(
        &'a self,
        at: Timestamp,
        who: &'a str,
        act: &'a str,
        before: &'a str,
        after: &'a str,
    ) -> Answer<'a, ()>;
}
