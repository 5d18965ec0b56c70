//! What history costs: applying, sealing, bytes on disk, reading back, memory.
//! `cargo bench -p history --bench history` runs it in full, with `-- --quick` small; the tests run it small as well.

use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

use domain::{
    Admitted, Aggregation, Every, Flag, Measured, ParameterCode, QualityTest, Revised, StationCode,
    TestFlags, Timestamp,
};
use history::{Config, History, Query};

/// How much is put in.
pub struct Scale {
    stations: usize,
    days: usize,
    every: Duration,
    /// Times that each question is asked; the median is printed.
    rounds: usize,
}

impl Scale {
    /// Seconds in a debug build.
    pub const QUICK: Self =
        Self { stations: 20, days: 2, every: Duration::from_mins(15), rounds: 5 };
    /// A season of a province: 200 stations, 6 values every 15 minutes, 60 days, 6.9 million readings.
    pub const SEASON: Self =
        Self { stations: 200, days: 60, every: Duration::from_mins(15), rounds: 20 };
    /// Load: 2,000 stations, 6 values every 10 s, for an hour, 4.3 million readings.
    pub const LOAD: Self =
        Self { stations: 2_000, days: 0, every: Duration::from_secs(10), rounds: 20 };

    fn reports(&self) -> usize {
        let span = if self.days == 0 { 3_600 } else { self.days * 86_400 };
        span / self.every.as_secs() as usize
    }
}

/// What is known of the tests of each reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tests {
    /// Nothing: as it came.
    None,
    /// A word: the same of nearly all, another of one in a hundred.
    Words,
    /// And each reading is revised by the next report.
    Revised,
}

/// 2026-03-01T00:00:00Z.
const START: i64 = 1_772_323_200_000;
const PARAMETERS: [(&str, f64, f64); 6] = [
    ("salinity", 4.0, 4.0),
    ("water_level", 0.2, 1.6),
    ("water_temperature", 28.0, 1.5),
    ("ph", 7.2, 0.3),
    ("dissolved_oxygen", 5.0, 1.0),
    ("battery", 12.4, 0.4),
];

fn main() {
    if std::env::args().any(|arg| arg == "--quick") {
        run(&Scale::QUICK);
        return;
    }
    println!("A season of a province");
    run(&Scale::SEASON);
    println!("The same with what each test said");
    run_with(&Scale::SEASON, Tests::Words);
    println!("The same, each reading revised by the next report");
    run_with(&Scale::SEASON, Tests::Revised);
    println!("An hour of 2,000 stations every 10 s");
    run(&Scale::LOAD);
}

/// Puts the scale's readings in, one in ten late by some reports, sealing when due; then asks.
pub fn run(scale: &Scale) {
    run_with(scale, Tests::None);
}

/// The same with what the tests said.
pub fn run_with(scale: &Scale, tests: Tests) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let history = History::open(dir.path(), Config::default()).expect("an empty store opens");
    put_in(scale, tests, &history);
    ask(scale, &history);
    let began = Instant::now();
    drop(history);
    let history = History::open(dir.path(), Config::default()).expect("the store opens again");
    println!("  open again          {:>10.2} ms", began.elapsed().as_secs_f64() * 1e3);
    println!("  RSS                 {:>10} MiB, at most {} MiB", rss("VmRSS"), rss("VmHWM"));
    assert_eq!(history.latest_all().len(), scale.stations * PARAMETERS.len());
}

fn put_in(scale: &Scale, tests: Tests, history: &History) {
    let codes: Vec<StationCode> = (0..scale.stations)
        .map(|n| StationCode::new(&format!("station-{n:04}")).expect("a code"))
        .collect();
    let parameters = PARAMETERS.map(|(code, ..)| ParameterCode::new(code).expect("a code"));
    let (mut applying, mut sealing, mut readings, mut position) = (0.0, 0.0, 0_u64, 0);
    for report in 0..scale.reports() {
        let batch: Vec<Admitted> = codes
            .iter()
            .enumerate()
            .map(|(n, code)| {
                admitted(scale, n, late(n, report, scale.reports()), code, &parameters)
            })
            .collect();
        let said: Vec<_> = (0..batch.len()).map(|n| said(tests, n, report, &batch[n])).collect();
        let began = cpu();
        for (record, (flags, revised)) in batch.iter().zip(&said) {
            position += 1;
            let applied = history.apply_judged(position, record, flags, revised);
            readings += u64::from(applied.stored);
        }
        applying += cpu() - began;
        let began = cpu();
        let now = batch[0].received_at;
        history.seal(now, report + 1 == scale.reports()).expect("the disk has room");
        sealing += cpu() - began;
    }
    let stats = history.stats();
    assert!(tests == Tests::Revised || stats.sealed_readings == readings);
    let rate = readings as f64 / applying;
    println!("  apply               {rate:>10.0} readings per CPU second ({readings} readings)");
    println!("  seal and merge      {:>10.0} readings per CPU second", readings as f64 / sealing);
    let both = readings as f64 / (applying + sealing);
    println!("  both                {both:>10.0} readings per CPU second");
    let bytes = stats.sealed_bytes as f64 / readings as f64;
    println!("  on disk             {bytes:>10.3} bytes a reading, {} files", stats.sealed_files);
}

