//! Firmware on its way to stations: who is offered an image, which chunk goes out next, and what stations say of it.
//! What is decided is decided by the room `firmware`, over facts that stand in the registry and in history; what is
//! done is found by looking, so that the path after a power cut is the path of every second.

mod images; // bytes on disk
mod hear; // what stations ask and say
mod steps; // what a roll-out wants next

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::firmware::{Chunks, Rates, Serving, Turn};
use domain::{Clock, Digest, Release, StationCode, Timestamp};
use history::History;
use ingest::mqtt::{Keep, Publisher};
use journal::Journal;
use registry::{Image, Registry, RegistryError};
use serde_json::json;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

pub use images::{ImageError, Images, Open, hex, unhex};

use crate::assembly::Fatal;

/// How often the registry is looked at, and every roll-out is judged.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often it is looked whose turn is next, while anybody waits for a chunk: a fiftieth of the second that a chunk
/// takes at the usual pace.
const SERVE_EVERY: Duration = Duration::from_millis(20);

/// How often what is over and old is forgotten.
const FORGET_EVERY: Duration = Duration::from_hours(1);

/// Roll-outs that are over are listed for so long; the audit keeps them for ever.
const ROLLOUTS_KEPT: Duration = Duration::from_hours(2 * 365 * 24);

/// The cursor's name in the journal of what stations said.
const CURSOR: &str = "firmware";

/// Brings firmware to stations, on a thread of its own.
pub struct FirmwareDesk {
    /// Images, roll-outs, and what stations run.
    pub registry: Registry,
    /// What stations say.
    pub said: Journal,
    /// When they were heard.
    pub history: History,
    /// Where offers and chunks go out.
    pub publisher: Publisher,
    /// The bytes.
    pub images: Images,
    /// How large a piece is.
    pub chunk_bytes: u32,
    /// How fast they go out.
    pub rates: Rates,
    /// After a start nobody is silent for so long.
    pub start_grace: Duration,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// An offer that stands.
struct Offered {
    rollout: String,
    image: Image,
}

/// The desk while it works.
struct Round {
    desk: FirmwareDesk,
    /// The first thing said that was not heard.
    next: u64,
    cursor_at: Option<Instant>,
    /// Before this nobody was listened to.
    awake_since: Timestamp,
    serving: Serving,
    offers: HashMap<StationCode, Arc<Offered>>,
    /// What was published, so that it is published once.
    published: HashMap<StationCode, Digest>,
    open: HashMap<Digest, Open>,
    /// When a station was refused last: a mad one is answered once in a second.
    refused: HashMap<StationCode, Timestamp>,
    /// The usual intervals, and the version of the registry that they are from.
    intervals: (Option<u64>, HashMap<StationCode, Duration>),
    forgot: Option<Instant>,
}

impl FirmwareDesk {
    /// Works until told to stop. What the registry cannot take now is tried again.
    ///
    /// # Errors
    /// [`Fatal`] where the journal of what was said does not serve.
    pub fn run(self, runtime: &Handle, stop: &CancellationToken) -> Result<(), Fatal> {
        let mut heard = self.said.watch();
        let next = self.said.cursor(CURSOR).unwrap_or(0).max(self.said.oldest());
        let mut round = Round {
            next,
            cursor_at: None,
            awake_since: self.clock.now() + self.start_grace,
            serving: Serving::new(self.rates),
            offers: HashMap::new(),
            published: HashMap::new(),
            open: HashMap::new(),
            refused: HashMap::new(),
            intervals: (None, HashMap::new()),
            forgot: None,
            desk: self,
        };
        let mut looked: Option<Instant> = None;
        while !stop.is_cancelled() {
            heard.borrow_and_update();
            let mut went = Ok(());
            if looked.is_none_or(|at| LOOK_EVERY <= at.elapsed()) {
                looked = Some(Instant::now());
                went = runtime.block_on(round.look());
            }
            // Offers stand before the questions about them are heard, also after a start.
            went = went.and(round.hear(runtime)?);
            round.serve();
            if let Err(error) = went {
                metrics::counter!("saltline_registry_read_failed_total").increment(1);
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "firmware waits for the registry");
            }
            let pause = if round.serving.waiting() == 0 { LOOK_EVERY } else { SERVE_EVERY };
            runtime.block_on(async {
                tokio::select! {
                    _ = heard.changed() => {}
                    () = tokio::time::sleep(pause) => {}
                    () = stop.cancelled() => {}
                }
            });
        }
        round.remember()
    }
}

