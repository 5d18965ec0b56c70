//! The configuration that is wanted of a station, and the one it says it has. The hash is ours: a station gives back
//! the one it was told with what it runs on, and need not compute any.

use domain::{StationCode, Timestamp};
use serde_json::{Map, Value};
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::{Noun, Registry, RegistryError, audit, stations};

/// Bytes of a configuration: what a logger reads in one packet on a slow line within two seconds.
pub const CONFIG_BYTES_MAX: usize = 8_192;

/// A configuration, by whom and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// Names and values.
    pub config: Map<String, Value>,
    /// 16 letters that tell it from any other.
    pub hash: String,
    /// Since when.
    pub at: Timestamp,
}

/// What is wanted of a station, and what it has.
#[derive(Debug, Clone, PartialEq)]
pub struct StationConfig {
    /// Which station.
    pub station: StationCode,
    /// What is wanted, if anything.
    pub desired: Option<Held>,
    /// Who wants it.
    pub desired_by: Option<String>,
    /// What the station says it has, if it ever said.
    pub reported: Option<Held>,
    /// Since when the two differ; `None` while they agree or nothing is wanted.
    pub differs_since: Option<Timestamp>,
}

impl StationConfig {
    /// Does the station have what is wanted? `None` where nothing is wanted.
    #[must_use]
    pub fn in_sync(&self) -> Option<bool> {
        let desired = self.desired.as_ref()?;
        Some(self.reported.as_ref().is_some_and(|reported| reported.hash == desired.hash))
    }
}

/// The hash of a configuration: of its text with the names in order.
#[must_use]
pub fn config_hash(config: &Map<String, Value>) -> String {
    let text = Value::Object(config.clone()).to_string();
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}

impl Registry {
    /// Says what configuration is wanted of a station. Wanting the same again changes nothing.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] where there is no such station, [`RegistryError::BadValue`] where it is too large.
    pub async fn configure(
        &self,
        station: &StationCode,
        config: &Map<String, Value>,
    ) -> Result<StationConfig, RegistryError> {
        let text = Value::Object(config.clone()).to_string();
        if CONFIG_BYTES_MAX < text.len() {
            let why = format!("a configuration has at most {CONFIG_BYTES_MAX} bytes");
            return Err(RegistryError::bad(Noun::Config, station, why));
        }
        let mut change = self.change().await?;
        if !stations::exists(change.sql(), station).await? {
            return Err(RegistryError::not_found(Noun::Station, station));
        }
        let before = find(change.sql(), station).await?;
        let hash = config_hash(config);
        if let Some(before) = &before
            && before.desired.as_ref().is_some_and(|desired| desired.hash == hash)
        {
            return Ok(before.clone());
        }
        let reported = before.as_ref().and_then(|b| b.reported.as_ref());
        let in_sync = reported.is_some_and(|reported| reported.hash == hash);
        let (at, who) = (change.at, change.who().to_owned());
        let differs = before.as_ref().and_then(|b| b.differs_since).unwrap_or(at);
        let put = "INSERT INTO station_configs \
                   (station, desired, desired_hash, desired_at, desired_by, differs_since) \
                   VALUES ($1, $2, $3, $4, $5, $6) \
                   ON CONFLICT (station) DO UPDATE SET desired = excluded.desired, \
                   desired_hash = excluded.desired_hash, desired_at = excluded.desired_at, \
                   desired_by = excluded.desired_by, differs_since = excluded.differs_since";
        sqlx::query(put)
            .bind(station.as_str())
            .bind(&text)
            .bind(&hash)
            .bind(at.as_millis())
            .bind(&who)
            .bind((!in_sync).then(|| differs.as_millis()))
            .execute(change.sql())
            .await?;
        let was = before.and_then(|b| b.desired);
        let was = was.map_or(String::new(), |held| Value::Object(held.config).to_string());
        change.record("station.configure", &was, &text).await?;
        let after = find(change.sql(), station).await?;
        change.finish().await?;
        after.ok_or_else(|| RegistryError::not_found(Noun::Station, station))
    }

