//! What people and the engine ask of stations, carried out: commands go out, receipts and reported configuration come
//! in, missing reports are asked for, dead letters are sent in again. All of it is found by looking into the registry
//! and into the journal of what stations said, so that the path after a power cut is the path of every second.

mod commands; // out, and given up
mod hear; // what stations said of it
mod letters; // sent in again

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::{Clock, StationCode, Timestamp};
use ingest::mqtt::{Keep, Publisher};
use ingest::{Ask, Intake, Seqs};
use journal::Journal;
use registry::{Registry, RegistryError};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::assembly::Fatal;
use crate::store::SAID_DISK_BYTES_MAX;

/// How often the registry is looked at. A person who sends a command waits a second for it anyway.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a question for missing reports stands: a station that is on the line answers within seconds.
const RESEND_EXPIRES: Duration = Duration::from_mins(10);

/// How often what is over and old is forgotten.
const FORGET_EVERY: Duration = Duration::from_hours(1);

/// Commands that are over are listed for so long; the audit keeps them for ever.
const COMMANDS_KEPT: Duration = Duration::from_hours(90 * 24);

/// The gaps, shared with those who show them.
pub type SharedSeqs = Arc<Mutex<Seqs>>;

/// Carries errands out, on a thread of its own.
pub struct Errands {
    /// What is asked.
    pub registry: Registry,
    /// What stations said.
    pub said: Journal,
    /// Refused packets.
    pub dead_letters: Journal,
    /// Where they go in again.
    pub intake: Intake,
    /// Where commands go out.
    pub publisher: Publisher,
    /// Which reports are missing.
    pub seqs: SharedSeqs,
    /// Without a report that fills a gap for so long, a gap is asked for.
    pub settle: Duration,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The errands while they are carried out.
struct Round {
    errands: Errands,
    /// The first thing said that was not heard.
    next: u64,
    /// The version of the registry at which configurations were published.
    configs_at: Option<u64>,
    /// The hash that was published for each station.
    published: HashMap<StationCode, String>,
    forgot: Option<Instant>,
}

impl Errands {
    /// Carries out until told to stop. What the registry cannot take now is tried again.
    ///
    /// # Errors
    /// [`Fatal`] where the journal of what was said does not serve.
    pub fn run(self, runtime: &Handle, stop: &CancellationToken) -> Result<(), Fatal> {
        let mut heard = self.said.watch();
        let oldest = self.said.oldest();
        let next = self.said.cursor(CURSOR).unwrap_or(0).max(oldest);
        let mut round = Round {
            errands: self,
            next,
            configs_at: None,
            published: HashMap::new(),
            forgot: None,
        };
        let mut looked: Option<Instant> = None;
        while !stop.is_cancelled() {
            heard.borrow_and_update();
            // What was not heard is heard again at the next round: the cursor stands before it.
            let mut went = round.hear(runtime)?;
            if looked.is_none_or(|at| LOOK_EVERY <= at.elapsed()) {
                looked = Some(Instant::now());
                went = went.and(runtime.block_on(round.look()));
            }
            if let Err(error) = went {
                metrics::counter!("saltline_registry_read_failed_total").increment(1);
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "an errand waits for the registry");
            }
            runtime.block_on(async {
                tokio::select! {
                    _ = heard.changed() => {}
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                    () = stop.cancelled() => {}
                }
            });
        }
        Ok(())
    }
}

/// The cursor's name in the journal of what was said.
const CURSOR: &str = "errands";

impl Round {
    /// Everything that the registry may ask for.
    async fn look(&mut self) -> Result<(), RegistryError> {
        let now = self.errands.clock.now();
        self.ask_for_missing(now).await?;
        self.send_commands().await?;
        self.give_up_commands(now).await?;
        self.publish_configs().await?;
        self.replay_letters().await?;
        self.forget(now).await
    }

    /// Asks stations for what is missing, by a command like any other.
    async fn ask_for_missing(&self, now: Timestamp) -> Result<(), RegistryError> {
        let (due, (stations, reports)) = {
            let mut seqs = self.seqs();
            (seqs.due(now, self.errands.settle), seqs.missing())
        };
        metrics::gauge!("saltline_gaps_stations").set(stations as f64);
        metrics::gauge!("saltline_gaps_reports").set(reports as f64);
        metrics::counter!("saltline_gaps_given_up_total").increment(due.given_up);
        if 0 < due.given_up {
            tracing::warn!(reports = due.given_up, "missing reports were given up");
        }
        for Ask { station, from, to } in due.asks {
            let args = json!({ "from_seq": from, "to_seq": to });
            let wish = registry::Wish {
                station: station.clone(),
                kind: RESEND.to_owned(),
                args: args.as_object().cloned().unwrap_or_default(),
                expires_in: RESEND_EXPIRES,
                once: None,
            };
            match self.errands.registry.by("engine").make_command(&wish).await {
                Ok(_) => {
                    metrics::counter!("saltline_gaps_asked_total").increment(1);
                    tracing::info!(%station, from, to, "asking for missing reports");
                }
                // Too many wait already, or the station is gone: the next question comes later.
                Err(error @ (RegistryError::BadValue { .. } | RegistryError::NotFound { .. })) => {
                    tracing::warn!(%station, %error, "cannot ask for missing reports");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn forget(&mut self, now: Timestamp) -> Result<(), RegistryError> {
        if self.forgot.is_some_and(|at| at.elapsed() < FORGET_EVERY) {
            return Ok(());
        }
        self.errands.registry.forget_commands(now - COMMANDS_KEPT).await?;
        self.errands.registry.forget_replays(self.errands.dead_letters.oldest()).await?;
        let book = self.errands.registry.stations().await?;
        let known = |code: &StationCode| book.iter().any(|station| station.code == *code);
        self.seqs().keep(known);
        self.errands.intake.clocks().keep(known);
        self.forgot = Some(Instant::now());
        Ok(())
    }

    fn seqs(&self) -> std::sync::MutexGuard<'_, Seqs> {
        self.errands.seqs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, station: &StationCode, below: &str, body: &Value, keep: Keep) {
        let topic = format!("stations/{station}/{below}");
        self.errands.publisher.publish(&topic, body.to_string().as_bytes(), keep);
    }
}

/// The kind of the command that asks for missing reports.
const RESEND: &str = "resend";

/// Removes what was heard and fills the disk.
fn prune(said: &Journal) -> Result<(), Fatal> {
    said.prune_to(SAID_DISK_BYTES_MAX)?;
    Ok(())
}
