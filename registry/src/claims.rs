//! Claim codes: a word on paper that exchanges for a station's key, once. A technician scans it at the pole; the key
//! itself is never printed, and a copied code is worth nothing after its first use or its end.

use std::time::Duration;

use domain::{StationCode, Timestamp};
use serde_json::json;

use crate::{Noun, Registry, RegistryError, StationKey, keys, secret, stations};

/// What every claim code begins with, so that it is never taken for a key.
pub const CLAIM_PREFIX: &str = "claim-";

/// The longest that a code may lie in a drawer.
const LASTS_MAX: Duration = Duration::from_hours(90 * 24);

/// A code that was just made: to be printed, and kept nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct ClaimCode {
    /// The code itself.
    pub code: String,
    /// Until when it can be used.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for ClaimCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClaimCode").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// What became of a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// It is used up, and this is the station's new key; the keys before it no longer open.
    Key(StationCode, StationKey),
    /// There is no such code, or no longer. It is not said which.
    No,
}

impl Registry {
    /// Makes a claim code for the station; the codes before it can no longer be used.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] where there is no such station, [`RegistryError::BadValue`] where `lasts` is zero
    /// or longer than 90 days.
    pub async fn claim_code(
        &self,
        station: &StationCode,
        lasts: Duration,
    ) -> Result<ClaimCode, RegistryError> {
        if lasts.is_zero() || LASTS_MAX < lasts {
            let why = "a claim code lasts for more than nothing and at most 90 days";
            return Err(RegistryError::bad(Noun::Station, station, why));
        }
        let mut change = self.change().await?;
        if !stations::exists(change.sql(), station).await? {
            return Err(RegistryError::not_found(Noun::Station, station));
        }
        let before = "DELETE FROM claims WHERE station = $1";
        sqlx::query(before).bind(station.as_str()).execute(change.sql()).await?;
        let code = code()?;
        let at = change.at.as_millis();
        let expires_at = Timestamp::from_millis(at.saturating_add(stations::millis(lasts)));
        let keep = "INSERT INTO claims (hash, station, created_at, expires_at) \
                    VALUES ($1, $2, $3, $4)";
        sqlx::query(keep)
            .bind(hash(&code))
            .bind(station.as_str())
            .bind(at)
            .bind(expires_at.as_millis())
            .execute(change.sql())
            .await?;
        let after = json!({ "code": station.as_str(), "expires_at": expires_at.to_string() });
        change.record("station.claim-code", "", &after.to_string()).await?;
        change.finish().await?;
        Ok(ClaimCode { code, expires_at })
    }

    /// Could this code be used for this station now? Nothing is used up.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn may_claim(
        &self,
        station: &StationCode,
        said: &str,
    ) -> Result<bool, RegistryError> {
        let sql = "SELECT station FROM claims \
                   WHERE hash = $1 AND used_at IS NULL AND $2 < expires_at";
        let now = self.clock.now().as_millis();
        let found: Option<String> =
            sqlx::query_scalar(sql).bind(hash(said)).bind(now).fetch_optional(&self.pool).await?;
        Ok(found.is_some_and(|of| of == station.as_str()))
    }

    /// Exchanges a code for its station's new key. Changes stand in a queue, so of two who come with one code at once
    /// one gets the key and the other nothing.
    ///
    /// # Errors
    /// Where the file cannot be read or written.
    pub async fn claim(&self, said: &str) -> Result<Claimed, RegistryError> {
        // Who guesses takes no place in the queue of changes.
        let known = sqlx::query("SELECT station FROM claims WHERE hash = $1").bind(hash(said));
        if known.fetch_optional(&self.pool).await?.is_none() {
            metrics::counter!("saltline_claims_total", "answer" => "no").increment(1);
            return Ok(Claimed::No);
        }
        let mut change = self.change().await?;
        let at = change.at.as_millis();
        let sql = "UPDATE claims SET used_at = $2 \
                   WHERE hash = $1 AND used_at IS NULL AND $2 < expires_at RETURNING station";
        let query = sqlx::query_scalar(sql).bind(hash(said)).bind(at);
        let station: Option<String> = query.fetch_optional(change.sql()).await?;
        let claimed = match station {
            None => Claimed::No,
            Some(station) => {
                let station = keys::station_code(&station)?;
                let key = keys::renew(&mut change, &station, Duration::ZERO).await?;
                let after = json!({ "code": station.as_str() }).to_string();
                change.record("station.claimed", "", &after).await?;
                Claimed::Key(station, key)
            }
        };
        change.finish().await?;
        let answer = if matches!(claimed, Claimed::Key(..)) { "key" } else { "no" };
        metrics::counter!("saltline_claims_total", "answer" => answer).increment(1);
        Ok(claimed)
    }
}

/// `claim-` and 100 random bits in four groups of five letters: short enough to be typed, far too many to be guessed.
fn code() -> Result<String, RegistryError> {
    let token = secret::token()?;
    let groups: Vec<&str> = (0..4).map(|group| &token[5 * group..5 * group + 5]).collect();
    Ok(format!("{CLAIM_PREFIX}{}", groups.join("-")))
}

/// What is kept of a code, however it was typed.
fn hash(said: &str) -> String {
    secret::hex(&secret::hash(&said.trim().to_ascii_lowercase()))
}
