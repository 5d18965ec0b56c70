//! The firmware's part of the configuration: whose word counts, how large an image may be, and how fast it goes out.

use ::firmware::{CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, KeyRing, PublicKey, Rates, Terms};

use super::config::Key;
use super::{Layers, SettingsError};

/// The whole of `[firmware]`.
#[derive(Debug, Clone)]
pub struct Firmware {
    /// Public keys of those who may vouch for an image.
    pub keys: KeyRing,
    /// The largest image, bytes.
    pub image_bytes_max: u64,
    /// An image is cut into pieces of so many bytes.
    pub chunk_bytes: u32,
    /// How fast it goes out.
    pub rates: Rates,
    /// What a roll-out asks of its rings, unless it is said.
    pub terms: Terms,
}

pub(super) fn read(layers: &Layers) -> Result<Firmware, SettingsError> {
    let at = |key| Key { layers, key };
    let chunk = at("firmware.chunk");
    let chunk_bytes = chunk.size(u64::from(CHUNK_BYTES_MIN), u64::from(CHUNK_BYTES_MAX))?;
    let percent = at("firmware.healthy_percent").count_to(100)?;
    let intervals = at("firmware.silent_intervals").count_to(1_000)?;
    Ok(Firmware {
        keys: KeyRing::new(keys(&at("firmware.keys"))?),
        image_bytes_max: at("firmware.image_max").size(1 << 10, 64 << 20)?,
        chunk_bytes: u32::try_from(chunk_bytes).unwrap_or(CHUNK_BYTES_MAX),
        rates: Rates {
            station: at("firmware.station_bytes_per_s").size(256, 1 << 30)?,
            in_all: at("firmware.bytes_per_s").size(256, 1 << 40)?,
        },
        terms: Terms {
            soak: at("firmware.soak").duration()?,
            silent_after: at("firmware.silent_after").duration()?,
            silent_intervals: u32::from(intervals),
            healthy_percent: u8::try_from(percent).unwrap_or(100),
        },
    })
}

fn keys(key: &Key<'_>) -> Result<Vec<PublicKey>, SettingsError> {
    let list = key.value().as_array().ok_or_else(|| key.bad("write a list, as [\"9d61…\"]"))?;
    let one = |value: &toml::Value| value.as_str().and_then(|text| text.parse().ok());
    let read = list.iter().map(one).collect::<Option<Vec<PublicKey>>>();
    read.ok_or_else(|| {
        key.bad("a public key is 64 of 0-9 and a-f, as `saltline firmware keygen` prints it")
    })
}
