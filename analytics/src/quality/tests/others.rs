//! Tests over several series, and the promise that the bad values of one never accuse another.

use std::time::Duration;

use domain::{Flag, Place, Range};
use proptest::prelude::*;

use super::story::at;
use crate::quality::{
    ClockWatch, Consistency, Exposure, Located, Neighbour, StuckClock, Swapped, TidalResponse,
    Whereabouts, Witness,
};

const GOOD: Flag = Flag::Good;

fn heard(value: f64) -> Witness {
    Witness { value: Some(value), flag: GOOD }
}

/// Near 25 °C and 1–4 g/L; the formula itself is an argument and has its own tests.
fn roughly(conductivity: f64, temperature: f64) -> Option<f64> {
    Some(0.53 * conductivity * (1.0 - 0.0205 * (temperature - 25.0)))
}

#[test]
fn conductivity_temperature_and_salinity_tell_one_story() {
    let check = |salinity: Option<f64>, conductivity, temperature, flag| {
        let judged = Consistency::default().judge(salinity, conductivity, temperature, roughly);
        assert_eq!(judged, flag, "{salinity:?}");
    };
    check(Some(2.12), heard(4.0), heard(25.0), GOOD);
    check(Some(2.18), heard(4.0), heard(25.0), GOOD);
    check(Some(2.20), heard(4.0), heard(25.0), Flag::Suspect);
    check(Some(0.10), heard(0.1), heard(25.0), GOOD);
    check(Some(0.20), heard(0.1), heard(25.0), Flag::Suspect);
    check(Some(2.12), heard(4_000.0), heard(25.0), Flag::Suspect);
    check(None, heard(4.0), heard(25.0), Flag::Missing);
    check(Some(f64::NAN), heard(4.0), heard(25.0), Flag::Missing);
    check(Some(9.0), Witness { flag: Flag::Bad, ..heard(4.0) }, heard(25.0), Flag::NotEvaluated);
    check(Some(9.0), heard(4.0), heard(f64::INFINITY), Flag::NotEvaluated);
    let unknown = Consistency::default().judge(Some(2.0), heard(4.0), heard(25.0), |_, _| None);
    assert_eq!(unknown, Flag::NotEvaluated);
}

#[test]
fn two_columns_change_places() {
    let swapped =
        Swapped { first: Range { low: 22.0, high: 36.0 }, second: Range { low: 5.0, high: 9.5 } };
    for (temperature, ph, flag) in [
        (Some(28.0), Some(7.1), GOOD),
        (Some(7.1), Some(28.0), Flag::Bad),
        (Some(7.1), Some(7.2), GOOD),
        (Some(99.0), Some(-1.0), Flag::NotEvaluated),
        (None, Some(28.0), Flag::Missing),
        (Some(f64::NAN), Some(28.0), Flag::Missing),
    ] {
        assert_eq!(swapped.judge(temperature, ph), flag, "{temperature:?} {ph:?}");
    }
    let alike = Swapped { second: swapped.first, ..swapped };
    assert_eq!(alike.judge(Some(23.0), Some(35.0)), GOOD, "nobody can tell");
}

#[test]
fn a_probe_above_the_water_measures_air() {
    let exposure = Exposure { probe_m: -0.8, margin_m: 0.1 };
    for (level, flag) in
        [(-0.8, Flag::Bad), (-1.2, Flag::Bad), (-0.75, Flag::Suspect), (-0.7, GOOD), (1.0, GOOD)]
    {
        assert_eq!(exposure.judge(heard(level)), flag, "{level}");
    }
    let unheard = Witness { value: Some(-3.0), flag: Flag::Suspect };
    assert_eq!(exposure.judge(unheard), Flag::NotEvaluated);
}

#[test]
fn a_fouled_probe_shows_less_of_the_tide() {
    let clean = TidalResponse { per_metre: 1.2, share_min: 0.25, level_min_m: 1.0 };
    for (swing, level, flag) in [
        (Some(2.9), heard(2.5), GOOD),
        (Some(0.75), heard(2.5), GOOD),
        (Some(0.74), heard(2.5), Flag::Suspect),
        (Some(0.1), heard(0.9), Flag::NotEvaluated),
        (Some(0.1), Witness { flag: Flag::Bad, ..heard(2.5) }, Flag::NotEvaluated),
        (None, heard(2.5), Flag::NotEvaluated),
        (Some(f64::NAN), heard(2.5), Flag::NotEvaluated),
    ] {
        assert_eq!(clean.judge(swing, level), flag, "{swing:?} {level:?}");
    }
}

fn neighbour() -> Neighbour {
    Neighbour {
        lag: Duration::from_mins(115),
        above_max: 1.0,
        below_max: None,
        gap: Duration::from_mins(60),
    }
}

