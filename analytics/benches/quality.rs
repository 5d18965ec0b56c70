//! How many readings one core judges by all tests: stations of six series every five minutes, each series with every
//! test of one series switched on, and for each report the tests over several series; then whole reports of 2,000 stations
//! as a follower judges them, beside the gross range alone, and what it takes to write that state down. `cargo bench -p
//! analytics --bench quality -- [--quick]` prints readings per second and core, and the bytes of a series.

use std::sync::Arc;
use std::time::{Duration, Instant};

use analytics::quality::{
    ClockWatch, Consistency, Exposure, Gaps, Learned, Learning, Levels, Limits, Live, Neighbour,
    Period, Plans, Point, Pushed, Quality, Season, SeriesEntry, SiteClass, SiteEntry, Stream,
    StuckClock, Swapped, Table, TestPlan, TypedLimits, UnitSlip, Witness, defaults,
};
use domain::{Admitted, Flag, Measured, ParameterCode, QualityTest, Range, Station as Place};
use domain::{StationCode, TestFlags, Timestamp, standard_parameters};

/// Values of each report.
const VALUES: [&str; 6] =
    ["salinity", "conductivity", "water_temperature", "water_level", "ph", "dissolved_oxygen"];
const INTERVAL_S: u32 = 300;
const INTERVAL: Duration = Duration::from_secs(300);

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Stations.
    pub stations: usize,
    /// Reports of each station.
    pub rounds: u32,
}

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub struct Measure {
    /// Readings judged.
    pub readings: usize,
    /// Readings whose flags were changed by a later one.
    pub revised: usize,
    /// Readings that were suspect or bad.
    pub faults: usize,
    /// Bytes of the largest series, its heap included.
    pub bytes_most: usize,
    /// How long one core took.
    pub took: Duration,
}

/// A quick look.
pub const QUICK: Size = Size { stations: 20, rounds: 320 };
/// The published figure: two tidal days of 500 stations.
pub const FULL: Size = Size { stations: 500, rounds: 600 };

struct Station {
    series: [Stream; VALUES.len()],
    clock: ClockWatch,
    there: [(Timestamp, Witness); 2],
}

/// Judges the readings of two tides on one core.
#[must_use]
pub fn measure(size: Size) -> Measure {
    let plans = plans();
    let mut stations: Vec<Station> = (0..size.stations).map(|_| station()).collect();
    let (mut took, mut revised, mut faults, mut bytes_most) = (Duration::ZERO, 0, 0, 0);
    for round in 0..size.rounds {
        let reports: Vec<_> = (0..size.stations).map(|i| report(i, round)).collect();
        let start = Instant::now();
        for (station, (at, values)) in stations.iter_mut().zip(&reports) {
            for flags in step(&plans, station, *at, values, &mut revised) {
                faults += usize::from(matches!(flags.worst(), Flag::Suspect | Flag::Bad));
            }
        }
        took += start.elapsed();
        let bytes = stations.iter().flat_map(|it| &it.series).map(Stream::bytes).max();
        bytes_most = bytes_most.max(bytes.unwrap_or(0));
    }
    let readings = size.stations * size.rounds as usize * VALUES.len();
    Measure { readings, revised, faults, bytes_most, took }
}

fn main() {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let size = if quick { QUICK } else { FULL };
    let Measure { readings, revised, faults, bytes_most, took } = measure(size);
    println!(
        "quality: {readings} readings of {} series, {revised} revised, {faults} suspect or bad, {:.3} s: {:.0} readings \
         per second and core; the largest series takes {bytes_most} bytes",
        size.stations * VALUES.len(),
        took.as_secs_f64(),
        readings as f64 / took.as_secs_f64(),
    );
    print_live(live(if quick { QUICK } else { PROVINCE }));
}

fn print_live(measured: LiveMeasure) {
    let LiveMeasure { readings, revised, faults, took, range_took, bytes, saved, .. } = measured;
    let per_second = |took: Duration| readings as f64 / took.as_secs_f64();
    println!(
        "live: {readings} readings of {} series, {revised} revised, {faults} suspect or bad, {:.3} s: {:.0} readings per \
         second and core (gross range alone: {:.0}); {} bytes a series in memory, {} in CBOR, {} ms to write, {} ms to read",
        measured.series,
        took.as_secs_f64(),
        per_second(took),
        per_second(range_took),
        bytes / measured.series,
        saved / measured.series,
        measured.written_in.as_millis(),
        measured.read_in.as_millis(),
    );
}

/// The published figure of whole reports: a tidal day and more of 2,000 stations.
pub const PROVINCE: Size = Size { stations: 2_000, rounds: 400 };

