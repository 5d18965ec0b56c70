//! What we do not believe, kept: the bytes as they came, from whom, when, and why not. A journal of its own, kept by
//! size, so that a station with a broken program fills a bounded part of the disk.
//!
//! ```text
//! kind 1: 1 u8 · received_at i64 ms · reason, station, topic, detail: each length u16 and UTF-8 · payload: the rest
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut};
use domain::{Reason, Refusal, Timestamp};

const KIND: u8 = 1;

/// Bytes of one text that are kept: a topic and a reason are short, and what is longer is cut, marked by `…`.
const TEXT_MAX: usize = 1_024;

/// One refused packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// When it came, by our clock.
    pub received_at: Timestamp,
    /// Why it is here.
    pub reason: Reason,
    /// Who sent it, as logged in; empty where nobody was.
    pub station: String,
    /// The topic it was published on.
    pub topic: String,
    /// What exactly was wrong.
    pub detail: String,
    /// The bytes.
    pub payload: Bytes,
}

impl DeadLetter {
    /// A letter for a refused packet.
    #[must_use]
    pub fn new(
        received_at: Timestamp,
        refusal: &Refusal,
        station: &str,
        topic: &str,
        payload: &Bytes,
    ) -> Self {
        Self {
            received_at,
            reason: refusal.reason,
            station: cut(station),
            topic: cut(topic),
            detail: cut(&refusal.detail),
            payload: payload.clone(),
        }
    }

    /// Its bytes in the dead-letter journal.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(64 + self.payload.len());
        out.put_u8(KIND);
        out.put_i64_le(self.received_at.as_millis());
        for text in [self.reason.as_str(), &self.station, &self.topic, &self.detail] {
            out.put_u16_le(u16::try_from(text.len()).expect("texts are cut at 1 kB"));
            out.put_slice(text.as_bytes());
        }
        out.put_slice(&self.payload);
        out.freeze()
    }

    /// Reads a letter back; `None` where the bytes are none.
    #[must_use]
    pub fn decode(bytes: &Bytes) -> Option<Self> {
        let mut bytes = bytes.clone();
        if bytes.try_get_u8().ok()? != KIND {
            return None;
        }
        let received_at = Timestamp::from_millis(bytes.try_get_i64_le().ok()?);
        let reason = Reason::parse(&text(&mut bytes)?)?;
        let (station, topic, detail) = (text(&mut bytes)?, text(&mut bytes)?, text(&mut bytes)?);
        Some(Self { received_at, reason, station, topic, detail, payload: bytes })
    }
}

fn text(bytes: &mut Bytes) -> Option<String> {
    let length = usize::from(bytes.try_get_u16_le().ok()?);
    if bytes.len() < length {
        return None;
    }
    String::from_utf8(bytes.split_to(length).to_vec()).ok()
}

fn cut(text: &str) -> String {
    if text.len() <= TEXT_MAX {
        return text.to_owned();
    }
    let mut end = TEXT_MAX - '…'.len_utf8();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_reads_back_with_its_bytes_and_long_texts_are_cut() {
        let refusal = Refusal { reason: Reason::Malformed, detail: "ặ".repeat(2_000) };
        let payload = Bytes::from_static(b"\xff\x00not json");
        let letter =
            DeadLetter::new(Timestamp::from_millis(1), &refusal, "xuan-hoa", "a/b", &payload);
        assert!(letter.detail.ends_with('…') && letter.detail.len() <= TEXT_MAX);
        assert_eq!(DeadLetter::decode(&letter.encode()), Some(letter.clone()));
        let bytes = letter.encode();
        for cut in 0..bytes.len() - payload.len() {
            assert_eq!(DeadLetter::decode(&bytes.slice(..cut)), None, "cut at {cut}");
        }
    }
}
