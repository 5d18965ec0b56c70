//! Which bus, which sensors on it, and where each limit lies.

use std::sync::Arc;
use std::time::Duration;

use domain::StationCode;

use super::answer::Address;
use super::profile::Profile;
use crate::line::{Place, Serial};

/// One bus.
#[derive(Debug, Clone)]
pub struct Config {
    /// What it is called in logs and metrics.
    pub name: String,
    /// Where its adapter is.
    pub place: Place,
    /// How the port to the adapter is set.
    pub serial: Serial,
    /// How long an answer is waited for: the adapter's break of 12 ms, the command and up to 80 characters of 8.3 ms each
    /// pass over the bus, whatever the port's own speed.
    pub answer_within: Duration,
    /// Silence before a command.
    pub pause: Duration,
    /// Silence that says that nothing more comes.
    pub quiet: Duration,
    /// A break that we hold ourselves, for a port without an adapter that does it; `None` where the adapter does.
    pub wake: Option<Duration>,
    /// How often a command is said in all where its answer is missing or damaged.
    pub tries: u32,
    /// A measurement that takes longer is not waited for.
    pub measure_max: Duration,
    /// A silent sensor is left alone for so long at first.
    pub late_max: Duration,
    /// The longest that a silent sensor is left alone.
    pub back_off_max: Duration,
    /// The longest wait between two tries to open the port.
    pub retry_max: Duration,
    /// Who is asked.
    pub sensors: Vec<SensorConfig>,
}

/// One sensor.
#[derive(Debug, Clone)]
pub struct SensorConfig {
    /// Whose readings these are.
    pub station: StationCode,
    /// Its address on the bus.
    pub address: Address,
    /// What its values mean.
    pub profile: Arc<Profile>,
    /// How often it is asked.
    pub every: Duration,
}
