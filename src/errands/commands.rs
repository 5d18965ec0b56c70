//! Commands and configuration on their way out.

use domain::{StationCode, Timestamp};
use ingest::mqtt::Keep;
use registry::{Command, CommandState, RegistryError};
use serde_json::{Value, json};

use super::Round;

/// Commands sent at one look: every station of a province one.
const SEND_AT_ONCE: u32 = 2_000;

impl Round {
    /// Publishes what was made. First the message, then the mark: a power cut in between sends twice what has one id,
    /// and a station does one id once.
    pub(super) async fn send_commands(&self) -> Result<(), RegistryError> {
        let registry = &self.errands.registry;
        for command in registry.commands_in(CommandState::Made, None, SEND_AT_ONCE).await? {
            self.send(&command);
            registry.move_command(&command.station, &command.id, CommandState::Sent, "").await?;
            count(&command.kind, CommandState::Sent);
        }
        Ok(())
    }

    /// Sends again what a station may not have got: it has just said that it is there.
    pub(super) async fn send_again(&self, station: &StationCode) -> Result<(), RegistryError> {
        let now = self.errands.clock.now();
        let registry = &self.errands.registry;
        let open =
            registry.commands_in(CommandState::Sent, Some(station), registry::COMMANDS_OPEN_MAX);
        open.await?.iter().filter(|command| now < command.expires_at).for_each(|c| self.send(c));
        Ok(())
    }

    fn send(&self, command: &Command) {
        self.publish(&command.station, "command", &message(command), Keep::Passing);
        tracing::info!(
            station = %command.station, id = command.id, kind = command.kind, by = command.made_by,
            "command sent"
        );
    }

    /// Gives up what expired without a receipt.
    pub(super) async fn give_up_commands(&self, now: Timestamp) -> Result<(), RegistryError> {
        for command in self.errands.registry.give_up_commands(now).await? {
            count(&command.kind, CommandState::Late);
            let (id, kind) = (&command.id, &command.kind);
            tracing::warn!(station = %command.station, id, kind, "command is late: no receipt");
        }
        Ok(())
    }

    /// Publishes the configurations that changed, retained; all of them after a start.
    pub(super) async fn publish_configs(&mut self) -> Result<(), RegistryError> {
        let version = self.errands.registry.version().await?;
        if self.configs_at == Some(version) {
            return Ok(());
        }
        let mut differ = 0;
        for config in self.errands.registry.station_configs().await? {
            differ += u32::from(config.in_sync() == Some(false));
            let Some(desired) = config.desired else { continue };
            if self.published.get(&config.station) == Some(&desired.hash) {
                continue;
            }
            let body = json!({ "hash": desired.hash, "config": desired.config });
            self.publish(&config.station, "config/desired", &body, Keep::Retained);
            self.published.insert(config.station, desired.hash);
        }
        metrics::gauge!("saltline_configs_differ").set(f64::from(differ));
        self.configs_at = Some(version);
        Ok(())
    }
}

/// The command as the station reads it: its own names beside its arguments.
fn message(command: &Command) -> Value {
    let mut body = command.args.clone();
    body.insert("id".to_owned(), json!(command.id));
    body.insert("kind".to_owned(), json!(command.kind));
    body.insert("expires".to_owned(), json!(command.expires_at.to_string()));
    Value::Object(body)
}

/// Kinds are what people type: only those of the engine's own are a label.
pub(super) fn count(kind: &str, state: CommandState) {
    let kind = if kind == super::RESEND { "resend" } else { "other" };
    metrics::counter!("saltline_commands_total", "kind" => kind, "state" => state.as_str())
        .increment(1);
}
