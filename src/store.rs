//! The data folder, opened: what must survive, and the check that its parts belong together.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::Clock;
use history::{History, HistoryError};
use ingest::mqtt::{SessionLog, SessionLogError};
use journal::{Journal, JournalError};
use registry::{Registry, RegistryError};

use crate::behind::Behind;
use crate::settings::Config;

/// The folder of refused packets.
pub const DEAD_LETTERS: &str = "deadletter";

/// Disk for what stations said beside their readings: 100,000 receipts, of which all but the newest were heard.
pub const SAID_DISK_BYTES_MAX: u64 = 16 << 20;

/// Everything in the data folder.
#[derive(Clone)]
pub struct Store {
    /// The folder.
    pub dir: PathBuf,
    /// Admitted reports and the clock.
    pub journal: Journal,
    /// Where those stand who follow it.
    pub behind: Behind,
    /// Refused packets.
    pub dead_letters: Journal,
    /// What stations said beside their readings.
    pub said: Journal,
    /// What was decided and who was told.
    pub ledger: Journal,
    /// What is remembered of MQTT clients.
    pub sessions: SessionLog,
    /// Readings over time.
    pub history: History,
    /// The province's book.
    pub registry: Registry,
}

/// The data folder does not serve.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be made.
    #[error("cannot create `{path}`")]
    Create {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A journal does not open.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The session log does not open.
    #[error(transparent)]
    Sessions(#[from] SessionLogError),
    /// The history does not open.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The registry does not open.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The folder holds parts of different journals: to go on would skip readings.
    #[error("{part} has read to {at}, but the journal ends at {end}: the journal was replaced")]
    Foreign {
        /// Which follower.
        part: &'static str,
        /// Where it stands.
        at: u64,
        /// Where the journal ends.
        end: u64,
    },
}

impl Store {
    /// Opens the folder that the configuration names, making what is not there.
    ///
    /// # Errors
    /// [`StoreError`]: the first part that does not serve.
    pub async fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let dir = config.data_dir.clone();
        // What expires does so by the clock that readings are received by.
        let registry = open_registry(&dir).await?.with_clock(clock.clone());
        // A sixteenth of what may be kept: retention by size deletes whole segments.
        let letters = journal::Config {
            segment_bytes_max: (config.dead_letter_bytes_max / 16).max(1 << 16),
            ..journal::Config::default()
        };
        let said = journal::Config {
            segment_bytes_max: SAID_DISK_BYTES_MAX / 16,
            ..journal::Config::default()
        };
        let journal = Journal::open(&dir.join("journal"), &journal_config(config))?;
        let store = Self {
            behind: Behind::new(journal.clone()),
            journal,
            dead_letters: Journal::open(&dir.join(DEAD_LETTERS), &letters)?,
            said: Journal::open(&dir.join("said"), &said)?,
            ledger: Journal::open(&dir.join("ledger"), &journal::Config::default())?,
            sessions: SessionLog::open(&dir.join("sessions"), clock)?,
            history: History::open(&dir.join("history"), history_config(config))?,
            registry,
            dir,
        };
        store.belongs_together()?;
        Ok(store)
    }

    fn belongs_together(&self) -> Result<(), StoreError> {
        let end = self.journal.durable_end();
        let sealed = self.history.position().map_or(0, |position| position + 1);
        let engine = self.journal.cursor("engine").unwrap_or(0);
        for (part, at) in [("history", sealed), ("the engine", engine)] {
            if end < at {
                return Err(StoreError::Foreign { part, at, end });
            }
        }
        Ok(())
    }
}

/// How the readings' journal is kept.
#[must_use]
pub fn journal_config(config: &Config) -> journal::Config {
    journal::Config { segment_bytes_max: config.segment_bytes_max, ..journal::Config::default() }
}

/// How history is kept.
#[must_use]
pub fn history_config(config: &Config) -> history::Config {
    history::Config {
        tail_readings_max: config.tail_readings_max,
        tail_age_max: config.tail_age_max,
        settle_bytes_per_second: config.settle_bytes_per_second,
        ..history::Config::default()
    }
}

/// Opens the registry alone, as commands do beside a running engine.
///
/// # Errors
/// [`StoreError::Create`], [`StoreError::Registry`].
pub async fn open_registry(dir: &Path) -> Result<Registry, StoreError> {
    std::fs::create_dir_all(dir)
        .map_err(|source| StoreError::Create { path: dir.to_owned(), source })?;
    Ok(Registry::open(&dir.join("registry.sqlite")).await?)
}
