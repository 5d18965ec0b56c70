//! The file, its schema, and how a change is made: in one transaction that first takes its place in the queue of
//! changes, then writes, moves the version and leaves an audit row. A change that finds nothing to do leaves no trace.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, Timestamp};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{Sqlite, Transaction};

use crate::keyring::SharedKeyring;
use crate::users::Hashing;
use crate::{RegistryError, audit, parameters};

/// The schema, one file per step.
static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// How long a writer waits for another process to finish before [`RegistryError::Busy`]. The longest change, a
/// province pack of some hundred rows, takes tens of milliseconds on a field PC's card; five seconds is a hundred
/// of those, and still an answer while a person waits.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// Connections to the file. SQLite writes one at a time, so this bounds readers: the door, the portal, the poller
/// and one to spare.
const CONNECTIONS_MAX: u32 = 4;

/// The province's book, open. Clones share one pool.
#[derive(Clone)]
pub struct Registry {
    pub(crate) pool: SqlitePool,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) hashing: Arc<Hashing>,
    pub(crate) keyring: SharedKeyring,
    who: Arc<str>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("who", &self.who).finish_non_exhaustive()
    }
}

/// The machine's own clock, for a registry that was given no other.
struct WallClock;

impl Clock for WallClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the registry is opened by the command line too, which has no clock to give; \
                  only creation and audit times come from here"
    )]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let millis = since.map_or(0, |since| since.as_millis());
        Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
    }
}

impl Registry {
    /// Opens the file, creating it where there is none; brings its schema up to date and makes sure that the
    /// standard parameters are there.
    ///
    /// # Errors
    /// [`RegistryError::Open`] where it is not a registry, [`RegistryError::TooNew`] where a newer program wrote it,
    /// [`RegistryError::Busy`] where another process holds it.
    pub async fn open(path: &Path) -> Result<Self, RegistryError> {
        let alone = alone(path).await?;
        let pool = connect(path).await?;
        migrate(&pool, path).await?;
        drop(alone);
        let registry = Self {
            pool,
            clock: Arc::new(WallClock),
            hashing: Arc::default(),
            keyring: SharedKeyring::default(),
            who: Arc::from("saltline"),
        };
        parameters::seed(&registry).await?;
        Ok(registry)
    }

    /// The same book, with creation and audit times from this clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The same book, in the hands of `who`: the name that the audit gives to changes made through it.
    #[must_use]
    pub fn by(&self, who: &str) -> Self {
        Self { who: Arc::from(who), ..self.clone() }
    }

    /// A number that grows with every change of the book (not with sessions coming and going). One row of one page
    /// is read: cheap enough to ask every second.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn version(&self) -> Result<u64, RegistryError> {
        let sql = "SELECT version FROM counters WHERE id = 1";
        let version: i64 = sqlx::query_scalar(sql).fetch_one(&self.pool).await?;
        Ok(u64::try_from(version).unwrap_or(0))
    }

    /// Writes all of it as one file that nobody else has open, as it is at this moment; changes go on meanwhile. The
    /// file must not exist.
    ///
    /// # Errors
    /// Where it cannot be read or the disk has no room.
    pub async fn copy_to(&self, path: &Path) -> Result<(), RegistryError> {
        let text = path.to_string_lossy().into_owned();
        sqlx::query("VACUUM INTO ?").bind(text).execute(&self.pool).await?;
        Ok(())
    }

    /// Lets go of the file; later calls on any clone fail.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// A transaction to read several tables at one version.
    pub(crate) async fn snapshot(&self) -> Result<Transaction<'static, Sqlite>, RegistryError> {
        Ok(self.pool.begin().await?)
    }

    /// Begins a change; it waits for its place in the queue.
    pub(crate) async fn change(&self) -> Result<Change, RegistryError> {
        let mut tx = self.pool.begin().await?;
        let queue = "UPDATE counters SET version = version WHERE id = 1";
        sqlx::query(queue).execute(&mut *tx).await?;
        let (who, keyring) = (Arc::clone(&self.who), self.keyring.clone());
        Ok(Change { tx, who, at: self.clock.now(), moves: 0, keyring, lets_in: false })
    }
}

/// A change under way. Dropped without [`Change::finish`] it never happened.
pub(crate) struct Change {
    tx: Transaction<'static, Sqlite>,
    who: Arc<str>,
    pub(crate) at: Timestamp,
    moves: usize,
    keyring: SharedKeyring,
    /// Is it about stations or their keys, so that what is in memory of them is no longer true?
    lets_in: bool,
}

