//! One sonde: all its sensors, pushed one instant at a time.

use std::time::Duration;

use domain::{Act, ParameterCode, Timestamp};

use super::depth::Depth;
use super::envelope::{Clean, Envelope, Still};
use super::hours::{HOUR_MS, Hours, hour_of};
use super::order::{Desk, Order};
use super::response::{self, LAGS_H};
use super::service::{Past, Service};
use super::trace::{Jump, Trace};
use super::{Limits, Mark, Reason, Revision, Sense, Sensor};

/// Hours that must have been seen clean before an envelope speaks: two months.
const KNOWN_H: u32 = 60 * 24;

/// Below it, in the sensor's unit, a conductivity stands still by nature: fresh water is flat.
const FLAT: f64 = 0.3;

/// Water of an estuary in degrees Celsius; outside of it a thermometer is out of order (sea ice to a hot mud flat).
const WATER_C: std::ops::RangeInclusive<f64> = -3.0..=45.0;

/// What an instant brought to light.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Found {
    /// One mark for each sensor, in their order.
    pub marks: Vec<Mark>,
    /// Earlier readings that are judged anew, none older than [`super::HOURS_KEPT`] hours.
    pub revisions: Vec<Revision>,
    /// What a person may apply to readings that drifted.
    pub corrections: Vec<Correction>,
    /// Somebody has to go there.
    pub order: Option<Order>,
}

/// A backward correction that a person may apply.
#[derive(Debug, Clone, PartialEq)]
pub struct Correction {
    /// Of what.
    pub parameter: ParameterCode,
    /// First instant, included.
    pub from: Timestamp,
    /// Last instant, not included.
    pub to: Timestamp,
    /// What is to be added at the first instant, in the parameter's unit.
    pub start: f64,
    /// What is to be added at the end.
    pub end: f64,
}

impl Correction {
    /// As the act of an edit: a line in time.
    #[must_use]
    pub const fn act(&self) -> Act {
        Act::Drift { start: self.start, end: self.end }
    }
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
#[derive(Debug, Clone, PartialEq)]
pub struct Sentinel {
    limits: Limits,
    watched: Vec<Watched>,
    depth: Depth,
    desk: Desk,
    last_ms: Option<i64>,
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
        let watched = watched.collect();
        Self { limits, watched, depth: Depth::default(), desk: Desk::default(), last_ms: None }
    }

    /// From now on holds what comes against this envelope.
    pub fn know(&mut self, envelope: &Envelope) {
        for (it, clean) in self.watched.iter_mut().zip(&envelope.clean) {
            it.clean = clean.clone();
        }
    }

    /// The log says that the sonde was cleaned, calibrated or swapped at this time: to be told before the readings after it.
    pub fn visit(&mut self, at: Timestamp) {
        self.desk.close();
        for it in &mut self.watched {
            it.service.visit(at.as_millis());
        }
    }

    /// Takes what the sonde said at one instant: a value for each sensor, in their order. What is not later than what came
    /// before is not judged.
    pub fn push(&mut self, at: Timestamp, values: &[Option<f64>]) -> Found {
        let now = at.as_millis();
        if self.last_ms.is_some_and(|last| now <= last) {
            return self.late(values);
        }
        let mut found = Found::default();
        let turned = self.last_ms.replace(now).map(hour_of).filter(|hour| *hour < hour_of(now));
        if let Some(hour) = turned {
            self.each_hour(hour + 1, now, &mut found);
        }
        let jumps = self.jumps(now, values);
        let heat = self.heat(&jumps);
        let feverish = self.feverish(values);
        for ((it, jump), value) in self.watched.iter_mut().zip(jumps).zip(values) {
            let heat = if it.sensor.sense == Sense::Temperature { 0.0 } else { heat };
            it.service.see(jump, heat, &self.limits);
            let settled = it.service.settle(now, &it.hours, it.sensor.sense, &self.limits);
            let visited = it.service.visited(now, &it.hours, &self.limits);
            for past in visited.into_iter().chain(settled) {
                if it.sensor.sense == Sense::Salt {
                    self.desk.close();
                }
                it.tell(past, &mut found);
            }
            let (mark, since) = it.mark(now, *value, feverish, &self.limits);
            if let Some(since_ms) = since {
                let parameter = it.sensor.parameter.clone();
                let from = Timestamp::from_millis(since_ms);
                if it.sensor.sense == Sense::Salt {
                    let order = self.desk.call(Reason::Stuck, since_ms, now);
                    found.order = found.order.take().or(order);
                }
                found.revisions.push(Revision { parameter, from, to: at, reason: Reason::Stuck });
            }
            found.marks.push(mark);
        }
        found
    }

