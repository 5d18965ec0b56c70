//! What each test said of a reading, and what it says when its neighbours are known: on disk, as of then, through seals,
//! merges and damage.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use domain::{
    Admitted, Aggregation, Every, Flag, Measured, QualityTest, Revised, TestFlags, Timestamp,
};
use history::{Applied, Bucket, Config, History, HistoryError, Query, Tested};

use crate::words::*;

const GOOD: TestFlags = TestFlags::NONE.with(QualityTest::GrossRange, Flag::Good);
const UNSURE: TestFlags = GOOD.with(QualityTest::SpikeDifferential, Flag::NotEvaluated);
const SPIKE: TestFlags = GOOD.with(QualityTest::SpikeDifferential, Flag::Bad);

fn revised(what: &str, minutes: i64, flags: TestFlags) -> Revised {
    Revised { parameter: parameter(what), taken_at: at(minutes), flags }
}

fn whole() -> (Timestamp, Timestamp) {
    (Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX))
}

fn said(tested: &[Tested]) -> String {
    let one = |t: &Tested| {
        let minutes = (t.taken_at.as_millis() - DAY) / 60_000;
        let value = t.value.map_or("-".to_owned(), |value| value.to_string());
        format!("{minutes}={value} {} [{}]", t.flag.number(), t.tests)
    };
    tested.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn tests_of(history: &History, what: &str, as_of: Option<Timestamp>) -> String {
    said(&history.test_flags(&station("a"), &parameter(what), whole(), as_of).unwrap())
}

#[test]
fn a_revision_is_a_new_version_and_what_was_known_before_stays() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    history.apply_judged(0, &record("a", 0, "ph 7, cod -"), &[UNSURE, UNSURE], &[]);
    let applied =
        history.apply_judged(1, &record("a", 15, "ph 9"), &[UNSURE], &[revised("ph", 0, SPIKE)]);
    assert_eq!(applied, Applied { stored: 1, revised: 1, ..Applied::default() });
    let now =
        "0=7 4 [gross_range=1 spike_differential=4], 15=9 1 [gross_range=1 spike_differential=2]";
    let then = "0=7 1 [gross_range=1 spike_differential=2]";
    for _ in 0..2 {
        assert_eq!(tests_of(&history, "ph", None), now);
        assert_eq!(tests_of(&history, "ph", Some(at(1))), then);
        assert_eq!(shown(&history, "a", "ph"), "0=7! 15=9");
        let known = Query { as_of: Some(at(1)), ..all("a", "ph") };
        assert_eq!(show(&history.range(&known).unwrap()), "0=7");
        // Nothing was measured: the flag stays, what the tests said stands beside it.
        let missing = "0=- 9 [gross_range=1 spike_differential=2]";
        assert_eq!(tests_of(&history, "cod", None), missing);
        history.seal(at(20), true).unwrap();
    }
    let judged = history.apply_judged(2, &record("a", 15, "ph 9"), &[SPIKE], &[]);
    assert_eq!(judged, Applied { reflagged: 1, ..Applied::default() });
    let judged = history.apply_judged(2, &record("a", 15, "ph 9"), &[UNSURE], &[]);
    assert_eq!(judged, Applied { reflagged: 1, ..Applied::default() });
    let again = history.apply_judged(2, &record("a", 15, "ph 9"), &[UNSURE], &[]);
    assert_eq!(again, Applied { duplicate: 1, ..Applied::default() });
    let unjudged = history.apply(3, &record("a", 0, "ph 7"));
    assert_eq!(unjudged, Applied { duplicate: 1, ..Applied::default() }, "it knows no better");
    let corrected = history.apply(4, &record("a", 0, "ph 7.5"));
    assert_eq!(corrected, Applied { corrected: 1, ..Applied::default() });
    let flagged = history.apply(5, &record("a", 0, "ph 7.5!"));
    assert_eq!(flagged, Applied { corrected: 1, ..Applied::default() });
}

