//! What intervals come to, answered from what is kept beside the readings: the same to the bit as from the readings
//! themselves, over any life of the store.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::{Admitted, Aggregation, Every, Flag, Measured, QualityTest, Revised, TestFlags};
use history::{Beyond, Bucket, Config, History, Query};
use proptest::prelude::*;

use crate::words::*;

const HOUR: Every = Every::Span(Duration::from_hours(1));
const ASKED: [Every; 7] = [
    Every::Day,
    Every::Month,
    Every::TIDAL_DAY,
    HOUR,
    Every::Span(Duration::from_hours(24)),
    Every::Span(Duration::from_mins(20)),
    Every::Span(Duration::from_mins(7)),
];

/// Keeps every interval, whatever it stands for.
const KEEPS: Config = config(1);
/// Keeps none.
const READS: Config = config(usize::MAX);

const fn config(rollup_readings_min: usize) -> Config {
    let tail_age_max = Duration::from_hours(9);
    Config {
        tail_readings_max: 1_000_000,
        tail_age_max,
        rollup_readings_min,
        settle_bytes_per_second: u64::MAX,
    }
}

/// To the bit.
fn told(buckets: &[Bucket]) -> Vec<String> {
    let bits = |value: Option<f64>| value.map(f64::to_bits);
    let at = |at: Option<history::At>| at.map(|at| (at.value.to_bits(), at.taken_at));
    let one = |b: &Bucket| {
        let (ends, middle) = ((at(b.min), at(b.max)), (at(b.first), at(b.last)));
        let sums = (bits(b.mean), bits(b.total));
        format!("{} {ends:?} {middle:?} {sums:?} {} {:?}", b.start, b.count, b.flag)
    };
    buckets.iter().map(one).collect()
}

fn same(kept: &History, read: &History, query: &Query) {
    for every in ASKED {
        for how in [Aggregation::Mean, Aggregation::Total, Aggregation::Direction] {
            let of = |history: &History| told(&history.buckets(query, every, how).unwrap());
            assert_eq!(of(kept), of(read), "{every:?} {how:?} {query:?}");
        }
        for beyond in [Beyond::Above(0.2), Beyond::Below(0.1), Beyond::Above(350.0)] {
            let gap = Duration::from_mins(400);
            let of = |history: &History| history.spells(query, every, beyond, gap).unwrap();
            assert_eq!(of(kept), of(read), "{every:?} {beyond:?} {query:?}");
        }
    }
}

const PARAMETERS: [&str; 3] = ["salinity", "rainfall", "wind_direction"];

#[derive(Debug, Clone)]
enum Step {
    Apply(Box<Admitted>),
    /// A stretch of readings, as a station sends them.
    Stretch(i64, i64),
    /// The tests of a reading, and of every so many from there on, find this.
    Revise(usize, usize, Flag),
    Seal,
    Crash,
}

fn value() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        1 => Just(None),
        6 => (0..40).prop_map(|v| Some(f64::from(v) * 0.01)),
        2 => (0.0f64..360.0).prop_map(Some),
        1 => prop::sample::select(vec![-0.0, 1.0 / 3.0, 1e-9, 1e15, -1e200, f64::INFINITY, f64::MAX]).prop_map(Some),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let flags = vec![Flag::Good, Flag::Good, Flag::Suspect, Flag::Bad, Flag::Missing];
    // Around the end of March in UTC and in Vietnam, which are seven hours apart.
    let minutes = 27_000i64..32_000;
    let values = prop::collection::vec((0..3usize, value(), prop::sample::select(flags)), 1..4);
    let one = (minutes, values, 0i64..3_000).prop_map(|(minute, values, late)| {
        let measured = |(what, value, flag): (usize, Option<f64>, Flag)| Measured {
            parameter: parameter(PARAMETERS[what]),
            value,
            flag,
        };
        let values = values.into_iter().map(measured).collect();
        Step::Apply(Box::new(Admitted { values, ..record("a", minute, "ph 7") }.late(late)))
    });
    prop_oneof![
        6 => one,
        6 => (27_000i64..31_000, 1i64..60).prop_map(|(from, every)| Step::Stretch(from, every)),
        4 => (0..200usize, 1..9usize, prop::sample::select(vec![Flag::Good, Flag::Bad]))
            .prop_map(|(from, every, flag)| Step::Revise(from, every, flag)),
        6 => Just(Step::Seal),
        1 => Just(Step::Crash),
    ]
}

