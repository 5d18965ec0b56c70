//! One poll of one device: its questions in turn, within a budget, and what is done about a device that left one
//! unanswered.

use std::sync::Arc;

use tokio::time::Instant;

use crate::line::{Breaker, Cadence};

use super::config::{Config, SlaveConfig};
use super::counters::SlaveCounters;
use super::line::{Fault, Line};
use super::wire::{Block, Question};

/// A device on a line.
pub(super) struct Slave {
    pub(super) config: SlaveConfig,
    pub(super) cadence: Cadence,
    pub(super) counters: SlaveCounters,
    breaker: Breaker,
    plan: Vec<Block>,
    /// The question whose answer may still be under way.
    doubt: Option<Block>,
    outcome: &'static str,
}

/// What one poll brought.
#[derive(Debug, Default)]
pub(super) struct Polled {
    /// The bytes of each block that was answered.
    pub(super) blocks: Vec<(Block, Vec<u8>)>,
    /// Why not all of them were; a device may refuse some and answer others.
    pub(super) fault: Option<Fault>,
}

impl Slave {
    pub(super) fn new(config: SlaveConfig, cadence: Cadence) -> Self {
        Self {
            plan: config.profile.plan(),
            counters: SlaveCounters::new(&config.station),
            config,
            cadence,
            breaker: Breaker::default(),
            doubt: None,
            outcome: "",
        }
    }

    /// May it be asked now?
    pub(super) fn is_let(&self, now: Instant) -> bool {
        self.breaker.lets(now)
    }

    /// Asks all its questions. One that is refused costs only its own registers; after any other fault the rest is left
    /// for the next turn, because it would be asked into doubt.
    pub(super) async fn poll(&mut self, line: &mut Line, config: &Arc<Config>) -> Polled {
        let until = Instant::now() + config.budget;
        let mut polled = Polled::default();
        if let Some(fault) = self.settle(line, config).await {
            polled.fault = Some(fault);
            return polled;
        }
        for block in self.plan.clone() {
            if until <= Instant::now() {
                polled.fault = Some(Fault::Timeout);
                return polled;
            }
            match self.read(line, config, block).await {
                (Some(bytes), None) => polled.blocks.push((block, bytes)),
                (bytes, fault) => {
                    polled.blocks.extend(bytes.map(|bytes| (block, bytes)));
                    let goes_on = matches!(fault, Some(Fault::Exception(_)));
                    polled.fault = fault;
                    if !goes_on {
                        return polled;
                    }
                }
            }
        }
        polled
    }

    /// Reads one block. Where an answer came that was damaged, it is asked for once more; the slave then rests too,
    /// because what was damaged may have been more than one answer.
    async fn read(
        &mut self,
        line: &mut Line,
        config: &Config,
        block: Block,
    ) -> (Option<Vec<u8>>, Option<Fault>) {
        let question = Question::Read(block);
        let fault = match line.ask(self.config.unit, &question).await {
            Ok(bytes) => {
                self.breaker.answered();
                return (Some(bytes), None);
            }
            Err(fault) => fault,
        };
        if let Fault::Exception(_) = fault {
            self.breaker.answered();
            return (None, Some(fault));
        }
        let again = match fault.is_noise() && config.at.is_rtu() {
            true => line.ask(self.config.unit, &question).await.ok(),
            false => None,
        };
        if fault.leaves_doubt() {
            self.doubt = Some(block);
        }
        if again.is_some() {
            self.breaker.answered();
        }
        self.rest(config, &fault);
        (again, Some(fault))
    }

    /// Leaves the slave alone. What is wrong with the line is not held against it: once a port is plugged in again,
    /// everybody on it is asked at the next turn.
    fn rest(&mut self, config: &Config, fault: &Fault) {
        if fault.is_of_the_line() {
            return;
        }
        let first = if config.at.is_rtu() { config.late_max } else { config.answer_within };
        let wait = self.breaker.silent(Instant::now(), first, config.back_off_max);
        let (station, line) = (&self.config.station, &config.name);
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(%station, line, fault = fault.label(), wait_ms, "left alone");
    }

    /// After a doubtful answer: first a question of another form than every one of the plan, so that what is late is
    /// known for what it is. Its answer is not used.
    async fn settle(&mut self, line: &mut Line, config: &Config) -> Option<Fault> {
        let block = self.doubt.filter(|_| config.at.is_rtu())?;
        let Some(other) = another_form(block, &self.plan) else {
            self.doubt = None;
            return None;
        };
        match line.ask(self.config.unit, &Question::Read(other)).await {
            Ok(_) | Err(Fault::Exception(_)) => {
                self.doubt = None;
                None
            }
            Err(fault) => {
                self.rest(config, &fault);
                Some(fault)
            }
        }
    }

    /// Remembers how the last turn went; says so where it changed.
    pub(super) fn note(&mut self, line: &str, outcome: &'static str, fault: Option<&Fault>) {
        // A whole poll is counted when it is on disk.
        if outcome != "answered" {
            self.counters.poll(outcome);
        }
        if self.outcome == outcome || outcome == "breaker_open" {
            return;
        }
        let (station, unit) = (&self.config.station, self.config.unit);
        match (outcome, self.outcome) {
            ("answered", "") => tracing::info!(%station, line, unit, "answers"),
            ("answered", before) => tracing::info!(%station, line, unit, before, "answers again"),
            _ => {
                let error = fault.map(|fault| fault as &dyn std::error::Error);
                tracing::warn!(%station, line, unit, outcome, error, "no reading");
            }
        }
        self.outcome = outcome;
    }
}

/// A shorter question than this one whose answer cannot be taken for any of the plan.
fn another_form(block: Block, plan: &[Block]) -> Option<Block> {
    let shorter = (1..block.count).map(|count| Block { count, ..block });
    shorter.into_iter().find(|one| plan.iter().all(|planned| planned.form() != one.form()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modbus::wire::Function;

    #[test]
    fn a_question_of_another_form_is_found_where_there_is_one() {
        let block = |count| Block { function: Function::Holding, first: 7, count };
        assert_eq!(another_form(block(4), &[block(4)]), Some(block(1)));
        assert_eq!(another_form(block(4), &[block(4), block(1), block(2)]), Some(block(3)));
        assert_eq!(another_form(block(1), &[block(1)]), None);
        assert_eq!(another_form(block(2), &[block(2), block(1)]), None);
        let bits = |count| Block { function: Function::Coils, first: 0, count };
        assert_eq!(another_form(bits(8), &[bits(8)]), None);
        assert_eq!(another_form(bits(9), &[bits(9)]), Some(bits(1)));
    }
}