#[test]
fn a_test_that_waited_and_changes_no_flag_costs_no_version() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    const FINE: TestFlags = GOOD.with(QualityTest::SpikeDifferential, Flag::Good);
    history.apply_judged(0, &record("a", 0, "ph 7, cod 1"), &[UNSURE, UNSURE], &[]);
    for n in 1..20 {
        let before = [revised("ph", n * 15 - 15, FINE), revised("cod", n * 15 - 15, FINE)];
        let record = record("a", n * 15, "ph 7, cod 1");
        let applied = history.apply_judged(n as u64, &record, &[UNSURE, UNSURE], &before);
        assert_eq!(applied, Applied { stored: 2, completed: 2, ..Applied::default() });
    }
    // The second value changes both ways at once, the first back to what it was.
    let both = [revised("ph", 285, FINE), revised("ph", 285, UNSURE), revised("cod", 285, SPIKE)];
    let applied = history.apply_judged(20, &record("b", 0, "ph 7"), &[], &[]);
    assert_eq!(applied.stored, 1);
    let applied = history.apply_judged(21, &record("a", 300, "ph 7"), &[UNSURE], &both);
    assert_eq!(applied, Applied { stored: 1, completed: 2, revised: 1, ..Applied::default() });
    assert_eq!(history.stats().tail_rows, 23, "21 of a, one of b, and one for the spike");
    let read = tests_of(&history, "ph", None);
    history.seal(at(300), true).unwrap();
    assert_eq!(tests_of(&history, "ph", None), read);
    assert_eq!(read.matches("spike_differential=1").count(), 19, "{read}");
    assert!(
        tests_of(&history, "cod", None).ends_with("285=1 4 [gross_range=1 spike_differential=4]")
    );
    // In a file nothing is written over.
    let late = [revised("ph", 285, FINE)];
    let applied = history.apply_judged(22, &record("a", 315, "ph 7"), &[UNSURE], &late);
    assert_eq!(applied, Applied { stored: 1, revised: 1, ..Applied::default() });
}

#[test]
fn who_tested_a_reading_by_itself_knows_no_better_than_who_knew_its_neighbours() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    history.apply_judged(0, &record("a", 0, "ph 7"), &[UNSURE], &[]);
    let again = history.apply_judged(1, &record("a", 0, "ph 7"), &[GOOD], &[]);
    assert_eq!(again, Applied { duplicate: 1, ..Applied::default() });
    let stuck = GOOD.with(QualityTest::StuckClock, Flag::Suspect);
    let again = history.apply_judged(2, &record("a", 0, "ph 7"), &[stuck], &[]);
    assert_eq!(again, Applied { reflagged: 1, ..Applied::default() });
    let other = history.apply_judged(3, &record("a", 0, "ph 7.5"), &[GOOD], &[]);
    assert_eq!(other, Applied { corrected: 1, ..Applied::default() });
}

#[test]
fn what_was_admitted_as_bad_stays_bad_whatever_the_tests_find() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    history.apply_judged(0, &record("a", 0, "ph 7!"), &[GOOD], &[]);
    history.apply_judged(1, &record("a", 1, "ph 7"), &[SPIKE], &[revised("ph", 0, UNSURE)]);
    history.apply_judged(2, &record("a", 2, "ph 7"), &[GOOD], &[revised("ph", 1, GOOD)]);
    assert_eq!(shown(&history, "a", "ph"), "0=7! 1=7 2=7", "the spike was none");
}

#[test]
fn flags_of_readings_that_are_not_there_are_counted_and_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    history.apply(0, &record("a", 10, "ph 7"));
    history.apply(1, &record("b", 10, "cod 7"));
    history.seal(at(20), true).unwrap();
    let nowhere =
        [("ph", 5), ("ph", 15), ("cod", 10), ("unheard_of", 10), ("ph", -99_999), ("ph", 99_999)];
    let nowhere = nowhere.map(|(what, minutes)| revised(what, minutes, SPIKE));
    let applied = history.apply_judged(2, &record("a", 20, "ph 8"), &[GOOD; 9], &nowhere);
    assert_eq!(applied, Applied { stored: 1, unfounded: 6, ..Applied::default() });
    assert_eq!(shown(&history, "a", "ph"), "10=7 20=8");
    let applied = history.apply_judged(1, &record("a", 21, "ph 8"), &[], &nowhere);
    assert_eq!(applied, Applied { duplicate: 1, ..Applied::default() }, "that was long ago");
}

#[test]
fn a_record_may_revise_its_own_values_and_its_own_time() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    history.apply_judged(0, &record("a", 0, "ph 7"), &[UNSURE], &[]);
    let own = [revised("cod", 0, SPIKE), revised("ph", 0, SPIKE), revised("cod", 0, GOOD)];
    let applied = history.apply_judged(1, &record("a", 0, "cod 1"), &[UNSURE], &own);
    assert_eq!(applied, Applied { stored: 1, revised: 3, ..Applied::default() });
    assert_eq!(history.stats().tail_rows, 2, "one for each record");
    history.seal(at(0), true).unwrap();
    assert_eq!(
        (shown(&history, "a", "ph"), shown(&history, "a", "cod")),
        ("0=7!".into(), "0=1".into())
    );
}

