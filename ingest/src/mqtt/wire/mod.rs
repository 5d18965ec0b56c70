//! MQTT 3.1, 3.1.1 and 5.0 on the wire. A codec made for a client trusts its broker; this one trusts nobody: a length
//! is checked before anything is allocated, flags, reason codes and properties are checked before anything is done,
//! and PUBLISH, which is nearly all of the traffic, is read in place without a copy.

mod bad; // what is wrong with a packet, and how it is answered
pub(super) mod code; // reason codes
mod frame; // where a packet ends
mod fields; // what packets are made of
mod properties; // the property sections of MQTT 5
mod hello; // CONNECT
mod packet; // everything a client sends after it
mod encode; // everything we send

pub(super) use bad::Bad;
pub(super) use encode::{Answering, Extra, Outgoing, Refused, Welcome, publish_bytes};
pub(super) use encode::{answer, auth, connack, disconnect, pingresp, publish, suback, unsuback};
pub(super) use frame::peek;
pub(super) use hello::{BadHello, Hello, Will, hello};
pub(super) use packet::{
    Answer, Auth, Filter, Options, Packet, Publish, RetainHandling, Subscribe, read,
};

/// The protocol level that a client chose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Version {
    /// MQTT 3.1.1, and 3.1 whose packets are the same.
    #[default]
    V4,
    /// MQTT 5.0.
    V5,
}

#[cfg(test)]
mod tests;
