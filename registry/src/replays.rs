//! Dead letters that somebody asked to send in again: asked here by whichever process, done by the running engine,
//! which alone may write the journal. A letter that went in is marked, and is not sent in twice.

use domain::Timestamp;
use serde_json::json;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::{Noun, Registry, RegistryError, audit};

/// Letters of one request: a day of a station that reports every ten seconds.
pub const REPLAYS_AT_ONCE_MAX: usize = 10_000;

/// How far a letter has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayState {
    /// The engine will look at it within a second.
    Asked,
    /// All of it is in the journal now. It is not sent in again.
    Replayed,
    /// A part of it is in the journal, the rest is still refused. It may be asked for again.
    Partly,
    /// It is still refused. It may be asked for again.
    Failed,
}

impl ReplayState {
    const ALL: [Self; 4] = [Self::Asked, Self::Replayed, Self::Partly, Self::Failed];

    /// The state as the book and the API write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Replayed => "replayed",
            Self::Partly => "partly",
            Self::Failed => "failed",
        }
    }
}

/// What became of one letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// The letter's place in the store of dead letters.
    pub letter: u64,
    /// When the letter came.
    pub received_at: Timestamp,
    /// How far it has come.
    pub state: ReplayState,
    /// Why it is still refused; empty where it is not.
    pub why: String,
    /// When it was asked for last.
    pub asked_at: Timestamp,
    /// By whom.
    pub asked_by: String,
    /// When the engine was done with it.
    pub done_at: Option<Timestamp>,
    /// By how many milliseconds its times are moved that cannot be believed.
    pub shift_ms: Option<i64>,
}

/// A letter that somebody wants to be sent in again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayWish {
    /// Its place in the store of dead letters.
    pub letter: u64,
    /// When it came.
    pub received_at: Timestamp,
    /// By how many milliseconds its times are to be moved that cannot be believed.
    pub shift_ms: Option<i64>,
}

/// What became of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplaysAsked {
    /// Letters that the engine will send in.
    pub asked: Vec<u64>,
    /// Letters that went in already.
    pub already: Vec<u64>,
}

impl Registry {
    /// Asks the engine to send in letters, each named by its place and the time it came.
    ///
    /// # Errors
    /// [`RegistryError::BadValue`] for more than [`REPLAYS_AT_ONCE_MAX`]; where the file cannot be written.
    pub async fn ask_replays(&self, letters: &[ReplayWish]) -> Result<ReplaysAsked, RegistryError> {
        if REPLAYS_AT_ONCE_MAX < letters.len() {
            let why = format!("at most {REPLAYS_AT_ONCE_MAX} letters at once; narrow the choice");
            return Err(RegistryError::bad(Noun::Letter, letters.len(), why));
        }
        let mut change = self.change().await?;
        let mut out = ReplaysAsked::default();
        for wish in letters {
            let &ReplayWish { letter, received_at, .. } = wish;
            let before = find(change.sql(), letter).await?;
            let same = before.filter(|replay| replay.received_at == received_at);
            match same.map(|replay| replay.state) {
                Some(ReplayState::Replayed) => out.already.push(letter),
                // Asked again before the engine looked: what was said last holds.
                Some(ReplayState::Asked | ReplayState::Partly | ReplayState::Failed) | None => {
                    let (at, who) = (change.at, change.who().to_owned());
                    put(change.sql(), wish, at, &who).await?;
                    out.asked.push(letter);
                }
            }
        }
        if !out.asked.is_empty() {
            let (at, who) = (change.at, change.who().to_owned());
            let (first, last) = (out.asked.iter().min(), out.asked.iter().max());
            let shifts = letters.iter().filter_map(|wish| wish.shift_ms);
            let shifts = shifts.clone().min().zip(shifts.max());
            let after = json!({
                "letters": out.asked.len(), "first": first, "last": last, "shift_ms": shifts,
            });
            audit::write(change.sql(), at, &who, "deadletter.replay", "", &after.to_string())
                .await?;
        }
        change.finish_quietly().await?;
        Ok(out)
    }

