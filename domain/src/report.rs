//! What a station said, before anything of it is believed.

use std::borrow::Cow;

use crate::Timestamp;

/// The time a report gives for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stated {
    /// The station's clock said this instant.
    At(Timestamp),
    /// No time was given: it is the time of arrival.
    OnArrival,
}

/// What a sensor was doing when it gave the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Measuring (Circular 10/2021: `00`).
    Measuring,
    /// Being calibrated (`01`): the value is not the water's.
    Calibrating,
    /// In error (`02`).
    Fault,
}

/// One field of a report. The name is the station's own and may borrow from the packet.
#[derive(Debug, Clone, PartialEq)]
pub struct Said<'a> {
    /// The field's name, as the station spells it.
    pub name: Cow<'a, str>,
    /// Its value in the station's unit; `None` when the station says the sensor is missing.
    pub value: Option<f64>,
    /// The unit that the station states for it, if it states one.
    pub unit: Option<Cow<'a, str>>,
    /// What the sensor was doing.
    pub status: Status,
}

/// What a station said in one breath: one time, some values.
#[derive(Debug, Clone, PartialEq)]
pub struct Report<'a> {
    /// When, by the station's clock.
    pub taken: Stated,
    /// The station's own count of its reports; gaps in it can be named.
    pub seq: Option<u64>,
    /// The station says this is from its backlog, not from now.
    pub replay: bool,
    /// The values.
    pub values: Vec<Said<'a>>,
}
