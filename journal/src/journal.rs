//! The handle: append and wait for the proof, read what is durable, remember how far a follower has come.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use bytes::Bytes;
use tokio::sync::{Semaphore, oneshot, watch};

use crate::commit::{Faults, Group, Queue, Shared, Writer};
use crate::cursor::Cursors;
use crate::frame::{HEADER, RECORD_BYTES_MAX};
use crate::recovery::recover;
use crate::segment::{Segment, sync_dir};
use crate::{JournalError, frame::Frame};

/// Counts records, from 0, for ever.
pub type Position = u64;

/// Places where readers stopped that are remembered, so that the next read of a follower seeks nothing. Followers are
/// few (history, engine, a gap re-asked); each leaves one place.
const PLACES_MAX: usize = 16;

/// How a journal is kept.
#[derive(Debug, Clone)]
pub struct Config {
    /// A segment is finished when the next group would make it longer. 64 MiB is an hour of 2,000 stations
    /// reporting six values every 10 s (200 reports/s of about 100 bytes): retention works in steps of that size, and
    /// a start reads at most one segment through (about 0.1 s).
    pub segment_bytes_max: u64,
    /// Bytes that may wait for a sync. 4,096 reports of 256 bytes are 1 MiB; eight times that rides out a disk that
    /// stalls for seconds, and the rest waits in the sockets.
    pub queue_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { segment_bytes_max: 64 << 20, queue_bytes_max: 8 << 20 }
    }
}

/// How a journal is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Appends are answered.
    Healthy,
    /// The disk is full: appends wait until there is room.
    Full,
    /// A write or sync failed: no append is answered with a proof any more. Why.
    Failed(Arc<str>),
}

/// The proof that records are on disk: only a sync makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Durable {
    first: Position,
    count: u64,
}

impl Durable {
    pub(crate) fn new(first: Position, count: u64) -> Self {
        Self { first, count }
    }

    /// Position of the first record of the append.
    #[must_use]
    pub fn first(&self) -> Position {
        self.first
    }

    /// Position after its last record.
    #[must_use]
    pub fn next(&self) -> Position {
        self.first + self.count
    }
}

/// A segmented append log in a folder of its own. Clones share it; the last one to go closes it.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

/// Where a reader stopped: the segment's first position, the next record's position, its offset. A position alone
/// would not do: the end of a segment becomes the start of the next.
type Stop = (Position, Position, u64);

struct Inner {
    shared: Arc<Shared>,
    cursors: Mutex<Cursors>,
    places: Mutex<Vec<Stop>>,
    writer: Option<std::thread::JoinHandle<()>>,
    torn_bytes: u64,
    queue_bytes_max: usize,
    /// Held for the life of the journal.
    _lock: File,
}

