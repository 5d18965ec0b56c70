//! Hourly means of one sensor over the last weeks: all the past that the sentinel keeps, so its memory is bounded whatever
//! a station sends and however often.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Milliseconds of an hour.
pub(super) const HOUR_MS: i64 = 3_600_000;

/// Hours that are kept. A sonde is serviced every two to four weeks; six weeks hold the whole of a
/// deployment and the visit before it. 1,008 hours of 12 bytes are 12 kB a sensor.
pub const HOURS_KEPT: usize = 42 * 24;

/// Readings of one hour.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Bin {
    sum: f64,
    count: u32,
}

/// The last [`HOURS_KEPT`] hours.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Hours {
    /// The hour, counted from the epoch, of the first bin.
    first: i64,
    bins: VecDeque<Bin>,
}

impl Hours {
    /// Adds one reading. One from before the hours that are kept changes nothing.
    pub fn push(&mut self, at_ms: i64, value: f64) {
        let hour = at_ms.div_euclid(HOUR_MS);
        let kept = HOURS_KEPT as i64;
        if self.bins.is_empty() || hour - self.first >= 2 * kept {
            self.bins.clear();
            self.first = hour;
        }
        if hour < self.first {
            return;
        }
        while self.first + self.bins.len() as i64 <= hour {
            self.bins.push_back(Bin::default());
        }
        while self.bins.len() > HOURS_KEPT {
            self.bins.pop_front();
            self.first += 1;
        }
        if let Some(bin) =
            usize::try_from(hour - self.first).ok().and_then(|i| self.bins.get_mut(i))
        {
            bin.sum += value;
            bin.count += 1;
        }
    }

    /// The mean of one hour.
    pub fn at(&self, hour: i64) -> Option<f64> {
        let bin = self.bins.get(usize::try_from(hour.checked_sub(self.first)?).ok()?)?;
        (bin.count > 0).then(|| bin.sum / f64::from(bin.count))
    }

    /// The mean of `count` hours from `hour` on, where at least half of them were measured.
    pub fn mean(&self, hour: i64, count: i64) -> Option<f64> {
        let known: Vec<f64> = (hour..hour + count).filter_map(|hour| self.at(hour)).collect();
        let enough = count <= 2 * known.len() as i64 && !known.is_empty();
        enough.then(|| known.iter().sum::<f64>() / known.len() as f64)
    }

    /// Smallest and largest hourly mean of `count` hours from `hour` on, where at least three quarters were measured.
    pub fn extremes(&self, hour: i64, count: i64) -> Option<(f64, f64)> {
        let known: Vec<f64> = (hour..hour + count).filter_map(|hour| self.at(hour)).collect();
        let enough = 3 * count <= 4 * known.len() as i64 && !known.is_empty();
        let low = known.iter().copied().fold(f64::INFINITY, f64::min);
        let high = known.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        enough.then_some((low, high))
    }
}

/// The hour of a time.
pub(super) const fn hour_of(at_ms: i64) -> i64 {
    at_ms.div_euclid(HOUR_MS)
}
