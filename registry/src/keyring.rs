//! Keys in memory: after a power cut a province's stations all come back in the same second, and a login that asks the
//! file costs a millisecond of processor. Whoever keeps a keyring reads it anew when the book's version moved; a change made
//! through this very book lets go of it at once. Only a right key is answered from here: everything else asks the file,
//! so a new station or key opens without waiting, and a refusal has its true reason.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use domain::{Station, StationCode};
use sqlx::Row;

use crate::{Registry, RegistryError, secret};

/// What a book remembers of its keys; nothing until [`Registry::refresh_keys`] was called. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedKeyring(Arc<RwLock<Option<Keyring>>>);

/// Every station that is let in, with its keys.
#[derive(Debug)]
struct Keyring {
    stations: HashMap<StationCode, Held>,
}

#[derive(Debug)]
struct Held {
    station: Station,
    /// Hash of each key, and when it ends (milliseconds since 1970) where it does.
    keys: Vec<([u8; 32], Option<i64>)>,
}

impl SharedKeyring {
    /// The station, where this is its key at `now` (milliseconds since 1970); `None` says nothing.
    pub(crate) fn opens(&self, code: &StationCode, key: &str, now: i64) -> Option<Station> {
        let keyring = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let held = keyring.as_ref()?.stations.get(code)?;
        let said = secret::hash(key);
        let right = held.keys.iter().fold(false, |any, (hash, ends)| {
            any | (secret::same(&said, hash) && ends.is_none_or(|ends| now < ends))
        });
        right.then(|| held.station.clone())
    }

    /// The station, where it is known to be let in; `None` says nothing.
    pub(crate) fn lets_in(&self, code: &StationCode) -> Option<Station> {
        let keyring = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(keyring.as_ref()?.stations.get(code)?.station.clone())
    }

    /// Forgets everything: the file is asked until the next refresh.
    pub(crate) fn forget(&self) {
        self.put(None);
    }

    fn put(&self, keyring: Option<Keyring>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keyring;
    }
}

impl Registry {
    /// Reads every key into memory, so that logins need not ask the file: some 300 bytes and 10 µs a station. To be
    /// called again whenever [`version`](Self::version) moved, before connections are reviewed.
    ///
    /// # Errors
    /// Where the file cannot be read; then nothing is remembered and logins ask the file.
    pub async fn refresh_keys(&self) -> Result<(), RegistryError> {
        let keyring = self.read_keyring().await.inspect_err(|_| self.keyring.forget())?;
        self.keyring.put(Some(keyring));
        Ok(())
    }

    async fn read_keyring(&self) -> Result<Keyring, RegistryError> {
        let disabled = self.disabled_stations().await?;
        let mut stations: HashMap<_, _> = (self.stations().await?.into_iter())
            .filter(|station| !disabled.contains(&station.code))
            .map(|station| (station.code.clone(), Held { station, keys: Vec::new() }))
            .collect();
        let sql = "SELECT station, hash, revoked_at FROM station_keys \
                   WHERE revoked_at IS NULL OR $1 < revoked_at";
        let now = self.clock.now().as_millis();
        for row in sqlx::query(sql).bind(now).fetch_all(&self.pool).await? {
            let (of, hash): (String, String) = (row.try_get("station")?, row.try_get("hash")?);
            let held = stations.get_mut(of.as_str());
            if let (Some(held), Ok(hash)) = (held, blake3::Hash::from_hex(hash)) {
                held.keys.push((*hash.as_bytes(), row.try_get("revoked_at")?));
            }
        }
        Ok(Keyring { stations })
    }
}
