//! What reads another broker's bytes, for the fuzzer: as a connection does, with both versions.

use bytes::BytesMut;

use super::config::Version;
use super::oversized::{Look, Oversized};
use super::wire;

/// The largest packet, small so that a fuzzer gets above it.
const BYTES_MAX: usize = 1_024;

/// A stream from a broker.
pub fn upstream(bytes: &[u8]) {
    for version in [Version::V311, Version::V5] {
        stream(version, bytes);
    }
}

fn stream(version: Version, bytes: &[u8]) {
    let (mut oversized, mut buffer) = (Oversized::default(), BytesMut::from(bytes));
    while !buffer.is_empty() {
        let before = buffer.len();
        match oversized.look(&mut buffer, version, BYTES_MAX) {
            Look::Waiting | Look::Hopeless => return,
            Look::Gone(message, whole) => assert!(message.payload.len() <= whole),
            Look::Ordinary => match wire::read(&mut buffer, version, BYTES_MAX) {
                Ok(Some(_)) => (),
                Ok(None) | Err(_) => return,
            },
        }
        assert!(buffer.len() < before, "nothing was taken, and for ever");
    }
}
