//! What ends: a station that was taken down, a person who left, a password that is known too well. Readings, alerts and
//! the audit stay; what is taken away is the right to speak or to look.

use domain::StationCode;
use serde_json::json;

use crate::users::check_password_length;
use crate::{Noun, Registry, RegistryError, stations};

impl Registry {
    /// Takes a station away, with its keys and the duties that name it. Its readings stay in history. Added again, it
    /// gets a new key.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] where there is no such station, [`RegistryError::BadValue`] where a rule names it: a
    /// rule that lost its last station would watch all of them.
    pub async fn drop_station(&self, code: &StationCode) -> Result<(), RegistryError> {
        let mut change = self.change().await?;
        let Some(station) = stations::find(change.sql(), code).await? else {
            return Err(RegistryError::not_found(Noun::Station, code));
        };
        let named = "SELECT rule FROM rule_stations WHERE station = $1 ORDER BY rule";
        let rules: Vec<String> =
            sqlx::query_scalar(named).bind(code.as_str()).fetch_all(change.sql()).await?;
        if !rules.is_empty() {
            let why =
                format!("named by the rules {}; change or remove them first", rules.join(", "));
            return Err(RegistryError::bad(Noun::Station, code, why));
        }
        let sql = "DELETE FROM stations WHERE code = $1";
        sqlx::query(sql).bind(code.as_str()).execute(change.sql()).await?;
        change.record("station.drop", &stations::text(&station), "").await?;
        change.finish().await?;
        Ok(())
    }

    /// Takes a user away; their sessions end.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] where there is no such user.
    pub async fn drop_user(&self, name: &str) -> Result<(), RegistryError> {
        let mut change = self.change().await?;
        let sql = "DELETE FROM users WHERE name = $1";
        let gone = sqlx::query(sql).bind(name).execute(change.sql()).await?;
        if gone.rows_affected() == 0 {
            return Err(RegistryError::not_found(Noun::User, name));
        }
        change.record("user.drop", &json!({ "name": name }).to_string(), "").await?;
        change.finish().await?;
        Ok(())
    }

    /// Gives a user another password. Their sessions end: whoever knew the old one has to show the new one.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] where there is no such user, [`RegistryError::BadPassword`].
    pub async fn set_password(&self, name: &str, password: &str) -> Result<(), RegistryError> {
        check_password_length(password)?;
        let hash = self.hashing.hash(password).await?;
        let mut change = self.change().await?;
        let sql = "UPDATE users SET password = $2 WHERE name = $1";
        let done = sqlx::query(sql).bind(name).bind(hash).execute(change.sql()).await?;
        if done.rows_affected() == 0 {
            return Err(RegistryError::not_found(Noun::User, name));
        }
        let sql = "DELETE FROM sessions WHERE user_name = $1";
        sqlx::query(sql).bind(name).execute(change.sql()).await?;
        change.record("user.password", "", &json!({ "name": name }).to_string()).await?;
        change.finish().await?;
        Ok(())
    }
}
