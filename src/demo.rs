//! Everything on one machine, with nothing faked between the parts: the engine as it runs in the field, the stations
//! of the estuary twin as a process of their own calling over MQTT, and the other side of the phone (an SMTP server
//! and an SMSC) as another. Time runs faster, by the same formula in all three.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, StationCode, Timestamp};
use metrics_exporter_prometheus::PrometheusHandle;
use registry::Registry;
use registry::pack::Pack;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio_util::sync::CancellationToken;

use crate::assembly::{self, Addresses, Fatal, Setting};
use crate::clock::{FastClock, SystemClock};
use crate::settings::{Channel, Config, SettingsError};
use crate::store::{StoreError, open_registry};

/// The pack that the demo shows.
const PACK: &[(&str, &str)] = &[
    ("stations.toml", include_str!("../configs/tien-giang/stations.toml")),
    ("rivers.geojson", include_str!("../configs/tien-giang/rivers.geojson")),
    ("rules.toml", include_str!("../configs/tien-giang/rules.toml")),
    ("roster.toml", include_str!("../configs/tien-giang/roster.toml")),
    ("quality.toml", include_str!("../configs/tien-giang/quality.toml")),
];

/// How often the demo remembers how late it is on the river.
const REMEMBER_EVERY: Duration = Duration::from_secs(1);

/// What the person wants.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Virtual seconds in a second.
    pub speed: f64,
    /// The demo's folder.
    pub data: PathBuf,
    /// Where the pages are wanted.
    pub http: SocketAddr,
    /// Where the stations are wanted.
    pub mqtt: SocketAddr,
    /// The river's weather.
    pub seed: u64,
}

