//! The station's side of a firmware update: an offer is judged before a byte of it is fetched, chunks are asked for a
//! few at a time and written down as they come, so that a power cut costs one of them; the image is proved once more as
//! a whole; and only when the engine has it on disk that the station installs, it installs. Signature, digest and frame
//! are read here from `docs/wire.md` and nothing else.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::Timestamp;
use ring::digest::{SHA256, digest};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Chunks asked for at once: 32 KiB of memory at the usual size.
const WINDOW: u32 = 8;

/// Downloads that end in another digest before the station gives up.
const TRIES: u32 = 3;

/// How often it says how far it is, and how long it waits for a chunk before it asks again.
const PATIENCE: Duration = Duration::from_secs(30);

/// What stations know of firmware when they are put up.
#[derive(Debug, Clone)]
pub struct Firmware {
    /// The public keys they believe, as 64 hex letters.
    pub keys: Vec<String>,
    /// Where each keeps its version and the part of an image that it has.
    pub dir: PathBuf,
    /// What hardware they are.
    pub model: String,
    /// What runs in a new one.
    pub version: String,
    /// The largest image that they have room for, bytes.
    pub room: u64,
    /// Stations that never speak again after an install.
    pub bricks: Vec<String>,
}

/// An offer of `docs/wire.md`.
#[derive(Debug, Clone, Deserialize)]
struct Offer {
    model: String,
    version: String,
    size: u64,
    sha256: String,
    chunk: u32,
    chunks: u32,
    key: String,
    signature: String,
}

/// What survives a power cut, beside the part of the image.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Memory {
    version: String,
    #[serde(default)]
    bricked: bool,
    /// An image that will not run here, and why.
    #[serde(default)]
    refused: Option<(String, String)>,
    /// Downloads of one image that ended in another digest.
    #[serde(default)]
    spoiled: u32,
}

/// What is to be said, on which topic below the station's own.
pub type Word = (&'static str, Value);

/// Where the word of reports goes.
pub const REPORT: &str = "firmware/report";
/// Where questions go.
pub const ASK: &str = "firmware/ask";

/// What a station does next with an image that is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing is offered, or all is said.
    Idle,
    /// Chunks come in.
    Loading,
    /// It said that it is proved, and waits for that to be safe.
    Proved,
    /// It said that it is installed, and waits for that to be safe.
    Installed,
}

/// The updates of one station.
#[derive(Debug)]
pub struct Updater {
    code: String,
    firmware: Firmware,
    memory: Memory,
    offer: Option<Offer>,
    phase: Phase,
    /// Bytes of the image that are written down.
    have: u64,
    /// The last chunk asked for, and when anything happened last.
    asked: Option<(u32, Timestamp)>,
    told_at: Option<Timestamp>,
}

impl Updater {
    /// Remembers what the station knew before it was switched off.
    #[must_use]
    pub fn new(code: &str, firmware: Firmware) -> Self {
        let fresh =
            Memory { version: firmware.version.clone(), bricked: false, refused: None, spoiled: 0 };
        let kept = std::fs::read(firmware.dir.join(format!("{code}.json"))).ok();
        let memory = kept.and_then(|kept| serde_json::from_slice(&kept).ok()).unwrap_or(fresh);
        Self {
            code: code.to_owned(),
            firmware,
            memory,
            offer: None,
            phase: Phase::Idle,
            have: 0,
            asked: None,
            told_at: None,
        }
    }

    /// Will it never speak again?
    #[must_use]
    pub fn is_bricked(&self) -> bool {
        self.memory.bricked
    }

    /// What it says at each connection. What was asked for on the last one is asked for again.
    pub fn hello(&mut self) -> Word {
        self.asked = None;
        self.says_what_runs()
    }

    fn says_what_runs(&self) -> Word {
        let (model, version) = (&self.firmware.model, &self.memory.version);
        (REPORT, json!({ "state": "running", "model": model, "version": version }))
    }

    /// Takes a message from the engine; gives back what is to be said.
    pub fn heed(&mut self, below: &str, payload: &[u8], now: Timestamp) -> Vec<Word> {
        match below {
            "firmware/offer" if payload.is_empty() => self.withdrawn(),
            "firmware/offer" => return self.offered(payload, now),
            "firmware/chunk" => return self.chunk(payload, now),
            "firmware/refused" if says(payload, "not_offered") => self.withdrawn(),
            _ => {}
        }
        Vec::new()
    }

