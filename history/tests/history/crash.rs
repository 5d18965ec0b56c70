//! Between each two steps of a seal or a merge the process may end. Then the folder is what is copied or put back here,
//! and the writer starts again behind `position()`: nothing is missing, nothing is doubled.

use std::fs;
use std::path::Path;
use std::time::Duration;

use domain::{Admitted, Flag, QualityTest, Revised, TestFlags, Timestamp};
use history::History;

use crate::words::*;

/// The journal of these tests.
fn journal() -> Vec<Admitted> {
    (0..40).map(|n| record("a", n % 30, &format!("ph {n}, cod {}", n % 3))).collect()
}

/// What the tests say of the n-th record and, by then, of the one before.
fn apply(history: &History, position: u64, record: &Admitted) {
    let flag = if position.is_multiple_of(5) { Flag::Suspect } else { Flag::Good };
    let word = TestFlags::NONE.with(QualityTest::GrossRange, Flag::Good);
    let unsure = word.with(QualityTest::SpikeDifferential, Flag::NotEvaluated);
    let (parameter, taken_at) = (parameter("ph"), record.taken_at - Duration::from_mins(1));
    let flags = word.with(QualityTest::SpikeDifferential, flag);
    let revised = [Revised { parameter, taken_at, flags }];
    history.apply_judged(position, record, &[unsure, word], &revised);
}

/// What is shown of the series, and of its tests.
fn all_of(history: &History) -> (String, Vec<history::Tested>) {
    let span = (Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX));
    let tests = history.test_flags(&station("a"), &parameter("ph"), span, None).unwrap();
    (shown(history, "a", "ph"), tests)
}

/// Follows the journal from where the store stands.
fn follow(history: &History) {
    let from = history.position().map_or(0, |position| position + 1);
    for (position, record) in (0..).zip(&journal()).filter(|(position, _)| from <= *position) {
        apply(history, position, record);
    }
}

fn expected() -> (String, Vec<history::Tested>) {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    follow(&history);
    all_of(&history)
}

/// Opens what the crash left, follows the journal, seals, opens again: all is there, and no stray file.
fn recovers(dir: &Path, sealed: Option<u64>) {
    let history = open(dir);
    assert_eq!(history.position(), sealed);
    follow(&history);
    assert_eq!(all_of(&history), expected());
    history.seal(at(0), true).unwrap();
    assert_eq!(all_of(&history), expected());
    let files = history.stats().sealed_files;
    drop(history);
    assert_eq!(sealed_files(dir).len() as u64, files);
    assert!(names(dir).iter().all(|name| !name.ends_with(".tmp")));
    assert_eq!(all_of(&open(dir)), expected());
}

/// A store with the first ten records sealed and ten more applied.
fn half_way(dir: &Path) -> History {
    let history = open(dir);
    let journal = journal();
    for position in 0..10 {
        apply(&history, position, &journal[position as usize]);
    }
    history.seal(at(0), true).unwrap();
    for position in 10..20 {
        apply(&history, position, &journal[position as usize]);
    }
    history
}

#[test]
fn before_anything_was_sealed() {
    let (dir, left) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let history = open(dir.path());
    apply(&history, 0, &journal()[0]);
    copy(dir.path(), left.path());
    recovers(left.path(), None);
}

#[test]
fn while_a_file_is_written() {
    let (dir, left) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let _history = half_way(dir.path());
    copy(dir.path(), left.path());
    fs::write(left.path().join("2026-03-000001.parquet.tmp"), b"PAR1 torn").unwrap();
    recovers(left.path(), Some(9));
}

#[test]
fn after_a_file_has_its_name_and_before_the_manifest_knows() {
    let (dir, left) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let history = half_way(dir.path());
    let old = fs::read(dir.path().join("manifest")).unwrap();
    history.seal(at(0), true).unwrap();
    copy(dir.path(), left.path());
    fs::write(left.path().join("manifest"), &old).unwrap();
    recovers(left.path(), Some(9));
}

#[test]
fn while_the_manifest_is_written() {
    let (dir, left) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let history = half_way(dir.path());
    let old = fs::read(dir.path().join("manifest")).unwrap();
    history.seal(at(0), true).unwrap();
    copy(dir.path(), left.path());
    let new = fs::read(dir.path().join("manifest")).unwrap();
    fs::write(left.path().join("manifest"), &old).unwrap();
    fs::write(left.path().join("manifest.tmp"), &new[..new.len() / 2]).unwrap();
    recovers(left.path(), Some(9));
}

#[test]
fn after_the_manifest_was_replaced() {
    let (dir, left) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let history = half_way(dir.path());
    history.seal(at(0), true).unwrap();
    copy(dir.path(), left.path());
    recovers(left.path(), Some(19));
}

/// Seals each of eight records alone; the eighth seal merges. `before` is the folder before it, `after` behind it.
fn merged(before: &Path, after: &Path) {
    let history = open(after);
    for position in 0..7 {
        apply(&history, position, &journal()[position as usize]);
        history.seal(at(0), true).unwrap();
    }
    apply(&history, 7, &journal()[7]);
    assert_eq!(sealed_files(after).len(), 7);
    copy(after, before);
    history.seal(at(0), true).unwrap();
    assert_eq!(sealed_files(after), ["2026-03-000008.parquet"], "eight became one");
}