impl Journal {
    /// Opens the journal in `dir`, making it if need be: cuts a torn tail and starts the writing thread. Blocking.
    ///
    /// # Errors
    /// [`JournalError::InUse`] where another process has it open; [`JournalError::Io`], [`JournalError::Damaged`],
    /// [`JournalError::UnknownFormat`] where the disk or the files do not serve.
    pub fn open(dir: &Path, config: &Config) -> Result<Self, JournalError> {
        std::fs::create_dir_all(dir).map_err(JournalError::io("create", dir))?;
        let lock = lock(dir)?;
        let cursors = Cursors::open(dir)?;
        let found = recover(dir)?;
        let queue_bytes_max = config.queue_bytes_max.clamp(1, u32::MAX as usize >> 3);
        let active = found.segments.last().cloned().expect("recovery leaves at least one segment");
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            segment_bytes_max: config.segment_bytes_max,
            queue: Mutex::new(Queue { next: found.end, ..Queue::default() }),
            wake: std::sync::Condvar::new(),
            room: Arc::new(Semaphore::new(queue_bytes_max)),
            slowest_sync_us: std::sync::atomic::AtomicU64::new(0),
            segments: RwLock::new(found.segments),
            durable: watch::Sender::new(found.end),
            state: watch::Sender::new(State::Healthy),
            faults: Faults::default(),
        });
        let writer = Writer::new(shared.clone(), active, found.end, found.tail_bytes);
        let writer = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run())
            .map_err(JournalError::io("start the writer of", dir))?;
        let inner = Inner {
            shared,
            cursors: Mutex::new(cursors),
            places: Mutex::new(Vec::new()),
            writer: Some(writer),
            torn_bytes: found.torn_bytes,
            queue_bytes_max,
            _lock: lock,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Appends records, in order and together, and resolves when they are on disk.
    ///
    /// While the disk is full it waits. Dropping the future does not take the records back once it was polled.
    ///
    /// # Errors
    /// [`JournalError::Failed`] after a failed write or sync: final, nothing may be acknowledged.
    /// [`JournalError::BadRecord`] for an empty or oversized record; [`JournalError::Closed`] at shutdown.
    pub fn append(
        &self,
        records: Vec<Bytes>,
    ) -> impl Future<Output = Result<Durable, JournalError>> + Send + 'static {
        let inner = self.inner.clone();
        async move {
            let bytes = weigh(&records)?;
            // An append heavier than the whole queue takes all of the room, alone.
            let wanted = u32::try_from(bytes.min(inner.queue_bytes_max)).unwrap_or(u32::MAX);
            let room = inner.shared.room.clone();
            let permit = match room.clone().try_acquire_many_owned(wanted) {
                Ok(permit) => permit,
                Err(_) => {
                    room.acquire_many_owned(wanted).await.map_err(|_| JournalError::Closed)?
                }
            };
            let (done, waiting) = oneshot::channel();
            inner.enqueue(records, Some(permit), Some(done))?;
            waiting.await.unwrap_or(Err(JournalError::Closed))
        }
    }

    /// [`Journal::append`] for a thread that may block; it does not count against the queue's bound.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn append_blocking(&self, records: Vec<Bytes>) -> Result<Durable, JournalError> {
        weigh(&records)?;
        let (done, waiting) = oneshot::channel();
        self.inner.enqueue(records, None, Some(done))?;
        waiting.blocking_recv().unwrap_or(Err(JournalError::Closed))
    }

    /// Hands records over at once and waits for nothing; returns the position after the last of them, for
    /// [`Journal::reach`]. For a caller that holds a lock while it decides the order, and that bounds by itself how
    /// much may wait.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn push(&self, records: Vec<Bytes>) -> Result<Position, JournalError> {
        weigh(&records)?;
        self.inner.enqueue(records, None, None)
    }

    /// Resolves when everything below `end` is on disk, with the proof for all of it. While the disk is full it waits.
    ///
    /// # Errors
    /// [`JournalError::Failed`] after a failed write or sync: final, nothing may be acknowledged.
    pub fn reach(
        &self,
        end: Position,
    ) -> impl Future<Output = Result<Durable, JournalError>> + Send + 'static {
        let inner = self.inner.clone();
        async move {
            let mut durable = inner.shared.durable.subscribe();
            let mut state = inner.shared.state.subscribe();
            loop {
                if end <= *durable.borrow_and_update() {
                    return Ok(Durable::new(0, end));
                }
                if let Some(error) = inner.shared.failed() {
                    return Err(error);
                }
                tokio::select! {
                    moved = durable.changed() => moved.map_err(|_| JournalError::Closed)?,
                    moved = state.changed() => moved.map_err(|_| JournalError::Closed)?,
                }
            }
        }
    }

    /// Everything below this position is on disk.
    #[must_use]
    pub fn durable_end(&self) -> Position {
        *self.inner.shared.durable.borrow()
    }

    /// The durable end as it moves.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Position> {
        self.inner.shared.durable.subscribe()
    }

    /// The state as it changes.
    #[must_use]
    pub fn watch_state(&self) -> watch::Receiver<State> {
        self.inner.shared.state.subscribe()
    }

    /// The longest sync since this was asked last; zero where there was none.
    #[must_use]
    pub fn slowest_sync(&self) -> std::time::Duration {
        let slowest = &self.inner.shared.slowest_sync_us;
        std::time::Duration::from_micros(slowest.swap(0, std::sync::atomic::Ordering::Relaxed))
    }

    /// How the journal is.
    #[must_use]
    pub fn state(&self) -> State {
        self.inner.shared.state.borrow().clone()
    }

    /// The oldest record that is left.
    #[must_use]
    pub fn oldest(&self) -> Position {
        self.inner.segments().first().map_or(0, |segment| segment.first)
    }

    /// Bytes that recovery cut off at this start.
    #[must_use]
    pub fn torn_bytes(&self) -> u64 {
        self.inner.torn_bytes
    }

    /// Reads durable records from `from` on, about `bytes_max` bytes of them and at least one if there is one. Blocking.
    ///
    /// # Errors
    /// [`JournalError::Gone`] before the oldest; [`JournalError::Damaged`] where a record does not read back.
    pub fn read(
        &self,
        from: Position,
        bytes_max: usize,
    ) -> Result<Vec<(Position, Bytes)>, JournalError> {
        let end = self.durable_end();
        let mut out = Vec::new();
        let mut next = from;
        let mut left = bytes_max;
        while next < end && (out.is_empty() || 0 < left) {
            let (segment, last) = self.inner.segment_of(next)?;
            let upto = last.unwrap_or(end).min(end);
            left = self.inner.read_segment(&segment, next, upto, left, &mut out)?;
            next = out.last().map_or(next, |&(position, _)| position + 1);
        }
        Ok(out)
    }

    /// Where a follower stands, if it ever said so.
    #[must_use]
    pub fn cursor(&self, name: &str) -> Option<Position> {
        self.inner.cursors().get(name)
    }

    /// Remembers, durably, that a follower has finished everything below `at`. Blocking.
    ///
    /// # Errors
    /// [`JournalError::BadCursorName`], [`JournalError::Io`].
    pub fn set_cursor(&self, name: &str, at: Position) -> Result<(), JournalError> {
        self.inner.cursors().set(name, at)
    }

    /// Deletes finished segments last written before `older_than` that every cursor has passed. Without any cursor
    /// nothing is deleted. Returns how many went. Blocking.
    ///
    /// # Errors
    /// [`JournalError::Io`]; what was deleted before stays deleted.
    pub fn prune(&self, older_than: SystemTime) -> Result<usize, JournalError> {
        let Some(passed) = self.inner.cursors().slowest() else { return Ok(0) };
        let dir = &self.inner.shared.dir;
        let mut pruned = 0;
        loop {
            let oldest = match &self.inner.segments()[..] {
                [oldest, next, ..] if next.first <= passed => oldest.clone(),
                _ => break,
            };
            let meta = oldest.file.metadata().map_err(JournalError::io("look at", &oldest.path))?;
            let written = meta.modified().map_err(JournalError::io("look at", &oldest.path))?;
            if older_than <= written {
                break;
            }
            std::fs::remove_file(&oldest.path).map_err(JournalError::io("remove", &oldest.path))?;
            self.inner.segments_mut().remove(0);
            pruned += 1;
        }
        if 0 < pruned {
            sync_dir(dir).map_err(JournalError::io("sync", dir))?;
            metrics::counter!("saltline_journal_pruned_segments_total").increment(pruned as u64);
            tracing::info!(dir = %dir.display(), pruned, "deleted old segments");
        }
        Ok(pruned)
    }

    /// Deletes the oldest finished segments until at most `bytes_max` are left on disk, whatever cursors say: for a
    /// journal that is kept by size, as dead letters are. Returns how many went. Blocking.
    ///
    /// # Errors
    /// [`JournalError::Io`]; what was deleted before stays deleted.
    pub fn prune_to(&self, bytes_max: u64) -> Result<usize, JournalError> {
        let mut pruned = 0;
        while bytes_max < self.disk_bytes() {
            let oldest = match &self.inner.segments()[..] {
                [oldest, _, ..] => oldest.path.clone(),
                _ => break,
            };
            std::fs::remove_file(&oldest).map_err(JournalError::io("remove", &oldest))?;
            self.inner.segments_mut().remove(0);
            pruned += 1;
        }
        metrics::counter!("saltline_journal_pruned_segments_total").increment(pruned as u64);
        Ok(pruned)
    }

    /// Bytes of all segments on disk.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        let lengths = |segment: &Segment| segment.file.metadata().map_or(0, |meta| meta.len());
        self.inner.segments().iter().map(lengths).sum()
    }

    /// For tests of what stands on a journal: from now on every sync fails, as on a disk that reports an error. No
    /// configuration reaches this.
    #[doc(hidden)]
    pub fn break_syncs(&self) {
        self.inner.shared.faults.sync_fails.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(crate) fn faults(&self) -> &Faults {
        &self.inner.shared.faults
    }
}

