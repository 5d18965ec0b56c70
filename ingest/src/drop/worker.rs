//! The loop of one folder: look, read what is whole, commit, move, wait.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use domain::{Reason, Refusal};
use journal::JournalError;
use tokio_util::sync::CancellationToken;

use crate::formats::line_protocol::Precision;
use crate::formats::shape::{Shape, Way};
use crate::intake::{Batch, Came, Intake, Pass};
use domain::Format;

use super::config::Config;
use super::grow::Growing;
use super::header::Headers;
use super::name;
use super::outcome::{Outcome, put_away};
use super::pieces::{header, pieces};
use super::scan::{DONE, Scan, Whole};
use super::unpack::{Unpacked, unpack};

mod growing; // files that stay

/// How often old files are looked for in `done`.
const CLEAN_EVERY: Duration = Duration::from_secs(3_600);

/// Folders below `done` that are looked into.
const DEPTH_MAX: usize = 6;

/// A watched folder.
#[derive(Debug)]
pub struct Drop {
    config: Arc<Config>,
    intake: Intake,
    scan: Scan,
    headers: Headers,
    growing: Growing,
    /// Where it is remembered how far growing files were read.
    state: PathBuf,
    cleaned: Option<Instant>,
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intake").finish_non_exhaustive()
    }
}

impl Drop {
    /// A folder whose files go into this intake. How far growing files were read is remembered in the folder `state`.
    #[must_use]
    pub fn new(config: Config, intake: &Intake, state: &Path) -> Self {
        Self {
            config: Arc::new(config),
            intake: intake.clone(),
            scan: Scan::default(),
            headers: Headers::default(),
            growing: Growing::default(),
            state: state.to_owned(),
            cleaned: None,
        }
    }

