//! Ask, commit, wait, again. Each line is a task of its own, so that a sick one costs only itself; the slaves of a line
//! are asked in turn. A poll is done when its readings are on disk.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use domain::Timestamp;
use registry::Registry;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::intake::{Batch, Intake, Pass};
use crate::line::{Cadence, Commits, shift_of, watched};

use super::config::Config;
use super::counters::{LineCounters, SlaveCounters};
use super::line::Line;
use super::orders::{self, Order, Orders, WAITING_MAX, Writable};
use super::said::{self, Blocks, TOPIC};
use super::slave::{Polled, Slave};

/// Every line there is, ready to run.
pub struct Master {
    lines: Vec<Lined>,
    orders: Option<Orders>,
}

/// One line and what it stands on.
struct Lined {
    config: Arc<Config>,
    intake: Intake,
    registry: Option<Registry>,
    orders: mpsc::Receiver<Order>,
}

impl Master {
    /// Lines of this configuration; nothing is opened yet. Commands that write are taken from the registry, if there
    /// is one. The metrics recorder has to stand.
    #[must_use]
    pub fn new(lines: Vec<Config>, intake: &Intake, registry: Option<&Registry>) -> Self {
        let mut slaves = HashMap::new();
        let mut lined = Vec::new();
        for config in lines {
            let (sender, orders) = mpsc::channel(WAITING_MAX);
            for slave in &config.slaves {
                let writes = slave.writes.then(|| slave.profile.writes.clone());
                let line = sender.clone();
                slaves.insert(slave.station.clone(), Writable { writes, line });
            }
            let (intake, registry) = (intake.clone(), registry.cloned());
            lined.push(Lined { config: Arc::new(config), intake, registry, orders });
        }
        let clock = intake.clone();
        let orders = registry.cloned().map(|registry| Orders {
            registry: registry.by("modbus"),
            slaves,
            now: Box::new(move || clock.now()),
        });
        Self { lines: lined, orders }
    }

    /// Asks until told to stop; then what was read is committed, within 10 s.
    pub async fn run(self, stop: CancellationToken) {
        let mut running = JoinSet::new();
        for line in self.lines {
            running.spawn(line.watched(stop.clone()));
        }
        if let Some(orders) = self.orders {
            running.spawn(orders.run(stop.clone()));
        }
        while let Some(ended) = running.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a part of modbus ended by a bug");
            }
        }
    }
}

impl Lined {
    async fn watched(self, stop: CancellationToken) {
        let Self { config, intake, registry, orders } = self;
        let orders = Arc::new(tokio::sync::Mutex::new(orders));
        let bug = || {
            metrics::counter!("saltline_modbus_opens_total", "line" => config.name.clone(), "outcome" => "bug")
                .increment(1);
        };
        let begin = || {
            let turn = Turn::new(config.clone(), intake.clone(), registry.clone());
            let (orders, stop) = (orders.clone(), stop.clone());
            async move { turn.run(&mut *orders.lock().await, &stop).await }
        };
        watched(&config.name, &stop, bug, begin).await;
    }
}

/// One line while it runs.
struct Turn {
    config: Arc<Config>,
    intake: Intake,
    registry: Option<Registry>,
    line: Line,
    slaves: Vec<Slave>,
    commits: Commits,
}

/// What happens next.
enum Next {
    Turn(usize),
    Order(Order),
    Stop,
}

