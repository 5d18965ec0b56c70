//! What a station's own words mean, of those that are acted upon: a receipt, a reported configuration, a state. More
//! fields may come with each; they are not ours.

use serde::Deserialize;
use serde_json::{Map, Value};

/// The longest hash of a configuration that is believed to be one: SHA-256 in hexadecimal.
const HASH_BYTES_MAX: usize = 64;

/// What became of a command, as a station writes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Receipt {
    /// The command's name.
    pub id: String,
    /// How far it has come.
    pub state: String,
    /// Why, where it could not be done.
    #[serde(default)]
    pub why: String,
}

impl Receipt {
    /// Reads a receipt; `None` where the bytes are none.
    #[must_use]
    pub fn decode(payload: &[u8]) -> Option<Self> {
        serde_json::from_slice(payload).ok()
    }
}

/// A reported configuration: with the hash that the station was told, or alone.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Reported {
    /// The hash, where it may be one.
    pub hash: Option<String>,
    /// What is in use.
    pub config: Map<String, Value>,
}

impl Reported {
    /// Reads a reported configuration; `None` where the bytes are none.
    #[must_use]
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let whole = serde_json::from_slice::<Self>(payload).ok();
        let alone = || serde_json::from_slice(payload).ok();
        let told = whole.or_else(|| alone().map(|config| Self { hash: None, config }))?;
        let hash = told.hash.filter(|hash| (1..=HASH_BYTES_MAX).contains(&hash.len()));
        Some(Self { hash, ..told })
    }
}

/// `offline`, or JSON that says so.
#[must_use]
pub fn says_offline(payload: &[u8]) -> bool {
    let text = String::from_utf8_lossy(payload);
    match serde_json::from_str::<Value>(&text) {
        Ok(said) => said.get("state").unwrap_or(&said) == "offline",
        Err(_) => text.trim() == "offline",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_may_say_more_and_must_say_which_command_and_how_far() {
        let receipt = Receipt::decode(br#"{"id": "a", "state": "done", "took_s": 4}"#).unwrap();
        assert_eq!((&*receipt.id, &*receipt.state, &*receipt.why), ("a", "done", ""));
        for bad in ["", "done", r#"{"id": "a"}"#, r#"{"id": 7, "state": "done"}"#] {
            assert_eq!(Receipt::decode(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_configuration_comes_with_its_hash_or_alone() {
        let read = |text: &str| Reported::decode(text.as_bytes());
        let hash = |text: &str| read(text).unwrap().hash;
        assert_eq!(hash(r#"{"hash": "ab", "config": {"every_s": 60}}"#).as_deref(), Some("ab"));
        assert_eq!(hash(r#"{"every_s": 60}"#), None);
        assert_eq!(hash(r#"{"hash": "", "config": {}}"#), None);
        assert_eq!(hash(&format!(r#"{{"hash": "{}", "config": {{}}}}"#, "a".repeat(65))), None);
        for bad in ["", "[]", "7", "offline"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn offline_is_said_in_three_ways() {
        for (said, offline) in [
            ("offline", true),
            (" offline\n", true),
            (r#""offline""#, true),
            (r#"{"state": "offline", "battery": 11.8}"#, true),
            (r#"{"state": "online"}"#, false),
            ("online", false),
            ("", false),
            ("\u{fffd}", false),
        ] {
            assert_eq!(says_offline(said.as_bytes()), offline, "{said}");
        }
    }
}
