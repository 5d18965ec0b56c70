//! MQTT 3.1.1 and 5.0 on the wire. The packets' inner layouts come from rumqttc's `mqttbytes`; this folder is what
//! stands before it, because a codec made for a client trusts its broker: a length is checked before anything is
//! allocated, flags and properties are checked before anything is read, and PUBLISH, which is nearly all of the
//! traffic, is read in place without a copy.
//!
//! Known of rumqttc 0.25 and stepped around here: a v5 DISCONNECT without a body (`E0 00`, what most clients send) is
//! an error to it, property sections may run over their own end, properties may repeat, reserved flags are ignored.

mod bad; // what is wrong with a packet, and how it is answered
mod frame; // where a packet ends
mod properties; // the property sections of MQTT 5
mod hello; // CONNECT
mod packet; // everything a client sends after it
mod encode; // everything we send

pub(super) use bad::Bad;
pub(super) use encode::{Outgoing, Welcome, publish_bytes};
pub(super) use encode::{
    Refused, connack, disconnect, pingresp, puback, publish, suback, unsuback,
};
pub(super) use frame::peek;
pub(super) use hello::{Hello, Will, hello};
pub(super) use packet::{Filter, Packet, Publish, RetainHandling, read};

/// The protocol level that a client chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// MQTT 3.1.1.
    V4,
    /// MQTT 5.0.
    V5,
}

#[cfg(test)]
mod tests;
