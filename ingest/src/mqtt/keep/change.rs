//! What can change in what is remembered of clients. Each change is one record of the session log, so that it is on
//! disk as a whole or not at all.

use std::sync::Arc;

use bytes::Bytes;
use domain::Timestamp;

/// A session's number: given once, never again, however often its client opens a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::mqtt) struct SessionNo(pub(in crate::mqtt) u64);

/// A message's number: given when its bytes enter the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::mqtt) struct MessageNo(pub(in crate::mqtt) u64);

/// A letter's number within its session, in the order in which letters were queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::mqtt) struct LetterNo(pub(in crate::mqtt) u64);

/// A message's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mqtt) struct Body {
    pub(in crate::mqtt) topic: Box<str>,
    pub(in crate::mqtt) payload: Bytes,
    /// A property section of MQTT 5, as it is passed on.
    pub(in crate::mqtt) properties: Bytes,
    /// The QoS it was published with.
    pub(in crate::mqtt) qos: u8,
    /// After this nobody gets it.
    pub(in crate::mqtt) expires_at: Option<Timestamp>,
}

/// How a message goes to one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mqtt) struct Terms {
    /// 1 or 2: what has QoS 0 is not kept for anybody.
    pub(in crate::mqtt) qos: u8,
    /// The retain flag it is delivered with.
    pub(in crate::mqtt) retain: bool,
    /// Identifiers of the subscriptions that it is delivered for.
    pub(in crate::mqtt) identifiers: Vec<u32>,
    /// The shared subscription that brought it, as its whole path: where this session leaves, another one gets it.
    pub(in crate::mqtt) share: Option<Box<str>>,
}

/// A letter that joined a session's queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mqtt) struct Addressed {
    pub(in crate::mqtt) session: SessionNo,
    pub(in crate::mqtt) letter: LetterNo,
    pub(in crate::mqtt) terms: Terms,
}

/// A subscription's options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) struct Options {
    pub(in crate::mqtt) qos: u8,
    pub(in crate::mqtt) no_local: bool,
    pub(in crate::mqtt) keep_retain: bool,
    pub(in crate::mqtt) identifier: Option<u32>,
}

/// What a publish did to the retained message of its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) enum Retain {
    /// Nothing.
    Untouched,
    /// It is the retained message now.
    Set,
    /// There is none any more.
    Cleared,
}

/// A will and how it is to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mqtt) struct Testament {
    pub(in crate::mqtt) body: Arc<Body>,
    pub(in crate::mqtt) retain: bool,
    pub(in crate::mqtt) delay_s: u32,
    /// Seconds from its publication until it is worth nothing.
    pub(in crate::mqtt) expiry_s: Option<u32>,
}

/// Everything that one publish did. It is one change, so that a message is never queued without the packet id that
/// keeps it from being queued again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mqtt) struct Published {
    /// The message, where anybody waits for it or it is retained.
    pub(in crate::mqtt) message: Option<(MessageNo, Arc<Body>)>,
    pub(in crate::mqtt) retain: Retain,
    /// The publisher's session and its packet id (QoS 2), which may not do this a second time.
    pub(in crate::mqtt) from: Option<(SessionNo, u16)>,
    /// The letter that this message was before, to another one of a group who is gone.
    pub(in crate::mqtt) moved: Option<(SessionNo, LetterNo)>,
    /// Whom it was queued for.
    pub(in crate::mqtt) to: Vec<Addressed>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mqtt) enum Change {
    /// A session that outlives its connection began, connected. `next_letter` is 0 but in a snapshot.
    Opened { session: SessionNo, key: Box<str>, expiry_s: u32, next_letter: LetterNo },
    /// A client came back to its session.
    Attached { session: SessionNo, expiry_s: u32 },
    /// The connection of a session is gone: its time runs.
    Detached { session: SessionNo, expiry_s: u32, at: Timestamp },
    /// A session is over, with everything in it.
    Ended { session: SessionNo },
    /// A subscription was made, or its options changed.
    Subscribed { session: SessionNo, filter: Box<str>, options: Options },
    /// A subscription was taken back.
    Unsubscribed { session: SessionNo, filter: Box<str> },
    /// Everything that one publish did, together.
    Published(Published),
    /// Letters got their packet ids and went out.
    Sent { session: SessionNo, letters: Vec<(LetterNo, u16)> },
    /// The client holds a letter of QoS 2 (PUBREC): from now on only PUBREL is said.
    Received { session: SessionNo, letter: LetterNo },
    /// Letters are over: acknowledged, completed or dropped.
    Done { session: SessionNo, letters: Vec<LetterNo> },
    /// The publisher released its packet id (PUBREL).
    Released { session: SessionNo, id: u16 },
    /// A retained message is gone by itself.
    Cleared { topic: Box<str> },
    /// A connected client has this will.
    WillMade { key: Box<str>, will: Testament },
    /// The client is gone; its will is published at this time unless it comes back.
    WillDue { key: Box<str>, at: Timestamp },
    /// The will was published, or will never be.
    WillGone { key: Box<str> },
    /// In snapshots only: the numbers that come next.
    Numbers { session: SessionNo, message: MessageNo },
}
