//! How many readings one core judges: gross range and five rules over 2,000 stations that report six values each, on a
//! tide that crosses the limits. `cargo bench -p analytics -- [--quick]` prints readings per second and core.

use std::time::{Duration, Instant};

use analytics::{Analyzer, Quality};
use domain::{Admitted, Flag, Level, Measured, ParameterCode, Rule, RuleCode, StationCode};
use domain::{Timestamp, standard_parameters};

/// Values of each report.
const VALUES: [&str; 6] =
    ["salinity", "water_level", "ph", "water_temperature", "dissolved_oxygen", "turbidity"];

const INTERVAL: Duration = Duration::from_secs(300);

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Stations.
    pub stations: usize,
    /// Reports of each station.
    pub rounds: usize,
}

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub struct Measure {
    /// Readings judged.
    pub readings: usize,
    /// Verdicts that came of them.
    pub verdicts: usize,
    /// How long one core took.
    pub took: Duration,
}

/// A quick look.
pub const QUICK: Size = Size { stations: 200, rounds: 40 };
/// The published figure: a tide of 25 hours.
pub const FULL: Size = Size { stations: 2_000, rounds: 300 };

/// Judges the readings of a tide on one core.
#[must_use]
pub fn measure(size: Size) -> Measure {
    let quality = Quality::new(&standard_parameters());
    let mut reports: Vec<_> = (0..size.stations).map(report).collect();
    let intervals = reports.iter().map(|report| (report.station.clone(), INTERVAL));
    let mut analyzer = Analyzer::new(rules(), intervals).expect("the rules here are sound");
    let (mut took, mut verdicts, mut out) = (Duration::ZERO, 0, Vec::new());
    for round in 0..size.rounds {
        reports.iter_mut().enumerate().for_each(|(i, report)| refill(report, i, round));
        let start = Instant::now();
        for report in &mut reports {
            quality.judge(report);
            analyzer.step(report, &mut out);
        }
        took += start.elapsed();
        verdicts += out.drain(..).count();
    }
    Measure { readings: size.stations * size.rounds * VALUES.len(), verdicts, took }
}

fn main() {
    let size = if std::env::args().any(|arg| arg == "--quick") { QUICK } else { FULL };
    let Measure { readings, verdicts, took } = measure(size);
    let per_second = readings as f64 / took.as_secs_f64();
    println!(
        "analyzer: {readings} readings of {} stations, {verdicts} verdicts, {:.3} s: {per_second:.0} readings per \
         second and core",
        size.stations,
        took.as_secs_f64(),
    );
}

fn report(i: usize) -> Admitted {
    let code = format!("station-{i:04}");
    let measured = |name: &&str| Measured {
        parameter: ParameterCode::new(name).expect("the names here are codes"),
        value: None,
        flag: Flag::NotEvaluated,
    };
    Admitted {
        station: StationCode::new(&code).expect("the names here are codes"),
        taken_at: Timestamp::default(),
        received_at: Timestamp::default(),
        seq: None,
        replay: false,
        values: VALUES.iter().map(measured).collect(),
    }
}

/// The next report of station `i`: a semi-diurnal tide with a phase of the station's own; one in a hundred sensors is
/// being calibrated.
fn refill(report: &mut Admitted, i: usize, round: usize) {
    report.taken_at = Timestamp::default() + INTERVAL * u32::try_from(round).unwrap_or(u32::MAX);
    report.received_at = report.taken_at + Duration::from_secs(2);
    let tide = (std::f64::consts::TAU * (round as f64 / 149.0 + i as f64 / 97.0)).sin();
    let values = [2.5 + 2.4 * tide, 1.1 * tide, 7.1, 28.0 + tide, 5.0 + 3.0 * tide, 60.0];
    for (k, (measured, value)) in report.values.iter_mut().zip(values).enumerate() {
        measured.value = Some(value);
        let calibrating = (i + 7 * round + k).is_multiple_of(100);
        measured.flag = if calibrating { Flag::Bad } else { Flag::NotEvaluated };
    }
}

fn rules() -> Vec<Rule> {
    let ladder = [(0.3, 0.25), (0.5, 0.4), (1.0, 0.8), (2.0, 1.7), (4.0, 3.5)];
    vec![
        rule("salinity-ladder", "salinity", &ladder, 0),
        rule("salinity-intake", "salinity", &[(1.0, 0.8)], 15),
        rule("high-water", "water_level", &[(0.9, 0.8)], 10),
        rule("ph-high", "ph", &[(9.0, 8.8)], 30),
        rule("oxygen", "dissolved_oxygen", &[(7.5, 7.0)], 0),
    ]
}

fn rule(code: &str, parameter: &str, levels: &[(f64, f64)], hold_min: u64) -> Rule {
    Rule {
        code: RuleCode::new(code).expect("the names here are codes"),
        name: code.to_owned(),
        parameter: ParameterCode::new(parameter).expect("the names here are codes"),
        stations: Vec::new(),
        levels: levels.iter().map(|&(limit, clear)| Level { limit, clear }).collect(),
        hold: Duration::from_mins(hold_min),
    }
}
