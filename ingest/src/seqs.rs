//! Which reports of a station are missing: a fold over the numbers that its reports carry. Pure, so that live and
//! recovered runs know the same gaps; when to ask for them is decided here too, with `now` as an argument.
//!
//! What counts as what, in this order:
//! 1. a number that is missing is *filled*;
//! 2. the next number is the next report; a higher one opens a *gap*, unless it is older than what was heard and far
//!    ahead (from before the counter began anew), or so far ahead that no station can have measured so much: then the
//!    counter began anew;
//! 3. a lower one is the counter's *wrap* at 16 or 32 bits where it fits, a *reset* where its time is newer than all
//!    before, and otherwise a *duplicate*. A report without a time of its own is always newer, so it resets only from
//!    far behind: a packet sent twice must not look like a new counter.
//!
//! After a reset the missing numbers of the old count are given up: the new count will pass them.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{Admitted, StationCode, Timestamp};
use serde::{Deserialize, Serialize};

/// Holes remembered for one station. A link that drops one packet in ten makes two in a window of 20; over the bound
/// the oldest hole is given up.
pub const RANGES_MAX: usize = 64;

/// How far packets overtake each other: as many as one connection may have under way.
const REORDER_MAX: u64 = 1_024;

/// The widest gap: a year of a station that reports every half minute. What leaps farther has begun a new count.
const GAP_MAX: u64 = 1_000_000;

/// The first wait after a question. It doubles with each question that brought nothing, up to [`ASK_WAIT_MAX`].
const ASK_WAIT: Duration = Duration::from_mins(5);

/// The longest wait between two questions.
const ASK_WAIT_MAX: Duration = Duration::from_hours(1);

/// Questions that bring nothing before a hole is given up.
const ASKS_MAX: u32 = 6;

/// Whoever has not spoken for so long is not asked: the question would only wait in the broker.
const SPOKE_WITHIN: Duration = Duration::from_mins(30);

/// Questions to all stations together at one look.
const ASKS_AT_ONCE: usize = 50;

/// The gaps of all stations.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seqs {
    stations: BTreeMap<StationCode, Count>,
}

/// The numbers of one station.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Count {
    next: u64,
    /// The newest time of a live report, milliseconds.
    newest: i64,
    heard_at: i64,
    /// When a hole was opened or filled last.
    moved_at: i64,
    missing: Vec<Hole>,
    filled: u64,
    given_up: u64,
    resets: u64,
    asks: u32,
    asked_at: Option<i64>,
}

/// Numbers from `from` to `to`, both missing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Hole {
    from: u64,
    to: u64,
    since: i64,
    /// The station said that it sent all that it has.
    #[serde(default)]
    answered: bool,
}

/// What one report was to the count of its station.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// The first number of the station, or the next one.
    Next,
    /// So many before it are missing now.
    Opened(u64),
    /// One that was missing.
    Filled,
    /// The counter began anew.
    Reset,
    /// It was there already, or is from before the counter began anew.
    Known,
}

/// The gaps of one station, as they are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gaps {
    /// Whose.
    pub station: StationCode,
    /// The number expected next.
    pub next: u64,
    /// What is missing, oldest first.
    pub ranges: Vec<Gap>,
    /// Reports missing in all.
    pub missing: u64,
    /// Reports that were missing and came.
    pub filled: u64,
    /// Reports that will not come.
    pub given_up: u64,
    /// How often the counter began anew.
    pub resets: u64,
    /// When the station was asked last.
    pub asked_at: Option<Timestamp>,
}

/// One gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The first number that is missing.
    pub from: u64,
    /// The last one.
    pub to: u64,
    /// Since when.
    pub since: Timestamp,
}

/// A question to a station: send these again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// To whom.
    pub station: StationCode,
    /// The first number.
    pub from: u64,
    /// The last one.
    pub to: u64,
}

/// What is to be done about gaps now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    /// Whom to ask for what.
    pub asks: Vec<Ask>,
    /// Reports that were given up.
    pub given_up: u64,
}

/// The state as it is kept between two runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedSeqs {
    stations: BTreeMap<String, Count>,
}

impl Seqs {
    /// Takes a report that is in the journal; `None` where it carries no number.
    pub fn step(&mut self, report: &Admitted) -> Option<Heard> {
        let seq = report.seq?;
        match self.stations.get_mut(&report.station) {
            Some(count) => Some(count.step(seq, report)),
            None => {
                self.stations.insert(report.station.clone(), Count::new(seq, report));
                Some(Heard::Next)
            }
        }
    }

