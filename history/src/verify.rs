//! Reads the sealed files through without opening the store, beside a running engine or on a copy: every checksum,
//! every row. Nothing is changed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::HistoryError;
use crate::cache::Cache;
use crate::sealed::{Facts, Manifest, SealedFile};

/// A sealed file that may be read through.
#[derive(Debug, Clone)]
pub struct Unverified {
    /// Its file.
    pub path: PathBuf,
    /// Bytes it was sealed with.
    pub bytes: u64,
    dir: PathBuf,
    facts: Facts,
}

/// The sealed files that count in `dir`; none where there is no history.
///
/// # Errors
/// [`HistoryError`] where the manifest cannot be read.
pub fn sealed_files(dir: &Path) -> Result<Vec<Unverified>, HistoryError> {
    let Some(manifest) = Manifest::read(dir)? else { return Ok(Vec::new()) };
    let unverified = |facts: &Facts| Unverified {
        path: dir.join(facts.name()),
        bytes: facts.bytes,
        dir: dir.to_owned(),
        facts: *facts,
    };
    Ok(manifest.files.iter().map(unverified).collect())
}

impl Unverified {
    /// Reads the file through; returns how many rows it has, or `None` where a merge has replaced it meanwhile.
    ///
    /// # Errors
    /// [`HistoryError::Damaged`] where something does not read back, [`HistoryError::Disk`] where the disk does not
    /// answer.
    pub fn verify(&self) -> Result<Option<u64>, HistoryError> {
        match self.rows() {
            Err(_) if !self.still_counts()? => Ok(None),
            rows => rows.map(Some),
        }
    }

    fn still_counts(&self) -> Result<bool, HistoryError> {
        let manifest = Manifest::read(&self.dir)?;
        Ok(manifest.is_some_and(|manifest| manifest.files.contains(&self.facts)))
    }

    fn rows(&self) -> Result<u64, HistoryError> {
        let file = SealedFile::new(&self.dir, self.facts);
        // Nothing is kept: each file is read once.
        let footer = file.footer(&Mutex::new(Cache::new(0)))?;
        let mut scan = file.scan(Arc::clone(&footer))?;
        let mut rows = 0;
        while scan.key().is_some() {
            for pair in 0..footer.parameters.len() {
                scan.cell(pair)?;
            }
            rows += 1;
            scan.step()?;
        }
        file.verify_rolled(&footer)?;
        if rows != self.facts.rows {
            let what = format!("it has {rows} rows, sealed were {}", self.facts.rows);
            return Err(HistoryError::damaged(&self.path, what));
        }
        Ok(rows)
    }
}
