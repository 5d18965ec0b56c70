//! What was typed, and what is done about it.

mod stations; // estuary, demo-start, stations
mod feed; // replay, load
mod phone; // carrier
mod modbus; // modbus
mod serial; // serial
mod sdi12; // sdi12
mod files; // files
mod pty; // a line on a pseudo-terminal
mod years; // years of many stations, as files
mod words; // durations and instants as people type them

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use firmware_sim::mqtt::{Door, Tls};
use tokio_util::sync::CancellationToken;

/// Anything that ends a command early.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Stations with weather: simulates, replays and loads over real MQTT, and plays the carrier for e-mail and SMS.
#[derive(Debug, Parser)]
#[command(name = "firmware-sim", version, max_term_width = 100)]
pub struct Arguments {
    /// Say more; twice: everything.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Let the estuary twin's stations measure and report over MQTT.
    Estuary(stations::EstuaryArgs),
    /// Print an instant that a demonstration should start at, as RFC 3339.
    DemoStart(stations::DemoStartArgs),
    /// List the twin's stations as JSON: code, name, coordinates, river, kilometre.
    Stations,
    /// Publish a real record (Parquet, CSV, CSV.gz in long form) as if it were a station.
    Replay(feed::ReplayArgs),
    /// Put load on a broker and print what it took as JSON.
    Load(feed::LoadArgs),
    /// Be the other side of the phone: a mail server and a short-message centre that print what they are given.
    Carrier(phone::CarrierArgs),
    /// Be Modbus slaves: TCP, RTU through a gateway, RTU on a pseudo-terminal, with dials for what goes wrong.
    Modbus(modbus::ModbusArgs),
    /// Be loggers that write lines of text on a pseudo-terminal, with dials for what goes wrong.
    Serial(serial::SerialArgs),
    /// Be sensors on an SDI-12 bus behind an adapter, a pseudo-terminal, with dials for what goes wrong.
    Sdi12(sdi12::Sdi12Args),
    /// Be loggers that leave files in a folder, with dials for what goes wrong.
    Files(files::FilesArgs),
    /// Write what many stations of the twin measured over a long time into a file: for benches.
    Years(years::YearsArgs),
}

/// Where the engine is.
#[derive(Debug, Args)]
pub struct DoorArgs {
    /// The engine's MQTT door.
    #[arg(long, value_name = "HOST:PORT")]
    pub mqtt: String,
    /// Speak TLS; needs --ca.
    #[arg(long, requires = "ca")]
    pub tls: bool,
    /// PEM file with the authority that issued the engine's certificate.
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub ca: Option<PathBuf>,
}

impl DoorArgs {
    fn door(&self) -> Result<Door, Fault> {
        let tls = self.ca.as_deref().map(Tls::trusting).transpose()?;
        Ok(Door { address: self.mqtt.clone(), tls })
    }
}

/// Does what was asked.
pub async fn run(command: Command) -> Result<ExitCode, Fault> {
    match command {
        Command::Estuary(args) => stations::estuary(args).await,
        Command::DemoStart(args) => stations::demo_start(&args),
        Command::Stations => stations::list(),
        Command::Replay(args) => feed::replay(args).await,
        Command::Load(args) => feed::load(args).await,
        Command::Carrier(args) => phone::carrier(args).await,
        Command::Modbus(args) => modbus::modbus(args).await,
        Command::Serial(args) => serial::serial(args).await,
        Command::Sdi12(args) => sdi12::sdi12(args).await,
        Command::Files(args) => files::files(args).await,
        Command::Years(args) => years::years(&args),
    }
}

/// Logs to stderr: for people on a terminal, JSON elsewhere. `RUST_LOG` has the last word.
pub fn start_logging(verbose: u8) {
    use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};
    let level = match verbose {
        0 => "warn,firmware_sim=info",
        1 => "info,firmware_sim=debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let registry = tracing_subscriber::registry().with(filter);
    if std::io::stderr().is_terminal() {
        registry.with(fmt::layer().with_writer(std::io::stderr)).init();
    } else {
        registry.with(fmt::layer().json().with_writer(std::io::stderr)).init();
    }
}

/// Prints an error with its causes, once, and gives the exit code: 75 where another try may help, 2 where not.
pub fn tell(error: &(dyn std::error::Error + 'static)) -> ExitCode {
    use firmware_sim::mqtt::LinkError;
    let mut text = format!("failed: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    tracing::error!("{text}");
    match error.downcast_ref::<LinkError>() {
        Some(LinkError::Turned(_)) => ExitCode::from(1),
        Some(LinkError::Io { .. } | LinkError::Slow | LinkError::Closed(_)) => ExitCode::from(75),
        _ => ExitCode::from(2),
    }
}

/// A token that is cancelled by SIGINT, SIGTERM, and with `with_parent` by the end of stdin.
fn stop_signal(with_parent: bool) -> Result<CancellationToken, Fault> {
    use tokio::signal::unix::{SignalKind, signal};
    let stop = CancellationToken::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let (mut signal, stop) = (signal(kind)?, stop.clone());
        #[expect(clippy::disallowed_methods, reason = "lives as long as the process by intent")]
        tokio::spawn(async move {
            signal.recv().await;
            stop.cancel();
        });
    }
    if with_parent {
        let stop = stop.clone();
        // A thread and not a task: reading stdin blocks, and must not hold up the end of the process.
        std::thread::spawn(move || {
            let ended = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            tracing::info!(ok = ended.is_ok(), "the parent is gone");
            stop.cancel();
        });
    }
    Ok(stop)
}

/// Prints one line of JSON on stdout.
fn print(value: &impl serde::Serialize) -> Result<(), Fault> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(&line)?;
    stdout.flush()?;
    Ok(())
}
