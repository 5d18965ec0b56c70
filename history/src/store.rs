//! The handle, and what all its clones share. Locks are taken in one order: sealer, writer, state, caches.

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use domain::{ParameterCode, StationCode, Timestamp};

use crate::apply::{Counters, Window, Writer};
use crate::cache::Cache;
use crate::month::Month;
use crate::names::Names;
use crate::packed::Packed;
use crate::rollup::Level;
use crate::seal::{Sealer, Sealing};
use crate::sealed::{self, Footer, MANIFEST, Manifest, Rows, SealedFile};
use crate::series::SeriesTable;
use crate::tail::Tail;
use crate::{Beside, Config, HistoryError, Stats};

/// Decoded footers: one of a month at 200 stations takes about 100 kB, so that ten years and more stay open. A question
/// over more than fit decodes all of them anew each time, a fifth of a millisecond each.
const FOOTERS_BYTES_MAX: usize = 24 << 20;
/// Windows for the look-ups of late readings: 18 kB for a six-value station, so 900 stations can send their backlogs
/// in turns without pushing each other out.
const WINDOWS_BYTES_MAX: usize = 16 << 20;

/// Decoded row groups for the same look-ups: when a seal falls between two swapped reports of many stations, all of them
/// ask the same small file. A small file's group takes 100 kB, a large one's 1 MB.
const BLOCKS_BYTES_MAX: usize = 6 << 20;

/// Months of series as they were read, three bytes a reading: a year of 200 series every 15 minutes takes 21 MiB.
const PACKED_BYTES_MAX: usize = 24 << 20;
/// What intervals come to, as it lies on disk, some 30 bytes each: the days of a year of 200 series take 3 MiB.
const BLOCKS_KEPT_BYTES_MAX: usize = 8 << 20;

/// Readings over time. Cheap to clone; all clones are one store.
#[derive(Clone)]
pub struct History {
    pub(crate) shared: Arc<Shared>,
    /// Who is asked first, if anybody.
    pub(crate) beside: Option<Arc<dyn Beside>>,
}

type KeptKey = (u64, u32, u32, Level);

/// What all clones share.
pub(crate) struct Shared {
    pub(crate) dir: PathBuf,
    pub(crate) config: Config,
    pub(crate) sealer: Mutex<Sealer>,
    /// Held by whoever changes what is in the tail.
    pub(crate) writer: Mutex<Writer>,
    pub(crate) state: RwLock<State>,
    pub(crate) footers: Mutex<Cache<u64, Footer>>,
    pub(crate) windows: Mutex<Cache<u32, Window>>,
    /// By a file's serial number and the row group's place in it.
    pub(crate) blocks: Mutex<Cache<(u64, usize), Rows>>,
    /// By station and parameter.
    pub(crate) packed: Mutex<Cache<(u32, u32, Month), Packed>>,
    /// By a file's serial number, station, parameter and level.
    pub(crate) kept: Mutex<Cache<KeptKey, Vec<u8>>>,
    pub(crate) counters: Counters,
    pub(crate) rests: AtomicBool,
    /// Locked while any clone lives.
    _lock: File,
}

/// What readers and the writer see, consistent under one lock that is never held over I/O.
pub(crate) struct State {
    pub(crate) stations: Names<StationCode>,
    pub(crate) parameters: Names<ParameterCode>,
    pub(crate) series: SeriesTable,
    pub(crate) tail: Tail,
    /// The tail that is being written to files, or could not be written yet: it stays readable.
    pub(crate) sealing: Option<Arc<Sealing>>,
    pub(crate) files: Files,
    /// Counts the seals: what was looked up in files under an older number may be incomplete.
    pub(crate) generation: u64,
    pub(crate) applied: Option<u64>,
    pub(crate) sealed: Option<u64>,
}

/// The sealed files that count, in no order that matters.
pub(crate) type Files = Arc<Vec<Arc<SealedFile>>>;

impl History {
    /// Opens the store in `dir`, which is made where it does not exist. Reads the manifest and nothing else; deletes
    /// what a crash left half-written.
    ///
    /// # Errors
    /// [`HistoryError::InUse`] where another process has it, [`HistoryError::Damaged`] or
    /// [`HistoryError::UnknownVersion`] for a manifest that cannot be read, [`HistoryError::Disk`] for all else. A
    /// sealed file that is missing or shorter than it was does not stop the start: it is logged, and the queries that
    /// need it say so.
    pub fn open(dir: &Path, config: Config) -> Result<Self, HistoryError> {
        fs::create_dir_all(dir).map_err(|e| HistoryError::disk("create", dir, e))?;
        let lock = hold(dir)?;
        let manifest = match Manifest::read(dir)? {
            Some(manifest) => manifest,
            None => begin(dir)?,
        };
        sweep(dir, &manifest)?;
        report_damage(dir, &manifest);
        let sealer = Sealer::new(&manifest);
        let shared = Shared {
            dir: dir.to_owned(),
            config,
            sealer: Mutex::new(sealer),
            writer: Mutex::new(Writer::default()),
            state: RwLock::new(State::new(dir, manifest)),
            footers: Mutex::new(Cache::new(FOOTERS_BYTES_MAX)),
            windows: Mutex::new(Cache::new(WINDOWS_BYTES_MAX)),
            blocks: Mutex::new(Cache::new(BLOCKS_BYTES_MAX)),
            packed: Mutex::new(Cache::new(PACKED_BYTES_MAX)),
            kept: Mutex::new(Cache::new(BLOCKS_KEPT_BYTES_MAX)),
            counters: Counters::new(),
            rests: AtomicBool::new(false),
            _lock: lock,
        };
        shared.read().gauge();
        Ok(Self { shared: Arc::new(shared), beside: None })
    }

