//! `serial`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use domain::Timestamp;
use firmware_sim::serial::{Dials, Line, serve};

use super::pty::PtyArgs;
use super::words::{duration, instant, probability, some_time};
use super::{Fault, print};

/// Prints {"ready":true,"pty":…} when it serves, and at its end how often each dial struck.
#[derive(Debug, Args)]
pub struct SerialArgs {
    #[command(flatten)]
    pty: PtyArgs,
    /// Loggers that are asked, by their addresses, as 1,2; without any a weather station streams NMEA 0183.
    #[arg(long, default_value = "", value_delimiter = ',')]
    addresses: Vec<String>,
    /// Those of them that are dead.
    #[arg(long, default_value = "", value_delimiter = ',')]
    dead: Vec<String>,
    /// Time between two lines of each sentence that streams.
    #[arg(long, default_value = "1s", value_parser = some_time)]
    every: Duration,
    /// Time of the first record, RFC 3339; an hour ago if it is not said.
    #[arg(long, value_parser = instant)]
    first: Option<Timestamp>,
    #[command(flatten)]
    dials: DialArgs,
}

/// What goes wrong, each a probability for one line.
#[derive(Debug, Args)]
struct DialArgs {
    /// It comes late.
    #[arg(long, default_value = "0", value_parser = probability)]
    late: f64,
    /// It comes twice.
    #[arg(long, default_value = "0", value_parser = probability)]
    duplicate: f64,
    /// The one before comes again.
    #[arg(long, default_value = "0", value_parser = probability)]
    stale: f64,
    /// Only its beginning comes.
    #[arg(long, default_value = "0", value_parser = probability)]
    half: f64,
    /// Only its end comes.
    #[arg(long, default_value = "0", value_parser = probability)]
    headless: f64,
    /// A bit of it is turned over.
    #[arg(long, default_value = "0", value_parser = probability)]
    corrupted: f64,
    /// Its check is wrong.
    #[arg(long, default_value = "0", value_parser = probability)]
    wrong_check: f64,
    /// A word is missing, and the check is right.
    #[arg(long, default_value = "0", value_parser = probability)]
    short_count: f64,
    /// Meaningless bytes come before it.
    #[arg(long, default_value = "0", value_parser = probability)]
    noise: f64,
    /// Thousands of bytes without an end come before it.
    #[arg(long, default_value = "0", value_parser = probability)]
    endless: f64,
    /// Nothing comes.
    #[arg(long, default_value = "0", value_parser = probability)]
    silence: f64,
    /// How long every line takes.
    #[arg(long, default_value = "0s", value_parser = duration)]
    delay: Duration,
    /// How late at most what is late is.
    #[arg(long, default_value = "2s", value_parser = duration)]
    late_by: Duration,
}

pub async fn serial(args: SerialArgs) -> Result<ExitCode, Fault> {
    let given =
        |list: Vec<String>| list.into_iter().filter(|one| !one.is_empty()).collect::<Vec<_>>();
    let an_hour_ago = Timestamp::from_millis(jiff::Timestamp::now().as_millisecond() - 3_600_000);
    let first = args.first.unwrap_or(an_hour_ago);
    let mut line = Line::streaming(args.every);
    line.addresses = given(args.addresses);
    line.dead = given(args.dead);
    line.first = first.floor(Duration::from_secs(1));
    line.seed = args.pty.seed;
    let dials = args.dials;
    line.dials = Dials {
        late: dials.late,
        duplicate: dials.duplicate,
        stale: dials.stale,
        half: dials.half,
        headless: dials.headless,
        corrupted: dials.corrupted,
        wrong_check: dials.wrong_check,
        short_count: dials.short_count,
        noise: dials.noise,
        endless: dials.endless,
        silence: dials.silence,
        delay: dials.delay,
        late_by: (Duration::ZERO, dials.late_by),
    };
    let there = &line;
    args.pty.played(|port, up| serve(there, port, up)).await?;
    print(&line.injected())?;
    Ok(ExitCode::SUCCESS)
}