/// What was measured of whole reports.
#[derive(Debug, Clone, Copy)]
pub struct LiveMeasure {
    /// Readings judged.
    pub readings: usize,
    /// Series with a state.
    pub series: usize,
    /// Readings whose flags were changed by a later one.
    pub revised: usize,
    /// Readings that were suspect or bad when they came.
    pub faults: usize,
    /// How long one core took.
    pub took: Duration,
    /// How long it took for the gross range alone.
    pub range_took: Duration,
    /// The state in memory.
    pub bytes: usize,
    /// And in CBOR.
    pub saved: usize,
    /// Into CBOR.
    pub written_in: Duration,
    /// And back.
    pub read_in: Duration,
}

/// Judges the reports of a province on one core.
#[must_use]
pub fn live(size: Size) -> LiveMeasure {
    let (parameters, stations) = (standard_parameters(), places(size.stations));
    let plans =
        Plans::new(&table(&stations), &parameters, &stations).expect("the table here is sound");
    let (quality, mut live) = (Quality::new(&parameters), Live::default());
    let codes = VALUES.map(|code| ParameterCode::new(code).expect("the names here are codes"));
    let (mut took, mut range_took, mut revised, mut faults) =
        (Duration::ZERO, Duration::ZERO, 0, 0);
    for round in 0..size.rounds {
        let mut reports: Vec<_> =
            (0..size.stations).map(|i| admitted(&stations[i].code, &codes, i, round)).collect();
        let mut ranged = reports.clone();
        let start = Instant::now();
        ranged.iter_mut().for_each(|report| quality.judge(report));
        range_took += start.elapsed();
        let start = Instant::now();
        for report in &mut reports {
            let judged = live.judge(&plans, report);
            revised += judged.revised.len();
            faults += report
                .values
                .iter()
                .filter(|measured| matches!(measured.flag, Flag::Suspect | Flag::Bad))
                .count();
        }
        took += start.elapsed();
    }
    let (saved, written_in, read_in) = written(&live);
    let (series, bytes) = (live.series(), live.bytes());
    let readings = size.stations * size.rounds as usize * VALUES.len();
    LiveMeasure {
        readings,
        series,
        revised,
        faults,
        took,
        range_took,
        bytes,
        saved,
        written_in,
        read_in,
    }
}

fn written(live: &Live) -> (usize, Duration, Duration) {
    let mut bytes = Vec::new();
    let start = Instant::now();
    ciborium::into_writer(live, &mut bytes).expect("a state can be written");
    let written_in = start.elapsed();
    let start = Instant::now();
    let again: Live = ciborium::from_reader(bytes.as_slice()).expect("and read");
    let read_in = start.elapsed();
    assert_eq!(again.series(), live.series());
    (bytes.len(), written_in, read_in)
}

/// Every test that one station can have.
fn table(stations: &[Place]) -> Table {
    let parameters = standard_parameters();
    let entry = |code: &&str| {
        let parameter = parameters.iter().find(|it| it.code.as_str() == *code);
        let parameter = parameter.expect("the names here are standard parameters");
        let limits = everything(&defaults(parameter, SiteClass::Inland, INTERVAL_S));
        SeriesEntry {
            parameter: Some((*code).to_owned()),
            defaults: true,
            limits: TypedLimits {
                climatology: Some(limits.climatology),
                spike_average: limits.spike_average,
                attenuated: limits.attenuated,
                unit_slip: limits.unit_slip,
                ..TypedLimits::default()
            },
            ..SeriesEntry::default()
        }
    };
    let site = SiteEntry {
        stations: stations.iter().map(|it| it.code.to_string()).collect(),
        exposure: Some(Exposure { probe_m: -1.5, margin_m: 0.1 }),
        // The salinity here is a 1.7th of the conductivity.
        consistency: Some(Consistency { relative: 0.3, absolute: 0.5 }),
        ..SiteEntry::default()
    };
    let stuck_clock = Some(StuckClock::default());
    Table { series: VALUES.iter().map(entry).collect(), site: vec![site], stuck_clock }
}

fn places(stations: usize) -> Vec<Place> {
    let place = |i: usize| {
        let code = StationCode::new(&format!("station-{i:04}"));
        Place { interval: INTERVAL, ..Place::new(code.expect("the names here are codes")) }
    };
    (0..stations).map(place).collect()
}

fn admitted(
    station: &StationCode,
    codes: &[ParameterCode; VALUES.len()],
    i: usize,
    round: u32,
) -> Admitted {
    let (taken_at, values) = report(i, round);
    let measured = |(code, value): (&ParameterCode, f64)| Measured {
        parameter: code.clone(),
        value: Some(value),
        flag: Flag::NotEvaluated,
    };
    Admitted {
        station: station.clone(),
        taken_at,
        received_at: taken_at + Duration::from_secs(2),
        seq: Some(u64::from(round)),
        replay: false,
        values: codes.iter().zip(values).map(measured).collect(),
    }
}

