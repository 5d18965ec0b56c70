//! Sensors on an SDI-12 bus (version 1.4), behind an adapter that passes characters on: it wakes the bus with a break where
//! the port itself is not told to.
//!
//! A [`Sensors`] is one bus, on which sensors are asked in turn. What a sensor's values mean stands in its [`Profile`],
//! which is data. An answer counts only if it is whole, of the address that was asked, in the form that was asked for, and
//! its CRC is right where one was asked for; a measurement counts only if as many values come as the sensor promised, and
//! as many as its profile says.

pub mod profile; // what a sensor's values mean
mod answer; // answers as they are written
mod config; // which bus, which sensors
mod counters; // what is counted
mod fault; // why there is no answer
mod bus; // one command, one answer, nothing else
mod measure; // a measurement, from its start to its values
mod said; // what was measured, as a report and as text
mod sensor; // one turn of one sensor
mod sensors; // every bus there is
mod sound; // sensors that nobody knows yet
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing; // answers of sensors that nobody would build

pub use crate::line::{BadPlace, Parity, Place, ProfileError, Serial};
pub use answer::{Address, Identity};
pub use config::{Config, SensorConfig};
pub use profile::{Command, Profile, Profiles};
pub use said::decode;
pub use sensors::Sensors;
pub use sound::{Sounding, Unsounded, find, identify, measure_once};