/// Why the demo cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The engine cannot run.
    #[error(transparent)]
    Fatal(#[from] Fatal),
    /// The defaults do not read.
    #[error("configuration cannot be used")]
    Settings(#[from] SettingsError),
    /// The data folder does not serve.
    #[error("demo folder does not serve")]
    Store(#[from] StoreError),
    /// The registry does not serve.
    #[error("registry does not serve")]
    Registry(#[from] registry::RegistryError),
    /// The province pack does not read.
    #[error("province pack cannot be used")]
    Pack(#[from] registry::pack::PackError),
    /// The tests of the province pack do not hold.
    #[error("province pack cannot be used")]
    Tests(#[from] crate::judge::BadPack),
    /// The simulator is not there or does not do its part.
    #[error("{what} (`make demo` builds it beside saltline)")]
    Simulator {
        /// What happened.
        what: String,
    },
    /// A file of the demo's folder.
    #[error("cannot keep `{path}`")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// How late it is on the river, kept so that a demo that was stopped goes on.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct River {
    /// Milliseconds since the epoch, virtual.
    now: i64,
}

/// Shows the demo until `stop`.
///
/// # Errors
/// [`DemoError`].
pub async fn run(
    wish: Wish,
    metrics: PrometheusHandle,
    stop: CancellationToken,
) -> Result<(), DemoError> {
    std::fs::create_dir_all(&wish.data)
        .map_err(|source| DemoError::File { path: wish.data.clone(), source })?;
    let clock = clock(&wish).await?;
    let keys = province(&wish.data, clock).await?;
    let (mut carrier, smtp, smpp) = carrier().await?;
    let config = config(&wish, &smtp, &smpp)?;
    let setting = Setting { config, clock: Arc::new(clock), metrics, demo: true };
    let ended = CancellationToken::new();
    let (ready, served) = tokio::sync::oneshot::channel();
    let engine = assembly::run(setting, ended.clone(), |at, store| {
        drop(ready.send((at, store.history.clone())));
    });
    let show = async {
        let Ok((at, history)) = served.await else { return Ok(()) };
        let mut estuary = estuary(&wish, clock, at, &keys)?;
        let shown = async {
            welcome(at, &history, clock).await;
            remember(&wish.data, clock).await
        };
        let outcome = tokio::select! {
            kept = shown => kept,
            _ = estuary.child.wait() => Err(simulator("the estuary twin ended")),
            _ = carrier.child.wait() => Err(simulator("the demo's carrier ended")),
            () = stop.cancelled() => Ok(()),
        };
        // The stations leave first, then the engine says what it still has to say.
        estuary.stop().await;
        ended.cancel();
        outcome
    };
    let (engine, shown) = tokio::join!(engine, show);
    carrier.stop().await;
    write_river(&wish.data, clock)?;
    engine?;
    shown
}

/// Where the river is now: where it was when the demo stopped, or a rising spring tide that the twin picks.
async fn clock(wish: &Wish) -> Result<FastClock, DemoError> {
    let kept = std::fs::read(river_file(&wish.data)).ok();
    let kept: Option<River> = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let start = match kept {
        Some(river) => Timestamp::from_millis(river.now),
        None => rising_tide(wish.seed).await?,
    };
    Ok(FastClock { start, epoch: SystemClock.now(), speed: wish.speed })
}

async fn rising_tide(seed: u64) -> Result<Timestamp, DemoError> {
    let text = ask(&["demo-start", "--seed", &seed.to_string()]).await?;
    Timestamp::parse_rfc3339(text.trim())
        .map_err(|_| simulator(&format!("the simulator knows no rising tide: `{}`", text.trim())))
}

/// What the simulator prints.
async fn ask(words: &[&str]) -> Result<String, DemoError> {
    let out = command()?.args(words).output().await;
    let out = out.map_err(|error| simulator(&format!("cannot start the simulator: {error}")))?;
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// The stations that the twin knows the water of; the pack may have more.
async fn twins() -> Result<Vec<String>, DemoError> {
    let rows: Vec<serde_json::Value> = serde_json::from_str(&ask(&["stations"]).await?)
        .map_err(|error| simulator(&format!("the simulator's stations do not read: {error}")))?;
    Ok(rows.iter().filter_map(|row| row["code"].as_str().map(str::to_owned)).collect())
}

/// Applies the pack and gives every station its key.
async fn province(dir: &Path, clock: FastClock) -> Result<String, DemoError> {
    let registry = open_registry(dir).await?.by("demo").with_clock(Arc::new(clock));
    let file = |name: &str| {
        PACK.iter().find(|(file, _)| *file == name).map(|(_, text)| (*text).to_owned())
    };
    let pack: Pack = registry::pack::read(&file)?;
    crate::judge::check(&pack, &registry).await?;
    pack.apply(&registry).await?;
    let mut keys = Vec::new();
    let twins = twins().await?;
    for station in registry.stations().await? {
        if !twins.iter().any(|code| code == station.code.as_str()) {
            continue;
        }
        let key = fresh_key(&registry, &station.code).await?;
        keys.push(json!({"code": station.code.as_str(), "key": key}));
    }
    let person = registry.users().await?.into_iter().any(|user| user.name == "demo");
    if !person {
        registry.add_user("demo", DEMO_PASSWORD, registry::Role::Operator).await?;
    }
    Ok(serde_json::Value::Array(keys).to_string())
}

/// The demo's operator. It exists only in the demo's own folder, whose pages listen on loopback and say so.
const DEMO_PASSWORD: &str = "rising-spring-tide";

async fn fresh_key(registry: &Registry, code: &StationCode) -> Result<String, DemoError> {
    Ok(registry.rotate_key(code).await?.reveal().to_owned())
}

fn config(wish: &Wish, smtp: &str, smpp: &str) -> Result<Config, DemoError> {
    let mut config = Config::read(None, [])?;
    config.data_dir.clone_from(&wish.data);
    config.mqtt.listen = free(wish.mqtt);
    config.http_listen = free(wish.http);
    // Virtual minutes pass in seconds: two minutes of grace would be two seconds of theirs.
    config.start_grace = Duration::from_mins(10);
    let email = format!("smtp://demo:demo@{smtp}");
    let sms = format!("smpp://demo:demo@{smpp}");
    config.email = Some(Channel { url: email, from: "saltline@example.org".to_owned() });
    config.sms = Some(Channel { url: sms, from: "SALTLINE".to_owned() });
    Ok(config)
}

/// The wanted address, or any free port of it where somebody else is there already.
fn free(wanted: SocketAddr) -> SocketAddr {
    match std::net::TcpListener::bind(wanted) {
        Ok(_) => wanted,
        Err(_) => SocketAddr::new(wanted.ip(), 0),
    }
}

/// A process of the simulator. It ends when its standard input closes, so it never outlives us, however we end.
struct Process {
    child: Child,
    input: Option<ChildStdin>,
}

impl Process {
    fn start(mut command: Command) -> Result<Self, DemoError> {
        let mut child = command
            .arg("--with-parent")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| simulator(&format!("cannot start the simulator: {error}")))?;
        let input = child.stdin.take();
        Ok(Self { child, input })
    }

    async fn stop(&mut self) {
        drop(self.input.take());
        if tokio::time::timeout(Duration::from_secs(5), self.child.wait()).await.is_err() {
            tracing::warn!("the simulator did not stop by itself");
            drop(self.child.start_kill());
        }
    }
}

/// The other side of the phone: an SMTP server and an SMSC.
async fn carrier() -> Result<(Process, String, String), DemoError> {
    let mut command = command()?;
    command.args(["carrier", "--smtp", "127.0.0.1:0", "--smpp", "127.0.0.1:0"]);
    let mut process = Process::start(command)?;
    let Some(out) = process.child.stdout.take() else {
        return Err(simulator("the carrier has no output"));
    };
    let mut lines = BufReader::new(out).lines();
    let first = lines.next_line().await.ok().flatten().unwrap_or_default();
    let said: serde_json::Value = serde_json::from_str(&first).unwrap_or_default();
    let at = |key: &str| said[key].as_str().map(str::to_owned);
    let (Some(smtp), Some(smpp)) = (at("smtp"), at("smpp")) else {
        return Err(simulator(&format!("the carrier said `{first}`")));
    };
    drain(lines.into_inner());
    Ok((process, smtp, smpp))
}

/// Reads on, so that the simulator never waits for us.
fn drain(mut out: impl AsyncRead + Unpin + Send + 'static) {
    #[expect(clippy::disallowed_methods, reason = "it ends when the child closes its output")]
    tokio::spawn(async move {
        if let Err(error) = tokio::io::copy(&mut out, &mut tokio::io::sink()).await {
            tracing::debug!(%error, "the simulator's output broke off");
        }
    });
}

/// The stations, calling over MQTT.
fn estuary(wish: &Wish, clock: FastClock, at: Addresses, keys: &str) -> Result<Process, DemoError> {
    let path = wish.data.join("station-keys.json");
    write_secret(&path, keys).map_err(|source| DemoError::File { path: path.clone(), source })?;
    let mut command = command()?;
    command.arg("estuary").args(["--mqtt", &at.mqtt.to_string()]).arg("--keys").arg(&path);
    command.args(["--seed", &wish.seed.to_string(), "--speed", &wish.speed.to_string()]);
    command.args(["--start", &clock.start.to_string(), "--epoch", &clock.epoch.to_string()]);
    command.args(["--interval", "5m"]);
    let mut process = Process::start(command)?;
    if let Some(out) = process.child.stdout.take() {
        drain(out);
    }
    Ok(process)
}

fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)?.write_all(text.as_bytes())
}

/// Prints the address when the first reading is on the page.
async fn welcome(at: Addresses, history: &history::History, clock: FastClock) {
    eprintln!("Waiting for the first reading …");
    while history.latest_all().is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let url = format!("http://{}", at.http);
    eprintln!(
        "\n  Saltline shows the salt front of the Tiền river; it is {} there.\n\
         \n  the province now      {url}/\
         \n  the sluice Xuân Hòa   {url}/s/xuan-hoa\
         \n  SMS and e-mail sent   {url}/outbox\
         \n  the operators' desk   {url}/desk   (name demo, password {DEMO_PASSWORD})\
         \n\n  The tide is rising: a warning comes within two minutes. Ctrl-C ends; start again and it goes on.\n",
        clock.now().to_local_rfc3339(),
    );
    println!("{url}");
}

async fn remember(dir: &Path, clock: FastClock) -> Result<(), DemoError> {
    loop {
        tokio::time::sleep(REMEMBER_EVERY).await;
        write_river(dir, clock)?;
    }
}

fn write_river(dir: &Path, clock: FastClock) -> Result<(), DemoError> {
    let path = river_file(dir);
    let text = json!(River { now: clock.now().as_millis() }).to_string();
    let fresh = path.with_extension("new");
    let write = || std::fs::write(&fresh, &text).and_then(|()| std::fs::rename(&fresh, &path));
    write().map_err(|source| DemoError::File { path: path.clone(), source })
}

fn river_file(dir: &Path) -> PathBuf {
    dir.join("demo.json")
}

/// The simulator stands beside us.
fn command() -> Result<Command, DemoError> {
    let us = std::env::current_exe()
        .map_err(|error| simulator(&format!("cannot find our own program: {error}")))?;
    let beside = us.with_file_name("firmware-sim");
    if !beside.exists() {
        return Err(simulator(&format!("`{}` is not there", beside.display())));
    }
    Ok(Command::new(beside))
}

fn simulator(what: &str) -> DemoError {
    DemoError::Simulator { what: what.to_owned() }
}
