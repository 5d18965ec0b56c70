//! Limits of single readings, learned from a station's own history.

use std::time::Duration;

use domain::{Flag, QualityTest, TestFlags, Timestamp, standard_parameters};
use proptest::prelude::*;

use super::story::{at, flags};
use crate::quality::{
    Levels, Limits, NoPace, Off, Pace, PaceAsked, Plans, Point, Rate, SiteClass, Table, TestPlan,
    defaults,
};

const QUARTER: i64 = 15;
const DAY: i64 = 96;
const M2_MIN: f64 = 745.236;

fn salinity() -> Limits {
    defaults(&standard_parameters()[0], SiteClass::Coast, 900)
}

/// A tide of 2 to 22 psu in steps of a tenth, every quarter of an hour: up to 1.3 psu in one, which the defaults call
/// suspect at 1.4 an hour in a quarter.
fn wild(i: i64) -> f64 {
    let turn = std::f64::consts::TAU * (QUARTER * i) as f64 / M2_MIN;
    counts(12.0 - 10.0 * turn.cos() + 0.8 * (5.0 * turn).sin())
}

/// A bay that swings half a psu a day in steps of a tenth, and stands for hours.
fn calm(i: i64) -> f64 {
    let turn = std::f64::consts::TAU * i as f64 / DAY as f64;
    counts(18.6 + 0.25 * turn.sin())
}

