//! Whether a step by a power of ten can be told from the water: where a gate lets the sea into a fresh canal the salinity
//! goes from 0.5 to 5 in one reading, and no unit has slipped.

use std::collections::BTreeSet;

use super::super::limits::UnitSlip;
use super::super::slip::tens;
use super::super::steps::Taken;
use super::Unbearable;
use super::readings::Readings;
use super::weeks::WEEK_MS;

/// A step holds for about a day, so one week in fifty is three readings in a thousand.
const WEEKS_OF_ONE: usize = 50;
/// How large the smaller side of a step must be, in times of what is typed; the first that the water keeps to. Beyond ten
/// the larger side is more than the sea.
const TIMES: [f64; 4] = [1.0, 2.0, 5.0, 10.0];

/// From which value on a step by a power of ten is none of the water's.
pub(super) fn unit_slip(readings: &Readings, typed: UnitSlip) -> Result<UnitSlip, Unbearable> {
    let of = weeks(readings, |_| true).len();
    let slips =
        |least: f64| weeks(readings, |two| tens(least, two[0].value, two[1].value) != 0).len();
    let leasts = TIMES.map(|times| times * typed.least);
    let kept = leasts.into_iter().find(|least| slips(*least) * WEEKS_OF_ONE <= of);
    let least = leasts[TIMES.len() - 1];
    kept.map(|least| UnitSlip { least, ..typed }).ok_or_else(|| Unbearable::Slips {
        weeks: slips(least),
        of,
        least,
    })
}

/// Weeks in which two neighbours are so.
fn weeks(readings: &Readings, so: impl Fn(&[Taken]) -> bool) -> BTreeSet<i64> {
    let pairs = readings.pieces.iter().flat_map(|piece| piece.raw.windows(2));
    pairs.filter(|two| so(two)).map(|two| two[1].at.div_euclid(WEEK_MS)).collect()
}
