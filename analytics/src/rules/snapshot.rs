//! The analyzer's memory across a restart: what it knows of each rule at each station that has ever spoken, together
//! with the definition that each rule had, so that a rule which changed meanwhile starts anew.
//!
//! Version 1. Times are milliseconds since the epoch, values in the parameter's unit; nothing is left out that a later
//! verdict could depend on. A reader refuses any other version: the analyzer is then built from the journal instead.

use domain::{Rule, StationCode, Timestamp, Water, Why};
use serde::{Deserialize, Serialize};

use super::analyzer::Analyzer;
use super::past::{EPISODES_MAX, Episode, Past, Run};
use super::track::{Mark, Track};
use super::watch::{Change, Heard, Watch};

/// The version that this code writes and reads.
const VERSION: u16 = 1;

/// Everything the analyzer remembers, in a form that can be written down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    version: u16,
    rules: Vec<RuleStates>,
}

/// What became of a snapshot's states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Restored {
    /// States of a rule at a station that are known again.
    pub kept: usize,
    /// States that were left, because the rule or the station is gone or the rule has changed.
    pub left: usize,
}

/// The snapshot was written by another version of this code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("analyzer snapshot has version {found}, this code reads {VERSION}")]
pub struct ForeignVersion {
    found: u16,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct RuleStates {
    rule: String,
    parameter: String,
    /// Limit and clear of each level.
    levels: Vec<(f64, f64)>,
    hold_ms: u64,
    stations: Vec<WatchState>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct WatchState {
    station: String,
    known: bool,
    change: Option<(String, i64)>,
    newest: Option<(f64, i64, i64)>,
    track: TrackState,
    run: Option<RunState>,
    live: Option<Stretch>,
    told: Vec<Stretch>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct TrackState {
    reached: usize,
    pending: Vec<Option<(i64, f64)>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct RunState {
    newest: i64,
    track: TrackState,
    episode: Option<Stretch>,
}

/// From, to, and how many levels were reached.
type Stretch = (i64, i64, usize);

impl Analyzer {
    /// What the analyzer remembers now. The same state gives the same snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut rules: Vec<_> = self.rules.iter().map(RuleStates::of).collect();
        for (station, post) in &self.stations {
            for (index, watch) in post.watches.iter().filter(|(_, watch)| watch.seen) {
                rules[*index].stations.push(WatchState::of(station, watch));
            }
        }
        Snapshot { version: VERSION, rules }
    }

    /// Remembers again. States of rules and stations that are gone are left, and a rule that is defined otherwise
    /// starts anew.
    ///
    /// # Errors
    /// [`ForeignVersion`] for a snapshot of another version; then nothing has changed.
    pub fn restore(&mut self, snapshot: Snapshot) -> Result<Restored, ForeignVersion> {
        if snapshot.version != VERSION {
            return Err(ForeignVersion { found: snapshot.version });
        }
        let mut restored = Restored::default();
        for mut states in snapshot.rules {
            for state in std::mem::take(&mut states.stations) {
                match self.recall(&states, &state) {
                    Some(()) => restored.kept += 1,
                    None => restored.left += 1,
                }
            }
        }
        Ok(restored)
    }

    fn recall(&mut self, states: &RuleStates, state: &WatchState) -> Option<()> {
        let index = self.rules.iter().position(|rule| RuleStates::of(rule) == *states)?;
        let post = self.stations.get_mut(state.station.as_str())?;
        let (_, watch) = post.watches.iter_mut().find(|(own, _)| *own == index)?;
        *watch = state.watch(self.rules[index].levels.len())?;
        Some(())
    }
}

impl RuleStates {
    fn of(rule: &Rule) -> Self {
        Self {
            rule: rule.code.to_string(),
            parameter: rule.parameter.to_string(),
            levels: rule.levels.iter().map(|level| (level.limit, level.clear)).collect(),
            hold_ms: u64::try_from(rule.hold.as_millis()).unwrap_or(u64::MAX),
            stations: Vec::new(),
        }
    }
}

impl WatchState {
    fn of(station: &StationCode, watch: &Watch) -> Self {
        let heard = |h: Heard| (h.value, h.taken_at.as_millis(), h.received_at.as_millis());
        Self {
            station: station.to_string(),
            known: watch.water != Water::Unknown,
            change: watch.change.map(|c| (c.why.as_str().to_owned(), c.since.as_millis())),
            newest: watch.newest.map(heard),
            track: TrackState::of(&watch.track),
            run: watch.past.run.as_ref().map(RunState::of),
            live: watch.past.live.map(stretch),
            told: watch.past.told.iter().copied().map(stretch).collect(),
        }
    }

    /// The watch, unless the state does not fit a rule of so many levels.
    fn watch(&self, levels: usize) -> Option<Watch> {
        let track = self.track.track(levels)?;
        let water = if self.known { track.water() } else { Water::Unknown };
        let change = match &self.change {
            None => None,
            Some((why, since)) => Some(Change { why: Why::parse(why)?, since: instant(*since) }),
        };
        let run = match &self.run {
            None => None,
            Some(run) => Some(run.run(levels)?),
        };
        let newest = self.newest.map(|(value, taken, received)| Heard {
            value,
            taken_at: instant(taken),
            received_at: instant(received),
        });
        let forgotten = self.told.len().saturating_sub(EPISODES_MAX);
        let told = self.told[forgotten..].iter().copied().map(episode).collect();
        let past = Past { run, live: self.live.map(episode), told };
        Some(Watch { seen: true, water, change, newest, track, past })
    }
}

impl TrackState {
    fn of(track: &Track) -> Self {
        let mark = |mark: &Option<Mark>| mark.map(|mark| (mark.at.as_millis(), mark.value));
        Self { reached: track.reached, pending: track.pending.iter().map(mark).collect() }
    }

    fn track(&self, levels: usize) -> Option<Track> {
        let mark = |(at, value)| Mark { at: instant(at), value };
        let pending = self.pending.iter().map(|pending| pending.map(mark)).collect();
        let fits = self.pending.len() == levels && self.reached <= levels;
        fits.then_some(Track { reached: self.reached, pending })
    }
}

impl RunState {
    fn of(run: &Run) -> Self {
        Self {
            newest: run.newest.as_millis(),
            track: TrackState::of(&run.track),
            episode: run.episode.map(stretch),
        }
    }

    fn run(&self, levels: usize) -> Option<Run> {
        let track = self.track.track(levels)?;
        Some(Run { newest: instant(self.newest), track, episode: self.episode.map(episode) })
    }
}

fn stretch(episode: Episode) -> Stretch {
    (episode.from.as_millis(), episode.to.as_millis(), episode.reached)
}

fn episode((from, to, reached): Stretch) -> Episode {
    Episode { from: instant(from), to: instant(to), reached }
}

fn instant(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}
