//! When did it begin? At a visit the readings jump back by what the probe had drifted. Of all straight ramps that end at
//! that size, the likeliest is the one that leaves the quietest water behind.

use super::hours::{HOUR_MS, Hours, hour_of};

/// Half a tidal day: averages of it know no tide.
pub(super) const HALF_DAY_H: i64 = 12;

/// Finds when a drift of `size` (what the readings had lost at `end_ms`, so the jump back) began, not before `from_ms`.
///
/// Water without tide wanders: its half-day means S make independent steps. A ramp from i to j of the lost `size` J makes
/// the true steps of those m = j - i half days `dS + J/m`, so the sum of squares changes by `(J² - 2 J D)/m`, where D is
/// what S fell from i to j. The ramp with the smallest sum is the likeliest one. Where nothing fell, that is the longest:
/// the drift linear in time of USGS T&M 1-D3 (Wagner et al. 2006).
pub(super) fn ramp(hours: &Hours, from_ms: i64, end_ms: i64, size: f64, share: f64) -> (i64, i64) {
    let last = hour_of(end_ms) - 1;
    let most = ((end_ms - from_ms) / (HALF_DAY_H * HOUR_MS)).clamp(1, 84);
    let mean = |back: i64| hours.mean(last - HALF_DAY_H * back + 1, HALF_DAY_H);
    let halves: Vec<(i64, f64)> =
        (1..=most).filter_map(|back| mean(back).map(|mean| (back, mean))).collect();
    let mut best = (f64::INFINITY, most, 1);
    for (place, &(newer, at_newer)) in halves.iter().enumerate() {
        for &(older, at_older) in halves.iter().skip(place + 1) {
            let fell = at_older - at_newer;
            let cost = size.mul_add(size, -2.0 * size * fell) / (older - newer) as f64;
            if cost < best.0 {
                best = (cost, older, newer);
            }
        }
    }
    let enough = best.0 * if best.0 < 0.0 { share } else { 1.0 };
    for (place, &(newer, at_newer)) in halves.iter().enumerate() {
        for &(older, at_older) in halves.iter().skip(place + 1) {
            let fell = at_older - at_newer;
            let cost = size.mul_add(size, -2.0 * size * fell) / (older - newer) as f64;
            if cost <= enough && best.1 < older {
                best = (cost, older, newer);
            }
        }
    }
    let time = |back: i64| end_ms - (HALF_DAY_H * HOUR_MS) * back + HALF_DAY_H * HOUR_MS / 2;
    (time(best.1).max(from_ms), time(best.2).min(end_ms))
}
