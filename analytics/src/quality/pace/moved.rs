//! How far the water goes from one reading to the next, and there and back.

use super::super::learned::quantile;
use super::super::limits::{Levels, Rate};
use super::super::steps::Taken;
use super::readings::Readings;
use super::weeks::Weeks;
use super::{BAD, NoPace, at_least, round};

/// A limit is at least so many counts of the sensor: noise is one, and one of each sign on either side two. Half a
/// count more, so that no limit lies on a count.
const COUNTS: f64 = 3.5;
/// Of all steps one in a hundred may be smaller than the resolution: between means of several readings.
const SMALLEST: f64 = 0.01;
/// Suspect is a step so many times what most weeks keep to: the one in ten that does not is water too.
const MARGIN: f64 = 1.25;
/// Water turns back more gently than it goes on: there and back was 0.17 to 0.71 of a step in the first halves of nine
/// records (each at its 99.9th percentile).
const OF_A_STEP: f64 = 0.75;

/// The smallest step that the series makes.
pub(super) fn resolution(readings: &Readings) -> Result<f64, NoPace> {
    let of_piece = |piece: &[Taken]| -> Vec<f64> {
        piece.windows(2).map(|two| (two[1].value - two[0].value).abs()).collect()
    };
    let all = readings.pieces.iter().flat_map(|piece| of_piece(&piece.raw));
    let mut steps: Vec<f64> = all.filter(|step| 0.0 < *step).collect();
    if steps.is_empty() {
        return Err(NoPace::Still { count: readings.count() });
    }
    steps.sort_unstable_by(f64::total_cmp);
    Ok(round(quantile(&steps, SMALLEST)))
}

/// The steps of a piece, as if they had taken one interval. Two readings closer than half of it are a report that was
/// sent again, and say nothing of the water.
pub(super) fn steps(piece: &[Taken], interval_ms: i64) -> impl Iterator<Item = (i64, f64)> {
    piece.windows(2).filter(move |two| interval_ms <= 2 * (two[1].at - two[0].at)).map(move |two| {
        let per_ms = (two[1].value - two[0].value).abs() / (two[1].at - two[0].at) as f64;
        (two[1].at, per_ms * interval_ms as f64)
    })
}

/// QARTOD's spike there and back, of each reading that has two neighbours.
pub(super) fn spikes(piece: &[Taken]) -> impl Iterator<Item = (i64, f64)> {
    piece.windows(3).map(|three| {
        let (there, back) = (three[1].value - three[0].value, three[2].value - three[1].value);
        let size = if there * back < 0.0 { there.abs().min(back.abs()) } else { 0.0 };
        (three[1].at, size)
    })
}

/// The step of an interval beyond which a reading is suspect.
pub(super) fn step_limit(weeks: &Weeks, resolution: f64) -> f64 {
    between_counts(weeks.step() * MARGIN, resolution)
}

pub(super) fn rate(step: f64, typed: Rate, interval_s: u32) -> Rate {
    let learned = step * 3_600.0 / f64::from(interval_s);
    let (suspect, fail) = wider(learned, typed.suspect_per_hour, typed.fail_per_hour);
    Rate { suspect_per_hour: suspect, fail_per_hour: fail }
}

/// Without a margin, since two steps must accuse a reading. Where spikes are in more weeks than one in ten, what the water
/// can do in a step is the bound.
pub(super) fn spike(weeks: &Weeks, resolution: f64, typed: Levels) -> Levels {
    let size = weeks.spike().min(OF_A_STEP * weeks.step());
    let (suspect, fail) = wider(between_counts(size, resolution), typed.suspect, typed.fail);
    Levels { suspect, fail }
}

fn wider(learned: f64, suspect: f64, fail: Option<f64>) -> (f64, Option<f64>) {
    (at_least(suspect, learned), fail.map(|fail| at_least(fail, BAD * learned)))
}

fn between_counts(value: f64, resolution: f64) -> f64 {
    ((value / resolution).ceil() + 0.5).max(COUNTS) * resolution
}