#[test]
fn the_salt_comes_up_the_river_with_the_lag_of_the_tide() {
    let there = [(at(0), heard(4.0)), (at(30), heard(6.0)), (at(60), heard(2.0))];
    let now = |minutes: i64| at(minutes + 115);
    for (minutes, value, flag) in [
        (0, 5.0, GOOD),
        (0, 5.1, Flag::Suspect),
        (15, 6.0, GOOD),
        (15, 6.1, Flag::Suspect),
        (60, 2.9, GOOD),
        (60, 0.0, GOOD),
        (61, 9.9, Flag::NotEvaluated),
        (-1, 9.9, Flag::NotEvaluated),
    ] {
        assert_eq!(neighbour().judge(now(minutes), Some(value), &there), flag, "{minutes} {value}");
    }
    assert_eq!(neighbour().judge(now(0), None, &there), Flag::Missing);
    let both = Neighbour { below_max: Some(3.0), ..neighbour() };
    assert_eq!(both.judge(now(30), Some(2.9), &there), Flag::Suspect);
    let far = [(at(0), heard(4.0)), (at(90), heard(6.0))];
    assert_eq!(neighbour().judge(now(45), Some(9.0), &far), Flag::NotEvaluated, "a gap there");
}

#[test]
fn a_station_that_moved_is_suspect_and_half_a_place_is_bad() {
    let whereabouts = Whereabouts {
        bounds: Some((Range { low: 10.0, high: 10.7 }, Range { low: 105.8, high: 107.0 })),
        jump_max_m: Some(500.0),
    };
    let xuan_hoa = Place { lat: 10.3558, lon: 106.3869 };
    let located = |lat: f64, lon: f64| Located { lat: Some(lat), lon: Some(lon) };
    for (place, flag) in [
        (located(10.3558, 106.3869), GOOD),
        (located(10.3600, 106.3869), GOOD),
        (located(10.3604, 106.3869), Flag::Suspect),
        (located(106.3869, 10.3558), Flag::Bad),
        (located(10.9, 106.4), Flag::Bad),
        (Located { lat: Some(10.3), lon: None }, Flag::Bad),
        (located(f64::NAN, 106.4), Flag::Bad),
        (Located::default(), Flag::Missing),
    ] {
        assert_eq!(whereabouts.judge(place, Some(xuan_hoa)), flag, "{place:?}");
    }
    assert_eq!(
        whereabouts.judge(located(10.1, 106.0), None),
        GOOD,
        "the first has nothing before it"
    );
}

#[test]
fn a_clock_that_stands_is_found_and_a_packet_that_comes_twice_is_not_one() {
    let (mut watch, limits) = (ClockWatch::default(), StuckClock::default());
    let flags: Vec<u8> = [(0, 0), (5, 5), (5, 5), (5, 10), (5, 15), (5, 20), (5, 25), (30, 30)]
        .map(|(taken, received)| watch.step(limits, at(taken), at(received)).number())
        .to_vec();
    assert_eq!(flags, [1, 1, 1, 1, 3, 3, 4, 1]);
    let json = serde_json::to_string(&watch).unwrap();
    assert_eq!(serde_json::from_str::<ClockWatch>(&json).unwrap(), watch);
}

fn bad_witness() -> impl Strategy<Value = Witness> {
    let value = prop_oneof![any::<f64>().prop_map(Some), (-5.0..45.0).prop_map(Some), Just(None)];
    let flag = prop_oneof![Just(Flag::Suspect), Just(Flag::Bad), Just(Flag::Missing)];
    (value, flag).prop_map(|(value, flag)| Witness { value, flag })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bad_values_never_turn_a_good_flag_of_another_series(
        value in -1.0..40.0,
        bad in prop::collection::vec(bad_witness(), 3),
        good in 0.0..40.0,
        place in 0_i64..3,
    ) {
        let accused = |flag| matches!(flag, Flag::Suspect | Flag::Bad);
        for (conductivity, temperature) in [(bad[0], heard(25.0)), (heard(good), bad[0]), (bad[1], bad[2])] {
            let judged = Consistency::default().judge(Some(value), conductivity, temperature, roughly);
            prop_assert!(!accused(judged));
        }
        let exposure = Exposure { probe_m: 0.0, margin_m: 1.0 };
        prop_assert!(!accused(exposure.judge(bad[0])));
        let response = TidalResponse { per_metre: 1.0, share_min: 0.25, level_min_m: 0.0 };
        prop_assert!(!accused(response.judge(Some(value), bad[0])));
        // Good readings there that agree, with one bad one among them.
        let mut there: Vec<_> = (0..3).map(|i| (at(30 * i), heard(value))).collect();
        there[usize::try_from(place).unwrap()].1 = bad[0];
        for minutes in 0..=60 {
            let both = Neighbour { below_max: Some(1.0), ..neighbour() };
            prop_assert!(!accused(both.judge(at(minutes + 115), Some(value), &there)));
        }
    }
}
