//! Stations behind somebody else's broker: we are its client, and acknowledge only what is on disk.
//!
//! Each [`Upstream`] is a broker with its topics; its workers each keep one MQTT connection. The wire is rumqttc's
//! codec; the loop is ours, because a connection has to go on pinging while it does not read (the disk is full), and an
//! acknowledgement must never reach another connection than the one its message came on.

mod config; // which broker, which topics
mod template; // where the station stands in a topic
mod frame; // where a packet ends
mod wire; // both versions of MQTT in one vocabulary
mod oversized; // a packet that is not kept, and what is told of it
mod tls; // whom we trust
mod dial; // from an address to a stream
mod take; // what becomes of one message
mod inbound; // between a message and its acknowledgement
mod connection; // the loop of one connection
pub(crate) mod backoff; // how long to wait before the next try
mod worker; // connect, serve, wait, again
mod counters; // what is counted
mod sound; // a broker that nobody knows yet
mod reader; // which of our formats a message has
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing; // what reads a broker's bytes, for the fuzzer

pub use config::{Address, BadAddress, Config, Login, Tls, Version};
pub use reader::{Read, Reader};
pub use sound::{Heard, Sounding, Unsounded, sound};
pub use template::{BadTemplate, Template};
pub use tls::{TlsError, connector};
pub use worker::{Upstream, UpstreamError};
