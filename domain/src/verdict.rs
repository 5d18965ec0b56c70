//! What the readings mean for the water. Three answers, never two: exceed, safe, unknown.

use std::fmt;

use crate::{ParameterCode, RuleCode, StationCode, Timestamp};

/// The state of the water under one rule at one station.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Water {
    /// No good reading for two intervals, or none yet that held: nobody can say.
    Unknown,
    /// Good readings stand below the lowest level's clear limit, or never reached its limit.
    Safe,
    /// Good readings reached this level (an index into the rule's levels, 0 the lowest).
    Exceed(u8),
}

/// Why the state changed, from a closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// The first good reading after the start, or after silence.
    FirstReading,
    /// Good readings rose to a higher level and held.
    Rose,
    /// Good readings fell below a level's clear limit and held, still above the lowest.
    Fell,
    /// Good readings fell below the lowest clear limit and held.
    BackToSafe,
    /// No good reading for two intervals.
    WentSilent,
    /// A backlog holds an exceedance of the past: reported as such, never as now.
    FoundInBacklog,
    /// The rule is no longer in the book: nobody watches any more.
    RuleRemoved,
    /// The rule is there, and no longer watches this parameter at this station.
    NotWatched,
    /// The rule cannot be computed: it names what is not in the book, or a limit that no good reading reaches.
    RuleUnusable,
}

impl Why {
    /// The reason as logs, counters and the API write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirstReading => "first_reading",
            Self::Rose => "rose",
            Self::Fell => "fell",
            Self::BackToSafe => "back_to_safe",
            Self::WentSilent => "went_silent",
            Self::FoundInBacklog => "found_in_backlog",
            Self::RuleRemoved => "rule_removed",
            Self::NotWatched => "not_watched",
            Self::RuleUnusable => "rule_unusable",
        }
    }

    /// The reason with this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::FirstReading,
            Self::Rose,
            Self::Fell,
            Self::BackToSafe,
            Self::WentSilent,
            Self::FoundInBacklog,
            Self::RuleRemoved,
            Self::NotWatched,
            Self::RuleUnusable,
        ]
        .into_iter()
        .find(|why| why.as_str() == text)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A change of the water's state under one rule at one station, with its evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The rule that spoke.
    pub rule: RuleCode,
    /// Where.
    pub station: StationCode,
    /// On what.
    pub parameter: ParameterCode,
    /// The state now; of an exceedance found in a backlog the level it had reached then, while the state now is still
    /// `before`.
    pub water: Water,
    /// The state before.
    pub before: Water,
    /// The limit of the level reached, in the parameter's unit; `None` unless exceeding.
    pub limit: Option<f64>,
    /// The newest good value, in the parameter's unit; of an exceedance found in a backlog its first.
    pub value: Option<f64>,
    /// When that value was taken.
    pub taken_at: Option<Timestamp>,
    /// Since when, in event time, the state holds.
    pub since: Timestamp,
    /// When this was judged (the `now` of the step).
    pub judged_at: Timestamp,
    /// Why it changed.
    pub why: Why,
}

impl Verdict {
    /// Good readings below the clear level: the only thing that clears an alert.
    #[must_use]
    pub fn surely_safe(&self) -> bool {
        self.water == Water::Safe && self.why != Why::FoundInBacklog
    }
    /// The state that stands now. What was found in a backlog does not change it.
    #[must_use]
    pub fn water_now(&self) -> Water {
        if self.why == Why::FoundInBacklog { self.before } else { self.water }
    }
}
