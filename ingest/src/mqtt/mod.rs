//! Stations that call us: an MQTT server whose acknowledgement means "on disk".
//!
//! MQTT 3.1, 3.1.1 and 5.0 over TCP and TLS. Sessions, subscriptions and retained messages are kept in memory;
//! readings go to the journal, and a PUBACK or PUBREC leaves only against the [`Proof`](crate::Proof) of their commit.
//! What a client may touch is decided by its [`Entry`]; everything else is refused with a reason.

mod config; // where it listens and where each limit lies
mod gatekeeper; // who may come in
mod door; // listeners, places, closing in order
mod places; // how many, in all and from one address
mod tls; // certificates
mod login; // from a stream to somebody who is logged in
mod peer; // what they may touch
mod connection; // the loop of one client
mod requests; // what each packet does
mod told; // publishes in somebody else's words
mod inbound; // between a publish and its acknowledgement
mod end; // why a connection ends
mod socket; // a stream and its two buffers
mod broker; // what all connections share
mod routes; // who gets what
mod share; // one of a group
mod session; // what is remembered of a client
mod flights; // what is on its way to it
mod aliases; // numbers for topics
mod attachment; // the string between a session and its connection
mod message; // what is passed on
mod retained; // what is kept for those who come later
mod tree; // who subscribed to what
mod topic; // names and filters
mod counters; // what is counted
mod wire; // bytes and packets

pub use config::{Config, TlsConfig};
pub use door::{Addresses, Door, DoorError, Keep, Publisher, Reloader};
pub use gatekeeper::{BadFilter, Denied, Entry, Gatekeeper, Grant, Verb};
pub use tls::TlsError;
pub(crate) use topic::{covers, is_filter};