    /// What is to be said now unasked. `safe` is whether all reports are with the engine, `patience` how long the
    /// station waits for a chunk.
    pub fn tick(&mut self, now: Timestamp, safe: bool, patience: Duration) -> Vec<Word> {
        match self.phase {
            Phase::Loading => self.ask(now, patience.max(PATIENCE)).into_iter().collect(),
            Phase::Proved if safe => {
                self.phase = Phase::Installed;
                self.offer.iter().map(|offer| self.state("installed", offer)).collect()
            }
            Phase::Idle | Phase::Proved | Phase::Installed => Vec::new(),
        }
    }

    /// Starts into the new version, when the engine knows that it will: then it has to say hello, or is bricked.
    pub fn restarts(&mut self, safe: bool) -> bool {
        if self.phase != Phase::Installed || !safe {
            return false;
        }
        if let Some(offer) = self.offer.take() {
            self.memory.version = offer.version;
        }
        self.memory.bricked = self.firmware.bricks.contains(&self.code);
        self.phase = Phase::Idle;
        self.forget_part();
        self.remember();
        true
    }

    fn withdrawn(&mut self) {
        if matches!(self.phase, Phase::Loading | Phase::Idle) {
            (self.offer, self.phase, self.asked) = (None, Phase::Idle, None);
        }
    }

    fn offered(&mut self, payload: &[u8], now: Timestamp) -> Vec<Word> {
        let Ok(offer) = serde_json::from_slice::<Offer>(payload) else { return Vec::new() };
        if matches!(self.phase, Phase::Proved | Phase::Installed)
            || self.offer.as_ref().is_some_and(|held| held.sha256 == offer.sha256)
        {
            return Vec::new();
        }
        if offer.model == self.firmware.model && offer.version == self.memory.version {
            return vec![self.says_what_runs()];
        }
        if let Some(why) = self.objection(&offer) {
            return vec![self.fail(&offer, &why)];
        }
        self.have = self.kept_of(&offer);
        self.memory.spoiled = 0;
        (self.phase, self.asked, self.told_at) = (Phase::Loading, None, Some(now));
        let word = self.state("downloading", &offer);
        self.offer = Some(offer);
        vec![word]
    }

    /// Why an offer is not even fetched.
    fn objection(&self, offer: &Offer) -> Option<String> {
        if let Some((digest, why)) = &self.memory.refused
            && *digest == offer.sha256
        {
            return Some(why.clone());
        }
        let why = match self.vouched(offer) {
            Err(why) => why,
            Ok(()) if offer.model != self.firmware.model => "wrong_model",
            Ok(()) if numbers(&offer.version) <= numbers(&self.memory.version) => "downgrade",
            Ok(()) if self.firmware.room < offer.size => "too_large",
            Ok(()) => return None,
        };
        Some(why.to_owned())
    }

