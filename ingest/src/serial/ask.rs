//! Loggers that are asked in turn. A poll is done when its lines are on disk, and only then is the logger told that it may
//! go on to its next record.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::intake::{Batch, Intake};
use crate::line::{Breaker, Cadence, shift_of};

use super::config::{Config, LoggerConfig};
use super::counters::Counters;
use super::fault::{Fault, Unread};
use super::port::{Answer, Port};
use super::profile::Poll;
use super::scribe::Scribe;

/// How often a logger is asked where nobody says it.
const EVERY_USUAL: std::time::Duration = std::time::Duration::from_secs(60);

/// One logger and whose turn it is.
struct Turn {
    config: LoggerConfig,
    poll: Poll,
    cadence: Cadence,
    breaker: Breaker,
    outcome: &'static str,
}

/// See the module.
pub(super) struct Ask {
    config: Arc<Config>,
    port: Port,
    scribe: Scribe,
    turns: Vec<Turn>,
}

impl Ask {
    pub(super) fn new(config: Arc<Config>, intake: &Intake, seed: u64) -> Self {
        let counters = Counters::new(&config.name);
        let (now, instant, count) = (intake.now(), Instant::now(), config.loggers.len());
        let base = shift_of(&config.name);
        let turn = |(at, logger): (usize, &LoggerConfig)| {
            #[expect(
                clippy::cast_precision_loss,
                reason = "a line has a few dozen loggers at most"
            )]
            let shift = base + at as f64 / count as f64;
            let every = logger.every.unwrap_or(EVERY_USUAL);
            Some(Turn {
                poll: logger.profile.poll.clone()?,
                config: logger.clone(),
                cadence: Cadence::new(every, shift, now, instant),
                breaker: Breaker::default(),
                outcome: "",
            })
        };
        let turns: Vec<Turn> = config.loggers.iter().enumerate().filter_map(turn).collect();
        let scribe = Scribe::new(&config.name, intake, counters.clone());
        turns.iter().for_each(|turn| scribe.learn(&turn.config));
        Self { port: Port::new(config.clone(), counters, seed), scribe, turns, config }
    }

    /// Asks until told to stop; then what was read is committed.
    pub(super) async fn run(mut self, stop: &CancellationToken) {
        loop {
            let turns = self.turns.iter().enumerate();
            let Some((at, turn)) = turns.min_by_key(|(_, turn)| turn.cadence.due()) else { break };
            let due = turn.cadence.due();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = async { sleep_until(due).await; self.turn(at).await } => {}
            }
        }
        self.port.close();
        self.scribe.commits.finish().await;
    }

    async fn turn(&mut self, at: usize) {
        let turn = &mut self.turns[at];
        let now = Instant::now();
        let missed = turn.cadence.advance(now);
        let station = turn.config.station.clone();
        if 0 < missed {
            self.scribe.counters.poll(&station, "missed", missed);
        }
        if self.scribe.pass(&turn.config).is_none() {
            return self.note(at, "unknown_station", None);
        }
        if !turn.breaker.lets(now) {
            return self.note(at, "breaker_open", None);
        }
        match self.ask(at).await {
            Ok(answers) => self.keep(at, answers).await,
            Err(fault) => self.fail(at, fault).await,
        }
    }

    /// Asks, and once more where what came was damaged: that costs no timeout.
    async fn ask(&mut self, at: usize) -> Result<Vec<Answer>, Fault> {
        let turn = &self.turns[at];
        match self.port.ask(&turn.config, &turn.poll).await {
            Err(Fault::Unread(unread)) if unread.is_noise() => {
                let mut batch = Batch::default();
                self.scribe.refuse(&turn.config, unread, &mut batch);
                self.scribe.commits.keep(batch, || ()).await;
                self.port.ask(&turn.config, &turn.poll).await
            }
            asked => asked,
        }
    }

    async fn keep(&mut self, at: usize, answers: Vec<Answer>) {
        let turn = &mut self.turns[at];
        turn.breaker.answered();
        let (mut batch, mut taken) = (Batch::default(), 0);
        for (line, report) in answers {
            taken += usize::from(self.scribe.take(&turn.config, &line, report, &mut batch));
        }
        let (counters, station) = (self.scribe.counters.clone(), turn.config.station.clone());
        let lines = self.scribe.taken(taken);
        let durable = move || {
            lines();
            counters.poll(&station, "answered", 1);
        };
        let tells = !turn.poll.took.is_empty();
        self.note(at, "answered", None);
        match tells {
            false => self.scribe.commits.keep(batch, durable).await,
            true if self.scribe.commits.kept(batch, durable).await => self.took(at).await,
            true => {}
        }
    }

    async fn took(&mut self, at: usize) {
        let turn = &self.turns[at];
        if let Err(fault) = self.port.took(&turn.config, &turn.poll).await {
            let (line, station) = (&self.config.name, &turn.config.station);
            tracing::warn!(line, %station, %fault, "it was not told, and will say its record again");
            self.port.close();
        }
    }

    async fn fail(&mut self, at: usize, fault: Fault) {
        let turn = &mut self.turns[at];
        let config = &self.config;
        // What is wrong with the line is not held against a logger; one whose line is only not understood is there.
        let answered = matches!(&fault, Fault::Unread(Unread { label: "refused", .. }));
        if answered {
            turn.breaker.answered();
        } else if !fault.is_of_the_line() {
            turn.breaker.silent(Instant::now(), config.late_max, config.back_off_max);
        }
        self.note(at, fault.label(), Some(&fault));
        let Fault::Unread(unread) = fault else { return };
        let turn = &self.turns[at];
        let mut batch = Batch::default();
        self.scribe.refuse(&turn.config, unread, &mut batch);
        // A record that is whole and proved, and that we cannot read, is a letter when it is on disk: the logger may go
        // on, for it would say the same for ever.
        let goes_on = answered && turn.config.profile.check.is_some() && !turn.poll.took.is_empty();
        if self.scribe.commits.kept(batch, || ()).await && goes_on {
            self.took(at).await;
        }
    }

    /// Remembers how the last turn went; says so where it changed.
    fn note(&mut self, at: usize, outcome: &'static str, fault: Option<&Fault>) {
        let turn = &mut self.turns[at];
        let (station, line) = (&turn.config.station, &self.config.name);
        // A whole poll is counted when it is on disk.
        if outcome != "answered" {
            self.scribe.counters.poll(station, outcome, 1);
        }
        if turn.outcome == outcome || outcome == "breaker_open" {
            return;
        }
        match (outcome, turn.outcome) {
            ("answered", "") => tracing::info!(%station, line, "answers"),
            ("answered", before) => tracing::info!(%station, line, before, "answers again"),
            _ => {
                let error = fault.map(|fault| fault as &dyn std::error::Error);
                tracing::warn!(%station, line, outcome, error, "no reading");
            }
        }
        turn.outcome = outcome;
    }
}
