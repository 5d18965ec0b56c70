//! Each test by itself, and what is deliberately not as in `ioos_qc`.

use domain::{Flag, QualityTest, TestFlags, Timestamp, standard_parameters};

use super::story::{at, check, every_five, flags, plan, told};
use crate::quality::{
    Attenuated, Check, Flat, Gaps, Gross, Levels, Limits, Period, Point, Pushed, Rate, Season,
    SiteClass, Stream, UnitSlip, defaults, judge,
};

const NAN: f64 = f64::NAN;

fn levels(suspect: f64, fail: f64) -> Option<Levels> {
    Some(Levels { suspect, fail: Some(fail) })
}

fn flat(suspect_h: f64, fail_h: f64) -> Option<Flat> {
    Some(Flat { suspect_h, fail_h: Some(fail_h), tolerance: 0.05, above: None })
}

fn bridged(limits: Limits) -> Limits {
    Limits { gaps: Gaps::Bridge, ..limits }
}

#[test]
fn one_spike_is_not_a_tide() {
    let limits = Limits { spike_differential: levels(1.0, 3.0), ..Limits::none(300) };
    check(&limits, &[0.8, 9.9, 0.8, 1.0], QualityTest::SpikeDifferential, &[2, 4, 1, 2]);
    check(&limits, &[1.0, 3.0, 5.0, 7.0], QualityTest::SpikeDifferential, &[2, 1, 1, 2]);
    check(&limits, &[1.0, 2.5, 1.0, 2.0, 1.0], QualityTest::SpikeDifferential, &[2, 3, 1, 1, 2]);
}

#[test]
fn a_spike_beside_the_middle_of_its_neighbours_also_marks_them() {
    let limits = Limits { spike_average: levels(1.0, 3.0), ..Limits::none(300) };
    check(&limits, &[1.0, 1.0, 9.0, 1.0, 1.0], QualityTest::SpikeAverage, &[2, 4, 4, 4, 2]);
    check(&limits, &[1.0, 2.0, 1.0], QualityTest::SpikeAverage, &[2, 1, 2]);
}

#[test]
fn a_spike_is_known_with_the_next_reading() {
    let plan = plan(&Limits { spike_differential: levels(1.0, 3.0), ..Limits::none(300) });
    let mut stream = Stream::default();
    let said = every_five(&[1.0, 6.0, 1.0]).into_iter().map(|point| stream.push(&plan, point));
    let revised: Vec<_> = said
        .map(|pushed| match pushed {
            Pushed::Judged { now, revised } => {
                assert_eq!(now.get(QualityTest::SpikeDifferential), Some(Flag::NotEvaluated));
                revised.map(|it| (it.at, it.flags.get(QualityTest::SpikeDifferential)))
            }
            Pushed::Late => unreachable!(),
        })
        .collect();
    assert_eq!(revised, [None, None, Some((at(5), Some(Flag::Bad)))]);
}

#[test]
fn a_missing_value_is_no_neighbour_and_in_ioos_qc_it_hides_a_spike() {
    let limits = Limits { spike_differential: levels(1.0, 3.0), ..Limits::none(300) };
    let values = [1.0, NAN, 6.0, NAN, 1.0];
    check(&limits, &values, QualityTest::SpikeDifferential, &[2, 9, 4, 9, 2]);
    check(&bridged(limits), &values, QualityTest::SpikeDifferential, &[2, 9, 2, 9, 2]);
}

#[test]
fn the_rate_is_per_time_and_its_limit_passes() {
    let rate = Some(Rate { suspect_per_hour: 12.0, fail_per_hour: Some(24.0) });
    let limits = Limits { rate, ..Limits::none(300) };
    check(&limits, &[0.0, 1.0, 2.5, 0.0, NAN, 9.0], QualityTest::RateOfChange, &[2, 1, 3, 4, 9, 4]);
    let same = bridged(limits.clone());
    check(&same, &[0.0, 1.0, 2.5, 0.0, NAN, 9.0], QualityTest::RateOfChange, &[1, 1, 3, 4, 9, 1]);
    let gap = told("00:00 0 | 02:00 9 | 02:05 9");
    assert_eq!(
        flags(&limits, &gap, QualityTest::RateOfChange),
        [2, 2, 1],
        "after a gap nothing is known"
    );
}

