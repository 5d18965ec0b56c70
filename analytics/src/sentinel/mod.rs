//! The sentinel of a sonde.

mod words; // what it is told and what it answers
mod hours; // all the past that is kept
mod trace; // a sharp step, and how large one is by nature
mod onset; // when a drift began
mod service; // what a visit tells of the days before
mod depth; // at which depth the sonde hangs
mod response; // how a cell answers to the tide
mod envelope; // what a sonde does while it is clean
mod limits; // the few numbers of the method
mod sonde; // all sensors of one sonde

pub use envelope::{Clean, Envelope, Learner};
pub use hours::HOURS_KEPT;
pub use limits::Limits;
pub use sonde::{Found, Sentinel};
pub use words::{Mark, Reason, Revision, Sense, Sensor};
