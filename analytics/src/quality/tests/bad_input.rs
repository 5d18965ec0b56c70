//! What nobody would send, and what every sensor sends once.

use std::time::Duration;

use domain::{Flag, QualityTest, Timestamp, standard_parameters};

use super::story::{at, every_five, plan, told};
use crate::quality::{
    Attenuated, Check, Flat, Gaps, Gross, Levels, Limits, Point, Pushed, Rate, SiteClass, Stream,
    UnitSlip, defaults, judge, rejudge, settle,
};

/// Everything at once.
pub(super) fn all(gaps: Gaps) -> Limits {
    Limits {
        gaps,
        gap_s: 900,
        fresh_below: Some(0.3),
        gross: Some(Gross { fail: Some([-0.05, 40.0]), suspect: Some([-0.05, 38.0]) }),
        spike_average: Some(Levels { suspect: 1.0, fail: Some(3.0) }),
        spike_differential: Some(Levels { suspect: 1.0, fail: Some(3.0) }),
        rate: Some(Rate { suspect_per_hour: 6.0, fail_per_hour: Some(24.0) }),
        flat: Some(Flat { suspect_h: 0.5, fail_h: Some(1.0), tolerance: 0.05, above: None }),
        attenuated: Some(Attenuated {
            period_h: 3.0,
            suspect: 0.5,
            fail: Some(0.1),
            min_obs: 6,
            check: Check::Range,
        }),
        unit_slip: Some(UnitSlip { least: 0.2, hold_h: 1.5 }),
        ..Limits::none(300)
    }
}

#[test]
fn what_is_not_a_number_is_bad_and_touches_nothing_else() {
    for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut record = every_five(&[1.0, 1.2, 1.4, 1.6]);
        record[1].value = Some(wrong);
        let judged = judge(&plan(&all(Gaps::Break)), &record);
        assert_eq!(judged[1].worst(), Flag::Bad, "{wrong}");
        assert_eq!(judged[1].get(QualityTest::GrossRange), Some(Flag::Bad));
        assert_eq!(judged[1].get(QualityTest::RateOfChange), Some(Flag::Missing));
        assert_eq!([judged[0].worst(), judged[2].worst()], [Flag::Good; 2]);
        let no_range = judge(&plan(&Limits::none(300)), &record);
        assert_eq!(no_range[1].worst(), Flag::Bad, "{wrong} without a range");
    }
}

#[test]
fn the_largest_numbers_neither_panic_nor_pass() {
    for gaps in [Gaps::Break, Gaps::Bridge] {
        let judged = judge(
            &plan(&Limits { gross: None, ..all(gaps) }),
            &every_five(&[f64::MAX, f64::MIN, f64::MAX, f64::MIN_POSITIVE, 1e300, -1e300]),
        );
        assert_eq!(judged[1].get(QualityTest::RateOfChange), Some(Flag::Bad));
        assert_eq!(judged[1].get(QualityTest::SpikeDifferential), Some(Flag::Bad));
        let std = Attenuated { check: Check::Std, ..all(gaps).attenuated.unwrap() };
        let limits = Limits { attenuated: Some(std), gross: None, ..all(gaps) };
        assert_eq!(judge(&plan(&limits), &every_five(&[f64::MAX; 40])).len(), 40);
    }
}

#[test]
fn a_salinity_below_zero_is_bad_beyond_the_tolerance_of_a_probe() {
    let salinity = standard_parameters().remove(0);
    let limits = defaults(&salinity, SiteClass::Coast, 300);
    let judged = judge(&plan(&limits), &every_five(&[0.0, -0.05, -0.06, -7.0, 0.0]));
    let gross: Vec<u8> =
        judged.iter().map(|it| it.get(QualityTest::GrossRange).unwrap().number()).collect();
    assert_eq!(gross, [1, 1, 4, 4, 1]);
    assert_eq!(judged[4].worst(), Flag::Good, "{}", judged[4]);
}

#[test]
fn the_limits_themselves_pass() {
    let limits = all(Gaps::Break);
    let gross = judge(&plan(&limits), &every_five(&[38.0, 38.000001, 40.0, 40.000001]));
    let gross: Vec<u8> =
        gross.iter().map(|it| it.get(QualityTest::GrossRange).unwrap().number()).collect();
    assert_eq!(gross, [1, 3, 3, 4]);
    // 6 units an hour are half a unit in five minutes; a spike of exactly 1 is none; a range of the tolerance moves.
    let judged = judge(&plan(&limits), &every_five(&[5.0, 5.5, 5.0, 6.0, 5.0]));
    assert_eq!(judged[1].get(QualityTest::RateOfChange), Some(Flag::Good));
    assert_eq!(judged[3].get(QualityTest::SpikeDifferential), Some(Flag::Good));
    let moves: Vec<f64> = (0..20).map(|i| if i % 2 == 0 { 1.0 } else { 1.0625 }).collect();
    let tolerance = Flat { tolerance: 0.0625, ..limits.flat.unwrap() };
    let judged = judge(&plan(&Limits { flat: Some(tolerance), ..limits }), &every_five(&moves));
    assert_eq!(judged[19].get(QualityTest::FlatLine), Some(Flag::Good));
}

