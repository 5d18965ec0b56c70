//! What we believe: a value of a parameter at a station at a time, in our unit, with its flag.

use crate::{Flag, ParameterCode, StationCode, Timestamp};

/// One value of an admitted report.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// What was measured.
    pub parameter: ParameterCode,
    /// Its value in the parameter's unit; `None` when the sensor is missing.
    pub value: Option<f64>,
    /// How far it can be trusted: at the door only what the sensor said of itself
    /// ([`Flag::NotEvaluated`], [`Flag::Bad`] in calibration or error, [`Flag::Missing`]).
    pub flag: Flag,
}

/// An admitted report: readings of one station at one time. This is what the journal carries.
#[derive(Debug, Clone, PartialEq)]
pub struct Admitted {
    /// Who measured.
    pub station: StationCode,
    /// When, by the station's clock, settled.
    pub taken_at: Timestamp,
    /// When it reached us, by our clock.
    pub received_at: Timestamp,
    /// The station's count of its reports.
    pub seq: Option<u64>,
    /// The station said this is from its backlog.
    pub replay: bool,
    /// The values.
    pub values: Vec<Measured>,
}

impl Admitted {
    /// The readings one by one.
    pub fn readings(&self) -> impl Iterator<Item = Reading> + '_ {
        self.values.iter().map(|measured| Reading {
            station: self.station.clone(),
            parameter: measured.parameter.clone(),
            taken_at: self.taken_at,
            received_at: self.received_at,
            value: measured.value,
            flag: measured.flag,
            replay: self.replay,
        })
    }
}

/// One value at one station at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Who measured.
    pub station: StationCode,
    /// What was measured.
    pub parameter: ParameterCode,
    /// When, by the station's clock, settled.
    pub taken_at: Timestamp,
    /// When it reached us, by our clock.
    pub received_at: Timestamp,
    /// Its value in the parameter's unit; `None` when the sensor is missing.
    pub value: Option<f64>,
    /// How far it can be trusted.
    pub flag: Flag,
    /// The station said this is from its backlog.
    pub replay: bool,
}
