//! Random histories against a plain map: whatever the order of applying, sealing, crashing and following again, the
//! store answers as the map does.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{
    Act, Admitted, Edit, Edits, Flag, Measured, QualityTest, Revised, Shown, TestFlags, Timestamp,
    Withdrawn,
};
use history::{Applied, Config, History, Query, Tested};
use proptest::prelude::*;

use crate::words::*;

const STATIONS: [&str; 3] = ["a", "b-1", "long-name-of-a-station"];
const PARAMETERS: [&str; 4] = ["cod", "ph", "salinity", "water_level"];

#[derive(Debug, Clone)]
enum Step {
    Apply(Judged),
    Seal,
    /// Everything unsealed is lost and followed again.
    Crash,
}

/// A record and what the tests said of it and of readings before.
#[derive(Debug, Clone)]
struct Judged {
    admitted: Admitted,
    flags: Vec<TestFlags>,
    revised: Vec<Revised>,
}

impl Judged {
    fn apply(&self, history: &History, position: u64) -> Applied {
        history.apply_judged(position, &self.admitted, &self.flags, &self.revised)
    }

    fn is_judged(&self) -> bool {
        !self.flags.is_empty() || !self.revised.is_empty()
    }
}

/// A value that a reading had: its bits, flag and tests, when that reached us, and by which record.
type Had = (Option<u64>, Flag, TestFlags, i64, u64);

/// Of each station, parameter and time every value that it ever had; the last counts.
type Model = BTreeMap<(String, String, i64), Vec<Had>>;

fn tests() -> impl Strategy<Value = TestFlags> {
    let flags = vec![Flag::Good, Flag::NotEvaluated, Flag::Suspect, Flag::Bad];
    let flag = || prop::sample::select(flags.clone());
    let word = (flag(), flag()).prop_map(|(range, spike)| {
        let word = TestFlags::NONE.with(QualityTest::GrossRange, range);
        word.with(QualityTest::SpikeDifferential, spike).with(QualityTest::Timing, Flag::Bad)
    });
    prop_oneof![1 => Just(TestFlags::NONE), 4 => word]
}

fn measured() -> impl Strategy<Value = Measured> {
    let value = prop_oneof![1 => Just(None), 5 => (0..4).prop_map(|v| Some(f64::from(v) * 0.1))];
    let flag = prop::sample::select(vec![Flag::Good, Flag::Suspect, Flag::Bad, Flag::Missing]);
    let code = prop::sample::select(PARAMETERS.to_vec());
    (code, value, flag).prop_map(|(code, value, flag)| Measured {
        parameter: parameter(code),
        value,
        flag,
    })
}

fn admitted() -> impl Strategy<Value = Admitted> {
    let code = prop::sample::select(STATIONS.to_vec());
    // Few times, so that they meet again; some in the months beside.
    let minutes = prop_oneof![5 => 0i64..12, 1 => Just(-30 * 24 * 60), 1 => Just(40 * 24 * 60)];
    let values = prop::collection::vec(measured(), 1..5);
    (code, minutes, values, 0i64..100).prop_map(|(code, minutes, values, late)| Admitted {
        station: station(code),
        taken_at: at(minutes),
        received_at: at(minutes + late),
        seq: None,
        replay: false,
        values,
    })
}

fn revised() -> impl Strategy<Value = Revised> {
    let minutes = prop_oneof![8 => 0i64..12, 1 => Just(-30 * 24 * 60), 1 => Just(77)];
    let code = prop::sample::select(vec!["cod", "ph", "salinity", "water_level", "unheard_of"]);
    (code, minutes, tests()).prop_map(|(code, minutes, flags)| Revised {
        parameter: parameter(code),
        taken_at: at(minutes),
        flags,
    })
}

fn judged() -> impl Strategy<Value = Judged> {
    let flags = prop::collection::vec(tests(), 0..5);
    (admitted(), flags, prop::collection::vec(revised(), 0..4))
        .prop_map(|(admitted, flags, revised)| Judged { admitted, flags, revised })
}

fn unjudged() -> impl Strategy<Value = Judged> {
    admitted().prop_map(|admitted| Judged { admitted, flags: vec![], revised: vec![] })
}

fn steps_of(judged: impl Strategy<Value = Judged>) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => judged.prop_map(Step::Apply),
        2 => Just(Step::Seal),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 1..120)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop_oneof![
        2 => steps_of(prop_oneof![1 => unjudged(), 4 => judged()]),
        1 => steps_of(unjudged()),
    ]
}

