//! `years`: what many stations of the twin measured over a long time, as files, for benches that fill a store.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use domain::Timestamp;
use firmware_sim::estuary::{self, Estuary, SimStation};
use firmware_sim::station::{Dials, Fate, Sample, measure};
use serde_json::json;

use super::words::{instant, some_time};
use super::{Fault, print};

/// Each station of the twin stands in for many, each under weather of its own. Written is the order of time, and at each
/// time the order of stations.
#[derive(Debug, Args)]
pub struct YearsArgs {
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// What is written.
    #[arg(long, value_enum)]
    form: Form,
    /// How many stations, named s0000 and up.
    #[arg(long, default_value_t = 200)]
    stations: u64,
    /// The first time.
    #[arg(long, value_name = "RFC3339", value_parser = instant)]
    from: Timestamp,
    /// Behind the last time.
    #[arg(long, value_name = "RFC3339", value_parser = instant)]
    until: Timestamp,
    /// Between two times.
    #[arg(long, default_value = "15m", value_parser = some_time)]
    every: Duration,
    /// Seed of the weather.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// How readings are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Long form: time_utc, station, parameter, value, unit, source_flag.
    Csv,
    /// Line protocol: one line for a station and time, nanoseconds.
    Lines,
}

/// Writes the file and prints how much it holds.
pub fn years(args: &YearsArgs) -> Result<ExitCode, Fault> {
    let (rows, readings) = write(args, &args.to)?;
    print(&json!({"rows": rows, "readings": readings}))?;
    Ok(ExitCode::SUCCESS)
}

fn write(args: &YearsArgs, to: &Path) -> Result<(u64, u64), Fault> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(to)?);
    if args.form == Form::Csv {
        out.write_all(b"time_utc,station,parameter,value,unit,source_flag\n")?;
    }
    let twins = estuary::stations();
    let many: Vec<(String, Estuary, Fate, &SimStation)> = (0..args.stations)
        .zip(twins.iter().cycle())
        .map(|(n, twin)| {
            let seed = args.seed.wrapping_mul(1_000_003).wrapping_add(n);
            let fate = Fate::new(seed, twin.code, Dials::default());
            (format!("s{n:04}"), Estuary::tien_giang(seed), fate, twin)
        })
        .collect();
    let (mut rows, mut readings, mut at, mut line) = (0, 0, args.from, String::new());
    while at < args.until {
        let time = at.to_string();
        for (code, estuary, fate, twin) in &many {
            let values = named(&measure(estuary, fate, twin, at));
            line.clear();
            match args.form {
                Form::Csv => csv(&mut line, &time, code, &values),
                Form::Lines => lines(&mut line, at, code, &values),
            }
            out.write_all(line.as_bytes())?;
            rows += 1;
            readings += values.iter().filter(|(_, value, _)| value.is_some()).count() as u64;
        }
        at = at + args.every;
    }
    out.flush()?;
    Ok((rows, readings))
}

type Named = [(&'static str, Option<f64>, &'static str); 6];

fn named(sample: &Sample) -> Named {
    [
        ("salinity", sample.salinity, "g/L"),
        ("water_level", sample.water_level, "m"),
        ("water_temperature", sample.water_temperature, "°C"),
        ("conductivity", sample.conductivity, "mS/cm"),
        ("ph", sample.ph, ""),
        ("battery", sample.battery, "V"),
    ]
}

fn csv(line: &mut String, time: &str, code: &str, values: &Named) {
    for (parameter, value, unit) in values {
        let Some(value) = value else { continue };
        writeln!(line, "{time},{code},{parameter},{value},{unit},")
            .expect("a String takes every text");
    }
}

fn lines(line: &mut String, at: Timestamp, code: &str, values: &Named) {
    write!(line, "readings,station={code} ").expect("a String takes every text");
    let mut comma = "";
    for (parameter, value, _) in values {
        let Some(value) = value else { continue };
        write!(line, "{comma}{parameter}={value}").expect("a String takes every text");
        comma = ",";
    }
    writeln!(line, " {}000000", at.as_millis()).expect("a String takes every text");
}
