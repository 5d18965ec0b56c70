//! Why something a station said is not believed. The list is closed: each reason is a counter, a log field, an answer
//! on the wire and a column of the dead-letter store.

use std::fmt;

/// A reason from the closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The bytes are not the format they claim.
    Malformed,
    /// The check that came with the bytes is not that of these bytes.
    BadChecksum,
    /// More bytes than a report may have.
    TooLarge,
    /// A report with no values, or more than a report may have.
    BadCount,
    /// A time that cannot be read.
    BadTime,
    /// A time without an offset: it could be any of 24 instants.
    NoOffset,
    /// A time before the station could have existed, as a clock that lost its battery says (1970).
    TooOld,
    /// A time after now, by more than a clock may be wrong.
    InFuture,
    /// A field that neither the profile nor the parameter table knows.
    UnknownParameter,
    /// A unit is stated and it is not the parameter's.
    WrongUnit,
    /// The same parameter twice in one report.
    RepeatedParameter,
    /// Not a finite number, or larger than any sensor's.
    NotANumber,
    /// A status that is not on the list.
    UnknownStatus,
    /// A topic that is not the station's own, or not one it may publish.
    ForeignTopic,
    /// Somebody else's broker or gateway speaks of a station that is not in the registry.
    UnknownStation,
    /// A Sparkplug message that leans on a birth that was not heard.
    NoBirth,
    /// Bytes that no layout of the station's profile speaks of: it has none, or none for this port.
    NoLayout,
}

impl Reason {
    /// Every reason there is.
    pub const ALL: [Self; 17] = [
        Self::Malformed,
        Self::BadChecksum,
        Self::TooLarge,
        Self::BadCount,
        Self::BadTime,
        Self::NoOffset,
        Self::TooOld,
        Self::InFuture,
        Self::UnknownParameter,
        Self::WrongUnit,
        Self::RepeatedParameter,
        Self::NotANumber,
        Self::UnknownStatus,
        Self::ForeignTopic,
        Self::UnknownStation,
        Self::NoBirth,
        Self::NoLayout,
    ];

    /// The reason as counters and stores write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::BadChecksum => "bad_checksum",
            Self::TooLarge => "too_large",
            Self::BadCount => "bad_count",
            Self::BadTime => "bad_time",
            Self::NoOffset => "no_offset",
            Self::TooOld => "too_old",
            Self::InFuture => "in_future",
            Self::UnknownParameter => "unknown_parameter",
            Self::WrongUnit => "wrong_unit",
            Self::RepeatedParameter => "repeated_parameter",
            Self::NotANumber => "not_a_number",
            Self::UnknownStatus => "unknown_status",
            Self::ForeignTopic => "foreign_topic",
            Self::UnknownStation => "unknown_station",
            Self::NoBirth => "no_birth",
            Self::NoLayout => "no_layout",
        }
    }

    /// The reason with this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refusal: the reason, and a sentence that a technician at the station understands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why, from the closed list.
    pub reason: Reason,
    /// What exactly, as `values.salinty: unknown parameter; did you mean salinity?`.
    pub detail: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_one_name() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(reason));
        }
    }
}