impl Change {
    /// The connection to write through.
    pub(crate) fn sql(&mut self) -> &mut SqliteConnection {
        &mut self.tx
    }

    /// Who makes it.
    pub(crate) fn who(&self) -> &str {
        &self.who
    }

    /// How many entries this change has written so far.
    pub(crate) const fn moves(&self) -> usize {
        self.moves
    }

    /// Moves the version and writes the audit row of something that was just done.
    pub(crate) async fn record(
        &mut self,
        act: &str,
        before: &str,
        after: &str,
    ) -> Result<(), RegistryError> {
        let sql = "UPDATE counters SET version = version + 1 WHERE id = 1";
        sqlx::query(sql).execute(&mut *self.tx).await?;
        audit::write(&mut self.tx, self.at, &self.who, act, before, after).await?;
        self.moves += 1;
        self.lets_in |= act.starts_with("station.");
        Ok(())
    }

    /// Makes it true without moving the version: for what no copy in memory holds.
    pub(crate) async fn finish_quietly(self) -> Result<(), RegistryError> {
        Ok(self.tx.commit().await?)
    }

    /// Makes it true, if there was anything to do. Returns whether there was.
    pub(crate) async fn finish(self) -> Result<bool, RegistryError> {
        let moved = 0 < self.moves;
        if moved {
            self.tx.commit().await?;
            if self.lets_in {
                self.keyring.forget();
            }
        } else {
            self.tx.rollback().await?;
        }
        Ok(moved)
    }
}

/// Lets in one at a time: turning a new file to WAL wants it whole, and of two who try at once SQLite lets both wait
/// for each other until they give up. The lock goes with the returned file, however the process ends.
async fn alone(path: &Path) -> Result<std::fs::File, RegistryError> {
    let beside = path.with_extension("lock");
    let failed = |source: std::io::Error| RegistryError::Open {
        path: beside.clone(),
        source: source.into(),
    };
    create(&beside).await?;
    let file = std::fs::File::open(&beside).map_err(failed)?;
    let tries = BUSY_WAIT.as_millis() / ALONE_AGAIN.as_millis();
    for _ in 0..tries {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::WouldBlock) => tokio::time::sleep(ALONE_AGAIN).await,
            Err(std::fs::TryLockError::Error(source)) => return Err(failed(source)),
        }
    }
    Err(RegistryError::Busy)
}

/// Pause between two tries to be alone with the file: an opening takes some 30 ms.
const ALONE_AGAIN: Duration = Duration::from_millis(20);

/// A new file is its owner's alone: it holds phone numbers and hashes. SQLite gives its WAL the same mode.
async fn create(path: &Path) -> Result<(), RegistryError> {
    let mut options = tokio::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    options.mode(0o600);
    let failed = |source: std::io::Error| RegistryError::Open {
        path: path.to_owned(),
        source: source.into(),
    };
    options.open(path).await.map(drop).map_err(failed)
}

async fn connect(path: &Path) -> Result<SqlitePool, RegistryError> {
    create(path).await?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(BUSY_WAIT)
        // Readers never wait for the writer, nor it for them.
        .journal_mode(SqliteJournalMode::Wal)
        // A key that was shown must still be known after a power cut.
        .synchronous(SqliteSynchronous::Full);
    let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS_MAX).acquire_timeout(BUSY_WAIT);
    pool.connect_with(options).await.map_err(|source| opening(path, source))
}

/// All steps in one transaction that excludes other writers: two processes that open a new file at once do not
/// both create the tables.
async fn migrate(pool: &SqlitePool, path: &Path) -> Result<(), RegistryError> {
    let begun = pool.begin_with("BEGIN IMMEDIATE").await;
    let mut tx = begun.map_err(|source| opening(path, source))?;
    let done = MIGRATIONS.run_direct(None, &mut *tx, false).await;
    done.map_err(|source| misfit(path, source))?;
    tx.commit().await.map_err(|source| opening(path, source))
}

fn opening(path: &Path, source: sqlx::Error) -> RegistryError {
    match RegistryError::from(source) {
        RegistryError::Store(source) => {
            RegistryError::Open { path: path.to_owned(), source: source.into() }
        }
        other => other,
    }
}

fn misfit(path: &Path, source: MigrateError) -> RegistryError {
    let known = MIGRATIONS.iter().map(|step| step.version).max().unwrap_or(0);
    match source {
        MigrateError::VersionMissing(found) if known < found => {
            RegistryError::TooNew { path: path.to_owned(), found, known }
        }
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => {
            opening(path, source)
        }
        other => RegistryError::Open { path: path.to_owned(), source: other.into() },
    }
}
