//! What must hold for all series of a station together: in the end the flags are those of the record at once, whatever
//! came when and in which pieces, and whatever was lost and read again. The store here does what a follower does.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use domain::derived::{Derived, Method};
use domain::{
    Admitted, Flag, Measured, ParameterCode, QualityTest, Station, StationCode, TestFlags,
    Timestamp, standard_parameters,
};
use proptest::prelude::*;

use super::story::at;
use crate::quality::{
    Consistency, Exposure, Kept, Live, Plans, Point, Quality, Revised, Table, Witness, judge,
};

const TABLE: &str = r#"
[[series]]
parameter = "salinity"
defaults = true
[series.limits]
gap_s = 900
fresh_below = 0.3
spike_average = { suspect = 1.0, fail = 3.0 }
spike_differential = { suspect = 1.0, fail = 3.0 }
rate = { suspect_per_hour = 12.0, fail_per_hour = 40.0 }
flat = { suspect_h = 0.5, fail_h = 1.0, tolerance = 0.05 }
attenuated = { period_h = 3.0, suspect = 0.5, fail = 0.1, min_obs = 6 }
unit_slip = { least = 0.2, hold_h = 1.5 }

[[series]]
parameter = "conductivity"
defaults = true
[series.limits]
gap_s = 1200
fresh_below = 0.6
rate = { suspect_per_hour = 20.0, fail_per_hour = 60.0 }
flat = { suspect_h = 0.5, fail_h = 1.0, tolerance = 0.05 }
unit_slip = { least = 0.2, hold_h = 1.0 }

[[series]]
parameter = "ph"
defaults = true
[series.limits]
gap_s = 900
flat = { suspect_h = 0.5, fail_h = 1.0, tolerance = 0.01 }

[[series]]
parameter = "water_temperature"
defaults = true
[series.limits]
gap_s = 900
flat = { suspect_h = 2.0, tolerance = 0.01 }

[[site]]
stations = ["xuan-hoa"]
exposure = { probe_m = -0.5, margin_m = 0.2 }
"#;

/// Measured at the station, in this order. The level has no entry.
const PARAMETERS: [&str; 5] =
    ["salinity", "conductivity", "water_temperature", "water_level", "ph"];

fn code(text: &str) -> ParameterCode {
    ParameterCode::new(text).unwrap()
}

fn xuan_hoa() -> StationCode {
    StationCode::new("xuan-hoa").unwrap()
}

fn station() -> Station {
    let method: Method = "conductivity-25".parse().unwrap();
    let inputs = method.inputs().iter().map(|it| code(it)).collect();
    let derived = Derived::new(code("conductivity_25"), method, inputs).unwrap();
    let mut station = Station::new(xuan_hoa());
    station.interval = Duration::from_secs(300);
    station.profile.derived = vec![derived];
    station
}

fn plans(table: &str) -> Plans {
    let table: Table = toml::from_str(table).unwrap();
    Plans::new(&table, &standard_parameters(), &[station()]).unwrap()
}

fn report(taken_at: Timestamp, values: &[(usize, Option<f64>, Flag)]) -> Admitted {
    let measured = |&(at, value, flag): &(usize, Option<f64>, Flag)| Measured {
        parameter: code(PARAMETERS[at]),
        value,
        flag,
    };
    Admitted {
        station: xuan_hoa(),
        taken_at,
        received_at: taken_at,
        seq: None,
        replay: false,
        values: values.iter().map(measured).collect(),
    }
}

/// A follower with its store.
struct Follower {
    plans: Plans,
    live: Live,
    store: BTreeMap<(ParameterCode, Timestamp), Kept>,
}

impl Follower {
    fn new(table: &str) -> Self {
        Self { plans: plans(table), live: Live::default(), store: BTreeMap::new() }
    }

    fn put(&mut self, report: &Admitted, imported: bool) {
        let mut report = report.clone();
        let judged = if imported {
            self.live.judge_late(&self.plans, &mut report)
        } else {
            self.live.judge(&self.plans, &mut report)
        };
        assert_eq!(judged.flags.len(), report.values.len());
        for (measured, flags) in report.values.iter().zip(&judged.flags) {
            assert_eq!(measured.flag, flags.worst());
            let kept = Kept::new(report.taken_at, measured.value, *flags);
            self.store.insert((measured.parameter.clone(), report.taken_at), kept);
        }
        let revised = judged.revised.clone();
        self.revise(&revised);
    }

