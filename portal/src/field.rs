//! What stands between us and the stations in the field: packets that were refused, reports that are missing, commands
//! and configuration. Shown to those on duty, and asked for by them; carried out elsewhere.

use std::sync::Arc;

use domain::{Reason, StationCode, Timestamp};
use registry::{Registry, RegistryError, RolloutTerms};

use crate::view::{Answer, Trouble};

/// Whatever went wrong in a room that is not ours.
type Fault = Box<dyn std::error::Error + Send + Sync>;

/// A question that reads files, asked beside the tasks that wait.
pub type Letters = Arc<dyn Fn(LettersWanted) -> Result<Vec<Letter>, Fault> + Send + Sync>;

/// A question answered from memory.
pub type AskGaps = Arc<dyn Fn(Option<&StationCode>) -> Vec<Gaps> + Send + Sync>;

/// How far a station's clock is from ours, answered from memory.
pub type AskClock = Arc<dyn Fn(&StationCode) -> Option<ClockOff> + Send + Sync>;

/// What is known of the field.
#[derive(Clone)]
pub struct Field {
    /// The book, which keeps what was asked.
    pub registry: Registry,
    /// The newest letters that are wanted, newest first.
    pub letters: Letters,
    /// The gaps of one station, or of every station that has any.
    pub gaps: AskGaps,
    /// How far a station's clock is from ours.
    pub clock: AskClock,
    /// What a roll-out of firmware asks of its rings, unless it is said.
    pub rollout_terms: RolloutTerms,
}

/// A packet that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its number.
    pub id: u64,
    /// When it came.
    pub received_at: Timestamp,
    /// Who sent it, as logged in; empty where nobody was.
    pub station: String,
    /// The topic it was published on.
    pub topic: String,
    /// Why it was refused.
    pub reason: Reason,
    /// What exactly was wrong.
    pub detail: String,
    /// The bytes.
    pub payload: Vec<u8>,
}

/// Which letters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LettersWanted {
    /// Only this one.
    pub id: Option<u64>,
    /// Only of this station.
    pub station: Option<String>,
    /// Only for this reason.
    pub reason: Option<Reason>,
    /// Only those that came at this time or after it.
    pub since: Option<Timestamp>,
    /// Only those before this number.
    pub before: Option<u64>,
    /// At most so many.
    pub most: usize,
}

/// How far a station's clock is from ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockOff {
    /// Milliseconds that it is ahead; below zero, behind.
    pub ahead_ms: i64,
    /// Reports that this is known from.
    pub reports: usize,
    /// When the newest of them came.
    pub at: Timestamp,
}

/// The reports of a station that are missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gaps {
    /// Whose.
    pub station: StationCode,
    /// The number expected next.
    pub next: u64,
    /// First and last number missing, and since when; oldest first.
    pub ranges: Vec<(u64, u64, Timestamp)>,
    /// Reports missing in all.
    pub missing: u64,
    /// Reports that were missing and came.
    pub filled: u64,
    /// Reports that will not come.
    pub given_up: u64,
    /// When the station was asked last.
    pub asked_at: Option<Timestamp>,
}

impl Field {
    /// The letters that are wanted.
    pub(crate) fn letters(&self, wanted: LettersWanted) -> Answer<'_, Vec<Letter>> {
        let letters = Arc::clone(&self.letters);
        Box::pin(async move {
            let read = tokio::task::spawn_blocking(move || letters(wanted)).await;
            let read = read.map_err(|stopped| Trouble::new("dead letters", stopped))?;
            read.map_err(|error| Trouble::new("dead letters", error))
        })
    }

    /// The gaps of one station, if it numbers its reports.
    pub(crate) fn gaps_of(&self, station: &StationCode) -> Option<Gaps> {
        (self.gaps)(Some(station)).into_iter().next()
    }
}

/// The registry's refusals are the caller's to read; all else is trouble.
pub(crate) fn trouble(error: RegistryError) -> Trouble {
    Trouble::new("registry", error)
}
