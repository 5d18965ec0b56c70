//! Dead letters that somebody asked to send in again. They go the way of every packet; then it is written down what
//! became of each. A power cut in between sends them in once more: the same station, parameter and time is stored once.

use std::collections::HashMap;
use std::sync::Arc;

use domain::{Station, StationCode};
use ingest::{Answer, Batch, DeadLetter, Pass};
use registry::{RegistryError, Replay, ReplayState};

use super::Round;

/// Letters of one commit.
const AT_ONCE: u32 = 500;

/// Bytes of one commit, about: as much as the front door lets wait for one sync.
const BYTES_MAX: usize = 8 << 20;

type Done = (u64, ReplayState, String);

impl Round {
    pub(super) async fn replay_letters(&self) -> Result<(), RegistryError> {
        let asked = self.errands.registry.replays_asked(AT_ONCE).await?;
        if asked.is_empty() {
            return Ok(());
        }
        let mut book = HashMap::new();
        let mut batch = Batch::default();
        let mut done: Vec<Done> = Vec::new();
        for replay in &asked {
            if BYTES_MAX <= batch.weight() {
                break;
            }
            let (state, why) = match self.letter(replay, &mut book).await? {
                Ok((pass, letter)) => {
                    outcome(self.errands.intake.retake(&pass, &letter, replay.shift_ms, &mut batch))
                }
                Err(why) => (ReplayState::Failed, why),
            };
            done.push((replay.letter, state, why));
        }
        // Without a proof nothing is written down, and all of it is tried again.
        if let Err(error) = self.errands.intake.commit(batch).await {
            tracing::error!(%error, "dead letters cannot be sent in now");
            return Ok(());
        }
        for (letter, state, why) in &done {
            metrics::counter!("saltline_deadletters_replayed_total", "outcome" => state.as_str())
                .increment(1);
            tracing::info!(letter, outcome = state.as_str(), why, "dead letter sent in again");
        }
        self.errands.registry.replays_done(&done).await
    }

    /// The letter and who speaks through it, or why there is none.
    async fn letter(
        &self,
        replay: &Replay,
        book: &mut HashMap<String, Option<Arc<Station>>>,
    ) -> Result<Result<(Pass, DeadLetter), String>, RegistryError> {
        let read = self.errands.dead_letters.read(replay.letter, 1);
        let record = read.ok().and_then(|records| records.into_iter().next());
        let letter = record
            .filter(|(position, _)| *position == replay.letter)
            .and_then(|(_, bytes)| DeadLetter::decode(&bytes))
            .filter(|letter| letter.received_at == replay.received_at);
        let Some(letter) = letter else {
            return Ok(Err("the letter is no longer kept".to_owned()));
        };
        if !book.contains_key(&letter.station) {
            let found = match StationCode::new(&letter.station) {
                Ok(code) => self.errands.registry.station(&code).await?.map(Arc::new),
                Err(_) => None,
            };
            book.insert(letter.station.clone(), found);
        }
        match book.get(&letter.station).cloned().flatten() {
            Some(station) => Ok(Ok((Pass { station }, letter))),
            None => Ok(Err(format!("there is no station `{}`", letter.station))),
        }
    }
}

fn outcome(answer: Answer) -> (ReplayState, String) {
    match answer {
        Answer::Stored { refused: None } => (ReplayState::Replayed, String::new()),
        Answer::Stored { refused: Some(refusal) } => {
            (ReplayState::Partly, format!("{}: {refusal}", refusal.reason))
        }
        Answer::Refused(refusal) => (ReplayState::Failed, format!("{}: {refusal}", refusal.reason)),
    }
}