    fn revise(&mut self, revised: &[Revised]) {
        for it in revised {
            let there = self.store.get_mut(&(it.parameter.clone(), it.taken_at));
            there.unwrap_or_else(|| panic!("{it:?} is not stored")).flags = it.flags;
        }
    }

    /// In pieces no longer than this.
    fn settle(&mut self, longest: Duration) {
        let one = |live: &Live| live.unsettled().map(|(code, span)| (code.clone(), span)).next();
        while let Some((code, span)) = one(&self.live) {
            let span = span.first(longest);
            let reach = self.plans.reach(&code);
            let record = self.around(span.from - reach.before, span.to + reach.after);
            let again = crate::quality::settled(&self.plans, &code, span, &record);
            let revised = self.live.settle(&self.plans, &code, span, &record);
            assert_eq!(again, revised);
            self.revise(&revised);
        }
    }

    fn around(&self, from: Timestamp, to: Timestamp) -> Vec<(ParameterCode, Vec<Kept>)> {
        let codes: std::collections::BTreeSet<_> =
            self.store.keys().map(|(parameter, _)| parameter.clone()).collect();
        let of = |parameter: ParameterCode| {
            let key = |at| (parameter.clone(), at);
            let all = (
                Bound::Included(key(Timestamp::from_millis(i64::MIN))),
                Bound::Excluded(key(from)),
            );
            let before = self.store.range(all).next_back();
            let end = key(Timestamp::from_millis(i64::MAX));
            let after = self.store.range((Bound::Excluded(key(to)), Bound::Included(end))).next();
            let within = self.store.range(key(from)..=key(to));
            let kept =
                before.into_iter().chain(within).chain(after).map(|(_, kept)| *kept).collect();
            (parameter.clone(), kept)
        };
        codes.into_iter().map(of).collect()
    }

    fn restart(&mut self) {
        let mut bytes = Vec::new();
        ciborium::into_writer(&self.live, &mut bytes).unwrap();
        self.live = ciborium::from_reader(bytes.as_slice()).unwrap();
    }

    fn flags(&self) -> BTreeMap<(ParameterCode, Timestamp), TestFlags> {
        self.store.iter().map(|(key, kept)| (key.clone(), kept.flags)).collect()
    }

    /// The record at once, and the tests over several series once more, as they read.
    fn at_once(&self) -> BTreeMap<(ParameterCode, Timestamp), TestFlags> {
        let mut own = BTreeMap::new();
        for (parameter, kept) in
            self.around(Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX))
        {
            let points: Vec<Point> = kept.iter().map(|kept| kept.point).collect();
            let flags = match self.plans.plan(&xuan_hoa(), &parameter) {
                Some(plan) => judge(plan, &points),
                None => points.iter().map(|point| range_alone(&parameter, *point)).collect(),
            };
            for (point, flags) in points.into_iter().zip(flags) {
                own.insert((parameter.clone(), point.at), (point, flags));
            }
        }
        own.iter()
            .map(|(key, (point, flags))| (key.clone(), beside(&own, key, *point, *flags)))
            .collect()
    }
}

fn range_alone(parameter: &ParameterCode, point: Point) -> TestFlags {
    let all = standard_parameters();
    let parameter = all.iter().find(|it| it.code == *parameter).unwrap();
    let range = crate::quality::gross_range(parameter, point.value, Flag::NotEvaluated);
    let said = match point.said {
        Flag::NotEvaluated => TestFlags::NONE,
        said => TestFlags::NONE.with(QualityTest::Sensor, said),
    };
    said.with(QualityTest::GrossRange, range)
}

type Own = BTreeMap<(ParameterCode, Timestamp), (Point, TestFlags)>;