    fn late(&self, values: &[Option<f64>]) -> Found {
        let mark = |value: &Option<f64>| match value {
            Some(_) => Mark::because(Reason::Late),
            None => Mark::MISSING,
        };
        let marks = values.iter().take(self.watched.len()).map(mark).collect();
        Found { marks, ..Found::default() }
    }

    fn jumps(&mut self, now: i64, values: &[Option<f64>]) -> Vec<Option<Jump>> {
        let take = |(it, value): (&mut Watched, &Option<f64>)| {
            let value = value.filter(|value| value.is_finite())?;
            it.hours.push(now, value);
            it.trace.push(now, value)
        };
        self.watched.iter_mut().zip(values).map(take).collect()
    }

    /// The largest jump of a temperature, in natural ones.
    fn heat(&self, jumps: &[Option<Jump>]) -> f64 {
        let warm = self.watched.iter().zip(jumps);
        let warm = warm.filter(|(it, _)| it.sensor.sense == Sense::Temperature);
        warm.filter_map(|(_, jump)| jump.map(|jump| jump.times)).fold(0.0, f64::max)
    }

    /// Is a thermometer out of order?
    fn feverish(&self, values: &[Option<f64>]) -> bool {
        let warm = self.watched.iter().zip(values);
        warm.filter(|(it, _)| it.sensor.sense == Sense::Temperature).any(|(it, value)| {
            it.rough(&self.limits) || value.is_some_and(|value| !WATER_C.contains(&value))
        })
    }

    /// Looks at what is seen by the hour: the depth at which it hangs, and how the cell answers to the tide.
    fn each_hour(&mut self, hour: i64, now: i64, found: &mut Found) {
        let level = self.watched.iter().find(|it| it.sensor.sense == Sense::Level && it.known());
        if let Some(level) = level
            && let Some((from, to)) =
                self.depth.look(&level.hours, hour, level.clean.shift, &self.limits)
        {
            let (from_at, to_at) = (Timestamp::from_millis(from), Timestamp::from_millis(to));
            found.revisions.extend(self.watched.iter().map(|it| Revision {
                parameter: it.sensor.parameter.clone(),
                from: from_at,
                to: to_at,
                reason: Reason::WrongDepth,
            }));
            found.order = self.desk.call(Reason::WrongDepth, from, now);
        }
        let salt = self.watched.iter().find(|it| it.sensor.sense == Sense::Salt && it.known());
        if let Some(salt) = salt {
            let losses = LAGS_H.map(|lag| response::loss(&salt.hours, hour, lag));
            let order = self.desk.weigh(hour * HOUR_MS, losses, salt.clean.loss);
            found.order = found.order.take().or(order);
        }
    }
}

impl Watched {
    fn known(&self) -> bool {
        KNOWN_H <= self.clean.hours_seen
    }

    fn rough(&self, limits: &Limits) -> bool {
        self.known() && limits.rough.max(1.5 * self.clean.rough) < self.trace.rough()
    }

    fn tell(&self, past: Past, found: &mut Found) {
        let parameter = self.sensor.parameter.clone();
        let from = Timestamp::from_millis(past.from_ms);
        let to = Timestamp::from_millis(past.to_ms);
        let (start, end) = past.lost;
        found.corrections.push(Correction { parameter: parameter.clone(), from, to, start, end });
        found.revisions.push(Revision { parameter, from, to, reason: past.reason });
    }

    /// What is thought of a value at once, and since when it stands still where it stands still too long.
    fn mark(
        &mut self,
        now: i64,
        value: Option<f64>,
        feverish: bool,
        limits: &Limits,
    ) -> (Mark, Option<i64>) {
        let Some(value) = value else { return (Mark::MISSING, None) };
        if !value.is_finite() {
            return (Mark::because(Reason::NotANumber), None);
        }
        let salt = self.sensor.sense == Sense::Salt;
        let still = self.still.push(now, value) as f64;
        let needed = (1.5 * self.clean.still_ms as f64).max(limits.stuck_hours * HOUR_MS as f64);
        let stuck = self.known() && needed < still && !(salt && value < FLAT);
        let reason = match () {
            () if value < 0.0 && self.sensor.sense != Sense::Temperature => Some(Reason::BelowZero),
            () if feverish && (salt || self.sensor.sense == Sense::Temperature) => {
                Some(Reason::BadTemperature)
            }
            () if salt && self.rough(limits) => Some(Reason::Flicker),
            () if stuck => Some(Reason::Stuck),
            () => None,
        };
        (reason.map_or(Mark::GOOD, Mark::because), stuck.then(|| self.still.since_ms()))
    }
}
