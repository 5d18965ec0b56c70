//! A message between one who published it and those who get it.

use bytes::Bytes;

/// A message, shared by everybody who gets it. It owns its bytes: a slice of a read buffer would keep all of the
/// buffer alive for as long as the message waits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) topic: Box<str>,
    pub(super) payload: Bytes,
    /// A checked property section of MQTT 5.
    pub(super) properties: Bytes,
    /// The QoS it was published with, 0 or 1.
    pub(super) qos: u8,
}

impl Message {
    /// Copies what was published.
    pub(super) fn new(topic: &str, payload: &[u8], properties: &[u8], qos: u8) -> Self {
        Self {
            topic: topic.into(),
            payload: Bytes::copy_from_slice(payload),
            properties: Bytes::copy_from_slice(properties),
            qos,
        }
    }

    /// What it costs to keep: its parts and about 100 bytes of bookkeeping.
    pub(super) fn bytes(&self) -> usize {
        self.topic.len() + self.payload.len() + self.properties.len() + 100
    }
}

/// A message on its way to one session.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) message: std::sync::Arc<Message>,
    /// 0 or 1: the lower of what was published and what was granted.
    pub(super) qos: u8,
    /// The retain flag it is delivered with.
    pub(super) retain: bool,
}