    /// Writes down what a station says it has. Without a hash of its own, the hash is that of what it says.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] where there is no such station; where the file cannot be written.
    pub async fn reported(
        &self,
        station: &StationCode,
        config: &Map<String, Value>,
        hash: Option<&str>,
        at: Timestamp,
    ) -> Result<StationConfig, RegistryError> {
        let mut change = self.change().await?;
        if !stations::exists(change.sql(), station).await? {
            return Err(RegistryError::not_found(Noun::Station, station));
        }
        let before = find(change.sql(), station).await?;
        let hash = hash.map_or_else(|| config_hash(config), str::to_owned);
        let desired = before.as_ref().and_then(|b| b.desired.as_ref());
        let differs = desired.is_some_and(|desired| desired.hash != hash);
        let since = before.as_ref().and_then(|b| b.differs_since).unwrap_or(at);
        let put = "INSERT INTO station_configs \
                   (station, reported, reported_hash, reported_at, differs_since) \
                   VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (station) DO UPDATE SET reported = excluded.reported, \
                   reported_hash = excluded.reported_hash, reported_at = excluded.reported_at, \
                   differs_since = excluded.differs_since";
        let text = Value::Object(config.clone()).to_string();
        sqlx::query(put)
            .bind(station.as_str())
            .bind(&text)
            .bind(&hash)
            .bind(at.as_millis())
            .bind(differs.then(|| since.as_millis()))
            .execute(change.sql())
            .await?;
        let was = before.and_then(|b| b.reported);
        if was.as_ref().is_none_or(|was| was.hash != hash) {
            // Only what is new is worth a line; a station repeats itself at every start.
            let was = was.map_or(String::new(), |held| Value::Object(held.config).to_string());
            let now = change.at;
            audit::write(change.sql(), now, station.as_str(), "config.reported", &was, &text)
                .await?;
        }
        let after = find(change.sql(), station).await?;
        change.finish_quietly().await?;
        after.ok_or_else(|| RegistryError::not_found(Noun::Station, station))
    }

    /// What is wanted of a station and what it has; `None` where neither is known.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn station_config(
        &self,
        station: &StationCode,
    ) -> Result<Option<StationConfig>, RegistryError> {
        find(&mut *self.snapshot().await?, station).await
    }

    /// The same of every station of which anything is known, by code.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn station_configs(&self) -> Result<Vec<StationConfig>, RegistryError> {
        let sql = "SELECT * FROM station_configs ORDER BY station";
        sqlx::query(sql).fetch_all(&self.pool).await?.iter().map(station_config).collect()
    }
}

async fn find(
    sql: &mut SqliteConnection,
    station: &StationCode,
) -> Result<Option<StationConfig>, RegistryError> {
    let one = "SELECT * FROM station_configs WHERE station = $1";
    let row = sqlx::query(one).bind(station.as_str()).fetch_optional(sql).await?;
    row.as_ref().map(station_config).transpose()
}

fn station_config(row: &SqliteRow) -> Result<StationConfig, RegistryError> {
    let station: String = row.try_get("station")?;
    let damaged = |why: &str| RegistryError::damaged(Noun::Config, &station, why);
    let held = |config: &str, hash: &str, at: &str| {
        let found: (Option<String>, Option<String>, Option<i64>) =
            (row.try_get(config)?, row.try_get(hash)?, row.try_get(at)?);
        let (Some(config), Some(hash), Some(at)) = found else { return Ok(None) };
        let config = serde_json::from_str(&config).map_err(|_| damaged("it is no object"))?;
        Ok::<_, RegistryError>(Some(Held { config, hash, at: Timestamp::from_millis(at) }))
    };
    Ok(StationConfig {
        desired: held("desired", "desired_hash", "desired_at")?,
        desired_by: row.try_get("desired_by")?,
        reported: held("reported", "reported_hash", "reported_at")?,
        differs_since: row.try_get::<Option<i64>, _>("differs_since")?.map(Timestamp::from_millis),
        station: StationCode::new(&station).map_err(|_| damaged("its station is no code"))?,
    })
}
