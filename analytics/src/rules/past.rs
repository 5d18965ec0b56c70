//! Exceedances that arrive too late: in a backlog, or after newer readings were judged. They are told once each, as of
//! the past, and once more for each higher level they turn out to reach, because another level may concern another
//! person. A backlog may come in pieces, in any order and twice; so the stretches of time that were told are remembered,
//! those that were told while they happened among them.

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
    /// How many levels of the rule it reached.
    pub reached: usize,
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
    /// The first value at the level reached.
    pub first: Mark,
    /// How many levels of the rule are reached.
    pub reached: usize,
}

impl Past {
    /// Notes what the live readings say, so that their exceedances are not found again in a backlog.
    pub fn note_live(&mut self, reached: usize, began: Option<Mark>, at: Timestamp) {
        if reached == 0 {
            let ended = self.live.take();
            self.remember(ended);
            return;
        }
        let from = began.map_or(at, |mark| mark.at);
        let live = self.live.get_or_insert(Episode { from, to: at, reached });
        live.to = at;
        live.reached = live.reached.max(reached);
    }

    /// Takes a late reading. Readings that go back in time begin a new run. `gap` is how far before a told exceedance a
    /// reading may lie and still be part of it, for stations that send the newest first.
    pub fn step(&mut self, rule: &Rule, gap: Duration, late: Mark) -> Option<Found> {
        let mut run = self.continued(rule, late.at);
        let first = run.track.step(&rule.levels, rule.hold, late).unwrap_or(late);
        let found = match (run.episode, run.track.reached) {
            (ended, 0) => {
                run.episode = None;
                self.remember(ended);
                None
            }
            (Some(known), reached) if reached <= known.reached => {
                run.episode = Some(Episode { to: late.at, ..known });
                None
            }
            (known, reached) => {
                let from = known.map_or(first.at, |known| known.from);
                run.episode = Some(Episode { from, to: late.at, reached });
                (!self.was_told(first.at, reached, gap)).then_some(Found { first, reached })
            }
        };
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
    fn was_told(&mut self, at: Timestamp, reached: usize, gap: Duration) -> bool {
        let holds = |episode: &&mut Episode| {
            episode.from - gap <= at && at <= episode.to && reached <= episode.reached
        };
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
            known.reached = known.reached.max(ended.reached);
            return;
        }
        if self.told.len() == EPISODES_MAX {
            self.told.remove(0);
        }
        self.told.push(ended);
    }
}