impl Turn {
    fn new(config: Arc<Config>, intake: Intake, registry: Option<Registry>) -> Self {
        let seed = RandomState::new().build_hasher().finish();
        let line = Line::new(config.clone(), LineCounters::new(&config.name), seed);
        let (now, instant, count) = (intake.now(), Instant::now(), config.slaves.len());
        let base = shift_of(&config.name);
        let slave = |(at, slave): (usize, &super::SlaveConfig)| {
            #[expect(
                clippy::cast_precision_loss,
                reason = "a line has a few hundred slaves at most"
            )]
            let shift = base + at as f64 / count as f64;
            Slave::new(slave.clone(), Cadence::new(slave.every, shift, now, instant))
        };
        let slaves = config.slaves.iter().enumerate().map(slave).collect();
        let commits = Commits::new(&config.name, &intake);
        Self { config, intake, registry, line, slaves, commits }
    }

    async fn run(mut self, orders: &mut mpsc::Receiver<Order>, stop: &CancellationToken) {
        loop {
            let next = self.next(orders, stop).await;
            let stopped = tokio::select! {
                () = self.take(next) => false,
                () = stop.cancelled() => true,
            };
            if stopped {
                break;
            }
        }
        self.line.close();
        self.commits.finish().await;
    }

    async fn next(&mut self, orders: &mut mpsc::Receiver<Order>, stop: &CancellationToken) -> Next {
        let turns = self.slaves.iter().enumerate();
        let Some((at, slave)) = turns.min_by_key(|(_, slave)| slave.cadence.due()) else {
            stop.cancelled().await;
            return Next::Stop;
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => Next::Stop,
            Some(order) = orders.recv() => Next::Order(order),
            () = sleep_until(slave.cadence.due()) => Next::Turn(at),
        }
    }

    async fn take(&mut self, next: Next) {
        match next {
            Next::Turn(at) => self.turn(at).await,
            Next::Order(order) => self.order(order).await,
            // The select around this ends it.
            Next::Stop => std::future::pending().await,
        }
    }

    async fn turn(&mut self, at: usize) {
        let Self { config, intake, line, slaves, .. } = self;
        let slave = &mut slaves[at];
        let (began, due) = (Instant::now(), slave.cadence.due());
        let missed = slave.cadence.advance(began);
        slave.counters.missed(missed);
        let Some(station) = intake.stations().get(slave.config.station.as_str()) else {
            return slave.note(&config.name, "unknown_station", None);
        };
        if !slave.is_let(began) {
            return slave.note(&config.name, "breaker_open", None);
        }
        slave.counters.late(began.saturating_duration_since(due));
        let polled = slave.poll(line, config).await;
        slave.counters.took(began.elapsed());
        let fault = polled.fault.as_ref();
        match fault {
            Some(fault) => slave.note(&config.name, fault.label(), Some(fault)),
            None => slave.note(&config.name, "answered", None),
        }
        let whole = fault.is_none().then(|| slave.counters.clone());
        self.keep(&Pass { station }, at, &polled, whole).await;
    }

    /// Commits what was read. While the disk does not take it, the line waits.
    async fn keep(
        &mut self,
        pass: &Pass,
        at: usize,
        polled: &Polled,
        whole: Option<SlaveCounters>,
    ) {
        let now = self.intake.now();
        let Some(batch) = self.batch(pass, at, polled, now) else { return };
        self.commits.keep(batch, move || whole.iter().for_each(SlaveCounters::durable)).await;
    }

    fn batch(&self, pass: &Pass, at: usize, polled: &Polled, now: Timestamp) -> Option<Batch> {
        let slave = &self.slaves[at].config;
        let blocks = Blocks(&polled.blocks);
        let report = said::report(&slave.profile, blocks, now);
        if report.values.is_empty() {
            return None;
        }
        let (line, unit) = (&self.config.name, slave.unit);
        let head = format!("line {line} unit {unit} profile {}", slave.profile.name);
        let text = said::text(&head, blocks, &report);
        let topic = format!("{TOPIC}/{line}/{unit}");
        let mut batch = Batch::default();
        self.intake.take_reports(pass, &topic, &text, &[report], &mut batch);
        Some(batch)
    }

    async fn order(&mut self, order: Order) {
        let Order { command, question } = order;
        let found = self.slaves.iter().find(|slave| slave.config.station == command.station);
        let (Some(slave), Some(registry)) = (found, &self.registry) else { return };
        let written = self.line.ask(slave.config.unit, &question).await;
        let outcome = written.map(drop).map_err(|fault| fault.to_string());
        if let Err(error) = orders::finish(&registry.by("modbus"), &command, outcome).await {
            let (error, id) = (&error as &dyn std::error::Error, &command.id);
            tracing::error!(error, id, "what became of a write is not in the book");
        }
    }
}
