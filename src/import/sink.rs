//! Pieces to whoever has the journal open: this process, where no engine runs, or else the engine, through the folder.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use domain::{Clock, Timestamp};
use ingest::Piece;
use journal::{Journal, JournalError};

use super::mark::Mark;
use super::{FOLDER, ImportError, drain};
use crate::clock::SystemClock;

/// Pieces that may wait in the folder: four MB, a second of the engine's work.
const WAITING_MAX: usize = 8;

/// How often it is looked whether the engine took one.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// After so long without a piece being taken, the engine is not there or its disk is full.
const STALLED_AFTER: Duration = Duration::from_secs(60);

/// Where pieces go.
pub struct Sink {
    dir: PathBuf,
    to: To,
    /// One import of a data folder at a time.
    _lock: File,
}

enum To {
    Here(Journal),
    Beside,
}

impl Sink {
    /// Opens the journal of this data folder, or finds that an engine has it open; and sees to what an import that was
    /// killed has left in the folder.
    pub async fn open(data: &Path, journal: &journal::Config) -> Result<Self, ImportError> {
        let dir = data.join(FOLDER);
        std::fs::create_dir_all(&dir).map_err(ImportError::disk("create", &dir))?;
        let lock = hold(&dir.join("import.lock"))?;
        let to = match Journal::open(&data.join("journal"), journal) {
            Ok(journal) => To::Here(journal),
            Err(JournalError::InUse(_)) => To::Beside,
            Err(error) => return Err(error.into()),
        };
        let sink = Self { dir, to, _lock: lock };
        if let To::Here(_) = sink.to {
            for path in drain::waiting(&sink.dir) {
                let Some(piece) = drain::read(&path) else { continue };
                let (name, next) = (piece.name().to_owned(), piece.span().1);
                sink.put(piece).await?;
                drain::taken(&sink.dir, &path, &name, next);
            }
        }
        sink.emptied(0).await?;
        Ok(sink)
    }

    /// The journal, where it is this process that has it open.
    pub fn journal(&self) -> Option<&Journal> {
        match &self.to {
            To::Here(journal) => Some(journal),
            To::Beside => None,
        }
    }

    /// How far the import of this name came.
    pub fn mark(&self, name: &str) -> Mark {
        Mark::read(&self.dir, name)
    }

    /// When the import of this name was begun for the first time.
    pub fn began(&self, name: &str) -> Result<Timestamp, ImportError> {
        let path = self.dir.join(format!("{name}.began"));
        let known = std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
        if let Some(millis) = known.filter(|_| self.mark(name) != Mark::NONE) {
            return Ok(Timestamp::from_millis(millis));
        }
        let now = SystemClock.now();
        let text = format!("{}\n", now.as_millis());
        std::fs::write(&path, text).map_err(ImportError::disk("write", &path))?;
        Ok(now)
    }

    /// Gives a piece on; here it is on disk when this returns.
    pub async fn put(&self, piece: Piece) -> Result<(), ImportError> {
        let (name, (first, next)) = (piece.name().to_owned(), piece.span());
        match &self.to {
            To::Here(journal) => {
                journal.append(piece.into_records(SystemClock.now())).await?;
                Mark { records: next, done: false }.write(&self.dir, &name)
            }
            To::Beside => {
                self.emptied(WAITING_MAX - 1).await?;
                let path = self.dir.join(format!("{name}-{first:020}.piece"));
                let beside = path.with_extension("new");
                // Not synced: a power cut takes this import too, and it goes on where the mark stands.
                std::fs::write(&beside, piece.encode())
                    .and_then(|()| std::fs::rename(&beside, &path))
                    .map_err(ImportError::disk("write", &path))
            }
        }
    }

    /// Waits until all of it is on disk and writes that down.
    pub async fn finish(&self, name: &str, records: u64) -> Result<(), ImportError> {
        self.emptied(0).await?;
        let mark = self.mark(name);
        if mark.records < records {
            return Err(ImportError::Aside(self.dir.clone()));
        }
        Mark { records, done: true }.write(&self.dir, name)
    }

    /// Waits until at most so many pieces wait in the folder.
    async fn emptied(&self, most: usize) -> Result<(), ImportError> {
        let (mut before, mut moved) = (usize::MAX, Instant::now());
        loop {
            let now = drain::waiting(&self.dir).len();
            if now <= most {
                return Ok(());
            }
            if now < before {
                moved = Instant::now();
            }
            before = now;
            if STALLED_AFTER < moved.elapsed() {
                return Err(ImportError::Stalled(STALLED_AFTER.as_secs()));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

fn hold(path: &Path) -> Result<File, ImportError> {
    let file = File::create(path).map_err(ImportError::disk("create", path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ImportError::Busy(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(ImportError::disk("lock", path)(error)),
    }
}
