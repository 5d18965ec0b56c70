//! What a station is told to do, and what became of it: made, sent, then accepted, done, failed, or late. Each step is
//! a line of the audit. A command only goes forward; a receipt that comes after the command was given up still counts,
//! because what the station did is true whenever we hear of it.

use std::time::Duration;

use domain::{StationCode, Timestamp};
use serde_json::{Map, Value, json};
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::store::Change;
use crate::{Noun, Registry, RegistryError, audit, secret, stations};

/// Commands of one station that wait for their end. A person sends a handful; more is a program gone wrong.
pub const COMMANDS_OPEN_MAX: u32 = 32;

/// Bytes of a command's arguments: a logger's modem reads a packet of 4 kB.
pub const ARGS_BYTES_MAX: usize = 4_096;

/// The longest that a command may wait: a station that was away for the 14 days that its log holds.
pub const EXPIRES_MAX: Duration = Duration::from_hours(14 * 24);

/// Names that a command carries itself.
const RESERVED: [&str; 3] = ["id", "kind", "expires"];

/// How far a command has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandState {
    /// Somebody wants it; the engine sends it within a second.
    Made,
    /// It is with the broker, or with the station.
    Sent,
    /// No receipt came before it expired.
    Late,
    /// The station has it and will do it.
    Accepted,
    /// The station did it.
    Done,
    /// The station could not, or would not.
    Failed,
}

impl CommandState {
    const ALL: [Self; 6] =
        [Self::Made, Self::Sent, Self::Late, Self::Accepted, Self::Done, Self::Failed];

    /// The state as the book and the API write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Sent => "sent",
            Self::Late => "late",
            Self::Accepted => "accepted",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    /// The state with this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// May a command that stands here go on to `next`?
    #[must_use]
    pub const fn leads_to(self, next: Self) -> bool {
        self.rank() < next.rank()
    }

    /// Nothing more is expected of it.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Late | Self::Done | Self::Failed)
    }

    const fn rank(self) -> u8 {
        match self {
            Self::Made => 0,
            Self::Sent => 1,
            Self::Late => 2,
            Self::Accepted => 3,
            Self::Done | Self::Failed => 4,
        }
    }
}

/// A command.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// Its name: 32 letters that nobody guesses.
    pub id: String,
    /// Who is to do it.
    pub station: StationCode,
    /// What, as `resend`.
    pub kind: String,
    /// With what.
    pub args: Map<String, Value>,
    /// When it was made.
    pub made_at: Timestamp,
    /// By whom.
    pub made_by: String,
    /// After this it is not to be begun.
    pub expires_at: Timestamp,
    /// How far it has come.
    pub state: CommandState,
    /// Since when.
    pub state_at: Timestamp,
    /// What the station said of it.
    pub why: String,
}

/// A command to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// Who is to do it.
    pub station: StationCode,
    /// What: 1 to 32 of a-z, 0-9, - and _.
    pub kind: String,
    /// With what; `id`, `kind` and `expires` are the command's own.
    pub args: Map<String, Value>,
    /// How long it may wait.
    pub expires_in: Duration,
    /// The caller's own key: the same key again gives the same command.
    pub once: Option<String>,
}

impl Registry {
    /// Makes a command; the engine sends it within a second.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] where there is no such station, [`RegistryError::BadValue`] where the wish cannot be
    /// meant, too many wait, or the key was used for another command.
    pub async fn make_command(&self, wish: &Wish) -> Result<Command, RegistryError> {
        let args = check(wish)?;
        let mut change = self.change().await?;
        if !stations::exists(change.sql(), &wish.station).await? {
            return Err(RegistryError::not_found(Noun::Station, &wish.station));
        }
        let who = change.who().to_owned();
        if let Some(once) = &wish.once
            && let Some(before) = made_once(change.sql(), &who, once).await?
        {
            let same = (&before.station, &before.kind, &before.args)
                == (&wish.station, &wish.kind, &wish.args);
            let why = "the key was used for another command";
            return if same { Ok(before) } else { Err(bad(&wish.station, why)) };
        }
        room(change.sql(), &wish.station).await?;
        let command = Command {
            id: secret::token()?,
            station: wish.station.clone(),
            kind: wish.kind.clone(),
            args: wish.args.clone(),
            made_at: change.at,
            made_by: who,
            expires_at: change.at + wish.expires_in,
            state: CommandState::Made,
            state_at: change.at,
            why: String::new(),
        };
        insert(change.sql(), &command, &args, wish.once.as_deref()).await?;
        note(&mut change, "command.made", "", &command).await?;
        change.finish_quietly().await?;
        Ok(command)
    }

