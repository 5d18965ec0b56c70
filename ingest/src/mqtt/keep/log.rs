//! The log of changes: a journal in a folder of its own, a snapshot, and the thread that keeps both small.
//!
//! A change is either *written* (handed to the disk at once; whoever must not speak before it is there waits for its
//! position) or *noted* (it goes with the next write, or after [`LINGER`]). Order is one for both. Noted is what costs
//! at most a message sent again: that a letter went out, that a client acknowledged it, that a connection came or went.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use domain::{Clock, Timestamp};
use journal::{Durable, Journal, JournalError, Position, RECORD_BYTES_MAX};

use crate::mqtt::attachment::Attachment;
use crate::mqtt::counters::dropped;

use super::SessionLogError;
use super::change::{Addressed, Change, MessageNo, Published, SessionNo};
use super::state::State;
use super::{codec, snapshot};

/// How long a noted change may wait for company. What a power cut takes with it is sent again; 50 ms of a station's
/// link is one message.
const LINGER: Duration = Duration::from_millis(50);
/// Pause after a compaction that failed: on a full disk another try at once would only take the last room again.
const COMPACT_RETRY: Duration = Duration::from_secs(30);
/// How often the log's size is looked at.
const MEASURE_EVERY: Duration = Duration::from_secs(1);
/// Bytes read at a time in recovery and compaction.
const READ_BYTES: usize = 1 << 20;
/// Bytes of one record that addresses may take; more go into records after it. With the largest packet (1 MiB) and its
/// topic it stays below a record's 2 MiB.
const ADDRESSES_BYTES_MAX: usize = 512 << 10;

/// Changes that may wait for the disk before no lasting session is served anew. What publishers wait for is bounded by
/// their own limits; what clients do that come and go on a full disk is not. At some 100 bytes each, 25 MiB.
const WAITING_MAX: u64 = 262_144;

/// Where the log's limits lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// A segment is finished at this size, and only finished ones can go.
    pub(super) segment_bytes_max: u64,
    /// The log is not compacted before it has grown by so much, and not before it has grown by as much as lives: so a
    /// byte that lives is written twice at most, and a start reads at most twice what lives and this.
    pub(super) compact_bytes_min: u64,
}

impl Default for Limits {
    fn default() -> Self {
        // 16 MiB are read and folded in about 50 ms.
        Self { segment_bytes_max: 4 << 20, compact_bytes_min: 16 << 20 }
    }
}

/// What is remembered of clients, on disk. Clones share it; the last one to go writes what was noted and closes it.
#[derive(Clone)]
pub struct SessionLog {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for SessionLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionLog").field("dir", &self.inner.shared.dir).finish_non_exhaustive()
    }
}

struct Inner {
    shared: Arc<Shared>,
    keeper: Option<std::thread::JoinHandle<()>>,
}

struct Shared {
    dir: PathBuf,
    limits: Limits,
    journal: Journal,
    clock: Arc<dyn Clock>,
    pending: Mutex<Pending>,
    wake: Condvar,
    /// Connections that wait for a position to be on disk.
    waiting: Mutex<Vec<(Position, Arc<Attachment>)>>,
    /// What the log said at the start, until the broker takes it.
    found: Mutex<Option<State>>,
    next_session: AtomicU64,
    next_message: AtomicU64,
    live: AtomicI64,
}

/// What was decided and not yet handed to the journal.
#[derive(Default)]
struct Pending {
    noted: Vec<Bytes>,
    /// The position after the last change, noted ones included.
    end: Position,
    /// Bytes of the log since the snapshot, and of the snapshot.
    grown: u64,
    living: u64,
    closed: bool,
}