/// The words of one report, and those that it revises: its tests need a neighbour to tell a spike.
fn said(
    tests: Tests,
    station: usize,
    report: usize,
    record: &Admitted,
) -> (Vec<TestFlags>, Vec<Revised>) {
    if tests == Tests::None {
        return Default::default();
    }
    let good = TestFlags::NONE
        .with(QualityTest::GrossRange, Flag::Good)
        .with(QualityTest::RateOfChange, Flag::Good)
        .with(QualityTest::FlatLine, Flag::Good);
    let last = if tests == Tests::Words { Flag::Good } else { Flag::NotEvaluated };
    let word = |n: usize, last| {
        let odd = (station * 7_919 + report * 104_729 + n * 31).is_multiple_of(100);
        good.with(QualityTest::SpikeDifferential, if odd { Flag::Suspect } else { last })
    };
    let flags = (0..record.values.len()).map(|n| word(n, last)).collect();
    let before = record.values.iter().enumerate().map(|(n, measured)| Revised {
        parameter: measured.parameter.clone(),
        taken_at: record.taken_at - Duration::from_mins(15),
        flags: word(n, Flag::Good),
    });
    let before = before.filter(|_| tests == Tests::Revised && 0 < report);
    (flags, before.collect())
}

/// Which report a station sends in turn `report`: one station in ten sends its reports in pairs swapped, so a tenth of
/// all readings is out of order.
fn late(station: usize, report: usize, reports: usize) -> usize {
    let swapped = report ^ 1;
    if station.is_multiple_of(5) && swapped < reports { swapped } else { report }
}

fn admitted(
    scale: &Scale,
    station: usize,
    report: usize,
    code: &StationCode,
    parameters: &[ParameterCode; 6],
) -> Admitted {
    let millis = scale.every.as_millis() as i64 * report as i64;
    let jitter = (station * 7_919 + report * 104_729) % 900;
    let taken_at = Timestamp::from_millis(START + millis);
    let hours = millis as f64 / 3.6e6 + station as f64;
    let values =
        PARAMETERS.iter().zip(parameters).enumerate().map(|(n, (&(_, mean, swing), code))| {
            let noise = ((station * 31 + report * 17 + n * 7) % 13) as f64 / 13.0 - 0.5;
            let tide = (hours / 12.42 * std::f64::consts::TAU + n as f64).sin();
            let value = ((mean + swing * (tide + noise * 0.1)) * 100.0).round() / 100.0;
            Measured { parameter: code.clone(), value: Some(value), flag: Flag::NotEvaluated }
        });
    Admitted {
        station: code.clone(),
        taken_at,
        received_at: taken_at + Duration::from_millis(200 + jitter as u64),
        seq: None,
        replay: false,
        values: values.collect(),
    }
}

fn ask(scale: &Scale, history: &History) {
    let query = |parameter: &str| Query {
        station: StationCode::new(&format!("station-{:04}", scale.stations / 2)).expect("a code"),
        parameter: ParameterCode::new(parameter).expect("a code"),
        from: Timestamp::from_millis(START),
        to: Timestamp::from_millis(START) + Duration::from_hours(24 * 30),
        limit: usize::MAX,
        as_of: None,
        edits: domain::Edits::default(),
    };
    let month = query("salinity");
    let points = history.range(&month).expect("files are sound").len();
    let took = median(scale, || drop(black_box(history.range(&month).expect("files are sound"))));
    println!("  30 days, one series {took:>10.3} ms ({points} points)");
    let whole = Query { to: Timestamp::from_millis(i64::MAX), ..query("ph") };
    let day = Every::Day;
    let took = median(scale, || {
        let buckets = history.buckets(&whole, day, Aggregation::Mean);
        drop(black_box(buckets.expect("sound")));
    });
    println!("  all by day          {took:>10.3} ms");
    let took = median(scale, || drop(black_box(history.latest_all())));
    println!("  latest of all       {took:>10.3} ms");
}

fn median(scale: &Scale, mut ask: impl FnMut()) -> f64 {
    let mut took: Vec<f64> = (0..scale.rounds)
        .map(|_| {
            let began = Instant::now();
            ask();
            began.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    took.sort_by(f64::total_cmp);
    took[took.len() / 2]
}

/// Seconds that this thread was on a CPU: other work on the machine does not count.
fn cpu() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|word| word.parse::<f64>().ok());
    nanos.unwrap_or(0.0) / 1e9
}

/// A line of `/proc/self/status`, in MiB.
fn rss(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name));
    let kib = line.and_then(|line| line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}
