//! Who changed what, when, from what to what. Written in the transaction of the change itself; never holds a key, a
//! password or a whole phone number.

use domain::Timestamp;
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use crate::{Registry, RegistryError};

/// One line of the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Its number, from 1, without gaps.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who: a user's name, or `cli`.
    pub who: String,
    /// What was done, as `station.add`.
    pub act: String,
    /// What was there before, as JSON; empty where nothing was.
    pub before: String,
    /// What is there now, as JSON; empty where nothing is.
    pub after: String,
}

impl Registry {
    /// Writes down something that was done outside of the book, such as an acknowledgement.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub async fn audit(
        &self,
        at: Timestamp,
        who: &str,
        act: &str,
        before: &str,
        after: &str,
    ) -> Result<(), RegistryError> {
        let mut tx = self.pool.begin().await?;
        write(&mut tx, at, who, act, before, after).await?;
        Ok(tx.commit().await?)
    }

    /// The newest lines of the audit, newest first.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn audits(&self, newest: u32) -> Result<Vec<Audit>, RegistryError> {
        let sql = "SELECT seq, made_at, who, act, before_text, after_text FROM audit \
                   ORDER BY seq DESC LIMIT $1";
        let rows = sqlx::query(sql).bind(i64::from(newest)).fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                Ok(Audit {
                    seq: u64::try_from(row.try_get::<i64, _>("seq")?).unwrap_or(0),
                    at: Timestamp::from_millis(row.try_get("made_at")?),
                    who: row.try_get("who")?,
                    act: row.try_get("act")?,
                    before: row.try_get("before_text")?,
                    after: row.try_get("after_text")?,
                })
            })
            .collect()
    }
}

pub(crate) async fn write(
    sql: &mut SqliteConnection,
    at: Timestamp,
    who: &str,
    act: &str,
    before: &str,
    after: &str,
) -> Result<(), RegistryError> {
    let next = "UPDATE counters SET audits = audits + 1 WHERE id = 1 RETURNING audits";
    let seq: i64 = sqlx::query_scalar(next).fetch_one(&mut *sql).await?;
    let line = "INSERT INTO audit (seq, made_at, who, act, before_text, after_text) \
                VALUES ($1, $2, $3, $4, $5, $6)";
    sqlx::query(line)
        .bind(seq)
        .bind(at.as_millis())
        .bind(who)
        .bind(act)
        .bind(before)
        .bind(after)
        .execute(sql)
        .await?;
    Ok(())
}
