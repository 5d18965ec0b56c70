//! A change as bytes. All numbers little endian; a text is its length (u16) and its UTF-8; a list is its length (u32)
//! and its entries; bytes are their length (u32) and themselves.
//!
//! ```text
//! kind  1 opened        session u64 · key text · expiry_s u32 · next_letter u64
//! kind  2 attached      session u64 · expiry_s u32
//! kind  3 detached      session u64 · expiry_s u32 · at i64 ms
//! kind  4 ended         session u64
//! kind  5 subscribed    session u64 · filter text · options u8 (1, 2 QoS; 4 no local; 8 retain as published;
//!                       16 identifier follows) · identifier u32 if marked
//! kind  6 unsubscribed  session u64 · filter text
//! kind  7 published     marks u8 (1 message, 2 retained set, 4 retained cleared, 8 from, 16 moved)
//!                       · if message: number u64 · body  · if from: session u64 · packet id u16
//!                       · if moved: session u64 · letter u64  · list of (session u64 · letter u64 · terms)
//! kind  8 sent          session u64 · list of (letter u64 · packet id u16)
//! kind  9 received      session u64 · letter u64
//! kind 10 done          session u64 · list of letter u64
//! kind 11 released      session u64 · packet id u16
//! kind 12 cleared       topic text
//! kind 13 will made     key text · marks u8 (1 retain; 2 expires) · delay_s u32 · expiry_s u32 if
//!                       it expires · body
//! kind 14 will due      key text · at i64 ms
//! kind 15 will gone     key text
//! kind 16 numbers       session u64 · message u64
//! kind 17 published     as kind 7, with at least one letter of a shared subscription among them
//!
//! body   topic text · QoS u8, plus 128 if it expires · expires_at i64 ms if so · payload bytes · properties bytes
//! terms  marks u8 (1, 2 QoS; 4 retain; 8 identifiers follow; 16, in kind 17 only, a group follows)
//!        · if marked: list of u32 · if marked: the group's whole path, a text
//! ```
//! A kind that is not known is an error, not skipped: an old program must not step over what a new one wrote. A changed
//! layout gets a new kind.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use domain::Timestamp;

use super::change::{
    Addressed, Body, Change, LetterNo, MessageNo, Options, Published, Retain, SessionNo, Terms,
    Testament,
};

const MESSAGE: u8 = 1;
const SET: u8 = 2;
const CLEARED: u8 = 4;
const FROM: u8 = 8;
const MOVED: u8 = 16;
const QOS: u8 = 3;
const EXPIRES: u8 = 128;
const IDENTIFIERS: u8 = 8;
const SHARED: u8 = 16;
const PUBLISHED: u8 = 7;
const PUBLISHED_SHARED: u8 = 17;

