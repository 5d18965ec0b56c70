//! The sentinel of a sonde: which probe is fouled, drifted, wrongly calibrated or hung at the wrong depth, and since when.
//! What is promised:
//!
//! - Only the past speaks. A reading gets its mark when it comes; what a later visit shows of it comes as a [`Revision`],
//!   never of readings older than [`HOURS_KEPT`] hours.
//! - The memory is bounded, whatever comes; the same readings give the same answers.
//! - The water of a station comes in as what is natural there: the sharp steps of the last two weeks, and an
//!   [`Envelope`] learned from readings that people found good. There is no number of a single station.
//! - It corrects nothing. What a person may apply is a [`Correction`].
//!
//! How it was found and what it reaches stands in `docs/sentinel.md`.

mod words; // what it is told and what it answers
mod hours; // all the past that is kept
mod trace; // a sharp step, and how large one is by nature
mod onset; // when a drift began
mod service; // what a visit tells of the days before
mod depth; // at which depth the sonde hangs
mod response; // how a cell answers to the tide
mod envelope; // what a sonde does while it is clean
mod order; // somebody has to go there
mod limits; // the few numbers of the method
mod sonde; // all sensors of one sonde

pub use envelope::{Clean, Envelope, Learner};
pub use hours::HOURS_KEPT;
pub use limits::Limits;
pub use order::Order;
pub use sonde::{Correction, Found, Sentinel};
pub use words::{Mark, Reason, Revision, Sense, Sensor};

#[cfg(test)]
mod tests;
