//! `replay` and `load`.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use domain::{Clock, StationCode, Timestamp};
use firmware_sim::clock::MachineClock;
use firmware_sim::keys;
use firmware_sim::load::Load;
use firmware_sim::mqtt::{Login, Session, Version};
use firmware_sim::record::{self, Mapping, Sorted};
use firmware_sim::replay::{Pace, REPLAY_WINDOW, Replay, Replayed};
use indicatif::{ProgressBar, ProgressStyle};

use super::words::{instant, positive};
use super::{DoorArgs, Fault, print, stop_signal};

/// The columns are time_utc, station, parameter, value, unit, source_flag. One report holds all values of one time. psu
/// is published as g/L; corrected levels are preferred; what is not published is counted and named. Waits for every
/// acknowledgement, then prints one line of JSON. Exit code 1 when the engine refused any report.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The record.
    file: PathBuf,
    #[command(flatten)]
    door: DoorArgs,
    /// As which station.
    #[arg(long)]
    station: String,
    /// Its key.
    #[arg(long, env = "FIRMWARE_SIM_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Seconds of the record in a real second.
    #[arg(long, default_value = "1", value_parser = positive, conflicts_with = "flat_out")]
    speed: f64,
    /// As fast as the engine acknowledges; reports are marked as a backlog.
    #[arg(long)]
    flat_out: bool,
    /// Publish a quantity of the record as one of ours, before the built-in table.
    #[arg(long, value_delimiter = ',', value_name = "FROM=TO")]
    parameter_map: Vec<String>,
    /// Leave out what is before.
    #[arg(long, value_name = "RFC3339", value_parser = instant)]
    from: Option<Timestamp>,
    /// Leave out this instant and what is after.
    #[arg(long, value_name = "RFC3339", value_parser = instant)]
    to: Option<Timestamp>,
    /// Move the record so that its first report falls on this instant.
    #[arg(long, value_name = "RFC3339", value_parser = instant)]
    start: Option<Timestamp>,
    /// The MQTT to speak.
    #[arg(long, value_enum, default_value_t = Speaks::V311)]
    protocol: Speaks,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Speaks {
    #[value(name = "3.1.1")]
    V311,
    #[value(name = "5")]
    V5,
}

/// QoS 1 reports of six values on many connections, a fixed number under way on each. Works against any broker of MQTT
/// 3.1.1. Prints one line of JSON: connections, refused, messages, seconds, messages_per_second, p50_us, p99_us, max_us.
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// The broker.
    #[arg(long, value_name = "HOST:PORT")]
    mqtt: String,
    /// JSON list of {"code", "key"}, at least one for each connection; without it the logins are anonymous.
    #[arg(long, value_name = "FILE")]
    keys: Option<String>,
    /// How many connections.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    connections: u32,
    /// Reports under way on each.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    in_flight: u16,
    /// Reports of each.
    #[arg(long, default_value_t = 1_000)]
    reports_per_connection: u64,
    /// Reports a second over all connections; without it as fast as acknowledged.
    #[arg(long, value_parser = positive)]
    rate: Option<f64>,
}

#[derive(serde::Serialize)]
struct Summary<'a> {
    #[serde(flatten)]
    sorted: &'a Sorted,
    #[serde(rename = "reports")]
    report_count: usize,
    #[serde(flatten)]
    replayed: Replayed,
}

pub async fn replay(args: ReplayArgs) -> Result<ExitCode, Fault> {
    let station = StationCode::new(&args.station)?;
    let mapping = Mapping::with(&args.parameter_map)?;
    let sorted = record::sort(&record::read(&args.file)?, &mapping, args.from, args.to);
    for (name, rows) in &sorted.skipped {
        tracing::warn!(name, rows, "not published: not one of our parameters");
    }
    let first = sorted.reports.first().map(|r| r.at.as_millis());
    let shift_ms = args.start.zip(first).map_or(0, |(start, first)| start.as_millis() - first);
    let replay = Replay {
        door: args.door.door()?,
        login: Login {
            code: station.to_string(),
            key: args.key,
            version: match args.protocol {
                Speaks::V311 => Version::V311,
                Speaks::V5 => Version::V5,
            },
            session: Session::Fresh,
            window: REPLAY_WINDOW,
        },
        pace: if args.flat_out { Pace::FlatOut } else { Pace::Speed(args.speed) },
        shift_ms,
    };
    let bar = progress(sorted.reports.len());
    let stop = stop_signal(false)?;
    let clock = Arc::new(MachineClock);
    let replayed = replay.run(&sorted.reports, clock, &stop, |done| bar.set_position(done)).await?;
    bar.finish_and_clear();
    print(&Summary { report_count: sorted.reports.len(), sorted: &sorted, replayed })?;
    let all = replayed.acked == sorted.reports.len() as u64;
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn progress(reports: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} reports, {eta} left");
    ProgressBar::new(reports as u64).with_style(style.unwrap_or(ProgressStyle::default_bar()))
}

pub async fn load(args: LoadArgs) -> Result<ExitCode, Fault> {
    let wanted = args.connections as usize;
    let logins: Vec<(String, Option<String>)> = match &args.keys {
        None => (1..=wanted).map(|n| (format!("load-{n:05}"), None)).collect(),
        Some(path) => {
            let keys = keys::read(path)?;
            if keys.len() < wanted {
                return Err(
                    format!("{wanted} connections need as many keys, not {}", keys.len()).into()
                );
            }
            keys.into_iter().take(wanted).map(|k| (k.code, Some(k.key))).collect()
        }
    };
    let load = Load {
        address: args.mqtt,
        logins,
        in_flight: args.in_flight,
        reports: args.reports_per_connection,
        rate: args.rate,
        newest: MachineClock.now(),
    };
    let loaded = load.run().await;
    print(&loaded)?;
    Ok(if loaded.refused == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
