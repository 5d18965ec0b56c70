//! History follows the journal: each record is judged, stored, counted, and, once it can be queried, shown to those
//! who watch live. A thread of its own, because reading and sealing block.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use domain::{Admitted, Clock, Measured, ParameterCode, Reading, StationCode};
use history::{Applied, History};
use ingest::{Decoder, Record};
use journal::Journal;
use portal::LiveReading;
use rustc_hash::FxHashMap;
use tokio::runtime::Handle;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::assembly::Fatal;
use crate::behind::Behind;
use crate::disk::Watch;
use crate::judge::{self, Coming, Memory, Moment, Rounds, SharedMemory, SharedTests, Tests};
use crate::publish::Outlet;

/// Bytes read from the journal at a time: about 700 reports, some 2 ms of work, so that a stop is soon heard; and a size
/// that the allocator has at hand, where a mebibyte is mapped and cleared anew each time.
pub const READ_BYTES: usize = 128 << 10;

/// How long history lets readings gather before it looks again: a twentieth of the second within which a reading can
/// be queried, and long enough that a busy journal is read in hundreds of records, not in ones.
const GATHER: Duration = Duration::from_millis(50);

/// How often those who watch live are shown something while history is behind the journal: more often than an eye sees,
/// and seldom enough that a storm of reports does not become a storm of messages.
const SHOW: Duration = Duration::from_millis(100);

/// Showing takes at most this part of the follower's time, in as much as nobody waits longer than `SHOW_LATEST`: where
/// thousands of stations speak at once each report is the newest of its own, and to show them all costs more than to store
/// them.
const SHOW_SHARE: u32 = 5;

/// Nobody who watches is shown a reading later than this after it is stored.
const SHOW_LATEST: Duration = Duration::from_secs(1);

/// The longest a follower sleeps without news: how soon age, not size, can seal the hot tail.
pub const IDLE: Duration = Duration::from_millis(500);

/// What the follower has counted since the start.
#[derive(Debug, Default)]
pub struct Tally {
    /// Readings stored for the first time, and corrections of an older value.
    pub stored: AtomicU64,
    /// Readings that were there already.
    pub duplicate: AtomicU64,
    /// The next record to be applied.
    pub next: AtomicU64,
}

/// The journal's follower that keeps history.
pub struct Follower {
    /// What is followed.
    pub journal: Journal,
    /// Where it says how far it is.
    pub behind: Behind,
    /// Where readings go.
    pub history: History,
    /// Makes room there.
    pub sealer: Sealer,
    /// What flags them.
    pub tests: SharedTests,
    /// Who watches live.
    pub live: broadcast::Sender<LiveReading>,
    /// MQTT's `latest/…`.
    pub outlet: Outlet,
    /// What is counted.
    pub tally: Arc<Tally>,
}

impl Follower {
    /// The first record to apply.
    #[must_use]
    pub fn start(&self) -> u64 {
        let next = self.history.position().map_or(0, |position| position + 1);
        let oldest = self.journal.oldest();
        if next < oldest {
            tracing::error!(next, oldest, "records were deleted before history had read them");
        }
        next.max(oldest)
    }

    /// Follows until told to stop, then seals what is in memory.
    ///
    /// # Errors
    /// [`Fatal`] where the journal does not read back.
    pub fn run(self, runtime: &Handle, stop: &CancellationToken) -> Result<(), Fatal> {
        let mut next = self.start();
        let mut judging = Judging::default();
        let live_from = self.journal.durable_end();
        let mut end = self.journal.watch();
        let mut decoder = Decoder::default();
        let mut newest = FxHashMap::default();
        let mut shown = Shown::default();
        self.tally.next.store(next, Ordering::Release);
        self.behind.reached("history", next);
        while !stop.is_cancelled() {
            end.borrow_and_update();
            let records = self.journal.read(next, READ_BYTES)?;
            if records.is_empty() {
                if !newest.is_empty() && shown.wait().is_zero() {
                    self.show_all(&mut newest, &mut shown);
                }
                if !self.settle(&mut judging, false) {
                    let pause = if newest.is_empty() { IDLE } else { shown.wait() };
                    wait(runtime, &mut end, stop, pause);
                }
                continue;
            }
            let tests = self.tests(&mut judging);
            let mut sums = Sums::default();
            let mut read = 0;
            for (position, bytes) in records {
                read += bytes.len();
                let (coming, mut admitted) = match decoder.decode(&bytes)? {
                    Record::Admitted(admitted) => (Coming::Live, admitted),
                    Record::Imported(admitted) => (Coming::Imported, admitted),
                    Record::Clock(received_at) => {
                        judging.last = Some(Moment { position, received_at });
                        next = position + 1;
                        continue;
                    }
                };
                if !self.sealer.make_room(runtime, stop)? {
                    break;
                }
                sums.add(self.take(&tests, coming, position, &mut admitted));
                judging.last = Some(Moment { position, received_at: admitted.received_at });
                if live_from <= position && !admitted.replay {
                    admitted = self.keep_newest(admitted, &mut newest);
                }
                decoder.reuse(admitted);
                next = position + 1;
            }
            self.count(&sums, next);
            self.settle(&mut judging, READ_BYTES / 2 < read);
            // Half of what fits, because a segment of the journal may end in between.
            let behind = READ_BYTES / 2 < read;
            if shown.wait().is_zero() && (!behind || SHOW <= shown.at.elapsed()) {
                self.show_all(&mut newest, &mut shown);
            }
            if !behind {
                std::thread::sleep(GATHER);
            }
        }
        self.show_all(&mut newest, &mut shown);
        Ok(())
    }

