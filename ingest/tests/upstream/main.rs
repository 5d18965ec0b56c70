//! The upstream client against a broker that we make misbehave. Real brokers stand in
//! tests/peers/test_upstream.py.

mod stand; // an upstream with real journals
mod scripted; // a broker that does what a test says
mod trouble; // what a broker must not do, and what happens then
