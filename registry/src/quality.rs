//! Which series are tested how: one document, as it was typed. What it means is not the book's to say: whoever writes it
//! has it understood first (`saltline::judge`), against the stations and parameters that it names.

use sqlx::sqlite::SqliteConnection;

use crate::store::Change;
use crate::{Noun, Registry, RegistryError};

/// The longest document. An entry with every limit takes 1 kB, so that is one for each of 250 series.
pub const QUALITY_BYTES_MAX: usize = 256 << 10;

impl Registry {
    /// The document, where somebody wrote one.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn quality(&self) -> Result<Option<String>, RegistryError> {
        find(&mut *self.pool.acquire().await?).await
    }

    /// Writes the document in place of the one that was there; returns whether there was none.
    ///
    /// # Errors
    /// [`RegistryError::BadValue`] where it is longer than [`QUALITY_BYTES_MAX`].
    pub async fn put_quality(&self, document: &str) -> Result<bool, RegistryError> {
        let mut change = self.change().await?;
        let created = put(&mut change, document).await?;
        change.finish().await?;
        Ok(created)
    }
}

pub(crate) async fn put(change: &mut Change, document: &str) -> Result<bool, RegistryError> {
    if QUALITY_BYTES_MAX < document.len() {
        let why = format!("at most {QUALITY_BYTES_MAX} bytes, this has {}", document.len());
        return Err(RegistryError::bad(Noun::Quality, "quality.toml", why));
    }
    let before = find(change.sql()).await?;
    if before.as_deref() == Some(document) {
        return Ok(false);
    }
    let sql = "INSERT INTO quality (id, document) VALUES (1, $1) \
               ON CONFLICT (id) DO UPDATE SET document = excluded.document";
    sqlx::query(sql).bind(document).execute(change.sql()).await?;
    change.record("quality.put", before.as_deref().unwrap_or_default(), document).await?;
    Ok(before.is_none())
}

async fn find(sql: &mut SqliteConnection) -> Result<Option<String>, RegistryError> {
    let query = "SELECT document FROM quality WHERE id = 1";
    Ok(sqlx::query_scalar(query).fetch_optional(sql).await?)
}