    /// The tests as they are now. Where they were replaced, what is known of stations that are gone is forgotten.
    fn tests(&self, judging: &mut Judging) -> Arc<Tests> {
        let tests = self.tests.read().unwrap_or_else(PoisonError::into_inner).clone();
        if judging.tests.as_ref().is_none_or(|known| !Arc::ptr_eq(known, &tests)) {
            tests.tidy(&mut Memory::of(&self.sealer.memory).live);
            judging.tests = Some(tests.clone());
        }
        tests
    }

    /// Judges a record and stores it, in one step for whoever sets the tail aside.
    fn take(
        &self,
        tests: &Tests,
        coming: Coming,
        position: u64,
        admitted: &mut Admitted,
    ) -> Applied {
        let mut memory = Memory::of(&self.sealer.memory);
        let said = tests.judge(&mut memory.live, coming, admitted);
        self.history.apply_judged(position, admitted, said.flags, said.revised)
    }

    /// Settles a piece of what came late; false where there is none.
    fn settle(&self, judging: &mut Judging, behind: bool) -> bool {
        let tests = self.tests(judging);
        let Some((plans, last)) = tests.plans().zip(judging.last) else { return false };
        let store = (&self.history, &self.sealer.memory);
        judging.rounds.step(store, plans, last, behind).is_some()
    }

    fn count(&self, sums: &Sums, next: u64) {
        self.tally.stored.fetch_add(sums.stored + sums.corrected, Ordering::Relaxed);
        self.tally.duplicate.fetch_add(sums.duplicate, Ordering::Relaxed);
        self.tally.next.store(next, Ordering::Release);
        self.behind.reached("history", next);
        metrics::counter!("saltline_readings_stored_total").increment(sums.stored);
        metrics::counter!("saltline_readings_corrected_total").increment(sums.corrected);
        metrics::counter!("saltline_readings_duplicate_total").increment(sums.duplicate);
    }

    /// Of what came together only the newest report of a station is shown, and of an older one what the newest does
    /// not say: those who watch see values, not a storm of them. Gives back a report that is no longer needed.
    fn keep_newest(
        &self,
        admitted: Admitted,
        newest: &mut FxHashMap<StationCode, Admitted>,
    ) -> Admitted {
        let newer = match newest.get_mut(&admitted.station) {
            None => {
                newest.insert(admitted.station.clone(), admitted.clone());
                return admitted;
            }
            Some(newer) => newer,
        };
        let mut older = std::mem::replace(newer, admitted);
        // Nearly always a station says the same things in the same order.
        fn codes(of: &Admitted) -> impl Iterator<Item = &ParameterCode> {
            of.values.iter().map(|measured| &measured.parameter)
        }
        if !codes(newer).eq(codes(&older)) {
            let said = |m: &Measured| newer.values.iter().any(|n| n.parameter == m.parameter);
            older.values.retain(|measured| !said(measured));
            older.readings().for_each(|reading| self.show(reading));
        }
        older
    }

    fn show_all(&self, newest: &mut FxHashMap<StationCode, Admitted>, shown: &mut Shown) {
        let began = Instant::now();
        for (_, admitted) in newest.drain() {
            admitted.readings().for_each(|reading| self.show(reading));
        }
        *shown = Shown { at: Instant::now(), took: began.elapsed() };
    }

    fn show(&self, reading: Reading) {
        self.outlet.latest(&reading);
        // Nobody left to hear it is no loss: it is in history.
        drop(self.live.send(LiveReading { reading }));
    }
}

/// When those who watch were shown something, and how long that took.
struct Shown {
    at: Instant,
    took: Duration,
}

impl Default for Shown {
    fn default() -> Self {
        Self { at: Instant::now(), took: Duration::ZERO }
    }
}

impl Shown {
    /// How long until they may be shown something again.
    fn wait(&self) -> Duration {
        let pause = self.took.saturating_mul(SHOW_SHARE).min(SHOW_LATEST);
        pause.saturating_sub(self.at.elapsed())
    }
}

