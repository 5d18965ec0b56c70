//! The one thread that writes. It takes everything that waits, writes it with one call, syncs once, and answers
//! everyone. No linger: the group is whatever came in while the last sync ran, so a lone record waits for nobody and
//! a thousand share one sync.
//!
//! A full disk is the world's doing: what was half written is cut off again, nothing is answered, and the same group
//! is tried until there is room. A failed sync is final: the kernel may have dropped the pages, so the only honest
//! answer from then on is no.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{Semaphore, oneshot, watch};

use crate::frame;
use crate::segment::{SEGMENT_HEADER, Segment};
use crate::{Durable, JournalError, Position, State};

/// Pause between two tries while the disk is full: soon enough that a station's 10 s timeout is not reached after
/// room was made, seldom enough to cost nothing.
const FULL_RETRY: Duration = Duration::from_millis(250);

/// Zeros written behind the records when these reach the end of the file. A sync of bytes that a file already holds
/// writes them alone; one that makes the file longer waits for the file system's own journal too. Measured on ext4 with
/// records of 2 kB: p50 165 µs beside 300, 80 µs of CPU beside 150. So much is one longer sync in about a thousand
/// reports, and what a seldom written journal has too much on disk.
const ROOM_BYTES: u64 = 256 << 10;
static ZEROS: [u8; ROOM_BYTES as usize] = [0; ROOM_BYTES as usize];

/// What the handle and the thread share.
pub struct Shared {
    pub dir: PathBuf,
    pub segment_bytes_max: u64,
    pub queue: Mutex<Queue>,
    pub wake: Condvar,
    /// The longest sync since somebody asked, in microseconds.
    pub slowest_sync_us: AtomicU64,
    /// Bytes that may wait, as permits.
    pub room: Arc<Semaphore>,
    pub segments: RwLock<Vec<Segment>>,
    pub durable: watch::Sender<Position>,
    pub state: watch::Sender<State>,
    pub faults: Faults,
}

/// Faults that tests inject where a real disk would fail.
#[derive(Default)]
pub struct Faults {
    pub sync_fails: AtomicBool,
    pub disk_full: AtomicBool,
}

/// What waits for the next write.
#[derive(Default)]
pub struct Queue {
    pub groups: Vec<Group>,
    pub closed: bool,
    /// The position after the last record that was queued. Groups are written in the order of the queue, so a record's
    /// position is known before it is on disk.
    pub next: Position,
}

/// Records of one append, in order, and who waits for them.
pub struct Group {
    pub records: Vec<Bytes>,
    /// Nobody, where the records were pushed.
    pub done: Option<oneshot::Sender<Result<Durable, JournalError>>>,
    /// Gives its bytes back to the queue when the group is answered.
    pub permit: Option<tokio::sync::OwnedSemaphorePermit>,
}

impl Shared {
    pub fn queue(&self) -> MutexGuard<'_, Queue> {
        // A poisoned queue is still a list of groups: a panic elsewhere must not stop acknowledgements.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn failed(&self) -> Option<JournalError> {
        match &*self.state.borrow() {
            State::Failed(why) => Some(JournalError::Failed(why.clone())),
            _ => None,
        }
    }
}

/// The writing end: the active segment and where it stands.
pub struct Writer {
    shared: Arc<Shared>,
    active: Segment,
    end: Position,
    offset: u64,
    /// Where the room behind the records ends, and the file.
    room_end: u64,
    buffer: Vec<u8>,
}

impl Writer {
    pub fn new(shared: Arc<Shared>, active: Segment, end: Position, offset: u64) -> Self {
        Self { shared, active, end, offset, room_end: offset, buffer: Vec::new() }
    }

    /// Runs until the journal is closed and everything that waited is answered.
    pub fn run(mut self) {
        while let Some(groups) = self.next_groups() {
            if let Some(error) = self.shared.failed() {
                refuse(groups, &error);
                continue;
            }
            match self.commit(&groups) {
                Ok(()) => self.answer(groups),
                Err(error) => refuse(groups, &error),
            }
        }
        if self.shared.failed().is_none() {
            self.give_room_back();
        }
    }

