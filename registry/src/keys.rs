//! The keys that stations speak with. A key is made by the book, shown once and kept as a hash beside its SCRAM
//! verifier; a new one revokes the one before, at once or after a grace. `login` says who is speaking, and takes as
//! long for a wrong key as for the right one.

use std::time::Duration;

use domain::{Station, StationCode, Timestamp};
use serde_json::json;
use sqlx::Row;

use crate::scram::{self, Verifier};
use crate::store::Change;
use crate::{Noun, Registry, RegistryError, StationKey, secret, stations};

/// The longest grace of a rotated key: a technician's round through a province takes weeks, not a year.
const GRACE_MAX: Duration = Duration::from_hours(90 * 24);

/// Who is speaking.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "most logins are welcome, and none is kept")]
pub enum Login {
    /// This station.
    Welcome(Station),
    /// The station exists; the key is not (or no longer) its key.
    WrongKey,
    /// There is no such station.
    UnknownStation,
    /// The key is right, and the station is not to be let in.
    Disabled,
}

/// The keys of one station that open now, for an exchange that proves a key without sending it.
#[derive(Debug, Clone)]
pub struct Provable {
    /// Whose keys they are.
    pub station: Station,
    /// Hash and verifier of each key, the newest first. All have one salt and one number of rounds.
    pub keys: Vec<([u8; 32], Verifier)>,
}

impl Registry {
    /// Makes a new key; the one before, if any, no longer opens.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] where there is no such station.
    pub async fn rotate_key(&self, code: &StationCode) -> Result<StationKey, RegistryError> {
        self.rotate_key_with_grace(code, Duration::ZERO).await
    }

    /// Makes a new key; the one before, if any, opens for `grace` more. Of older ones none opens any more, so that a
    /// station never has more than two.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] where there is no such station, [`RegistryError::BadValue`] where the grace is
    /// longer than 90 days.
    pub async fn rotate_key_with_grace(
        &self,
        code: &StationCode,
        grace: Duration,
    ) -> Result<StationKey, RegistryError> {
        if GRACE_MAX < grace {
            return Err(RegistryError::bad(Noun::Station, code, "the grace is at most 90 days"));
        }
        let mut change = self.change().await?;
        if !stations::exists(change.sql(), code).await? {
            return Err(RegistryError::not_found(Noun::Station, code));
        }
        let key = renew(&mut change, code, grace).await?;
        change.finish().await?;
        Ok(key)
    }

    /// Revokes every key of the station, those in their grace included. Returns whether any opened.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] where there is no such station.
    pub async fn revoke_keys(&self, code: &StationCode) -> Result<bool, RegistryError> {
        let mut change = self.change().await?;
        if !stations::exists(change.sql(), code).await? {
            return Err(RegistryError::not_found(Noun::Station, code));
        }
        let sql = "UPDATE station_keys SET revoked_at = $2 \
                   WHERE station = $1 AND (revoked_at IS NULL OR $2 < revoked_at)";
        let at = change.at.as_millis();
        let revoked = sqlx::query(sql).bind(code.as_str()).bind(at).execute(change.sql()).await?;
        if 0 < revoked.rows_affected() {
            let what = json!({ "code": code.as_str() }).to_string();
            change.record("station.revoke-key", &what, "").await?;
        }
        change.finish().await
    }

    /// Lets a station in again, or no longer. Returns whether that changed anything.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] where there is no such station.
    pub async fn enable_station(
        &self,
        code: &StationCode,
        enabled: bool,
    ) -> Result<bool, RegistryError> {
        let mut change = self.change().await?;
        if !stations::exists(change.sql(), code).await? {
            return Err(RegistryError::not_found(Noun::Station, code));
        }
        let sql = "UPDATE stations SET disabled_at = $2 \
                   WHERE code = $1 AND (disabled_at IS NULL) <> ($2 IS NULL)";
        let at = (!enabled).then(|| change.at.as_millis());
        let done = sqlx::query(sql).bind(code.as_str()).bind(at).execute(change.sql()).await?;
        if 0 < done.rows_affected() {
            let act = if enabled { "station.enable" } else { "station.disable" };
            change.record(act, "", &json!({ "code": code.as_str() }).to_string()).await?;
        }
        change.finish().await
    }

