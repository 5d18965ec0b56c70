//! Where the engine stood, so that a start reads seconds of the journal and not a month. Only a short cut: without
//! the file the engine folds the journal from its oldest record and comes to the same state.
//!
//! The file `engine.json` holds the analyzer's own versioned snapshot beside the position of the first record that is
//! not in it. It is replaced as a whole; a file that does not read back is set aside with a warning.

use std::io::Write;
use std::path::{Path, PathBuf};

use analytics::rules::Snapshot;
use ingest::{SavedClocks, SavedSeqs};
use serde::{Deserialize, Serialize};

/// The engine's place and state.
#[derive(Serialize, Deserialize)]
pub struct Saved {
    /// The first record of the journal that the state does not hold.
    pub next: u64,
    /// The analyzer's state.
    pub analyzer: Snapshot,
    /// Which reports are missing. A file of before has none; then the count begins with the next report.
    #[serde(default)]
    pub seqs: SavedSeqs,
    /// How far the stations' clocks are from ours. A file of before has none; then it is learnt anew.
    #[serde(default)]
    pub clocks: SavedClocks,
}

/// Reads the saved state, if there is one that can be read.
#[must_use]
pub fn load(dir: &Path) -> Option<Saved> {
    let path = file(dir);
    let text = std::fs::read(&path).ok()?;
    match serde_json::from_slice(&text) {
        Ok(saved) => Some(saved),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "engine state does not read back; folding the journal anew");
            None
        }
    }
}

/// Saves the state durably.
///
/// # Errors
/// What the disk says.
pub fn save(dir: &Path, saved: &Saved) -> std::io::Result<()> {
    let fresh = dir.join(".engine.json.new");
    let mut out = std::fs::File::create(&fresh)?;
    out.write_all(&serde_json::to_vec(saved)?)?;
    out.sync_data()?;
    std::fs::rename(&fresh, file(dir))?;
    std::fs::File::open(dir)?.sync_all()
}

fn file(dir: &Path) -> PathBuf {
    dir.join("engine.json")
}