    /// The newest commands of a station, or of all, newest first.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn commands(
        &self,
        station: Option<&StationCode>,
        newest: u32,
    ) -> Result<Vec<Command>, RegistryError> {
        let sql = "SELECT * FROM commands WHERE $1 IS NULL OR station = $1 \
                   ORDER BY made_at DESC, id LIMIT $2";
        let query = sqlx::query(sql).bind(station.map(StationCode::as_str));
        let rows = query.bind(i64::from(newest)).fetch_all(&self.pool).await?;
        rows.iter().map(command).collect()
    }

    /// The command with this id.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn command(&self, id: &str) -> Result<Option<Command>, RegistryError> {
        let one = sqlx::query("SELECT * FROM commands WHERE id = $1").bind(id);
        one.fetch_optional(&self.pool).await?.as_ref().map(command).transpose()
    }

    /// The oldest commands in a state, of one station or of all.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn commands_in(
        &self,
        state: CommandState,
        station: Option<&StationCode>,
        most: u32,
    ) -> Result<Vec<Command>, RegistryError> {
        let sql = "SELECT * FROM commands WHERE state = $1 AND ($2 IS NULL OR station = $2) \
                   ORDER BY made_at, id LIMIT $3";
        let query = sqlx::query(sql).bind(state.as_str()).bind(station.map(StationCode::as_str));
        let rows = query.bind(i64::from(most)).fetch_all(&self.pool).await?;
        rows.iter().map(command).collect()
    }

    /// Moves a command of `station` on, if it leads there; returns it as it now is, or `None` where nothing moved.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub async fn move_command(
        &self,
        station: &StationCode,
        id: &str,
        next: CommandState,
        why: &str,
    ) -> Result<Option<Command>, RegistryError> {
        let mut change = self.change().await?;
        let one = sqlx::query("SELECT * FROM commands WHERE id = $1 AND station = $2");
        let row = one.bind(id).bind(station.as_str()).fetch_optional(change.sql()).await?;
        let Some(before) = row.as_ref().map(command).transpose()? else { return Ok(None) };
        if !before.state.leads_to(next) {
            return Ok(None);
        }
        let after = go_on(&mut change, before, next, why).await?;
        change.finish_quietly().await?;
        Ok(Some(after))
    }

    /// Gives up the commands that expired at `now` without a receipt; returns them.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub async fn give_up_commands(&self, now: Timestamp) -> Result<Vec<Command>, RegistryError> {
        let sql = "SELECT * FROM commands WHERE state IN ('made', 'sent') AND expires_at <= $1 \
                   ORDER BY made_at LIMIT 1000";
        let any = sqlx::query(sql).bind(now.as_millis()).fetch_all(&self.pool).await?;
        if any.is_empty() {
            return Ok(Vec::new());
        }
        let mut change = self.change().await?;
        let rows = sqlx::query(sql).bind(now.as_millis()).fetch_all(change.sql()).await?;
        let mut late = Vec::new();
        for row in &rows {
            let why = "no receipt before it expired";
            late.push(go_on(&mut change, command(row)?, CommandState::Late, why).await?);
        }
        change.finish_quietly().await?;
        Ok(late)
    }

    /// Forgets commands that were made before `before` and are over; the audit keeps their story. Returns how many.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub async fn forget_commands(&self, before: Timestamp) -> Result<u64, RegistryError> {
        let sql = "DELETE FROM commands WHERE made_at < $1 AND state NOT IN ('made', 'sent')";
        Ok(sqlx::query(sql).bind(before.as_millis()).execute(&self.pool).await?.rows_affected())
    }
}

fn bad(station: &StationCode, why: impl Into<String>) -> RegistryError {
    RegistryError::bad(Noun::Command, station, why)
}

/// Can the wish be meant? The arguments as text.
fn check(wish: &Wish) -> Result<String, RegistryError> {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    if !(1..=32).contains(&wish.kind.len()) || !wish.kind.bytes().all(letter) {
        return Err(bad(&wish.station, "the kind has 1 to 32 of a-z, 0-9, - and _"));
    }
    if let Some(name) = RESERVED.iter().find(|name| wish.args.contains_key(**name)) {
        return Err(bad(&wish.station, format!("`{name}` is the command's own, not an argument")));
    }
    if wish.expires_in < Duration::from_secs(1) || EXPIRES_MAX < wish.expires_in {
        return Err(bad(&wish.station, "a command expires after 1s to 14d"));
    }
    if wish.once.as_ref().is_some_and(|once| !(1..=128).contains(&once.len())) {
        return Err(bad(&wish.station, "the key of a request has 1 to 128 letters"));
    }
    let args = Value::Object(wish.args.clone()).to_string();
    match ARGS_BYTES_MAX < args.len() {
        true => Err(bad(&wish.station, format!("at most {ARGS_BYTES_MAX} bytes of arguments"))),
        false => Ok(args),
    }
}