#[test]
fn time_that_goes_back_is_late_and_changes_nothing_in_the_stream() {
    let plan = plan(&all(Gaps::Break));
    let mut stream = Stream::rebuilt(&plan, every_five(&[1.0, 1.2, 1.4]));
    assert_eq!(stream.push(&plan, Point::new(at(7), Some(30.0))), Pushed::Late);
    assert_eq!(stream.push(&plan, Point::new(at(10), Some(30.0))), Pushed::Late);
    let Pushed::Judged { now, .. } = stream.push(&plan, Point::new(at(15), Some(1.6))) else {
        panic!("it is newer");
    };
    assert_eq!(now.worst(), Flag::Good);
}

#[test]
fn of_two_values_at_one_time_the_later_to_come_stays() {
    let mut record = told("00:05 1 | 00:00 1 | 00:05 9 | 00:10 1");
    settle(&mut record);
    assert_eq!(record, told("00:00 1 | 00:05 9 | 00:10 1"));
    let plan = plan(&all(Gaps::Break));
    let around = told("00:00 1 | 00:05 1 | 00:10 1.2");
    let changed = rejudge(&plan, &around, &[Point::new(at(5), Some(9.0))]);
    assert_eq!(changed[0].at, at(5), "the reading itself: {changed:?}");
    assert_eq!(changed[0].flags.get(QualityTest::SpikeDifferential), Some(Flag::Bad));
    assert_eq!(changed[1].at, at(10));
    assert_eq!(changed[1].flags.get(QualityTest::RateOfChange), Some(Flag::Bad));
    assert_eq!(changed.len(), 2);
}

#[test]
fn a_year_of_gaps_is_judged_and_remembers_nothing() {
    let year = Duration::from_secs(365 * 86_400);
    for gaps in [Gaps::Break, Gaps::Bridge] {
        let plan = plan(&all(gaps));
        let mut record = every_five(&[1.0; 40]);
        let back: Vec<Point> =
            record.iter().map(|point| Point { at: point.at + year, ..*point }).collect();
        record.extend(back);
        let judged = judge(&plan, &record);
        assert_eq!(judged[39].worst(), Flag::Bad);
        assert_eq!(judged[40].get(QualityTest::Timing), Some(Flag::Bad));
        if gaps == Gaps::Break {
            assert_eq!(judged[40].worst(), Flag::Good, "{}", judged[40]);
            assert_eq!(judged[41].worst(), Flag::Good, "{}", judged[41]);
        }
    }
    // Alone in each year.
    let lonely: Vec<Point> = (0..20).map(|i| Point::new(at(0) + year * i, Some(1.0))).collect();
    let judged = judge(&plan(&all(Gaps::Break)), &lonely);
    assert!(judged.iter().all(|it| it.worst() == Flag::Good), "{judged:?}");
}

#[test]
fn the_ends_of_time_do_not_panic() {
    let plan = plan(&all(Gaps::Break));
    let times = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX];
    let point = |&at: &i64| Point::new(Timestamp::from_millis(at), Some(1.0));
    assert_eq!(judge(&plan, &times.iter().map(point).collect::<Vec<_>>()).len(), 7);
}

#[test]
fn an_empty_record_has_no_flags() {
    assert!(judge(&plan(&all(Gaps::Break)), &[]).is_empty());
    let changed = rejudge(&plan(&all(Gaps::Break)), &[], &[Point::new(at(0), None)]);
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0].flags.worst(), Flag::Missing);
}

#[test]
fn a_station_faster_than_its_profile_stays_within_bounds() {
    let salinity = standard_parameters().remove(0);
    let plan = plan(&defaults(&salinity, SiteClass::Inland, 900));
    let mut stream = Stream::default();
    for second in 0..200_000_i64 {
        let value = 5.0 + (second as f64 / 7_000.0).sin() * 4.0;
        let point = Point::new(Timestamp::from_millis(second * 1_000), Some(value));
        stream.push(&plan, point);
    }
    assert!(stream.bytes() < 64 * 1024, "{}", stream.bytes());
}
