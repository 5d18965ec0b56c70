//! `estuary`, `demo-start` and `stations`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use domain::{Clock, Timestamp};
use firmware_sim::clock::{MachineClock, VirtualTime};
use firmware_sim::estuary;
use firmware_sim::fleet::{Fleet, choose};
use firmware_sim::keys;
use firmware_sim::station::{Backlog, Dials, Firmware};
use serde_json::json;

use super::words::{duration, instant, not_negative, positive, probability, some_time};
use super::{DoorArgs, Fault, print, stop_signal};

/// Virtual time is `start + (real time − epoch) × speed`. Every other station speaks MQTT 3.1.1, the rest 5. At the end
/// the counters are printed as one line of JSON.
#[derive(Debug, Args)]
pub struct EstuaryArgs {
    #[command(flatten)]
    door: DoorArgs,
    /// JSON list of {"code", "key"}; `-` reads one from stdin.
    #[arg(long, value_name = "FILE")]
    keys: String,
    /// Only these stations; without it all that have keys.
    #[arg(long, value_delimiter = ',', value_name = "CODE")]
    stations: Vec<String>,
    /// Seed of the weather and of all bad luck.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Virtual seconds in a real second.
    #[arg(long, default_value = "1", value_parser = positive)]
    speed: f64,
    /// Virtual time at the epoch; without it the epoch itself.
    #[arg(long, value_name = "RFC3339", value_parser = instant)]
    start: Option<Timestamp>,
    /// Real time at which virtual time begins; without it now.
    #[arg(long, value_name = "RFC3339", value_parser = instant)]
    epoch: Option<Timestamp>,
    /// Virtual time between measurements.
    #[arg(long, default_value = "5m", value_parser = some_time)]
    interval: Duration,
    /// Probability in every virtual hour that a station's link goes for a while.
    #[arg(long, default_value = "0", value_name = "P", value_parser = probability)]
    loss: f64,
    /// Power cuts of a station in a virtual day.
    #[arg(long, default_value = "0", value_name = "PER_DAY", value_parser = not_negative)]
    power_cuts: f64,
    /// How much too fast the stations' clocks run, in parts per million; may be negative.
    #[arg(long, default_value = "0", value_name = "PPM", allow_hyphen_values = true)]
    clock_drift: f64,
    /// Sensor faults of a station in a virtual day.
    #[arg(long, default_value = "0", value_name = "PER_DAY", value_parser = not_negative)]
    faults: f64,
    /// Virtual time that the stations have stood there without a link when they begin.
    #[arg(long, default_value = "0s", value_parser = duration)]
    away: Duration,
    /// Keep what could not be sent in time until the engine asks for it.
    #[arg(long)]
    only_when_asked: bool,
    #[command(flatten)]
    firmware: FirmwareArgs,
    /// Stop after so long, in real time.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    long: Option<Duration>,
    /// End when stdin closes.
    #[arg(long)]
    with_parent: bool,
}

/// What the stations know of firmware updates.
#[derive(Debug, Args)]
struct FirmwareArgs {
    /// A public key whose images they take (64 hex letters); without any they know nothing of updates.
    #[arg(long, value_name = "HEX")]
    firmware_key: Vec<String>,
    /// Where they keep their version and the part of an image that they have.
    #[arg(long, value_name = "DIR", default_value = "firmware-sim-data")]
    firmware_dir: PathBuf,
    /// What hardware they are.
    #[arg(long, default_value = "sl-200")]
    firmware_model: String,
    /// What runs in a new one.
    #[arg(long, default_value = "1.0.0")]
    firmware_version: String,
    /// The largest image that they have room for, bytes.
    #[arg(long, default_value_t = 4 << 20)]
    firmware_room: u64,
    /// Stations that never speak again after an install.
    #[arg(long, value_delimiter = ',', value_name = "CODE")]
    brick: Vec<String>,
}

impl FirmwareArgs {
    fn meant(self) -> Option<Firmware> {
        (!self.firmware_key.is_empty()).then_some(Firmware {
            keys: self.firmware_key,
            dir: self.firmware_dir,
            model: self.firmware_model,
            version: self.firmware_version,
            room: self.firmware_room,
            bricks: self.brick,
        })
    }
}

/// On a rising spring tide of the dry season: fresh at Xuân Hòa now, above 1 g/L within about an hour, fresh again within
/// twelve.
#[derive(Debug, Args)]
pub struct DemoStartArgs {
    /// Seed of the weather.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub async fn estuary(args: EstuaryArgs) -> Result<ExitCode, Fault> {
    let stations = choose(&keys::read(&args.keys)?, &args.stations)?;
    let clock: Arc<dyn Clock> = Arc::new(MachineClock);
    let epoch = args.epoch.unwrap_or_else(|| clock.now());
    let fleet = Fleet {
        door: args.door.door()?,
        stations,
        seed: args.seed,
        dials: Dials {
            loss: args.loss,
            power_cuts: args.power_cuts,
            clock_drift_ppm: args.clock_drift,
            faults: args.faults,
        },
        time: VirtualTime { start: args.start.unwrap_or(epoch), epoch, speed: args.speed },
        interval: args.interval,
        away: args.away,
        backlog: if args.only_when_asked { Backlog::Asked } else { Backlog::Unasked },
        firmware: args.firmware.meant(),
    };
    tracing::info!(seed = args.seed, stations = fleet.stations.len(), start = %fleet.time.start, "begin");
    let stop = stop_signal(args.with_parent)?;
    let running = fleet.run(clock, stop.clone());
    let totals = match args.long {
        None => running.await,
        Some(long) => {
            let ring = async {
                tokio::time::sleep(long).await;
                stop.cancel();
                std::future::pending().await
            };
            tokio::select! { totals = running => totals, totals = ring => totals }
        }
    };
    print(&totals)?;
    Ok(ExitCode::SUCCESS)
}

pub fn demo_start(args: &DemoStartArgs) -> Result<ExitCode, Fault> {
    match estuary::demo_start(args.seed) {
        Some(start) => {
            println!("{}", start.to_local_rfc3339());
            Ok(ExitCode::SUCCESS)
        }
        None => {
            tracing::error!(seed = args.seed, "this seed has no such hour: try another");
            Ok(ExitCode::from(1))
        }
    }
}

pub fn list() -> Result<ExitCode, Fault> {
    let all: Vec<_> = estuary::stations()
        .iter()
        .map(|s| {
            json!({
                "code": s.code, "name": s.name, "lat": s.lat, "lon": s.lon,
                "river": s.river, "km": s.km,
            })
        })
        .collect();
    print(&all)?;
    Ok(ExitCode::SUCCESS)
}
