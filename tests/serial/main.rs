//! From a serial port to the journal: loggers and sensors of `firmware-sim` on pseudo-terminals, and ports on which a test
//! itself writes what no device should.
#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod stand; // lines and a journal
mod asked; // loggers that are asked
mod streaming; // loggers that stream
mod broken; // what no logger should write
mod sensors; // SDI-12