fn beside(
    own: &Own,
    key: &(ParameterCode, Timestamp),
    point: Point,
    flags: TestFlags,
) -> TestFlags {
    let there = |text: &str| own.get(&(code(text), key.1)).copied();
    let witness =
        |(point, flags): (Point, TestFlags)| Witness { value: point.value, flag: flags.worst() };
    let mut out = flags;
    let name = key.0.as_str();
    if name == "salinity"
        && let (Some(ec), Some(water)) = (there("conductivity"), there("water_temperature"))
    {
        let salinity = |ec, water| {
            domain::seawater::SalinityMethod::Practical.salinity(ec, water).map(|it| it.value)
        };
        let flag = Consistency::default().judge(point.value, witness(ec), witness(water), salinity);
        out = out.with(QualityTest::Multivariate, flag);
    }
    if (name == "ph" || name == "water_temperature")
        && let (Some(ph), Some(water)) = (there("ph"), there("water_temperature"))
    {
        let (low, high) =
            (domain::Range { low: 5.0, high: 9.5 }, domain::Range { low: 22.0, high: 36.0 });
        let test = crate::quality::Swapped { first: low, second: high };
        out = out.with(QualityTest::SwappedColumns, test.judge(ph.0.value, water.0.value));
    }
    if name != "water_level"
        && let Some(level) = there("water_level")
    {
        let flag = Exposure { probe_m: -0.5, margin_m: 0.2 }.judge(witness(level));
        out = out.with(QualityTest::Exposure, flag);
    }
    if name == "conductivity_25" {
        let inputs = ["conductivity", "water_temperature"].map(|text| {
            let (point, flags) = there(text)?;
            Some((point, beside(own, &(code(text), key.1), point, flags)))
        });
        let flags = inputs.into_iter().flatten().filter(|(point, _)| point.value.is_some());
        let flag = Flag::composed(flags.map(|(_, flags)| flags.worst()));
        if flag != Flag::Missing {
            out = out.with(QualityTest::Inputs, flag);
        }
    }
    out
}

/// One time of the river: seconds since the one before, a step of the salt, and what is wrong.
#[derive(Debug, Clone)]
struct Moment {
    after_s: i64,
    salt: i32,
    level: i32,
    /// Which value is wrong, and how.
    wrong: Option<(usize, Wrong)>,
    also: Option<(usize, Wrong)>,
    /// Which of the values are there, and which of these come in a report of their own.
    there: [bool; 5],
    apart: [bool; 5],
}

#[derive(Debug, Clone, Copy)]
enum Wrong {
    Value(f64),
    Missing,
    NotANumber,
    Disowned,
}

fn moments() -> impl Strategy<Value = Vec<Moment>> {
    let after_s = prop_oneof![
        20 => Just(300_i64), 8 => 240_i64..360, 1 => Just(900), 1 => Just(901), 1 => 1_i64..60,
        1 => 3_600_i64..40_000, 1 => Just(86_400 * 300),
    ];
    let salt = prop_oneof![6 => -60_i32..60, 5 => Just(0), 1 => -900_i32..900];
    let wrong = prop_oneof![
        (-5.0..45.0).prop_map(Wrong::Value),
        Just(Wrong::Missing),
        Just(Wrong::NotANumber),
        Just(Wrong::Disowned),
    ];
    let wrong = prop_oneof![3 => Just(None), 1 => (0_usize..5, wrong).prop_map(Some)];
    let all = || prop::array::uniform5(prop::bool::weighted(0.9));
    let one = (after_s, salt, -120_i32..150, wrong, all(), all());
    let moment = one.prop_map(|(after_s, salt, level, wrong, there, together)| Moment {
        after_s,
        salt,
        level,
        wrong,
        also: None,
        there,
        apart: together.map(|it| !it),
    });
    prop::collection::vec(moment, 1..60)
}

