//! Who is looking. The cookie holds a secret (see [`crate::secret::token`]), the book its hash: a stolen file opens no
//! session.

use domain::Timestamp;
use sqlx::Row;

use crate::{Noun, Registry, RegistryError, Role, User, secret};

/// Sessions one user may have at once: a few browsers and phones. The next one ends the oldest.
pub const SESSIONS_PER_USER_MAX: u32 = 16;

/// A user who is looking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Who, with the role they have now.
    pub user: User,
    /// The token that forms of this session carry.
    pub csrf: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
}

impl Registry {
    /// Begins a session. Ends the user's oldest where they have more than [`SESSIONS_PER_USER_MAX`].
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] where there is no such user.
    pub async fn put_session(
        &self,
        id_hash: &[u8; 32],
        user: &str,
        expires: Timestamp,
        csrf: &str,
    ) -> Result<(), RegistryError> {
        let mut change = self.change().await?;
        let there = sqlx::query("SELECT name FROM users WHERE name = $1").bind(user);
        if there.fetch_optional(change.sql()).await?.is_none() {
            return Err(RegistryError::not_found(Noun::User, user));
        }
        let at = change.at.as_millis();
        let insert = "INSERT INTO sessions (id_hash, user_name, csrf, created_at, expires_at) \
                      VALUES ($1, $2, $3, $4, $5)";
        let id = secret::hex(id_hash);
        let query = sqlx::query(insert).bind(id).bind(user).bind(csrf).bind(at);
        query.bind(expires.as_millis()).execute(change.sql()).await?;
        let keep = "DELETE FROM sessions WHERE user_name = $1 AND id_hash NOT IN \
                    (SELECT id_hash FROM sessions WHERE user_name = $1 \
                     ORDER BY created_at DESC, expires_at DESC LIMIT $2)";
        let query = sqlx::query(keep).bind(user).bind(i64::from(SESSIONS_PER_USER_MAX));
        query.execute(change.sql()).await?;
        change.finish_quietly().await
    }

    /// The session with this hash, unless it ended before `now`.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn session(
        &self,
        id_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<Session>, RegistryError> {
        let sql = "SELECT u.name, u.role, u.created_at AS user_since, \
                   s.csrf, s.created_at, s.expires_at \
                   FROM sessions s JOIN users u ON u.name = s.user_name \
                   WHERE s.id_hash = $1 AND s.expires_at > $2";
        let query = sqlx::query(sql).bind(secret::hex(id_hash)).bind(now.as_millis());
        let Some(row) = query.fetch_optional(&self.pool).await? else { return Ok(None) };
        let (name, role): (String, String) = (row.try_get("name")?, row.try_get("role")?);
        let role = Role::parse(&role)
            .ok_or_else(|| RegistryError::damaged(Noun::User, &name, "its role is unknown"))?;
        let created_at = Timestamp::from_millis(row.try_get("user_since")?);
        Ok(Some(Session {
            user: User { name, role, created_at },
            csrf: row.try_get("csrf")?,
            created_at: Timestamp::from_millis(row.try_get("created_at")?),
            expires: Timestamp::from_millis(row.try_get("expires_at")?),
        }))
    }

    /// Ends a session; one that is not there has ended already.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub async fn drop_session(&self, id_hash: &[u8; 32]) -> Result<(), RegistryError> {
        let sql = "DELETE FROM sessions WHERE id_hash = $1";
        sqlx::query(sql).bind(secret::hex(id_hash)).execute(&self.pool).await?;
        Ok(())
    }

    /// Sweeps sessions that ended before `now`; returns how many.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub async fn drop_expired_sessions(&self, now: Timestamp) -> Result<u64, RegistryError> {
        let sql = "DELETE FROM sessions WHERE expires_at <= $1";
        Ok(sqlx::query(sql).bind(now.as_millis()).execute(&self.pool).await?.rows_affected())
    }
}
