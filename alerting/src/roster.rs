//! Who has to know: duties, narrowed to the rule, the station and the level, each person once per channel. A duty
//! whose channel has no address falls back to the person's other address, with the reason written down.

use std::collections::HashSet;

use domain::{
    ChannelKind, Duty, Parameter, Person, PersonId, Rule, RuleCode, Station, StationCode,
};

use registry::{Registry, RegistryError};

use crate::desk::Voice;

/// What the alerting needs of the province's book, as it was when last read.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    /// The people.
    pub people: Vec<Person>,
    /// Who is told of what.
    pub duties: Vec<Duty>,
    /// The stations, for their names.
    pub stations: Vec<Station>,
    /// The rules, for their names and limits.
    pub rules: Vec<Rule>,
    /// The parameters, for their names and units.
    pub parameters: Vec<Parameter>,
}

/// One person and the way to reach them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient<'a> {
    /// Who.
    pub person: &'a Person,
    /// Over which channel.
    pub channel: ChannelKind,
    /// The phone number or the e-mail address.
    pub address: &'a str,
    /// Why this channel.
    pub way: Way,
}

/// Why a person is reached over this channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// The duty says so.
    Duty,
    /// The duty's channel has no address; this one has.
    NoAddressThere,
    /// The event is told quietly, and the duty is a loud one.
    Quietly,
}

/// Why a duty reached nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Missed {
    /// No person has that id.
    NoSuchPerson,
    /// The person has no address on any channel that fits.
    NoAddress,
    /// The event is told in writing only, and the person's duty is SMS without an e-mail address.
    QuietWithoutEmail,
}

impl Missed {
    /// The reason as logs and counters write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoSuchPerson => "no_such_person",
            Self::NoAddress => "no_address",
            Self::QuietWithoutEmail => "quiet_without_email",
        }
    }
}

/// Who is told, and which duties could not be kept.
#[derive(Debug, Default)]
pub struct Told<'a> {
    /// Each person once per channel.
    pub to: Vec<Recipient<'a>>,
    /// Duties that reached nobody.
    pub missed: Vec<(PersonId, ChannelKind, Missed)>,
}

impl Roster {
    /// Reads the roster from the province's book. Read again when the book's version has moved.
    ///
    /// # Errors
    /// [`RegistryError`] where the book cannot be read.
    pub async fn read(registry: &Registry) -> Result<Self, RegistryError> {
        Ok(Self {
            people: registry.people().await?,
            duties: registry.duties().await?,
            stations: registry.stations().await?,
            rules: registry.rules().await?,
            parameters: registry.parameters().await?,
        })
    }

    /// Who has to know of an event at `level` of `rule` at `station`, told in this voice.
    #[must_use]
    pub fn who(&self, rule: &RuleCode, station: &StationCode, level: u8, voice: Voice) -> Told<'_> {
        let mut told = Told::default();
        if voice == Voice::Silent {
            return told;
        }
        let mut seen = HashSet::new();
        for duty in self.duties.iter().filter(|duty| concerns(duty, rule, station, level)) {
            match self.reach(duty, voice) {
                Ok(to) if seen.insert((&to.person.id, to.channel)) => told.to.push(to),
                Ok(_) => {}
                Err(why) => told.missed.push((duty.person.clone(), duty.channel, why)),
            }
        }
        told
    }

    /// The station with this code.
    #[must_use]
    pub fn station(&self, code: &StationCode) -> Option<&Station> {
        self.stations.iter().find(|station| station.code == *code)
    }

    fn reach(&self, duty: &Duty, voice: Voice) -> Result<Recipient<'_>, Missed> {
        let person = self
            .people
            .iter()
            .find(|person| person.id == duty.person)
            .ok_or(Missed::NoSuchPerson)?;
        let wanted = match (voice, duty.channel) {
            (Voice::Quiet, ChannelKind::Sms) => (ChannelKind::Email, Way::Quietly),
            (_, channel) => (channel, Way::Duty),
        };
        let other = match (voice, wanted.0) {
            (Voice::Quiet, _) => None,
            (_, ChannelKind::Sms) => Some((ChannelKind::Email, Way::NoAddressThere)),
            (_, ChannelKind::Email) => Some((ChannelKind::Sms, Way::NoAddressThere)),
        };
        [Some(wanted), other]
            .into_iter()
            .flatten()
            .find_map(|(channel, way)| {
                let address = address(person, channel)?;
                Some(Recipient { person, channel, address, way })
            })
            .ok_or(match wanted.1 {
                Way::Quietly => Missed::QuietWithoutEmail,
                Way::Duty | Way::NoAddressThere => Missed::NoAddress,
            })
    }
}

fn concerns(duty: &Duty, rule: &RuleCode, station: &StationCode, level: u8) -> bool {
    duty.rule.as_ref().is_none_or(|wanted| wanted == rule)
        && duty.station.as_ref().is_none_or(|wanted| wanted == station)
        && duty.from_level <= level
}

fn address(person: &Person, channel: ChannelKind) -> Option<&str> {
    match channel {
        ChannelKind::Sms => person.phone.as_deref(),
        ChannelKind::Email => person.email.as_deref(),
    }
    .filter(|address| !address.trim().is_empty())
}

#[cfg(test)]
mod tests;
