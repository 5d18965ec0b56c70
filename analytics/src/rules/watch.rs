//! One rule at one station: what is known of the water there, since when, and what speaks against it.
//!
//! The water is unknown until the first good reading, and again after two intervals without one. While it is unknown
//! the level that was known is kept: a first reading that agrees with it gives the answer at once; one that does not
//! must hold first, and until then the water stays unknown.

use std::time::Duration;

use domain::{Admitted, Flag, Measured, Rule, StationCode, Timestamp, Verdict, Water, Why};

use super::past::Past;
use super::track::{self, Mark, Track};

/// Intervals without a good reading after which nobody can say any more (the stale rule of gate operation, DOMAIN §6.1:
/// no recommendation if the newest good reading is older than two cycles).
pub const SILENT_INTERVALS: u32 = 2;

/// A reading that took longer than this to arrive, and longer than two intervals, is from a backlog even where the
/// station does not say so. An hour is the longest that a slow link (SMS gateway, hourly modem) delays a live reading;
/// the tide makes the water another one in three.
pub const BACKLOG_AFTER: Duration = Duration::from_hours(1);

/// Where and when a watch judges.
#[derive(Clone, Copy)]
pub(super) struct Site<'a> {
    pub rule: &'a Rule,
    pub station: &'a StationCode,
    pub interval: Duration,
    pub now: Timestamp,
}

/// The newest good live reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Heard {
    pub value: f64,
    pub taken_at: Timestamp,
    pub received_at: Timestamp,
}

/// The last change of the water.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Change {
    pub why: Why,
    pub since: Timestamp,
}

/// The state of one rule at one station.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Watch {
    /// Has the station ever sent the parameter, in whatever quality?
    pub seen: bool,
    pub water: Water,
    /// `None` until the water was known for the first time.
    pub change: Option<Change>,
    pub newest: Option<Heard>,
    pub track: Track,
    pub past: Past,
}

impl Site<'_> {
    fn patience(&self) -> Duration {
        self.interval.saturating_mul(SILENT_INTERVALS)
    }

    fn is_backlog(&self, report: &Admitted) -> bool {
        let age = report.received_at.since(report.taken_at);
        report.replay || self.patience().max(BACKLOG_AFTER) < age
    }

    fn verdict(&self, before: Water, watch: &Watch, change: Change) -> Verdict {
        Verdict {
            rule: self.rule.code.clone(),
            station: self.station.clone(),
            parameter: self.rule.parameter.clone(),
            water: watch.water,
            before,
            limit: watch.limit(self.rule),
            value: watch.newest.map(|heard| heard.value),
            taken_at: watch.newest.map(|heard| heard.taken_at),
            since: change.since,
            judged_at: self.now,
            why: change.why,
        }
    }
}

impl Heard {
    /// The reading's place in time. A station's clock that runs ahead cannot push it beyond our own, so that readings
    /// still count once that clock is set right.
    pub fn at(&self) -> Timestamp {
        self.taken_at.min(self.received_at)
    }
}

impl Watch {
    /// Nothing heard yet.
    pub fn new(rule: &Rule) -> Self {
        Self {
            seen: false,
            water: Water::Unknown,
            change: None,
            newest: None,
            track: Track::new(rule.levels.len()),
            past: Past::default(),
        }
    }

    /// The limit of the level that the water stands at.
    pub fn limit(&self, rule: &Rule) -> Option<f64> {
        limit(rule, self.water)
    }

    /// Looks whether the station has been silent for too long, by our clock and by its own.
    pub fn tick(&mut self, site: &Site, out: &mut Vec<Verdict>) {
        let Some(newest) = self.newest else { return };
        let silence = site.now.since(newest.received_at).min(site.now.since(newest.at()));
        if silence <= site.patience() {
            return;
        }
        self.track.forget_pending();
        if self.water != Water::Unknown {
            let change = Change { why: Why::WentSilent, since: newest.at() };
            out.push(self.turn(site, Water::Unknown, change));
        }
    }

    /// Takes one value of a report.
    pub fn step(
        &mut self,
        site: &Site,
        report: &Admitted,
        said: &Measured,
        out: &mut Vec<Verdict>,
    ) {
        self.seen = true;
        let Some(value) = trusted(said) else { return };
        let &Admitted { taken_at, received_at, .. } = report;
        let heard = Heard { value, taken_at, received_at };
        let is_late = self.newest.is_some_and(|newest| heard.at() < newest.at());
        let verdict = if is_late || site.is_backlog(report) {
            self.step_late(site, heard)
        } else {
            self.step_live(site, heard)
        };
        out.extend(verdict);
    }

    fn step_live(&mut self, site: &Site, heard: Heard) -> Option<Verdict> {
        self.newest = Some(heard);
        let (at, reached) = (heard.at(), self.track.reached);
        let mark = Mark { at, value: heard.value };
        let began = self.track.step(&site.rule.levels, site.rule.hold, mark);
        self.past.note_live(self.track.reached, began, at);
        let can_say = self.water != Water::Unknown || began.is_some() || self.track.is_settled();
        let water = self.track.water();
        if !can_say || water == self.water {
            return None;
        }
        let why = self.why(reached);
        let since = began.map_or(at, |mark| mark.at);
        Some(self.turn(site, water, Change { why, since }))
    }

    /// The verdict says what the water reached then; the state that stands now is its `before`, and stays.
    fn step_late(&mut self, site: &Site, heard: Heard) -> Option<Verdict> {
        let mark = Mark { at: heard.at(), value: heard.value };
        let found = self.past.step(site.rule, site.patience(), mark)?;
        let change = Change { why: Why::FoundInBacklog, since: found.first.at };
        let water = track::water(found.reached);
        Some(Verdict {
            water,
            limit: limit(site.rule, water),
            value: Some(found.first.value),
            taken_at: Some(found.first.at),
            ..site.verdict(self.water, self, change)
        })
    }

    /// Why the water is what the track now says, seen from the level that was `reached` before.
    fn why(&self, reached: usize) -> Why {
        match self.track.reached {
            now if self.change.is_none() || now == reached => Why::FirstReading,
            now if reached < now => Why::Rose,
            0 => Why::BackToSafe,
            _ => Why::Fell,
        }
    }

    fn turn(&mut self, site: &Site, water: Water, change: Change) -> Verdict {
        let before = std::mem::replace(&mut self.water, water);
        self.change = Some(change);
        site.verdict(before, self, change)
    }
}

fn limit(rule: &Rule, water: Water) -> Option<f64> {
    match water {
        Water::Exceed(level) => rule.levels.get(usize::from(level)).map(|level| level.limit),
        Water::Safe | Water::Unknown => None,
    }
}

/// The value, if it may speak.
fn trusted(said: &Measured) -> Option<f64> {
    said.value.filter(|value| said.flag == Flag::Good && value.is_finite())
}
