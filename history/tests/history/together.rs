//! Readers beside a seal: what was applied once is never away, not for one read.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use history::{Config, History, Query};

use crate::words::*;

#[test]
fn a_query_while_sealing_and_merging_misses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { tail_readings_max: 100, ..Config::default() };
    let history = History::open(dir.path(), config).unwrap();
    let (applied, done) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            for position in 0..4_000 {
                history.apply(position, &record("a", position as i64, "ph 7, cod 1"));
                applied.store(position + 1, Ordering::Release);
            }
            done.store(true, Ordering::Release);
        });
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                history.seal(at(0), false).unwrap();
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    let before = applied.load(Ordering::Acquire);
                    let points = history.range(&all("a", "ph")).unwrap();
                    assert!(before <= points.len() as u64, "{before} applied, {}", points.len());
                    let times = points.iter().map(|point| point.taken_at.as_millis());
                    let right = (0..points.len() as i64).map(|n| DAY + n * 60_000);
                    assert!(times.eq(right));
                    let recent = Query { from: at(before as i64 - 20), ..all("a", "cod") };
                    assert!(20.min(before) <= history.range(&recent).unwrap().len() as u64);
                }
            });
        }
    });
    assert!(0 < history.stats().sealed_files);
    assert_eq!(history.range(&all("a", "ph")).unwrap().len(), 4_000);
}

#[test]
fn a_store_that_rests_seals_and_merges_nothing_until_it_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    history.rest(true);
    let say = |n: u64| {
        history.apply(n, &record("a", n as i64, &format!("ph {n}")));
        assert_eq!(history.seal(at(n as i64), true).unwrap(), Some(n));
    };
    (0..12).for_each(say);
    assert_eq!(sealed_files(dir.path()).len(), 12);
    history.rest(false);
    say(12);
    assert!(sealed_files(dir.path()).len() < 8, "{:?}", sealed_files(dir.path()));
    assert_eq!(history.range(&all("a", "ph")).unwrap().len(), 13);
}
