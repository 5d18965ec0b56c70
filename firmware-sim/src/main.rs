//! Station simulator.
fn main() {}
