//! A message larger than we read whole. To hang up would bring it again with the next connection, for ever; so its
//! beginning is kept for the dead letters, the rest is thrown away as it comes, and it is acknowledged.

use bytes::{Buf, Bytes, BytesMut};

use super::config::Version;
use super::frame::{Header, header};
use super::wire::Message;

/// Bytes of its beginning that are kept: enough to see who is sending what.
const KEPT_BYTES: usize = 4 * 1024;

/// What came of looking at the buffer.
#[derive(Debug)]
pub(super) enum Look {
    /// The next packet may be read whole, when it is there.
    Ordinary,
    /// A packet is being thrown away, or its beginning is not there yet: more bytes are needed.
    Waiting,
    /// It is gone; this is what is known of it, and how many bytes its packet had.
    Gone(Message, usize),
    /// A packet that is too large and not a message.
    Hopeless,
}

/// The packet that is being thrown away.
#[derive(Debug, Default)]
pub(super) struct Oversized {
    skipping: Option<(Message, usize, usize)>,
}

impl Oversized {
    /// Looks at what comes next, and throws away what is to be.
    pub(super) fn look(&mut self, from: &mut BytesMut, version: Version, bytes_max: usize) -> Look {
        if self.skipping.is_none() {
            let (head, body) = match header(from) {
                Header::Torn => return Look::Waiting,
                // What is not a length the codec says in its own words.
                Header::Bad => return Look::Ordinary,
                Header::Whole { body, .. } if body <= bytes_max => return Look::Ordinary,
                Header::Whole { head, body } => (head, body),
            };
            if from[0] >> 4 != 3 {
                return Look::Hopeless;
            }
            let Some(kept) = from.get(head..head + body.min(KEPT_BYTES)) else {
                return Look::Waiting;
            };
            let Some(message) = beginning(from[0], kept, version) else { return Look::Hopeless };
            self.skipping = Some((message, head + body, head + body));
        }
        let Some((_, left, _)) = &mut self.skipping else { return Look::Ordinary };
        let now = from.len().min(*left);
        from.advance(now);
        *left -= now;
        if 0 < *left {
            return Look::Waiting;
        }
        match self.skipping.take() {
            Some((message, _, whole)) => Look::Gone(message, whole),
            None => Look::Ordinary,
        }
    }
}

/// Topic, id and the first bytes of a PUBLISH whose end is not here. With MQTT 5 its properties stand before them.
fn beginning(first: u8, kept: &[u8], version: Version) -> Option<Message> {
    let mut rest = Bytes::copy_from_slice(kept);
    let length = usize::from(rest.try_get_u16().ok()?);
    if rest.len() < length {
        return None;
    }
    let topic = String::from_utf8(rest.split_to(length).to_vec()).ok()?;
    let id = match (first >> 1) & 3 {
        0 => None,
        1 => Some(rest.try_get_u16().ok()?),
        _ => return None,
    };
    if version == Version::V5 && (topic.is_empty() || rest.is_empty()) {
        return None;
    }
    Some(Message { topic, payload: rest, id, retained: first & 1 == 1 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rumqttc::mqttbytes::{QoS, v4};

    /// Found by `fuzz/fuzz_targets/upstream.rs`.
    #[test]
    fn what_is_kept_of_a_packet_holds_nothing_of_the_next() {
        let mut buffer = publish(2_000, 7);
        let whole = buffer.len();
        buffer.extend_from_slice(&publish(100, 8));
        let looked = Oversized::default().look(&mut buffer, Version::V311, 1_000);
        let Look::Gone(message, bytes) = looked else { panic!("{looked:?}") };
        assert_eq!((message.payload.len(), bytes), (2_000, whole));
    }

    fn publish(bytes: usize, id: u16) -> BytesMut {
        let mut publish =
            v4::Publish::new("province/xuan-hoa/data", QoS::AtLeastOnce, vec![b'x'; bytes]);
        publish.pkid = id;
        let mut out = BytesMut::new();
        publish.write(&mut out).unwrap();
        out
    }

    #[test]
    fn a_packet_that_is_too_large_is_thrown_away_and_the_next_is_read() {
        let mut wire = publish(100_000, 7);
        let whole = wire.len();
        wire.extend_from_slice(&publish(10, 8));
        for step in [1, 100, 5_000, 64 * 1024, 1 << 20] {
            let (mut oversized, mut buffer, mut gone) =
                (Oversized::default(), BytesMut::new(), None);
            for part in wire.chunks(step) {
                buffer.extend_from_slice(part);
                match oversized.look(&mut buffer, Version::V311, 1_000) {
                    Look::Gone(message, bytes) => gone = Some((message, bytes)),
                    Look::Ordinary => assert!(gone.is_some(), "step {step}"),
                    Look::Waiting => assert!(buffer.len() < 2 * KEPT_BYTES.max(step)),
                    Look::Hopeless => panic!("step {step}"),
                }
            }
            let (message, bytes) = gone.unwrap();
            assert_eq!((message.topic.as_str(), message.id), ("province/xuan-hoa/data", Some(7)));
            assert_eq!(bytes, whole);
            assert!(message.payload.iter().all(|&b| b == b'x') && 3_000 < message.payload.len());
            assert!(
                matches!(v4::Packet::read(&mut buffer, 1_000), Ok(v4::Packet::Publish(next)) if next.pkid == 8)
            );
        }
    }

    #[test]
    fn what_is_too_large_and_no_message_is_hopeless() {
        let mut buffer = BytesMut::from(&[0x90, 0xFF, 0xFF, 0x7F, 0][..]);
        assert!(matches!(
            Oversized::default().look(&mut buffer, Version::V5, 1_000),
            Look::Hopeless
        ));
    }
}
