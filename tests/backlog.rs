//! Two weeks without a link, in a minute: the engine as it runs, the twin's station over a real socket, both on one
//! fast clock. The station comes back with news first and everything else after; nothing is missing, and nobody is
//! alarmed by water that has long flowed by.
#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, StationCode, Timestamp};
use firmware_sim::clock::{MachineClock, VirtualTime};
use firmware_sim::estuary::{Estuary, station};
use firmware_sim::fleet::Fleet;
use firmware_sim::mqtt::Door;
use firmware_sim::station::{Backlog, Dials};
use metrics_exporter_prometheus::PrometheusHandle;
use saltline::assembly::{self, Addresses, Setting};
use saltline::clock::{FastClock, SystemClock};
use saltline::settings::Config;
use saltline::store::{Store, open_registry};
use tokio_util::sync::CancellationToken;

/// Virtual seconds in a second: a report every five minutes is one in a second, and silence two of these.
const SPEED: f64 = 300.0;

/// The weather.
const SEED: u64 = 42;

/// Reports of 14 days.
const TWO_WEEKS: u64 = 14 * 288;

/// A moment, and a limit that the water of the two weeks after it is over while the water before and after them is not:
/// so only a stale alarm would ring.
fn moment_and_limit(away: Duration) -> (Timestamp, f64) {
    let (estuary, place) = (Estuary::tien_giang(SEED), station("xuan-hoa").unwrap());
    let step = |n: u32| Duration::from_mins(5) * n;
    let most = |from: Timestamp, steps: u32| {
        let salt = (0..steps).map(|n| estuary.truth(place, from + step(n)).salinity_g_l);
        salt.fold(0.0, f64::max)
    };
    let first = Timestamp::parse_rfc3339("2026-03-01T00:00:00+07:00").unwrap();
    (0..30 * 24)
        .map(|hour| first + Duration::from_hours(hour))
        .find_map(|at| {
            // Five hours at either end are more than the story takes.
            let live = most(at, 60).max(most(at + away, 60));
            let past = most(at + Duration::from_hours(2), 12 * 288);
            (live * 1.5 < past).then_some((at, (live + past) / 2.0))
        })
        .expect("the tide comes and goes")
}

fn rules(limit: f64) -> String {
    format!(
        "[[rule]]\ncode = \"intake\"\nname = \"Độ mặn lấy nước\"\nparameter = \"salinity\"\n\
         stations = [\"xuan-hoa\"]\nhold = \"0s\"\n\
         levels = [{{ limit = {limit:.2}, clear = {:.2} }}]\n",
        limit * 0.9
    )
}

struct Story {
    folder: tempfile::TempDir,
    key: String,
    metrics: PrometheusHandle,
}

/// An engine while it runs.
struct Running {
    http: String,
    mqtt: String,
    clock: FastClock,
    stop: CancellationToken,
    ended: tokio::task::JoinHandle<Result<(), assembly::Fatal>>,
}

impl Story {
    async fn begin(metrics: PrometheusHandle, rules: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let registry = open_registry(folder.path()).await.unwrap();
        let mut xuan_hoa = domain::Station::new(StationCode::new("xuan-hoa").unwrap());
        xuan_hoa.interval = Duration::from_mins(5);
        let key = registry.add_station(&xuan_hoa).await.unwrap().reveal().to_owned();
        let file = |name: &str| (name == "rules.toml").then(|| rules.to_owned());
        registry::pack::read(&file).unwrap().apply(&registry).await.unwrap();
        Self { folder, key, metrics }
    }

    /// Runs the engine from this virtual instant on.
    async fn engine(&self, start: Timestamp) -> Running {
        let clock = FastClock { start, epoch: SystemClock.now(), speed: SPEED };
        let mut config = Config::read(None, []).unwrap();
        config.data_dir = self.folder.path().to_owned();
        config.mqtt.listen = "127.0.0.1:0".parse().unwrap();
        config.http_listen = "127.0.0.1:0".parse().unwrap();
        let metrics = self.metrics.clone();
        let setting = Setting { config, clock: Arc::new(clock), metrics, demo: false };
        let stop = CancellationToken::new();
        let (ready, served) = tokio::sync::oneshot::channel::<Addresses>();
        let told = stop.clone();
        #[expect(clippy::disallowed_methods, reason = "the test joins it")]
        let ended = tokio::spawn(async move {
            assembly::run(setting, told, |at, _: &Store| {
                ready.send(at).unwrap();
            })
            .await
        });
        let at = served.await.unwrap();
        Running { http: at.http.to_string(), mqtt: at.mqtt.to_string(), clock, stop, ended }
    }

