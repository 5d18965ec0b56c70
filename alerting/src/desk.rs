//! The desk: one verdict about water and the alert that is open on it become one decision about people, with its
//! reason. Pure: no clock, no roster, no store. Only surely safe water clears; silence never does; a backlog is
//! reported as the past it is.
//!
//! | verdict | nothing open | open, in contact | open, contact lost |
//! |---|---|---|---|
//! | exceeds, higher level | raise | worsen | worsen |
//! | exceeds, same level | raise | hold | found |
//! | exceeds, lower level | raise | ease | ease |
//! | surely safe | hold | clear | clear |
//! | unknown | hold | lost | hold |
//! | exceeded, in a backlog | backlog | backlog unless the open alert covers it | the same |
//! | anything else in a backlog | hold | hold | hold |
//! | nobody watches any more | hold | withdraw | withdraw |

use domain::{Alert, AlertState, EventKind, Verdict, Water, Why};

/// What the desk does about a verdict, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Opens an alert.
    Raise(Because),
    /// The open alert rises to a higher level.
    Worsen(Because),
    /// The open alert falls to a lower level, still exceeding.
    Ease(Because),
    /// Nobody can say any more whether the alert holds.
    Lost(Because),
    /// The station speaks again, and the alert holds.
    Found(Because),
    /// Good readings below the clear level close the alert.
    Clear(Because),
    /// An exceedance of the past is reported as such: an alert that is born cleared.
    Backlog(Because),
    /// Nobody watches any more: the open alert ends, and nothing is said about the water.
    Withdraw(Because),
    /// Nothing new for anybody.
    Hold(Because),
}

/// Why the desk decided so, from a closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Because {
    /// Good readings reached a limit and no alert was open.
    CrossedTheLimit,
    /// Good readings reached a higher level.
    HigherLevel,
    /// Good readings fell to a lower level.
    LowerLevel,
    /// No good reading for two intervals.
    NoGoodReading,
    /// Good readings again, still at the level of the alert.
    SpeaksAgain,
    /// Good readings below the clear level.
    BackToSafe,
    /// A backlog holds an exceedance that nobody was told of.
    FoundInBacklog,
    /// The open alert stands at this level already.
    SameLevel,
    /// Contact was lost before, and that was told.
    LostAlready,
    /// No alert is open, and this raises none.
    NothingOpen,
    /// The backlog tells of a time and a level that the open alert covers.
    CoveredByOpen,
    /// A backlog neither clears nor silences anything.
    BacklogSaysNothing,
    /// The rule is no longer in the book.
    RuleRemoved,
    /// The rule no longer watches this parameter at this station.
    NotWatched,
    /// The rule cannot be computed any more.
    RuleUnusable,
}

impl Because {
    /// Every reason there is.
    pub const ALL: [Self; 15] = [
        Self::CrossedTheLimit,
        Self::HigherLevel,
        Self::LowerLevel,
        Self::NoGoodReading,
        Self::SpeaksAgain,
        Self::BackToSafe,
        Self::FoundInBacklog,
        Self::SameLevel,
        Self::LostAlready,
        Self::NothingOpen,
        Self::CoveredByOpen,
        Self::BacklogSaysNothing,
        Self::RuleRemoved,
        Self::NotWatched,
        Self::RuleUnusable,
    ];

    /// The reason as logs, counters, the ledger and the API write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CrossedTheLimit => "crossed_the_limit",
            Self::HigherLevel => "higher_level",
            Self::LowerLevel => "lower_level",
            Self::NoGoodReading => "no_good_reading",
            Self::SpeaksAgain => "speaks_again",
            Self::BackToSafe => "back_to_safe",
            Self::FoundInBacklog => "found_in_backlog",
            Self::SameLevel => "same_level",
            Self::LostAlready => "lost_already",
            Self::NothingOpen => "nothing_open",
            Self::CoveredByOpen => "covered_by_open",
            Self::BacklogSaysNothing => "backlog_says_nothing",
            Self::RuleRemoved => "rule_removed",
            Self::NotWatched => "not_watched",
            Self::RuleUnusable => "rule_unusable",
        }
    }
}

impl Decision {
    /// The event that the decision adds to an alert; none for a hold.
    #[must_use]
    pub const fn event(self) -> Option<EventKind> {
        match self {
            Self::Raise(_) => Some(EventKind::Raised),
            Self::Worsen(_) => Some(EventKind::Worsened),
            Self::Ease(_) => Some(EventKind::Eased),
            Self::Lost(_) => Some(EventKind::Lost),
            Self::Found(_) => Some(EventKind::Found),
            Self::Clear(_) => Some(EventKind::Cleared),
            Self::Backlog(_) => Some(EventKind::Backlog),
            Self::Withdraw(_) => Some(EventKind::Withdrawn),
            Self::Hold(_) => None,
        }
    }

