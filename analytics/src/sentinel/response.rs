//! How a conductivity cell answers to the tide. What grows in a cell takes the same share of every value; a freshet takes
//! the low waters first and the high waters last. So a fall of the high waters that the low waters share in full is the
//! cell's, as far as it goes beyond what this water ever did while the cell was clean.

use super::hours::Hours;

/// A tidal day.
pub(super) const DAY_H: i64 = 25;

/// Over how many hours a fall is measured: two tidal days and five.
pub(super) const LAGS_H: [i64; 2] = [50, 124];

/// Below it, in the sensor's unit, water is fresh and tells nothing of the cell.
const FRESH: f64 = 1.0;

/// The share that a fouled cell would have lost within `lag` hours before `hour`, as a fall of logarithms: of the high
/// water, less what the low water does not share.
pub(super) fn loss(hours: &Hours, hour: i64, lag: i64) -> Option<f64> {
    let (low, high) = hours.extremes(hour - DAY_H, DAY_H)?;
    let (low_then, high_then) = hours.extremes(hour - DAY_H - lag, DAY_H)?;
    if high_then < FRESH {
        return None;
    }
    let logarithm = |value: f64| value.max(0.05).ln();
    let fell = logarithm(high_then) - logarithm(high);
    let fell_low = logarithm(low_then) - logarithm(low);
    Some(fell - (fell - fell_low).abs())
}
