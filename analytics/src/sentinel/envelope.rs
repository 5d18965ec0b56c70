//! What a sonde does while it is clean: learned from readings that people found good, and held against what comes later.
//! A few numbers a sensor, whatever the length of the history.

use std::time::Duration;

use domain::Timestamp;
use serde::{Deserialize, Serialize};

use super::Sensor;
use super::depth::{self, SIDE_H};
use super::hours::{HOUR_MS, Hours, hour_of};
use super::response::{self, LAGS_H};
use super::trace::Trace;

/// What one sensor did.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Clean {
    /// The longest time that it stood still, milliseconds.
    pub(super) still_ms: i64,
    /// The largest shift of its mean from some days to the next.
    pub(super) shift: f64,
    /// The largest loss that looked like fouling and was not, for each lag.
    pub(super) loss: [f64; LAGS_H.len()],
    /// The largest share of a day's steps that were too large for water and came all the same.
    pub(super) rough: f64,
    /// Hours that it was seen.
    pub(super) hours_seen: u32,
}

/// What a sonde does while it is clean.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Envelope {
    /// In the order of the sensors.
    pub(super) clean: Vec<Clean>,
}

/// Learns an [`Envelope`] from history.
#[derive(Debug, Clone)]
pub struct Learner {
    learnt: Vec<Learning>,
    last_ms: Option<i64>,
}

#[derive(Debug, Clone)]
struct Learning {
    clean: Clean,
    hours: Hours,
    still: Still,
    trace: Trace,
}

/// Since when a sensor says the same.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Still {
    since_ms: i64,
    last_ms: i64,
    value: Option<f64>,
}

impl Still {
    /// Takes a reading; how long the value has stood still.
    pub fn push(&mut self, at_ms: i64, value: f64) -> i64 {
        let gap = 6 * HOUR_MS < at_ms - self.last_ms;
        if self.value != Some(value) || gap {
            *self = Self { since_ms: at_ms, last_ms: at_ms, value: Some(value) };
        }
        self.last_ms = at_ms;
        at_ms - self.since_ms
    }

    /// Since when.
    pub const fn since_ms(&self) -> i64 {
        self.since_ms
    }
}

impl Learner {
    /// Learns of a sonde with these sensors, that speaks every `interval`.
    #[must_use]
    pub fn new(sensors: &[Sensor], interval: Duration) -> Self {
        let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
        let learnt = sensors.iter().map(|sensor| Learning {
            clean: Clean::default(),
            hours: Hours::default(),
            still: Still::default(),
            trace: Trace::new(interval_ms, sensor.resolution),
        });
        Self { learnt: learnt.collect(), last_ms: None }
    }

    /// Learns from one instant: a value for each sensor, `None` where it was not good. What goes back in time is left out.
    pub fn push(&mut self, at: Timestamp, good: &[Option<f64>]) {
        let now = at.as_millis();
        if self.last_ms.is_some_and(|last| now <= last) {
            return;
        }
        let before = self.last_ms.replace(now).map(hour_of);
        let turned = before.filter(|before| *before < hour_of(now));
        for (learning, value) in self.learnt.iter_mut().zip(good) {
            if let Some(hour) = turned {
                learning.look(hour + 1);
            }
            if let Some(value) = value.filter(|value| value.is_finite()) {
                learning.hours.push(now, value);
                learning.trace.push(now, value);
                learning.clean.rough = learning.clean.rough.max(learning.trace.rough());
                let still = learning.still.push(now, value);
                learning.clean.still_ms = learning.clean.still_ms.max(still);
            }
        }
    }

    /// What was learned.
    #[must_use]
    pub fn envelope(self) -> Envelope {
        Envelope { clean: self.learnt.into_iter().map(|it| it.clean).collect() }
    }
}

impl Learning {
    /// Looks at a whole hour that has gone by.
    fn look(&mut self, hour: i64) {
        if self.hours.at(hour - 1).is_some() {
            self.clean.hours_seen = self.clean.hours_seen.saturating_add(1);
        }
        if let Some(shift) = depth::shift(&self.hours, hour - SIDE_H) {
            self.clean.shift = self.clean.shift.max(shift.abs());
        }
        for (most, lag) in self.clean.loss.iter_mut().zip(LAGS_H) {
            *most = response::loss(&self.hours, hour, lag).map_or(*most, |loss| most.max(loss));
        }
    }
}