impl Inner {
    /// Queues records and wakes the writer. Returns the position after the last of them.
    fn enqueue(
        &self,
        records: Vec<Bytes>,
        permit: Option<tokio::sync::OwnedSemaphorePermit>,
        done: Option<oneshot::Sender<Result<Durable, JournalError>>>,
    ) -> Result<Position, JournalError> {
        if let Some(error) = self.shared.failed() {
            return Err(error);
        }
        let mut queue = self.shared.queue();
        if queue.closed {
            return Err(JournalError::Closed);
        }
        let idle = queue.groups.is_empty();
        queue.next += records.len() as u64;
        let next = queue.next;
        queue.groups.push(Group { records, done, permit });
        drop(queue);
        if idle {
            self.shared.wake.notify_one();
        }
        Ok(next)
    }

    fn segments(&self) -> std::sync::RwLockReadGuard<'_, Vec<Segment>> {
        self.shared.segments.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn segments_mut(&self) -> std::sync::RwLockWriteGuard<'_, Vec<Segment>> {
        self.shared.segments.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn cursors(&self) -> std::sync::MutexGuard<'_, Cursors> {
        self.cursors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The segment that holds a record, and the first position after it where it is finished.
    fn segment_of(&self, at: Position) -> Result<(Segment, Option<Position>), JournalError> {
        let segments = self.segments();
        let after = segments.partition_point(|segment| segment.first <= at);
        let Some(index) = after.checked_sub(1) else {
            let oldest = segments.first().map_or(0, |segment| segment.first);
            return Err(JournalError::Gone { wanted: at, oldest });
        };
        let segment = &segments[index];
        Ok((segment.light(at), segments.get(after).map(|next| next.first)))
    }

