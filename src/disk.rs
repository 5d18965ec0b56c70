//! How the disk is: how much room it has, and how long it takes to keep a promise. Where either is bad, what can wait
//! waits (history merges nothing and rolls nothing up), so that the journal has the room and the disk to itself; it goes
//! on by itself. Readings are taken as long as there is room for them: refusing is the journal's own part.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::Timestamp;
use history::History;
use journal::Journal;

/// Room that must be back, beyond the limit, before all is well again: a quarter more. Without it, a merge that frees and
/// takes some would switch it to and fro.
const BACK: (u64, u64) = (5, 4);

/// After a slow sync the disk is let alone for so long.
const SLOW_LASTS: Duration = Duration::from_mins(1);

/// What is wanted of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// With less room than this it is low, bytes.
    pub low: u64,
    /// A sync that takes longer than this is slow.
    pub slow: Duration,
}

/// How the disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// Nothing is wrong.
    #[default]
    Good,
    /// There is little room.
    Low,
    /// It takes long.
    Slow,
}

impl State {
    /// The state as the log writes it.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Low => "low",
            Self::Slow => "slow",
        }
    }
}

/// Watches a data folder's disk.
#[derive(Debug)]
pub struct Watch {
    dir: PathBuf,
    judge: Judge,
    /// Was it said already that nobody can tell?
    blind: bool,
}

impl Watch {
    /// Watches the disk of this folder.
    #[must_use]
    pub fn new(dir: &Path, config: Config) -> Self {
        Self { dir: dir.to_owned(), judge: Judge::new(config), blind: false }
    }

    /// Looks, says what changed, and lets history rest where it must.
    pub fn look(&mut self, now: Timestamp, journal: &Journal, history: &History) {
        let slowest = journal.slowest_sync();
        let free = match free(&self.dir) {
            Ok(free) => {
                metrics::gauge!("saltline_disk_free_bytes").set(free as f64);
                self.blind = false;
                Some(free)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.blind, true) {
                    tracing::warn!(%error, dir = %self.dir.display(), "cannot see how much room the disk has");
                }
                None
            }
        };
        let before = self.judge.state;
        let after = self.judge.look(now, free, slowest);
        if before == after {
            return;
        }
        let (free, slowest) = (free.unwrap_or(0), slowest.as_secs_f64());
        history.rest(after != State::Good);
        for state in [State::Low, State::Slow] {
            let is = if state == after { 1.0 } else { 0.0 };
            metrics::gauge!("saltline_disk_state", "state" => state.as_str()).set(is);
        }
        match after {
            State::Good => tracing::info!(free, was = before.as_str(), "the disk is good again"),
            State::Low | State::Slow => {
                metrics::counter!("saltline_disk_warnings_total", "state" => after.as_str())
                    .increment(1);
                tracing::warn!(
                    state = after.as_str(),
                    free,
                    slowest,
                    "the disk is bad: history is not merged until it is good again"
                );
            }
        }
    }
}

/// Judges what was seen.
#[derive(Debug)]
struct Judge {
    config: Config,
    state: State,
    slow_until: Option<Timestamp>,
}

impl Judge {
    const fn new(config: Config) -> Self {
        Self { config, state: State::Good, slow_until: None }
    }

    /// Room comes first: a disk without any is slow too.
    fn look(&mut self, now: Timestamp, free: Option<u64>, slowest: Duration) -> State {
        if self.config.slow < slowest {
            self.slow_until = Some(now + SLOW_LASTS);
        }
        let back = self.config.low.saturating_mul(BACK.0) / BACK.1;
        let limit = if self.state == State::Low { back } else { self.config.low };
        let was_low = self.state == State::Low;
        self.state = match free {
            Some(free) if free < limit => State::Low,
            None if was_low => State::Low,
            _ if self.slow_until.is_some_and(|until| now < until) => State::Slow,
            _ => State::Good,
        };
        self.state
    }
}

/// Bytes that this process may still write.
fn free(dir: &Path) -> io::Result<u64> {
    let said = rustix::fs::statvfs(dir)?;
    Ok(said.f_bavail.saturating_mul(said.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1_000)
    }

    #[test]
    fn low_holds_until_a_quarter_more_is_back() {
        let mut judge = Judge::new(Config { low: 100, slow: Duration::from_secs(1) });
        let quick = Duration::from_millis(2);
        let mut look = |free| judge.look(t(0), free, quick);
        assert_eq!(look(Some(100)), State::Good);
        assert_eq!(look(Some(99)), State::Low);
        assert_eq!(look(Some(124)), State::Low, "not yet");
        assert_eq!(look(None), State::Low, "nobody can tell, so as it was");
        assert_eq!(look(Some(125)), State::Good);
        assert_eq!(look(None), State::Good);
    }

    #[test]
    fn one_slow_sync_lets_the_disk_alone_for_a_minute() {
        let mut judge = Judge::new(Config { low: 100, slow: Duration::from_millis(500) });
        let (quick, slow) = (Duration::from_millis(500), Duration::from_millis(501));
        assert_eq!(judge.look(t(0), Some(1_000), quick), State::Good);
        assert_eq!(judge.look(t(1), Some(1_000), slow), State::Slow);
        assert_eq!(judge.look(t(60), Some(1_000), quick), State::Slow);
        assert_eq!(judge.look(t(61), Some(1_000), quick), State::Good);
        judge.look(t(100), Some(1_000), slow);
        assert_eq!(judge.look(t(110), Some(5), slow), State::Low, "room comes first");
        assert_eq!(judge.look(t(120), Some(1_000), quick), State::Slow, "and it is still slow");
    }

    #[test]
    fn this_machine_says_how_much_room_there_is() {
        assert!(0 < free(Path::new(".")).unwrap());
        assert!(free(Path::new("/nowhere/at/all")).is_err());
    }
}
