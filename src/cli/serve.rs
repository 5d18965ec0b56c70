//! `saltline run` and `saltline demo`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{Place, Trouble, output};
use crate::assembly::{self, Addresses, Setting};
use crate::clock::SystemClock;
use crate::{demo, telemetry};

/// Watch it work.
#[derive(Args)]
pub struct Demo {
    /// Minutes of the river in a minute of yours.
    #[arg(long, default_value_t = 60.0)]
    speed: f64,
    /// Folder of the demo; the river goes on from where it was when started again.
    #[arg(long, default_value = "demo-data")]
    data: PathBuf,
    /// Where the pages are; any free port if it is taken.
    #[arg(long, default_value = "127.0.0.1:8080")]
    http: std::net::SocketAddr,
    /// Where the stations call; any free port if it is taken.
    #[arg(long, default_value = "127.0.0.1:1883")]
    mqtt: std::net::SocketAddr,
    /// The river's weather: the same number gives the same days.
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

/// Runs the engine until SIGTERM or SIGINT.
pub fn run(place: &Place) -> Result<(), Trouble> {
    let config = place.settings()?;
    telemetry::log(&config.log_level);
    let metrics = telemetry::count().map_err(Trouble::Later)?;
    let setting = Setting { config, clock: Arc::new(SystemClock), metrics, demo: false };
    many_threads(async {
        let stop = stopped_by_signal()?;
        Ok(assembly::run(setting, stop, |at, _| say_ready(at)).await?)
    })
}

/// Runs the demo until SIGTERM or SIGINT.
pub fn demo(typed: Demo) -> Result<(), Trouble> {
    telemetry::log("warn");
    let metrics = telemetry::count().map_err(Trouble::Later)?;
    many_threads(async {
        let stop = stopped_by_signal()?;
        let wish = demo::Wish {
            speed: typed.speed,
            data: typed.data,
            http: typed.http,
            mqtt: typed.mqtt,
            seed: typed.seed,
        };
        demo::run(wish, metrics, stop).await.map_err(|error| match error {
            demo::DemoError::Fatal(fatal) => Trouble::Fatal(fatal),
            other => Trouble::Later(super::chain(&other)),
        })
    })
}

/// One line of JSON for scripts and tests, and `READY=1` for the service manager.
fn say_ready(at: Addresses) {
    let line = serde_json::json!({
        "ready": true,
        "mqtt": at.mqtt.to_string(),
        "mqtts": at.mqtt_tls.map(|at| at.to_string()),
        "http": at.http.to_string(),
    });
    if let Err(error) = output::print(&format!("{line}\n")) {
        tracing::warn!(%error, "cannot say that we are ready");
    }
    notify(sd_notify::NotifyState::Ready);
}

fn notify(state: sd_notify::NotifyState<'_>) {
    // Without a service manager there is nobody to tell, and that is no error.
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}

/// A token that SIGTERM and SIGINT cancel.
fn stopped_by_signal() -> Result<CancellationToken, Trouble> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).map_err(|error| Trouble::Later(format!("signals: {error}")));
    let (mut term, mut int) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    #[expect(clippy::disallowed_methods, reason = "it ends with the process, which it ends")]
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        notify(sd_notify::NotifyState::Stopping);
        stopped.cancel();
    });
    Ok(stop)
}

fn many_threads(work: impl Future<Output = Result<(), Trouble>>) -> Result<(), Trouble> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Trouble::Later(format!("cannot start: {error}")))?;
    let ended = runtime.block_on(work);
    // What still runs was told to stop and given its time.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    ended
}
