//! A new firmware in forty stations: the engine as it runs, stations of the twin over real sockets, all on one fast
//! clock. It goes out ring by ring; where the first ring falls silent, nobody else is ever offered it.
#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, ModelCode, Release, StationCode, Timestamp, Version};
use firmware::{KeyRing, SecretKey, digest};
use firmware_sim::clock::{MachineClock, VirtualTime};
use firmware_sim::estuary::{SimStation, station};
use firmware_sim::fleet::Fleet;
use firmware_sim::mqtt::Door;
use firmware_sim::station::{Backlog, Dials, Firmware};
use metrics_exporter_prometheus::PrometheusHandle;
use registry::{Registry, Rollout, RolloutState, RolloutStation, RolloutTerms, Steer};
use saltline::assembly::{self, Addresses, Setting};
use saltline::clock::{FastClock, SystemClock};
use saltline::firmware::{Images, hex};
use saltline::settings::Config;
use saltline::store::Store;
use tokio_util::sync::CancellationToken;

/// Virtual seconds in a second: a report every five minutes is one in a second.
const SPEED: f64 = 300.0;

/// Stations: rings of 1, 3 and 36.
const STATIONS: usize = 40;

const TERMS: RolloutTerms = RolloutTerms {
    soak: Duration::from_mins(10),
    // Eight seconds of the machine: longer than it ever stalls.
    silent_after: Duration::from_mins(40),
    silent_intervals: 3,
    healthy_percent: 95,
};

struct Story {
    folder: tempfile::TempDir,
    key: SecretKey,
    engine: Engine,
    stations: Vec<(&'static SimStation, String)>,
    sims: Vec<(tokio::task::JoinSet<firmware_sim::Totals>, CancellationToken)>,
}

struct Engine {
    mqtt: String,
    clock: FastClock,
    registry: Registry,
    config: Config,
    stop: CancellationToken,
    ended: tokio::task::JoinHandle<Result<(), assembly::Fatal>>,
}

impl Story {
    async fn begin(metrics: PrometheusHandle) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = SecretKey::generate().unwrap();
        let start = Timestamp::parse_rfc3339("2026-03-12T05:00:00+07:00").unwrap();
        let engine = Engine::run(folder.path(), &key, start, metrics).await;
        let mut stations = Vec::new();
        for n in 0..STATIONS {
            let mut place = *station("xuan-hoa").unwrap();
            place.code = Box::leak(format!("s{n:02}").into_boxed_str());
            let mut in_book = domain::Station::new(StationCode::new(place.code).unwrap());
            in_book.interval = Duration::from_mins(5);
            let key = engine.registry.add_station(&in_book).await.unwrap().reveal().to_owned();
            stations.push((&*Box::leak(Box::new(place)), key));
        }
        Self { folder, key, engine, stations, sims: Vec::new() }
    }

    /// The stations live, with 1.0.0 in them; these die of an install.
    fn live(&mut self, bricks: &[&str]) {
        let FastClock { start, epoch, speed } = self.engine.clock;
        let fleet = Fleet {
            door: Door { address: self.engine.mqtt.clone(), tls: None },
            stations: self.stations.clone(),
            seed: 7,
            dials: Dials::default(),
            time: VirtualTime { start, epoch, speed },
            interval: Duration::from_mins(5),
            away: Duration::ZERO,
            backlog: Backlog::Unasked,
            firmware: Some(Firmware {
                keys: vec![self.key.public().to_string()],
                dir: self.folder.path().join("sim"),
                model: "sl-200".to_owned(),
                version: "1.0.0".to_owned(),
                room: 1 << 20,
                bricks: bricks.iter().map(|code| (*code).to_owned()).collect(),
            }),
        };
        let stop = CancellationToken::new();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(fleet.run(Arc::new(MachineClock), stop.clone()));
        self.sims.push((tasks, stop));
    }

    /// Signs an image, adds it and begins its roll-out.
    async fn roll_out(&self, version: &str, bytes: usize, first: &[&str]) -> Rollout {
        let image: Vec<u8> = (0..bytes).map(|n| (n * 7 % 253) as u8).collect();
        let signed = self.key.sign(&Release {
            model: ModelCode::new("sl-200").unwrap(),
            version: version.parse::<Version>().unwrap(),
            size: bytes as u64,
            digest: digest(&image),
        });
        let wanted = &self.engine.config.firmware;
        let dir = &self.engine.config.data_dir;
        Images::new(dir, wanted.keys.clone(), wanted.image_bytes_max)
            .keep(&signed, &image)
            .unwrap();
        let (registry, release) = (&self.engine.registry, &signed.release);
        registry.add_image(release, &signed.key, &hex(&signed.signature)).await.unwrap();
        let first: Vec<_> = first.iter().map(|code| StationCode::new(code).unwrap()).collect();
        registry.start_rollout(&release.digest, &first, &TERMS).await.unwrap()
    }

    async fn rollout(&self, id: &str) -> (Rollout, Vec<RolloutStation>) {
        let registry = &self.engine.registry;
        let rollout = registry.rollout(id).await.unwrap().unwrap();
        (rollout, registry.rollout_stations(id).await.unwrap())
    }

    /// Stations that say that they run this version.
    async fn run_it(&self, version: &str) -> usize {
        let version = version.parse::<Version>().ok();
        let all = self.engine.registry.station_firmwares().await.unwrap();
        all.iter().filter(|one| version.is_some() && one.version == version).count()
    }

