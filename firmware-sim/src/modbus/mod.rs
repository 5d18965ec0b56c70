//! Modbus slaves, from the device's end: TCP, RTU through a gateway, RTU on a pseudo-terminal. The encoder is written
//! here and shared with nobody, so that a mistake of the engine's decoder shows. The dials make a slave do what slaves
//! and lines do in the field.

mod frame; // bytes of questions and answers
mod registers; // what stands where
mod dials; // what goes wrong
mod bus; // one line with its slaves
mod serve; // sockets and pseudo-terminals

pub use crate::pty::SerialLink;
pub use bus::Bus;
pub use dials::{Dials, Injected};
pub use registers::{PROOF, Question, Registers};
pub use serve::{serve_pty, serve_rtu, serve_tcp};
