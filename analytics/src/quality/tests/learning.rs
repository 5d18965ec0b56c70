//! A climatology learned from history.

use std::sync::Arc;
use std::time::Duration;

use domain::{Flag, QualityTest, Timestamp};

use super::story::{at, plan};
use crate::quality::{Learned, Learning, Limits, Point, TooLittle, judge, tide_phase};

const M2_MIN: f64 = 745.236;

/// Salt with the tide: 2 g/L at the turn of a phase to 6 g/L half a tide later, and noise of a tenth.
fn salt(minutes: i64) -> f64 {
    let turn = std::f64::consts::TAU * (at(minutes).as_millis() as f64 / 60_000.0) / M2_MIN;
    4.0 - 2.0 * turn.cos() + 0.1 * ((minutes * 7_919 % 101) as f64 / 100.0)
}

fn history(days: i64) -> impl Iterator<Item = (Timestamp, f64)> {
    (0..days * 288).map(|i| (at(5 * i), salt(5 * i)))
}

#[test]
fn the_water_of_a_month_is_known_by_the_hour_of_the_tide() {
    let learned = Arc::new(Learned::from_history(history(40), Learning::default()).unwrap());
    let plan = plan(&Limits::none(300)).with_learned(Arc::clone(&learned));
    // Six grams are every tide's, but not at the hour of two.
    let at_phase = |phase| (0..).map(|i| at(5 * i)).find(|it| tide_phase(*it) == phase).unwrap();
    for (phase, value, flag) in [
        (0, 2.1, Flag::Good),
        (0, 6.0, Flag::Suspect),
        (5, 6.0, Flag::Good),
        (5, 2.1, Flag::Suspect),
    ] {
        let judged = judge(&plan, &[Point::new(at_phase(phase), Some(value))]);
        assert_eq!(
            judged[0].get(QualityTest::Climatology),
            Some(flag),
            "phase {phase}, {value} g/L"
        );
    }
    let usual = learned.usual(at_phase(0)).unwrap();
    assert!(200 <= usual.count && 1.9 < usual.low && usual.high < 3.2, "{usual:?}");
}

#[test]
fn of_a_month_that_was_not_seen_nothing_is_said() {
    let learned = Learned::from_history(history(40), Learning::default()).unwrap();
    assert!(learned.known() < 36, "{} cells of two months", learned.known());
    let plan = plan(&Limits::none(300)).with_learned(Arc::new(learned));
    let august = Timestamp::parse_rfc3339("2024-08-12T00:00:00Z").unwrap();
    let judged = judge(&plan, &[Point::new(august, Some(99.0))]);
    assert_eq!(judged[0].get(QualityTest::Climatology), Some(Flag::NotEvaluated));
}

#[test]
fn too_little_history_is_refused() {
    let refused = Learned::from_history(history(29), Learning::default()).unwrap_err();
    assert_eq!(refused, TooLittle::Span { days: 28, needed: 30 });
    let daily = (0..400).map(|day| (at(1_440 * day), 1.0));
    let refused = Learned::from_history(daily, Learning::default()).unwrap_err();
    assert!(matches!(refused, TooLittle::Readings { needed: 200, most } if most < 31), "{refused}");
    let nothing = Learned::from_history(std::iter::empty(), Learning::default());
    assert_eq!(nothing.unwrap_err(), TooLittle::Span { days: 0, needed: 30 });
    let no_numbers = history(60).map(|(at, _)| (at, f64::NAN));
    assert!(Learned::from_history(no_numbers, Learning::default()).is_err());
}

#[test]
fn what_was_learned_does_not_depend_on_the_order_and_survives_a_file() {
    let asked = Learning { span_min: Duration::from_secs(86_400), ..Learning::default() };
    let forwards = Learned::from_history(history(40), asked).unwrap();
    let mut backwards: Vec<_> = history(40).collect();
    backwards.reverse();
    assert_eq!(Learned::from_history(backwards, asked).unwrap(), forwards);
    let json = serde_json::to_string(&forwards).unwrap();
    assert_eq!(serde_json::from_str::<Learned>(&json).unwrap(), forwards);
}

#[test]
fn the_tide_has_twelve_phases_for_ever() {
    assert_eq!(tide_phase(Timestamp::from_millis(0)), 0);
    assert_eq!(tide_phase(Timestamp::from_millis(-1)), 11);
    assert_eq!(tide_phase(Timestamp::from_millis(44_714_164)), 0);
    assert_eq!(tide_phase(Timestamp::from_millis(44_714_163)), 11);
}