    /// Stations that are not let in, by code.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn disabled_stations(&self) -> Result<Vec<StationCode>, RegistryError> {
        let sql = "SELECT code FROM stations WHERE disabled_at IS NOT NULL ORDER BY code";
        let codes: Vec<String> = sqlx::query_scalar(sql).fetch_all(&self.pool).await?;
        codes.iter().map(|code| station_code(code)).collect()
    }

    /// Stations that have no key and so cannot log in, by code: a province pack brings stations, never keys.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn keyless(&self) -> Result<Vec<StationCode>, RegistryError> {
        let sql = "SELECT code FROM stations WHERE NOT EXISTS \
                   (SELECT 1 FROM station_keys k \
                    WHERE k.station = stations.code AND k.revoked_at IS NULL) ORDER BY code";
        let codes: Vec<String> = sqlx::query_scalar(sql).fetch_all(&self.pool).await?;
        codes.iter().map(|code| station_code(code)).collect()
    }

    /// Is `key` a key of this station? After [`refresh_keys`](Self::refresh_keys) a right key is known without asking
    /// the file; one that was revoked since, by another process, opens until the next refresh.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn login(&self, code: &StationCode, key: &str) -> Result<Login, RegistryError> {
        let now = self.clock.now().as_millis();
        if let Some(station) = self.keyring.opens(code, key, now) {
            return Ok(Login::Welcome(station).counted(code));
        }
        let mut tx = self.snapshot().await?;
        let station = stations::find(&mut tx, code).await?;
        let sql = "SELECT hash FROM station_keys \
                   WHERE station = $1 AND (revoked_at IS NULL OR $2 < revoked_at)";
        let mut kept: Vec<String> =
            sqlx::query_scalar(sql).bind(code.as_str()).bind(now).fetch_all(&mut *tx).await?;
        // A station has two keys at most; one with fewer is compared as often, with what no hash is.
        kept.resize_with(2, || "-".repeat(64));
        let said = secret::hex(&secret::hash(key));
        let right = kept
            .iter()
            .fold(false, |any, hash| any | secret::same(said.as_bytes(), hash.as_bytes()));
        let login = match station {
            None => Login::UnknownStation,
            Some(_) if !right => Login::WrongKey,
            Some(_) if stations::is_disabled(&mut tx, code).await? => Login::Disabled,
            Some(station) => Login::Welcome(station),
        };
        Ok(login.counted(code))
    }

    /// What verifies this station's keys without their being sent; `None` where there is no such station, it is
    /// disabled, or its keys were made before verifiers were kept.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn provable(&self, code: &StationCode) -> Result<Option<Provable>, RegistryError> {
        let mut tx = self.snapshot().await?;
        let Some(station) = stations::find(&mut tx, code).await? else { return Ok(None) };
        if stations::is_disabled(&mut tx, code).await? {
            return Ok(None);
        }
        let sql = "SELECT hash, salt, iterations, stored_key, server_key FROM station_keys \
                   WHERE station = $1 AND (revoked_at IS NULL OR $2 < revoked_at) \
                   ORDER BY created_at DESC";
        let now = self.clock.now().as_millis();
        let rows = sqlx::query(sql).bind(code.as_str()).bind(now).fetch_all(&mut *tx).await?;
        let mut keys: Vec<([u8; 32], Verifier)> = rows.iter().filter_map(provable).collect();
        let Some(first) = keys.first().map(|(_, first)| (first.salt, first.iterations)) else {
            return Ok(None);
        };
        keys.retain(|(_, verifier)| (verifier.salt, verifier.iterations) == first);
        Ok(Some(Provable { station, keys }))
    }

    /// The station behind a client certificate that was verified elsewhere, if it may come in.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn admit_station(&self, code: &StationCode) -> Result<Login, RegistryError> {
        if let Some(station) = self.keyring.lets_in(code) {
            return Ok(Login::Welcome(station).counted(code));
        }
        let mut tx = self.snapshot().await?;
        let login = match stations::find(&mut tx, code).await? {
            None => Login::UnknownStation,
            Some(_) if stations::is_disabled(&mut tx, code).await? => Login::Disabled,
            Some(station) => Login::Welcome(station),
        };
        Ok(login.counted(code))
    }
}

