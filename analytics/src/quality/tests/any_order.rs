//! What must hold for any record: the stream gives what the definitions give; the order in which readings come does not
//! matter; a restart at any moment does not either. The keeper here does what an engine does with its store.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use domain::{Flag, TestFlags, Timestamp};
use proptest::prelude::*;

use super::bad_input::all;
use super::plain;
use super::story::{at, plan};
use crate::quality::{
    Attenuated, Check, Gaps, Limits, Point, Pushed, Stream, TestPlan, judge, rejudge, settle,
};

/// A store of one series, and the stream beside it.
struct Keeper {
    plan: TestPlan,
    kept: BTreeMap<Timestamp, (Point, TestFlags)>,
    stream: Stream,
}

impl Keeper {
    fn new(limits: &Limits) -> Self {
        Self { plan: plan(limits), kept: BTreeMap::new(), stream: Stream::default() }
    }

    fn put(&mut self, point: Point) {
        match self.stream.push(&self.plan, point) {
            Pushed::Judged { now, revised } => {
                self.kept.insert(point.at, (point, now));
                if let Some(it) = revised {
                    self.kept.get_mut(&it.at).unwrap().1 = it.flags;
                }
            }
            Pushed::Late => self.put_late(&[point]),
        }
    }

    fn put_late(&mut self, late: &[Point]) {
        let (oldest, newest) =
            (late.iter().map(|it| it.at).min(), late.iter().map(|it| it.at).max());
        let around = self.around(oldest.unwrap(), newest.unwrap());
        let changed = rejudge(&self.plan, &around, late);
        for point in late {
            self.kept.insert(point.at, (*point, TestFlags::NONE));
        }
        for it in changed {
            self.kept.get_mut(&it.at).unwrap().1 = it.flags;
        }
        self.restart();
    }

    fn restart(&mut self) {
        let newest = *self.kept.last_key_value().unwrap().0;
        self.stream = Stream::rebuilt(&self.plan, self.around(newest, newest));
    }

    /// What lies within reach, and one more on either side.
    fn around(&self, oldest: Timestamp, newest: Timestamp) -> Vec<Point> {
        let reach = self.plan.reach();
        let (from, to) = (oldest - reach.before, newest + reach.after);
        let before = self.kept.range(..from).next_back();
        let after = self.kept.range((Bound::Excluded(to), Bound::Unbounded)).next();
        let end = after.map_or(to, |(time, _)| *time);
        let within = self.kept.range(from..=end);
        before.into_iter().chain(within).map(|(_, (point, _))| *point).collect()
    }

    fn flags(&self) -> Vec<TestFlags> {
        self.kept.values().map(|(_, flags)| *flags).collect()
    }
}

/// Readings with jitter, gaps, holes, spikes, frozen runs, slips and disowned values.
fn records() -> impl Strategy<Value = Vec<Point>> {
    let step = prop_oneof![
        20 => (240_i64..360).prop_map(|s| s * 1_000),
        10 => Just(300_000_i64),
        1 => Just(900_000_i64),
        1 => Just(900_001_i64),
        1 => (1_i64..5_000).prop_map(|it| it),
        1 => (3_600_i64..40_000).prop_map(|s| s * 1_000),
        1 => Just(86_400_000_i64 * 400),
    ];
    let change = prop_oneof![
        10 => (-60_i32..60).prop_map(Change::By),
        8 => Just(Change::By(0)),
        2 => Just(Change::Missing),
        1 => Just(Change::NotANumber),
        1 => (-1_000_i32..5_000).prop_map(Change::Spike),
        1 => Just(Change::Times(10.0)),
        1 => Just(Change::Times(0.1)),
        1 => Just(Change::To(0.0)),
        1 => Just(Change::Disowned),
    ];
    // Quiet stretches are where windows fill.
    let quiet = prop_oneof![3 => Just(1_usize), 1 => 2_usize..30];
    prop::collection::vec((step, change, quiet), 1..45).prop_map(|steps| tell(&steps))
}

#[derive(Debug, Clone, Copy)]
enum Change {
    By(i32),
    Times(f64),
    To(f64),
    Spike(i32),
    Missing,
    NotANumber,
    Disowned,
}

fn tell(steps: &[(i64, Change, usize)]) -> Vec<Point> {
    let (mut time, mut value, mut record) = (at(0).as_millis(), 3.0_f64, Vec::new());
    for &(step, change, quiet) in steps {
        for n in 0..quiet {
            time += if n == 0 { step } else { 300_000 };
            let (shown, said) = match if n == 0 { change } else { Change::By(0) } {
                Change::By(hundredths) => {
                    value = (value + f64::from(hundredths) / 100.0).clamp(0.0, 39.0);
                    (Some(value), Flag::NotEvaluated)
                }
                Change::Times(factor) => {
                    value = (value * factor).min(39.5);
                    (Some(value), Flag::NotEvaluated)
                }
                Change::To(it) => {
                    value = it;
                    (Some(value), Flag::NotEvaluated)
                }
                Change::Spike(hundredths) => {
                    (Some(f64::from(hundredths) / 100.0), Flag::NotEvaluated)
                }
                Change::Missing => (None, Flag::NotEvaluated),
                Change::NotANumber => (Some(f64::NAN), Flag::NotEvaluated),
                Change::Disowned => (Some(value + 1.0), Flag::Bad),
            };
            record.push(Point { at: Timestamp::from_millis(time), value: shown, said });
        }
    }
    record
}

