//! Sensors on an SDI-12 bus, from the sensors' end, behind an adapter that passes characters on (a pseudo-terminal). What
//! they write is made here and shared with nobody, so that a mistake of the engine's reader shows. The dials make a sensor
//! do what sensors and buses do in the field.

mod sensor; // what a sensor answers
mod dials; // what goes wrong
mod bus; // one bus with its sensors

pub use crate::pty::SerialLink;
pub use bus::{Bus, serve};
pub use dials::{Dials, Injected};
pub use sensor::{proof, proof_all};
