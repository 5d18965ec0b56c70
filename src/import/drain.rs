//! The engine's side of an import: pieces out of the folder, one after the other, into the journal with everything else.
//!
//! Live readings go first. A piece is at most half a mebibyte, one is under way at a time, and after each the disk has as
//! long for others as it took; so a PUBACK waits for one piece at most. And no piece is taken while history is more than
//! [`BEHIND_MAX`] records behind the journal, so a live reading can be queried as soon as history has gone through those:
//! a fifth of a second at the 100,000 reports a second that it takes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ingest::{Batch, Intake, Piece};
use journal::Journal;
use tokio_util::sync::CancellationToken;

use super::mark::Mark;
use super::{FOLDER, ImportError};
use crate::assembly::Fatal;
use crate::follow::Tally;

/// How often the folder is looked into: an import is begun by a person.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Records of the journal that history may be behind when a piece is taken.
const BEHIND_MAX: u64 = 16_384;

/// How long to wait while it is more.
const BEHIND_WAITS: Duration = Duration::from_millis(10);

/// Takes pieces out of the folder.
pub struct Drain {
    dir: PathBuf,
    intake: Intake,
    journal: Journal,
    tally: Arc<Tally>,
}

impl Drain {
    /// Out of the imports' folder of `data` into this intake.
    #[must_use]
    pub fn new(data: &Path, intake: Intake, journal: Journal, tally: Arc<Tally>) -> Self {
        Self { dir: data.join(FOLDER), intake, journal, tally }
    }

    /// Takes until told to stop. A piece that is under way is finished, or stays where it is.
    ///
    /// # Errors
    /// [`Fatal`]: the journal failed.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Fatal> {
        while !stop.is_cancelled() {
            for path in waiting(&self.dir) {
                if stop.is_cancelled() {
                    break;
                }
                tokio::select! {
                    taken = self.take(&path) => taken?,
                    () = stop.cancelled() => break,
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => {}
            }
        }
        Ok(())
    }

    async fn take(&self, path: &Path) -> Result<(), Fatal> {
        while self.tally.next.load(Ordering::Acquire) + BEHIND_MAX < self.journal.durable_end() {
            tokio::time::sleep(BEHIND_WAITS).await;
        }
        let began = Instant::now();
        let Some(piece) = read(path) else { return Ok(()) };
        let (name, (_, next), values) = (piece.name().to_owned(), piece.span(), piece.values());
        let mut batch = Batch::default();
        self.intake.take_piece(piece, &mut batch);
        self.intake.commit(batch).await?;
        counted("taken");
        metrics::counter!("saltline_import_readings_total").increment(values);
        taken(&self.dir, path, &name, next);
        tokio::time::sleep(began.elapsed()).await;
        Ok(())
    }
}

/// The pieces that wait in a folder, in order. A folder that is not there holds none.
pub fn waiting(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "piece"))
        .collect();
    found.sort();
    found
}

/// Reads a piece. One that does not read back is put aside: whoever made it makes it again.
pub fn read(path: &Path) -> Option<Piece> {
    let why = match std::fs::read(path) {
        Ok(bytes) => match Piece::decode(&Bytes::from(bytes)) {
            Ok(piece) => return Some(piece),
            Err(error) => error.to_string(),
        },
        Err(error) => error.to_string(),
    };
    counted("refused");
    tracing::error!(path = %path.display(), why, "a piece of an import cannot be taken");
    if let Err(error) = std::fs::rename(path, path.with_extension("bad")) {
        tracing::error!(path = %path.display(), %error, "and it cannot be put aside");
    }
    None
}

/// Writes down that a piece is on disk, and lets it go. What of it fails costs a repetition at most.
pub fn taken(dir: &Path, path: &Path, name: &str, next: u64) {
    let gone = Mark { records: next, done: false }
        .write(dir, name)
        .and_then(|()| std::fs::remove_file(path).map_err(ImportError::disk("delete", path)));
    if let Err(error) = gone {
        let error = &error as &dyn std::error::Error;
        tracing::error!(path = %path.display(), error, "a piece that was taken may be taken again");
    }
}

fn counted(outcome: &'static str) {
    metrics::counter!("saltline_import_pieces_total", "outcome" => outcome).increment(1);
}