    /// Why.
    #[must_use]
    pub const fn because(self) -> Because {
        match self {
            Self::Raise(why)
            | Self::Worsen(why)
            | Self::Ease(why)
            | Self::Lost(why)
            | Self::Found(why)
            | Self::Clear(why)
            | Self::Backlog(why)
            | Self::Withdraw(why)
            | Self::Hold(why) => why,
        }
    }
}

/// Decides what `verdict` means for the people told of `open`, the alert that is open for its rule and station.
#[must_use]
pub fn decide(open: Option<&Alert>, verdict: &Verdict) -> Decision {
    match (verdict.why, verdict.water) {
        (Why::FoundInBacklog, Water::Exceed(level)) => past(open, verdict, level),
        (Why::FoundInBacklog, _) => Decision::Hold(Because::BacklogSaysNothing),
        (Why::RuleRemoved, _) => unwatched(open, Because::RuleRemoved),
        (Why::NotWatched, _) => unwatched(open, Because::NotWatched),
        (Why::RuleUnusable, _) => unwatched(open, Because::RuleUnusable),
        (_, Water::Exceed(level)) => over(open, level),
        (_, Water::Unknown) => silent(open),
        (_, Water::Safe) => safe(open, verdict),
    }
}

fn over(open: Option<&Alert>, level: u8) -> Decision {
    match open {
        None => Decision::Raise(Because::CrossedTheLimit),
        Some(alert) if alert.level < level => Decision::Worsen(Because::HigherLevel),
        Some(alert) if level < alert.level => Decision::Ease(Because::LowerLevel),
        Some(alert) if contact_lost(alert) => Decision::Found(Because::SpeaksAgain),
        Some(_) => Decision::Hold(Because::SameLevel),
    }
}

fn silent(open: Option<&Alert>) -> Decision {
    match open {
        None => Decision::Hold(Because::NothingOpen),
        Some(alert) if contact_lost(alert) => Decision::Hold(Because::LostAlready),
        Some(_) => Decision::Lost(Because::NoGoodReading),
    }
}

fn safe(open: Option<&Alert>, verdict: &Verdict) -> Decision {
    match open {
        Some(_) if verdict.surely_safe() => Decision::Clear(Because::BackToSafe),
        _ => Decision::Hold(Because::NothingOpen),
    }
}

fn unwatched(open: Option<&Alert>, because: Because) -> Decision {
    match open {
        Some(_) => Decision::Withdraw(because),
        None => Decision::Hold(Because::NothingOpen),
    }
}

/// An alert that was open when the water of the backlog flowed, at that level or a higher one, has told it already.
fn past(open: Option<&Alert>, verdict: &Verdict, level: u8) -> Decision {
    let flowed = verdict.taken_at.unwrap_or(verdict.since);
    match open {
        Some(alert) if alert.raised_at <= flowed && level <= alert.level => {
            Decision::Hold(Because::CoveredByOpen)
        }
        _ => Decision::Backlog(Because::FoundInBacklog),
    }
}

/// Is the newest word about the water of this alert that nobody can say?
#[must_use]
pub fn contact_lost(alert: &Alert) -> bool {
    let about_water = |kind: &EventKind| *kind != EventKind::Acknowledged;
    alert.state != AlertState::Cleared
        && alert.events.iter().map(|event| event.kind).rfind(about_water) == Some(EventKind::Lost)
}

/// How loud an event is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// Over every channel of everybody's duties: phones ring.
    Loud,
    /// In writing only: by e-mail, also to those whose duty is SMS and whose e-mail address is known. For the past,
    /// and for what would otherwise ring a phone all night when a station's link comes and goes.
    Quiet,
    /// To nobody: the person who acted knows.
    Silent,
}

/// How loud the newest event of `alert`, of this kind, is told. A station that comes and goes rings once per alert.
#[must_use]
pub fn voice(alert: &Alert, kind: EventKind) -> Voice {
    let times = |kind| alert.events.iter().filter(|event| event.kind == kind).count();
    match kind {
        // Who was told to keep the gate shut has to hear that nobody watches any more.
        EventKind::Raised
        | EventKind::Worsened
        | EventKind::Eased
        | EventKind::Cleared
        | EventKind::Withdrawn => Voice::Loud,
        EventKind::Lost if times(EventKind::Lost) <= 1 => Voice::Loud,
        EventKind::Lost | EventKind::Found | EventKind::Backlog => Voice::Quiet,
        EventKind::Acknowledged => Voice::Silent,
    }
}

#[cfg(test)]
mod tests;
