//! One event of the water, told to people: opened once, one id for life, and everything that happened to it in order.

use std::fmt;

use crate::{ParameterCode, RuleCode, StationCode, Timestamp};

/// An alert's id: the rule, the station and the journal position that raised it, so that the same event found again
/// after a restart gets the same id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AlertId(String);

impl AlertId {
    /// The id of the alert that `rule` raised at `station` for the record at journal position `at`.
    #[must_use]
    pub fn raised(rule: &RuleCode, station: &StationCode, at: u64) -> Self {
        Self(format!("{rule}.{station}.{at}"))
    }

    /// An id read back from a store or a path.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AlertState {
    /// Raised, and nobody has answered.
    Open,
    /// Somebody answered; the water is still over the limit or unknown.
    Acknowledged,
    /// Good readings stand below the clear level.
    Cleared,
}

impl AlertState {
    /// The state as the API writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Cleared => "cleared",
        }
    }
}

/// What happened to an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// It was raised.
    Raised,
    /// It rose to a higher level.
    Worsened,
    /// It fell to a lower level, still exceeding.
    Eased,
    /// The station fell silent: nobody can say whether it still holds.
    Lost,
    /// The station speaks again and it still holds.
    Found,
    /// A person answered.
    Acknowledged,
    /// Good readings cleared it.
    Cleared,
    /// A backlog held an exceedance of the past.
    Backlog,
    /// The alert ended because nobody watches any more, which says nothing about the water.
    Withdrawn,
}

impl EventKind {
    /// Every kind there is.
    pub const ALL: [Self; 9] = [
        Self::Raised,
        Self::Worsened,
        Self::Eased,
        Self::Lost,
        Self::Found,
        Self::Acknowledged,
        Self::Cleared,
        Self::Backlog,
        Self::Withdrawn,
    ];

    /// The kind as the API and the ledger write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Worsened => "worsened",
            Self::Eased => "eased",
            Self::Lost => "lost",
            Self::Found => "found",
            Self::Acknowledged => "acknowledged",
            Self::Cleared => "cleared",
            Self::Backlog => "backlog",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// One entry of an alert's life.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertEvent {
    /// What happened.
    pub kind: EventKind,
    /// When, by our clock.
    pub at: Timestamp,
    /// The value it was decided on, in the parameter's unit.
    pub value: Option<f64>,
    /// When that value was taken.
    pub taken_at: Option<Timestamp>,
    /// The limit it was decided against, in the parameter's unit.
    pub limit: Option<f64>,
    /// The reason that the decision returned, or the note of the person who acknowledged.
    pub why: String,
    /// Who, where a person acted.
    pub by: Option<String>,
}

/// An alert with its whole life.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// One id for life.
    pub id: AlertId,
    /// The rule that raised it.
    pub rule: RuleCode,
    /// Where.
    pub station: StationCode,
    /// On what.
    pub parameter: ParameterCode,
    /// The level of the rule it stands at (the highest it last reached; 0 the lowest).
    pub level: u8,
    /// Where it stands.
    pub state: AlertState,
    /// When it was raised.
    pub raised_at: Timestamp,
    /// When it was cleared.
    pub cleared_at: Option<Timestamp>,
    /// Everything that happened to it, oldest first.
    pub events: Vec<AlertEvent>,
}
