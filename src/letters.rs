//! The dead letters, looked at beside the engine that writes them, with what became of those that were sent in again.

use std::collections::HashMap;
use std::path::Path;

use domain::{Reason, Timestamp};
use ingest::DeadLetter;
use journal::JournalError;
use registry::{Registry, RegistryError, Replay};

/// Letters of one answer: a page that a person reads, or a request that the registry takes at once.
pub const LETTERS_MAX: usize = registry::REPLAYS_AT_ONCE_MAX;

/// Which letters.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Only this one.
    pub id: Option<u64>,
    /// Only of this station.
    pub station: Option<String>,
    /// Only for this reason.
    pub reason: Option<Reason>,
    /// Only those that came at this time or after it.
    pub since: Option<Timestamp>,
    /// Only those before this place.
    pub before: Option<u64>,
}

/// A letter and what became of it.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Its place in the store, which is its name.
    pub id: u64,
    /// The letter.
    pub letter: DeadLetter,
    /// What became of it, if anybody asked.
    pub replay: Option<Replay>,
}

/// Why letters cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum LettersError {
    /// Their files do not read.
    #[error("dead letters cannot be read")]
    Journal(#[from] JournalError),
    /// The registry does not.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl Wanted {
    fn is(&self, id: u64, letter: &DeadLetter) -> bool {
        self.id.is_none_or(|wanted| wanted == id)
            && self.station.as_ref().is_none_or(|station| *station == letter.station)
            && self.reason.is_none_or(|reason| reason == letter.reason)
            && self.since.is_none_or(|since| since <= letter.received_at)
    }
}

/// The newest letters that are wanted, newest first, at most `most`. Blocking: reads files.
///
/// # Errors
/// [`LettersError::Journal`].
pub fn newest(dir: &Path, wanted: &Wanted, most: usize) -> Result<Vec<Kept>, LettersError> {
    let most = most.min(LETTERS_MAX);
    // A name is a place: nothing behind it need be looked at.
    let end = wanted.id.map(|id| id.saturating_add(1));
    let before = wanted.before.into_iter().chain(end).min();
    let found = journal::newest(dir, before, most, |id, bytes| {
        DeadLetter::decode(bytes).is_some_and(|letter| wanted.is(id, &letter))
    })?;
    let kept = |(id, bytes)| Some(Kept { id, letter: DeadLetter::decode(&bytes)?, replay: None });
    Ok(found.into_iter().filter_map(kept).collect())
}

/// Adds what became of letters.
///
/// # Errors
/// [`LettersError::Registry`].
pub async fn with_replays(
    mut letters: Vec<Kept>,
    registry: &Registry,
) -> Result<Vec<Kept>, LettersError> {
    let (Some(first), Some(last)) =
        (letters.iter().map(|kept| kept.id).min(), letters.iter().map(|kept| kept.id).max())
    else {
        return Ok(letters);
    };
    let replays = registry.replays(first, last).await?;
    let mut by_letter: HashMap<u64, Replay> =
        replays.into_iter().map(|replay| (replay.letter, replay)).collect();
    for kept in &mut letters {
        let replay = by_letter.remove(&kept.id);
        kept.replay = replay.filter(|replay| replay.received_at == kept.letter.received_at);
    }
    Ok(letters)
}