/// A station that is followed while somebody seals all the time: each record revises the two before it.
#[test]
fn a_revision_finds_its_reading_while_it_is_sealed_or_merged() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { tail_readings_max: 40, ..Config::default() };
    let history = History::open(dir.path(), config).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..1_500 {
                let before = [revised("ph", n - 1, GOOD), revised("ph", n - 2, SPIKE)];
                let record = record("a", n, &format!("ph {n}, cod 1"));
                let applied = history.apply_judged(n as u64, &record, &[UNSURE, GOOD], &before);
                let found = 2.min(n) as u32;
                let revised = applied.revised + applied.completed;
                assert_eq!((revised, applied.unfounded), (found, 2 - found), "{n}");
            }
            done.store(true, Ordering::Release);
        });
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                history.seal(at(0), false).unwrap();
            }
        });
    });
    history.seal(at(0), true).unwrap();
    assert!(1 < history.stats().sealed_files);
    drop(history);
    let history = open(dir.path());
    let read = history.test_flags(&station("a"), &parameter("ph"), whole(), None).unwrap();
    let word = |n: usize| [SPIKE, GOOD, UNSURE][usize::from(1_497 < n) + usize::from(1_498 < n)];
    assert_eq!(read.len(), 1_500);
    for (n, one) in read.iter().enumerate() {
        let (value, tests) = (Some(n as f64), word(n));
        let right = Tested { taken_at: at(n as i64), value, flag: tests.worst(), tests };
        assert_eq!(*one, right, "{n}");
    }
}

fn by_days(history: &History) -> Vec<Bucket> {
    history.buckets(&all("a", "salinity"), Every::Day, Aggregation::Mean).unwrap()
}

#[test]
fn days_after_a_revision_are_those_of_a_store_that_knew_it_at_once() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [revises, knew] = [open(dirs[0].path()), open(dirs[1].path())];
    let spike = |n: i64| n % 50 == 7;
    let reading =
        |n: i64| record("a", n * 15, &format!("salinity {}", (n * 13 % 96) as f64 / 10.0));
    for n in 0..960 {
        revises.apply_judged(n as u64, &reading(n), &[UNSURE], &[]);
        knew.apply_judged(n as u64, &reading(n), &[if spike(n) { SPIKE } else { UNSURE }], &[]);
    }
    revises.seal(at(0), true).unwrap();
    knew.seal(at(0), true).unwrap();
    let before = by_days(&revises);
    assert_ne!(before, by_days(&knew));
    let revisions: Vec<_> =
        (0..960).filter(|&n| spike(n)).map(|n| revised("salinity", n * 15, SPIKE)).collect();
    for (position, history) in [(960, &revises), (960, &knew)] {
        let record = record("a", 960 * 15, "salinity 3");
        let applied = history.apply_judged(position, &record, &[UNSURE], &revisions);
        let changed = if std::ptr::eq(history, &revises) { 20 } else { 0 };
        assert_eq!((applied.stored, applied.revised), (1, changed));
    }
    assert_eq!(by_days(&revises), by_days(&knew), "from memory");
    revises.seal(at(0), true).unwrap();
    assert_eq!(by_days(&revises), by_days(&knew), "from two files");
    let april = Timestamp::parse_rfc3339("2026-05-20T00:00:00Z").unwrap();
    for history in [&revises, &knew] {
        history.apply(961, &Admitted { taken_at: april, ..record("a", 0, "salinity 1") });
        for _ in 0..3 {
            history.seal(april, true).unwrap();
        }
    }
    assert_eq!(by_days(&revises), by_days(&knew));
    let then = Query { as_of: Some(at(950 * 15)), ..all("a", "salinity") };
    let then = revises.buckets(&then, Every::Day, Aggregation::Mean).unwrap();
    assert_eq!(then[..9], before[..9], "what was known then");
}

