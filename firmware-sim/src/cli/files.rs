//! `files`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use domain::Timestamp;
use firmware_sim::files::{Dials, Form, Logger};

use super::words::{duration, instant, probability, some_time};
use super::{Fault, print, stop_signal};

/// Prints at its end how many files and records there are, and how often each dial struck.
#[derive(Debug, Args)]
pub struct FilesArgs {
    /// The folder that is filled.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// What the stations are called in the names of their files, as XH01,VG01.
    #[arg(long, value_delimiter = ',', required = true)]
    stations: Vec<String>,
    /// How they write: circular-10, toa5, csv or json-lines.
    #[arg(long, default_value = "circular-10", value_parser = form)]
    form: Form,
    /// Time of the first record, RFC 3339; as long ago as all of them take if it is not said.
    #[arg(long, value_parser = instant)]
    first: Option<Timestamp>,
    /// Minutes between two records.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=60))]
    minutes: u32,
    /// Records of a file.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    records: u32,
    /// Files of a station.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    files: u32,
    /// Between two files, and between the halves of a slow one.
    #[arg(long, default_value = "100ms", value_parser = duration)]
    pause: Duration,
    /// Pack the files with gzip.
    #[arg(long)]
    packed: bool,
    #[command(flatten)]
    dials: DialArgs,
    /// Where chance begins.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// End when stdin closes.
    #[arg(long)]
    with_parent: bool,
}

/// What goes wrong, each a probability for one file.
#[derive(Debug, Args)]
struct DialArgs {
    /// It is written under its own name, and its second half comes later.
    #[arg(long, default_value = "0", value_parser = probability)]
    slow: f64,
    /// It comes once more.
    #[arg(long, default_value = "0", value_parser = probability)]
    twice: f64,
    /// It comes behind the next one.
    #[arg(long, default_value = "0", value_parser = probability)]
    late: f64,
    /// It ends in its last line.
    #[arg(long, default_value = "0", value_parser = probability)]
    torn: f64,
    /// A line in it means nothing.
    #[arg(long, default_value = "0", value_parser = probability)]
    noise: f64,
    /// It has not a byte.
    #[arg(long, default_value = "0", value_parser = probability)]
    empty: f64,
}

fn form(text: &str) -> Result<Form, String> {
    let found = Form::ALL.into_iter().find(|(name, _)| *name == text);
    found
        .map(|(_, form)| form)
        .ok_or_else(|| format!("there are {}", Form::ALL.map(|(name, _)| name).join(", ")))
}

pub async fn files(args: FilesArgs) -> Result<ExitCode, Fault> {
    let every = some_time(&format!("{}m", args.minutes))?;
    let whole = every * args.records * args.files;
    let now = Timestamp::from_millis(jiff::Timestamp::now().as_millisecond());
    let first = args.first.unwrap_or(now - whole).floor(Duration::from_secs(60));
    let DialArgs { slow, twice, late, torn, noise, empty } = args.dials;
    let logger = Logger {
        dir: args.dir,
        stations: args.stations,
        form: args.form,
        first,
        every,
        records: args.records,
        files: args.files,
        pause: args.pause,
        packed: args.packed,
        dials: Dials { slow, twice, late, torn, noise, empty },
        seed: args.seed,
    };
    print(&logger.run(&stop_signal(args.with_parent)?).await?)?;
    Ok(ExitCode::SUCCESS)
}
