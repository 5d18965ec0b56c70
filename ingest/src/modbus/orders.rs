//! What is written, by command: `saltline station command CODE modbus-write --arg name=gate_opening --arg value=1.2`.
//!
//! Off unless the slave's configuration says `writes = true`; only what the profile names, only inside its range. The
//! command's way through the book is its record: who asked, when, and what became of it. It is accepted before it is
//! written, so a power cut in between leaves it accepted and never writes twice.

use std::collections::HashMap;
use std::time::Duration;

use domain::raw::{Kind, Raw};
use domain::{StationCode, Timestamp};
use registry::{Command, CommandState, Registry, RegistryError};
use serde_json::Value as Json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::profile::Write;
use super::wire::Question;

/// The kind of command that is ours.
pub(super) const KIND: &str = "modbus-write";

/// How often the book is looked at: the engine sends commands each second too.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Commands taken at one look. A person gives a few a day; what is more comes with the next look.
const AT_ONCE: u32 = 64;

/// Writes that may wait for one line.
pub(super) const WAITING_MAX: usize = 16;

/// A write on its way to a line.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) command: Command,
    pub(super) question: Question,
}

/// A slave as orders know it.
pub(super) struct Writable {
    /// What may be written; `None` where the configuration does not allow it.
    pub(super) writes: Option<Vec<Write>>,
    pub(super) line: mpsc::Sender<Order>,
}

/// Looks for orders, and hands them to the lines.
pub(super) struct Orders {
    pub(super) registry: Registry,
    pub(super) slaves: HashMap<StationCode, Writable>,
    pub(super) now: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

impl Orders {
    /// Looks until told to stop. What the book cannot say now is asked again.
    pub(super) async fn run(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => return,
            }
            if let Err(error) = self.look().await {
                metrics::counter!("saltline_registry_read_failed_total").increment(1);
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "a write waits for the registry");
            }
        }
    }

    async fn look(&self) -> Result<(), RegistryError> {
        for command in self.registry.commands_in(CommandState::Sent, None, AT_ONCE).await? {
            let Some(slave) = self.slaves.get(&command.station).filter(|_| command.kind == KIND)
            else {
                continue;
            };
            match self.question(slave, &command) {
                Ok(question) => self.hand_on(slave, command, question).await?,
                Err(why) => finish(&self.registry, &command, Err(why)).await?,
            }
        }
        Ok(())
    }

    async fn hand_on(
        &self,
        slave: &Writable,
        command: Command,
        question: Question,
    ) -> Result<(), RegistryError> {
        // One that finds no room waits where it is.
        let Ok(room) = slave.line.try_reserve() else { return Ok(()) };
        let (station, id) = (&command.station, &command.id);
        let accepted =
            self.registry.move_command(station, id, CommandState::Accepted, "").await?.is_some();
        if accepted {
            room.send(Order { command, question });
        }
        Ok(())
    }

    fn question(&self, slave: &Writable, command: &Command) -> Result<Question, String> {
        let writes = slave.writes.as_ref().ok_or("writing is not allowed: `writes = false`")?;
        if command.expires_at <= (self.now)() {
            return Err("it expired before it was written".to_owned());
        }
        let name = command.args.get("name").and_then(Json::as_str).ok_or("say `name`")?;
        let write = writes.iter().find(|write| write.name == name).ok_or_else(|| {
            let names: Vec<_> = writes.iter().map(|write| write.name.as_str()).collect();
            format!("`{name}` cannot be written; there are {}", names.join(", "))
        })?;
        let value = match command.args.get("value") {
            Some(Json::String(now)) if now == "now" && write.unit == "s since 1970" => {
                #[expect(clippy::cast_precision_loss, reason = "seconds of this century")]
                let seconds = ((self.now)().as_millis() / 1_000) as f64;
                seconds
            }
            Some(value) => value.as_f64().ok_or("`value` is a number")?,
            None => return Err("say `value`".to_owned()),
        };
        question(write, value)
    }
}

/// The question that writes this value.
pub(super) fn question(write: &Write, value: f64) -> Result<Question, String> {
    let (low, high, unit) = (write.low, write.high, &write.unit);
    if !(low..=high).contains(&value) {
        return Err(format!("{value} is not from {low} to {high} {unit}"));
    }
    if write.kind == Kind::Bit {
        return Ok(Question::SetBit(write.register, value != 0.0));
    }
    let raw = (value - write.offset) / write.scale;
    let words = Raw::write(write.kind, write.order, raw);
    let words = words
        .ok_or_else(|| format!("{value} {unit} does not fit into a {}", write.kind.as_str()))?;
    Ok(Question::Set(write.register, words))
}

/// Writes down what became of a command, in the book and for the audit.
pub(super) async fn finish(
    registry: &Registry,
    command: &Command,
    outcome: Result<(), String>,
) -> Result<(), RegistryError> {
    let (state, why) = match outcome {
        Ok(()) => (CommandState::Done, String::new()),
        Err(why) => (CommandState::Failed, why),
    };
    let (station, id, outcome) = (&command.station, &command.id, state.as_str());
    metrics::counter!("saltline_modbus_writes_total", "outcome" => outcome).increment(1);
    tracing::info!(%station, id, by = command.made_by, outcome, why, "modbus write");
    registry.move_command(station, id, state, &why).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modbus::Order as Words;

    #[test]
    fn only_what_lies_in_the_range_is_written() {
        let gate = Write {
            name: "gate_opening".to_owned(),
            register: 100,
            kind: Kind::U16,
            order: Words::Abcd,
            scale: 0.01,
            offset: 0.0,
            unit: "m".to_owned(),
            low: 0.0,
            high: 3.5,
        };
        assert_eq!(question(&gate, 1.2), Ok(Question::Set(100, vec![120])));
        for out in [-0.1, 3.51, f64::NAN, f64::INFINITY] {
            assert!(question(&gate, out).unwrap_err().contains("0 to 3.5 m"), "{out}");
        }
        let narrow = Write { scale: 0.000_01, ..gate.clone() };
        assert!(question(&narrow, 3.0).unwrap_err().contains("does not fit"));
        let coil = Write { kind: Kind::Bit, high: 1.0, ..gate };
        assert_eq!(question(&coil, 1.0), Ok(Question::SetBit(100, true)));
    }
}