impl Login {
    /// The answer as counters and logs write it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Welcome(_) => "welcome",
            Self::WrongKey => "wrong_key",
            Self::UnknownStation => "unknown_station",
            Self::Disabled => "disabled",
        }
    }

    fn counted(self, code: &StationCode) -> Self {
        metrics::counter!("saltline_station_logins_total", "answer" => self.as_str()).increment(1);
        if !matches!(self, Self::Welcome(_)) {
            tracing::warn!(station = %code, answer = self.as_str(), "a station was not let in");
        }
        self
    }
}

/// Makes the station's new key; the one before ends after `grace`, any older one now.
pub(crate) async fn renew(
    change: &mut Change,
    code: &StationCode,
    grace: Duration,
) -> Result<StationKey, RegistryError> {
    let key = StationKey::random()?;
    let at = change.at.as_millis();
    let older = "UPDATE station_keys SET revoked_at = $2 WHERE station = $1 AND $2 < revoked_at";
    sqlx::query(older).bind(code.as_str()).bind(at).execute(change.sql()).await?;
    let salt = salt_of(change, code).await?;
    let ends = at.saturating_add(stations::millis(grace));
    let revoke =
        "UPDATE station_keys SET revoked_at = $2 WHERE station = $1 AND revoked_at IS NULL";
    let revoked = sqlx::query(revoke).bind(code.as_str()).bind(ends).execute(change.sql()).await?;
    let verifier = Verifier::new(key.reveal(), salt);
    let keep = "INSERT INTO station_keys \
                (hash, station, created_at, salt, iterations, stored_key, server_key) \
                VALUES ($1, $2, $3, $4, $5, $6, $7)";
    sqlx::query(keep)
        .bind(secret::hex(&secret::hash(key.reveal())))
        .bind(code.as_str())
        .bind(at)
        .bind(scram::hex(&verifier.salt))
        .bind(i64::from(verifier.iterations))
        .bind(scram::hex(&verifier.stored_key))
        .bind(scram::hex(&verifier.server_key))
        .execute(change.sql())
        .await?;
    let act = if revoked.rows_affected() == 0 { "station.key" } else { "station.rotate-key" };
    let after = if grace.is_zero() {
        json!({ "code": code.as_str() })
    } else {
        let until = Timestamp::from_millis(ends).to_string();
        json!({ "code": code.as_str(), "the_one_before_opens_until": until })
    };
    change.record(act, "", &after.to_string()).await?;
    Ok(key)
}

/// The salt of the key that opens now, or a fresh one.
async fn salt_of(change: &mut Change, code: &StationCode) -> Result<[u8; 16], RegistryError> {
    let sql = "SELECT hash, salt, iterations, stored_key, server_key FROM station_keys \
               WHERE station = $1 AND revoked_at IS NULL";
    let row = sqlx::query(sql).bind(code.as_str()).fetch_optional(change.sql()).await?;
    match row.as_ref().and_then(provable) {
        Some((_, verifier)) => Ok(verifier.salt),
        None => scram::salt(),
    }
}

fn provable(row: &sqlx::sqlite::SqliteRow) -> Option<([u8; 32], Verifier)> {
    let hash: String = row.try_get("hash").ok()?;
    let hash = *blake3::Hash::from_hex(hash).ok()?.as_bytes();
    Some((hash, verifier(row)?))
}

/// The verifier in a row's four columns.
pub(crate) fn verifier(row: &sqlx::sqlite::SqliteRow) -> Option<Verifier> {
    let text = |name: &str| row.try_get::<Option<String>, _>(name).ok().flatten();
    let (salt, stored, server) = (text("salt"), text("stored_key"), text("server_key"));
    let iterations = row.try_get("iterations").ok().flatten();
    scram::read(salt.as_deref(), iterations, stored.as_deref(), server.as_deref())
}

pub(crate) fn station_code(code: &str) -> Result<StationCode, RegistryError> {
    StationCode::new(code).map_err(|why| RegistryError::damaged(Noun::Station, code, why))
}