    fn next_groups(&self) -> Option<Vec<Group>> {
        let mut queue = self.shared.queue();
        while queue.groups.is_empty() {
            if queue.closed {
                return None;
            }
            queue = self.shared.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let fitting = self.fitting(&queue.groups);
        let rest = queue.groups.split_off(fitting);
        Some(std::mem::replace(&mut queue.groups, rest))
    }

    /// How many of the groups are written together: as many as one segment takes, and one at least. What waited long
    /// does not make one segment of everything, which would be let go only when all of it is over.
    fn fitting(&self, groups: &[Group]) -> usize {
        let mut left = self.shared.segment_bytes_max;
        let fits = |group: &&Group| {
            let bytes: usize = group.records.iter().map(Bytes::len).sum();
            left = left.saturating_sub(bytes as u64);
            0 < left
        };
        groups.iter().take_while(fits).count().max(1)
    }

    fn commit(&mut self, groups: &[Group]) -> Result<(), JournalError> {
        let started = Instant::now();
        let mut notes = Vec::new();
        self.buffer.clear();
        let records = groups.iter().flat_map(|group| &group.records);
        for (position, record) in (self.end..).zip(records) {
            notes.push((position, self.buffer.len() as u64));
            frame::write(&mut self.buffer, position, record);
        }
        let grown = self.offset + self.buffer.len() as u64;
        if self.shared.segment_bytes_max < grown && SEGMENT_HEADER < self.offset {
            self.until_there_is_room(Self::roll)?;
        }
        self.until_there_is_room(Self::write)?;
        let written = Instant::now();
        self.sync()?;
        let took = u64::try_from(written.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.shared.slowest_sync_us.fetch_max(took, Ordering::Relaxed);
        self.publish(&notes);
        metrics::histogram!("saltline_journal_commit_records").record(notes.len() as f64);
        metrics::histogram!("saltline_journal_commit_seconds").record(started.elapsed());
        Ok(())
    }

    /// Makes the written records visible to readers.
    fn publish(&mut self, notes: &[(Position, u64)]) {
        let mut segments = self.shared.segments.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(active) = segments.last_mut() {
            for &(position, at) in notes {
                active.note(position, self.offset + at);
            }
        }
        drop(segments);
        self.offset += self.buffer.len() as u64;
        self.active.ends_at(self.offset);
        self.end += notes.len() as u64;
        self.shared.durable.send_replace(self.end);
    }

    fn answer(&self, groups: Vec<Group>) {
        let total: usize = groups.iter().map(|group| group.records.len()).sum();
        let mut first = self.end - total as u64;
        for group in groups {
            let count = group.records.len() as u64;
            drop(group.permit);
            if let Some(done) = group.done {
                // Who asked may have gone; the records are on disk all the same.
                drop(done.send(Ok(Durable::new(first, count))));
            }
            first += count;
        }
    }

    /// Tries until the disk has room, the journal is closed, or something worse happens.
    fn until_there_is_room(
        &mut self,
        act: fn(&mut Self) -> io::Result<()>,
    ) -> Result<(), JournalError> {
        loop {
            match act(self) {
                Ok(()) => {
                    if matches!(*self.shared.state.borrow(), State::Full) {
                        tracing::info!(dir = %self.shared.dir.display(), "disk has room again; journal goes on");
                        self.shared.state.send_replace(State::Healthy);
                    }
                    return Ok(());
                }
                Err(error) if is_full(&error) => self.wait_for_room(&error)?,
                Err(error) => return Err(self.fail("write", &error)),
            }
        }
    }

    fn wait_for_room(&mut self, error: &io::Error) -> Result<(), JournalError> {
        if let Err(error) = self.active.file.set_len(self.offset) {
            return Err(self.fail("cut", &error));
        }
        self.room_end = self.offset;
        metrics::counter!("saltline_journal_full_total").increment(1);
        if !matches!(*self.shared.state.borrow(), State::Full) {
            tracing::error!(
                dir = %self.shared.dir.display(), %error,
                "disk is full: nothing is acknowledged until there is room"
            );
            self.shared.state.send_replace(State::Full);
        }
        let queue = self.shared.queue();
        let (queue, _) = self
            .shared
            .wake
            .wait_timeout(queue, FULL_RETRY)
            .unwrap_or_else(PoisonError::into_inner);
        if queue.closed { Err(JournalError::Closed) } else { Ok(()) }
    }

    fn write(&mut self) -> io::Result<()> {
        if self.shared.faults.disk_full.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.active.file.write_all_at(&self.buffer, self.offset)?;
        self.make_room()
    }

    /// Writes zeros behind records that reach over the end of the file.
    fn make_room(&mut self) -> io::Result<()> {
        let end = self.offset + self.buffer.len() as u64;
        if end <= self.room_end {
            return Ok(());
        }
        let room = self.shared.segment_bytes_max.saturating_sub(end).min(ROOM_BYTES);
        let zeros = &ZEROS[..usize::try_from(room).expect("it is at most 256 KiB")];
        self.room_end = match self.active.file.write_all_at(zeros, end) {
            Ok(()) => end + room,
            // The records have their place; without room behind them the next sync is slower, no more.
            Err(error) if is_full(&error) => {
                self.active.file.set_len(end)?;
                end
            }
            Err(error) => return Err(error),
        };
        Ok(())
    }

    /// Cuts the unused room off a segment that nothing more is written to. It is room on the disk, no more: who reads
    /// the segment stops at zeros.
    fn give_room_back(&mut self) {
        if self.offset < self.room_end
            && let Err(error) = self.active.file.set_len(self.offset)
        {
            tracing::warn!(path = %self.active.path.display(), %error, "unused room stays on disk");
        }
        self.room_end = self.offset;
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        let synced = match self.shared.faults.sync_fails.load(Ordering::Relaxed) {
            true => Err(io::Error::other("injected")),
            false => self.active.file.sync_data(),
        };
        synced.map_err(|error| self.fail("sync", &error))
    }

    /// The active segment is complete and synced; the next one begins.
    fn roll(&mut self) -> io::Result<()> {
        let next = Segment::create(&self.shared.dir, self.end)?;
        self.give_room_back();
        next.ends_at(SEGMENT_HEADER);
        self.shared.segments.write().unwrap_or_else(PoisonError::into_inner).push(next.clone());
        self.active = next;
        self.offset = SEGMENT_HEADER;
        self.room_end = SEGMENT_HEADER;
        Ok(())
    }

    fn fail(&self, act: &str, error: &io::Error) -> JournalError {
        let why: Arc<str> =
            format!("cannot {act} `{}`: {error}", self.active.path.display()).into();
        tracing::error!(%why, "journal has failed; nothing is acknowledged any more");
        metrics::counter!("saltline_journal_failed_total").increment(1);
        self.shared.state.send_replace(State::Failed(why.clone()));
        JournalError::Failed(why)
    }
}

fn refuse(groups: Vec<Group>, error: &JournalError) {
    for done in groups.into_iter().filter_map(|group| group.done) {
        drop(done.send(Err(error.clone())));
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