/// Windows of up to 64 readings are exact, longer ones share slots; both are to agree.
fn limits() -> impl Strategy<Value = Limits> {
    let attenuated =
        |period_h, check| Attenuated { period_h, suspect: 0.5, fail: Some(0.1), min_obs: 6, check };
    let slots = prop_oneof![
        Just(attenuated(3.0, Check::Range)),
        Just(attenuated(3.0, Check::Std)),
        Just(attenuated(11.0, Check::Range)),
        Just(attenuated(11.0, Check::Std)),
    ];
    slots.prop_map(|it| Limits { attenuated: Some(it), ..all(Gaps::Break) })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_stream_gives_what_the_definitions_give(record in records(), exact in any::<bool>()) {
        let period_h = if exact { 3.0 } else { 11.0 };
        let attenuated = all(Gaps::Break).attenuated.map(|it| Attenuated { period_h, ..it });
        let limits = Limits { attenuated, unit_slip: None, ..all(Gaps::Break) };
        let plan = plan(&limits);
        let (fast, slow) = (judge(&plan, &record), plain::judge(&plan, &record));
        for ((point, fast), slow) in record.iter().zip(fast).zip(slow) {
            prop_assert_eq!(fast, slow, "{:?}", point);
        }
    }

    #[test]
    fn the_order_of_arrival_does_not_change_the_flags(
        (limits, record, order) in (limits(), records()).prop_flat_map(|(limits, record)| {
            let order = Just((0..record.len()).collect::<Vec<_>>()).prop_shuffle();
            (Just(limits), Just(record), order)
        }),
        late_only in any::<bool>(),
    ) {
        let mut order = order;
        if late_only {
            // Mostly in order, as readings come: one in five is late.
            order = (0..record.len()).filter(|i| i % 5 != 2).chain((0..record.len()).filter(|i| i % 5 == 2)).collect();
        }
        let mut keeper = Keeper::new(&limits);
        order.iter().for_each(|&i| keeper.put(record[i]));
        let at_once = judge(&keeper.plan, &record);
        for ((point, kept), at_once) in record.iter().zip(keeper.flags()).zip(at_once) {
            prop_assert_eq!(kept, at_once, "{:?}", point);
        }
    }

    #[test]
    fn a_backlog_at_once_gives_the_same_flags(limits in limits(), record in records(), live in prop::collection::vec(any::<bool>(), 40)) {
        let is_live = |i: &usize| live[i / 7 % live.len()];
        let mut keeper = Keeper::new(&limits);
        (0..record.len()).filter(is_live).for_each(|i| keeper.put(record[i]));
        let backlog: Vec<Point> = (0..record.len()).filter(|i| !is_live(i)).map(|i| record[i]).collect();
        if !backlog.is_empty() {
            keeper.put_late(&backlog);
        }
        prop_assert_eq!(keeper.flags(), judge(&keeper.plan, &record));
    }

    #[test]
    fn values_that_replace_others_leave_no_trace(limits in limits(), record in records(), wrong in prop::collection::vec((any::<prop::sample::Index>(), 0.0..45.0), 1..8)) {
        let mut keeper = Keeper::new(&limits);
        for (index, value) in wrong {
            keeper.put(Point::new(record[index.index(record.len())].at, Some(value)));
        }
        record.iter().for_each(|&point| keeper.put(point));
        prop_assert_eq!(keeper.flags(), judge(&keeper.plan, &record));
    }

    #[test]
    fn a_restart_at_any_moment_changes_no_flag(limits in limits(), record in records(), every in 1_usize..9) {
        let mut keeper = Keeper::new(&limits);
        for (i, &point) in record.iter().enumerate() {
            keeper.put(point);
            if i % every == 0 {
                keeper.restart();
            }
        }
        prop_assert_eq!(keeper.flags(), judge(&keeper.plan, &record));
    }

    #[test]
    fn a_record_in_any_order_settles_to_one(record in records(), shuffled in any::<u64>()) {
        let mut other = record.clone();
        other.sort_by_key(|point| point.at.as_millis().wrapping_mul(31).wrapping_add(shuffled as i64) % 7);
        settle(&mut other);
        prop_assert_eq!(format!("{other:?}"), format!("{record:?}"));
    }
}

#[test]
fn a_tidal_day_of_five_minute_readings_fits_into_two_kibibytes() {
    let salinity = domain::standard_parameters().remove(0);
    let limits = crate::quality::defaults(&salinity, crate::quality::SiteClass::Inland, 300);
    let plan = plan(&limits);
    let (mut stream, mut most) = (Stream::default(), 0);
    for i in 0..2_000_u32 {
        let value = 4.0 + 3.0 * (f64::from(i) / 24.0).sin();
        let point =
            Point::new(at(0) + Duration::from_secs(300) * i, Some((value * 100.0).round() / 100.0));
        stream.push(&plan, point);
        most = most.max(stream.bytes());
    }
    assert!(most < 2_048, "{most}");
}
