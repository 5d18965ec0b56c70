//! Who is next, and when it stops. A fold over facts that others keep: who was offered the image, what each station said
//! of it, when it was heard last. Asked as often as anybody likes; what it wants is done once, because what was done is
//! a fact the next time.
//!
//! A ring is done when enough of it is *healthy*: it has sent a reading when it ran the new version for the soak time
//! or longer, and is not silent. A roll-out halts at the moment in which a ring that has begun cannot become healthy any
//! more, because too many of it are *bad*: they said that they failed, or fell silent after they began to install.

use std::time::Duration;

use domain::{FirmwareFault, StationCode, Timestamp};

use crate::rings::RING_SHARES;

/// What a roll-out asks of its rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// A station runs the new version for so long before it counts as healthy.
    pub soak: Duration,
    /// A station is silent when it was not heard for so long after it began to install …
    pub silent_after: Duration,
    /// … and for so many of its own intervals.
    pub silent_intervals: u32,
    /// So many of a hundred stations of a ring have to be healthy.
    pub healthy_percent: u8,
}

/// A station of a roll-out, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Which.
    pub station: StationCode,
    /// Its ring, from 0.
    pub ring: u8,
    /// Its usual interval.
    pub interval: Duration,
    /// When it was offered the image.
    pub offered_at: Option<Timestamp>,
    /// When it said that it will install it.
    pub installing_at: Option<Timestamp>,
    /// When it said that it runs this version.
    pub running_at: Option<Timestamp>,
    /// What it said went wrong.
    pub failed: Option<FirmwareFault>,
    /// Somebody looked at it and went on without it.
    pub excused: bool,
    /// When a reading of it came last.
    pub heard_at: Option<Timestamp>,
}

/// What is wrong with a station.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    /// It said so.
    Failed(FirmwareFault),
    /// It says nothing any more.
    Silent,
}

impl Bad {
    /// The word in book, logs and API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed(fault) => fault.as_str(),
            Self::Silent => "silent",
        }
    }
}

/// Why a roll-out halts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The ring that cannot become healthy.
    pub ring: u8,
    /// Who is bad, of all rings.
    pub bad: Vec<(StationCode, Bad)>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Offer the image to these.
    Offer(Vec<StationCode>),
    /// The next ring begins.
    Next(u8),
    /// Nobody else is offered the image, and who has not begun to install it no longer is.
    Halt(Stop),
    /// Every ring is healthy.
    Done,
}

/// What is wrong with a station, if anything. Nobody is silent while we slept: `awake_since` is when we began to listen.
#[must_use]
pub fn bad(member: &Member, terms: &Terms, awake_since: Timestamp, now: Timestamp) -> Option<Bad> {
    if let Some(fault) = member.failed {
        return Some(Bad::Failed(fault));
    }
    let began = member.installing_at.or(member.running_at)?;
    let last = began.max(member.heard_at.unwrap_or(began)).max(awake_since);
    let patience = terms.silent_after.max(member.interval * terms.silent_intervals);
    (patience < now.since(last)).then_some(Bad::Silent)
}

/// Is the new version in it, and well?
#[must_use]
pub fn is_healthy(member: &Member, terms: &Terms, awake_since: Timestamp, now: Timestamp) -> bool {
    let soaked = member.running_at.map(|running| running + terms.soak);
    // A reading from before the end of the soak would make one well that fell silent during it.
    soaked.zip(member.heard_at).is_some_and(|(soaked, heard)| soaked <= heard)
        && bad(member, terms, awake_since, now).is_none()
}

/// How many stations of a ring of this size have to be healthy.
#[must_use]
pub fn required(terms: &Terms, size: usize) -> usize {
    (size * usize::from(terms.healthy_percent.min(100))).div_ceil(100)
}

/// What is to be done now, where `ring` is the one that has begun last. While it does not `go` on, because somebody
/// paused it, it still halts.
#[must_use]
pub fn decide(
    now: Timestamp,
    awake_since: Timestamp,
    (ring, goes): (u8, bool),
    terms: &Terms,
    members: &[Member],
) -> Option<Action> {
    let of = |ring: u8| members.iter().filter(move |m| m.ring == ring && !m.excused);
    let is_bad = |member: &&Member| bad(member, terms, awake_since, now).is_some();
    let lost = (0..=ring).find(|&ring| {
        let size = of(ring).count();
        size - required(terms, size) < of(ring).filter(is_bad).count()
    });
    if let Some(lost) = lost {
        let all = members.iter().filter(|member| !member.excused && member.ring <= ring);
        let why = |m: &Member| Some((m.station.clone(), bad(m, terms, awake_since, now)?));
        return Some(Action::Halt(Stop { ring: lost, bad: all.filter_map(why).collect() }));
    }
    if !goes {
        return None;
    }
    let waiting =
        members.iter().filter(|member| member.ring <= ring && member.offered_at.is_none());
    let waiting = waiting.filter(|m| !m.excused && m.running_at.is_none() && m.failed.is_none());
    let waiting: Vec<StationCode> = waiting.map(|member| member.station.clone()).collect();
    if !waiting.is_empty() {
        return Some(Action::Offer(waiting));
    }
    let healthy = of(ring).filter(|member| is_healthy(member, terms, awake_since, now)).count();
    if healthy < required(terms, of(ring).count()) {
        return None;
    }
    match ring + 1 {
        next if usize::from(next) < RING_SHARES.len() => Some(Action::Next(next)),
        _ => Some(Action::Done),
    }
}

#[cfg(test)]
mod tests;
