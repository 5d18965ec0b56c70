//! How long beyond a limit, against arithmetic done by hand and against a walk in steps of a second.

use std::time::Duration;

use domain::{Every, Timestamp};
use history::{Beyond, History, Query, Spells};
use proptest::prelude::*;

use crate::words::*;

const GAP: Duration = Duration::from_mins(30);
const HOUR: Every = Every::Span(Duration::from_hours(1));

fn told(rows: &[(i64, &str)]) -> (tempfile::TempDir, History) {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    for (position, &(minute, value)) in (0..).zip(rows) {
        history.apply(position, &record("a", minute, &format!("salinity {value}")));
    }
    (dir, history)
}

/// Minute of the start, and minutes beyond, known and longest, with the spells before the last.
fn minutes(history: &History, every: Every, beyond: Beyond) -> Vec<(i64, f64, f64, u32, f64)> {
    let spells = history.spells(&all("a", "salinity"), every, beyond, GAP).unwrap();
    let minutes = |time: Duration| (time.as_secs_f64() / 60.0 * 1_000.0).round() / 1_000.0;
    let row = |s: &Spells| {
        let start = (s.start.as_millis() - DAY) / 60_000;
        (start, minutes(s.beyond), minutes(s.known), s.spells, minutes(s.longest))
    };
    spells.iter().map(row).collect()
}

#[test]
fn a_crossing_lies_between_two_readings() {
    let (_dir, history) = told(&[(0, "3"), (15, "5"), (30, "5"), (45, "3")]);
    assert_eq!(minutes(&history, HOUR, Beyond::Above(4.0)), [(0, 30.0, 45.0, 1, 30.0)]);
    assert_eq!(minutes(&history, HOUR, Beyond::Below(4.0)), [(0, 15.0, 45.0, 2, 7.5)]);
    assert_eq!(minutes(&history, HOUR, Beyond::Above(4.5)), [(0, 22.5, 45.0, 1, 22.5)]);
    assert_eq!(minutes(&history, HOUR, Beyond::Above(9.0)), [(0, 0.0, 45.0, 0, 0.0)]);
}

#[test]
fn a_spell_goes_on_over_the_hour_and_counts_in_both() {
    let (_dir, history) = told(&[(30, "5"), (50, "5"), (70, "5"), (80, "3")]);
    assert_eq!(
        minutes(&history, HOUR, Beyond::Above(4.0)),
        [(0, 30.0, 30.0, 1, 30.0), (60, 15.0, 20.0, 1, 15.0)]
    );
}

#[test]
fn what_is_between_readings_too_far_apart_is_not_known() {
    let (_dir, history) =
        told(&[(0, "5"), (15, "5"), (46, "5"), (50, "5"), (300, "5"), (310, "5")]);
    assert_eq!(
        minutes(&history, HOUR, Beyond::Above(4.0)),
        [(0, 19.0, 19.0, 2, 15.0), (300, 10.0, 10.0, 1, 10.0)],
        "and an hour of which nothing is known is left out"
    );
}

#[test]
fn bad_readings_do_not_count_and_do_not_break() {
    let (_dir, history) = told(&[(0, "5"), (10, "0!"), (15, "-"), (20, "5")]);
    assert_eq!(minutes(&history, HOUR, Beyond::Above(4.0)), [(0, 20.0, 20.0, 1, 20.0)]);
}

#[test]
fn to_touch_the_limit_is_no_spell_and_to_stay_at_it_is() {
    let (_dir, history) = told(&[(0, "3"), (10, "4"), (20, "3"), (30, "4"), (40, "4"), (50, "3")]);
    assert_eq!(minutes(&history, HOUR, Beyond::Above(4.0)), [(0, 10.0, 50.0, 1, 10.0)]);
}

#[test]
fn days_are_those_of_vietnam() {
    // 00:00 UTC is 07:00 there: 17 hours later its day ends.
    let rows: Vec<(i64, &str)> = (0..=80).map(|quarter| (quarter * 15, "5")).collect();
    let (_dir, history) = told(&rows);
    let days = minutes(&history, Every::Day, Beyond::Above(4.0));
    assert_eq!(days, [(-420, 1_020.0, 1_020.0, 1, 1_020.0), (1_020, 180.0, 180.0, 1, 180.0)]);
    assert_eq!(minutes(&history, Every::Month, Beyond::Above(4.0)).len(), 1);
}

#[test]
fn a_limit_of_intervals_and_a_range_without_readings() {
    let rows: Vec<(i64, &str)> = (0..40).map(|quarter| (quarter * 15, "5")).collect();
    let (_dir, history) = told(&rows);
    let few = Query { limit: 3, ..all("a", "salinity") };
    let above = Beyond::Above(4.0);
    assert_eq!(history.spells(&few, HOUR, above, GAP).unwrap().len(), 3);
    let none = Query { to: Timestamp::from_millis(0), ..all("a", "salinity") };
    assert_eq!(history.spells(&none, HOUR, above, GAP).unwrap(), []);
    let one = Query { to: at(1), ..all("a", "salinity") };
    assert_eq!(history.spells(&one, HOUR, above, GAP).unwrap(), [], "one reading has no length");
}

/// Milliseconds beyond, known, and of the longest spell in all, walked in steps of a second.
fn walked(points: &[(i64, f64)], beyond: Beyond) -> (f64, f64, f64) {
    let (mut sum, mut known, mut run, mut longest) = (0.0, 0.0, 0.0_f64, 0.0_f64);
    for pair in points.windows(2) {
        let [(from, a), (to, b)] = pair else { unreachable!() };
        if GAP.as_millis() < u128::try_from(to - from).unwrap() * 60_000 {
            run = 0.0;
            continue;
        }
        let seconds = (to - from) * 60;
        for step in 0..seconds {
            let value = a + (b - a) * (step as f64 + 0.5) / seconds as f64;
            let inside = match beyond {
                Beyond::Above(limit) => limit <= value,
                Beyond::Below(limit) => value <= limit,
            };
            known += 1.0;
            run = if inside { run + 1.0 } else { 0.0 };
            sum += f64::from(u8::from(inside));
            longest = longest.max(run);
        }
    }
    (sum, known, longest)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_walk_second_by_second_finds_the_same(
        steps in prop::collection::vec((1i64..45, 0u32..9), 2..40),
        limit in 0.25f64..8.0,
        above in any::<bool>(),
    ) {
        let mut minute = 0;
        let points: Vec<(i64, f64)> = steps.iter().map(|&(wait, value)| {
            minute += wait;
            (minute, f64::from(value))
        }).collect();
        let rows: Vec<(i64, String)> = points.iter().map(|&(at, value)| (at, value.to_string())).collect();
        let rows: Vec<(i64, &str)> = rows.iter().map(|(at, value)| (*at, value.as_str())).collect();
        let (_dir, history) = told(&rows);
        let beyond = if above { Beyond::Above(limit) } else { Beyond::Below(limit) };
        let whole = Every::Span(Duration::from_hours(24 * 7 * 52 * 60));
        let found = history.spells(&all("a", "salinity"), whole, beyond, GAP).unwrap();
        let (sum, known, longest) = walked(&points, beyond);
        let of = |get: fn(&Spells) -> Duration| found.iter().map(|s| get(s).as_secs_f64()).sum::<f64>();
        prop_assert_eq!(of(|s| s.known), known);
        prop_assert!((of(|s| s.beyond) - sum).abs() <= points.len() as f64, "{found:?} {sum}");
        prop_assert!((of(|s| s.longest) - longest).abs() <= points.len() as f64, "{found:?} {longest}");
    }
}
