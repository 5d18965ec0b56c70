//! What a station says beside its readings and that we act upon: receipts for commands, the configuration it runs on,
//! and its state. Kept in a journal of its own, so that an acknowledgement means "on disk" here too; the engine follows
//! it with a cursor and writes what it learns into the book.
//!
//! ```text
//! kind 1: 1 u8 · received_at i64 ms · station: length u8 and UTF-8 · what u8 (1 receipt, 2 config/reported, 3 state,
//!         4 firmware/ask, 5 firmware/report)
//!         · payload: the rest
//! ```
//!
//! A program that does not know a number skips the record and counts it.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use domain::{StationCode, Timestamp};

const KIND: u8 = 1;

/// Bytes of a payload that is kept: twice the largest configuration. A receipt has a hundred.
pub const SAID_BYTES_MAX: usize = 16 * 1024;

/// Which of its topics a station spoke on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// `receipt`: what became of a command.
    Receipt,
    /// `config/reported`: the configuration in use.
    Reported,
    /// `state`: online, offline, or more.
    State,
    /// `firmware/ask`: which chunks it wants.
    Ask,
    /// `firmware/report`: what runs, and how far it has come with an image.
    Firmware,
}

impl What {
    const ALL: [Self; 5] = [Self::Receipt, Self::Reported, Self::State, Self::Ask, Self::Firmware];

    /// The topic below `stations/{station}/`, and the label of counters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Receipt => "receipt",
            Self::Reported => "config/reported",
            Self::State => "state",
            Self::Ask => "firmware/ask",
            Self::Firmware => "firmware/report",
        }
    }

    /// What is said on a topic of `station`, if it is one of these.
    #[must_use]
    pub fn of(topic: &str, station: &StationCode) -> Option<Self> {
        let below = topic.strip_prefix("stations/")?.strip_prefix(station.as_str())?;
        let name = below.strip_prefix('/')?;
        Self::ALL.into_iter().find(|what| what.as_str() == name)
    }

    const fn number(self) -> u8 {
        match self {
            Self::Receipt => 1,
            Self::Reported => 2,
            Self::State => 3,
            Self::Ask => 4,
            Self::Firmware => 5,
        }
    }
}

/// One thing that a station said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// When it came, by our clock.
    pub received_at: Timestamp,
    /// Who.
    pub station: StationCode,
    /// On which topic.
    pub what: What,
    /// Its bytes.
    pub payload: Bytes,
}

impl Said {
    /// Its bytes in the journal.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let station = self.station.as_str();
        let mut out = BytesMut::with_capacity(16 + station.len() + self.payload.len());
        out.put_u8(KIND);
        out.put_i64_le(self.received_at.as_millis());
        out.put_u8(u8::try_from(station.len()).expect("a code has at most 32 letters"));
        out.put_slice(station.as_bytes());
        out.put_u8(self.what.number());
        out.put_slice(&self.payload);
        out.freeze()
    }

    /// Reads it back; `None` where the bytes are none.
    #[must_use]
    pub fn decode(bytes: &Bytes) -> Option<Self> {
        let mut bytes = bytes.clone();
        if bytes.try_get_u8().ok()? != KIND {
            return None;
        }
        let received_at = Timestamp::from_millis(bytes.try_get_i64_le().ok()?);
        let length = usize::from(bytes.try_get_u8().ok()?);
        if bytes.len() < length {
            return None;
        }
        let station = StationCode::new(std::str::from_utf8(&bytes.split_to(length)).ok()?).ok()?;
        let number = bytes.try_get_u8().ok()?;
        let what = What::ALL.into_iter().find(|what| what.number() == number)?;
        Some(Self { received_at, station, what, payload: bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_reads_back_and_half_of_it_does_not() {
        let station = StationCode::new("xuan-hoa").unwrap();
        for what in What::ALL {
            let said = Said {
                received_at: Timestamp::from_millis(-7),
                station: station.clone(),
                what,
                payload: Bytes::from_static(b"{}"),
            };
            let bytes = said.encode();
            assert_eq!(Said::decode(&bytes), Some(said));
            for cut in 0..bytes.len() - 2 {
                assert_eq!(Said::decode(&bytes.slice(..cut)), None, "cut at {cut}");
            }
        }
    }

    #[test]
    fn only_its_own_topics_are_heard() {
        let station = StationCode::new("a").unwrap();
        assert_eq!(What::of("stations/a/receipt", &station), Some(What::Receipt));
        assert_eq!(What::of("stations/a/config/reported", &station), Some(What::Reported));
        for other in [
            "stations/a/log",
            "stations/a/firmware",
            "stations/a/firmware/chunk",
            "stations/ab/receipt",
            "stations/a",
            "receipt",
            "x/a/state",
        ] {
            assert_eq!(What::of(other, &station), None, "{other}");
        }
    }
}
