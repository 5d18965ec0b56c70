//! What came late is judged with its neighbours, from time to time: a round goes through the stations whose flags wait, a
//! piece of time after the other, each small enough that live readings wait for it no longer than they wait for each
//! other.

use std::time::{Duration, Instant};

use analytics::quality::{Kept, Live, Plans, Unsettled};
use domain::{Admitted, StationCode, TestFlags, Timestamp};
use history::{Applied, History, HistoryError, Tested};
use rustc_hash::FxHashMap;

use super::memory::{Memory, SharedMemory};

/// What one piece of a round may span. Six series of five minutes have 17,000 readings in ten days, and 11,000 within reach
/// on both sides: some 30 ms.
const PIECE: Duration = Duration::from_hours(240);

/// Between two rounds: a backlog comes in hundreds of reports, and is judged in few pieces.
const EVERY: Duration = Duration::from_secs(1);

/// After a piece nothing is settled for so many times as long as it took, while the journal has more to read.
const REST: u32 = 2;

/// A station whose record cannot be read is left alone for so long.
const AGAIN: Duration = Duration::from_mins(10);

/// The record that revisions are stored with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Its place in the journal: the last that was read.
    pub position: u64,
    /// When it came.
    pub received_at: Timestamp,
}

/// The rounds of one follower.
#[derive(Debug)]
pub struct Rounds {
    waiting: Vec<StationCode>,
    /// When the next round, or the next piece while there is more to read, may begin.
    next: (Instant, Instant),
    failed: FxHashMap<StationCode, Instant>,
}

impl Default for Rounds {
    fn default() -> Self {
        let now = Instant::now();
        Self { waiting: Vec::new(), next: (now, now), failed: FxHashMap::default() }
    }
}

impl Rounds {
    /// Settles one piece, if one is due; `behind` where the journal has more to read. `None` where nothing was done.
    pub fn step(
        &mut self,
        (history, memory): (&History, &SharedMemory),
        plans: &Plans,
        moment: Moment,
        behind: bool,
    ) -> Option<Applied> {
        let now = Instant::now();
        if behind && now < self.next.1 || history.is_full() {
            return None;
        }
        let mut memory = Memory::of(memory);
        if !memory.is_open(moment.position) {
            return None;
        }
        let (station, span) = self.choose(&memory.live, now)?;
        let done = piece(&mut memory.live, history, plans, (&station, span), moment);
        drop(memory);
        if span.first(PIECE) == span {
            self.waiting.pop();
        }
        metrics::histogram!("saltline_quality_settle_seconds").record(now.elapsed().as_secs_f64());
        self.next.1 = Instant::now() + now.elapsed() * REST;
        Some(done.unwrap_or_else(|error| self.set_by(station, &error)))
    }

    /// Are there none that wait, but those that cannot be read?
    #[must_use]
    pub fn rest(&self, live: &Live) -> bool {
        live.unsettled().all(|(station, _)| self.failed.contains_key(station))
    }

    /// Lets the next round begin at once.
    pub fn hurry(&mut self) {
        let now = Instant::now();
        self.next = (now, now);
    }

    fn choose(&mut self, live: &Live, now: Instant) -> Option<(StationCode, Unsettled)> {
        if self.waiting.is_empty() && self.next.0 <= now {
            self.failed.retain(|_, since| now.duration_since(*since) < AGAIN);
            let waits = live.unsettled().map(|(station, _)| station);
            let waits = waits.filter(|station| !self.failed.contains_key(*station));
            self.waiting = waits.cloned().collect();
            self.waiting.sort_unstable_by(|a, b| b.cmp(a));
            self.next.0 = now + EVERY;
            metrics::gauge!("saltline_quality_unsettled_stations")
                .set(live.unsettled().count() as f64);
        }
        while let Some(station) = self.waiting.last() {
            if let Some((_, span)) = live.unsettled().find(|(code, _)| *code == station) {
                return Some((station.clone(), span));
            }
            self.waiting.pop();
        }
        None
    }

    fn set_by(&mut self, station: StationCode, error: &HistoryError) -> Applied {
        metrics::counter!("saltline_quality_settle_failed_total").increment(1);
        tracing::error!(
            %station, error = error as &dyn std::error::Error,
            "cannot read what lies around late readings; their flags wait"
        );
        self.waiting.retain(|waits| *waits != station);
        self.failed.insert(station, Instant::now());
        Applied::default()
    }
}

fn piece(
    live: &mut Live,
    history: &History,
    plans: &Plans,
    (station, span): (&StationCode, Unsettled),
    moment: Moment,
) -> Result<Applied, HistoryError> {
    let span = span.first(PIECE);
    let reach = plans.reach(station);
    let (from, to) = (span.from - reach.before, span.to + reach.after);
    let record = history.around(station, &[], (from, to + Duration::from_millis(1)))?;
    let record: Vec<_> = record
        .into_iter()
        .map(|(parameter, readings)| (parameter, readings.iter().map(kept).collect()))
        .collect();
    let revised = live.settle(plans, station, span, &record);
    let bringer = Admitted {
        station: station.clone(),
        taken_at: moment.received_at,
        received_at: moment.received_at,
        seq: None,
        replay: false,
        values: Vec::new(),
    };
    Ok(history.apply_judged(moment.position, &bringer, &[], &revised))
}

fn kept(reading: &Tested) -> Kept {
    let &Tested { taken_at, value, flag, tests } = reading;
    match tests == TestFlags::NONE {
        true => Kept::with_one_flag(taken_at, value, flag),
        false => Kept::new(taken_at, value, tests),
    }
}
