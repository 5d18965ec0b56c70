//! Loggers that write lines of text, from the device's end, on a pseudo-terminal: one that is asked, and weather stations
//! that stream NMEA 0183. What they write is made here and shared with nobody, so that a mistake of the engine's reader
//! shows. The dials make a logger do what loggers and lines do in the field.

mod text; // lines as loggers write them
mod dials; // what goes wrong
mod logger; // one line with its loggers
mod plug; // a port that is pulled out and put in again

pub use crate::pty::SerialLink;
pub use dials::{Dials, Injected};
pub use logger::{Line, serve};
pub use plug::plugged;
pub use text::{PROOF_STEP, proof_of};
