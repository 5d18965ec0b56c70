//! Who may look. Passwords are kept as argon2id (OWASP's 19 MiB, two passes); one check costs tens of milliseconds on
//! purpose, so only a few run at once and the rest wait in a short queue.

use std::fmt;
use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use domain::Timestamp;
use rand::TryRngCore;
use rand::rngs::OsRng;
use serde_json::json;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use tokio::sync::Semaphore;

use crate::{Noun, Registry, RegistryError};

/// The fewest characters of a password. NIST SP 800-63B asks for 8 beside other checks; we check nothing else, and
/// an attacker who has stolen the file tries some thousand a second per machine.
pub const PASSWORD_CHARS_MIN: usize = 12;

/// The most: a passphrase, not a file to be hashed at our cost.
pub const PASSWORD_CHARS_MAX: usize = 256;

/// Hashes computed at once: 19 MiB and a core each, and the engine's two cores have readings to carry.
const HASHES_AT_ONCE: usize = 2;

/// Hashes computed or waiting. At 50 ms each, the last of 16 waits half a second; the next is told to try again.
const HASHES_QUEUED_MAX: usize = 16;

/// What a user may do. Each role may do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Sees what concerns people: alerts with their notices.
    Viewer,
    /// Answers alerts.
    Operator,
    /// Changes the book.
    Admin,
}

impl Role {
    /// Every role there is, least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// The role as the command line and the store write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// The role with this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A user of the portal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name to log in with.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Since when.
    pub created_at: Timestamp,
}

impl Registry {
    /// Adds a user.
    ///
    /// # Errors
    /// [`RegistryError::BadUserName`], [`RegistryError::BadPassword`], or [`RegistryError::AlreadyThere`].
    pub async fn add_user(
        &self,
        name: &str,
        password: &str,
        role: Role,
    ) -> Result<(), RegistryError> {
        check_name(name)?;
        check_password_length(password)?;
        let hash = self.hashing.hash(password).await?;
        let mut change = self.change().await?;
        let taken = sqlx::query("SELECT name FROM users WHERE name = $1").bind(name);
        if taken.fetch_optional(change.sql()).await?.is_some() {
            return Err(RegistryError::already(Noun::User, name));
        }
        let at = change.at.as_millis();
        let sql = "INSERT INTO users (name, password, role, created_at) VALUES ($1, $2, $3, $4)";
        let query = sqlx::query(sql).bind(name).bind(hash).bind(role.as_str()).bind(at);
        query.execute(change.sql()).await?;
        let after = json!({ "name": name, "role": role.as_str() }).to_string();
        change.record("user.add", "", &after).await?;
        change.finish().await?;
        Ok(())
    }

    /// Every user, by name.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn users(&self) -> Result<Vec<User>, RegistryError> {
        let sql = "SELECT name, role, created_at FROM users ORDER BY name";
        sqlx::query(sql).fetch_all(&self.pool).await?.iter().map(user).collect()
    }

    /// The user, if there is one of this name and this is their password. Takes as long for a name that nobody has.
    ///
    /// # Errors
    /// [`RegistryError::Busy`] where too many passwords are being checked already.
    pub async fn check_password(
        &self,
        name: &str,
        password: &str,
    ) -> Result<Option<User>, RegistryError> {
        let sql = "SELECT name, role, created_at, password FROM users WHERE name = $1";
        let row = sqlx::query(sql).bind(name).fetch_optional(&self.pool).await?;
        let kept = row.as_ref().map(|row| row.try_get("password")).transpose()?;
        let right = self.hashing.verify(password, kept).await?;
        let answer = if right { "welcome" } else { "refused" };
        metrics::counter!("saltline_user_logins_total", "answer" => answer).increment(1);
        match row {
            Some(row) if right => user(&row).map(Some),
            _ => {
                tracing::warn!(answer, "a user was not let in");
                Ok(None)
            }
        }
    }
}

fn check_name(name: &str) -> Result<(), RegistryError> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b);
    if (1..=64).contains(&name.len()) && name.bytes().all(fits) {
        return Ok(());
    }
    Err(RegistryError::BadUserName(name.chars().take(64).collect()))
}

pub(crate) fn check_password_length(password: &str) -> Result<(), RegistryError> {
    let (min, max) = (PASSWORD_CHARS_MIN, PASSWORD_CHARS_MAX);
    let found = password.chars().count();
    if (min..=max).contains(&found) {
        return Ok(());
    }
    Err(RegistryError::BadPassword { min, max, found })
}

fn user(row: &SqliteRow) -> Result<User, RegistryError> {
    let (name, role): (String, String) = (row.try_get("name")?, row.try_get("role")?);
    Ok(User {
        role: Role::parse(&role)
            .ok_or_else(|| RegistryError::damaged(Noun::User, &name, "its role is unknown"))?,
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
        name,
    })
}

/// The place where passwords are hashed: away from the tasks that carry readings, a few at once.
pub(crate) struct Hashing {
    queue: Arc<Semaphore>,
    at_once: Arc<Semaphore>,
}

impl Default for Hashing {
    fn default() -> Self {
        Self {
            queue: Arc::new(Semaphore::new(HASHES_QUEUED_MAX)),
            at_once: Arc::new(Semaphore::new(HASHES_AT_ONCE)),
        }
    }
}

impl Hashing {
    pub(crate) async fn hash(&self, password: &str) -> Result<String, RegistryError> {
        let password = password.to_owned();
        self.run(move || argon2id(&password)).await?
    }

    /// Without a kept hash the same work is done and the answer is no.
    async fn verify(&self, password: &str, kept: Option<String>) -> Result<bool, RegistryError> {
        if PASSWORD_CHARS_MAX < password.chars().count() {
            return Ok(false);
        }
        let password = password.to_owned();
        self.run(move || match kept {
            Some(kept) => Ok(fits(&password, &kept)),
            None => argon2id(&password).map(|_| false),
        })
        .await?
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, RegistryError> {
        let Ok(_place) = self.queue.try_acquire() else {
            metrics::counter!("saltline_user_logins_total", "answer" => "busy").increment(1);
            tracing::warn!(waiting = HASHES_QUEUED_MAX, "too many passwords at once");
            return Err(RegistryError::Busy);
        };
        // The permit goes along: a caller who hangs up does not make room for a third hash.
        let permit = Arc::clone(&self.at_once).acquire_owned().await;
        let permit = permit.expect("the semaphore is never closed");
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        done.await.map_err(|_| RegistryError::Busy)
    }
}

fn argon2id(password: &str) -> Result<String, RegistryError> {
    let mut salt = [0; 16];
    OsRng.try_fill_bytes(&mut salt).map_err(|_| RegistryError::NoRandomness)?;
    let salt = SaltString::encode_b64(&salt).expect("16 bytes are a salt");
    let hash = Argon2::default().hash_password(password.as_bytes(), &salt);
    Ok(hash.expect("the length was checked and the parameters are argon2's own").to_string())
}

fn fits(password: &str, kept: &str) -> bool {
    PasswordHash::new(kept)
        .is_ok_and(|kept| Argon2::default().verify_password(password.as_bytes(), &kept).is_ok())
}
