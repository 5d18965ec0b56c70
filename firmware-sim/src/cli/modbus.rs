//! `modbus`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use firmware_sim::modbus::{Bus, Dials, SerialLink, serve_pty, serve_rtu, serve_tcp};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::words::{duration, probability};
use super::{Fault, print, stop_signal};

/// Prints {"ready":true,"tcp":…,"rtu_tcp":…,"pty":…} when it serves, and at its end how often each dial struck.
#[derive(Debug, Args)]
pub struct ModbusArgs {
    /// Where Modbus TCP listens; port 0 takes a free one.
    #[arg(long, value_name = "HOST:PORT")]
    tcp: Option<String>,
    /// Where RTU through a gateway listens; port 0 takes a free one.
    #[arg(long, value_name = "HOST:PORT")]
    rtu_tcp: Option<String>,
    /// A link to make to a pseudo-terminal with an RTU line behind it.
    #[arg(long, value_name = "PATH")]
    pty: Option<PathBuf>,
    /// The slaves that are there: numbers and ranges, as 1,3,7-9.
    #[arg(long, default_value = "1", value_parser = units)]
    units: Units,
    /// Those of them that are dead.
    #[arg(long, default_value = "", value_parser = units)]
    dead: Units,
    /// Let characters take their time, as on a line with so many bits a second.
    #[arg(long)]
    baud: Option<u32>,
    /// Probability that an answer comes late.
    #[arg(long, default_value = "0", value_parser = probability)]
    late: f64,
    /// How late at least, and at most, as 1s,3s.
    #[arg(long, default_value = "1s,3s", value_parser = span)]
    late_by: (Duration, Duration),
    /// Probability that an answer comes only before the slave's next one.
    #[arg(long, default_value = "0", value_parser = probability)]
    held: f64,
    /// Probability that an answer comes twice.
    #[arg(long, default_value = "0", value_parser = probability)]
    duplicate: f64,
    /// Probability that an answer comes again before the slave's next one.
    #[arg(long, default_value = "0", value_parser = probability)]
    duplicate_held: f64,
    /// Probability that only the beginning of an answer comes.
    #[arg(long, default_value = "0", value_parser = probability)]
    truncated: f64,
    /// Probability that bits of an answer are turned over.
    #[arg(long, default_value = "0", value_parser = probability)]
    corrupted: f64,
    /// Probability of meaningless bytes before an answer.
    #[arg(long, default_value = "0", value_parser = probability)]
    noise: f64,
    /// Probability that a slave refuses.
    #[arg(long, default_value = "0", value_parser = probability)]
    exception: f64,
    /// Probability that no answer comes.
    #[arg(long, default_value = "0", value_parser = probability)]
    silence: f64,
    /// How long every answer takes.
    #[arg(long, default_value = "0s", value_parser = duration)]
    delay: Duration,
    /// Unplug the serial line after so long, and plug it in again after as long.
    #[arg(long, value_parser = super::words::some_time, requires = "pty")]
    unplug: Option<Duration>,
    /// Where chance begins.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// End when stdin closes.
    #[arg(long)]
    with_parent: bool,
}

/// Addresses of slaves.
type Units = std::collections::BTreeSet<u8>;

fn units(text: &str) -> Result<Units, String> {
    let wanted = || "write numbers and ranges from 0 to 255, as 1,3,7-9".to_owned();
    let mut units = Units::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let from: u8 = from.trim().parse().map_err(|_| wanted())?;
        let to: u8 = to.trim().parse().map_err(|_| wanted())?;
        units.extend(from..=to);
    }
    Ok(units)
}

fn span(text: &str) -> Result<(Duration, Duration), String> {
    let (from, to) = text.split_once(',').ok_or("write two durations, as 1s,3s")?;
    Ok((duration(from)?, duration(to)?))
}

pub async fn modbus(args: ModbusArgs) -> Result<ExitCode, Fault> {
    let mut bus = Bus::new(args.units);
    bus.dead = args.dead.into_iter().collect();
    bus.baud = args.baud;
    bus.seed = args.seed;
    bus.dials = Dials {
        late: args.late,
        held: args.held,
        duplicate: args.duplicate,
        duplicate_held: args.duplicate_held,
        truncated: args.truncated,
        corrupted: args.corrupted,
        noise: args.noise,
        exception: args.exception,
        silence: args.silence,
        delay: args.delay,
        late_by: args.late_by,
    };
    let bus = Arc::new(bus);
    let stop = stop_signal(args.with_parent)?;
    let mut serving = JoinSet::new();
    let mut ready = json!({ "ready": true });
    if let Some(at) = &args.tcp {
        let listener = TcpListener::bind(at).await?;
        ready["tcp"] = json!(listener.local_addr()?.to_string());
        serving.spawn(serve_tcp(listener, bus.clone(), stop.clone()));
    }
    if let Some(at) = &args.rtu_tcp {
        let listener = TcpListener::bind(at).await?;
        ready["rtu_tcp"] = json!(listener.local_addr()?.to_string());
        serving.spawn(serve_rtu(listener, bus.clone(), stop.clone()));
    }
    if let Some(link) = args.pty {
        ready["pty"] = json!(link);
        let first = SerialLink::new(&link)?;
        serving.spawn(plugged(first, link, args.unplug, bus.clone(), stop.clone()));
    }
    print(&ready)?;
    while serving.join_next().await.is_some() {}
    print(&bus.injected())?;
    Ok(ExitCode::SUCCESS)
}

/// Serves a serial line, and unplugs it where that is wanted.
async fn plugged(
    first: SerialLink,
    link: PathBuf,
    unplug: Option<Duration>,
    bus: Arc<Bus>,
    stop: CancellationToken,
) {
    let mut plugged = Some(first);
    while !stop.is_cancelled() {
        let Some(line) = plugged.take().or_else(|| SerialLink::new(&link).ok()) else { return };
        let up = stop.child_token();
        let serve = serve_pty(line, bus.clone(), up.clone());
        let Some(each) = unplug else {
            if let Err(error) = serve.await {
                tracing::error!(%error, "the serial line broke");
            }
            return;
        };
        tokio::select! {
            _ = serve => {}
            () = tokio::time::sleep(each) => {}
        }
        tracing::info!("unplugged");
        tokio::select! {
            () = tokio::time::sleep(each) => tracing::info!("plugged in again"),
            () = stop.cancelled() => {}
        }
    }
}
