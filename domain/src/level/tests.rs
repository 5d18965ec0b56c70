//! Made tides with noise, spikes and gaps, and a year of a real one.

use std::io::Read;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{Flag, Timestamp};

type Series = Vec<(Timestamp, f64, Flag)>;

const HOUR_MS: f64 = 3.6e6;

/// M2 of 1 m and K1 of 0.4 m, every `minutes`, with noise up to `noise_m`, for this many days.
fn tide(days: u32, minutes: u32, noise_m: f64) -> Series {
    let mut seed = 42_u64;
    let mut noise = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((seed >> 33) as f64 / f64::from(1_u32 << 30) - 1.0) * noise_m
    };
    (0..days * 1_440 / minutes)
        .map(|n| {
            let hours = f64::from(n * minutes) / 60.0;
            let at = Timestamp::from_millis((hours * HOUR_MS) as i64);
            (at, level(hours) + noise(), Flag::Good)
        })
        .collect()
}

fn level(hours: f64) -> f64 {
    let part =
        |amplitude: f64, period: f64| amplitude * (std::f64::consts::TAU * hours / period).cos();
    part(1.0, 12.4206) + part(0.4, 23.9345)
}

/// The turns of the made tide itself, to a minute.
fn true_turns(days: u32) -> Vec<(Turn, f64)> {
    let at = |minute: u32| level(f64::from(minute) / 60.0);
    (1..days * 1_440 - 1)
        .filter_map(|minute| {
            let (before, now, after) = (at(minute - 1), at(minute), at(minute + 1));
            let hours = f64::from(minute) / 60.0;
            match () {
                () if before < now && after <= now => Some((Turn::High, hours)),
                () if now < before && now <= after => Some((Turn::Low, hours)),
                () => None,
            }
        })
        .collect()
}

/// Every turn is found, none else, this near in minutes and metres. The last one or two may lack their evidence.
fn check(series: &Series, minutes: f64, metres: f64) {
    let found = turning_waters(series, &TurningRule::default());
    let wanted = true_turns(30);
    assert!(wanted.len() - 3 <= found.len() && found.len() <= wanted.len(), "{}", found.len());
    for turn in found {
        let hours = turn.at.as_millis() as f64 / HOUR_MS;
        let off = |(_, at): &&(Turn, f64)| (at - hours).abs();
        let near = wanted.iter().min_by(|a, b| off(a).total_cmp(&off(b))).unwrap();
        assert_eq!(near.0, turn.turn);
        assert!((near.1 - hours).abs() * 60.0 <= minutes, "{turn:?}, wanted {}", near.1);
        assert!((level(near.1) - turn.level_m).abs() <= metres, "{turn:?}");
    }
}

#[test]
fn a_smooth_tide_turns_when_it_turns() {
    check(&tide(30, 10, 0.0), 4.0, 0.01);
    check(&tide(30, 60, 0.0), 12.0, 0.03);
}

#[test]
fn noise_and_spikes_are_no_tides() {
    check(&tide(30, 10, 0.04), 15.0, 0.03);
    let mut spiky = tide(30, 10, 0.02);
    for n in (50..spiky.len()).step_by(97) {
        spiky[n].1 += if n % 2 == 0 { 2.0 } else { -2.0 };
    }
    check(&spiky, 20.0, 0.05);
}

#[test]
fn beside_a_gap_nothing_is_told() {
    let hours = |reading: &(Timestamp, f64, Flag)| reading.0.as_millis() as f64 / HOUR_MS;
    let mut gappy = tide(30, 10, 0.0);
    // High waters are near 0, 12.4, 24.8 h: the one at 24.8 is cut off.
    gappy.retain(|reading| !(24.5..30.0).contains(&hours(reading)));
    let rule = TurningRule::default();
    let found = turning_waters(&gappy, &rule);
    let near = |from: f64, to: f64| {
        found
            .iter()
            .filter(|turn| (from..to).contains(&(turn.at.as_millis() as f64 / HOUR_MS)))
            .count()
    };
    assert_eq!((near(10.0, 15.0), near(23.0, 30.5)), (1, 0), "{found:?}");
    let first_after =
        found.iter().find(|turn| 30.0 * HOUR_MS < turn.at.as_millis() as f64).unwrap();
    assert!(!first_after.unbroken);
    let ranges = tidal_ranges(&found);
    assert!(ranges.iter().all(|range| range.to.since(range.from) < Duration::from_secs(9 * 3_600)));
    assert_eq!(ranges.len(), found.len() - 2);
}

#[test]
fn the_end_of_a_series_is_no_turn_yet() {
    let rising: Series = tide(30, 10, 0.0).into_iter().take(73).collect();
    // From high water at 0 h to just before the next at 12.2 h: one low water, with evidence on both sides.
    let found = turning_waters(&rising, &TurningRule::default());
    assert_eq!(found.iter().map(|turn| turn.turn).collect::<Vec<_>>(), [Turn::Low]);
}

#[test]
fn bad_readings_are_not_there_and_suspect_ones_make_suspect_turns() {
    let mut series = tide(3, 10, 0.0);
    for n in (0..series.len()).step_by(5) {
        series[n] = (series[n].0, 99.0, Flag::Bad);
    }
    series[70].1 = f64::NAN;
    for reading in &mut series[100..180] {
        reading.2 = if reading.2 == Flag::Good { Flag::Suspect } else { reading.2 };
    }
    let found = turning_waters(&series, &TurningRule::default());
    assert!(found.iter().all(|turn| turn.level_m.abs() < 1.5), "{found:?}");
    let suspect = |turn: &&TurningWater| turn.flag == Flag::Suspect;
    assert!(0 < found.iter().filter(suspect).count());
    assert!(found.iter().filter(suspect).count() < found.len());
}