fn worst(bits: Option<u64>, (flag, before): (Flag, TestFlags), now: TestFlags) -> Flag {
    if bits.is_none() || now == TestFlags::NONE {
        flag
    } else if flag == before.worst() {
        now.worst()
    } else {
        flag.worse(now.worst())
    }
}

/// What is in files is of records before `sealed`.
fn apply_to_model(model: &mut Model, record: &Judged, position: u64, sealed: u64) -> Applied {
    let mut applied = Applied::default();
    let Judged { admitted, flags, revised } = record;
    let (station, received) = (admitted.station.to_string(), admitted.received_at.as_millis());
    let mut said = Vec::new();
    let mut say = |key: (String, String, i64), new: Had, versions: &mut Vec<Had>, revises: bool| {
        let Applied { stored, duplicate, corrected, reflagged, revised, completed, .. } =
            &mut applied;
        let same = |held: &Had| (held.0, held.1, held.2) == (new.0, new.1, new.2);
        let untested =
            |held: &Had| held.0 == new.0 && new.2 == TestFlags::NONE && held.2 != TestFlags::NONE;
        let a_part = |held: &Had| {
            !revises
                && (held.0, new.2.within(held.2)) == (new.0, true)
                && new.2 != TestFlags::NONE
                && held.1.worse(new.1) == held.1
        };
        let first = !said.contains(&key);
        match versions.last_mut() {
            None => *stored += 1,
            Some(held) if revises && first && sealed <= held.4 && held.1 == new.1 => {
                *completed += u32::from(!same(held) && !untested(held));
                held.2 = if untested(held) { held.2 } else { new.2 };
                return;
            }
            Some(held) if same(held) || untested(held) || a_part(held) => {
                *duplicate += u32::from(!revises);
                return;
            }
            Some(_) if revises => *revised += 1,
            Some(held) if held.0 == new.0 && held.2 != new.2 => *reflagged += 1,
            Some(_) => *corrected += 1,
        }
        // Said twice in one record, its last word is the record's.
        if said.contains(&key) {
            versions.pop();
        }
        versions.push(new);
        said.push(key);
    };
    for (n, value) in admitted.values.iter().enumerate() {
        let taken = admitted.taken_at.as_millis();
        let key = (station.clone(), value.parameter.to_string(), taken);
        let bits = value.value.map(f64::to_bits);
        let tests = flags.get(n).copied().unwrap_or_default();
        let flag = worst(bits, (value.flag, TestFlags::NONE), tests);
        let had = (bits, flag, tests, received, position);
        say(key.clone(), had, model.entry(key).or_default(), false);
    }
    let mut unfounded = 0;
    for one in revised {
        let key = (station.clone(), one.parameter.to_string(), one.taken_at.as_millis());
        let Some(versions) = model.get_mut(&key) else {
            unfounded += 1;
            continue;
        };
        let held = *versions.last().unwrap();
        let flag = worst(held.0, (held.1, held.2), one.flags);
        say(key, (held.0, flag, one.flags, received, position), versions, true);
    }
    Applied { unfounded, ..applied }
}

fn agree(history: &History, model: &Model) {
    for code in STATIONS {
        let mut newest = Vec::new();
        for what in PARAMETERS {
            let right = series(model, code, what, i64::MAX);
            check_range(history, code, what, &right);
            // Each question goes through all files: of some it is enough.
            if code == "a" || what == "ph" {
                check_tests(history, model, code, what);
            }
            for then in [-40_000, -1, 0, 5, 20, 60, 99, 111] {
                let as_of = Some(at(then));
                let known = history.range(&Query { as_of, ..all(code, what) }).unwrap();
                let known: Vec<_> = known.iter().map(row).collect();
                let right = series(model, code, what, at(then).as_millis());
                assert_eq!(known, right, "{code} {what} as of {then}");
            }
            let with_value = right.iter().rev().find_map(|r| r.1.map(|bits| (r.0, bits, r.2)));
            newest.extend(with_value.map(|newest| (what.to_owned(), newest)));
        }
        let latest = history.latest(&station(code));
        let latest: Vec<_> = latest
            .iter()
            .map(|l| (l.parameter.to_string(), (l.taken_at.as_millis(), l.value.to_bits(), l.flag)))
            .collect();
        assert_eq!(latest, newest, "latest of {code}");
    }
}