impl SessionLog {
    /// Opens the log in `dir`, making it if need be, and folds it. Blocking.
    ///
    /// # Errors
    /// [`SessionLogError`]: the folder does not serve, or what stands in it does not read back.
    pub fn open(dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, SessionLogError> {
        Self::open_with(dir, clock, Limits::default())
    }

    pub(super) fn open_with(
        dir: &Path,
        clock: Arc<dyn Clock>,
        limits: Limits,
    ) -> Result<Self, SessionLogError> {
        let started = Instant::now();
        let segment_bytes_max = limits.segment_bytes_max;
        let config = journal::Config { segment_bytes_max, ..journal::Config::default() };
        let journal = Journal::open(dir, &config)?;
        let folded = fold(dir, &journal)?;
        let live = i64::try_from(folded.state.sessions.len()).unwrap_or(i64::MAX);
        let seconds = started.elapsed().as_secs_f64();
        metrics::gauge!("saltline_session_log_recovery_seconds").set(seconds);
        metrics::gauge!("saltline_session_log_sessions").set(live as f64);
        if 0 < folded.end {
            tracing::info!(sessions = live, seconds, "sessions remembered");
        }
        let Folded { state, end, grown, living } = folded;
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            limits,
            journal,
            clock,
            pending: Mutex::new(Pending { end, grown, living, ..Pending::default() }),
            wake: Condvar::new(),
            waiting: Mutex::default(),
            next_session: AtomicU64::new(state.next_session()),
            next_message: AtomicU64::new(state.next_message()),
            live: AtomicI64::new(live),
            found: Mutex::new(Some(state)),
        });
        let keeper = Keeper { shared: Arc::clone(&shared), measured: None, not_before: None };
        let keeper = std::thread::Builder::new()
            .name("sessions".to_owned())
            .spawn(move || keeper.run())
            .map_err(SessionLogError::Thread)?;
        Ok(Self { inner: Arc::new(Inner { shared, keeper: Some(keeper) }) })
    }

    /// Reads the snapshot in `dir` through, if there is one, beside a running engine or on a copy: its file and its
    /// changes. The log itself is a journal like others. Blocking.
    ///
    /// # Errors
    /// [`SessionLogError::Snapshot`] where it does not read back.
    pub fn verify_snapshot(dir: &Path) -> Result<Option<(PathBuf, u64)>, SessionLogError> {
        let found = snapshot::load(dir)?;
        Ok(found.map(|found| (snapshot::path(dir), found.changes)))
    }

    /// The journal below: its state is the log's.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.inner.shared.journal
    }

    /// Resolves when everything that was decided until now is on disk.
    ///
    /// # Errors
    /// [`JournalError::Failed`] after a failed write or sync.
    pub async fn settle(&self) -> Result<(), JournalError> {
        self.reach(self.write_all()).await.map(drop)
    }

    /// What the log said at the start; only the first who asks gets it.
    pub(in crate::mqtt) fn take_found(&self) -> State {
        let mut found = self.inner.shared.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.take().unwrap_or_default()
    }

    /// A number that no session has had.
    pub(in crate::mqtt) fn new_session(&self) -> SessionNo {
        SessionNo(self.inner.shared.next_session.fetch_add(1, Ordering::Relaxed))
    }

    /// A number that no message has had.
    pub(in crate::mqtt) fn new_message(&self) -> MessageNo {
        MessageNo(self.inner.shared.next_message.fetch_add(1, Ordering::Relaxed))
    }

    /// The wall clock.
    pub(in crate::mqtt) fn now(&self) -> Timestamp {
        self.inner.shared.clock.now()
    }

    /// Adds a change that nobody waits for.
    pub(in crate::mqtt) fn note(&self, change: &Change) {
        let shared = &self.inner.shared;
        let encoded = shared.encode(change);
        let mut pending = shared.pending();
        let first = pending.noted.is_empty();
        pending.add(encoded);
        drop(pending);
        if first {
            shared.wake.notify_one();
        }
    }

    /// Hands a change to the disk, behind everything that was noted. Returns the position that has to be reached.
    pub(in crate::mqtt) fn write(&self, change: &Change) -> Position {
        let shared = &self.inner.shared;
        let encoded = shared.encode(change);
        let mut pending = shared.pending();
        pending.add(encoded);
        shared.hand_over(&mut pending);
        pending.end
    }

    /// Hands everything that was noted to the disk. Returns the position that has to be reached.
    pub(in crate::mqtt) fn write_all(&self) -> Position {
        let shared = &self.inner.shared;
        let mut pending = shared.pending();
        shared.hand_over(&mut pending);
        pending.end
    }

    /// Does so much wait for the disk that it should not become more?
    pub(in crate::mqtt) fn is_behind(&self) -> bool {
        let shared = &self.inner.shared;
        let end = shared.pending().end;
        WAITING_MAX < end.saturating_sub(shared.journal.durable_end())
    }

    /// Is everything below this position on disk?
    pub(in crate::mqtt) fn has_reached(&self, position: Position) -> bool {
        position <= self.inner.shared.journal.durable_end()
    }

    /// Resolves when everything below this position is on disk.
    pub(in crate::mqtt) fn reach(
        &self,
        position: Position,
    ) -> impl Future<Output = Result<Durable, JournalError>> + Send + 'static {
        self.inner.shared.journal.reach(position)
    }

    /// Has the connection look into its session again when this position is on disk.
    pub(in crate::mqtt) fn notify_at(&self, position: Position, attachment: &Arc<Attachment>) {
        if self.has_reached(position) {
            return attachment.notify();
        }
        let mut waiting = self.inner.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // Connections end; each asks again and again while it waits.
        match waiting.iter_mut().find(|(_, held)| Arc::ptr_eq(held, attachment)) {
            Some((held, _)) => *held = position.min(*held),
            None => waiting.push((position, Arc::clone(attachment))),
        }
        drop(waiting);
        // It may have been reached before the connection stood in the list.
        if self.has_reached(position) {
            attachment.notify();
        }
    }

    /// Wakes connections as what they wait for is on disk. Runs until it is dropped.
    pub(in crate::mqtt) async fn wake_waiting(self) {
        let mut durable = self.inner.shared.journal.watch();
        loop {
            let end = *durable.borrow_and_update();
            self.inner.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).retain(
                |(position, attachment)| {
                    let waits = end < *position;
                    if !waits {
                        attachment.notify();
                    }
                    waits
                },
            );
            if durable.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.pending().closed = true;
        self.shared.wake.notify_all();
        if let Some(keeper) = self.keeper.take()
            && keeper.join().is_err()
        {
            tracing::error!(dir = %self.shared.dir.display(), "the session log's thread panicked");
        }
    }
}

