//! Every bus there is. Each is a task of its own, so that a sick one costs only itself; the sensors of a bus are asked in
//! turn. A measurement is done when it is on disk.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::intake::{Batch, Intake, Pass};
use crate::line::{Cadence, Commits, shift_of, watched};

use super::bus::Bus;
use super::config::{Config, SensorConfig};
use super::counters::Counters;
use super::fault::Fault;
use super::said;
use super::sensor::{Sensor, Step};

/// See the module.
pub struct Sensors {
    buses: Vec<(Arc<Config>, Intake)>,
}

impl Sensors {
    /// Buses of this configuration; nothing is opened yet. The metrics recorder has to stand.
    #[must_use]
    pub fn new(buses: Vec<Config>, intake: &Intake) -> Self {
        let bus = |config| (Arc::new(config), intake.clone());
        Self { buses: buses.into_iter().map(bus).collect() }
    }

    /// Asks until told to stop; then what was measured is committed, within 10 s.
    pub async fn run(self, stop: CancellationToken) {
        let mut running = JoinSet::new();
        for (config, intake) in self.buses {
            running.spawn(bus(config, intake, stop.clone()));
        }
        while let Some(ended) = running.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a part of SDI-12 ended by a bug");
            }
        }
    }
}

async fn bus(config: Arc<Config>, intake: Intake, stop: CancellationToken) {
    let bug = || {
        metrics::counter!("saltline_sdi12_opens_total", "line" => config.name.clone(), "outcome" => "bug")
            .increment(1);
    };
    let begin = || {
        let (config, intake, stop) = (config.clone(), intake.clone(), stop.clone());
        async move { Turns::new(config, intake).run(&stop).await }
    };
    watched(&config.name, &stop, bug, begin).await;
}

/// One bus while it runs.
struct Turns {
    config: Arc<Config>,
    intake: Intake,
    bus: Bus,
    counters: Counters,
    commits: Commits,
    sensors: Vec<Sensor>,
}

impl Turns {
    fn new(config: Arc<Config>, intake: Intake) -> Self {
        let seed = RandomState::new().build_hasher().finish();
        let counters = Counters::new(&config.name);
        let (now, instant, count) = (intake.now(), Instant::now(), config.sensors.len());
        let base = shift_of(&config.name);
        let sensor = |(at, sensor): (usize, &SensorConfig)| {
            #[expect(clippy::cast_precision_loss, reason = "a bus has 62 addresses")]
            let shift = base + at as f64 / count as f64;
            Sensor::new(sensor.clone(), Cadence::new(sensor.every, shift, now, instant))
        };
        let sensors = config.sensors.iter().enumerate().map(sensor).collect();
        Self {
            bus: Bus::new(config.clone(), counters.clone(), seed),
            commits: Commits::new(&config.name, &intake),
            config,
            intake,
            counters,
            sensors,
        }
    }

    async fn run(mut self, stop: &CancellationToken) {
        loop {
            let sensors = self.sensors.iter().enumerate();
            let Some((at, sensor)) = sensors.min_by_key(|(_, sensor)| sensor.due()) else { break };
            let due = sensor.due();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = async { sleep_until(due).await; self.turn(at).await } => {}
            }
        }
        self.bus.close();
        self.commits.finish().await;
    }

    async fn turn(&mut self, at: usize) {
        let sensor = &mut self.sensors[at];
        let station = sensor.config.station.clone();
        if !sensor.is_underway() {
            let now = Instant::now();
            let missed = sensor.cadence.advance(now);
            if 0 < missed {
                self.counters.poll(&station, "missed", missed);
            }
            if !sensor.breaker.lets(now) {
                return self.note(at, "breaker_open", None);
            }
        }
        let Some(station) = self.intake.stations().get(station.as_str()) else {
            sensor.lost();
            return self.note(at, "unknown_station", None);
        };
        let (pass, mut found) = (Pass { station }, Vec::new());
        let stepped = sensor.step(&mut self.bus, &mut found).await;
        for step in found {
            self.keep(&pass, at, step).await;
        }
        match stepped {
            Ok(()) => {
                let sensor = &mut self.sensors[at];
                sensor.breaker.answered();
                if !sensor.is_underway() {
                    self.note(at, "answered", None);
                }
            }
            Err(fault) => self.fail(&pass, at, &fault).await,
        }
    }

    /// Commits a measurement. While the disk does not take it, the bus waits.
    async fn keep(&mut self, pass: &Pass, at: usize, (which, measured): Step) {
        let sensor = &self.sensors[at].config;
        let measure = &sensor.profile.measures[which];
        let report = said::report(measure, &measured.values, self.intake.now());
        let head = format!(
            "line {} address {} profile {}",
            self.config.name, sensor.address, sensor.profile.name
        );
        let text = said::text(&head, &measured, &report);
        let mut batch = Batch::default();
        self.intake.take_reports(pass, &topic(&self.config, sensor), &text, &[report], &mut batch);
        // A turn counts when the last of its measurements is on disk.
        let is_last = which + 1 == sensor.profile.measures.len();
        let (counters, station) = (self.counters.clone(), sensor.station.clone());
        let durable = move || {
            if is_last {
                counters.poll(&station, "answered", 1);
            }
        };
        self.commits.keep(batch, durable).await;
    }

    async fn fail(&mut self, pass: &Pass, at: usize, fault: &Fault) {
        let sensor = &mut self.sensors[at];
        sensor.lost();
        // What is wrong with the line is not held against a sensor.
        if !fault.is_of_the_line() {
            let config = &self.config;
            sensor.breaker.silent(Instant::now(), config.late_max, config.back_off_max);
        }
        self.note(at, fault.label(), Some(fault));
        let Some((bytes, refusal)) = fault.refusal() else { return };
        let topic = topic(&self.config, &self.sensors[at].config);
        let mut batch = Batch::default();
        self.intake.refuse(
            Some(pass),
            &topic,
            &Bytes::copy_from_slice(bytes),
            &refusal,
            &mut batch,
        );
        self.commits.keep(batch, || ()).await;
    }

    /// Remembers how the last turn went; says so where it changed.
    fn note(&mut self, at: usize, outcome: &'static str, fault: Option<&Fault>) {
        let sensor = &mut self.sensors[at];
        let (station, line, address) =
            (&sensor.config.station, &self.config.name, sensor.config.address);
        // A whole turn is counted when it is on disk.
        if outcome != "answered" {
            self.counters.poll(station, outcome, 1);
        }
        if sensor.outcome == outcome || outcome == "breaker_open" {
            return;
        }
        match (outcome, sensor.outcome) {
            ("answered", "") => tracing::info!(%station, line, %address, "answers"),
            ("answered", before) => {
                tracing::info!(%station, line, %address, before, "answers again");
            }
            _ => {
                let error = fault.map(|fault| fault as &dyn std::error::Error);
                tracing::warn!(%station, line, %address, outcome, error, "no reading");
            }
        }
        sensor.outcome = outcome;
    }
}

/// The topic under which a sensor's measurements are refused.
fn topic(config: &Config, sensor: &SensorConfig) -> String {
    format!("sdi12/{}/{}", config.name, sensor.address)
}
