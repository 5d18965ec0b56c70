//! Questions and answers as bytes: "MODBUS Application Protocol Specification V1.1b3", "MODBUS over Serial Line V1.02",
//! "MODBUS Messaging on TCP/IP Implementation Guide V1.0b". Pure; no byte is believed that was not asked for.

mod question; // what is asked, and which answer would fit it
mod rtu; // address, question, CRC
mod tcp; // transaction, unit, question

pub use question::{Block, Function, Judged, Question};
pub use rtu::{crc, frame as rtu_frame, look as rtu_look};
pub use tcp::{Frame, frame as tcp_frame, look as tcp_look};

/// What stands at the beginning of what was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look<T> {
    /// Not enough yet.
    More,
    /// A whole frame.
    Frame(T),
    /// No frame begins here, or a damaged one.
    Lost,
}