trait Late {
    fn late(self, minutes: i64) -> Self;
}

impl Late for Admitted {
    fn late(mut self, minutes: i64) -> Self {
        self.received_at = self.taken_at + Duration::from_secs(60 * minutes.unsigned_abs());
        self
    }
}

fn stretch(from: i64, every: i64) -> Vec<Admitted> {
    let minute = |n: i64| from + n * every;
    let one = |n: i64| {
        let salinity = ((n * 37 + from) % 50) as f64 / 100.0;
        let values = format!(
            "salinity {salinity}, rainfall {}, wind_direction {}",
            (n % 3) as f64 * 0.2,
            (n * 71) % 360
        );
        record("a", minute(n), &values)
    };
    (0..40).map(one).collect()
}

/// Two stores that live the same life, one that keeps and one that reads.
struct Pair {
    dirs: [tempfile::TempDir; 2],
    stores: [Option<History>; 2],
    journal: Vec<(Admitted, Vec<Revised>)>,
}

impl Pair {
    fn new() -> Self {
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let mut pair = Self { dirs, stores: [None, None], journal: Vec::new() };
        pair.open();
        pair
    }

    fn open(&mut self) {
        for (at, config) in [KEEPS, READS].into_iter().enumerate() {
            self.stores[at] = None;
            let history = History::open(self.dirs[at].path(), config).unwrap();
            let from = history.position().map_or(0, |position| position + 1);
            for (position, one) in (0..).zip(&self.journal).filter(|(p, _)| from <= *p) {
                history.apply_judged(position, &one.0, &[], &one.1);
            }
            self.stores[at] = Some(history);
        }
    }

    fn each(&self) -> [&History; 2] {
        [self.stores[0].as_ref().unwrap(), self.stores[1].as_ref().unwrap()]
    }

    fn apply(&mut self, record: Admitted) {
        self.judge(record, Vec::new());
    }

    fn judge(&mut self, record: Admitted, revised: Vec<Revised>) {
        let position = self.journal.len() as u64;
        for history in self.each() {
            let applied = history.apply_judged(position, &record, &[], &revised);
            assert_eq!(applied.unfounded, 0);
        }
        self.journal.push((record, revised));
    }

    fn revise(&mut self, from: usize, every: usize, flag: Flag) {
        let flags = TestFlags::NONE.with(QualityTest::SpikeDifferential, flag);
        let of = |record: &Admitted| -> Vec<Revised> {
            let taken_at = record.taken_at;
            let codes = record.values.iter().map(|measured| measured.parameter.clone());
            codes.map(|parameter| Revised { parameter, taken_at, flags }).collect()
        };
        let some = self.journal.iter().skip(from).step_by(every).take(30);
        let revised = some.flat_map(|(record, _)| of(record)).collect();
        let last = self.journal.last().map(|one| one.0.clone());
        let again = last.unwrap_or_else(|| record("a", 27_000, "rainfall 1"));
        self.judge(again, revised);
    }

    fn live(&mut self, step: &Step) {
        match step {
            Step::Apply(record) => self.apply((**record).clone()),
            Step::Stretch(from, every) => {
                stretch(*from, *every).into_iter().for_each(|record| self.apply(record));
            }
            Step::Revise(from, every, flag) => self.revise(*from, *every, *flag),
            Step::Seal => drop(self.each().map(|history| history.seal(at(0), true).unwrap())),
            Step::Crash => self.open(),
        }
    }

