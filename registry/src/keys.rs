//! The keys that stations speak with. A key is made by the book, shown once and kept as a hash; a new one revokes the
//! one before. `login` says who is speaking, and takes as long for a wrong key as for the right one.

use domain::{Station, StationCode};
use serde_json::json;

use crate::store::Change;
use crate::{Noun, Registry, RegistryError, StationKey, secret, stations};

/// Who is speaking.
#[derive(Debug, Clone, PartialEq)]
pub enum Login {
    /// This station.
    Welcome(Station),
    /// The station exists; the key is not (or no longer) its key.
    WrongKey,
    /// There is no such station.
    UnknownStation,
}

impl Registry {
    /// Makes a new key; the one before, if any, no longer opens.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] where there is no such station.
    pub async fn rotate_key(&self, code: &StationCode) -> Result<StationKey, RegistryError> {
        let mut change = self.change().await?;
        if stations::find(change.sql(), code).await?.is_none() {
            return Err(RegistryError::not_found(Noun::Station, code));
        }
        let key = renew(&mut change, code).await?;
        change.finish().await?;
        Ok(key)
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
        let read = |code: &String| {
            StationCode::new(code).map_err(|why| RegistryError::damaged(Noun::Station, code, why))
        };
        codes.iter().map(read).collect()
    }

    /// Is `key` the key of this station?
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn login(&self, code: &StationCode, key: &str) -> Result<Login, RegistryError> {
        let mut tx = self.snapshot().await?;
        let station = stations::find(&mut tx, code).await?;
        let sql = "SELECT hash FROM station_keys WHERE station = $1 AND revoked_at IS NULL";
        let kept: Option<String> =
            sqlx::query_scalar(sql).bind(code.as_str()).fetch_optional(&mut *tx).await?;
        let said = secret::hex(&secret::hash(key));
        // A station without a key is compared as well, with what no hash is.
        let right = secret::same(said.as_bytes(), kept.unwrap_or("-".repeat(64)).as_bytes());
        let login = match station {
            None => Login::UnknownStation,
            Some(_) if !right => Login::WrongKey,
            Some(station) => Login::Welcome(station),
        };
        login.count(code);
        Ok(login)
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
        }
    }

    fn count(&self, code: &StationCode) {
        metrics::counter!("saltline_station_logins_total", "answer" => self.as_str()).increment(1);
        if !matches!(self, Self::Welcome(_)) {
            tracing::warn!(station = %code, answer = self.as_str(), "a station was not let in");
        }
    }
}

pub(crate) async fn renew(
    change: &mut Change,
    code: &StationCode,
) -> Result<StationKey, RegistryError> {
    let key = StationKey::random()?;
    let at = change.at.as_millis();
    let revoke =
        "UPDATE station_keys SET revoked_at = $2 WHERE station = $1 AND revoked_at IS NULL";
    let revoked = sqlx::query(revoke).bind(code.as_str()).bind(at).execute(change.sql()).await?;
    let keep = "INSERT INTO station_keys (hash, station, created_at) VALUES ($1, $2, $3)";
    sqlx::query(keep)
        .bind(secret::hex(&secret::hash(key.reveal())))
        .bind(code.as_str())
        .bind(at)
        .execute(change.sql())
        .await?;
    let act = if revoked.rows_affected() == 0 { "station.key" } else { "station.rotate-key" };
    change.record(act, "", &json!({ "code": code.as_str() }).to_string()).await?;
    Ok(key)
}