    /// The oldest letters that wait for the engine.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn replays_asked(&self, most: u32) -> Result<Vec<Replay>, RegistryError> {
        let sql = "SELECT * FROM replays WHERE state = 'asked' ORDER BY letter LIMIT $1";
        let rows = sqlx::query(sql).bind(i64::from(most)).fetch_all(&self.pool).await?;
        rows.iter().map(replay).collect()
    }

    /// What became of the letters from `first` to `last`, as far as anybody asked for them.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn replays(&self, first: u64, last: u64) -> Result<Vec<Replay>, RegistryError> {
        let sql = "SELECT * FROM replays WHERE letter BETWEEN $1 AND $2 ORDER BY letter";
        let rows = sqlx::query(sql).bind(place(first)).bind(place(last));
        rows.fetch_all(&self.pool).await?.iter().map(replay).collect()
    }

    /// Writes down what became of letters that were asked for.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub async fn replays_done(
        &self,
        done: &[(u64, ReplayState, String)],
    ) -> Result<(), RegistryError> {
        let mut change = self.change().await?;
        let at = change.at.as_millis();
        for (letter, state, why) in done {
            let sql = "UPDATE replays SET state = $2, why = $3, done_at = $4 WHERE letter = $1";
            let query = sqlx::query(sql).bind(place(*letter)).bind(state.as_str());
            query.bind(why).bind(at).execute(change.sql()).await?;
        }
        change.finish_quietly().await
    }

    /// Forgets what became of letters that are no longer kept, those before `oldest`; returns how many.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub async fn forget_replays(&self, oldest: u64) -> Result<u64, RegistryError> {
        let sql = "DELETE FROM replays WHERE letter < $1";
        Ok(sqlx::query(sql).bind(place(oldest)).execute(&self.pool).await?.rows_affected())
    }
}

async fn put(
    sql: &mut SqliteConnection,
    wish: &ReplayWish,
    at: Timestamp,
    who: &str,
) -> Result<(), RegistryError> {
    let put = "INSERT INTO replays \
               (letter, received_at, state, why, asked_at, asked_by, shift_ms) \
               VALUES ($1, $2, 'asked', '', $3, $4, $5) \
               ON CONFLICT (letter) DO UPDATE SET received_at = excluded.received_at, \
               state = 'asked', why = '', asked_at = excluded.asked_at, \
               asked_by = excluded.asked_by, done_at = NULL, shift_ms = excluded.shift_ms";
    let query = sqlx::query(put).bind(place(wish.letter)).bind(wish.received_at.as_millis());
    query.bind(at.as_millis()).bind(who).bind(wish.shift_ms).execute(sql).await?;
    Ok(())
}

async fn find(sql: &mut SqliteConnection, letter: u64) -> Result<Option<Replay>, RegistryError> {
    let one = sqlx::query("SELECT * FROM replays WHERE letter = $1").bind(place(letter));
    one.fetch_optional(sql).await?.as_ref().map(replay).transpose()
}

fn replay(row: &SqliteRow) -> Result<Replay, RegistryError> {
    let letter: i64 = row.try_get("letter")?;
    let state: String = row.try_get("state")?;
    let known = ReplayState::ALL.into_iter().find(|known| known.as_str() == state);
    Ok(Replay {
        letter: u64::try_from(letter).unwrap_or(0),
        received_at: Timestamp::from_millis(row.try_get("received_at")?),
        state: known.ok_or_else(|| RegistryError::damaged(Noun::Letter, letter, "its state"))?,
        why: row.try_get("why")?,
        asked_at: Timestamp::from_millis(row.try_get("asked_at")?),
        asked_by: row.try_get("asked_by")?,
        done_at: row.try_get::<Option<i64>, _>("done_at")?.map(Timestamp::from_millis),
        shift_ms: row.try_get("shift_ms")?,
    })
}

/// A place in the store of dead letters. It counts letters, so it never leaves the range.
fn place(letter: u64) -> i64 {
    i64::try_from(letter).unwrap_or(i64::MAX)
}