#[test]
fn what_is_no_series_and_no_rule_has_no_turns() {
    let rule = TurningRule::default();
    assert!(turning_waters(&[], &rule).is_empty());
    let calm: Series =
        (0..500).map(|n| (Timestamp::from_millis(n * 600_000), 0.4, Flag::Good)).collect();
    assert!(turning_waters(&calm, &rule).is_empty());
    for prominence_m in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let rule = TurningRule { prominence_m, ..rule };
        assert!(turning_waters(&tide(3, 10, 0.0), &rule).is_empty());
    }
    let mut backwards = tide(3, 10, 0.0);
    backwards.reverse();
    assert!(turning_waters(&backwards, &rule).is_empty());
}

/// What a real record says: its turns, and the mean length of a half tide and the widest range of those that follow each
/// other.
fn told(file: &str) -> Option<(usize, f64, f64)> {
    let path = format!("{}/../../shared/data/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    let Ok(file_bytes) = std::fs::File::open(path) else {
        eprintln!("skipped: {file} is not here");
        return None;
    };
    let mut text = String::new();
    flate2::read::GzDecoder::new(file_bytes).read_to_string(&mut text).unwrap();
    let reading = |(at, level): (&str, &str)| {
        (Timestamp::parse_rfc3339(at).unwrap(), level.parse().unwrap(), Flag::Good)
    };
    let series: Series =
        text.lines().skip(1).filter_map(|line| line.split_once(',')).map(reading).collect();
    let found = turning_waters(&series, &TurningRule::default());
    assert!(found.windows(2).all(|pair| pair[0].at < pair[1].at));
    let ranges = tidal_ranges(&found);
    let hours = ranges.iter().map(|range| range.to.since(range.from).as_secs_f64() / 3_600.0);
    let half_tide = hours.sum::<f64>() / ranges.len() as f64;
    let widest = ranges.iter().map(|range| range.range_m).fold(0.0, f64::max);
    eprintln!(
        "{file}: {} turns of {} levels, a half tide is {half_tide:.2} h, the widest {widest:.2} m",
        found.len(),
        series.len()
    );
    Some((found.len(), half_tide, widest))
}

/// Elkhorn Slough, every hour of a year with gaps: a mixed tide has two high waters in a lunar day of 24.84 hours, of which
/// the lower nearly goes a few days a month.
#[test]
fn a_year_of_a_real_tide_has_its_two_tides_a_day() {
    let Some((turns, half_tide, widest)) = told("tide_elksm_input.csv.gz") else { return };
    assert!((1_200..1_350).contains(&turns), "{turns}");
    assert!((6.1..6.4).contains(&half_tide), "{half_tide}");
    assert!((1.8..3.2).contains(&widest), "{widest}");
}

/// Xuân Hòa, every hour of a year of which half is missing: only where a turn has both its sides is it told.
#[test]
fn a_record_with_holes_tells_only_the_turns_that_it_saw() {
    let Some((turns, half_tide, widest)) = told("tide_xuanhoa_input.csv.gz") else { return };
    assert!((100..700).contains(&turns), "{turns}");
    assert!((5.5..6.9).contains(&half_tide), "{half_tide}");
    assert!((1.5..4.0).contains(&widest), "{widest}");
}

#[test]
fn heights_are_compared_above_one_datum_only() {
    let datum = |name: &str, station_zero_m| Datum { name: name.to_owned(), station_zero_m };
    let national = datum("Hòn Dấu", -1.5);
    let (outside, inside) =
        (national.above(2.7).unwrap(), datum("Hòn Dấu", 0.2).above(0.3).unwrap());
    assert!((head_difference(&outside, &inside).unwrap() - 0.7).abs() < 1e-12);
    assert_eq!(head_difference(&outside, &datum("station", 0.0).above(0.5).unwrap()), None);
    for bad in [f64::NAN, f64::INFINITY, 51.6] {
        assert_eq!(national.above(bad), None);
    }
}

proptest! {
    #[test]
    fn turns_take_turns_and_are_far_enough_apart(
        levels in proptest::collection::vec(-2.0_f64..2.0, 0..300),
        steps in proptest::collection::vec(1_i64..200, 300),
    ) {
        let mut minutes = 0;
        let series: Series = levels
            .iter()
            .zip(steps)
            .map(|(&level, step)| {
                minutes += step;
                (Timestamp::from_millis(minutes * 60_000), level, Flag::Good)
            })
            .collect();
        // The parabola may move each of two turns by an hour and a half.
        let rule = TurningRule { around: Duration::ZERO, ..TurningRule::default() };
        for pair in turning_waters(&series, &rule).windows(2).filter(|pair| pair[1].unbroken) {
            prop_assert!(pair[0].turn != pair[1].turn);
            prop_assert!(rule.apart <= pair[1].at.since(pair[0].at));
            let rose = pair[0].level_m < pair[1].level_m;
            prop_assert_eq!(rose, pair[1].turn == Turn::High);
            prop_assert!(rule.prominence_m <= (pair[1].level_m - pair[0].level_m).abs());
        }
    }
}
