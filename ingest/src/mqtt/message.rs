//! A message between one who published it and those who get it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use domain::Timestamp;

use super::keep::{Addressed, Body, LetterNo, SessionNo, Terms};
use super::share::Share;

/// A message on its way through the broker, still in its publisher's bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Published<'a> {
    pub(super) topic: &'a str,
    pub(super) payload: &'a [u8],
    /// A checked property section without expiry and alias.
    pub(super) properties: &'a [u8],
    pub(super) expiry_s: Option<u32>,
    pub(super) qos: u8,
    pub(super) retain: bool,
}

/// A message, shared by everybody who gets it. It owns its bytes: a slice of a read buffer would keep all of the
/// buffer alive for as long as the message waits.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) topic: Box<str>,
    pub(super) payload: Bytes,
    /// A checked property section of MQTT 5, without expiry and alias.
    pub(super) properties: Bytes,
    /// From when on it is worth nothing.
    pub(super) expires_at: Option<Instant>,
    /// The QoS it was published with.
    pub(super) qos: u8,
    /// Its publish is in the session log, so what happens to its letters may be written after it.
    in_log: AtomicBool,
}

impl Message {
    /// Copies what was published; its expiry runs from now.
    pub(super) fn new(published: Published<'_>) -> Self {
        let Published { topic, payload, properties, expiry_s, qos, .. } = published;
        let lifetime = expiry_s.map(|seconds| Duration::from_secs(u64::from(seconds)));
        Self {
            topic: topic.into(),
            payload: Bytes::copy_from_slice(payload),
            properties: Bytes::copy_from_slice(properties),
            expires_at: lifetime.map(|lifetime| Instant::now() + lifetime),
            qos,
            in_log: AtomicBool::new(false),
        }
    }

    /// The same bytes as a message of its own, which is not in the log yet.
    pub(super) fn copy(&self) -> Self {
        Self {
            topic: self.topic.clone(),
            payload: self.payload.clone(),
            properties: self.properties.clone(),
            expires_at: self.expires_at,
            qos: self.qos,
            in_log: AtomicBool::new(false),
        }
    }

    /// As the log has it. An instant of the machine's is one of the wall clock's there: both are told now.
    pub(super) fn body(&self, now: Timestamp, instant: Instant) -> Body {
        let left = self.expires_at.map(|at| at.saturating_duration_since(instant));
        Body {
            topic: self.topic.clone(),
            payload: self.payload.clone(),
            properties: self.properties.clone(),
            qos: self.qos,
            expires_at: left.map(|left| now + left),
        }
    }

    /// From what the log had.
    pub(super) fn from_log(body: &Body, now: Timestamp, instant: Instant) -> Self {
        Self {
            topic: body.topic.clone(),
            payload: body.payload.clone(),
            properties: body.properties.clone(),
            expires_at: body.expires_at.map(|at| instant + at.since(now)),
            qos: body.qos,
            in_log: AtomicBool::new(true),
        }
    }

    /// Its publish has its place in the log.
    pub(super) fn enter_log(&self) {
        self.in_log.store(true, Ordering::Release);
    }

    /// Has its publish a place in the log?
    pub(super) fn is_in_log(&self) -> bool {
        self.in_log.load(Ordering::Acquire)
    }

    /// What it costs to keep: its parts and about 100 bytes of bookkeeping.
    pub(super) fn bytes(&self) -> usize {
        self.topic.len() + self.payload.len() + self.properties.len() + 100
    }

    /// Is it worth nothing any more?
    pub(super) fn is_expired(&self, now: Instant) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// Seconds that are left to it (section 3.3.2.3.3): what was published less whole seconds that it waited.
    pub(super) fn expiry_left_s(&self, now: Instant) -> Option<u32> {
        let left = self.expires_at?.saturating_duration_since(now);
        let started = u64::from(left.subsec_nanos() != 0);
        u32::try_from(left.as_secs() + started).ok()
    }
}

/// The longest path of a shared subscription that goes into the log with each letter. Ours have 40 bytes; a letter of a
/// longer one is its own session's after a restart. 30,000 of this are 8 MiB of the 64 that one change may have.
const SHARE_BYTES_MAX: usize = 256;

/// A message on its way to one session.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) message: Arc<Message>,
    /// The lower of what was published and what was granted.
    pub(super) qos: u8,
    /// The retain flag it is delivered with.
    pub(super) retain: bool,
    /// The identifiers of the subscriptions that brought it; mostly none.
    pub(super) ids: Vec<u32>,
    /// The shared subscription that brought it: if this subscriber leaves, another one gets it.
    pub(super) share: Option<Arc<Share>>,
    /// Its number in the log, where its session is kept on disk.
    pub(super) no: Option<LetterNo>,
}

impl Letter {
    /// May its session speak of it? Not before the publish that brought it has its place in the log.
    pub(super) fn is_ready(&self) -> bool {
        self.no.is_none() || self.message.is_in_log()
    }

    /// As the log has it.
    pub(super) fn addressed(&self, session: SessionNo, letter: LetterNo) -> Addressed {
        let Self { qos, retain, ref ids, .. } = *self;
        let share = self.share.as_ref().map(|share| share.path());
        let share = share.filter(|path| path.len() <= SHARE_BYTES_MAX).map(Into::into);
        Addressed { session, letter, terms: Terms { qos, retain, identifiers: ids.clone(), share } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_counted_down_in_whole_seconds_and_ends() {
        let published = Published {
            topic: "a",
            payload: b"1",
            properties: &[],
            expiry_s: Some(5),
            qos: 1,
            retain: false,
        };
        let before = Instant::now();
        let message = Message::new(published);
        let after = |millis| before + Duration::from_millis(millis);
        assert_eq!(message.expiry_left_s(Instant::now()), Some(5));
        assert_eq!(message.expiry_left_s(after(2_900)), Some(3));
        assert!(!message.is_expired(after(4_900)));
        assert!(message.is_expired(after(5_100)));
        let forever = Message::new(Published { expiry_s: None, ..published });
        assert!(!forever.is_expired(after(1_000_000)) && forever.expiry_left_s(before).is_none());
    }
}
