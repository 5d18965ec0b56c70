//! From bytes on a wire to a reading on disk, and the acknowledgement back.

mod formats; // bytes to a report: what the station said
mod admit; // what we believe of it
mod record; // an admitted report as the journal carries it
mod piece; // readings of the past on their way in
mod deadletter; // what we do not believe, kept
mod said; // what a station says beside its readings
mod answers; // what that means
mod again; // a dead letter, read again
mod clocks; // how far the stations' clocks are from ours
mod intake; // many packets, one commit, one proof
mod seqs; // which reports are missing
mod stations; // whom there is, and what others call them
mod told; // messages in somebody else's words
pub mod mqtt; // stations that call us
pub mod drop; // stations that leave files
pub mod upstream; // stations behind somebody else's broker
pub mod line; // what every line has that we ask or listen on
pub mod modbus; // stations that we ask
pub mod serial; // loggers that write lines of text
pub mod sdi12; // sensors on a bus of their own
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing; // all that reads bytes of others, for bytes that nobody would send

pub use admit::{ADMIT, Admission, Limits, ParameterTable, admit};
pub use again::auto_shifts;
pub use answers::{Receipt, Reported, says_offline};
pub use clocks::{CLOCK_OFF_MAX_MS, ClockOffset, Clocks, SavedClocks};
pub use deadletter::DeadLetter;
pub use domain::Format;
pub use formats::line_protocol::Precision;
pub use formats::shape::{Shape, Way};
pub use formats::{
    REPORTS_MAX, VALUES_MAX, bytes, chirpstack, chirpstack_device, circular10, json, senml,
    sparkplug, table, thingsboard,
};
pub use intake::{Accounts, Answer, Batch, Body, Came, Intake, Pass, Proof};
pub use piece::{BadPiece, PIECE_RECORDS_MAX, Piece};
pub use record::{BadRecord, Decoder, Record};
pub use said::{SAID_BYTES_MAX, Said, What};
pub use seqs::{Ask, Due, Gap, Gaps, Heard, RANGES_MAX, SavedSeqs, Seqs};
pub use stations::Stations;
