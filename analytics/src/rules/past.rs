//! Exceedances that arrive too late: in a backlog, or after newer readings were judged. They are told once each, as of
//! the past. A backlog may come in pieces, in any order and twice; so the stretches of time that were told are
//! remembered, those that were told while they happened among them.

use std::time::Duration;

use domain::{Rule, Timestamp};

use super::track::{Mark, Track};

/// Exceedances that are remembered as told, for one rule at one station. The tide makes at most two a day, so this is
/// a backlog of 16 days sent twice. Beyond it the oldest is forgotten, and if it came again would be told again.
pub const EPISODES_MAX: usize = 32;

/// A stretch of event time in which the limit was exceeded without a break.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Episode {
    pub from: Timestamp,
    pub to: Timestamp,
}

/// The newest run of late readings in order of time, and what has been told.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Past {
    pub run: Option<Run>,
    /// The exceedance going on now, told as it rose.
    pub live: Option<Episode>,
    /// Ended exceedances that were told, oldest telling first.
    pub told: Vec<Episode>,
}

/// Late readings, each later than the one before.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    pub newest: Timestamp,
    pub track: Track,
    pub episode: Option<Episode>,
}

/// An exceedance of the past that nobody has been told of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Found {
    /// The first value of it that held.
    pub first: Mark,
    /// The limit it reached.
    pub limit: f64,
}

impl Past {
    /// Notes what the live readings say, so that their exceedances are not found again in a backlog.
    pub fn note_live(&mut self, exceeding: bool, began: Option<Mark>, at: Timestamp) {
        match (&mut self.live, exceeding) {
            (Some(episode), true) => episode.to = at,
            (None, true) => {
                let from = began.map_or(at, |mark| mark.at);
                self.live = Some(Episode { from, to: at });
            }
            (Some(_), false) => {
                let ended = self.live.take();
                self.remember(ended);
            }
            (None, false) => {}
        }
    }

    /// Takes a late reading. Readings that go back in time begin a new run. `gap` is how far before a told exceedance a
    /// reading may lie and still be part of it, for stations that send the newest first.
    pub fn step(&mut self, rule: &Rule, gap: Duration, late: Mark) -> Option<Found> {
        let mut run = self.continued(rule, late.at);
        let began = run.track.step(&rule.levels, rule.hold, late);
        let mut found = None;
        match (&mut run.episode, run.track.reached) {
            (Some(episode), 1..) => episode.to = late.at,
            (None, reached @ 1..) => {
                let first = began.unwrap_or(late);
                run.episode = Some(Episode { from: first.at, to: late.at });
                if !self.was_told(first.at, gap) {
                    found = Some(Found { first, limit: rule.levels[reached - 1].limit });
                }
            }
            (_, 0) => self.remember(run.episode.take()),
        }
        self.run = Some(run);
        found
    }

    fn continued(&mut self, rule: &Rule, at: Timestamp) -> Run {
        match self.run.take() {
            Some(run) if run.newest <= at => Run { newest: at, ..run },
            ended => {
                self.remember(ended.and_then(|run| run.episode));
                Run { newest: at, track: Track::new(rule.levels.len()), episode: None }
            }
        }
    }

    /// Lies the start of an exceedance in one that was told, or just before it? Then it is part of that one.
    fn was_told(&mut self, at: Timestamp, gap: Duration) -> bool {
        let holds = |episode: &&mut Episode| episode.from - gap <= at && at <= episode.to;
        match self.told.iter_mut().chain(&mut self.live).find(holds) {
            Some(episode) => {
                episode.from = episode.from.min(at);
                true
            }
            None => false,
        }
    }

    fn remember(&mut self, ended: Option<Episode>) {
        let Some(ended) = ended else { return };
        let meets = |known: &&mut Episode| known.from <= ended.to && ended.from <= known.to;
        if let Some(known) = self.told.iter_mut().find(meets) {
            known.from = known.from.min(ended.from);
            known.to = known.to.max(ended.to);
            return;
        }
        if self.told.len() == EPISODES_MAX {
            self.told.remove(0);
        }
        self.told.push(ended);
    }
}
