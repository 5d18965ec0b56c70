//! The few numbers of the method, the same for every station. They were set on the first halves of nine records
//! (`docs/sentinel.md` says how); the water of a station comes in only as multiples of what is natural there.

use serde::{Deserialize, Serialize};

/// The numbers of the sentinel.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Natural steps of a jump that by itself shows a drift before it.
    pub drift_times: f64,
    /// Natural steps of either jump of a pair.
    pub pair_times: f64,
    /// How unlike the jumps of a pair may be: 2 is double or half.
    pub pair_ratio: f64,
    /// The share of the reading that a pair of jumps is at least.
    pub share: f64,
    /// And at most: what is further off is no calibration (USGS T&M 1-D3, maximum allowable limits: 30 %).
    pub share_max: f64,
    /// Least days between the jumps of a pair.
    pub pair_days: f64,
    /// Hours by which the jumps of a pair may differ in their time of day.
    pub pair_clock_h: f64,
    /// The longest ramp is taken that explains so much of what the likeliest does.
    pub onset_share: f64,
    /// Half a tidal day later at least so much of a jump is left.
    pub lasts_low: f64,
    /// And at most so much.
    pub lasts_high: f64,
    /// Of a jump that by itself shows a drift: at least so much is left half a tidal day later.
    pub drift_low: f64,
    /// And at most so much.
    pub drift_high: f64,
    /// Two tidal days later at least so much of a jump is left.
    pub long_low: f64,
    /// And at most so much.
    pub long_high: f64,
    /// Natural steps of a jump that bounds a later drift.
    pub bound_times: f64,
    /// Share of a day's steps that no water makes.
    pub rough: f64,
    /// Natural steps of a temperature above which a jump was a front of other water.
    pub heat_times: f64,
    /// Days that a drift may have lasted when nothing else bounds it.
    pub drift_days: i64,
    /// From this share of a ramp's length on readings are suspect.
    pub drift_share: f64,
    /// Hours of the same value.
    pub stuck_hours: f64,
    /// Learned shifts of depth that a wrong depth is.
    pub shift_times: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            drift_times: 12.0,
            pair_times: 7.0,
            pair_ratio: 1.5,
            share: 0.02,
            share_max: 0.3,
            pair_days: 7.0,
            pair_clock_h: 2.0,
            onset_share: 0.5,
            lasts_low: 0.5,
            lasts_high: 1.6,
            drift_low: 0.6,
            drift_high: 1.3,
            long_low: 0.3,
            long_high: 2.0,
            bound_times: 12.0,
            rough: 0.25,
            heat_times: 3.5,
            drift_days: 10,
            drift_share: 0.0,
            stuck_hours: 24.0,
            shift_times: 1.3,
        }
    }
}
