//! `sdi12`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use firmware_sim::sdi12::{Bus, Dials, serve};

use super::pty::PtyArgs;
use super::words::{probability, some_time};
use super::{Fault, print};

/// Prints {"ready":true,"pty":…} when it serves, and at its end how often each dial struck.
#[derive(Debug, Args)]
pub struct Sdi12Args {
    #[command(flatten)]
    pty: PtyArgs,
    /// The sensors that are there, by their addresses, as 01a.
    #[arg(long, default_value = "0")]
    addresses: String,
    /// Those of them that are dead.
    #[arg(long, default_value = "")]
    dead: String,
    /// The adapter repeats commands.
    #[arg(long)]
    echo: bool,
    /// How long a measurement takes.
    #[arg(long, default_value = "500ms", value_parser = some_time)]
    measures_for: Duration,
    #[command(flatten)]
    dials: DialArgs,
}

/// What goes wrong, each a probability for one answer.
#[derive(Debug, Args)]
struct DialArgs {
    /// None comes.
    #[arg(long, default_value = "0", value_parser = probability)]
    silence: f64,
    /// Only its beginning comes.
    #[arg(long, default_value = "0", value_parser = probability)]
    half: f64,
    /// A bit of it is turned over.
    #[arg(long, default_value = "0", value_parser = probability)]
    corrupted: f64,
    /// Its CRC is wrong.
    #[arg(long, default_value = "0", value_parser = probability)]
    wrong_crc: f64,
    /// It is of another address.
    #[arg(long, default_value = "0", value_parser = probability)]
    wrong_address: f64,
    /// It comes twice.
    #[arg(long, default_value = "0", value_parser = probability)]
    duplicate: f64,
    /// Meaningless bytes come before it.
    #[arg(long, default_value = "0", value_parser = probability)]
    noise: f64,
    /// The values are those of the measurement before.
    #[arg(long, default_value = "0", value_parser = probability)]
    stale: f64,
    /// There are no values.
    #[arg(long, default_value = "0", value_parser = probability)]
    empty: f64,
    /// A value is missing.
    #[arg(long, default_value = "0", value_parser = probability)]
    short: f64,
    /// The sensor does not say that it is ready.
    #[arg(long, default_value = "0", value_parser = probability)]
    unserved: f64,
}

pub async fn sdi12(args: Sdi12Args) -> Result<ExitCode, Fault> {
    let mut bus = Bus::new(&args.addresses);
    bus.dead = args.dead.chars().collect();
    (bus.echo, bus.seed, bus.measures_for) = (args.echo, args.pty.seed, args.measures_for);
    let dials = args.dials;
    bus.dials = Dials {
        silence: dials.silence,
        half: dials.half,
        corrupted: dials.corrupted,
        wrong_crc: dials.wrong_crc,
        wrong_address: dials.wrong_address,
        duplicate: dials.duplicate,
        noise: dials.noise,
        stale: dials.stale,
        empty: dials.empty,
        short: dials.short,
        unserved: dials.unserved,
    };
    let there = &bus;
    args.pty.played(|port, up| serve(there, port, up)).await?;
    print(&bus.injected())?;
    Ok(ExitCode::SUCCESS)
}