/// The reports of a river, in the order of their times; of one time there may be two.
fn tell(moments: &[Moment]) -> Vec<Admitted> {
    let (mut time_ms, mut salt, mut reports) = (at(0).as_millis(), 300_i32, Vec::new());
    for it in moments {
        time_ms += it.after_s * 1_000;
        salt = (salt + it.salt).clamp(0, 3_000);
        let salinity = f64::from(salt) / 100.0;
        let ec = domain::seawater::conductivity(salinity, 28.0, 0.0).unwrap_or(0.0);
        let ec = (ec * 100.0).round() / 100.0;
        let values = [salinity, ec, 28.0, f64::from(it.level) / 100.0, 7.1];
        let wrong =
            |at: usize| [it.also, it.wrong].into_iter().flatten().find(|(wrong, _)| *wrong == at);
        let said = |at: usize| match wrong(at) {
            None => (at, Some(values[at]), Flag::NotEvaluated),
            Some((_, Wrong::Value(value))) => {
                (at, Some((value * 100.0).round() / 100.0), Flag::NotEvaluated)
            }
            Some((_, Wrong::Missing)) => (at, None, Flag::NotEvaluated),
            Some((_, Wrong::NotANumber)) => (at, Some(f64::NAN), Flag::NotEvaluated),
            Some((_, Wrong::Disowned)) => (at, Some(values[at]), Flag::Bad),
        };
        let those = |apart: bool| -> Vec<_> {
            (0..5).filter(|&at| it.there[at] && it.apart[at] == apart).map(said).collect()
        };
        let pieces = [those(false), those(true)].into_iter().filter(|values| !values.is_empty());
        reports.extend(pieces.map(|values| report(Timestamp::from_millis(time_ms), &values)));
    }
    reports
}

#[derive(Debug, Clone, Copy)]
enum Between {
    Nothing,
    Settle(u64),
    Restart,
    /// The state is gone, after everything was settled.
    Lost,
}

fn between() -> impl Strategy<Value = Vec<Between>> {
    let one = prop_oneof![
        12 => Just(Between::Nothing),
        2 => (1_u64..100_000).prop_map(Between::Settle),
        3 => Just(Between::Restart),
        1 => Just(Between::Lost),
    ];
    prop::collection::vec(one, 1..40)
}

const LONG: Duration = Duration::from_secs(40_000_000_000);

