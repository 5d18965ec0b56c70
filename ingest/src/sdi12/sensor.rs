//! One sensor: whose turn it is, where its measurement is, and whether it is there.

use tokio::time::Instant;

use crate::line::{Breaker, Cadence};

use super::bus::Bus;
use super::config::SensorConfig;
use super::fault::Fault;
use super::measure::{Begun, Measured, Underway};

/// See the module.
pub(super) struct Sensor {
    pub(super) config: SensorConfig,
    pub(super) cadence: Cadence,
    pub(super) breaker: Breaker,
    /// Did it answer since it was silent? One that did not is asked once and no more.
    is_there: bool,
    /// A measurement that it makes while others are asked, and which of its profile's.
    underway: Option<(usize, Underway)>,
    pub(super) outcome: &'static str,
}

/// What a step brought: which measurement of the profile, and its values.
pub(super) type Step = (usize, Measured);

impl Sensor {
    pub(super) fn new(config: SensorConfig, cadence: Cadence) -> Self {
        Self {
            config,
            cadence,
            breaker: Breaker::default(),
            is_there: false,
            underway: None,
            outcome: "",
        }
    }

    /// When it is next to be asked.
    pub(super) fn due(&self) -> Instant {
        self.underway.as_ref().map_or(self.cadence.due(), |(_, underway)| underway.ready_at)
    }

    /// Does it measure while others are asked?
    pub(super) fn is_underway(&self) -> bool {
        self.underway.is_some()
    }

    /// The sensor was silent, or something else: nothing of it is under way.
    pub(super) fn lost(&mut self) {
        self.is_there = false;
        self.underway = None;
    }

    /// Goes on with what is under way, or begins a turn: all measurements of the profile in their order, until one is
    /// under way. What was measured is told one by one.
    pub(super) async fn step(&mut self, bus: &mut Bus, found: &mut Vec<Step>) -> Result<(), Fault> {
        let (address, profile) = (self.config.address, self.config.profile.clone());
        let mut next = 0;
        if let Some((at, underway)) = self.underway.take() {
            let measure = &profile.measures[at];
            found.push((at, bus.finish(address, measure, profile.crc, underway).await?));
            next = at + 1;
        } else if !self.is_there {
            bus.is_the_sensor(address, &profile, 1).await?;
            self.is_there = true;
        }
        for (at, measure) in profile.measures.iter().enumerate().skip(next) {
            let (begun, served) = bus.begin(address, measure, profile.crc).await?;
            if !served {
                bus.counters.unserved(&self.config.station);
            }
            match begun {
                Begun::Done(measured) => found.push((at, measured)),
                Begun::Underway(underway) => {
                    self.underway = Some((at, underway));
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