    /// The station, until told to stop.
    fn station(&self, engine: &Running, away: Duration, backlog: Backlog) -> Living {
        let FastClock { start, epoch, speed } = engine.clock;
        let fleet = Fleet {
            door: Door { address: engine.mqtt.clone(), tls: None },
            stations: vec![(station("xuan-hoa").unwrap(), self.key.clone())],
            seed: SEED,
            dials: Dials::default(),
            time: VirtualTime { start, epoch, speed },
            interval: Duration::from_secs(300),
            away,
            backlog,
            firmware: None,
        };
        let stop = CancellationToken::new();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(fleet.run(Arc::new(MachineClock), stop.clone()));
        Living { tasks, stop }
    }
}

struct Living {
    tasks: tokio::task::JoinSet<firmware_sim::Totals>,
    stop: CancellationToken,
}

impl Living {
    async fn leave(mut self) -> firmware_sim::Totals {
        self.stop.cancel();
        self.tasks.join_next().await.unwrap().unwrap()
    }
}

impl Running {
    async fn get(&self, path: &str) -> serde_json::Value {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(&self.http).await.unwrap();
        let ask = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(ask.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_else(|_| panic!("{path}: {answer}"))
    }

    async fn gaps(&self) -> serde_json::Value {
        self.get("/api/v1/stations/xuan-hoa").await["gaps"].clone()
    }

    async fn until(&self, what: &str, holds: impl AsyncFn() -> bool) {
        for _ in 0..3_000 {
            if holds().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it never came to that: {what}; {}", self.gaps().await);
    }

    async fn stop(self) {
        self.stop.cancel();
        self.ended.await.unwrap().unwrap();
    }
}

async fn two_weeks_away(backlog: Backlog, metrics: PrometheusHandle) {
    let away = Duration::from_hours(14 * 24);
    let (before, limit) = moment_and_limit(away);
    let story = Story::begin(metrics, &rules(limit)).await;
    let engine = story.engine(before).await;
    let living = story.station(&engine, Duration::ZERO, backlog);
    engine
        .until("some reports", async || {
            3 <= engine.gaps().await["next_seq"]
                .as_u64()
                .map_or(0, |next| next.saturating_sub(before.as_millis().unsigned_abs() / 300_000))
        })
        .await;
    living.leave().await;
    let left_at = engine.clock.now();
    engine.stop().await;

    // Both sleep; two weeks later the engine runs again, and the station gets its link back.
    let engine = story.engine(left_at + away).await;
    let living = story.station(&engine, away, backlog);
    engine
        .until("the gap", async || {
            4_000 < engine.gaps().await["missing"].as_u64().unwrap_or(0)
                || 4_000 < engine.gaps().await["filled"].as_u64().unwrap_or(0)
        })
        .await;
    engine
        .until("nothing is missing", async || {
            let gaps = engine.gaps().await;
            gaps["missing"] == 0 && TWO_WEEKS - 10 < gaps["filled"].as_u64().unwrap()
        })
        .await;
    let gaps = engine.gaps().await;
    assert_eq!(gaps["given_up"], 0, "{gaps}");
    let alerts = engine.get("/api/v1/alerts").await;
    let raised = |alert: &serde_json::Value| -> Vec<(String, String)> {
        let events = alert["events"].as_array().unwrap().iter();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        events.map(|event| (text(&event["kind"]), text(&event["taken_at"]))).collect()
    };
    let events: Vec<_> = alerts.as_array().unwrap().iter().flat_map(raised).collect();
    // The water of the two weeks was over the limit, and that is found; but nobody is alarmed as if it were now.
    let kinds: Vec<&str> = events.iter().map(|(kind, _)| kind.as_str()).collect();
    assert!(!kinds.is_empty() && kinds.iter().all(|kind| *kind == "backlog"), "{events:?}");
    assert_eq!(engine.get("/api/v1/warnings").await[0]["state"], "safe");
    let totals = living.leave().await;
    assert_eq!((totals.dropped, totals.refused), (0, 0), "{totals:?}");
    if backlog == Backlog::Asked {
        assert!(story.metrics.render().contains("saltline_gaps_asked_total"), "it was asked");
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_weeks_without_a_link_come_back_with_nothing_missing_and_no_stale_alarm() {
    // Metrics are the process's own, so both stories share them.
    let metrics = saltline::telemetry::count().unwrap();
    two_weeks_away(Backlog::Unasked, metrics.clone()).await;
    two_weeks_away(Backlog::Asked, metrics).await;
}
