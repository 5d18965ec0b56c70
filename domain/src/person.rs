//! Who has to know. A duty says which alerts concern a person, and over which channel.

use crate::{ChannelKind, PersonId, RuleCode, StationCode};

/// The language, and on a phone the alphabet, that a person reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// Vietnamese with its marks (an SMS of 70 characters a part).
    Vietnamese,
    /// Vietnamese without marks (an SMS of 160 characters a part, any phone).
    VietnameseUnmarked,
    /// English.
    English,
}

/// A person of the roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Its key.
    pub id: PersonId,
    /// The name as written in a message.
    pub name: String,
    /// Phone number in E.164, as `+84901234567`.
    pub phone: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// What the person reads.
    pub language: Language,
}

/// A duty: this person is told of alerts of these rules at these stations over this channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duty {
    /// Who.
    pub person: PersonId,
    /// Which rule; every rule when `None`.
    pub rule: Option<RuleCode>,
    /// Which station; every station when `None`.
    pub station: Option<StationCode>,
    /// Over which channel.
    pub channel: ChannelKind,
    /// From this level of the rule up (0 the lowest).
    pub from_level: u8,
}