/// A sealed file of fifty readings with words; gives its path.
fn tested(dir: &Path) -> std::path::PathBuf {
    let history = open(dir);
    for n in 0..50 {
        let word = if n % 7 == 0 { SPIKE } else { GOOD };
        history.apply_judged(n as u64, &record("a", n, &format!("ph {n}, cod 1")), &[word], &[]);
    }
    history.seal(at(0), true).unwrap();
    dir.join("2026-03-000000.parquet")
}

#[test]
fn a_flipped_byte_of_what_the_tests_said_is_found_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = tested(dir.path());
    let good = fs::read(&file).unwrap();
    let history = open(dir.path());
    let (right, range) = (tests_of(&history, "ph", None), shown(&history, "a", "ph"));
    drop(history);
    let mut named = 0;
    for byte in 4..good.len() {
        let mut bad = good.clone();
        bad[byte] ^= 0x10;
        fs::write(&file, bad).unwrap();
        let history = open(dir.path());
        match history.test_flags(&station("a"), &parameter("ph"), whole(), None) {
            Ok(read) => assert_eq!(said(&read), right, "byte {byte}"),
            Err(HistoryError::Damaged { path, what }) => {
                assert_eq!(path, file);
                if what.contains("checksum of column ph.tests in row group 0") {
                    named += 1;
                    assert_eq!(shown(&history, "a", "ph"), range, "the readings do not need it");
                    let verified = history::sealed_files(dir.path()).unwrap()[0].verify();
                    assert!(verified.unwrap_err().to_string().contains("ph.tests"), "byte {byte}");
                }
            }
            Err(other) => panic!("byte {byte}: {other:?}"),
        }
    }
    assert!(20 < named, "{named}");
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

type Said = (&'static str, Option<f64>, Flag);

/// What the fixture of version 2 was made of.
fn of_version_2() -> Vec<Admitted> {
    let rows: [(&str, i64, &[Said]); 6] = [
        (
            "xuan-hoa",
            0,
            &[("salinity", Some(8.85), Flag::Good), ("ph", Some(7.3), Flag::NotEvaluated)],
        ),
        ("xuan-hoa", 15, &[("salinity", Some(8.9), Flag::Suspect), ("ph", None, Flag::Missing)]),
        ("xuan-hoa", 30, &[("salinity", Some(0.1 + 0.2), Flag::Good)]),
        ("vam-giong", 30, &[("ph", Some(7.0), Flag::NotEvaluated)]),
        ("xuan-hoa", 15, &[("salinity", Some(9.1), Flag::Bad)]),
        (
            "vam-giong",
            45,
            &[("ph", Some(7.25), Flag::NotEvaluated), ("cod", Some(12.5), Flag::Bad)],
        ),
    ];
    let measured =
        |&(code, value, flag): &Said| Measured { parameter: parameter(code), value, flag };
    let one = |(code, minutes, values): (&str, i64, &[_])| Admitted {
        values: values.iter().map(measured).collect(),
        ..record(code, minutes, "ph 7")
    };
    rows.into_iter().map(one).collect()
}

#[test]
fn files_of_version_2_are_read_and_what_was_never_tested_is_still_written_so() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/history/version-2");
    let (dir, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let names = ["manifest", "2026-03-000000.parquet"];
    for name in names {
        fs::copy(fixture.join(name), dir.path().join(name)).unwrap();
    }
    let history = open(new.path());
    for (position, record) in (0..).zip(of_version_2()) {
        history.apply(position, &record);
    }
    history.seal(at(60), true).unwrap();
    for name in names {
        assert!(fs::read(new.path().join(name)).unwrap() == fs::read(fixture.join(name)).unwrap());
    }
    let history = open(dir.path());
    let read = |history: &History| {
        let (code, what) = (station("xuan-hoa"), parameter("salinity"));
        said(&history.test_flags(&code, &what, whole(), None).unwrap())
    };
    let expected = "0=8.85 1 [], 15=9.1 4 [], 30=0.30000000000000004 1 []";
    assert_eq!(read(&history), expected);
    history::sealed_files(dir.path()).unwrap()[0].verify().unwrap();
    // Revised and merged, it is of version 3; the rest of it is as it was.
    let flags = [revised("salinity", 0, SPIKE)];
    for position in 6..13 {
        let record = record("xuan-hoa", 60 + position as i64, "ph 7.5");
        history.apply_judged(position, &record, &[GOOD], &flags);
        history.seal(at(75), true).unwrap();
    }
    let files = sealed_files(dir.path());
    assert_eq!(files.len(), 1);
    let bytes = fs::read(dir.path().join(&files[0])).unwrap();
    assert!(holds(&bytes, "salinity.tests") && holds(&bytes, "ph.tests"));
    assert!(!holds(&bytes, "cod.tests"), "nobody tested it");
    let revised = "0=8.85 4 [gross_range=1 spike_differential=4]";
    assert_eq!(read(&history), expected.replacen("0=8.85 1 []", revised, 1));
    drop(history);
    assert_eq!(read(&open(dir.path())), expected.replacen("0=8.85 1 []", revised, 1));
}

#[test]
fn a_look_reads_what_the_tests_said_and_the_journal_is_not_blamed_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    let journal: Vec<_> = (0..6).map(|n| record("a", n * 10, &format!("ph {n}, cod 1"))).collect();
    for (n, one) in (0..).zip(&journal) {
        let before = revised("ph", n as i64 * 10 - 10, SPIKE);
        history.apply_judged(n, one, &[UNSURE], &[before]);
    }
    history.seal(at(0), true).unwrap();
    let mut look = history::Look::open(dir.path(), &dir.path().join(".look")).unwrap();
    let mut comparing = look.compare();
    for (position, one) in (0..).zip(&journal) {
        comparing.record(position, one).unwrap();
    }
    let found = comparing.finish().unwrap();
    assert_eq!((found.values, found.differing, found.other_flags), (12, 0, 0));
    look.add(6, &record("a", 60, "ph 6"));
    let (a, ph) = (station("a"), parameter("ph"));
    let span = (at(15), at(35));
    let all = look.around(&a, &[], span).unwrap();
    assert_eq!(all.iter().map(|one| one.0.as_str()).collect::<Vec<_>>(), ["cod", "ph"]);
    assert_eq!(
        all[0].1.iter().map(|one| one.taken_at).collect::<Vec<_>>(),
        [10, 20, 30, 40].map(at)
    );
    assert_eq!(all, history.around(&a, &[], span).unwrap());
    assert_eq!(all[1..], look.around(&a, std::slice::from_ref(&ph), span).unwrap());
    let last = look.around(&a, std::slice::from_ref(&ph), (at(55), at(58))).unwrap();
    let unsure = "[gross_range=1 spike_differential=2]";
    assert_eq!(said(&last[0].1), format!("50=5 1 {unsure}, 60=6 2 []"));
    let now = look.test_flags(&a, &ph, (at(40), at(51)), None).unwrap();
    assert_eq!(said(&now), format!("40=4 4 [{SPIKE}], 50=5 1 {unsure}"));
    let then = look.test_flags(&a, &ph, (at(40), at(51)), Some(at(41))).unwrap();
    assert_eq!(said(&then), format!("40=4 1 {unsure}"));
    let nobody = look.around(&station("nobody"), &[], span).unwrap();
    assert_eq!(nobody, []);
    assert_eq!(
        history.around(&station("nobody"), std::slice::from_ref(&ph), span).unwrap(),
        [(ph, vec![])]
    );
}

