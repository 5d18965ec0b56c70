//! What stations said, in the order in which it came: receipts move commands on, reported configuration is compared,
//! and who says that it is there gets what it may have missed.

use domain::StationCode;
use ingest::{Receipt, Reported, Said, What, says_offline};
use registry::{CommandState, RegistryError};
use serde_json::Value;
use tokio::runtime::Handle;

use super::commands::count;
use super::{CURSOR, RESEND, Round, prune};
use crate::assembly::Fatal;

/// Bytes read at a time: some thousand receipts.
const READ_BYTES: usize = 1 << 18;

impl Round {
    /// Hears everything that was said since; the cursor goes past what was heard.
    pub(super) fn hear(&mut self, runtime: &Handle) -> Result<Result<(), RegistryError>, Fatal> {
        let before = self.next;
        let mut went = Ok(());
        let said = self.errands.said.clone();
        'all: loop {
            let records = said.read(self.next.max(said.oldest()), READ_BYTES)?;
            if records.is_empty() {
                break;
            }
            for (position, bytes) in records {
                match Said::decode(&bytes) {
                    Some(said) => went = runtime.block_on(self.heed(&said)),
                    None => unheard("unknown_kind", None),
                }
                if went.is_err() {
                    break 'all;
                }
                self.next = position + 1;
            }
        }
        if before != self.next {
            said.set_cursor(CURSOR, self.next)?;
            prune(&said)?;
        }
        Ok(went)
    }

    /// What cannot be meant is counted and left; what the registry cannot take now is an error, and comes again.
    async fn heed(&self, said: &Said) -> Result<(), RegistryError> {
        let heeded = match said.what {
            What::Receipt => self.receipt(said).await,
            What::Reported => self.reported(said).await,
            What::State if says_offline(&said.payload) => Ok(()),
            What::State => self.send_again(&said.station).await,
            // Heard by the part that has the images.
            What::Ask | What::Firmware => Ok(()),
        };
        match heeded {
            Err(error @ (RegistryError::Busy | RegistryError::Store(_))) => Err(error),
            Err(error) => {
                unheard("not_in_the_book", Some(&said.station));
                tracing::warn!(station = %said.station, %error, "what a station said has no place");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    async fn receipt(&self, said: &Said) -> Result<(), RegistryError> {
        let station = &said.station;
        let Some(receipt) = Receipt::decode(&said.payload) else {
            unheard("malformed", Some(station));
            return Ok(());
        };
        let state = CommandState::parse(&receipt.state).filter(|state| {
            matches!(state, CommandState::Accepted | CommandState::Done | CommandState::Failed)
        });
        let Some(state) = state else {
            unheard("unknown_state", Some(station));
            return Ok(());
        };
        let registry = self.errands.registry.by(station.as_str());
        let moved = registry.move_command(station, &receipt.id, state, &receipt.why).await?;
        let Some(command) = moved else {
            // A receipt that came twice, was overtaken, or is for nothing that we asked.
            unheard("nothing_to_move", Some(station));
            return Ok(());
        };
        count(&command.kind, state);
        tracing::info!(%station, id = command.id, state = state.as_str(), why = command.why, "receipt");
        if command.kind == RESEND && state != CommandState::Accepted {
            let number = |name: &str| command.args.get(name).and_then(Value::as_u64);
            if let (Some(from), Some(to)) = (number("from_seq"), number("to_seq")) {
                self.seqs().answered(station, from, to);
            }
        }
        Ok(())
    }

    async fn reported(&self, said: &Said) -> Result<(), RegistryError> {
        let station = &said.station;
        let Some(Reported { hash, config }) = Reported::decode(&said.payload) else {
            unheard("malformed", Some(station));
            return Ok(());
        };
        let registry = self.errands.registry.by(station.as_str());
        let now = registry.reported(station, &config, hash.as_deref(), said.received_at).await?;
        tracing::info!(%station, in_sync = ?now.in_sync(), "configuration reported");
        Ok(())
    }
}

fn unheard(reason: &'static str, station: Option<&StationCode>) {
    metrics::counter!("saltline_said_unheard_total", "reason" => reason).increment(1);
    let station = station.map(StationCode::as_str);
    tracing::warn!(station, reason, "what a station said moves nothing");
}
