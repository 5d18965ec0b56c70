//! One sonde: all its sensors, pushed one instant at a time.

use std::time::Duration;

use domain::{Flag, Timestamp};

use super::hours::Hours;
use super::service::Service;
use super::trace::Trace;
use super::{Limits, Mark, Reason, Revision, Sense, Sensor};

/// What an instant brought to light.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Found {
    /// One mark for each sensor, in their order.
    pub marks: Vec<Mark>,
    /// Earlier readings that are judged anew.
    pub revisions: Vec<Revision>,
}

struct Watched {
    sensor: Sensor,
    trace: Trace,
    hours: Hours,
    service: Service,
}

/// Watches one sonde.
pub struct Sentinel {
    limits: Limits,
    watched: Vec<Watched>,
    last_ms: Option<i64>,
}

impl Sentinel {
    /// A sonde with these sensors, that speaks every `interval`.
    #[must_use]
    pub fn new(sensors: &[Sensor], interval: Duration, limits: Limits) -> Self {
        let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
        let watched = sensors.iter().map(|sensor| Watched {
            sensor: sensor.clone(),
            trace: Trace::new(interval_ms, sensor.resolution),
            hours: Hours::default(),
            service: Service::default(),
        });
        Self { limits, watched: watched.collect(), last_ms: None }
    }

    /// Takes what the sonde said at one instant: a value for each sensor, in their order.
    pub fn push(&mut self, at: Timestamp, values: &[Option<f64>]) -> Found {
        let now = at.as_millis();
        let mut found = Found::default();
        self.last_ms = Some(now);
        let jumps: Vec<_> = self.watched.iter_mut().zip(values).map(|(it, value)| {
            let value = value.filter(|value| value.is_finite())?;
            it.hours.push(now, value);
            it.trace.push(now, value)
        }).collect();
        let heat = self.watched.iter().zip(&jumps)
            .filter(|(it, _)| it.sensor.sense == Sense::Temperature)
            .filter_map(|(_, jump)| jump.map(|jump| jump.times)).fold(0.0, f64::max);
        for (it, jump) in self.watched.iter_mut().zip(jumps) {
            let heat = if it.sensor.sense == Sense::Temperature { 0.0 } else { heat };
            it.service.see(jump, heat, &self.limits);
            if let Some(past) = it.service.settle(now, &it.hours, it.sensor.sense, &self.limits) {
                found.revisions.push(Revision {
                    parameter: it.sensor.parameter.clone(),
                    from: Timestamp::from_millis(past.from_ms),
                    to: Timestamp::from_millis(past.to_ms),
                    reason: past.reason,
                });
            }
            found.marks.push(Mark { flag: Flag::Good, reason: None });
        }
        let _ = Reason::ALL;
        found
    }
}
