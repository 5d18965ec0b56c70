//! Bytes that are not what was sealed: named, never believed, never a panic; the rest can be read.

use std::fs;
use std::path::{Path, PathBuf};

use history::{Config, History, HistoryError, Query};

use crate::words::*;

/// A store with a file of March and one of April; gives the path of March's.
fn two_months(dir: &Path) -> PathBuf {
    let history = open(dir);
    for position in 0..50 {
        let values = format!("ph {position}, cod -");
        history.apply(position * 2, &record("a", position as i64, &values));
        history.apply(position * 2 + 1, &record("a", 30 * 24 * 60 + position as i64, &values));
    }
    history.seal(at(0), true).unwrap();
    dir.join("2026-03-000000.parquet")
}

fn march(history: &History) -> Result<Vec<history::Point>, HistoryError> {
    history.range(&Query { to: at(1_000), ..all("a", "ph") })
}

fn refuses_march(dir: &Path, file: &Path, what: &str) {
    let history = open(dir);
    let error = march(&history).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&*file.display().to_string()) && text.contains(what), "{text}");
    let april = Query { from: at(1_000), ..all("a", "ph") };
    assert_eq!(history.range(&april).unwrap().len(), 50, "the rest is served");
    assert_eq!(latest(&history, "a"), "ph 43249=49");
}

#[test]
fn a_truncated_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = two_months(dir.path());
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() - 20]).unwrap();
    refuses_march(dir.path(), &file, "bytes");
}

#[test]
fn a_missing_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = two_months(dir.path());
    fs::remove_file(&file).unwrap();
    refuses_march(dir.path(), &file, "missing");
}

#[test]
fn a_file_of_another_length_of_zeros_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = two_months(dir.path());
    let length = fs::metadata(&file).unwrap().len() as usize;
    fs::write(&file, vec![0; length]).unwrap();
    refuses_march(dir.path(), &file, "checksum");
}

/// Every third byte of the file, flipped one by one: the answer is the right one or an error that names the file.
#[test]
fn no_flipped_byte_is_believed() {
    let dir = tempfile::tempdir().unwrap();
    let file = two_months(dir.path());
    let good = fs::read(&file).unwrap();
    let history = open(dir.path());
    let right = show(&march(&history).unwrap());
    drop(history);
    let (mut refused, mut unread) = (0, 0);
    for at in (0..good.len()).step_by(3) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        fs::write(&file, &bad).unwrap();
        let history = open(dir.path());
        match march(&history) {
            Ok(points) => {
                assert_eq!(show(&points), right, "byte {at}");
                unread += 1;
            }
            Err(HistoryError::Damaged { path, .. }) => {
                assert_eq!(path, file);
                refused += 1;
            }
            Err(other) => panic!("byte {at}: {other:?}"),
        }
    }
    // What may be flipped unseen is the magic at the start and the columns that the query does not read.
    assert!(unread < refused, "{unread} unread, {refused} refused");
}

#[test]
fn a_damaged_manifest_is_named_and_nothing_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    two_months(dir.path());
    let manifest = dir.path().join("manifest");
    let good = fs::read(&manifest).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x01;
        fs::write(&manifest, &bad).unwrap();
        let error = History::open(dir.path(), Config::default()).unwrap_err();
        assert!(error.to_string().contains("manifest"), "byte {at}: {error}");
    }
    fs::write(&manifest, &good[..good.len() / 2]).unwrap();
    History::open(dir.path(), Config::default()).unwrap_err();
    fs::remove_file(&manifest).unwrap();
    History::open(dir.path(), Config::default()).unwrap_err();
    assert_eq!(sealed_files(dir.path()).len(), 2);
}

#[test]
fn a_newer_version_is_said_to_be_newer() {
    let dir = tempfile::tempdir().unwrap();
    two_months(dir.path());
    fs::write(dir.path().join("manifest"), "saltline-history 2\nsomething new\n").unwrap();
    let error = History::open(dir.path(), Config::default()).unwrap_err();
    assert!(
        matches!(&error, HistoryError::UnknownVersion { found, .. } if found == "2"),
        "{error}"
    );
}

#[test]
fn a_folder_in_use_is_not_opened_twice() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    let error = History::open(dir.path(), Config::default()).unwrap_err();
    assert!(matches!(error, HistoryError::InUse { .. }), "{error:?}");
    let clone = history.clone();
    drop(history);
    History::open(dir.path(), Config::default()).unwrap_err();
    drop(clone);
    open(dir.path());
}

#[test]
fn a_merge_leaves_a_damaged_file_alone_and_goes_on_with_others() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    for position in 0..7 {
        history.apply(position, &record("a", position as i64, "ph 7"));
        history.seal(at(0), true).unwrap();
    }
    let damaged = dir.path().join("2026-03-000003.parquet");
    fs::write(&damaged, b"not what it was").unwrap();
    for position in 7..10 {
        history.apply(position, &record("a", position as i64, "ph 7"));
        assert_eq!(history.seal(at(0), true).unwrap(), Some(position));
    }
    assert!(damaged.exists());
    assert!(history.stats().sealed_files <= 4, "{:?}", sealed_files(dir.path()));
    assert!(history.range(&all("a", "ph")).unwrap_err().to_string().contains("000003"));
}

fn verified(dir: &Path) -> Vec<Result<Option<u64>, HistoryError>> {
    history::sealed_files(dir).unwrap().iter().map(history::Unverified::verify).collect()
}

#[test]
fn every_row_is_verified_beside_an_open_store() {
    let dir = tempfile::tempdir().unwrap();
    two_months(dir.path());
    let _open = open(dir.path());
    let rows: Vec<_> = verified(dir.path()).into_iter().map(|rows| rows.unwrap()).collect();
    assert_eq!(rows, [Some(50), Some(50)]);
}

#[test]
fn one_flipped_bit_anywhere_is_found_by_verifying() {
    let dir = tempfile::tempdir().unwrap();
    let file = two_months(dir.path());
    let sound = fs::read(&file).unwrap();
    // Four bytes of magic at the start carry nothing.
    for at in (4..sound.len()).step_by(7) {
        let mut torn = sound.clone();
        torn[at] ^= 1;
        fs::write(&file, torn).unwrap();
        let found = verified(dir.path());
        let bad: Vec<_> = found.iter().filter(|rows| rows.is_err()).collect();
        assert_eq!(bad.len(), 1, "byte {at} of {}", sound.len());
    }
}
