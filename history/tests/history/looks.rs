//! All of it at a moment, beside who has it open; and whether it is what the journal says.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use domain::{Admitted, Edit, Edits, Flag, Layer, Shown};
use history::{History, Look, Query, Wanted, WideRow};

use crate::words::*;

/// By station, time and parameter: the value's bits and the flag.
pub type Cells = BTreeMap<(String, i64, String), (Option<u64>, Flag)>;

fn look(dir: &Path, journal: &[&Admitted]) -> Look {
    let mut look = Look::open(&dir.join("."), &dir.join(".look")).unwrap();
    let from = look.position().map_or(0, |position| position + 1);
    for (position, record) in (0..).zip(journal).filter(|(at, _)| from <= *at) {
        look.add(position, record);
    }
    look
}

fn read(look: &Look, wanted: &Wanted) -> Cells {
    let (mut cells, mut last) = (Cells::new(), None);
    let take = |row: WideRow| {
        let station = row.station.to_string();
        let month = row.taken_at.to_string()[..7].to_owned();
        let key = (month, station.clone(), row.taken_at);
        assert!(last.as_ref().is_none_or(|last| *last < key), "{last:?} before {key:?}");
        last = Some(key);
        for (code, value, flag) in row.cells {
            let key = (station.clone(), row.taken_at.as_millis(), code.to_string());
            assert_eq!(cells.insert(key, (value.map(f64::to_bits), flag)), None);
        }
        ControlFlow::<()>::Continue(())
    };
    assert_eq!(look.each(wanted, take, |_| {}).unwrap(), ControlFlow::Continue(()));
    cells
}

/// A look sees the same as a plain map does, whole or in part, and the comparison with the journal finds nothing, or what
/// was changed in it.
pub fn check(dir: &Path, journal: &[&Admitted], right: &Cells) {
    let look = look(dir, journal);
    assert_eq!(read(&look, &Wanted::all()), *right);
    let (from, to) = (at(2), at(8));
    let stations = [station("b-1"), station("nobody")].into();
    let parameters = [parameter("ph"), parameter("cod")].into();
    let part = |(code, at, what): &(String, i64, String)| {
        code == "b-1"
            && (what == "ph" || what == "cod")
            && from.as_millis() <= *at
            && *at < to.as_millis()
    };
    let inside: Cells =
        right.iter().filter(|(key, _)| part(key)).map(|(key, cell)| (key.clone(), *cell)).collect();
    assert_eq!(read(&look, &Wanted { stations, parameters, from, to, ..Wanted::all() }), inside);
    let sealed = look.position().map_or(0, |position| position as usize + 1);
    let mut comparing = look.compare();
    for (position, record) in (0..).zip(&journal[..sealed]) {
        comparing.record(position, record).unwrap();
    }
    let found = comparing.finish().unwrap();
    assert_eq!((found.differing, found.other_flags), (0, 0), "{:?}", found.differ);
    if let Some(record) = journal[..sealed].last() {
        let mut changed = (*record).clone();
        let value = changed.values.last_mut().unwrap();
        value.value = Some(99.5);
        let what = value.parameter.clone();
        let mut comparing = look.compare();
        comparing.record(sealed as u64 - 1, &changed).unwrap();
        let found = comparing.finish().unwrap();
        assert!(found.differ.iter().any(|one| one.parameter == what && one.journal == Some(99.5)));
    }
    let (files, series) = look.count(|_| {}).unwrap();
    let distinct: std::collections::BTreeSet<_> =
        right.keys().map(|(code, _, what)| (code.clone(), what.clone())).collect();
    assert_eq!(series.len(), distinct.len());
    assert_eq!(series.iter().map(|one| one.readings).sum::<u64>(), right.len() as u64);
    let bytes: f64 = series.iter().map(|one| one.bytes).sum();
    assert!(bytes <= files.iter().map(|file| file.bytes).sum::<u64>() as f64);
}

/// What a look shows of an edited series is what the open store shows. Everything is sealed.
pub fn agree_as_edited(dir: &Path, history: &History, edits: &[Edit]) {
    let look = look(dir, &[]);
    for (_, shown) in Shown::ALL {
        let edits = Edits::new(edits.to_vec(), shown);
        for as_of in [None, Some(at(40))] {
            let query = Query { as_of, edits: edits.clone(), ..all("a", "ph") };
            let right = history.range(&query).unwrap();
            let changed = right.iter().filter(|point| point.layer != Layer::Raw).count();
            let wanted = Wanted {
                stations: [station("a")].into(),
                parameters: [parameter("ph")].into(),
                as_of,
                edits: [(station("a"), vec![(parameter("ph"), edits.clone())])].into(),
                unedited: shown,
                ..Wanted::all()
            };
            let (mut rows, mut touched) = (Vec::new(), 0);
            let take = |row: WideRow| {
                touched += row.changed;
                rows.extend(
                    row.cells
                        .iter()
                        .map(|(_, value, flag)| (row.taken_at, value.map(f64::to_bits), *flag)),
                );
                ControlFlow::<()>::Continue(())
            };
            assert_eq!(look.each(&wanted, take, |_| {}).unwrap(), ControlFlow::Continue(()));
            let right: Vec<_> =
                right.iter().map(|p| (p.taken_at, p.value.map(f64::to_bits), p.flag)).collect();
            assert_eq!((rows, touched), (right, changed), "{edits:?} {as_of:?}");
        }
    }
}

#[test]
fn a_look_goes_on_while_its_files_are_merged_away() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    let mut look = None;
    for n in 0..40 {
        history.apply(n, &record("a", n as i64, &format!("ph {n}")));
        history.seal(at(n as i64), true).unwrap();
        if n == 6 {
            look = Some(Look::open(dir.path(), &dir.path().join(".look")).unwrap());
        }
    }
    let look = look.unwrap();
    assert_eq!(look.position(), Some(6));
    assert_eq!(read(&look, &Wanted::all()).len(), 7);
    let busy = Look::open(dir.path(), &dir.path().join(".look")).unwrap_err();
    assert!(matches!(busy, history::HistoryError::InUse { .. }), "{busy}");
    drop(look);
    assert!(!dir.path().join(".look").exists(), "nothing is held any more");
    let look = Look::open(dir.path(), &dir.path().join(".look")).unwrap();
    assert_eq!(read(&look, &Wanted::all()).len(), 40);
    let stops = look.each(&Wanted::all(), |row| ControlFlow::Break(row.taken_at), |_| {}).unwrap();
    assert_eq!(stops, ControlFlow::Break(at(0)));
}

#[test]
fn a_damaged_file_is_an_error_and_not_a_shorter_answer() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    history.apply(0, &record("a", 0, "ph 7"));
    history.seal(at(0), true).unwrap();
    drop(history);
    let name = std::fs::read_dir(dir.path()).unwrap().flatten().map(|entry| entry.path());
    let path =
        name.into_iter().find(|path| path.extension().is_some_and(|it| it == "parquet")).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let look = Look::open(dir.path(), &dir.path().join(".look")).unwrap();
    let error = look.each(&Wanted::all(), |_| ControlFlow::<()>::Continue(()), |_| {}).unwrap_err();
    assert!(matches!(error, history::HistoryError::Damaged { .. }), "{error}");
    assert!(look.compare().record(0, &record("a", 0, "ph 7")).is_ok(), "nothing was looked at yet");
}
