//! Whether a step by a power of ten can be told from the water: where a gate lets the sea into a fresh canal the salinity
//! goes from 0.5 to 5 in one reading, and no unit has slipped.

use std::collections::BTreeSet;

use super::super::limits::UnitSlip;
use super::super::steps::Taken;
use super::Unbearable;
use super::readings::Readings;
use super::weeks::WEEK_MS;

/// A step holds for about a day, so one week in fifty is three readings in a thousand.
const WEEKS_OF_ONE: usize = 50;
/// How large the smaller side of a step must be, in times of what is typed; the first that the water keeps to. Beyond ten
/// the larger side is more than the sea.
const TIMES: [f64; 4] = [1.0, 2.0, 5.0, 10.0];

/// Water that goes by so much can go by ten: what is counted is not only what a slip looks like, which is a narrow part of
/// it, but all that might have.
const FACTOR: f64 = 8.0;

/// From which value on a step by a power of ten is none of the water's.
pub(super) fn unit_slip(readings: &Readings, typed: UnitSlip) -> Result<UnitSlip, Unbearable> {
    let of = weeks(readings, |_| true).len();
    let leaps = |least: f64| weeks(readings, |two| leap(least, two[0].value, two[1].value)).len();
    let leasts = TIMES.map(|times| times * typed.least);
    let kept = leasts.into_iter().find(|least| leaps(*least) * WEEKS_OF_ONE <= of);
    let least = leasts[TIMES.len() - 1];
    kept.map(|least| UnitSlip { least, ..typed }).ok_or_else(|| Unbearable::Slips {
        weeks: leaps(least),
        of,
        least,
    })
}

/// A step by so much, of which the smaller side is at least this.
fn leap(least: f64, before: f64, now: f64) -> bool {
    let (small, large) = (before.abs().min(now.abs()), before.abs().max(now.abs()));
    least <= small && FACTOR * small <= large
}

/// Weeks in which two neighbours are so.
fn weeks(readings: &Readings, so: impl Fn(&[Taken]) -> bool) -> BTreeSet<i64> {
    let pairs = readings.pieces.iter().flat_map(|piece| piece.raw.windows(2));
    pairs.filter(|two| so(two)).map(|two| two[1].at.div_euclid(WEEK_MS)).collect()
}
