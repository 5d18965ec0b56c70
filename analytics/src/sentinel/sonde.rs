//! One sonde: all its sensors, pushed one instant at a time.

use std::time::Duration;

use domain::{Flag, Timestamp};
use serde::{Deserialize, Serialize};

use super::depth::Depth;
use super::envelope::{Clean, Envelope, Still};
use super::hours::{HOUR_MS, Hours, hour_of};
use super::response::{self, LAGS_H};
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
    /// loss
    pub losses: Vec<(usize, f64, f64)>,
}

#[derive(Debug, Clone, PartialEq)]
struct Watched {
    sensor: Sensor,
    clean: Clean,
    trace: Trace,
    hours: Hours,
    service: Service,
    still: Still,
}

/// Watches one sonde.
pub struct Sentinel {
    limits: Limits,
    watched: Vec<Watched>,
    depth: Depth,
    last_ms: Option<i64>,
}

impl Watched {
    fn rough(&self, limits: &Limits) -> bool {
        24 * 60 <= self.clean.hours_seen && limits.rough.max(1.5 * self.clean.rough) < self.trace.rough()
    }
}

impl Sentinel {
    /// A sonde with these sensors, that speaks every `interval`.
    #[must_use]
    pub fn new(sensors: &[Sensor], interval: Duration, limits: Limits) -> Self {
        let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
        let watched = sensors.iter().map(|sensor| Watched {
            sensor: sensor.clone(),
            clean: Clean::default(),
            trace: Trace::new(interval_ms, sensor.resolution),
            hours: Hours::default(),
            service: Service::default(),
            still: Still::default(),
        });
        Self { limits, watched: watched.collect(), depth: Depth::default(), last_ms: None }
    }

    /// From now on holds what comes against this envelope.
    pub fn know(&mut self, envelope: &Envelope) {
        for (it, clean) in self.watched.iter_mut().zip(&envelope.clean) {
            it.clean = clean.clone();
        }
    }

    /// Takes what the sonde said at one instant: a value for each sensor, in their order.
    pub fn push(&mut self, at: Timestamp, values: &[Option<f64>]) -> Found {
        let now = at.as_millis();
        let mut found = Found::default();
        let turned = self.last_ms.map(hour_of).filter(|before| *before < hour_of(now));
        self.last_ms = Some(now);
        if let Some(hour) = turned {
            self.each_hour(hour + 1, &mut found);
        }
        let jumps: Vec<_> = self.watched.iter_mut().zip(values).map(|(it, value)| {
            let value = value.filter(|value| value.is_finite())?;
            it.hours.push(now, value);
            it.trace.push(now, value)
        }).collect();
        let heat = self.watched.iter().zip(&jumps)
            .filter(|(it, _)| it.sensor.sense == Sense::Temperature)
            .filter_map(|(_, jump)| jump.map(|jump| jump.times)).fold(0.0, f64::max);
        let feverish = self.watched.iter().zip(values)
            .filter(|(it, _)| it.sensor.sense == Sense::Temperature)
            .any(|(it, value)| it.rough(&self.limits) || value.is_some_and(|value| !(-3.0..=45.0).contains(&value)));
        for ((it, jump), value) in self.watched.iter_mut().zip(jumps).zip(values) {
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
            let mut mark = Mark { flag: Flag::Good, reason: None };
            if let Some(value) = value {
                let still = it.still.push(now, *value);
                let natural = if it.clean.hours_seen < 24 * 60 { i64::MAX } else { it.clean.still_ms };
                let needed = (1.5 * natural as f64).max(self.limits.stuck_hours * HOUR_MS as f64);
                let fresh = it.sensor.sense == Sense::Salt && *value < 0.3;
                if needed < still as f64 && !fresh {
                    mark = Mark { flag: Flag::Suspect, reason: Some(Reason::Stuck) };
                    found.revisions.push(Revision {
                        parameter: it.sensor.parameter.clone(),
                        from: Timestamp::from_millis(it.still.since_ms()),
                        to: at,
                        reason: Reason::Stuck,
                    });
                }
                if it.rough(&self.limits) && it.sensor.sense == Sense::Salt {
                    mark = Mark { flag: Flag::Suspect, reason: Some(Reason::Flicker) };
                }
                if feverish && matches!(it.sensor.sense, Sense::Salt | Sense::Temperature) {
                    mark = Mark { flag: Flag::Suspect, reason: Some(Reason::BadTemperature) };
                }
                if *value < 0.0 && it.sensor.sense != Sense::Temperature {
                    mark = Mark { flag: Flag::Bad, reason: Some(Reason::BelowZero) };
                }
            }
            found.marks.push(mark);
        }
        found
    }

    fn each_hour(&mut self, hour: i64, found: &mut Found) {
        let level = self.watched.iter().find(|it| it.sensor.sense == Sense::Level);
        let level = level.filter(|it| 24 * 60 <= it.clean.hours_seen);
        if let Some(level) = level
            && let Some((from, to)) = self.depth.look(&level.hours, hour, level.clean.shift, &self.limits)
        {
            found.revisions.extend(self.watched.iter().map(|it| Revision {
                parameter: it.sensor.parameter.clone(),
                from: Timestamp::from_millis(from),
                to: Timestamp::from_millis(to),
                reason: Reason::WrongDepth,
            }));
        }
        for it in self.watched.iter().filter(|it| it.sensor.sense == Sense::Salt) {
            for (i, lag) in LAGS_H.iter().enumerate() {
                if let Some(loss) = response::loss(&it.hours, hour, *lag) {
                    found.losses.push((i, loss, it.clean.loss[i]));
                }
            }
        }
    }
}