/// The bytes are not a change of a kind that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a change of a session: {0}")]
pub(in crate::mqtt) struct BadChange(&'static str);

const SHORT: BadChange = BadChange("it ends early");

/// The bytes of a change.
pub(in crate::mqtt) fn encode(change: &Change) -> Bytes {
    let mut out = BytesMut::with_capacity(64);
    write(&mut out, change);
    out.freeze()
}

fn write(out: &mut BytesMut, change: &Change) {
    match change {
        Change::Opened { session, key, expiry_s, next_letter } => {
            head(out, 1, *session);
            text(out, key);
            out.put_u32_le(*expiry_s);
            out.put_u64_le(next_letter.0);
        }
        Change::Attached { session, expiry_s } => {
            head(out, 2, *session);
            out.put_u32_le(*expiry_s);
        }
        Change::Detached { session, expiry_s, at } => {
            head(out, 3, *session);
            out.put_u32_le(*expiry_s);
            out.put_i64_le(at.as_millis());
        }
        Change::Ended { session } => head(out, 4, *session),
        Change::Subscribed { session, filter, options } => {
            head(out, 5, *session);
            text(out, filter);
            write_options(out, *options);
        }
        Change::Unsubscribed { session, filter } => {
            head(out, 6, *session);
            text(out, filter);
        }
        Change::Published(published) => write_published(out, published),
        Change::Sent { session, letters } => {
            head(out, 8, *session);
            length(out, letters.len());
            for (letter, id) in letters {
                out.put_u64_le(letter.0);
                out.put_u16_le(*id);
            }
        }
        Change::Received { session, letter } => {
            head(out, 9, *session);
            out.put_u64_le(letter.0);
        }
        Change::Done { session, letters } => {
            head(out, 10, *session);
            length(out, letters.len());
            letters.iter().for_each(|letter| out.put_u64_le(letter.0));
        }
        Change::Released { session, id } => {
            head(out, 11, *session);
            out.put_u16_le(*id);
        }
        Change::Cleared { topic } => named(out, 12, topic),
        Change::WillMade { key, will } => {
            named(out, 13, key);
            out.put_u8(u8::from(will.retain) | u8::from(will.expiry_s.is_some()) << 1);
            out.put_u32_le(will.delay_s);
            if let Some(seconds) = will.expiry_s {
                out.put_u32_le(seconds);
            }
            write_body(out, &will.body);
        }
        Change::WillDue { key, at } => {
            named(out, 14, key);
            out.put_i64_le(at.as_millis());
        }
        Change::WillGone { key } => named(out, 15, key),
        Change::Numbers { session, message } => {
            head(out, 16, *session);
            out.put_u64_le(message.0);
        }
    }
}

fn write_published(out: &mut BytesMut, published: &Published) {
    let Published { message, retain, from, moved, to } = published;
    let retained = match retain {
        Retain::Untouched => 0,
        Retain::Set => SET,
        Retain::Cleared => CLEARED,
    };
    let marks = [(message.is_some(), MESSAGE), (from.is_some(), FROM), (moved.is_some(), MOVED)];
    // A program from before there were groups in the log reads what has none, and stops at what has one.
    let shared = to.iter().any(|addressed| addressed.terms.share.is_some());
    out.put_u8(if shared { PUBLISHED_SHARED } else { PUBLISHED });
    out.put_u8(marks.iter().filter(|(on, _)| *on).fold(retained, |all, (_, mark)| all | mark));
    if let Some((number, body)) = message {
        out.put_u64_le(number.0);
        write_body(out, body);
    }
    if let Some((session, id)) = from {
        out.put_u64_le(session.0);
        out.put_u16_le(*id);
    }
    if let Some((session, letter)) = moved {
        out.put_u64_le(session.0);
        out.put_u64_le(letter.0);
    }
    length(out, to.len());
    for Addressed { session, letter, terms } in to {
        out.put_u64_le(session.0);
        out.put_u64_le(letter.0);
        write_terms(out, terms);
    }
}

fn head(out: &mut BytesMut, kind: u8, session: SessionNo) {
    out.put_u8(kind);
    out.put_u64_le(session.0);
}

fn named(out: &mut BytesMut, kind: u8, name: &str) {
    out.put_u8(kind);
    text(out, name);
}

fn text(out: &mut BytesMut, text: &str) {
    out.put_u16_le(u16::try_from(text.len()).expect("MQTT's own texts have at most 65,535 bytes"));
    out.put_slice(text.as_bytes());
}

fn length(out: &mut BytesMut, length: usize) {
    out.put_u32_le(u32::try_from(length).expect("lists are bounded far below four billion"));
}

fn bytes(out: &mut BytesMut, bytes: &[u8]) {
    length(out, bytes.len());
    out.put_slice(bytes);
}

fn write_body(out: &mut BytesMut, body: &Body) {
    out.reserve(32 + body.topic.len() + body.payload.len() + body.properties.len());
    text(out, &body.topic);
    match body.expires_at {
        None => out.put_u8(body.qos),
        Some(at) => {
            out.put_u8(body.qos | EXPIRES);
            out.put_i64_le(at.as_millis());
        }
    }
    bytes(out, &body.payload);
    bytes(out, &body.properties);
}

fn write_terms(out: &mut BytesMut, terms: &Terms) {
    let Terms { qos, retain, identifiers, share } = terms;
    let marks = u8::from(*retain) << 2
        | u8::from(!identifiers.is_empty()) << 3
        | u8::from(share.is_some()) << 4;
    out.put_u8(qos & QOS | marks);
    if !identifiers.is_empty() {
        length(out, identifiers.len());
        identifiers.iter().for_each(|id| out.put_u32_le(*id));
    }
    if let Some(path) = share {
        text(out, path);
    }
}

fn write_options(out: &mut BytesMut, options: Options) {
    let marks = u8::from(options.no_local) << 2
        | u8::from(options.keep_retain) << 3
        | u8::from(options.identifier.is_some()) << 4;
    out.put_u8(options.qos & QOS | marks);
    if let Some(id) = options.identifier {
        out.put_u32_le(id);
    }
}

/// Reads a change back.
pub(in crate::mqtt) fn decode(mut from: Bytes) -> Result<Change, BadChange> {
    let kind = from.try_get_u8().map_err(|_| SHORT)?;
    let change = read(kind, &mut from)?;
    if from.is_empty() { Ok(change) } else { Err(BadChange("it has a tail")) }
}

fn read(kind: u8, from: &mut Bytes) -> Result<Change, BadChange> {
    Ok(match kind {
        1 => Change::Opened {
            session: session(from)?,
            key: read_text(from)?,
            expiry_s: read_u32(from)?,
            next_letter: LetterNo(read_u64(from)?),
        },
        2 => Change::Attached { session: session(from)?, expiry_s: read_u32(from)? },
        3 => Change::Detached {
            session: session(from)?,
            expiry_s: read_u32(from)?,
            at: read_time(from)?,
        },
        4 => Change::Ended { session: session(from)? },
        5 => Change::Subscribed {
            session: session(from)?,
            filter: read_text(from)?,
            options: read_options(from)?,
        },
        6 => Change::Unsubscribed { session: session(from)?, filter: read_text(from)? },
        PUBLISHED => Change::Published(read_published(from, !SHARED)?),
        PUBLISHED_SHARED => Change::Published(read_published(from, !0)?),
        8 => Change::Sent {
            session: session(from)?,
            letters: list(from, |from| Ok((LetterNo(read_u64(from)?), read_u16(from)?)))?,
        },
        9 => Change::Received { session: session(from)?, letter: LetterNo(read_u64(from)?) },
        10 => Change::Done {
            session: session(from)?,
            letters: list(from, |from| Ok(LetterNo(read_u64(from)?)))?,
        },
        11 => Change::Released { session: session(from)?, id: read_u16(from)? },
        12 => Change::Cleared { topic: read_text(from)? },
        13 => Change::WillMade { key: read_text(from)?, will: read_will(from)? },
        14 => Change::WillDue { key: read_text(from)?, at: read_time(from)? },
        15 => Change::WillGone { key: read_text(from)? },
        16 => Change::Numbers { session: session(from)?, message: MessageNo(read_u64(from)?) },
        _ => return Err(BadChange("its kind is not known")),
    })
}

/// `terms` are the marks that its letters may have.
fn read_published(from: &mut Bytes, terms: u8) -> Result<Published, BadChange> {
    let marks = read_u8(from)?;
    let message = match marks & MESSAGE {
        0 => None,
        _ => Some((MessageNo(read_u64(from)?), read_body(from)?)),
    };
    let publisher = match marks & FROM {
        0 => None,
        _ => Some((session(from)?, read_u16(from)?)),
    };
    let moved = match marks & MOVED {
        0 => None,
        _ => Some((session(from)?, LetterNo(read_u64(from)?))),
    };
    let retain = match marks & (SET | CLEARED) {
        0 => Retain::Untouched,
        SET => Retain::Set,
        CLEARED => Retain::Cleared,
        _ => return Err(BadChange("retained both set and cleared")),
    };
    let to = list(from, |from| {
        let (session, letter) = (session(from)?, LetterNo(read_u64(from)?));
        Ok(Addressed { session, letter, terms: read_terms(from, terms)? })
    })?;
    Ok(Published { message, retain, from: publisher, moved, to })
}

fn session(from: &mut Bytes) -> Result<SessionNo, BadChange> {
    read_u64(from).map(SessionNo)
}

fn read_u8(from: &mut Bytes) -> Result<u8, BadChange> {
    from.try_get_u8().map_err(|_| SHORT)
}

fn read_u16(from: &mut Bytes) -> Result<u16, BadChange> {
    from.try_get_u16_le().map_err(|_| SHORT)
}

fn read_u32(from: &mut Bytes) -> Result<u32, BadChange> {
    from.try_get_u32_le().map_err(|_| SHORT)
}

fn read_u64(from: &mut Bytes) -> Result<u64, BadChange> {
    from.try_get_u64_le().map_err(|_| SHORT)
}

fn read_time(from: &mut Bytes) -> Result<Timestamp, BadChange> {
    from.try_get_i64_le().map(Timestamp::from_millis).map_err(|_| SHORT)
}

fn take(from: &mut Bytes, length: usize) -> Result<Bytes, BadChange> {
    if from.len() < length { Err(SHORT) } else { Ok(from.split_to(length)) }
}

fn read_text(from: &mut Bytes) -> Result<Box<str>, BadChange> {
    let length = usize::from(read_u16(from)?);
    let raw = take(from, length)?;
    Ok(std::str::from_utf8(&raw).map_err(|_| BadChange("a text is not UTF-8"))?.into())
}

/// Copied: a slice would keep the whole chunk that was read from disk alive for as long as the message waits.
fn read_bytes(from: &mut Bytes) -> Result<Bytes, BadChange> {
    let length = read_u32(from)? as usize;
    take(from, length).map(|raw| Bytes::copy_from_slice(&raw))
}

fn list<T>(
    from: &mut Bytes,
    mut each: impl FnMut(&mut Bytes) -> Result<T, BadChange>,
) -> Result<Vec<T>, BadChange> {
    let length = read_u32(from)? as usize;
    // An entry has at least a byte: no more is made room for than can be there.
    let mut all = Vec::with_capacity(length.min(from.len()));
    for _ in 0..length {
        all.push(each(from)?);
    }
    Ok(all)
}

fn read_body(from: &mut Bytes) -> Result<Arc<Body>, BadChange> {
    let topic = read_text(from)?;
    let marks = read_u8(from)?;
    let expires_at = match marks & EXPIRES {
        0 => None,
        _ => Some(read_time(from)?),
    };
    let (payload, properties) = (read_bytes(from)?, read_bytes(from)?);
    Ok(Arc::new(Body { topic, payload, properties, qos: marks & QOS, expires_at }))
}

fn read_will(from: &mut Bytes) -> Result<Testament, BadChange> {
    let marks = read_u8(from)?;
    let delay_s = read_u32(from)?;
    let expiry_s = match marks & 2 {
        0 => None,
        _ => Some(read_u32(from)?),
    };
    Ok(Testament { retain: marks & 1 != 0, delay_s, expiry_s, body: read_body(from)? })
}

fn read_terms(from: &mut Bytes, known: u8) -> Result<Terms, BadChange> {
    let marks = read_u8(from)? & known;
    let identifiers = match marks & IDENTIFIERS {
        0 => Vec::new(),
        _ => list(from, read_u32)?,
    };
    let share = match marks & SHARED {
        0 => None,
        _ => Some(read_text(from)?),
    };
    Ok(Terms { qos: marks & QOS, retain: marks & 4 != 0, identifiers, share })
}

fn read_options(from: &mut Bytes) -> Result<Options, BadChange> {
    let marks = read_u8(from)?;
    let identifier = match marks & 16 {
        0 => None,
        _ => Some(read_u32(from)?),
    };
    let (no_local, keep_retain) = (marks & 4 != 0, marks & 8 != 0);
    Ok(Options { qos: marks & QOS, no_local, keep_retain, identifier })
}
