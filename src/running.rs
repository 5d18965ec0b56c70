//! The parts while they run, each watched, and stopped in the order of a reading's way: front door, commit, outbox,
//! history, portal. A part that ends by itself stops the others.

use std::sync::Arc;
use std::time::Duration;

use alerting::{Alerting, Channels};
use domain::Clock;
use ingest::drop::Drop;
use ingest::modbus::Master;
use ingest::mqtt::{Door, Reloader};
use ingest::sdi12::Sensors;
use ingest::serial::Loggers;
use ingest::upstream::Upstream;
use ingest::{Intake, Record};
use journal::{JournalError, State};
use metrics_exporter_prometheus::PrometheusHandle;
use portal::Portal;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::assembly::Fatal;
use crate::book::{BOOK_EVERY, Book};
use crate::engine::Engine;
use crate::errands::Errands;
use crate::export::Export;
use crate::firmware::FirmwareDesk;
use crate::follow::{Follower, Keeper, Tally, keep};
use crate::import::Drain;
use crate::questdb;
use crate::settings::Config;
use crate::store::Store;
use crate::threads::{DoorThreads, give_way};

/// Everything that stops must have stopped by then; systemd's own patience is 90 s.
const STOP_MAX: Duration = Duration::from_secs(30);

/// The parts while they run, each with the token that stops it.
pub struct Running {
    store: Store,
    runtime: Handle,
    tasks: JoinSet<(&'static str, Result<(), Fatal>)>,
    /// Parts that have not ended.
    left: Vec<&'static str>,
    stops: [(Stage, CancellationToken); 5],
}

/// The order in which parts stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Door,
    Clockwork,
    Engine,
    Outbox,
    Portal,
}

impl Running {
    /// Nothing runs yet.
    pub fn new(store: Store) -> Self {
        use Stage::{Clockwork, Door, Engine, Outbox, Portal};
        let stops = [Door, Clockwork, Engine, Outbox, Portal]
            .map(|stage| (stage, CancellationToken::new()));
        Self { store, runtime: Handle::current(), tasks: JoinSet::new(), left: Vec::new(), stops }
    }

    fn stop_of(&self, wanted: Stage) -> CancellationToken {
        let found = self.stops.iter().find(|(stage, _)| *stage == wanted);
        found.map(|(_, stop)| stop.clone()).expect("every stage has a token")
    }

    fn task(
        &mut self,
        name: &'static str,
        work: impl Future<Output = Result<(), Fatal>> + Send + 'static,
    ) {
        self.left.push(name);
        self.tasks.spawn(async move { (name, work.await) });
    }

