//! Duplicates, corrections, backlogs: normal, not exceptional.

use std::time::Instant;

use history::Applied;

use crate::words::*;

fn applied(stored: u32, duplicate: u32, corrected: u32) -> Applied {
    Applied { stored, duplicate, corrected, ..Applied::default() }
}

#[test]
fn a_packet_sent_twice_is_a_duplicate_wherever_its_first_copy_lies() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    let packet = record("a", 0, "ph 7, cod -");
    assert_eq!(history.apply(1, &packet), applied(2, 0, 0));
    assert_eq!(history.apply(2, &packet), applied(0, 2, 0), "in the tail");
    history.seal(at(1), true).unwrap();
    assert_eq!(history.apply(3, &packet), applied(0, 2, 0), "in a file");
    assert_eq!(history.seal(at(1), true).unwrap(), Some(3), "the position moves on");
    drop(history);
    let history = open(dir.path());
    assert_eq!(history.position(), Some(3));
    assert_eq!(history.apply(4, &packet), applied(0, 2, 0), "after a restart");
    assert_eq!(history.stats().sealed_rows, 1);
}

#[test]
fn the_last_write_wins_across_tail_files_and_restart() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    history.apply(1, &record("a", 0, "ph 7, cod 3"));
    history.seal(at(1), true).unwrap();
    assert_eq!(history.apply(2, &record("a", 0, "ph 6, cod 3")), applied(0, 1, 1));
    assert_eq!(shown(&history, "a", "ph"), "0=6");
    history.seal(at(1), true).unwrap();
    assert_eq!(history.apply(3, &record("a", 0, "ph 7")), applied(0, 0, 1), "back again");
    assert_eq!(shown(&history, "a", "ph"), "0=7");
    history.seal(at(1), true).unwrap();
    drop(history);
    let history = open(dir.path());
    assert_eq!(shown(&history, "a", "ph"), "0=7");
    assert_eq!(shown(&history, "a", "cod"), "0=3");
    assert_eq!(history.apply(4, &record("a", 0, "ph 7!")), applied(0, 0, 1), "a flag counts too");
    assert_eq!(latest(&history, "a"), "cod 0=3, ph 0=7");
}

#[test]
fn a_report_in_two_parts_is_one_time() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    history.apply(1, &record("a", 0, "ph 7"));
    assert_eq!(history.apply(2, &record("a", 0, "cod 3")), applied(1, 0, 0));
    history.seal(at(1), true).unwrap();
    assert_eq!(history.apply(3, &record("a", 0, "tss 3, ph 7")), applied(1, 1, 0));
    let read = ["ph", "cod", "tss"].map(|p| shown(&history, "a", p));
    assert_eq!(read, ["0=7", "0=3", "0=3"]);
}

#[test]
fn a_parameter_twice_in_one_record_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    assert_eq!(history.apply(1, &record("a", 0, "ph 7, ph 7, ph 8")), applied(1, 1, 1));
    assert_eq!(shown(&history, "a", "ph"), "0=8");
}

#[test]
fn a_record_from_before_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    history.apply(1, &record("a", 0, "ph 7"));
    history.apply(2, &record("a", 0, "ph 8"));
    assert_eq!(history.apply(1, &record("a", 0, "ph 7")), applied(0, 1, 0));
    history.seal(at(1), true).unwrap();
    assert_eq!(history.apply(1, &record("a", 0, "ph 7")), applied(0, 1, 0));
    assert_eq!(shown(&history, "a", "ph"), "0=8");
}

#[test]
fn a_backlog_between_live_readings_is_read_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    for (position, minute) in (0..).zip([0, 60, 10, 20, 5, 70, 15]) {
        history.apply(position, &record("a", minute, &format!("ph {minute}")));
        if position == 3 {
            history.seal(at(60), true).unwrap();
        }
    }
    assert_eq!(shown(&history, "a", "ph"), "0=0 5=5 10=10 15=15 20=20 60=60 70=70");
    assert_eq!(latest(&history, "a"), "ph 70=70");
}

/// Two weeks of 40 stations, sealed every day, sent again in turns, upwards and downwards. Each row group would be
/// decoded 53,760 times without windows; this must stay a matter of seconds also in a debug build.
#[test]
fn two_weeks_sent_again_are_all_duplicates_and_not_quadratic() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    let (stations, reports) = (40, 14 * 96);
    let packet = |station: i64, report: i64| {
        record(&format!("s{station}"), report * 15, &format!("salinity {}, ph 7", report % 50))
    };
    let mut position = 0;
    let mut send = |station, report| {
        position += 1;
        history.apply(position, &packet(station, report))
    };
    for report in 0..reports {
        for station in 0..stations {
            send(station, report);
        }
        if report % 96 == 95 {
            history.seal(at(0), true).unwrap();
        }
    }
    let sealed = history.stats();
    let began = Instant::now();
    for report in 0..reports {
        for station in 0..stations {
            let report = if station % 2 == 0 { report } else { reports - 1 - report };
            assert_eq!(send(station, report), applied(0, 2, 0));
        }
    }
    eprintln!("{} look-ups in {:?}", stations * reports, began.elapsed());
    assert_eq!(history.stats().sealed_rows, sealed.sealed_rows);
    assert_eq!(history.stats().tail_rows, 0);
}
