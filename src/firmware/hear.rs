//! What stations ask for and say of their firmware, in the order in which it came.

use std::time::{Duration, Instant};

use domain::{FirmwareFault, FirmwareState, ModelCode, StationCode};
use ingest::mqtt::Keep;
use ingest::{Said, What};
use registry::{FirmwareSaid, RegistryError};
use serde::Deserialize;
use serde_json::json;
use tokio::runtime::Handle;

use super::{CURSOR, LOOK_EVERY, Round};
use crate::assembly::Fatal;

/// Bytes read at a time: some thousand questions.
const READ_BYTES: usize = 1 << 18;

/// A question stands for so long: a station asks again after half a minute without an answer, and what was asked before
/// a power cut is asked anew.
const ASK_STANDS: Duration = Duration::from_mins(1);

/// `firmware/ask`.
#[derive(Deserialize)]
struct Ask {
    sha256: String,
    from: u32,
    count: u32,
}

/// `firmware/report`. More fields may come; they are not ours.
#[derive(Deserialize)]
struct Report {
    state: String,
    model: Option<String>,
    version: Option<String>,
    sha256: Option<String>,
    have: Option<u32>,
    of: Option<u32>,
    why: Option<String>,
}

impl Round {
    /// Hears everything that was said since.
    pub(super) fn hear(&mut self, runtime: &Handle) -> Result<Result<(), RegistryError>, Fatal> {
        let said = self.desk.said.clone();
        loop {
            let records = said.read(self.next.max(said.oldest()), READ_BYTES)?;
            if records.is_empty() {
                break;
            }
            for (position, bytes) in records {
                if let Some(said) = Said::decode(&bytes)
                    && let Err(error) = self.heed(runtime, &said, position)
                {
                    return Ok(Err(error));
                }
                self.next = position + 1;
            }
        }
        if self.cursor_at.is_none_or(|at| LOOK_EVERY <= at.elapsed()) {
            self.remember()?;
        }
        Ok(Ok(()))
    }

    /// Writes down what was heard. Hearing it twice changes nothing, so that once a second is enough.
    pub(super) fn remember(&mut self) -> Result<(), Fatal> {
        if self.desk.said.cursor(CURSOR) != Some(self.next) {
            self.desk.said.set_cursor(CURSOR, self.next)?;
        }
        self.cursor_at = Some(Instant::now());
        Ok(())
    }

    /// What cannot be meant is counted and left; what the registry cannot take now is an error, and comes again.
    fn heed(&mut self, runtime: &Handle, said: &Said, position: u64) -> Result<(), RegistryError> {
        match said.what {
            What::Ask => self.ask(said),
            What::Firmware => return runtime.block_on(self.reported(said, position)),
            What::Receipt | What::Reported | What::State => {}
        }
        Ok(())
    }

    fn ask(&mut self, said: &Said) {
        let now = self.desk.clock.now();
        if ASK_STANDS < now.since(said.received_at) {
            asked("stale");
            return;
        }
        let ask = serde_json::from_slice::<Ask>(&said.payload).ok();
        let read = ask.and_then(|ask| Some((ask.sha256.parse().ok()?, ask.from, ask.count)));
        let Some(wanted) = read else {
            self.refuse(&said.station, "malformed");
            return;
        };
        let release = self.offers.get(&said.station).map(|offer| offer.image.release.clone());
        let offered = release.map(|release| (release.digest, self.chunks(&release)));
        match self.serving.ask(&said.station, wanted, offered) {
            Ok(()) => asked("taken"),
            Err(refused) => self.refuse(&said.station, refused.as_str()),
        }
    }

    /// Says no, at most once in a second.
    fn refuse(&mut self, station: &StationCode, reason: &'static str) {
        asked(reason);
        let now = self.desk.clock.now();
        if self.refused.get(station).is_some_and(|at| now.since(*at) < LOOK_EVERY) {
            return;
        }
        tracing::warn!(%station, reason, "a station may not have the chunks it asks for");
        self.refused.insert(station.clone(), now);
        let body = json!({ "reason": reason }).to_string();
        self.publish(station, "refused", body.as_bytes(), Keep::Fleeting);
    }

    async fn reported(&self, said: &Said, position: u64) -> Result<(), RegistryError> {
        let station = &said.station;
        let Some(heard) = read(said, position) else {
            metrics::counter!("saltline_said_unheard_total", "reason" => "malformed").increment(1);
            tracing::warn!(%station, reason = "malformed", "what a station said moves nothing");
            return Ok(());
        };
        let state = heard.state.as_str();
        match self.desk.registry.firmware_said(station, &heard).await {
            Ok(news) => {
                metrics::counter!("saltline_firmware_reports_total", "state" => state).increment(1);
                if let Some(fault) = heard.fault {
                    let why = fault.as_str();
                    metrics::counter!("saltline_firmware_faults_total", "why" => why).increment(1);
                    tracing::warn!(%station, why, "a station will not run a firmware");
                }
                if news && heard.state != FirmwareState::Downloading {
                    let version = heard.version.map(|version| version.to_string());
                    tracing::info!(%station, state, version, "firmware");
                }
                Ok(())
            }
            Err(error @ (RegistryError::Busy | RegistryError::Store(_))) => Err(error),
            Err(error) => {
                let reason = "not_in_the_book";
                metrics::counter!("saltline_said_unheard_total", "reason" => reason).increment(1);
                tracing::warn!(%station, %error, "what a station said has no place");
                Ok(())
            }
        }
    }
}

/// What a station says, as far as it can be meant.
fn read(said: &Said, position: u64) -> Option<FirmwareSaid> {
    let report: Report = serde_json::from_slice(&said.payload).ok()?;
    let state = FirmwareState::parse(&report.state)?;
    let read = |text: &Option<String>| text.as_deref().map(str::parse).transpose();
    let fault = (state == FirmwareState::Failed)
        .then(|| FirmwareFault::parse(report.why.as_deref().unwrap_or_default()));
    Some(FirmwareSaid {
        model: report.model.as_deref().map(ModelCode::new).transpose().ok()?,
        version: read(&report.version).ok()?,
        digest: report.sha256.as_deref().map(str::parse).transpose().ok()?,
        state,
        progress: report.have.zip(report.of),
        fault,
        at: said.received_at,
        position,
    })
}

fn asked(outcome: &'static str) {
    metrics::counter!("saltline_firmware_asks_total", "outcome" => outcome).increment(1);
}