    /// The journal position of the last record that is sealed on disk: the writer resumes behind it. `None`: from the
    /// beginning.
    #[must_use]
    pub fn position(&self) -> Option<u64> {
        self.shared.read().sealed
    }

    /// Must the writer wait with [`apply`](Self::apply) until [`seal`](Self::seal) has made room? So it is when
    /// unsealed readings are twice what the tail may hold: the tail that is being written, and a full one beside it.
    /// It happens when the disk is full or slow; the journal keeps what waits.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let state = self.shared.read();
        self.shared.config.tail_readings_max.saturating_mul(2) <= state.unsealed(|t| t.readings)
    }

    /// Lets what can wait rest, or go on: files are sealed and not merged. For a disk that is full or slow.
    pub fn rest(&self, rests: bool) {
        self.shared.rests.store(rests, Ordering::Relaxed);
    }

    /// How much there is.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let state = self.shared.read();
        let sum = |of: fn(&sealed::Facts) -> u64| state.files.iter().map(|f| of(&f.facts)).sum();
        let spans = || {
            let sealing = state.sealing.iter().filter_map(|sealing| sealing.tail.span);
            state.files.iter().map(|f| f.facts.span).chain(sealing).chain(state.tail.span)
        };
        Stats {
            tail_rows: state.unsealed(|tail| tail.rows) as u64,
            tail_readings: state.unsealed(|tail| tail.readings) as u64,
            tail_bytes: state.unsealed(Tail::bytes) as u64,
            sealed_files: state.files.len() as u64,
            sealed_bytes: sum(|facts| facts.bytes),
            sealed_rows: sum(|facts| facts.rows),
            sealed_readings: sum(|facts| facts.readings),
            oldest: spans().map(|span| span.0).min().map(Timestamp::from_millis),
            newest: spans().map(|span| span.1).max().map(Timestamp::from_millis),
            sealed_position: state.sealed,
        }
    }
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("History").field("dir", &self.shared.dir).finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new(dir: &Path, manifest: Manifest) -> Self {
        let files = manifest.files.iter().map(|&facts| SealedFile::new(dir, facts)).collect();
        Self {
            stations: manifest.stations,
            parameters: manifest.parameters,
            series: manifest.series,
            tail: Tail::default(),
            sealing: None,
            files: Arc::new(files),
            generation: 0,
            applied: manifest.sealed,
            sealed: manifest.sealed,
        }
    }

    fn unsealed(&self, of: impl Fn(&Tail) -> usize) -> usize {
        of(&self.tail) + self.sealing.as_ref().map_or(0, |sealing| of(&sealing.tail))
    }
}

/// A lock whose holder panicked is taken over: what it guards is changed in single steps.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the folder for this process: a second one would delete the files that the first is writing.
fn hold(dir: &Path) -> Result<File, HistoryError> {
    let path = dir.join("lock");
    let file = File::create(&path).map_err(|e| HistoryError::disk("create", &path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(HistoryError::InUse { path }),
        Err(TryLockError::Error(error)) => Err(HistoryError::disk("lock", &path, error)),
    }
}

/// The first manifest of a folder. Files without a manifest are not ours to judge, and surely not to delete.
fn begin(dir: &Path) -> Result<Manifest, HistoryError> {
    if names(dir)?.iter().any(|name| name.ends_with(".parquet")) {
        let what = "it is missing, and the folder has sealed files";
        return Err(HistoryError::damaged(&dir.join(MANIFEST), what));
    }
    sealed::write_manifest(dir, 0, None, std::iter::empty(), "")?;
    Ok(Manifest::default())
}

/// Deletes what a crash left: temporary files, and sealed files that the manifest does not name.
fn sweep(dir: &Path, manifest: &Manifest) -> Result<(), HistoryError> {
    let known: HashSet<String> = manifest.files.iter().map(sealed::Facts::name).collect();
    for name in names(dir)? {
        let orphan = name.ends_with(".parquet") && !known.contains(&name);
        if !orphan && !name.ends_with(".tmp") {
            continue;
        }
        let path = dir.join(&name);
        fs::remove_file(&path).map_err(|e| HistoryError::disk("delete", &path, e))?;
        metrics::counter!("saltline_history_orphans_total").increment(1);
        tracing::info!(path = %path.display(), "deleted what an unfinished seal or merge left");
    }
    Ok(())
}

fn report_damage(dir: &Path, manifest: &Manifest) {
    for facts in &manifest.files {
        let path = dir.join(facts.name());
        let found = fs::metadata(&path).map(|meta| meta.len());
        if !found.as_ref().is_ok_and(|&bytes| bytes == facts.bytes) {
            metrics::counter!("saltline_history_damaged_total").increment(1);
            tracing::error!(path = %path.display(), ?found, sealed = facts.bytes, "sealed file is damaged");
        }
    }
}

fn names(dir: &Path) -> Result<Vec<String>, HistoryError> {
    let failed = |e| HistoryError::disk("list", dir, e);
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}