#[test]
fn the_reading_before_may_lie_years_and_files_away() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    let year = 365 * 24 * 60;
    for (position, minutes) in (0..).zip([-3 * year, 0, 2 * year, 2 * year + 1]) {
        let record = record("a", minutes, &format!("ph {position}"));
        history.apply_judged(position, &record, &[GOOD], &[]);
        // Of another station there is something everywhere.
        history.apply(position, &crate::words::record("b", minutes - year, "ph 1, cod 1"));
        if position != 3 {
            history.seal(at(minutes) + Duration::from_secs(1), true).unwrap();
        }
    }
    let read = |from, to| {
        let read = history.around(&station("a"), &[parameter("ph")], (at(from), at(to))).unwrap();
        show(&read[0].1.iter().map(point).collect::<Vec<_>>())
    };
    assert_eq!(read(-1, 1), format!("{}=0 0=1 {}=2", -3 * year, 2 * year));
    assert_eq!(read(2 * year, 2 * year + 1), format!("0=1 {}=2 {}=3", 2 * year, 2 * year + 1));
    assert_eq!(read(-9 * year, -8 * year), format!("{}=0", -3 * year));
    assert_eq!(read(9 * year, 9 * year), format!("{}=3", 2 * year + 1));
}

fn point(tested: &Tested) -> history::Point {
    let Tested { taken_at, value, flag, .. } = *tested;
    history::Point { taken_at, received_at: taken_at, value, flag, layer: domain::Layer::Raw }
}