    fn agree(&self, from: i64, to: i64) {
        let [kept, read] = self.each();
        for what in PARAMETERS {
            let whole = all("a", what);
            same(kept, read, &whole);
            same(kept, read, &Query { from: at(from), to: at(to), ..whole.clone() });
            same(kept, read, &Query { as_of: Some(at(from)), limit: 3, ..whole });
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_kept_answers_as_the_readings_do(
        steps in prop::collection::vec(step(), 1..40),
        from in 27_000i64..31_000,
        length in 1i64..4_000,
    ) {
        let mut pair = Pair::new();
        for step in &steps {
            pair.live(step);
        }
        pair.agree(from, from + length);
        pair.live(&Step::Seal);
        pair.open();
        pair.agree(from, from + length);
    }
}

/// Ten days of March, every 15 minutes, sealed as one file; gives its path.
fn ten_days(dir: &Path) -> (History, PathBuf) {
    let history = History::open(dir, Config::default()).unwrap();
    for n in 0..960_i64 {
        let values = format!("salinity {}", 2.0 + ((n * 13) % 96) as f64 / 10.0);
        history.apply(n as u64, &record("a", n * 15, &values));
    }
    history.seal(at(0), true).unwrap();
    (history, dir.join("2026-03-000000.parquet"))
}

fn by_days(history: &History) -> Result<Vec<String>, history::HistoryError> {
    Ok(told(&history.buckets(&all("a", "salinity"), Every::Day, Aggregation::Mean)?))
}

/// Makes every row unreadable (the stations' column comes first) and leaves what is kept as it is.
fn spoil_rows(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    bytes[4..40].fill(0xff);
    fs::write(file, bytes).unwrap();
}

#[test]
fn days_are_answered_without_a_look_at_the_readings() {
    let dir = tempfile::tempdir().unwrap();
    let (history, file) = ten_days(dir.path());
    let right = by_days(&history).unwrap();
    assert_eq!(right.len(), 11);
    spoil_rows(&file);
    assert_eq!(by_days(&history).unwrap(), right);
    let (query, gap) = (all("a", "salinity"), Duration::from_mins(40));
    let never = history.spells(&query, Every::Month, Beyond::Above(12.0), gap).unwrap();
    assert_eq!((never[0].beyond, never[0].known), (Duration::ZERO, Duration::from_mins(959 * 15)));
    let always = history.spells(&query, Every::Month, Beyond::Above(1.0), gap).unwrap();
    assert_eq!((always[0].beyond, always[0].spells), (Duration::from_mins(959 * 15), 1));
    history.spells(&query, Every::Month, Beyond::Above(4.0), gap).unwrap_err();
    history.spells(&query, Every::Month, Beyond::Above(1.0), Duration::from_mins(10)).unwrap_err();
    history.range(&query).unwrap_err();
}

/// Nothing of the readings is in memory, so what is asked of them is an error.
fn asks_the_readings_of_the_fourth_day_alone(history: &History, before: &[String]) {
    let ask = |from: i64, to: i64| {
        let query = Query { from: at(from), to: at(to), ..all("a", "salinity") };
        history.buckets(&query, Every::Day, Aggregation::Mean)
    };
    let midnight = 3 * 24 * 60 - 7 * 60;
    by_days(history).unwrap_err();
    ask(midnight, midnight + 24 * 60).unwrap_err();
    assert_eq!(told(&ask(-99_999, midnight).unwrap()), before[..3]);
    assert_eq!(told(&ask(midnight + 24 * 60, 99_999).unwrap()), before[4..]);
}

#[test]
fn only_what_a_late_reading_touched_is_computed_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (history, file) = ten_days(dir.path());
    let before = by_days(&history).unwrap();
    let sound = fs::read(&file).unwrap();
    spoil_rows(&file);
    history.apply(1_000, &record("a", 3 * 24 * 60 + 7, "salinity 77"));
    asks_the_readings_of_the_fourth_day_alone(&history, &before);
    // And the same where the late one lies in a file of its own.
    history.seal(at(0), true).unwrap();
    asks_the_readings_of_the_fourth_day_alone(&history, &before);
    fs::write(&file, sound).unwrap();
    let after = by_days(&history).unwrap();
    let touched: Vec<usize> = (0..11).filter(|&day| before[day] != after[day]).collect();
    assert_eq!(touched, [3]);
}

/// Where what is kept begins and ends: between the last row group and the footer.
fn kept_at(file: &Path) -> std::ops::Range<usize> {
    let bytes = fs::read(file).unwrap();
    let key = b"saltline.rollup";
    let found = bytes.windows(key.len()).position(|window| window == key).unwrap();
    let text = String::from_utf8_lossy(&bytes[found + key.len()..]).into_owned();
    let words: Vec<&str> = text.split_whitespace().collect();
    let number = |at: usize| words[at].parse::<usize>().unwrap();
    number(1)..number(1) + number(2) + number(3)
}

#[test]
fn a_flipped_bit_of_what_is_kept_is_found_and_answered_from_the_readings() {
    let dir = tempfile::tempdir().unwrap();
    let (history, file) = ten_days(dir.path());
    let right = by_days(&history).unwrap();
    drop(history);
    let sound = fs::read(&file).unwrap();
    for at in kept_at(&file).step_by(3) {
        let mut bad = sound.clone();
        bad[at] ^= 4;
        fs::write(&file, bad).unwrap();
        assert_eq!(by_days(&open(dir.path())).unwrap(), right, "byte {at}");
        let verified = history::sealed_files(dir.path()).unwrap()[0].verify();
        assert!(verified.unwrap_err().to_string().contains("roll-ups"), "byte {at}");
    }
}

#[test]
fn what_is_damaged_is_written_anew_by_the_next_merge() {
    let dir = tempfile::tempdir().unwrap();
    let (history, file) = ten_days(dir.path());
    let right = by_days(&history).unwrap();
    let mut bad = fs::read(&file).unwrap();
    bad[kept_at(&file).start + 9] ^= 1;
    fs::write(&file, bad).unwrap();
    drop(history);
    let history = open(dir.path());
    history.seal(at(0), true).unwrap();
    assert_eq!(sealed_files(dir.path()), ["2026-03-000000.parquet"], "nobody asked yet");
    assert_eq!(by_days(&history).unwrap(), right);
    history.seal(at(0), true).unwrap();
    assert_eq!(sealed_files(dir.path()), ["2026-03-000001.parquet"]);
    history::sealed_files(dir.path()).unwrap()[0].verify().unwrap();
    spoil_rows(&dir.path().join("2026-03-000001.parquet"));
    assert_eq!(by_days(&history).unwrap(), right, "and is used again");
}

#[test]
fn a_month_of_vietnam_is_put_together_over_the_end_of_the_month_of_utc() {
    let dir = tempfile::tempdir().unwrap();
    let history = History::open(dir.path(), Config::default()).unwrap();
    // 19 days, over the last of March.
    for n in 0..1_824_i64 {
        history.apply(n as u64, &record("a", 20_000 + n * 15, "rainfall 0.1"));
    }
    let ask = |history: &History, every| {
        history.buckets(&all("a", "rainfall"), every, Aggregation::Total).unwrap()
    };
    let right = (told(&ask(&history, Every::Month)), told(&ask(&history, Every::Day)));
    history.seal(at(0), true).unwrap();
    let files = sealed_files(dir.path());
    assert_eq!(files.len(), 2);
    files.iter().for_each(|file| spoil_rows(&dir.path().join(file)));
    assert_eq!((told(&ask(&history, Every::Month)), told(&ask(&history, Every::Day))), right);
    let whole: f64 = ask(&history, Every::Month).iter().filter_map(|b| b.total).sum();
    assert!((whole - 182.4).abs() < 1e-9);
}

#[test]
fn what_had_not_reached_us_then_is_not_in_what_was_known() {
    let dir = tempfile::tempdir().unwrap();
    let (history, _) = ten_days(dir.path());
    let known = |minutes| {
        let query = Query { as_of: Some(at(minutes)), ..all("a", "salinity") };
        let days = history.buckets(&query, Every::Day, Aggregation::Mean).unwrap();
        days.iter().map(|day| day.count).sum::<u32>()
    };
    assert_eq!([known(-1), known(1), known(24 * 60), known(99_999)], [0, 1, 96, 960]);
}