impl Pending {
    fn add(&mut self, encoded: Vec<Bytes>) {
        self.end += encoded.len() as u64;
        self.grown += encoded.iter().map(|record| record.len() as u64).sum::<u64>();
        self.noted.extend(encoded);
    }
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A journal that has failed takes nothing, and then no position is ever reached: nobody is told anything.
    fn hand_over(&self, pending: &mut Pending) {
        if pending.noted.is_empty() {
            return;
        }
        match self.journal.push(std::mem::take(&mut pending.noted)) {
            Ok(end) => assert_eq!(end, pending.end, "only this log writes into its journal"),
            Err(error) => tracing::debug!(%error, "session log takes nothing"),
        }
    }

    fn encode(&self, change: &Change) -> Vec<Bytes> {
        match change {
            Change::Opened { .. } => self.count(1),
            Change::Ended { .. } => self.count(-1),
            _ => (),
        }
        let encoded = match split(change) {
            Some(parts) => parts.iter().map(codec::encode).collect(),
            None => vec![codec::encode(change)],
        };
        let fits = |record: &Bytes| {
            let fits = record.len() <= RECORD_BYTES_MAX;
            if !fits {
                tracing::error!(bytes = record.len(), reason = "too_large_to_keep", "not kept");
                dropped("too_large_to_keep");
            }
            fits
        };
        encoded.into_iter().filter(fits).collect()
    }

    fn count(&self, change: i64) {
        let live = self.live.fetch_add(change, Ordering::Relaxed) + change;
        metrics::gauge!("saltline_session_log_sessions").set(live as f64);
    }
}

/// A publish to more sessions than one record takes, as several changes. The last says whom it came from: a publisher
/// that a power cut between them leaves without an answer sends again, and is heard.
fn split(change: &Change) -> Option<Vec<Change>> {
    let Change::Published(whole @ Published { to, .. }) = change else { return None };
    let share = |it: &Addressed| it.terms.share.as_ref().map_or(0, |path| 2 + path.len());
    let bytes = |it: &Addressed| 24 + 4 * it.terms.identifiers.len() + share(it);
    if to.iter().map(bytes).sum::<usize>() <= ADDRESSES_BYTES_MAX {
        return None;
    }
    let mut parts = Vec::new();
    let mut left = 0;
    for addressed in to {
        if left < bytes(addressed) {
            left = ADDRESSES_BYTES_MAX;
            parts.push(Vec::new());
        }
        left -= bytes(addressed).min(left);
        parts.last_mut().expect("one was just begun").push(addressed.clone());
    }
    let last = parts.len() - 1;
    let part = |(index, to): (usize, Vec<Addressed>)| {
        let from = whole.from.filter(|_| index == last);
        Change::Published(Published { from, to, ..whole.clone() })
    };
    Some(parts.into_iter().enumerate().map(part).collect())
}

