//! Sense of water: from readings to what they mean. Pure: no I/O, no tasks, no clock; `now` is an argument, and the
//! same inputs give the same bytes, so that live, recovered and replayed give the same answer.

mod derive; // what nobody measures, made of what was
pub mod quality; // how far a number can be trusted
pub mod rules; // what the trusted ones mean for the water
pub mod sentinel; // which probe is fouled, and since when

pub use derive::derive;
pub use quality::Quality;
pub use rules::{Analyzer, ForeignVersion, Restored, Snapshot, Standing};
