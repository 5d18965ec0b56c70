//! One sensor's short past: the sharp step in the middle of the last readings, and how large such a step is in this water
//! by nature. A tide moves; a probe that was cleaned jumps.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::hours::HOUR_MS;

/// What a step is measured over, on either side.
const SIDE_MS: i64 = 45 * 60_000;

/// Over how long the natural step is averaged: a spring-neap cycle.
const NATURE_MS: f64 = 14.0 * 24.0 * HOUR_MS as f64;

/// A single step counts as at most so many natural ones when their mean is updated, so that a fault does not teach.
const NATURE_CAP: f64 = 6.0;

/// Natural steps that no water makes again and again.
const ROUGH_TIMES: f64 = 12.0;

/// Over how long they are counted.
const ROUGH_MS: f64 = 24.0 * HOUR_MS as f64;

/// Readings that must have been seen before a step is spoken of: two days of one every 15 minutes.
const WARM: u32 = 192;

/// Longest time that the readings of one step may span beyond their rhythm: a sonde is swapped within it.
const GAP_MS: i64 = 3 * HOUR_MS;

/// A sharp change of level.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Jump {
    /// The reading in the middle, milliseconds since the epoch.
    pub at_ms: i64,
    /// After less before, in the sensor's unit.
    pub size: f64,
    /// How many natural steps that is, without sign.
    pub times: f64,
}

/// The last readings of one sensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Trace {
    side: usize,
    interval_ms: i64,
    floor: f64,
    last: VecDeque<(i64, f64)>,
    nature: f64,
    seen: u32,
    rough: f64,
}

impl Trace {
    /// A sensor that speaks every `interval_ms` and tells apart no less than `resolution`.
    pub fn new(interval_ms: i64, resolution: f64) -> Self {
        let interval_ms = interval_ms.max(1_000);
        let side = usize::try_from(SIDE_MS / interval_ms).unwrap_or(2).clamp(2, 9);
        let floor = (0.4 * resolution).max(1e-9);
        Self { side, interval_ms, floor, last: VecDeque::new(), nature: floor, seen: 0, rough: 0.0 }
    }

    /// Takes a reading and measures the step around the one in the middle of the last few.
    pub fn push(&mut self, at_ms: i64, value: f64) -> Option<Jump> {
        self.last.push_back((at_ms, value));
        let all = 2 * self.side + 1;
        if self.last.len() > all {
            self.last.pop_front();
        }
        if self.last.len() < all {
            return None;
        }
        let span = at_ms - self.last.front()?.0;
        if span > self.interval_ms * (all as i64 + 1) + GAP_MS {
            return None;
        }
        let middle = self.last.get(self.side)?.0;
        let before = median(self.last.iter().take(self.side).map(|&(_, value)| value))?;
        let after = median(self.last.iter().skip(self.side + 1).map(|&(_, value)| value))?;
        let size = after - before;
        let times = size.abs() / self.nature.max(self.floor);
        self.learn(size.abs());
        let weight = (self.interval_ms as f64 / ROUGH_MS).min(1.0);
        let large = if self.seen >= WARM && ROUGH_TIMES <= times { 1.0 } else { 0.0 };
        self.rough += weight * (large - self.rough);
        (self.seen >= WARM).then_some(Jump { at_ms: middle, size, times })
    }

    /// The share of the last day's steps that no water makes.
    pub const fn rough(&self) -> f64 {
        self.rough
    }

    fn learn(&mut self, size: f64) {
        self.seen = self.seen.saturating_add(1);
        let weight = (self.interval_ms as f64 / NATURE_MS).max(1.0 / f64::from(self.seen)).min(1.0);
        let cap =
            if self.seen < WARM { f64::INFINITY } else { NATURE_CAP * self.nature.max(self.floor) };
        self.nature += weight * (size.min(cap) - self.nature);
    }
}

/// The middle value; of two middle ones the mean.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    let half = values.len() / 2;
    let upper = *values.get(half)?;
    if values.len() % 2 == 1 { Some(upper) } else { Some((values.get(half - 1)? + upper) / 2.0) }
}