fn check(order: &[(Admitted, bool)], between: &[Between]) -> Result<(), TestCaseError> {
    let mut follower = Follower::new(TABLE);
    for (i, (report, imported)) in order.iter().enumerate() {
        follower.put(report, *imported);
        match between[i % between.len()] {
            Between::Nothing => {}
            Between::Settle(longest_s) => follower.settle(Duration::from_secs(longest_s * 100)),
            Between::Restart => follower.restart(),
            Between::Lost => {
                follower.settle(LONG);
                follower.live = Live::default();
            }
        }
    }
    follower.settle(LONG);
    let (found, wanted) = (follower.flags(), follower.at_once());
    for ((key, found), wanted) in found.iter().zip(wanted.values()) {
        prop_assert_eq!(found, wanted, "{:?}", key);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_order_nothing_is_late_and_the_flags_are_those_of_the_record(moments in moments(), between in between()) {
        let order: Vec<_> = tell(&moments).into_iter().map(|it| (it, false)).collect();
        check(&order, &between)?;
        let mut follower = Follower::new(TABLE);
        follower.put(&order[0].0, false);
        follower.settle(LONG);
        for (report, _) in &order[1..] {
            follower.put(report, false);
            prop_assert_eq!(follower.live.unsettled().count(), 0);
        }
        prop_assert_eq!(follower.flags(), follower.at_once());
    }

    #[test]
    fn any_order_of_arrival_settles_to_the_flags_of_the_record(
        reports in moments().prop_map(|it| tell(&it)).prop_shuffle(),
        between in between(),
        imported in prop::collection::vec(prop::bool::weighted(0.2), 7),
    ) {
        let order = reports.into_iter().enumerate().map(|(i, it)| (it, imported[i % 7]));
        check(&order.collect::<Vec<_>>(), &between)?;
    }

    #[test]
    fn a_few_late_readings_and_values_that_replace_others_settle_too(
        moments in moments(),
        late in prop::collection::vec(prop::option::weighted(0.2, 1_usize..30), 120),
        replaced in prop::collection::vec((any::<prop::sample::Index>(), -200_i32..4_500), 0..6),
        between in between(),
    ) {
        let reports = tell(&moments);
        let mut order: Vec<(usize, Admitted, bool)> = reports.iter().enumerate().map(|(i, it)| {
            let by = late[i % late.len()].unwrap_or(0);
            (i + by, it.clone(), by % 5 == 4)
        }).collect();
        order.sort_by_key(|(when, _, _)| *when);
        let mut order: Vec<_> = order.into_iter().map(|(_, it, imported)| (it, imported)).collect();
        for (index, hundredths) in replaced {
            let mut other = reports[index.index(reports.len())].clone();
            other.values[0].value = Some(f64::from(hundredths) / 100.0);
            order.insert(index.index(order.len() + 1), (other, false));
        }
        check(&order, &between)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bad_data_of_one_series_never_turns_a_good_flag_of_another(
        moments in moments(),
        series in 0_usize..5,
        bad in prop::collection::vec(prop::option::weighted(0.3, 0_usize..4), 60),
    ) {
        // Of one mind but for the bad: what a suspect reading could not say before, a good one may say now.
        let moments: Vec<Moment> = moments.into_iter().map(|it| Moment { wrong: None, ..it }).collect();
        let (mut without, mut with) = (Follower::new(TABLE), Follower::new(TABLE));
        let silent: Vec<Moment> = moments.iter().zip(&bad).map(|(it, bad)| {
            let mut it = it.clone();
            it.there[series] &= bad.is_none();
            it
        }).collect();
        tell(&silent).iter().for_each(|report| without.put(report, false));
        let wrong = |bad: usize| match bad {
            0 => Wrong::Missing,
            1 => Wrong::NotANumber,
            2 => Wrong::Disowned,
            _ => Wrong::Value(-50.0),
        };
        let noisy: Vec<Moment> = moments.iter().zip(&bad).map(|(it, bad)| {
            let mut it = it.clone();
            if let Some(bad) = bad {
                it.there[series] = true;
                it.also = Some((series, wrong(*bad)));
            }
            it
        }).collect();
        tell(&noisy).iter().for_each(|report| with.put(report, false));
        with.settle(LONG);
        without.settle(LONG);
        let accused = |flags: TestFlags| matches!(flags.worst(), Flag::Suspect | Flag::Bad);
        for ((parameter, at), kept) in &without.store {
            let made = parameter.as_str() == "conductivity_25" && (series == 1 || series == 2);
            if made || parameter.as_str() == PARAMETERS[series] {
                continue;
            }
            let now = with.store[&(parameter.clone(), *at)].flags;
            prop_assert!(accused(kept.flags) || !accused(now), "{parameter} at {at}: {} {now}", kept.flags);
        }
    }
}

fn ordinary(minutes: i64, salinity: f64) -> Admitted {
    let said = Flag::NotEvaluated;
    let ec = domain::seawater::conductivity(salinity, 28.0, 0.0).unwrap();
    report(
        at(minutes),
        &[
            (0, Some(salinity), said),
            (1, Some(ec), said),
            (2, Some(28.0), said),
            (3, Some(0.7), said),
            (4, Some(7.1), said),
        ],
    )
}

#[test]
fn without_a_table_the_flags_are_those_of_the_gross_range() {
    let (parameters, station) = (standard_parameters(), station());
    let plans = Plans::new(&Table::default(), &parameters, std::slice::from_ref(&station)).unwrap();
    let quality = Quality::new(&parameters).with_derived([&station]);
    let mut live = Live::default();
    let flags = [Flag::NotEvaluated, Flag::Good, Flag::Suspect, Flag::Bad, Flag::Missing];
    let values = [None, Some(f64::NAN), Some(-3.0), Some(7.0), Some(39.0), Some(1e300)];
    for said in flags {
        for value in values {
            let mut one = report(
                at(0),
                &[(0, value, said), (1, value, said), (2, Some(28.0), said), (4, value, said)],
            );
            one.values.push(Measured { parameter: code("colour"), value, flag: said });
            let (mut now, mut before) = (one.clone(), one);
            let judged = live.judge(&plans, &mut now);
            assert!(judged.late.is_empty() && judged.revised.is_empty());
            quality.judge(&mut before);
            assert_eq!(format!("{now:?}"), format!("{before:?}"), "{value:?}, said {said}");
        }
    }
    assert_eq!(live.unsettled().count(), 0);
    assert_eq!(live.series(), 0);
}

#[test]
fn a_spike_is_told_when_the_next_reading_comes_and_its_witnesses_are_heard_again() {
    let mut follower = Follower::new(TABLE);
    for (i, salinity) in [3.0, 3.1, 3.2, 3.3].into_iter().enumerate() {
        follower.put(&ordinary(5 * i64::try_from(i).unwrap(), salinity), false);
    }
    let mut spiked = ordinary(20, 3.4);
    spiked.values[1].value = Some(9.0);
    follower.put(&spiked, false);
    let flag = |follower: &Follower, name: &str, test| {
        follower.store[&(code(name), at(20))].flags.get(test).map(Flag::number)
    };
    assert_eq!(flag(&follower, "conductivity", QualityTest::SpikeDifferential), Some(2));
    follower.put(&ordinary(25, 3.5), false);
    // 3 mS/cm there and back: suspect from 1.7. What is suspect is not heard, and accuses no salinity.
    assert_eq!(flag(&follower, "conductivity", QualityTest::SpikeDifferential), Some(3));
    assert_eq!(flag(&follower, "salinity", QualityTest::Multivariate), Some(2));
    assert_eq!(flag(&follower, "conductivity_25", QualityTest::Inputs), Some(3));
    assert_eq!(follower.store[&(code("salinity"), at(20))].flags.worst(), Flag::Good);
}

#[test]
fn a_value_of_nobodys_parameter_takes_no_flag_of_another() {
    let (plans, mut live) = (plans(TABLE), Live::default());
    live.judge(&plans, &mut ordinary(0, 3.0));
    let mut colour = ordinary(5, 3.0);
    let measured =
        Measured { parameter: code("colour"), value: Some(3.0), flag: Flag::NotEvaluated };
    colour.values.insert(0, measured);
    let flags = live.judge(&plans, &mut colour).flags.clone();
    assert_eq!(flags[0].to_string(), "gross_range=2");
    assert_eq!(flags[1].get(QualityTest::RateOfChange), Some(Flag::Good), "{}", flags[1]);
}

#[test]
fn what_was_learned_of_a_series_is_asked_and_a_state_without_it_begins_anew() {
    let mut follower = Follower::new(TABLE);
    let history = (0..20_000).map(|i| (at(15 * (i - 20_000)), 3.0 + 0.001 * (i % 200) as f64));
    let asked = crate::quality::Learning { cell_min: 20, ..Default::default() };
    let learned =
        std::sync::Arc::new(crate::quality::Learned::from_history(history, asked).unwrap());
    follower.put(&ordinary(0, 3.1), false);
    follower.settle(LONG);
    let (here, salinity) = (xuan_hoa(), code("salinity"));
    assert!(follower.plans.learn(&here, &salinity, std::sync::Arc::clone(&learned)));
    assert!(!follower.plans.learn(&here, &code("water_level"), std::sync::Arc::clone(&learned)));
    follower.put(&ordinary(5, 4.0), false);
    assert_eq!(follower.live.unsettled().count(), 1);
    let flags = follower.store[&(salinity, at(5))].flags;
    assert_eq!(flags.get(QualityTest::Climatology), Some(Flag::Suspect), "{flags}");
    follower.settle(LONG);
    assert_eq!(follower.flags(), follower.at_once());
}

#[test]
fn a_station_that_left_the_book_is_forgotten() {
    let mut follower = Follower::new(TABLE);
    follower.put(&ordinary(0, 3.0), false);
    assert_eq!(follower.live.series(), 4);
    follower.live.retain(|_| false);
    assert_eq!(follower.live.series(), 0);
}

#[test]
fn a_packet_that_comes_twice_changes_nothing() {
    let mut follower = Follower::new(TABLE);
    for i in 0..4 {
        follower.put(&ordinary(5 * i, 3.0), false);
    }
    follower.settle(LONG);
    let (flags, mut again) = (follower.flags(), ordinary(15, 3.0));
    let judged = follower.live.judge(&follower.plans, &mut again);
    assert!(judged.late.is_empty() && judged.revised.is_empty());
    follower.put(&ordinary(15, 3.0), false);
    assert_eq!(follower.flags(), flags);
    assert_eq!(follower.live.unsettled().count(), 0);
}

#[test]
fn a_clock_that_stands_is_said_and_stays_said() {
    let mut follower =
        Follower::new(&format!("stuck_clock = {{ suspect = 3, fail = 5 }}\n{TABLE}"));
    let sent = |follower: &mut Follower, minutes: i64, salinity: f64| {
        let mut one = ordinary(0, salinity);
        one.received_at = at(minutes);
        follower.put(&one, false);
        follower.store[&(code("salinity"), at(0))]
            .flags
            .get(QualityTest::StuckClock)
            .map(Flag::number)
    };
    let flags: Vec<_> = (0..6).map(|i| sent(&mut follower, 5 * i, 3.0 + 0.01 * i as f64)).collect();
    assert_eq!(flags, [None, None, Some(3), Some(3), Some(4), Some(4)]);
    follower.settle(LONG);
    follower.restart();
    follower.put(&ordinary(30, 3.4), false);
    follower.put(&ordinary(35, 3.5), false);
    follower.settle(LONG);
    let stuck = &follower.store[&(code("salinity"), at(0))];
    assert_eq!(stuck.flags.get(QualityTest::StuckClock), Some(Flag::Bad));
    let moving = follower.store[&(code("salinity"), at(30))].flags;
    assert_eq!(moving.worst(), Flag::Good, "{moving}");
}

#[test]
fn a_report_in_pieces_is_no_stuck_clock() {
    let mut follower =
        Follower::new(&format!("stuck_clock = {{ suspect = 3, fail = 5 }}\n{TABLE}"));
    for minutes in [0, 5, 10] {
        let whole = ordinary(minutes, 3.0);
        for (i, value) in (0..).zip(&whole.values) {
            let received_at = whole.received_at + Duration::from_millis(i);
            let piece = Admitted { values: vec![value.clone()], received_at, ..whole.clone() };
            follower.put(&piece, false);
        }
    }
    assert!(follower.store.values().all(|kept| kept.flags.get(QualityTest::StuckClock).is_none()));
    follower.settle(LONG);
    assert_eq!(follower.flags(), follower.at_once());
}

#[test]
fn an_import_moves_nothing_until_it_is_settled() {
    let mut follower = Follower::new(TABLE);
    for i in 0..4 {
        follower.put(&ordinary(5 * i, 3.0), false);
    }
    follower.settle(LONG);
    let mut imported = ordinary(12, 9.0);
    let judged = follower.live.judge_late(&follower.plans, &mut imported);
    assert_eq!(judged.late, [0, 1, 2, 3, 4, 5]);
    assert!(judged.flags.iter().all(|it| it.get(QualityTest::RateOfChange).is_none()));
    follower.put(&ordinary(12, 9.0), true);
    let span = follower.live.unsettled().next().unwrap().1;
    assert_eq!((span.from, span.to), (at(12), at(12)));
    follower.settle(LONG);
    assert_eq!(follower.flags(), follower.at_once());
    assert_eq!(follower.store[&(code("salinity"), at(12))].flags.worst(), Flag::Bad);
}

#[test]
fn another_plan_begins_anew_and_is_settled_from_history() {
    let mut follower = Follower::new(TABLE);
    for i in 0..10 {
        follower.put(&ordinary(5 * i, 3.0), false);
    }
    follower.settle(LONG);
    follower.plans = plans(&TABLE.replace("gap_s = 900", "gap_s = 600"));
    follower.put(&ordinary(50, 3.0), false);
    assert_eq!(follower.live.unsettled().count(), 1);
    follower.settle(LONG);
    let newest = follower.store[&(code("salinity"), at(50))].flags;
    assert_eq!(newest.get(QualityTest::FlatLine), Some(Flag::Suspect), "{newest}");
}

#[test]
fn a_state_of_another_version_is_not_read() {
    let live = serde_json::from_str::<Live>("[2, []]");
    assert_eq!(
        live.unwrap_err().to_string(),
        "state of the tests has version 2, this code reads 1"
    );
    assert!(serde_json::from_str::<Live>("[1, [[\"Not a code\", 0]]]").is_err());
}
