//! The upstream client against a broker that we make misbehave. Real brokers stand in
//! tests/peers/test_upstream.py.
#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod stand; // an upstream with real journals
mod scripted; // a broker that does what a test says
mod trouble; // what a broker must not do, and what happens then
