//! The front door on real sockets.
#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod stand; // a door, its journals, and raw clients
mod readings; // from a publish to its acknowledgement
mod told; // in somebody else's words
mod exactly; // QoS 2, both ways
mod five; // what MQTT 5 adds
mod group; // when nobody of a group has room
mod login; // who comes in
mod access; // and until when
mod messages; // subscriptions, retained messages, sessions, wills
mod kept; // sessions over power cuts
mod faults; // bad input, half-open handshakes, clients that never read
mod peers; // clients that we did not write, and TLS
mod fanout; // many who listen, and some who never read
mod bounds; // where each limit lies
mod counts; // what was counted