impl Round {
    /// Everything that the registry may want.
    async fn look(&mut self) -> Result<(), RegistryError> {
        let now = self.desk.clock.now();
        self.go_on(now).await?;
        self.publish_offers();
        let offers = &self.offers;
        let stands = |station: &StationCode, digest: &Digest| {
            offers.get(station).is_some_and(|offer| offer.image.release.digest == *digest)
        };
        self.serving.keep(now, stands);
        self.refused.retain(|_, at| now.since(*at) < LOOK_EVERY);
        metrics::gauge!("saltline_firmware_offers").set(self.offers.len() as f64);
        metrics::gauge!("saltline_firmware_waiting").set(self.serving.waiting() as f64);
        if self.forgot.is_none_or(|at| FORGET_EVERY <= at.elapsed()) {
            self.desk.registry.forget_rollouts(now - ROLLOUTS_KEPT).await?;
            self.forgot = Some(Instant::now());
        }
        Ok(())
    }

    /// Says what changed: an offer to whom it is new, and nothing where there was one.
    fn publish_offers(&mut self) {
        let gone: Vec<StationCode> = self
            .published
            .keys()
            .filter(|code| !self.offers.contains_key(*code))
            .cloned()
            .collect();
        for station in gone {
            self.published.remove(&station);
            self.publish(&station, "offer", b"", Keep::Retained);
            tracing::info!(%station, "firmware is no longer offered");
        }
        let offers: Vec<_> =
            self.offers.iter().map(|(code, offer)| (code.clone(), Arc::clone(offer))).collect();
        for (station, offer) in offers {
            let digest = offer.image.release.digest;
            if self.published.get(&station) == Some(&digest) {
                continue;
            }
            let manifest = self.manifest(&offer).to_string();
            self.publish(&station, "offer", manifest.as_bytes(), Keep::Retained);
            let (rollout, version) = (&offer.rollout, offer.image.release.version);
            tracing::info!(%station, rollout, %version, "firmware offered");
            self.published.insert(station, digest);
        }
    }

    fn manifest(&self, offer: &Offered) -> serde_json::Value {
        let Image { release, key, signature, .. } = &offer.image;
        json!({
            "rollout": offer.rollout,
            "model": release.model.as_str(),
            "version": release.version.to_string(),
            "size": release.size,
            "sha256": release.digest.to_string(),
            "chunk": self.desk.chunk_bytes,
            "chunks": self.chunks(release).count(),
            "key": key,
            "signature": signature,
        })
    }

    fn chunks(&self, release: &Release) -> Chunks {
        Chunks::new(release.size, self.desk.chunk_bytes)
    }

    /// Sends the chunks whose turn it is.
    fn serve(&mut self) {
        for Turn { station, digest, number } in self.serving.due(self.desk.clock.now()) {
            let Some(offer) = self.offers.get(&station) else { continue };
            let chunks = self.chunks(&offer.image.release);
            let read = self.open.get(&digest).map(|open| open.chunk(chunks, number));
            match read {
                Some(Ok(Some(frame))) => {
                    metrics::counter!("saltline_firmware_chunks_total").increment(1);
                    metrics::counter!("saltline_firmware_bytes_total")
                        .increment(frame.len() as u64);
                    self.publish(&station, "chunk", &frame, Keep::Fleeting);
                }
                Some(Err(error)) => {
                    // It is proved anew at the next look, and the roll-out halted where it is damaged.
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(%station, error, "a firmware image cannot be read");
                    self.open.remove(&digest);
                }
                Some(Ok(None)) | None => {}
            }
        }
    }

    fn publish(&self, station: &StationCode, below: &str, payload: &[u8], keep: Keep) {
        let topic = format!("stations/{station}/firmware/{below}");
        self.desk.publisher.publish(&topic, payload, keep);
    }
}