    /// Reads from one segment; returns how many bytes of the wish are left.
    fn read_segment(
        &self,
        segment: &Segment,
        from: Position,
        upto: Position,
        bytes_max: usize,
        out: &mut Vec<(Position, Bytes)>,
    ) -> Result<usize, JournalError> {
        let start = self.place(segment.first, from).unwrap_or_else(|| segment.nearest(from));
        let mut left = bytes_max;
        let mut enough = false;
        let chunk = bytes_max.clamp(4 << 10, 1 << 20);
        let (reached, offset, stopped) = segment.walk(start, chunk, |position, _, record| {
            if upto <= position || enough {
                return false;
            }
            if from <= position {
                left = left.saturating_sub(HEADER + record.len());
                out.push((position, record));
                enough = left == 0;
            }
            true
        })?;
        if reached < upto && !enough {
            let what = match stopped {
                Frame::Bad(what) => what,
                _ => "record ends early",
            };
            return Err(JournalError::Damaged { path: segment.path.clone(), offset, what });
        }
        self.remember((segment.first, reached, offset));
        Ok(left)
    }

    fn place(&self, segment: Position, from: Position) -> Option<(Position, u64)> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let index = places.iter().position(|&(first, at, _)| (first, at) == (segment, from))?;
        let (_, at, offset) = places.remove(index);
        Some((at, offset))
    }

    fn remember(&self, stop: Stop) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if PLACES_MAX <= places.len() {
            places.remove(0);
        }
        places.push(stop);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.queue().closed = true;
        self.shared.room.close();
        self.shared.wake.notify_all();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!(dir = %self.shared.dir.display(), "the journal's writer panicked");
        }
    }
}

fn weigh(records: &[Bytes]) -> Result<usize, JournalError> {
    for record in records {
        if record.is_empty() || RECORD_BYTES_MAX < record.len() {
            return Err(JournalError::BadRecord(record.len()));
        }
    }
    Ok(records.iter().map(|record| HEADER + record.len()).sum())
}

fn lock(dir: &Path) -> Result<File, JournalError> {
    let path = dir.join("lock");
    let file = File::create(&path).map_err(JournalError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(JournalError::InUse(dir.to_owned())),
        Err(std::fs::TryLockError::Error(error)) => Err(JournalError::io("lock", &path)(error)),
    }
}

#[cfg(test)]
mod tests;