    /// The station said that it has sent all it has from `from` to `to`: what is missing there after a while is lost.
    pub fn answered(&mut self, station: &StationCode, from: u64, to: u64) {
        let Some(count) = self.stations.get_mut(station) else { return };
        let inside = |hole: &&mut Hole| from <= hole.from && hole.to <= to;
        count.missing.iter_mut().filter(inside).for_each(|hole| hole.answered = true);
    }

    /// What is to be asked for and given up at `now`. Remembers that it was asked. A hole is worth asking for when none
    /// of the station's was filled for `settle`: a backlog under way fills it unasked.
    pub fn due(&mut self, now: Timestamp, settle: Duration) -> Due {
        let mut due = Due::default();
        for (station, count) in &mut self.stations {
            if count.missing.is_empty() || ASKS_AT_ONCE <= due.asks.len() {
                continue;
            }
            let before = count.given_up;
            if let Some((from, to)) = count.ask(now, settle) {
                due.asks.push(Ask { station: station.clone(), from, to });
            }
            due.given_up += count.given_up - before;
        }
        due
    }

    /// The gaps of one station; `None` where it never sent a number.
    #[must_use]
    pub fn gaps(&self, station: &StationCode) -> Option<Gaps> {
        self.stations.get_key_value(station).map(gaps)
    }

    /// The gaps of every station that has any, by code.
    #[must_use]
    pub fn all(&self) -> Vec<Gaps> {
        self.stations.iter().filter(|(_, count)| !count.missing.is_empty()).map(gaps).collect()
    }

    /// Stations with gaps, and the reports missing of all of them.
    #[must_use]
    pub fn missing(&self) -> (usize, u64) {
        let with = self.stations.values().filter(|count| !count.missing.is_empty());
        with.fold((0, 0), |(stations, sum), count| (stations + 1, sum + count.missing()))
    }

    /// Forgets stations that are no longer in the book.
    pub fn keep(&mut self, known: impl Fn(&StationCode) -> bool) {
        self.stations.retain(|station, _| known(station));
    }

    /// The state, to be kept.
    #[must_use]
    pub fn save(&self) -> SavedSeqs {
        let row = |(station, count): (&StationCode, &Count)| (station.to_string(), count.clone());
        SavedSeqs { stations: self.stations.iter().map(row).collect() }
    }

    /// The state as it was kept. A station whose code is none is left out: somebody else wrote the file.
    #[must_use]
    pub fn restore(saved: SavedSeqs) -> Self {
        let row =
            |(station, count): (String, Count)| Some((StationCode::new(&station).ok()?, count));
        Self { stations: saved.stations.into_iter().filter_map(row).collect() }
    }
}

fn gaps((station, count): (&StationCode, &Count)) -> Gaps {
    let gap = |hole: &Hole| {
        let since = Timestamp::from_millis(hole.since);
        Gap { from: hole.from, to: hole.to, since }
    };
    Gaps {
        station: station.clone(),
        next: count.next,
        ranges: count.missing.iter().map(gap).collect(),
        missing: count.missing(),
        filled: count.filled,
        given_up: count.given_up,
        resets: count.resets,
        asked_at: count.asked_at.map(Timestamp::from_millis),
    }
}

impl Count {
    fn new(seq: u64, report: &Admitted) -> Self {
        let (taken, received) = (report.taken_at.as_millis(), report.received_at.as_millis());
        Self {
            next: seq.saturating_add(1),
            newest: taken,
            heard_at: received,
            moved_at: received,
            missing: Vec::new(),
            filled: 0,
            given_up: 0,
            resets: 0,
            asks: 0,
            asked_at: None,
        }
    }

    fn step(&mut self, seq: u64, report: &Admitted) -> Heard {
        let (taken, received) = (report.taken_at.as_millis(), report.received_at.as_millis());
        let heard = self.judge(seq, taken, taken != received, report.replay, received);
        self.heard_at = self.heard_at.max(received);
        if matches!(heard, Heard::Opened(_) | Heard::Filled) {
            self.moved_at = received;
        }
        if !report.replay && heard != Heard::Known {
            self.newest = self.newest.max(taken);
        }
        heard
    }