/// Every test of one series, and those over several.
fn step(
    plans: &[TestPlan; VALUES.len()],
    station: &mut Station,
    at: Timestamp,
    values: &[f64; VALUES.len()],
    revised: &mut usize,
) -> [TestFlags; VALUES.len()] {
    let mut flags = [TestFlags::NONE; VALUES.len()];
    for (i, plan) in plans.iter().enumerate() {
        let point = Point::new(at, Some(values[i]));
        if let Pushed::Judged { now, revised: earlier } = station.series[i].push(plan, point) {
            flags[i] = now;
            *revised += usize::from(earlier.is_some());
        }
    }
    let heard = |i: usize| Witness { value: Some(values[i]), flag: flags[i].worst() };
    let salinity_of = |conductivity: f64, _| Some(conductivity / 1.7);
    let multivariate =
        Consistency::default().judge(Some(values[0]), heard(1), heard(2), salinity_of);
    let exposure = Exposure { probe_m: -1.5, margin_m: 0.1 }.judge(heard(3));
    let swapped = Swapped { first: span(22.0, 36.0), second: span(5.0, 9.5) }
        .judge(Some(values[2]), Some(values[4]));
    let clock = station.clock.step(StuckClock::default(), at, at + Duration::from_secs(2));
    let neighbour = NEIGHBOUR.judge(at, Some(values[0]), &station.there);
    station.there = [station.there[1], (at, heard(0))];
    flags[0] = flags[0]
        .with(QualityTest::Multivariate, multivariate)
        .with(QualityTest::Neighbour, neighbour);
    flags[2] = flags[2].with(QualityTest::SwappedColumns, swapped);
    flags.map(|flags| {
        flags.with(QualityTest::StuckClock, clock).with(QualityTest::Exposure, exposure)
    })
}

const NEIGHBOUR: Neighbour = Neighbour {
    lag: Duration::from_secs(450),
    above_max: 1.0,
    below_max: None,
    gap: Duration::from_secs(3_600),
};

const fn span(low: f64, high: f64) -> Range {
    Range { low, high }
}

fn station() -> Station {
    let nothing = (Timestamp::default(), Witness { value: None, flag: Flag::Missing });
    Station {
        series: std::array::from_fn(|_| Stream::default()),
        clock: ClockWatch::default(),
        there: [nothing; 2],
    }
}

fn plans() -> [TestPlan; VALUES.len()] {
    let parameters = standard_parameters();
    std::array::from_fn(|i| {
        let parameter = parameters.iter().find(|it| it.code.as_str() == VALUES[i]);
        let parameter = parameter.expect("the names here are standard parameters");
        let limits = everything(&defaults(parameter, SiteClass::Inland, INTERVAL_S));
        let history = (0..14_400).map(|round| (report(0, round).0, report(0, round).1[i]));
        let learned = Learned::from_history(history, Learning::default()).expect("50 days");
        TestPlan::new(&limits).expect("sound limits").with_learned(Arc::new(learned))
    })
}

/// The defaults, with what they leave out.
fn everything(limits: &Limits) -> Limits {
    let always =
        Season { period: Period::Month, from: 1, to: 12, suspect: [-100.0, 100.0], fail: None };
    let slow = limits.attenuated.unwrap_or(analytics::quality::Attenuated {
        period_h: 24.84,
        suspect: 0.01,
        fail: None,
        min_obs: 100,
        check: analytics::quality::Check::Range,
    });
    Limits {
        gaps: Gaps::Break,
        climatology: vec![always],
        spike_average: Some(Levels { suspect: 5.0, fail: None }),
        attenuated: Some(slow),
        unit_slip: Some(UnitSlip { least: 0.3, hold_h: 24.84 }),
        ..limits.clone()
    }
}

/// A semi-diurnal tide in the resolution of probes, and a spike now and then.
fn report(i: usize, round: u32) -> (Timestamp, [f64; VALUES.len()]) {
    let at = Timestamp::from_millis(1_710_000_000_000) + INTERVAL * round;
    let tide = (std::f64::consts::TAU * (f64::from(round) / 149.05)).sin();
    let spike = if (i + 7 * round as usize).is_multiple_of(997) { 3.0 } else { 0.0 };
    let salinity = 2.5 + 2.0 * tide + spike;
    let daily = (std::f64::consts::TAU * f64::from(round) / 288.0).sin();
    let values =
        [salinity, 1.7 * salinity, 28.0 + daily, 1.3 * tide, 7.1 + 0.1 * daily, 5.0 + 2.0 * daily];
    (at, values.map(|value| (value * 100.0).round() / 100.0))
}