fn counts(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn history(days: i64, water: impl Fn(i64) -> f64) -> Vec<(Timestamp, f64)> {
    (0..days * DAY).map(|i| (at(QUARTER * i), water(i))).collect()
}

fn learn(history: Vec<(Timestamp, f64)>) -> Result<Pace, NoPace> {
    Pace::from_history(history, &salinity(), PaceAsked::default())
}

fn record(history: &[(Timestamp, f64)]) -> Vec<Point> {
    history.iter().map(|&(at, value)| Point::new(at, Some(value))).collect()
}

/// How many of these a test calls suspect or bad.
fn accused(limits: &Limits, history: &[(Timestamp, f64)], test: QualityTest) -> usize {
    flags(limits, &record(history), test).into_iter().filter(|flag| matches!(flag, 3 | 4)).count()
}

#[test]
fn a_wild_water_is_not_accused_of_its_own_pace_and_a_spike_is_seen_in_it() {
    let limits = learn(history(60, wild)).unwrap().over(salinity());
    let mut next = history(70, wild).split_off(60 * 96);
    let test = QualityTest::RateOfChange;
    assert!(100 < accused(&salinity(), &next, test), "the defaults do not fit it");
    assert_eq!(accused(&limits, &next, test), 0, "{limits:?}");
    assert_eq!(accused(&limits, &next, QualityTest::SpikeDifferential), 0);
    next[500].1 += 10.0;
    assert_eq!(accused(&limits, &next, QualityTest::SpikeDifferential), 1, "{limits:?}");
    assert_eq!(accused(&limits, &next, test), 2);
}

#[test]
fn a_calm_water_may_stand_as_it_does_and_a_frozen_probe_is_seen() {
    let limits = learn(history(60, calm)).unwrap().over(salinity());
    let mut next = history(70, calm).split_off(60 * 96);
    let test = QualityTest::FlatLine;
    assert!(100 < accused(&salinity(), &next, test), "the defaults do not fit it");
    assert_eq!(accused(&limits, &next, test), 0, "{limits:?}");
    let flat = limits.flat.unwrap();
    assert!((flat.tolerance - 0.05).abs() < 1e-9, "half a count: {flat:?}");
    next[200..600].iter_mut().for_each(|it| it.1 = 18.6);
    let seen = accused(&limits, &next, test);
    assert!(398 - (4.0 * flat.suspect_h) as usize <= seen, "{seen} of 400, {flat:?}");
}

#[test]
fn garbage_that_nobody_rejected_does_not_widen_the_limits() {
    let clean = learn(history(400, wild)).unwrap();
    let mut spoiled = history(400, wild);
    spoiled.iter_mut().step_by(100).for_each(|it| it.1 += 10.0);
    for (i, it) in spoiled[5_000..5_600].iter_mut().enumerate() {
        it.1 = (i * 7_919 % 350) as f64 / 10.0;
    }
    spoiled[9_000..9_600].iter_mut().for_each(|it| it.1 = 12.3);
    let pace = learn(spoiled).unwrap();
    let (learned, from) = (pace.rate.unwrap(), clean.rate.unwrap());
    assert!(learned.suspect_per_hour < 1.5 * from.suspect_per_hour, "{pace:?}\n{clean:?}");
    assert_eq!(pace.flat, clean.flat);
    // Spikes in every week are the water's, but for what a step can be.
    let spike = pace.spike_differential.unwrap().suspect;
    assert!(spike < 0.25 * learned.suspect_per_hour + 1e-9, "{pace:?}");
}

#[test]
fn water_that_stands_at_four_tenths_for_a_season_is_fresh() {
    let season = |level: f64, days: i64| {
        let water = move |i| if i < days * DAY { level } else { wild(i) };
        learn(history(90, water)).unwrap().fresh_below
    };
    let fresh = season(0.4, 40).unwrap();
    assert!((0.4..=0.5).contains(&fresh), "{fresh}");
    assert_eq!(season(0.4, 10), Some(0.3), "ten days are a broken probe");
    assert_eq!(season(5.0, 40), Some(0.3), "five psu are not fresh");
}

#[test]
fn fresh_weeks_teach_no_standstill_but_the_day_after_the_salt() {
    let fortnight = |i| if i / (7 * DAY) % 2 == 0 { wild(i) } else { 0.1 };
    let pace = learn(history(120, fortnight)).unwrap();
    let flat = pace.flat.unwrap();
    assert!(1.25 * 24.0 <= flat.suspect_h && flat.suspect_h <= 1.25 * 25.1, "{flat:?}");
}

#[test]
fn the_noise_of_the_sensor_is_no_step() {
    let (low, old) = (Levels { suspect: 0.01, fail: Some(0.02) }, salinity());
    let rate = Rate { suspect_per_hour: 0.01, fail_per_hour: Some(0.02) };
    let begin = Limits { spike_differential: Some(low), rate: Some(rate), ..old };
    let pace = Pace::from_history(history(60, calm), &begin, PaceAsked::default()).unwrap();
    // Three counts and a half, in a quarter of an hour.
    assert!((pace.spike_differential.unwrap().suspect - 0.35).abs() < 1e-9, "{pace:?}");
    assert!((pace.rate.unwrap().suspect_per_hour - 1.4).abs() < 1e-9, "{pace:?}");
}

#[test]
fn a_gate_that_lets_the_sea_in_bears_no_unit_slip() {
    let gate =
        |low: f64| move |i: i64| if i % DAY < 48 { low + 0.1 * (i % 2) as f64 } else { 10.0 * low };
    let small = learn(history(60, gate(0.4))).unwrap();
    assert!((small.unit_slip.unwrap().least - 0.6).abs() < 1e-9, "{small:?}");
    let pace = learn(history(60, gate(3.3))).unwrap();
    assert_eq!((pace.unit_slip, pace.off()), (None, vec![Off::UnitSlip]));
    assert_eq!(pace.over(salinity()).unit_slip, None);
    let by_eight = |i: i64| if i % DAY < 48 { 0.4 } else { 3.4 };
    let least = learn(history(60, by_eight)).unwrap().unit_slip.unwrap().least;
    assert!((least - 0.6).abs() < 1e-9, "what goes by eight and a half goes by ten: {least}");
    let quiet = learn(history(60, wild)).unwrap();
    assert_eq!((quiet.unit_slip, quiet.off()), (salinity().unit_slip, vec![]));
}

#[test]
fn water_that_stands_for_days_bears_no_flat_line() {
    let pace = learn(history(90, |i| counts(5.0 + (i / (4 * DAY)) as f64))).unwrap();
    assert_eq!((pace.flat, pace.off()), (None, vec![Off::FlatLine]), "{pace}");
}

#[test]
fn too_little_is_refused_with_what_is_missing() {
    let refused = |days, water: fn(i64) -> f64| learn(history(days, water)).unwrap_err();
    assert_eq!(refused(29, wild), NoPace::Span { days: 28, needed: 30 });
    assert_eq!(learn(vec![]).unwrap_err(), NoPace::Span { days: 0, needed: 30 });
    assert_eq!(refused(60, |_| f64::NAN), NoPace::Span { days: 0, needed: 30 });
    assert_eq!(refused(60, |_| 999.0), NoPace::Span { days: 0, needed: 30 }, "out of range");
    assert_eq!(refused(60, |_| 0.0), NoPace::Still { count: 5_760 });
    assert_eq!(refused(60, |_| 7.5), NoPace::Still { count: 5_760 });
    let fresh = refused(60, |i| if i % 7 == 0 { 0.1 } else { 0.2 });
    assert_eq!(fresh, NoPace::Weeks { full: 8, salt: 0, needed: 4 });
    let seldom = history(60, wild).into_iter().step_by(16).collect();
    assert_eq!(learn(seldom).unwrap_err(), NoPace::Still { count: 360 }, "gaps everywhere");
    let holes = history(60, wild).into_iter().enumerate();
    let holes = holes.filter(|(i, _)| i % 672 < 200).map(|(_, it)| it).collect();
    assert_eq!(learn(holes).unwrap_err(), NoPace::Weeks { full: 0, salt: 0, needed: 4 });
}

#[test]
fn a_year_of_silence_between_teaches_nothing_and_breaks_nothing() {
    let year = Duration::from_secs(365 * 86_400);
    let mut with = history(60, wild);
    let later = with.iter().map(|&(at, value)| (at + year, value + 9.0)).collect::<Vec<_>>();
    let alone = learn(with.clone()).unwrap();
    with.extend(later);
    let pace = learn(with).unwrap();
    assert_eq!((pace.rate, pace.flat), (alone.rate, alone.flat));
    assert_eq!(pace.count, 2 * alone.count);
}

#[test]
fn two_values_of_one_time_that_differ_are_passed_over() {
    let (mut twice, mut same) = (history(60, wild), history(60, wild));
    same.extend_from_within(100..400);
    assert_eq!(learn(same).unwrap(), learn(history(60, wild)).unwrap());
    let others: Vec<_> = twice[100..400].iter().map(|&(at, it)| (at, it + 9.0)).collect();
    twice.extend(others);
    let without = [&history(60, wild)[..100], &history(60, wild)[400..]].concat();
    assert_eq!(learn(twice).unwrap(), learn(without).unwrap());
}

#[test]
fn a_report_that_was_sent_again_a_second_later_is_no_step() {
    let mut again = history(60, wild);
    let second = Duration::from_secs(1);
    again.extend(history(60, wild).into_iter().map(|(at, it)| (at + second, it + 0.1)));
    let (pace, clean) = (learn(again).unwrap(), learn(history(60, wild)).unwrap());
    let (again, clean) =
        (pace.rate.unwrap().suspect_per_hour, clean.rate.unwrap().suspect_per_hour);
    assert!(again <= 1.2 * clean, "{again} {clean}");
}

#[test]
fn what_accuses_the_water_itself_bears_no_learning() {
    let with = |test, flag| TestFlags::NONE.with(test, flag);
    assert!(Pace::bears(TestFlags::NONE));
    assert!(Pace::bears(with(QualityTest::GrossRange, Flag::Good)));
    assert!(Pace::bears(with(QualityTest::RateOfChange, Flag::Bad)), "or it would learn itself");
    assert!(Pace::bears(with(QualityTest::Timing, Flag::Bad)));
    for test in [QualityTest::Sensor, QualityTest::GrossRange, QualityTest::Exposure] {
        assert!(!Pace::bears(with(test, Flag::Suspect)), "{test}");
    }
}

#[test]
fn what_is_printed_is_pasted_into_quality_toml() {
    let gate = |i: i64| if i % DAY < 48 { 3.3 + 0.1 * (i % 2) as f64 } else { 33.0 };
    for water in [wild, calm, gate] {
        let pace = learn(history(60, water)).unwrap();
        let station = super::table::station("xuan-hoa");
        let parameters = standard_parameters();
        let text = pace.toml(&station.code, &parameters[0].code);
        let table: Table = toml::from_str(&text).unwrap_or_else(|it| panic!("{it}\n{text}"));
        assert_eq!(table.series, [pace.entry(&station.code, &parameters[0].code)], "{text}");
        assert_eq!(table.series[0].over(salinity()), pace.over(salinity()));
        assert!(
            text.starts_with("# Learned from 5760 readings, 2024-03-12T07:00:00+07:00 to "),
            "{text}"
        );
        Plans::new(&table, &parameters, &[station]).unwrap();
    }
}

#[test]
fn only_what_is_tested_is_learned() {
    for parameter in standard_parameters() {
        let begin = defaults(&parameter, SiteClass::Inland, 900);
        let Ok(pace) = Pace::from_history(history(60, calm), &begin, PaceAsked::default()) else {
            continue;
        };
        let over = pace.over(begin.clone());
        assert_eq!(over.rate.is_some(), begin.rate.is_some(), "{}", parameter.code);
        assert_eq!(over.fresh_below.is_some(), begin.fresh_below.is_some(), "{}", parameter.code);
        assert_eq!(over.spike_differential.is_some(), begin.spike_differential.is_some());
        assert_eq!(over.attenuated, begin.attenuated);
    }
}

/// A learned limit is a limit, and none is below the one to begin with.
fn sound(pace: &Pace, begin: &Limits) {
    let over = pace.over(begin.clone());
    TestPlan::new(&over).unwrap();
    let (rate, typed) = (over.rate.unwrap(), begin.rate.unwrap());
    assert!(
        typed.suspect_per_hour <= rate.suspect_per_hour
            && typed.fail_per_hour <= rate.fail_per_hour
    );
    let (spike, typed) = (over.spike_differential.unwrap(), begin.spike_differential.unwrap());
    assert!(typed.suspect <= spike.suspect && typed.fail <= spike.fail);
    let (flat, typed) = (over.flat, begin.flat.unwrap());
    assert!(flat.is_none_or(|it| typed.suspect_h <= it.suspect_h && typed.fail_h <= it.fail_h));
    assert!(over.unit_slip.is_none_or(|it| begin.unit_slip.unwrap().least <= it.least));
    assert!(begin.fresh_below <= over.fresh_below);
}

/// An hourly station, so that weeks are short.
fn hourly() -> Limits {
    defaults(&standard_parameters()[0], SiteClass::Inland, 3_600)
}

fn asked() -> PaceAsked {
    PaceAsked { span_min: Duration::from_secs(7 * 86_400), weeks_min: 1 }
}

/// Readings of a few weeks at about every hour, with gaps, twins, garbage and what is not a number.
fn any_history() -> impl Strategy<Value = Vec<(Timestamp, f64)>> {
    let value = prop_oneof![
        6 => (0..300_i32).prop_map(|tenths| f64::from(tenths) / 10.0),
        3 => 0.0..40.0_f64,
        2 => Just(0.1),
        1 => any::<f64>(),
    ];
    let step = prop_oneof![20 => Just(60_i64), 2 => 0..180_i64, 1 => 0..900_000_i64];
    prop::collection::vec((step, value), 0..700).prop_map(|steps| {
        let mut minutes = 0;
        let taken = |(step, value): (i64, f64)| {
            minutes += step;
            (at(minutes), value)
        };
        steps.into_iter().map(taken).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_learned_is_a_function_of_the_set(
        history in any_history(),
        places in prop::collection::vec(any::<prop::sample::Index>(), 40),
    ) {
        let learned = Pace::from_history(history.clone(), &hourly(), asked());
        let mut other = history.clone();
        other.reverse();
        if !other.is_empty() {
            for two in places.chunks(2) {
                let (a, b) = (two[0].index(other.len()), two[1].index(other.len()));
                other.swap(a, b);
                other.push(other[a]);
            }
        }
        prop_assert_eq!(Pace::from_history(other, &hourly(), asked()), learned);
    }

    #[test]
    fn whatever_is_learned_is_sound(history in any_history()) {
        if let Ok(pace) = Pace::from_history(history, &hourly(), asked()) {
            sound(&pace, &hourly());
        }
    }

    #[test]
    fn more_good_readings_never_make_limits_that_contradict(
        days in prop::collection::vec(1..40_i64, 1..4),
        high in 1.0..30.0_f64,
        grain in prop_oneof![Just(0.0), Just(0.1), Just(1.0)],
    ) {
        let turn = |i: i64| std::f64::consts::TAU * (QUARTER * i) as f64 / M2_MIN;
        let water = |i: i64| {
            let value = high * (1.0 - turn(i).cos()) / 2.0;
            if grain == 0.0 { value } else { (value / grain).round() * grain }
        };
        let mut so_far = 0;
        for more in days {
            so_far += more;
            match learn(history(so_far, water)) {
                Ok(pace) => {
                    sound(&pace, &salinity());
                    prop_assert_eq!(pace.count, usize::try_from(so_far * DAY).unwrap());
                    let next = history(so_far + 3, water).split_off(pace.count);
                    let rate = accused(&pace.over(salinity()), &next, QualityTest::RateOfChange);
                    prop_assert_eq!(rate, 0, "a tide that was seen before is accused: {}", pace);
                }
                Err(refused) => prop_assert!(so_far < 35 || grain == 1.0, "{refused}"),
            }
        }
    }
}

#[test]
fn the_ends_of_time_do_not_panic() {
    let ends = [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX];
    let far = ends.map(|at| (Timestamp::from_millis(at), 1.0));
    assert_eq!(learn(far.to_vec()).unwrap_err(), NoPace::Still { count: 4 });
    let with = learn([far.to_vec(), history(60, wild)].concat()).unwrap();
    assert_eq!(with.rate, learn(history(60, wild)).unwrap().rate);
}

#[test]
fn limits_that_are_none_are_refused_before_anything_is_learned() {
    let begin = Limits { gap_s: 1, ..salinity() };
    let refused = Pace::from_history(history(60, wild), &begin, PaceAsked::default());
    assert!(matches!(refused, Err(NoPace::Plan(_))), "{refused:?}");
    let no_range = Limits { gross: None, ..salinity() };
    let beyond = history(60, |i| if i % 2 == 0 { 1e308 } else { -1e308 });
    let refused = Pace::from_history(beyond, &no_range, PaceAsked::default());
    assert_eq!(refused.unwrap_err(), NoPace::Span { days: 0, needed: 30 });
}
