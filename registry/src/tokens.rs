//! The tokens of people and services at the front door. A token is a secret under a name, shown once, with its grants:
//! what it may read and write. What nobody granted is denied. Grants do not change; a token with others is another token.

use domain::{StationCode, Timestamp};
use serde_json::json;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::scram::{self, Verifier};
use crate::{Noun, Registry, RegistryError, StationKey, keys, secret, stations};

/// Grants of one token. A right that needs more lines than this is not understood by who gives it, and every publish
/// of the token walks them.
const GRANTS_MAX: usize = 64;

/// What a token may do, or must not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenGrant {
    /// `read`, `write` or `readwrite`.
    pub verb: String,
    /// A topic filter of MQTT.
    pub filter: String,
    /// It takes away instead of giving.
    pub denies: bool,
}

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its name: the user name at login.
    pub name: String,
    /// What it may do.
    pub grants: Vec<TokenGrant>,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when, if it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// Since when it does not open, if somebody revoked it.
    pub revoked_at: Option<Timestamp>,
    /// The hash of its secret.
    pub hash: [u8; 32],
    /// What verifies the secret without its being sent.
    pub verifier: Verifier,
}

impl Token {
    /// Does it open at this moment?
    #[must_use]
    pub fn opens(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

impl Registry {
    /// Makes a token. A name that was revoked may be used again; one that opens may not.
    ///
    /// # Errors
    /// [`RegistryError::AlreadyThere`] where the name opens, or is a station's; [`RegistryError::BadValue`] where the
    /// name or the grants cannot be kept.
    pub async fn add_token(
        &self,
        name: &str,
        grants: &[TokenGrant],
        expires_at: Option<Timestamp>,
    ) -> Result<StationKey, RegistryError> {
        check(name, grants)?;
        let mut change = self.change().await?;
        if let Ok(code) = StationCode::new(name)
            && stations::exists(change.sql(), &code).await?
        {
            return Err(RegistryError::already(Noun::Station, name));
        }
        let at = change.at;
        if find(change.sql(), name).await?.is_some_and(|token| token.opens(at)) {
            return Err(RegistryError::already(Noun::Token, name));
        }
        sqlx::query("DELETE FROM tokens WHERE name = $1").bind(name).execute(change.sql()).await?;
        let token = StationKey::random()?;
        write(change.sql(), name, token.reveal(), at, expires_at).await?;
        write_grants(change.sql(), name, grants).await?;
        change.record("token.add", "", &text(name, grants, expires_at)).await?;
        change.finish().await?;
        Ok(token)
    }

    /// Every token, by name, the revoked ones too.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn tokens(&self) -> Result<Vec<Token>, RegistryError> {
        let mut tx = self.snapshot().await?;
        let names: Vec<String> =
            sqlx::query_scalar("SELECT name FROM tokens ORDER BY name").fetch_all(&mut *tx).await?;
        let mut tokens = Vec::with_capacity(names.len());
        for name in names {
            tokens.extend(find(&mut tx, &name).await?);
        }
        Ok(tokens)
    }

    /// Revokes a token. Returns whether it opened.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] where there is no such token.
    pub async fn revoke_token(&self, name: &str) -> Result<bool, RegistryError> {
        let mut change = self.change().await?;
        let Some(token) = find(change.sql(), name).await? else {
            return Err(RegistryError::not_found(Noun::Token, name));
        };
        if token.revoked_at.is_none() {
            let at = change.at.as_millis();
            let sql = "UPDATE tokens SET revoked_at = $2 WHERE name = $1";
            sqlx::query(sql).bind(name).bind(at).execute(change.sql()).await?;
            let before = text(name, &token.grants, token.expires_at);
            change.record("token.revoke", &before, "").await?;
        }
        change.finish().await
    }

    /// The token of this name, if it opens now.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn token(&self, name: &str) -> Result<Option<Token>, RegistryError> {
        let token = find(&mut *self.snapshot().await?, name).await?;
        let now = self.clock.now();
        Ok(token.filter(|token| token.opens(now)))
    }

    /// The token of this name, if it opens now and `said` is its secret. Takes as long for a name that nobody has.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn check_token(
        &self,
        name: &str,
        said: &str,
    ) -> Result<Option<Token>, RegistryError> {
        let token = self.token(name).await?;
        let kept = token.as_ref().map_or([0; 32], |token| token.hash);
        let right = secret::same(&secret::hash(said), &kept);
        let token = token.filter(|_| right);
        let answer = if token.is_some() { "welcome" } else { "denied" };
        metrics::counter!("saltline_token_logins_total", "answer" => answer).increment(1);
        Ok(token)
    }
}

