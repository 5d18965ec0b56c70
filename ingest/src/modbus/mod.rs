//! Stations that we ask: Modbus TCP, Modbus RTU on a serial port, and RTU through a TCP gateway.
//!
//! A [`Master`] is one line: one port, and slaves that are asked in turn. What a device's registers mean stands in its
//! [`Profile`], which is data. The wire is read here and not by a library, because the line's discipline is the point:
//! an answer counts only if it is whole, of the right slave, of the form that was asked for, and alone; after anything
//! else the line is emptied and opened anew, and the slave is asked again only when no late answer can be under way.

pub mod profile; // what a device's registers mean
mod plan; // the fewest questions
pub mod wire; // questions and answers as bytes
mod config; // which line, which slaves
mod line; // one question, one answer, nothing else
mod slave; // one poll of one device
mod said; // what was read, as a report and as text
mod orders; // what is written, by command
mod counters; // what is counted
mod master; // ask, commit, wait, again
mod sound; // a device whose registers nobody knows yet
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing; // answers of devices that nobody would build

pub use crate::line::ProfileError;
pub use crate::line::{Parity, Serial};
pub use config::{At, BadAt, Config, SlaveConfig};
pub use domain::raw::{Kind, Order, Raw};
pub use line::Fault;
pub use master::Master;
pub use plan::{COILS_MAX, REGISTERS_MAX, plan};
pub use profile::{Profile, Profiles};
pub use said::{TOPIC, decode};
pub use sound::{Sounding, Unsounded, Word, sound, words};
