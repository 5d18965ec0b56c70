//! Loggers that write lines of text on a serial port: some stream, some answer a command. How a device's lines are to be
//! read stands in its [`Profile`], which is data.
//!
//! A line counts only if it is whole, its check is right, and it has the words that its profile says. What is not is
//! refused with its reason and kept: half a line (its beginning was not heard, or it stopped in the middle), an endless
//! one, noise, a wrong check, another number of words. A port that is pulled out is found again by its path.

pub mod profile; // how a device's lines are to be read
mod check; // what stands behind a line to prove it
mod ear; // bytes to lines
mod judge; // a line to a report
mod spoken; // which line speaks how, for letters that are sent in again
mod config; // which port, which loggers
mod counters; // what is counted
mod fault; // why there is no line
mod scribe; // what becomes of what was heard
mod port; // one question, its lines, nothing else
mod listen; // a logger that streams
mod ask; // loggers that are asked in turn
mod loggers; // every line there is
mod guess; // a device whose lines nobody knows yet
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing; // lines that nobody would write

pub use crate::line::{BadPlace, Parity, Place, ProfileError, Serial};
pub use config::{Config, LoggerConfig};
pub use ear::{Ear, Heard};
pub use guess::{Guess, Listening, guess, hear_lines};
pub use judge::Judged;
pub use loggers::Loggers;
pub use profile::{Profile, Profiles};
pub(crate) use spoken::Spoken;