/// What a folder holds, folded.
struct Folded {
    state: State,
    end: Position,
    grown: u64,
    living: u64,
}

/// Recovery and compaction: the snapshot, and every change after it.
fn fold(dir: &Path, journal: &Journal) -> Result<Folded, SessionLogError> {
    let found = snapshot::load(dir)?;
    let end = journal.durable_end();
    let (mut state, mut next, living) = match found {
        Some(found) => (found.state, found.position, found.bytes),
        None => (State::default(), 0, 0),
    };
    if end < next {
        return Err(SessionLogError::Foreign { snapshot: next, end });
    }
    let mut grown = 0;
    while next < end {
        for (position, record) in journal.read(next, READ_BYTES)? {
            if end <= position {
                break;
            }
            grown += record.len() as u64;
            let change = codec::decode(record)
                .map_err(|source| SessionLogError::Change { position, source: source.into() })?;
            state.apply(change);
            next = position + 1;
        }
    }
    Ok(Folded { state, end, grown, living })
}

/// The thread that writes what was noted and lets go of what is over.
struct Keeper {
    shared: Arc<Shared>,
    measured: Option<Instant>,
    not_before: Option<Instant>,
}

impl Keeper {
    fn run(mut self) {
        while self.wait() {
            self.measure();
            self.compact_if_due();
        }
        self.shared.hand_over(&mut self.shared.pending());
    }

    /// Waits for a noted change and its company. Is there more to come?
    fn wait(&self) -> bool {
        let mut pending = self.shared.pending();
        while pending.noted.is_empty() && !pending.closed {
            let waited = self.shared.wake.wait_timeout(pending, MEASURE_EVERY);
            let (held, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            pending = held;
            if timeout.timed_out() {
                return !pending.closed;
            }
        }
        if !pending.closed {
            let waited = self.shared.wake.wait_timeout(pending, LINGER);
            pending = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        self.shared.hand_over(&mut pending);
        !pending.closed
    }

    fn measure(&mut self) {
        if self.measured.is_some_and(|at| at.elapsed() < MEASURE_EVERY) {
            return;
        }
        self.measured = Some(Instant::now());
        let snapshot = std::fs::metadata(snapshot::path(&self.shared.dir));
        let bytes = self.shared.journal.disk_bytes() + snapshot.map_or(0, |meta| meta.len());
        metrics::gauge!("saltline_session_log_bytes").set(bytes as f64);
    }

    fn compact_if_due(&mut self) {
        let (grown, living) = {
            let pending = self.shared.pending();
            (pending.grown, pending.living)
        };
        if grown < living.max(self.shared.limits.compact_bytes_min)
            || self.not_before.is_some_and(|at| Instant::now() < at)
        {
            return;
        }
        let started = Instant::now();
        let outcome = match self.compact() {
            Ok(living) => {
                tracing::info!(grown, living, took = ?started.elapsed(), "session log compacted");
                "done"
            }
            Err(error) => {
                tracing::warn!(%error, source = ?std::error::Error::source(&error), "session log not compacted");
                self.not_before = Some(Instant::now() + COMPACT_RETRY);
                "failed"
            }
        };
        metrics::counter!("saltline_session_log_compactions_total", "outcome" => outcome)
            .increment(1);
    }

    /// A snapshot of everything that is on disk now; then the segments before it go.
    fn compact(&self) -> Result<u64, SessionLogError> {
        let Shared { dir, journal, .. } = &*self.shared;
        let folded = fold(dir, journal)?;
        let living = snapshot::save(dir, folded.end, &folded.state)
            .map_err(|source| SessionLogError::Snapshot { path: snapshot::path(dir), source })?;
        {
            let mut pending = self.shared.pending();
            pending.grown = pending.grown.saturating_sub(folded.grown);
            pending.living = living;
        }
        journal.set_cursor("snapshot", folded.end)?;
        // Whatever its age: the snapshot holds it.
        let any_age = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
        journal.prune(any_age)?;
        Ok(living)
    }
}
