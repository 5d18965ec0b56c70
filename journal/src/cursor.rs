//! How far a follower has come: one small file a cursor, replaced as a whole.
//!
//! ```text
//! magic    [u8; 8]  "SLTCUR01"
//! position u64      the first record that the follower has not finished
//! crc32    u32      over magic and position
//! ```
//! A file that does not read back is an error, not a zero: a follower that silently began anew would do all twice.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::segment::sync_dir;
use crate::{JournalError, Position};

const MAGIC: [u8; 8] = *b"SLTCUR01";

/// All cursors of a journal.
#[derive(Debug)]
pub struct Cursors {
    dir: PathBuf,
    at: BTreeMap<String, Position>,
}

impl Cursors {
    pub fn open(journal: &Path) -> Result<Self, JournalError> {
        let dir = journal.join("cursors");
        std::fs::create_dir_all(&dir).map_err(JournalError::io("create", &dir))?;
        let mut at = BTreeMap::new();
        for entry in std::fs::read_dir(&dir).map_err(JournalError::io("list", &dir))? {
            let path = entry.map_err(JournalError::io("list", &dir))?.path();
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
            if check_name(&name).is_ok() {
                at.insert(name, load(&path)?);
            }
        }
        Ok(Self { dir, at })
    }

    pub fn get(&self, name: &str) -> Option<Position> {
        self.at.get(name).copied()
    }

    /// The position that every cursor has passed; `None` without cursors.
    pub fn slowest(&self) -> Option<Position> {
        self.at.values().copied().min()
    }

    pub fn set(&mut self, name: &str, position: Position) -> Result<(), JournalError> {
        check_name(name)?;
        if self.at.get(name) == Some(&position) {
            return Ok(());
        }
        let path = self.dir.join(name);
        let fresh = self.dir.join(format!(".{name}.new"));
        let write = || {
            let mut file = File::create(&fresh)?;
            file.write_all(&encode(position))?;
            file.sync_data()?;
            std::fs::rename(&fresh, &path)?;
            sync_dir(&self.dir)
        };
        write().map_err(JournalError::io("write cursor", &path))?;
        self.at.insert(name.to_owned(), position);
        Ok(())
    }
}

/// The cursors of the journal in `dir`, by name, without opening it.
///
/// # Errors
/// [`JournalError::Io`], [`JournalError::Damaged`].
pub fn cursors(dir: &Path) -> Result<Vec<(String, Position)>, JournalError> {
    let dir = dir.join("cursors");
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    for entry in std::fs::read_dir(&dir).map_err(JournalError::io("list", &dir))? {
        let path = entry.map_err(JournalError::io("list", &dir))?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
        if check_name(&name).is_ok() {
            all.push((name, load(&path)?));
        }
    }
    all.sort();
    Ok(all)
}

fn check_name(name: &str) -> Result<(), JournalError> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !name.is_empty() && name.len() <= 64 && name.bytes().all(fits) {
        return Ok(());
    }
    Err(JournalError::BadCursorName(name.to_owned()))
}

fn encode(position: Position) -> [u8; 20] {
    let mut bytes = [0; 20];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..16].copy_from_slice(&position.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..16]);
    bytes[16..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn load(path: &Path) -> Result<Position, JournalError> {
    let bytes = std::fs::read(path).map_err(JournalError::io("read cursor", path))?;
    let position = bytes.get(8..16).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes);
    match position {
        Some(position) if bytes == encode(position) => Ok(position),
        _ => Err(JournalError::Damaged { path: path.to_owned(), offset: 0, what: "not a cursor" }),
    }
}