#[test]
fn a_line_is_flat_once_it_has_stood_long_enough() {
    let limits = Limits { flat: flat(0.25, 0.5), ..Limits::none(300) };
    let stood = [3.0, 1.0, 1.01, 1.0, 1.0, 1.0, 1.0, 1.04, 1.05];
    check(&limits, &stood, QualityTest::FlatLine, &[1, 1, 1, 1, 3, 3, 3, 4, 1]);
    check(&bridged(limits), &stood, QualityTest::FlatLine, &[1, 1, 1, 1, 3, 3, 3, 4, 1]);
}

#[test]
fn a_first_value_after_missing_ones_has_not_stood_still() {
    let limits = Limits { flat: flat(0.25, 0.5), ..Limits::none(300) };
    let values = [2.0, NAN, NAN, NAN, NAN, NAN, NAN, 1.0, 1.0];
    check(&limits, &values, QualityTest::FlatLine, &[1, 9, 9, 9, 9, 9, 9, 1, 1]);
    check(&bridged(limits), &values, QualityTest::FlatLine, &[1, 9, 9, 9, 9, 9, 9, 4, 4]);
}

#[test]
fn a_gap_ends_what_stood_still() {
    let limits = Limits { flat: flat(0.25, 0.5), gap_s: 600, ..Limits::none(300) };
    let record = told("00:00 1 | 00:05 1 | 00:10 1 | 00:30 1 | 00:35 1 | 00:45 1 | 00:50 1");
    assert_eq!(flags(&limits, &record, QualityTest::FlatLine), [1, 1, 1, 1, 1, 3, 3]);
    assert_eq!(flags(&bridged(limits), &record, QualityTest::FlatLine), [1, 1, 1, 3, 3, 3, 4]);
}

#[test]
fn a_zero_season_is_truly_flat() {
    let standing = Limits { flat: flat(1.0, 2.0), ..Limits::none(300) };
    let limits = Limits { fresh_below: Some(0.3), ..standing.clone() };
    let zeros = vec![0.0; 400];
    let judged = flags(&limits, &every_five(&zeros), QualityTest::FlatLine);
    assert!(judged.iter().all(|flag| matches!(flag, 1 | 2)), "{judged:?}");
    assert_eq!(
        flags(&standing, &every_five(&zeros), QualityTest::FlatLine)[399],
        4,
        "without the word"
    );
    // A probe that freezes at zero while the tide of the day was salt is a fault.
    let mut frozen: Vec<f64> = (0..150).map(|i| 2.0 + (f64::from(i) / 20.0).sin()).collect();
    frozen.extend([0.0; 60]);
    assert_eq!(flags(&limits, &every_five(&frozen), QualityTest::FlatLine)[209], 4);
}

#[test]
fn rain_may_stop_for_ever_but_not_fall_evenly() {
    let rainfall =
        standard_parameters().into_iter().find(|p| p.code.as_str() == "rainfall").unwrap();
    let limits = defaults(&rainfall, SiteClass::Inland, 300);
    let mut values = vec![0.0; 40];
    values.extend([0.4; 40]);
    let judged = flags(&limits, &every_five(&values), QualityTest::FlatLine);
    assert!(judged[..76].iter().all(|flag| matches!(flag, 1 | 2)), "{judged:?}");
    assert_eq!(judged[79], 3);
}