/// How far the follower's judging is.
#[derive(Default)]
struct Judging {
    /// The tests that were used last.
    tests: Option<Arc<Tests>>,
    /// The last record that was read.
    last: Option<Moment>,
    rounds: Rounds,
}

/// What one look at the journal added to history.
#[derive(Default)]
struct Sums {
    stored: u64,
    /// Other values than were there, and what another word of the tests was kept of.
    corrected: u64,
    duplicate: u64,
}

impl Sums {
    fn add(&mut self, applied: Applied) {
        self.stored += u64::from(applied.stored);
        self.corrected += u64::from(applied.corrected) + u64::from(applied.reflagged);
        self.duplicate += u64::from(applied.duplicate);
    }
}

/// Sleeps until the journal has grown, a moment has passed or the stop came.
pub fn wait(
    runtime: &Handle,
    end: &mut tokio::sync::watch::Receiver<u64>,
    stop: &CancellationToken,
    longest: Duration,
) {
    runtime.block_on(async {
        tokio::select! {
            _ = end.changed() => {}
            () = tokio::time::sleep(longest) => {}
            () = stop.cancelled() => {}
        }
    });
}

/// Turns the hot tail into Parquet when it is due, tells the journal how far history is safe, and deletes what both
/// followers and retention have left behind. Beside the follower, so that readings are shown while a file is written.
///
/// # Errors
/// [`Fatal`] where the journal's cursor cannot be kept. A history that cannot be written is tried again: its readings
/// are still in the journal.
pub fn keep(follower: &Keeper, runtime: &Handle, stop: &CancellationToken) -> Result<(), Fatal> {
    while !stop.is_cancelled() {
        runtime.block_on(async {
            tokio::select! {
                () = tokio::time::sleep(IDLE) => {}
                () = stop.cancelled() => {}
            }
        });
        let mut disk = follower.disk.lock().unwrap_or_else(PoisonError::into_inner);
        // The machine's time, as a disk has no other.
        let now = crate::clock::SystemClock.now();
        disk.look(now, &follower.journal, &follower.sealer.history);
        drop(disk);
        follower.sealer.seal(false)?;
        let retained =
            SystemTime::UNIX_EPOCH + follower.now_since_epoch().saturating_sub(follower.retain);
        follower.journal.prune(retained)?;
        follower.dead_letters.prune_to(follower.dead_letter_bytes_max)?;
    }
    follower.sealer.seal(true).map(drop)
}

/// What [`keep`] works on.
pub struct Keeper {
    /// Seals.
    pub sealer: Sealer,
    /// What history follows.
    pub journal: Journal,
    /// Refused packets, kept by size.
    pub dead_letters: Journal,
    /// Their size.
    pub dead_letter_bytes_max: u64,
    /// Journal segments younger than this stay.
    pub retain: Duration,
    /// The disk that all of it is on.
    pub disk: Mutex<Watch>,
}

/// Turns history's hot tail into Parquet and tells the journal how far history is safe.
#[derive(Clone)]
pub struct Sealer {
    /// Where readings are.
    pub history: History,
    /// What the tests know of its readings.
    pub memory: SharedMemory,
    /// What it follows.
    pub journal: Journal,
    /// The time that readings are received in.
    pub clock: Arc<dyn Clock>,
}

impl Sealer {
    /// Waits until history may take another record, sealing meanwhile; false where the stop came first. The tail grows
    /// while the one before it is written, and the follower reads faster than a slow disk writes: without this wait a
    /// long journal (a start after weeks, a full disk) would end up in memory. What is not taken stays in the journal.
    fn make_room(&self, runtime: &Handle, stop: &CancellationToken) -> Result<bool, Fatal> {
        while self.history.is_full() {
            if stop.is_cancelled() {
                return Ok(false);
            }
            metrics::counter!("saltline_history_full_total").increment(1);
            if !self.seal(false)? {
                runtime.block_on(async {
                    tokio::select! {
                        () = tokio::time::sleep(IDLE) => {}
                        () = stop.cancelled() => {}
                    }
                });
            }
        }
        Ok(true)
    }

    /// Returns whether something was sealed.
    fn seal(&self, force: bool) -> Result<bool, Fatal> {
        match judge::seal(&self.history, &self.memory, self.clock.now(), force) {
            Ok(Some(position)) => {
                self.journal.set_cursor("history", position + 1)?;
                Ok(true)
            }
            Ok(None) => Ok(false),
            // History has counted it and said why: its readings stay in the journal, and the next call tries again.
            Err(_) => Ok(false),
        }
    }
}

impl Keeper {
    /// Files are dated by the machine, whatever clock the readings have.
    fn now_since_epoch(&self) -> Duration {
        crate::clock::SystemClock.now().since(domain::Timestamp::from_millis(0))
    }
}

#[cfg(test)]
mod tests;