fn check(name: &str, grants: &[TokenGrant]) -> Result<(), RegistryError> {
    let bad = |why: &str| Err(RegistryError::bad(Noun::Token, name, why));
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c);
    if !(1..=64).contains(&name.len()) || !name.chars().all(letter) {
        return bad("a name has 1 to 64 of a-z, 0-9, -, . and _");
    }
    if !grants.iter().any(|grant| !grant.denies) || GRANTS_MAX < grants.len() {
        return bad("a token has 1 to 64 grants");
    }
    if !grants.iter().all(|g| matches!(&*g.verb, "read" | "write" | "readwrite")) {
        return bad("a verb is read, write or readwrite");
    }
    Ok(())
}

async fn write(
    sql: &mut SqliteConnection,
    name: &str,
    token: &str,
    at: Timestamp,
    expires_at: Option<Timestamp>,
) -> Result<(), RegistryError> {
    let verifier = Verifier::new(token, scram::salt()?);
    let keep = "INSERT INTO tokens \
                (name, hash, created_at, expires_at, salt, iterations, stored_key, server_key) \
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    sqlx::query(keep)
        .bind(name)
        .bind(secret::hex(&secret::hash(token)))
        .bind(at.as_millis())
        .bind(expires_at.map(Timestamp::as_millis))
        .bind(scram::hex(&verifier.salt))
        .bind(i64::from(verifier.iterations))
        .bind(scram::hex(&verifier.stored_key))
        .bind(scram::hex(&verifier.server_key))
        .execute(sql)
        .await?;
    Ok(())
}

async fn write_grants(
    sql: &mut SqliteConnection,
    name: &str,
    grants: &[TokenGrant],
) -> Result<(), RegistryError> {
    let statement = "INSERT INTO token_grants (token, position, verb, filter, denies) \
                     VALUES ($1, $2, $3, $4, $5)";
    for (position, grant) in (0_i64..).zip(grants) {
        sqlx::query(statement)
            .bind(name)
            .bind(position)
            .bind(&grant.verb)
            .bind(&grant.filter)
            .bind(i64::from(grant.denies))
            .execute(&mut *sql)
            .await?;
    }
    Ok(())
}

async fn find(sql: &mut SqliteConnection, name: &str) -> Result<Option<Token>, RegistryError> {
    let one = sqlx::query("SELECT * FROM tokens WHERE name = $1").bind(name);
    let Some(row) = one.fetch_optional(&mut *sql).await? else { return Ok(None) };
    let all = "SELECT verb, filter, denies FROM token_grants WHERE token = $1 ORDER BY position";
    let grants = sqlx::query(all).bind(name).fetch_all(sql).await?;
    let damaged = |why: &str| RegistryError::damaged(Noun::Token, name, why);
    let hash: String = row.try_get("hash")?;
    let hash = blake3::Hash::from_hex(hash).map_err(|_| damaged("its hash"))?;
    let moment = |at: Option<i64>| at.map(Timestamp::from_millis);
    Ok(Some(Token {
        name: name.to_owned(),
        grants: grants.iter().map(grant).collect::<Result<_, _>>()?,
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
        expires_at: moment(row.try_get("expires_at")?),
        revoked_at: moment(row.try_get("revoked_at")?),
        hash: *hash.as_bytes(),
        verifier: keys::verifier(&row).ok_or_else(|| damaged("its verifier"))?,
    }))
}

fn grant(row: &SqliteRow) -> Result<TokenGrant, RegistryError> {
    Ok(TokenGrant {
        verb: row.try_get("verb")?,
        filter: row.try_get("filter")?,
        denies: row.try_get::<i64, _>("denies")? != 0,
    })
}

fn text(name: &str, grants: &[TokenGrant], expires_at: Option<Timestamp>) -> String {
    let one = |grant: &TokenGrant| {
        let sign = if grant.denies { "deny " } else { "" };
        format!("{sign}{}:{}", grant.verb, grant.filter)
    };
    json!({
        "name": name,
        "grants": grants.iter().map(one).collect::<Vec<_>>(),
        "expires_at": expires_at.map(|at| at.to_string()),
    })
    .to_string()
}