#[test]
fn a_tide_that_hardly_moves_is_attenuated() {
    let attenuated =
        |check| Attenuated { period_h: 1.0, suspect: 0.4, fail: Some(0.125), min_obs: 4, check };
    let limits = |check| Limits { attenuated: Some(attenuated(check)), ..Limits::none(300) };
    let mut values = vec![1.0, 2.0, 1.0, 2.0, 1.0, 2.0];
    values.extend((0..14).map(|i| if i % 2 == 0 { 1.0 } else { 1.25 }));
    let record = every_five(&values);
    let range = flags(&limits(Check::Range), &record, QualityTest::AttenuatedSignal);
    assert_eq!((range[2], range[3], range[10], range[19]), (2, 1, 1, 3));
    let std = flags(&limits(Check::Std), &record, QualityTest::AttenuatedSignal);
    assert_eq!((std[3], std[19]), (1, 3), "a deviation of 0.125 is not below it");
}

#[test]
fn a_hole_does_not_blind_the_attenuated_test_as_in_ioos_qc() {
    let it =
        Attenuated { period_h: 1.0, suspect: 0.4, fail: None, min_obs: 2, check: Check::Range };
    let limits = Limits { attenuated: Some(it), ..Limits::none(300) };
    check(&limits, &[1.0, NAN, 2.0, 2.0], QualityTest::AttenuatedSignal, &[2, 9, 1, 1]);
    check(&bridged(limits), &[1.0, NAN, 2.0, 2.0], QualityTest::AttenuatedSignal, &[2, 9, 2, 2]);
}

#[test]
fn the_last_season_that_holds_wins_and_both_ends_are_inside() {
    let season =
        |period, from, to, suspect| Season { period, from, to, suspect, fail: Some([0.0, 30.0]) };
    let climatology = vec![
        season(Period::Month, 1, 12, [0.0, 1.0]),
        season(Period::Month, 3, 4, [2.0, 12.0]),
        season(Period::DayOfYear, 73, 73, [0.0, 20.0]),
    ];
    let limits = Limits { climatology, ..Limits::none(300) };
    // 12 March is day 72 of 2024.
    check(
        &limits,
        &[2.0, 12.0, 12.1, 1.0, 31.0, NAN],
        QualityTest::Climatology,
        &[1, 1, 3, 3, 4, 9],
    );
    let next_day = vec![Point::new(at(24 * 60), Some(13.0))];
    assert_eq!(flags(&limits, &next_day, QualityTest::Climatology), [1]);
    let elsewhen = Limits { climatology: vec![season(Period::Week, 30, 2, [0.0, 1.0])], ..limits };
    check(&elsewhen, &[5.0], QualityTest::Climatology, &[2]);
}

#[test]
fn the_calendar_is_that_of_vietnam() {
    let last_of_march_utc = Timestamp::parse_rfc3339("2024-03-31T18:00:00Z").unwrap();
    let season = Season { period: Period::Month, from: 4, to: 4, suspect: [0.0, 1.0], fail: None };
    let limits = Limits { climatology: vec![season], ..Limits::none(300) };
    let record = [Point::new(last_of_march_utc, Some(0.5))];
    assert_eq!(flags(&limits, &record, QualityTest::Climatology), [1]);
    let utc = Limits { utc_offset_s: 0, ..limits };
    assert_eq!(flags(&utc, &record, QualityTest::Climatology), [2]);
}

#[test]
fn a_gap_tells_of_the_line_and_not_of_the_number() {
    let limits = Limits {
        gross: Some(Gross { fail: Some([0.0, 40.0]), suspect: None }),
        ..Limits::none(300)
    };
    let judged = judge(&plan(&limits), &told("00:00 1 | 00:05 - | 01:05 1 | 02:06 1"));
    let timing: Vec<u8> =
        judged.iter().map(|it| it.get(QualityTest::Timing).unwrap().number()).collect();
    assert_eq!(timing, [2, 1, 1, 4]);
    assert_eq!(judged[3].worst(), Flag::Good);
}