/// What each test said, now and then, and what lies around a stretch of time.
fn check_tests(history: &History, model: &Model, code: &str, what: &str) {
    let of = model.iter().filter(|(key, _)| key.0 == code && key.1 == what);
    let all: Vec<(i64, &Vec<Had>)> = of.map(|(key, versions)| (key.2, versions)).collect();
    let (code, what) = (station(code), parameter(what));
    let row = |t: &Tested| (t.taken_at.as_millis(), t.value.map(f64::to_bits), t.flag, t.tests);
    let whole = (Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX));
    for then in [None, Some(5)] {
        let known_by = then.map_or(i64::MAX, |then| at(then).as_millis());
        let known = |versions: &Vec<Had>| versions.iter().rev().find(|v| v.3 <= known_by).copied();
        let right: Vec<_> = all
            .iter()
            .filter_map(|(taken, had)| known(had).map(|v| (*taken, v.0, v.1, v.2)))
            .collect();
        let read = history.test_flags(&code, &what, whole, then.map(at)).unwrap();
        assert_eq!(read.iter().map(row).collect::<Vec<_>>(), right, "{code} {what} as of {then:?}");
        if then.is_some() {
            continue;
        }
        for (from, to) in [(3, 9), (5, 5), (20, 30)] {
            let (from, to) = (at(from), at(to));
            let inside = |taken: i64| from.as_millis() <= taken && taken < to.as_millis();
            let before = right.iter().rev().find(|r| r.0 < from.as_millis());
            let behind = right.iter().find(|r| to.max(from).as_millis() <= r.0);
            let inside = right.iter().filter(|r| inside(r.0));
            let around: Vec<_> = before.into_iter().chain(inside).chain(behind).copied().collect();
            let read = history.around(&code, std::slice::from_ref(&what), (from, to)).unwrap();
            assert_eq!(read.len(), 1);
            let read: Vec<_> = read[0].1.iter().map(row).collect();
            assert_eq!(read, around, "{code} {what} around {from} to {to}");
        }
    }
}

type Row = (i64, Option<u64>, Flag, i64);

/// What is known of a series of what had reached us by then.
fn series(model: &Model, code: &str, what: &str, known_by: i64) -> Vec<Row> {
    let of = model.iter().filter(|(key, _)| key.0 == code && key.1 == what);
    let known =
        |versions: &[Had]| versions.iter().rev().find(|version| version.3 <= known_by).copied();
    of.filter_map(|(key, versions)| known(versions).map(|had| (key.2, had.0, had.1, had.3)))
        .collect()
}

fn row(point: &history::Point) -> Row {
    let bits = point.value.map(f64::to_bits);
    (point.taken_at.as_millis(), bits, point.flag, point.received_at.as_millis())
}

fn check_range(history: &History, code: &str, what: &str, right: &[Row]) {
    let read = |from: i64, to: i64, limit: usize| -> Vec<Row> {
        let (from, to) = (Timestamp::from_millis(from), Timestamp::from_millis(to));
        let query = Query { from, to, limit, ..all(code, what) };
        let points = history.range(&query).unwrap();
        points.iter().map(row).collect()
    };
    assert_eq!(read(i64::MIN, i64::MAX, usize::MAX), right, "{code} {what}");
    let (from, to) = (at(3).as_millis(), at(9).as_millis());
    let inside: Vec<_> =
        right.iter().copied().filter(|r| from <= r.0 && r.0 < to).take(3).collect();
    assert_eq!(read(from, to, 3), inside, "part of {code} {what}");
}

/// Edits of one series: act, first minute, length, when it was made, when withdrawn after that.
fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let act = prop_oneof![
        1 => Just(Act::Offset { by: 0.5 }),
        1 => Just(Act::Drift { start: 0.0, end: 1.0 }),
        1 => Just(Act::Remove),
        1 => Just(Act::Interpolate { start: 0.0, end: 8.0, every: None }),
        1 => Just(Act::Interpolate { start: 4.0, end: 0.0, every: Some(Duration::from_mins(2)) }),
        3 => Just(Act::Approve),
    ];
    let edit = (act, -3i64..10, 1i64..9, 0i64..120, prop::option::of(1i64..60));
    prop::collection::vec(edit, 0..5).prop_map(|all| {
        let edit =
            |(n, (act, from, length, made, ended)): (u64, (Act, i64, i64, i64, Option<i64>))| {
                let ended = ended.map(|after| at(made + after));
                let (by, reason) = ("lan".to_owned(), "test".to_owned());
                let withdrawn =
                    ended.map(|at| Withdrawn { at, by: by.clone(), reason: reason.clone() });
                let (station, parameter) = (station("a"), parameter("ph"));
                let (from, to, at) = (at(from), at(from + length), at(made));
                Edit { id: n, station, parameter, from, to, act, at, by, reason, withdrawn }
            };
        (1..).zip(all).map(edit).collect()
    })
}