    async fn until(&self, what: &str, holds: impl AsyncFn(&Self) -> bool) {
        for _ in 0..1_200 {
            if holds(self).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let all = self.engine.registry.rollouts(1).await.unwrap();
        let stations = match all.first() {
            Some(rollout) => self.engine.registry.rollout_stations(&rollout.id).await.unwrap(),
            None => Vec::new(),
        };
        panic!("it never came to that: {what}; {all:#?} {stations:#?}");
    }

    async fn everybody_is_there(&self) {
        self.until("everybody says what runs", async |story| {
            story.run_it("1.0.0").await == STATIONS
        })
        .await;
    }

    async fn end(mut self) {
        for (mut tasks, stop) in self.sims.drain(..) {
            stop.cancel();
            tasks.join_next().await.unwrap().unwrap();
        }
        self.engine.stop.cancel();
        self.engine.ended.await.unwrap().unwrap();
    }
}

impl Engine {
    async fn run(
        dir: &std::path::Path,
        key: &SecretKey,
        start: Timestamp,
        metrics: PrometheusHandle,
    ) -> Self {
        let clock = FastClock { start, epoch: SystemClock.now(), speed: SPEED };
        let mut config = Config::read(None, []).unwrap();
        config.data_dir = dir.join("data");
        config.mqtt.listen = "127.0.0.1:0".parse().unwrap();
        config.http_listen = "127.0.0.1:0".parse().unwrap();
        config.firmware.keys = KeyRing::new(vec![key.public()]);
        let setting =
            Setting { config: config.clone(), clock: Arc::new(clock), metrics, demo: false };
        let stop = CancellationToken::new();
        let (ready, served) = tokio::sync::oneshot::channel::<(Addresses, Registry)>();
        let told = stop.clone();
        #[expect(clippy::disallowed_methods, reason = "the test joins it")]
        let ended = tokio::spawn(async move {
            assembly::run(setting, told, |at, store: &Store| {
                drop(ready.send((at, store.registry.clone())));
            })
            .await
        });
        let (at, registry) = served.await.unwrap();
        Self { mqtt: at.mqtt.to_string(), clock, registry, config, stop, ended }
    }
}

fn ring(stations: &[RolloutStation], ring: u8) -> impl Iterator<Item = &RolloutStation> {
    stations.iter().filter(move |one| one.ring == ring)
}

async fn it_goes_round_ring_by_ring(metrics: PrometheusHandle) {
    let mut story = Story::begin(metrics).await;
    story.live(&[]);
    story.everybody_is_there().await;
    let id = story.roll_out("1.1.0", 60_000, &[]).await.id;
    story
        .until("every ring is healthy", async |story| {
            story.rollout(&id).await.0.state == RolloutState::Done
        })
        .await;
    story.until("everybody runs it", async |story| story.run_it("1.1.0").await == STATIONS).await;
    let (_, stations) = story.rollout(&id).await;
    let sizes = [0, 1, 2].map(|number| ring(&stations, number).count());
    assert_eq!(sizes, [1, 3, 36]);
    for number in [0, 1] {
        let ran = ring(&stations, number).filter_map(|one| one.running_at).max().unwrap();
        let next = ring(&stations, number + 1).filter_map(|one| one.offered_at).min().unwrap();
        assert!(ran + TERMS.soak <= next, "ring {number} ran at {ran}, the next began at {next}");
    }
    // An older one is offered to nobody: the roll-out finds no station, and says so.
    let old = story.roll_out("1.0.9", 5_000, &[]).await.id;
    story
        .until("the older one halts", async |story| {
            story.rollout(&old).await.0.state == RolloutState::Halted
        })
        .await;
    assert_eq!(story.rollout(&old).await.1, []);
    story.end().await;
}

async fn where_the_first_ring_falls_silent_nobody_else_gets_it(metrics: PrometheusHandle) {
    let mut story = Story::begin(metrics.clone()).await;
    story.live(&["s05"]);
    story.everybody_is_there().await;
    let id = story.roll_out("1.1.0", 60_000, &["s05", "s06"]).await.id;
    story
        .until("the halt", async |story| story.rollout(&id).await.0.state == RolloutState::Halted)
        .await;
    let (rollout, stations) = story.rollout(&id).await;
    assert_eq!(rollout.why, "ring 1: s05 silent");
    let offered: BTreeSet<&str> = stations
        .iter()
        .filter(|one| one.offered_at.is_some())
        .map(|one| one.station.as_str())
        .collect();
    assert_eq!(offered, BTreeSet::from(["s05", "s06"]));
    let silent = stations.iter().find(|one| one.station.as_str() == "s05").unwrap();
    assert_eq!((silent.bad.as_deref(), silent.running_at), (Some("silent"), None));
    let halted = story.engine.registry.audits(50).await.unwrap();
    assert!(halted.iter().any(|line| line.act == "rollout.halted" && line.who == "engine"));
    assert!(metrics.render().contains("saltline_firmware_halts_total{why=\"silent\"} 1"));
    // Much later it is still offered to nobody else, and nobody else runs it.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(story.rollout(&id).await.1, stations);
    assert_eq!(story.run_it("1.1.0").await, 1, "s06 took it and is well");
    // Somebody looked, and goes on without it.
    let registry = story.engine.registry.by("truc");
    assert_eq!(
        registry.steer_rollout(&id, Steer::Resume, "").await.unwrap().state,
        RolloutState::Going
    );
    story
        .until("the second ring is offered it", async |story| {
            ring(&story.rollout(&id).await.1, 1).all(|one| one.offered_at.is_some())
        })
        .await;
    story.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_firmware_goes_round_ring_by_ring_and_halts_where_the_first_falls_silent() {
    // Metrics are the process's own, so both stories share them.
    let metrics = saltline::telemetry::count().unwrap();
    it_goes_round_ring_by_ring(metrics.clone()).await;
    where_the_first_ring_falls_silent_nobody_else_gets_it(metrics).await;
}