fn slipping() -> Limits {
    let unit_slip = Some(UnitSlip { least: 0.2, hold_h: 2.0 });
    Limits { unit_slip, gap_s: 900, ..Limits::none(300) }
}

#[test]
fn a_unit_slips_and_comes_back() {
    let values = [8.0, 8.1, 0.82, 0.83, 0.84, 8.5, 8.6];
    check(&slipping(), &values, QualityTest::UnitSlip, &[2, 1, 3, 3, 3, 1, 1]);
    let thousand = [0.5, 0.51, 512.0, 515.0, 0.52, 0.52];
    check(&slipping(), &thousand, QualityTest::UnitSlip, &[2, 1, 3, 3, 1, 1]);
}

#[test]
fn a_slip_that_stays_is_the_water_after_its_hold() {
    let mut values = vec![8.0; 3];
    values.extend([0.8; 30]);
    let judged = flags(&slipping(), &every_five(&values), QualityTest::UnitSlip);
    assert_eq!((judged[2], judged[3], judged[26], judged[27]), (1, 3, 3, 1));
}

#[test]
fn near_zero_every_ratio_happens_and_no_unit_slips() {
    check(&slipping(), &[0.01, 0.1, 0.01, 1.0], QualityTest::UnitSlip, &[2, 1, 1, 1]);
    check(&slipping(), &[0.5, 3.0, 30.0 * 1.2], QualityTest::UnitSlip, &[2, 1, 1]);
}

#[test]
fn what_the_sensor_says_of_itself_stands_beside_and_takes_no_part() {
    let limits = Limits { spike_differential: levels(1.0, 3.0), ..Limits::none(300) };
    let mut record = every_five(&[1.0, 9.0, 1.0, 1.0]);
    record[1].said = Flag::Bad;
    let judged = judge(&plan(&limits), &record);
    assert_eq!(judged[1].get(QualityTest::Sensor), Some(Flag::Bad));
    assert_eq!(judged[1].worst(), Flag::Bad);
    assert_eq!(judged[2].get(QualityTest::SpikeDifferential), Some(Flag::Good));
}

#[test]
fn what_no_sensor_can_measure_accuses_no_neighbour() {
    let gross = Some(Gross { fail: Some([0.0, 40.0]), suspect: None });
    let rate = Some(Rate { suspect_per_hour: 12.0, fail_per_hour: None });
    let limits = Limits { gross, rate, ..Limits::none(300) };
    check(&limits, &[1.0, 999.0, 1.0], QualityTest::RateOfChange, &[2, 2, 1]);
    check(&bridged(limits), &[1.0, 999.0, 1.0], QualityTest::RateOfChange, &[1, 3, 3]);
}

#[test]
fn the_flags_of_tests_are_packed_and_print_for_ever_the_same() {
    let flags = TestFlags::NONE
        .with(QualityTest::GrossRange, Flag::Bad)
        .with(QualityTest::GrossRange, Flag::Good)
        .with(QualityTest::SpikeAverage, Flag::Suspect)
        .with(QualityTest::Exposure, Flag::Missing)
        .with(QualityTest::Timing, Flag::Bad);
    assert_eq!(flags.to_string(), "timing=4 gross_range=1 spike_average=3 exposure=9");
    assert_eq!(flags.worst(), Flag::Suspect);
    assert_eq!(TestFlags::try_from(flags.bits()), Ok(flags));
    assert_eq!(flags.bits(), 4 << 6 | 1 << 12 | 3 << 18 | 5 << 48);
    for bits in [6, 7, 1 << 54, u64::MAX] {
        assert!(TestFlags::try_from(bits).is_err(), "{bits:#x}");
    }
    assert_eq!(TestFlags::NONE.worst(), Flag::NotEvaluated);
    for (number, test) in QualityTest::ALL.into_iter().enumerate() {
        assert_eq!(test as usize, number);
        assert_eq!(QualityTest::from_name(test.name()), Some(test));
    }
}