/// Each minute that can hold anything is asked alone: which version counts there, and what do the edits make of it?
fn agree_as_edited(history: &History, model: &Model, edits: &[Edit]) {
    for (_, shown) in Shown::ALL {
        let edits = Edits::new(edits.to_vec(), shown);
        for then in [None, Some(40)] {
            let as_of = then.map(at);
            let known_by = as_of.unwrap_or(Timestamp::from_millis(i64::MAX));
            let mut right = Vec::new();
            let far = [-30 * 24 * 60, 40 * 24 * 60];
            for minute in far.iter().take(1).copied().chain(-5..25).chain(far.into_iter().skip(1)) {
                let key = ("a".to_owned(), "ph".to_owned(), at(minute).as_millis());
                let known = |by: i64| {
                    let mut versions = model.get(&key).into_iter().flatten();
                    versions.rfind(|version| version.3 <= by).copied()
                };
                let moment = edits.moment(at(minute), known_by).known_by.as_millis();
                let version = known(moment).or_else(|| known(known_by.as_millis()));
                let (bits, flag) = version.map_or((None, Flag::Missing), |v| (v.0, v.1));
                let received = version.map(|version| Timestamp::from_millis(version.3));
                let value = bits.map(f64::from_bits);
                let shown = edits.show(at(minute), known_by, received, (value, flag));
                right.extend(shown.map(|s| (minute, s.value.map(f64::to_bits), s.flag, s.layer)));
            }
            let query = Query { as_of, edits: edits.clone(), ..all("a", "ph") };
            let points = history.range(&query).unwrap();
            let minute = |at: Timestamp| (at.as_millis() - DAY) / 60_000;
            let row = |p: &history::Point| {
                (minute(p.taken_at), p.value.map(f64::to_bits), p.flag, p.layer)
            };
            assert_eq!(points.iter().map(row).collect::<Vec<_>>(), right, "{edits:?} {then:?}");
        }
    }
}

fn cells(model: &Model) -> crate::looks::Cells {
    let mut cells = crate::looks::Cells::new();
    for ((station, what, at), versions) in model {
        // The newest.
        for &(bits, flag, ..) in versions {
            cells.insert((station.clone(), *at, what.clone()), (bits, flag));
        }
    }
    cells
}

fn check(steps: &[Step], edits: &[Edit]) {
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        tail_readings_max: 1_000,
        tail_age_max: Duration::from_hours(9),
        rollup_readings_min: 2,
        ..Config::default()
    };
    let mut history = History::open(dir.path(), config).unwrap();
    let (mut journal, mut model, mut in_files) = (Vec::new(), Model::new(), 0);
    for step in steps {
        match step {
            Step::Apply(record) => {
                let position = journal.len() as u64;
                let applied = record.apply(&history, position);
                assert_eq!(applied, apply_to_model(&mut model, record, position, in_files));
                journal.push(record);
            }
            Step::Seal => {
                let sealed = history.seal(at(0), true).unwrap();
                let last = (journal.len() as u64).checked_sub(1);
                assert!(sealed.is_none() || sealed == last);
                assert_eq!(history.position(), last);
                in_files = journal.len() as u64;
            }
            Step::Crash => {
                drop(history);
                history = History::open(dir.path(), config).unwrap();
                let from = history.position().map_or(0, |position| position + 1);
                for (position, record) in (0..).zip(&journal).filter(|(at, _)| from <= *at) {
                    record.apply(&history, position);
                }
            }
        }
    }
    agree(&history, &model);
    agree_as_edited(&history, &model, edits);
    let records: Vec<&Admitted> = journal.iter().map(|record| &record.admitted).collect();
    // What is not sealed is added to a look as it came, without what the tests said.
    if !journal.iter().any(|record| record.is_judged()) {
        crate::looks::check(dir.path(), &records, &cells(&model));
    }
    history.seal(at(0), true).unwrap();
    agree(&history, &model);
    agree_as_edited(&history, &model, edits);
    crate::looks::agree_as_edited(dir.path(), &history, edits);
    // A third of the time of the whole test: half of them must do.
    if journal.len().is_multiple_of(2) {
        crate::looks::check(dir.path(), &records, &cells(&model));
    }
    drop(history);
    agree(&History::open(dir.path(), config).unwrap(), &model);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_answers_as_a_plain_map_does(steps in steps(), edits in edits()) {
        check(&steps, &edits);
    }
}
