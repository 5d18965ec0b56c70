//! Stations that call us: an MQTT server whose acknowledgement means "on disk".
//!
//! MQTT 3.1, 3.1.1 and 5.0 over TCP and TLS. Sessions, subscriptions and retained messages are kept in memory;
//! readings go to the journal, and a PUBACK or PUBREC leaves only against the [`Proof`](crate::Proof) of their commit.
//! What a client may touch is decided by its [`Entry`]; everything else is refused with a reason.

mod config; // where it listens and where each limit lies
mod gatekeeper; // who may come in
mod book; // as the registry knows it
mod door; // listeners, places, closing in order
mod places; // how many, in all and from one address
mod tls; // certificates
mod der; // the name in one
mod websocket; // a WebSocket as a stream
mod recognise; // who is calling
mod scram; // a key that is proved and not sent
mod login; // from a stream to somebody who is logged in
mod claim; // from a claim code to a key
mod peer; // what they may touch
mod live; // who is here, and by what
mod meter; // how much one may publish
mod access; // what a connection carries of all that
mod connection; // the loop of one client
mod requests; // what each packet does
mod told; // publishes in somebody else's words
mod inbound; // between a publish and its acknowledgement
mod end; // why a connection ends
mod socket; // a stream and its two buffers
mod broker; // what all connections share
mod posting; // the part of a publish that is kept on disk
mod restore; // what the log remembers, put back
mod routes; // who gets what
mod share; // one of a group
mod strays; // what nobody of a group can take now
mod session; // what is remembered of a client
mod flights; // what is on its way to it
mod aliases; // numbers for topics
mod crowd; // many who have mail
mod attachment; // the string between a session and its connection
mod message; // what is passed on
mod retained; // what is kept for those who come later
mod keep; // what is remembered of clients, on disk
mod tree; // who subscribed to what
mod topic; // names and filters
mod counters; // what is counted
mod wire; // bytes and packets
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing; // all of this that reads, for the fuzzer
#[cfg(any(test, fuzzing))]
mod talk; // a whole connection, for the fuzzer

pub use config::{Config, QueuePolicy, Rate, TlsConfig};
pub use door::{Addresses, Attacher, Door, DoorError, Keep, NoRoom, Publisher, Reloader, Reviewer};
pub use gatekeeper::{Admission, BadGrant, Credential, Denied, Entry, Gatekeeper, Grant};
pub use gatekeeper::{Provable, Review, Verb};
pub use keep::{SessionLog, SessionLogError};
pub use tls::TlsError;
pub(crate) use topic::{covers, is_filter};
pub use websocket::websocket_accept;