    /// Takes files until told to stop; a file that is under way is finished, or left where it is.
    ///
    /// # Errors
    /// [`JournalError`]: the disk failed; nothing more may be taken.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), JournalError> {
        tracing::info!(folder = self.config.name, dir = %self.config.dir.display(), "watching a folder");
        if self.config.grows {
            return self.run_growing(stop).await;
        }
        while !stop.is_cancelled() {
            for file in self.look().await {
                if stop.is_cancelled() {
                    break;
                }
                tokio::select! {
                    taken = self.take(&file) => taken?,
                    // What was read of it is read again after the start, and stored once.
                    () = stop.cancelled() => break,
                }
            }
            self.clean().await;
            tokio::select! {
                () = tokio::time::sleep(self.config.every) => {}
                () = stop.cancelled() => {}
            }
        }
        Ok(())
    }

    async fn look(&mut self) -> Vec<Whole> {
        let (mut scan, config) = (std::mem::take(&mut self.scan), self.config.clone());
        let looked = blocking(move || {
            let found = scan.look(&config.dir, config.settle, Instant::now());
            (scan, found)
        });
        let (scan, found) = looked.await;
        self.scan = scan;
        let folder = self.config.name.clone();
        match found {
            Ok((whole, waiting)) => {
                metrics::gauge!("saltline_drop_waiting", "folder" => folder)
                    .set((whole.len() + waiting) as f64);
                whole
            }
            Err(error) => {
                failed("list");
                tracing::error!(folder, dir = %self.config.dir.display(), %error, "a folder cannot be listed");
                Vec::new()
            }
        }
    }

    /// Reads a file, commits what it says and moves it.
    async fn take(&mut self, file: &Whole) -> Result<(), JournalError> {
        let started = Instant::now();
        let outcome = match self.open(file).await {
            Ok(files) => {
                let mut outcome = Outcome::default();
                for unpacked in files {
                    self.store(&file.path, &unpacked, 0, &mut outcome).await?;
                }
                outcome
            }
            Err(Unread::Later) => return Ok(()),
            Err(Unread::Bad(refusal)) => {
                let mut outcome = Outcome::default();
                outcome.refuse(&name_of(&file.path), None, refusal);
                outcome
            }
        };
        self.put_away(file, outcome, started.elapsed()).await;
        Ok(())
    }

    async fn open(&self, file: &Whole) -> Result<Vec<Unpacked>, Unread> {
        let most = self.config.file_bytes_max;
        if most < file.bytes {
            let detail = format!("{} bytes; {most} are possible", file.bytes);
            return Err(Unread::Bad(Refusal { reason: Reason::TooLarge, detail }));
        }
        let (path, name) = (file.path.clone(), name_of(&file.path));
        let read = blocking(move || {
            let bytes = std::fs::read(&path).map_err(|error| (path, error))?;
            Ok::<_, (PathBuf, std::io::Error)>(unpack(&name, Bytes::from(bytes), most))
        });
        match read.await {
            Ok(Ok(files)) => Ok(files),
            Ok(Err(detail)) => Err(Unread::Bad(Refusal { reason: Reason::Malformed, detail })),
            Err((path, error)) => {
                failed("read");
                tracing::error!(folder = self.config.name, path = %path.display(), %error, "a file cannot be read");
                Err(Unread::Later)
            }
        }
    }

    async fn store(
        &mut self,
        path: &Path,
        unpacked: &Unpacked,
        lines_before: i64,
        outcome: &mut Outcome,
    ) -> Result<(), JournalError> {
        let Some(format) = self.config.format.or_else(|| name::format(&unpacked.name)) else {
            let detail = "its ending tells no format; see `format` of [[ingest.drop]]".to_owned();
            outcome.refuse(&unpacked.name, None, Refusal { reason: Reason::Malformed, detail });
            return Ok(());
        };
        let pass = self.whose(path, &name_of(Path::new(&unpacked.name)));
        if format == Format::Table {
            let head = &unpacked.bytes[..header(&unpacked.bytes)];
            self.note_header(pass.as_ref(), &unpacked.name, head);
        }
        let offset_s = self.config.offset_s;
        let shape = Shape { format, offset_s, precision: Precision::default() };
        let came = Came { shape, way: Way::File, topic: None, retained: false };
        for piece in pieces(format, &unpacked.bytes) {
            let mut batch = Batch::default();
            let whose = |named: Option<&str>| self.speaker(pass.as_ref(), named, &unpacked.name);
            let body = self.intake.take_body(pass.as_ref(), whose, came, &piece.bytes, &mut batch);
            self.intake.commit(batch).await?;
            outcome.stored += body.stored;
            for (line, refusal) in body.refused {
                let line = line.and_then(|line| i64::try_from(line).ok());
                let line = line.map(|it| it + piece.lines_before + lines_before);
                outcome.refuse(&unpacked.name, line, refusal);
            }
        }
        Ok(())
    }

    /// The station that the configuration, the file's name or its folder means.
    fn whose(&self, path: &Path, name: &str) -> Option<Pass> {
        let stations = self.intake.stations();
        let pass = |station| Pass { station };
        if let Some(code) = &self.config.station {
            return stations.get(code.as_str()).map(pass);
        }
        let below = path.strip_prefix(&self.config.dir).unwrap_or(path);
        name::stations(below, name).find_map(|name| known(&self.intake, name))
    }

    /// Whose a part is. A folder that is one station's speaks of no other.
    fn speaker(
        &self,
        pass: Option<&Pass>,
        named: Option<&str>,
        file: &str,
    ) -> Result<Pass, Refusal> {
        let unknown = |name: &str| {
            let detail = format!("no station is called `{name}`, or known as it");
            Refusal { reason: Reason::UnknownStation, detail }
        };
        match (pass, named) {
            (Some(pass), None) => Ok(pass.clone()),
            (Some(pass), Some(named)) if self.config.station.is_some() => {
                pass.speaks_of(Some(named))
            }
            (_, Some(named)) => known(&self.intake, named).ok_or_else(|| unknown(named)),
            (None, None) => {
                Err(unknown(self.config.station.as_ref().map_or(file, |code| code.as_str())))
            }
        }
    }

    fn note_header(&mut self, pass: Option<&Pass>, file: &str, head: &[u8]) {
        let station = pass.map_or("", |pass| pass.station.code.as_str());
        if let Some(changed) = self.headers.note(station, head) {
            metrics::counter!("saltline_drop_headers_changed_total").increment(1);
            tracing::error!(
                folder = self.config.name, station, file, gone = ?changed.gone, new = ?changed.new,
                "the columns of a station's files have changed"
            );
        }
    }

    async fn put_away(&mut self, file: &Whole, outcome: Outcome, took: Duration) {
        let folder = self.config.name.clone();
        let (stored, kind) = (outcome.stored, outcome.as_str());
        let refused = outcome.refused.len() as u64 + outcome.more_refused;
        metrics::counter!("saltline_drop_files_total", "outcome" => kind).increment(1);
        tracing::info!(folder, path = %file.path.display(), outcome = kind, stored, refused, ?took, "file");
        let (dir, path) = (self.config.dir.clone(), file.path.clone());
        if let Err(error) = blocking(move || put_away(&dir, &path, &outcome)).await {
            failed("move");
            tracing::error!(folder, path = %file.path.display(), %error, "a file cannot be moved; it stays, and is not read again");
            self.scan.settle(file);
        }
    }

    /// Deletes old files out of `done`.
    async fn clean(&mut self) {
        let Some(kept) = self.config.done_kept else { return };
        if self.cleaned.is_some_and(|at| at.elapsed() < CLEAN_EVERY) {
            return;
        }
        self.cleaned = Some(Instant::now());
        let now = u64::try_from(self.intake.now().as_millis()).unwrap_or(0);
        let before = SystemTime::UNIX_EPOCH + Duration::from_millis(now).saturating_sub(kept);
        let done = self.config.dir.join(DONE);
        let deleted = blocking(move || delete_older(&done, before, 0)).await;
        if 0 < deleted {
            tracing::info!(folder = self.config.name, deleted, "old files deleted from done");
        }
    }
}

/// Why a file is not read.
enum Unread {
    /// The disk does not give it; it is tried again.
    Later,
    /// It is not what it should be.
    Bad(Refusal),
}

fn known(intake: &Intake, name: &str) -> Option<Pass> {
    let stations = intake.stations();
    stations.known_as(name).or_else(|| stations.get(name)).map(|station| Pass { station })
}

fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn failed(what: &'static str) {
    metrics::counter!("saltline_drop_errors_total", "what" => what).increment(1);
}

fn delete_older(dir: &Path, before: SystemTime, depth: usize) -> usize {
    let mut deleted = 0;
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(meta) = entry.metadata() else { continue };
        if meta.is_dir() && depth < DEPTH_MAX {
            deleted += delete_older(&entry.path(), before, depth + 1);
        } else if meta.is_file() && meta.modified().is_ok_and(|at| at < before) {
            match std::fs::remove_file(entry.path()) {
                Ok(()) => deleted += 1,
                Err(error) => {
                    failed("delete");
                    tracing::warn!(path = %entry.path().display(), %error, "an old file stays");
                }
            }
        }
    }
    deleted
}

/// Runs on a thread that may block. It is awaited to its end, so it has an owner.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
