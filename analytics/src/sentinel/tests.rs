//! Tides with faults put into them; every random number comes of a fixed seed.

use std::time::Duration;

use domain::{Act, Flag, ParameterCode, Timestamp};

use super::{Correction, Envelope, Found, Learner, Limits, Order, Reason, Revision};
use super::{Sense, Sensor, Sentinel};

const STEP_MS: i64 = 15 * 60_000;
const DAY: i64 = 96;

fn sensors() -> Vec<Sensor> {
    [
        ("salinity", Sense::Salt, 0.1),
        ("water_level", Sense::Level, 0.01),
        ("water_temperature", Sense::Temperature, 0.1),
    ]
    .map(|(code, sense, resolution)| Sensor {
        parameter: ParameterCode::new(code).unwrap(),
        sense,
        resolution,
    })
    .into()
}

/// A number between -1 and 1 that only depends on the place (splitmix64).
fn noise(place: i64) -> f64 {
    let mut z = (place as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5a17;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// Salinity, level and temperature of a quiet estuary.
fn water(i: i64) -> [f64; 3] {
    let hours = i as f64 / 4.0;
    let tide = (hours / 12.42 * std::f64::consts::TAU).sin();
    let springs = 1.0 + 0.3 * (hours / 354.4 * std::f64::consts::TAU).sin();
    let season = 2.0 * (hours / 2_000.0 * std::f64::consts::TAU).sin();
    let round = |value: f64, by: f64| (value / by).round() * by;
    [
        round(18.0 + season + 0.2 * springs * tide + 0.05 * noise(i), 0.1),
        round(2.0 + 0.6 * springs * tide + 0.02 * noise(i + 1_000_000), 0.01),
        round(28.0 + (hours / 24.0 * std::f64::consts::TAU).sin() + 0.1 * noise(-i), 0.1),
    ]
}

#[derive(Default)]
struct Story {
    revisions: Vec<Revision>,
    corrections: Vec<Correction>,
    orders: Vec<Order>,
    marks: Vec<(i64, Reason)>,
}

impl Story {
    fn hear(&mut self, i: i64, found: Found) {
        let salt = found.marks.first().and_then(|mark| mark.reason);
        self.marks.extend(salt.map(|reason| (i, reason)));
        self.revisions.extend(found.revisions);
        self.corrections.extend(found.corrections);
        self.orders.extend(found.order);
    }

    /// Does a revision of salinity for this reason hold the place?
    fn covers(&self, reason: Reason, i: i64) -> bool {
        self.revisions.iter().any(|it| {
            it.parameter.as_str() == "salinity"
                && it.reason == reason
                && it.from <= time(i)
                && time(i) < it.to
        })
    }
}

fn time(i: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + i * STEP_MS)
}

fn envelope(days: i64) -> Envelope {
    let mut learner = Learner::new(&sensors(), Duration::from_mins(15));
    for i in 0..days * DAY {
        learner.push(time(i), &water(i).map(Some));
    }
    learner.envelope()
}

/// 100 days that were learned and 100 more with a fault in them.
fn story(fault: impl Fn(i64, &mut [Option<f64>; 3])) -> Story {
    visited(fault, &[])
}

fn visited(fault: impl Fn(i64, &mut [Option<f64>; 3]), visits: &[i64]) -> Story {
    let mut sentinel = Sentinel::new(&sensors(), Duration::from_mins(15), Limits::default());
    sentinel.know(&envelope(100));
    let mut story = Story::default();
    for i in 0..200 * DAY {
        if visits.contains(&i) {
            sentinel.visit(time(i));
        }
        let mut values = water(i).map(Some);
        fault(i, &mut values);
        story.hear(i, sentinel.push(time(i), &values));
    }
    story
}

#[test]
fn clean_water_is_left_alone() {
    let story = story(|_, _| ());
    assert_eq!(story.marks, []);
    assert_eq!(story.revisions, []);
    assert_eq!(story.orders, []);
}

#[test]
fn a_cell_that_fouls_is_found_within_five_days() {
    let start = 130 * DAY;
    let story = story(|i, values| {
        let days = (i - start).max(0) as f64 / DAY as f64;
        values[0] = values[0].map(|salt| salt * (-0.06 * days).exp());
    });
    let order = &story.orders[0];
    assert_eq!(order.reason, Reason::Fouled);
    let days = (order.at.as_millis() - time(start).as_millis()) as f64 / 86_400_000.0;
    assert!((0.0..5.0).contains(&days), "found after {days} days");
    assert!(order.days_to_clean < 6.0 && 0.0 < order.confidence, "{order:?}");
}

#[test]
fn a_freshet_takes_the_low_waters_first_and_is_no_fouling() {
    let story = story(|i, values| {
        let days = (i - 130 * DAY).clamp(0, 20 * DAY) as f64 / DAY as f64;
        let rising = (i as f64 / 4.0 / 12.42 * std::f64::consts::TAU).sin();
        let fresh = (0.03 + 0.06 * (1.0 - rising)) * days;
        values[0] = values[0].map(|salt| (salt * (-fresh).exp() * 10.0).round() / 10.0);
    });
    assert!(story.orders.iter().all(|order| order.reason != Reason::Fouled), "{:?}", story.orders);
}

#[test]
fn the_jump_back_at_a_cleaning_shows_the_days_that_had_drifted() {
    let (start, end) = (130 * DAY, 136 * DAY);
    let story = story(|i, values| {
        let along = (i - start) as f64 / (end - start) as f64;
        if (start..end).contains(&i) {
            values[0] = values[0].map(|salt| salt - 4.0 * along);
        }
    });
    assert!(story.covers(Reason::Drift, end - 4));
    assert!(story.covers(Reason::Drift, end - 3 * DAY));
    assert!(!story.covers(Reason::Drift, end + 1));
    assert!(!story.covers(Reason::Drift, start - 5 * DAY));
}

#[test]
fn a_wrong_calibration_is_seen_between_its_two_visits() {
    let (start, end) = (130 * DAY, 151 * DAY);
    let story = story(|i, values| {
        if (start..end).contains(&i) {
            values[0] = values[0].map(|salt| salt - 2.0);
        }
    });
    assert!(story.covers(Reason::Offset, start + DAY) && story.covers(Reason::Offset, end - 4));
    assert!(!story.covers(Reason::Offset, start - DAY) && !story.covers(Reason::Offset, end + DAY));
}

#[test]
fn a_sonde_that_fell_hangs_wrong_until_it_hangs_right() {
    let (start, end) = (130 * DAY, 150 * DAY);
    let story = story(|i, values| {
        if (start..end).contains(&i) {
            values[1] = values[1].map(|level| level + 1.2);
        }
    });
    assert!(story.covers(Reason::WrongDepth, start + DAY));
    assert!(story.covers(Reason::WrongDepth, end - DAY));
    assert!(!story.covers(Reason::WrongDepth, end + DAY));
    assert!(!story.covers(Reason::WrongDepth, start - DAY));
    assert!(story.orders.iter().all(|order| order.reason == Reason::WrongDepth));
    assert_eq!(story.orders.len(), 2, "given anew after two weeks");
}

#[test]
fn an_entry_in_the_log_proposes_a_line_back_to_the_entry_before() {
    let (first, second) = (120 * DAY, 134 * DAY);
    let fault = |i: i64, values: &mut [Option<f64>; 3]| {
        if (first..second).contains(&i) {
            let along = (i - first) as f64 / (second - first) as f64;
            values[0] = values[0].map(|salt| salt - 1.5 * along);
        }
    };
    let story = visited(fault, &[first, second]);
    let line = story.corrections.iter().find(|it| it.parameter.as_str() == "salinity").unwrap();
    assert_eq!(line.from, time(first));
    let late = line.to.as_millis() - time(second).as_millis();
    assert!(late.abs() <= 3_600_000, "{late} ms from the entry");
    let Act::Drift { start, end } = line.act() else { panic!("a line") };
    assert!(start == 0.0 && (end - 1.5).abs() < 0.6, "{end}");
}

#[test]
fn a_sensor_that_stands_still_is_stuck_from_its_first_reading_on() {
    let start = 130 * DAY;
    let story = story(|i, values| {
        if start <= i {
            values[0] = Some(17.3);
        }
    });
    assert!(story.marks.iter().any(|&(i, reason)| i < start + 2 * DAY && reason == Reason::Stuck));
    assert!(story.covers(Reason::Stuck, start + 1));
}

#[test]
fn a_season_of_flat_fresh_water_is_not_stuck() {
    let story = story(|i, values| {
        if 110 * DAY <= i {
            values[0] = Some(0.1);
        }
    });
    assert!(story.marks.is_empty(), "{:?}", story.marks.first());
}

#[test]
fn without_its_thermometer_a_conductivity_is_no_salinity() {
    let story = story(|i, values| {
        if i == 130 * DAY {
            values[2] = Some(50.0);
        }
    });
    assert_eq!(story.marks, [(130 * DAY, Reason::BadTemperature)]);
}

#[test]
fn what_is_no_number_or_below_zero_is_bad_and_teaches_nothing() {
    let story = story(|i, values| {
        if i % 1_000 == 7 {
            values[0] = Some([f64::NAN, f64::INFINITY, -1.0][(i / 1_000 % 3) as usize]);
        }
    });
    assert!(story.marks.iter().all(|(_, reason)| reason.flag() == Flag::Bad));
    assert_eq!(story.marks.len(), 20);
    assert_eq!(story.revisions, []);
}

#[test]
fn time_that_goes_back_is_late_and_a_year_of_silence_is_no_step() {
    let mut sentinel = Sentinel::new(&sensors(), Duration::from_mins(15), Limits::default());
    sentinel.know(&envelope(70));
    for i in 0..30 * DAY {
        sentinel.push(time(i), &water(i).map(Some));
    }
    let before = sentinel.clone();
    let found = sentinel.push(time(5), &[Some(3.0), None, Some(1.0)]);
    let reasons: Vec<_> = found.marks.iter().map(|mark| mark.reason).collect();
    assert_eq!(reasons, [Some(Reason::Late), None, Some(Reason::Late)]);
    assert_eq!(sentinel, before, "a late reading changes nothing");
    for i in 400 * DAY..430 * DAY {
        let mut values = water(i);
        values[0] += 9.0;
        let found = sentinel.push(time(i), &values.map(Some));
        assert_eq!((found.revisions, found.order), (vec![], None));
    }
    for far in [i64::MAX / 2, i64::MAX] {
        sentinel.push(Timestamp::from_millis(far), &[Some(1.0); 3]);
    }
}

#[test]
fn the_same_readings_give_the_same_answers() {
    let fault = |i: i64, values: &mut [Option<f64>; 3]| {
        if i % 97 == 0 || (14_000..14_500).contains(&i) {
            values[0] = None;
        }
    };
    let (one, two) = (story(fault), story(fault));
    assert_eq!((one.revisions, one.orders), (two.revisions, two.orders));
    let text = serde_json::to_string(&envelope(70)).unwrap();
    assert_eq!(text, serde_json::to_string(&envelope(70)).unwrap());
    assert_eq!(serde_json::from_str::<Envelope>(&text).unwrap(), envelope(70));
}