    /// Is it signed with a key that the station believes?
    fn vouched(&self, offer: &Offer) -> Result<(), &'static str> {
        let id = |key: &[u8]| hex(digest(&SHA256, key).as_ref())[..16].to_owned();
        let keys = self.firmware.keys.iter().filter_map(|key| unhex(key));
        let key = keys.into_iter().find(|key| id(key) == offer.key).ok_or("unknown_key")?;
        let Offer { model, version, size, sha256, .. } = offer;
        let signed = format!(
            "saltline-firmware-1\nmodel: {model}\nversion: {version}\nsize: {size}\nsha256: {sha256}\n"
        );
        let signature = unhex(&offer.signature).ok_or("bad_signature")?;
        let public = UnparsedPublicKey::new(&ED25519, key);
        public.verify(signed.as_bytes(), &signature).map_err(|_| "bad_signature")
    }

    /// A chunk that is the next one, whole and undamaged; any other is asked for again.
    fn chunk(&mut self, frame: &[u8], now: Timestamp) -> Vec<Word> {
        let Some(offer) = self.offer.clone().filter(|_| self.phase == Phase::Loading) else {
            return Vec::new();
        };
        let Some((head, bytes)) = frame.split_at_checked(16) else { return Vec::new() };
        let number =
            |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let next = self.have / u64::from(offer.chunk.max(1));
        let wanted = u64::from(offer.chunk).min(offer.size.saturating_sub(self.have));
        let fits = offer.sha256.starts_with(&hex(&head[..8]))
            && u64::from(number(8)) == next
            && bytes.len() as u64 == wanted
            && number(12) == crc32fast::hash(bytes);
        if !fits || self.write(&offer, bytes).is_err() {
            return Vec::new();
        }
        self.have += wanted;
        self.asked = self.asked.map(|(last, _)| (last, now));
        if offer.size <= self.have {
            return self.whole(&offer);
        }
        match self.told_at {
            Some(told) if now.since(told) < PATIENCE => Vec::new(),
            _ => {
                self.told_at = Some(now);
                vec![self.state("downloading", &offer)]
            }
        }
    }

    /// All of it is there: is it what was signed?
    fn whole(&mut self, offer: &Offer) -> Vec<Word> {
        let image = std::fs::read(self.part()).unwrap_or_default();
        let image = image.get(32..).unwrap_or_default();
        if hex(digest(&SHA256, image).as_ref()) == offer.sha256 {
            self.phase = Phase::Proved;
            return vec![self.state("verified", offer)];
        }
        self.forget_part();
        (self.have, self.asked) = (0, None);
        self.memory.spoiled += 1;
        if self.memory.spoiled < TRIES {
            return Vec::new();
        }
        vec![self.fail(offer, "bad_digest")]
    }

    fn fail(&mut self, offer: &Offer, why: &str) -> Word {
        tracing::warn!(station = self.code, why, "this firmware will not run here");
        self.memory.refused = Some((offer.sha256.clone(), why.to_owned()));
        (self.offer, self.phase) = (None, Phase::Idle);
        self.remember();
        let (_, mut body) = self.state("failed", offer);
        body["why"] = json!(why);
        (REPORT, body)
    }

    fn state(&self, state: &str, offer: &Offer) -> Word {
        let have = (self.have.div_ceil(u64::from(offer.chunk.max(1)))).min(offer.chunks.into());
        let body = json!({
            "state": state, "model": self.firmware.model, "sha256": offer.sha256,
            "have": have, "of": offer.chunks,
        });
        (REPORT, body)
    }

    /// The next question, where the last one is answered or was lost.
    fn ask(&mut self, now: Timestamp, patience: Duration) -> Option<Word> {
        let offer = self.offer.as_ref()?;
        let next = u32::try_from(self.have / u64::from(offer.chunk.max(1))).ok()?;
        let waits = |(last, at): (u32, Timestamp)| next <= last && now.since(at) < patience;
        if self.asked.is_some_and(waits) || offer.chunks <= next {
            return None;
        }
        let count = WINDOW.min(offer.chunks - next);
        let body = json!({ "sha256": offer.sha256, "from": next, "count": count });
        self.asked = Some((next + count - 1, now));
        Some((ASK, body))
    }

    fn part(&self) -> PathBuf {
        self.firmware.dir.join(format!("{}.part", self.code))
    }

    /// Whole chunks of this image that are there from before.
    fn kept_of(&self, offer: &Offer) -> u64 {
        let kept = std::fs::read(self.part()).unwrap_or_default();
        let (Some(head), Some(chunk)) = (kept.get(..32), std::num::NonZeroU32::new(offer.chunk))
        else {
            return 0;
        };
        let bytes = (kept.len() as u64 - 32).min(offer.size);
        let whole = bytes - bytes % u64::from(chunk.get());
        if hex(head) == offer.sha256 { whole } else { 0 }
    }

    /// Writes a chunk behind those that are there: what a cut left half written is cut off first.
    fn write(&self, offer: &Offer, bytes: &[u8]) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.firmware.dir)?;
        let mut options = std::fs::OpenOptions::new();
        let mut file =
            options.create(true).truncate(false).read(true).write(true).open(self.part())?;
        if self.have == 0 {
            file.set_len(0)?;
            file.write_all(&unhex(&offer.sha256).unwrap_or_default())?;
        }
        file.set_len(32 + self.have)?;
        std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0))?;
        file.write_all(bytes)
    }

    fn forget_part(&self) {
        if let Err(error) = std::fs::remove_file(self.part())
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(station = self.code, %error, "the part of an image stays");
        }
    }

    fn remember(&self) {
        let written = std::fs::create_dir_all(&self.firmware.dir).and_then(|()| {
            let text = serde_json::to_vec(&self.memory)?;
            replace(&self.firmware.dir.join(format!("{}.json", self.code)), &text)
        });
        if let Err(error) = written {
            tracing::error!(station = self.code, %error, "a station cannot remember its firmware");
        }
    }
}

/// Whole or not at all.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    std::fs::write(&beside, bytes)?;
    std::fs::rename(beside, path)
}

fn says(payload: &[u8], reason: &str) -> bool {
    let said: Option<Value> = serde_json::from_slice(payload).ok();
    said.is_some_and(|said| said["reason"] == reason)
}

/// Three numbers; what is none is older than all.
fn numbers(version: &str) -> Vec<u32> {
    version.split('.').map_while(|part| part.parse().ok()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(byte).collect()
}

#[cfg(test)]
mod tests;