#[test]
fn a_merge_that_wrote_its_file_and_no_manifest_is_undone() {
    let (before, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    merged(before.path(), after.path());
    let file = "2026-03-000008.parquet";
    fs::copy(after.path().join(file), before.path().join(file)).unwrap();
    recovers(before.path(), Some(6));
}

#[test]
fn a_merge_that_did_not_delete_the_old_files_does_so_at_the_next_start() {
    let (before, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    merged(before.path(), after.path());
    for file in sealed_files(before.path()) {
        fs::copy(before.path().join(&file), after.path().join(&file)).unwrap();
    }
    recovers(after.path(), Some(7));
}

#[test]
fn many_seals_end_as_few_files_that_read_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    for position in 0..200 {
        let minute = (position * 37 % 150) as i64;
        history.apply(position, &record("a", minute, &format!("ph {position}")));
        history.seal(at(0), true).unwrap();
    }
    let read = shown(&history, "a", "ph");
    assert!(history.stats().sealed_files <= 21, "{:?}", history.stats());
    drop(history);
    let history = open(dir.path());
    assert_eq!(shown(&history, "a", "ph"), read);
    assert!(read.starts_with("0=150 1=73 2=146 3=69"), "{read}");
}

#[test]
fn a_full_disk_is_an_error_and_the_tail_stays() {
    let dir = tempfile::tempdir().unwrap();
    let history = half_way(dir.path());
    let read = all_of(&history);
    // The next file's temporary name leads to the device that is always full.
    std::os::unix::fs::symlink("/dev/full", dir.path().join("2026-03-000001.parquet.tmp")).unwrap();
    let error = history.seal(at(0), true).unwrap_err();
    assert!(matches!(error, history::HistoryError::Disk { .. }), "{error:?}");
    assert!(error.to_string().contains("2026-03-000001.parquet.tmp"), "{error}");
    assert_eq!(history.position(), Some(9));
    assert_eq!(all_of(&history), read);
    apply(&history, 20, &journal()[20]);
    assert_eq!(history.seal(at(0), true).unwrap(), Some(20), "both tails, once there is room");
    follow(&history);
    assert_eq!(all_of(&history), expected());
}

#[test]
fn a_manifest_that_cannot_be_written_leaves_no_files_behind() {
    let dir = tempfile::tempdir().unwrap();
    let history = half_way(dir.path());
    std::os::unix::fs::symlink("/dev/full", dir.path().join("manifest.tmp")).unwrap();
    for _ in 0..3 {
        history.seal(at(0), true).unwrap_err();
        assert_eq!(sealed_files(dir.path()).len(), 1);
    }
    fs::remove_file(dir.path().join("manifest.tmp")).unwrap();
    assert_eq!(history.seal(at(0), true).unwrap(), Some(19));
    drop(history);
    recovers(dir.path(), Some(19));
}

/// Seals the first two records alone, and a third that was taken a month later. `before` is the folder before the seal
/// that makes one file of March, `after` behind it.
fn settled(before: &Path, after: &Path) {
    let history = open(after);
    for position in 0..2 {
        history.apply(position, &journal()[position as usize]);
        history.seal(at(0), true).unwrap();
    }
    let april = Timestamp::parse_rfc3339("2026-04-15T00:00:00Z").unwrap();
    history.seal(april, true).unwrap();
    assert_eq!(
        sealed_files(after).len(),
        2,
        "the last seal wrote into March: more of it may be under way"
    );
    history.apply(2, &Admitted { taken_at: april, ..journal()[2].clone() });
    history.seal(april - Duration::from_millis(1), true).unwrap();
    assert_eq!(sealed_files(after).len(), 3, "a backlog of two weeks may still come");
    copy(after, before);
    history.seal(april, false).unwrap();
    assert_eq!(sealed_files(after), ["2026-03-000003.parquet", "2026-04-000002.parquet"]);
    assert_eq!(shown(&history, "a", "ph"), "0=0 1=1 48960=2");
}

#[test]
fn a_settled_month_becomes_one_file_and_a_crash_in_between_loses_nothing() {
    let (before, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    settled(before.path(), after.path());
    fs::copy(
        after.path().join("2026-03-000003.parquet"),
        before.path().join("2026-03-000003.parquet"),
    )
    .unwrap();
    let history = open(before.path());
    assert_eq!(shown(&history, "a", "ph"), "0=0 1=1 48960=2");
    assert_eq!(sealed_files(before.path()).len(), 3, "the file that no manifest names is gone");
    drop(history);
    for name in ["2026-03-000000.parquet", "2026-03-000001.parquet"] {
        fs::copy(before.path().join(name), after.path().join(name)).unwrap();
    }
    assert_eq!(shown(&open(after.path()), "a", "ph"), "0=0 1=1 48960=2");
    assert_eq!(sealed_files(after.path()).len(), 2);
}

#[test]
fn a_trickle_of_late_rows_does_not_have_a_settled_month_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    for position in 0..30 {
        history.apply(position, &journal()[position as usize]);
    }
    history.seal(at(0), true).unwrap();
    history.apply(30, &record("a", 40, "ph 1"));
    history.seal(at(0), true).unwrap();
    let april = Timestamp::parse_rfc3339("2026-04-20T00:00:00Z").unwrap();
    history.apply(31, &Admitted { taken_at: april, ..record("a", 0, "ph 2") });
    for _ in 0..3 {
        history.seal(april, true).unwrap();
    }
    assert_eq!(sealed_files(dir.path()).len(), 3, "one row of thirty is not worth it");
}