    /// A thread of its own, watched like a task.
    fn thread(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&Handle) -> Result<(), Fatal> + Send + 'static,
    ) -> Result<(), Fatal> {
        let (done, ended) = tokio::sync::oneshot::channel();
        let runtime = self.runtime.clone();
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || drop(done.send(work(&runtime))))
            .map_err(|_| Fatal::Ended(name))?;
        self.task(name, async move { ended.await.unwrap_or(Err(Fatal::Ended(name))) });
        Ok(())
    }

    /// Judges on a thread of its own.
    pub fn engine(&mut self, engine: Engine) -> Result<(), Fatal> {
        let stop = self.stop_of(Stage::Engine);
        self.thread("engine", move |runtime| engine.run(runtime, &stop))
    }

    /// Carries out what is asked of stations, on a thread of its own.
    pub fn errands(&mut self, errands: Errands) -> Result<(), Fatal> {
        let stop = self.stop_of(Stage::Engine);
        self.thread("errands", move |runtime| errands.run(runtime, &stop))
    }

    /// Brings firmware to stations, on a thread of its own.
    pub fn firmware(&mut self, desk: FirmwareDesk) -> Result<(), Fatal> {
        let stop = self.stop_of(Stage::Engine);
        self.thread("firmware", move |runtime| desk.run(runtime, &stop))
    }

    /// Keeps history on a thread of its own, and seals it on another.
    pub fn history(&mut self, follower: Follower, keeper: Keeper) -> Result<(), Fatal> {
        let stop = self.stop_of(Stage::Engine);
        let sealed = CancellationToken::new();
        let followed = sealed.clone();
        self.thread("history", move |runtime| {
            give_way();
            // The keeper seals once more when the last record is applied.
            let _last = followed.drop_guard();
            follower.run(runtime, &stop)
        })?;
        self.thread("keeper", move |runtime| {
            give_way();
            keep(&keeper, runtime, &sealed)
        })
    }

    /// Brings readings to QuestDB, on a thread of its own that gives way.
    pub fn questdb(&mut self, follower: Option<questdb::Follower>) -> Result<(), Fatal> {
        let Some(follower) = follower else { return Ok(()) };
        let stop = self.stop_of(Stage::Engine);
        self.thread("questdb", move |runtime| {
            give_way();
            follower.run(runtime, &stop);
            Ok(())
        })
    }

    /// Sends what is due.
    pub fn deliver(&mut self, alerting: Alerting, channels: Channels) {
        let stop = self.stop_of(Stage::Outbox);
        self.task("outbox", async move {
            alerting.deliver(channels, stop).await;
            Ok(())
        });
    }

    /// Serves pages and the API.
    pub fn portal(&mut self, listener: TcpListener, portal: Portal) {
        let stop = self.stop_of(Stage::Portal);
        self.task("portal", async move {
            portal::serve(listener, portal, stop).await.map_err(|error| {
                tracing::error!(%error, "portal failed");
                Fatal::Ended("portal")
            })
        });
    }

    /// Reads the registry again when it changed.
    pub fn book(&mut self, book: Book) {
        let stop = self.stop_of(Stage::Clockwork);
        self.task("registry", async move {
            book.run(stop).await;
            Ok(())
        });
    }

    /// Lets stations call.
    pub fn door(&mut self, door: Door, threads: DoorThreads) -> Result<(), Fatal> {
        let stop = self.stop_of(Stage::Door);
        let hangup = hangups(door.reloader(), stop.clone());
        self.task("reload", hangup);
        self.thread("door", move |_| {
            threads.block_on(door.run(stop));
            Ok(())
        })
    }

    /// Takes from other people's brokers.
    pub fn upstreams(&mut self, upstreams: Vec<Upstream>) {
        if upstreams.is_empty() {
            return;
        }
        let stop = self.stop_of(Stage::Door);
        self.task("upstreams", async move {
            let mut all = JoinSet::new();
            for upstream in upstreams {
                all.spawn(upstream.run(stop.clone()));
            }
            all.join_all().await;
            Ok(())
        });
    }

    /// Takes the files of watched folders.
    pub fn drops(&mut self, drops: Vec<Drop>) {
        if drops.is_empty() {
            return;
        }
        let stop = self.stop_of(Stage::Door);
        self.task("drops", async move {
            let mut all = JoinSet::new();
            for drop in drops {
                all.spawn(drop.run(stop.clone()));
            }
            while let Some(ended) = all.join_next().await {
                match ended {
                    Ok(ended) => ended?,
                    Err(_) => return Err(Fatal::Ended("drops")),
                }
            }
            Ok(())
        });
    }

    /// Takes readings of the past that are imported beside it.
    pub fn imports(&mut self, drain: Drain) {
        let stop = self.stop_of(Stage::Door);
        self.task("imports", drain.run(stop));
    }

    /// Sends files to departments.
    pub fn exports(&mut self, exports: Vec<Export>) {
        if exports.is_empty() {
            return;
        }
        let stop = self.stop_of(Stage::Clockwork);
        self.task("exports", async move {
            let mut all = JoinSet::new();
            for export in exports {
                all.spawn(export.run(stop.clone()));
            }
            while let Some(ended) = all.join_next().await {
                match ended {
                    Ok(ended) => ended?,
                    Err(_) => return Err(Fatal::Ended("exports")),
                }
            }
            Ok(())
        });
    }

    /// Asks on Modbus lines.
    pub fn modbus(&mut self, master: Option<Master>) {
        let Some(master) = master else { return };
        let stop = self.stop_of(Stage::Door);
        self.task("modbus", async move {
            master.run(stop).await;
            Ok(())
        });
    }

    /// Listens to loggers on serial ports, and asks them.
    pub fn loggers(&mut self, loggers: Option<Loggers>) {
        let Some(loggers) = loggers else { return };
        let stop = self.stop_of(Stage::Door);
        self.task("serial", async move {
            loggers.run(stop).await;
            Ok(())
        });
    }

    /// Asks sensors on SDI-12 buses.
    pub fn sensors(&mut self, sensors: Option<Sensors>) {
        let Some(sensors) = sensors else { return };
        let stop = self.stop_of(Stage::Door);
        self.task("sdi12", async move {
            sensors.run(stop).await;
            Ok(())
        });
    }

    /// Puts the passing of time into the journal, keeps histograms small, feeds the service manager's watchdog.
    pub fn clockwork(&mut self, clock: Arc<dyn Clock>, config: &Config, metrics: PrometheusHandle) {
        let stop = self.stop_of(Stage::Clockwork);
        let journal = self.store.journal.clone();
        let (tick, grace) = (config.tick, config.start_grace);
        let started = clock.now();
        self.task("clock", async move {
            let mut last = started + grace;
            while !stop.is_cancelled() {
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(100)) => {}
                    () = stop.cancelled() => return Ok(()),
                }
                let now = clock.now();
                if tick <= now.since(last) {
                    last = now;
                    metrics.run_upkeep();
                    // While the disk is full this waits, as every append does.
                    tokio::select! {
                        done = journal.append(vec![Record::encode_clock(now)]) => { done?; }
                        () = stop.cancelled() => return Ok(()),
                    }
                }
            }
            Ok(())
        });
        let failed = self.store.journal.watch_state();
        self.failure("journal", failed);
        let failed = self.store.ledger.watch_state();
        self.failure("ledger", failed);
        let failed = self.store.dead_letters.watch_state();
        self.failure("dead letters", failed);
        let failed = self.store.said.watch_state();
        self.failure("said", failed);
        let failed = self.store.sessions.journal().watch_state();
        self.failure("sessions", failed);
    }

    /// A journal that failed ends the process: after a failed sync nothing may be acknowledged.
    fn failure(&mut self, name: &'static str, mut state: tokio::sync::watch::Receiver<State>) {
        let stop = self.stop_of(Stage::Portal);
        self.task(name, async move {
            tokio::select! {
                failed = state.wait_for(|state| matches!(state, State::Failed(_))) => match failed.as_deref() {
                    Ok(State::Failed(why)) => Err(JournalError::Failed(why.clone()).into()),
                    _ => Ok(()),
                },
                () = stop.cancelled() => Ok(()),
            }
        });
    }

    /// Checks while running that received = stored + refused + duplicate once everything in flight has arrived.
    pub fn accounts(&mut self, intake: Intake, tally: Arc<Tally>) {
        use std::sync::atomic::Ordering::{Acquire, Relaxed};
        let stop = self.stop_of(Stage::Clockwork);
        let journal = self.store.journal.clone();
        let already = journal.durable_end();
        self.task("accounts", async move {
            let mut base = None;
            let mut untracked = 0;
            while !stop.is_cancelled() {
                tokio::select! {
                    () = tokio::time::sleep(BOOK_EVERY) => {}
                    () = stop.cancelled() => return Ok(()),
                }
                let before = intake.accounts();
                let next = tally.next.load(Acquire);
                let kept = tally.stored.load(Relaxed) + tally.duplicate.load(Relaxed);
                // Only a moment in which nothing was in flight can be judged.
                if next < already
                    || next != journal.durable_end()
                    || before != intake.accounts()
                    || before.in_flight != 0
                {
                    continue;
                }
                // A connection that died in the middle of a commit: whether its readings came in is not known.
                if before.untracked != untracked {
                    untracked = before.untracked;
                    base = None;
                }
                let gone =
                    i128::from(before.received) - i128::from(before.refused) - i128::from(kept);
                let unaccounted = gone - *base.get_or_insert(gone);
                metrics::gauge!("saltline_readings_unaccounted").set(unaccounted as f64);
                if unaccounted != 0 {
                    tracing::error!(
                        unaccounted,
                        ?before,
                        kept,
                        "received readings are not all accounted for"
                    );
                }
            }
            Ok(())
        });
    }

    /// Runs until told to stop or until a part ends, then stops the others in order.
    pub async fn until(mut self, stop: CancellationToken) -> Result<(), Fatal> {
        let mut outcome = Ok(());
        tokio::select! {
            () = stop.cancelled() => tracing::info!("stopping"),
            Some(ended) = self.tasks.join_next() => {
                let (name, result) = self.ended(ended);
                outcome = result.and(Err(Fatal::Ended(name)));
            }
        }
        let stopped = tokio::time::timeout(STOP_MAX, self.stop_in_order()).await;
        match stopped {
            Ok(result) => outcome.and(result),
            Err(_) => {
                tracing::error!("not everything stopped in {} s", STOP_MAX.as_secs());
                outcome.and(Err(Fatal::Ended("a part that did not stop")))
            }
        }
    }

    async fn stop_in_order(&mut self) -> Result<(), Fatal> {
        let mut outcome = Ok(());
        let waits: [(Stage, &[&str]); 5] = [
            (
                Stage::Door,
                &["door", "reload", "upstreams", "modbus", "serial", "sdi12", "drops", "imports"],
            ),
            (Stage::Clockwork, &["clock", "registry", "accounts", "exports"]),
            (Stage::Engine, &["engine", "history", "keeper", "questdb", "errands", "firmware"]),
            (Stage::Outbox, &["outbox"]),
            (Stage::Portal, &["portal"]),
        ];
        for (stage, names) in waits {
            self.stop_of(stage).cancel();
            while names.iter().any(|name| self.left.contains(name)) {
                let Some(ended) = self.tasks.join_next().await else { break };
                let (_, result) = self.ended(ended);
                outcome = outcome.and(result);
            }
            tracing::debug!(?stage, "stopped");
        }
        outcome
    }

    fn ended(
        &mut self,
        ended: Result<(&'static str, Result<(), Fatal>), tokio::task::JoinError>,
    ) -> (&'static str, Result<(), Fatal>) {
        let Ok((name, result)) = ended else {
            // Which one cannot be told any more: nobody waits for a name that will not come.
            self.left.clear();
            return ("a part", Err(Fatal::Ended("a part")));
        };
        self.left.retain(|other| *other != name);
        (name, result)
    }
}

/// SIGHUP reads the certificates again.
async fn hangups(reloader: Reloader, stop: CancellationToken) -> Result<(), Fatal> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangups = signal(SignalKind::hangup()).map_err(|_| Fatal::Ended("signals"))?;
    loop {
        tokio::select! {
            _ = hangups.recv() => match reloader.reload() {
                Ok(()) => tracing::info!("certificates read again"),
                Err(error) => tracing::error!(%error, "certificates cannot be read; the old ones stay"),
            },
            () = stop.cancelled() => return Ok(()),
        }
    }
}