    fn judge(&mut self, seq: u64, taken: i64, timed: bool, replay: bool, received: i64) -> Heard {
        if self.fill(seq) {
            return Heard::Filled;
        }
        if self.next <= seq {
            let ahead = seq - self.next;
            let older = timed && taken < self.newest;
            return match ahead {
                0 => self.go_to(seq),
                _ if older && REORDER_MAX < ahead => Heard::Known,
                1..=GAP_MAX => self.open(seq, received),
                _ => self.begin_anew(seq),
            };
        }
        let newer = self.newest < taken && !replay;
        if newer && let Some(end) = wraps_at(self.next, seq) {
            return self.wrap(end, seq, received);
        }
        let far = REORDER_MAX < self.next - seq;
        if newer && (timed || far) { self.begin_anew(seq) } else { Heard::Known }
    }

    fn go_to(&mut self, seq: u64) -> Heard {
        self.next = seq.saturating_add(1);
        Heard::Next
    }

    fn open(&mut self, seq: u64, since: i64) -> Heard {
        self.lose(self.next, seq - 1, since);
        let ahead = seq - self.next;
        self.go_to(seq);
        Heard::Opened(ahead)
    }

    fn wrap(&mut self, end: u64, seq: u64, since: i64) -> Heard {
        let lost = end - self.next + seq;
        if self.next < end {
            self.lose(self.next, end - 1, since);
        }
        if 0 < seq {
            self.lose(0, seq - 1, since);
        }
        self.go_to(seq);
        if lost == 0 { Heard::Next } else { Heard::Opened(lost) }
    }

    fn begin_anew(&mut self, seq: u64) -> Heard {
        self.given_up += self.missing();
        self.missing.clear();
        self.resets += 1;
        (self.asks, self.asked_at) = (0, None);
        self.go_to(seq);
        Heard::Reset
    }

    fn lose(&mut self, from: u64, to: u64, since: i64) {
        if RANGES_MAX <= self.missing.len() {
            self.give_up_oldest();
        }
        self.missing.push(Hole { from, to, since, answered: false });
    }

    /// Was it missing? Then it is no more.
    fn fill(&mut self, seq: u64) -> bool {
        let inside = |hole: &Hole| hole.from <= seq && seq <= hole.to;
        let Some(at) = self.missing.iter().position(inside) else { return false };
        let hole = self.missing[at].clone();
        let before = (hole.from < seq).then(|| Hole { to: seq - 1, ..hole.clone() });
        let after = (seq < hole.to).then(|| Hole { from: seq + 1, ..hole });
        self.missing.splice(at..=at, before.into_iter().chain(after));
        self.filled += 1;
        self.asks = 0;
        if RANGES_MAX < self.missing.len() {
            self.give_up_oldest();
        }
        true
    }

    fn give_up_oldest(&mut self) {
        if !self.missing.is_empty() {
            let hole = self.missing.remove(0);
            self.given_up += hole.to - hole.from + 1;
            self.asks = 0;
        }
    }

    fn missing(&self) -> u64 {
        self.missing.iter().map(|hole| hole.to - hole.from + 1).sum()
    }

    /// The hole to ask for at `now`, if it is time.
    fn ask(&mut self, now: Timestamp, settle: Duration) -> Option<(u64, u64)> {
        let since = |then: i64| now.since(Timestamp::from_millis(then));
        if SPOKE_WITHIN < since(self.heard_at) || since(self.moved_at) < settle {
            return None;
        }
        if self.missing.first().is_some_and(|hole| hole.answered) {
            self.give_up_oldest();
            return None;
        }
        let wait = ASK_WAIT.saturating_mul(1 << self.asks.min(10).saturating_sub(1));
        let waited = self.asked_at.is_none_or(|at| wait.min(ASK_WAIT_MAX) <= since(at));
        // A question that was answered leaves the way free for the next as soon as things have settled.
        if 0 < self.asks && !waited {
            return None;
        }
        if ASKS_MAX <= self.asks {
            self.give_up_oldest();
            return None;
        }
        let hole = self.missing.first()?;
        self.asks += 1;
        self.asked_at = Some(now.as_millis());
        Some((hole.from, hole.to))
    }
}

/// Where a counter that expects `next` and says `seq` has wrapped: after its last number of 16 or 32 bits.
fn wraps_at(next: u64, seq: u64) -> Option<u64> {
    let fits = |end: &u64| next <= *end && end - next <= REORDER_MAX && seq <= REORDER_MAX;
    [1 << 16, 1 << 32].into_iter().find(fits)
}

#[cfg(test)]
mod tests;