async fn room(sql: &mut SqliteConnection, station: &StationCode) -> Result<(), RegistryError> {
    let open = "SELECT COUNT(*) FROM commands WHERE station = $1 AND state IN ('made', 'sent')";
    let open: i64 = sqlx::query_scalar(open).bind(station.as_str()).fetch_one(sql).await?;
    match i64::from(COMMANDS_OPEN_MAX) <= open {
        true => Err(bad(station, format!("{open} commands wait already; let some expire"))),
        false => Ok(()),
    }
}

async fn made_once(
    sql: &mut SqliteConnection,
    who: &str,
    once: &str,
) -> Result<Option<Command>, RegistryError> {
    let one = "SELECT * FROM commands WHERE made_by = $1 AND once = $2";
    let row = sqlx::query(one).bind(who).bind(once).fetch_optional(sql).await?;
    row.as_ref().map(command).transpose()
}

async fn insert(
    sql: &mut SqliteConnection,
    command: &Command,
    args: &str,
    once: Option<&str>,
) -> Result<(), RegistryError> {
    let insert = "INSERT INTO commands (id, station, kind, args, made_at, made_by, expires_at, \
                  state, state_at, why, once) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    sqlx::query(insert)
        .bind(&command.id)
        .bind(command.station.as_str())
        .bind(&command.kind)
        .bind(args)
        .bind(command.made_at.as_millis())
        .bind(&command.made_by)
        .bind(command.expires_at.as_millis())
        .bind(command.state.as_str())
        .bind(command.state_at.as_millis())
        .bind(&command.why)
        .bind(once)
        .execute(sql)
        .await?;
    Ok(())
}

async fn go_on(
    change: &mut Change,
    before: Command,
    next: CommandState,
    why: &str,
) -> Result<Command, RegistryError> {
    let was = before.state;
    let why: String = why.chars().take(500).collect();
    let after = Command { state: next, state_at: change.at, why, ..before };
    let update = "UPDATE commands SET state = $2, state_at = $3, why = $4 WHERE id = $1";
    let query = sqlx::query(update).bind(&after.id).bind(next.as_str());
    query.bind(after.state_at.as_millis()).bind(&after.why).execute(change.sql()).await?;
    note(change, &format!("command.{}", next.as_str()), was.as_str(), &after).await?;
    Ok(after)
}

/// A line of the audit. The version stays: nobody holds a copy of commands.
async fn note(
    change: &mut Change,
    act: &str,
    was: &str,
    now: &Command,
) -> Result<(), RegistryError> {
    let before = if was.is_empty() { String::new() } else { json!({ "state": was }).to_string() };
    let after = json!({
        "id": now.id, "station": now.station.as_str(), "kind": now.kind, "args": now.args,
        "state": now.state.as_str(), "why": now.why, "expires": now.expires_at.to_string(),
    });
    let (at, who) = (change.at, change.who().to_owned());
    audit::write(change.sql(), at, &who, act, &before, &after.to_string()).await
}

fn command(row: &SqliteRow) -> Result<Command, RegistryError> {
    let id: String = row.try_get("id")?;
    let damaged = |why: &str| RegistryError::damaged(Noun::Command, &id, why);
    let (station, state, args): (String, String, String) =
        (row.try_get("station")?, row.try_get("state")?, row.try_get("args")?);
    let at = |column| row.try_get(column).map(Timestamp::from_millis);
    Ok(Command {
        station: StationCode::new(&station).map_err(|_| damaged("its station is no code"))?,
        kind: row.try_get("kind")?,
        args: serde_json::from_str(&args).map_err(|_| damaged("its arguments are no object"))?,
        made_at: at("made_at")?,
        made_by: row.try_get("made_by")?,
        expires_at: at("expires_at")?,
        state: CommandState::parse(&state).ok_or_else(|| damaged("its state is unknown"))?,
        state_at: at("state_at")?,
        why: row.try_get("why")?,
        id,
    })
}
