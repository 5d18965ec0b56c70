//! Station simulator.
