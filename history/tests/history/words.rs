//! Records and questions in short form.

use std::fs;
use std::path::Path;
use std::time::Duration;

use domain::{Admitted, Flag, Measured, ParameterCode, StationCode, Timestamp};
use history::{Config, History, Point, Query};

/// 2026-03-12T00:00:00Z, the day of the tests.
pub const DAY: i64 = 1_773_273_600_000;

pub fn open(dir: &Path) -> History {
    History::open(dir, Config::default()).unwrap()
}

pub fn at(minutes: i64) -> Timestamp {
    Timestamp::from_millis(DAY + minutes * 60_000)
}

pub fn station(code: &str) -> StationCode {
    StationCode::new(code).unwrap()
}

pub fn parameter(code: &str) -> ParameterCode {
    ParameterCode::new(code).unwrap()
}

/// A record such as `record("xuan-hoa", 15, "salinity 8.85, ph -")`; `-` is a missing sensor, `!` behind a value makes
/// it bad.
pub fn record(code: &str, minutes: i64, values: &str) -> Admitted {
    Admitted {
        station: station(code),
        taken_at: at(minutes),
        received_at: at(minutes) + Duration::from_secs(1),
        seq: None,
        replay: false,
        values: values.split(", ").map(measured).collect(),
    }
}

fn measured(text: &str) -> Measured {
    let (code, value) = text.split_once(' ').unwrap();
    let parameter = parameter(code);
    match (value, value.strip_suffix('!')) {
        ("-", _) => Measured { parameter, value: None, flag: Flag::Missing },
        (_, Some(bad)) => Measured { parameter, value: bad.parse().ok(), flag: Flag::Bad },
        _ => Measured { parameter, value: Some(value.parse().unwrap()), flag: Flag::NotEvaluated },
    }
}

pub fn all(code: &str, what: &str) -> Query {
    Query {
        station: station(code),
        parameter: parameter(what),
        from: Timestamp::from_millis(i64::MIN),
        to: Timestamp::from_millis(i64::MAX),
        limit: usize::MAX,
        as_of: None,
        edits: domain::Edits::default(),
    }
}

/// A series as text: `0=8.85 15=- 30=9.1!`, minutes and values.
pub fn shown(history: &History, code: &str, what: &str) -> String {
    show(&history.range(&all(code, what)).unwrap())
}

pub fn show(points: &[Point]) -> String {
    let one = |point: &Point| {
        let minutes = (point.taken_at.as_millis() - DAY) / 60_000;
        let value = point.value.map_or("-".to_owned(), |value| value.to_string());
        let bad = if point.flag == Flag::Bad { "!" } else { "" };
        format!("{minutes}={value}{bad}")
    };
    points.iter().map(one).collect::<Vec<_>>().join(" ")
}

pub fn latest(history: &History, code: &str) -> String {
    let all = history.latest(&station(code));
    let minutes = |taken: Timestamp| (taken.as_millis() - DAY) / 60_000;
    let one = |l: &history::Latest| format!("{} {}={}", l.parameter, minutes(l.taken_at), l.value);
    all.iter().map(one).collect::<Vec<_>>().join(", ")
}

pub fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub fn sealed_files(dir: &Path) -> Vec<String> {
    names(dir).into_iter().filter(|name| name.ends_with(".parquet")).collect()
}

/// The folder as a crash would leave it: copied while the store that wrote it still lives.
pub fn copy(from: &Path, to: &Path) {
    for name in names(from).iter().filter(|name| *name != "lock") {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}
