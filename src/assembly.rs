//! All parts, put together and taken apart: opened from the rim inward, stopped in the order of a reading's way: front
//! door, commit, outbox, history, portal.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use alerting::{Alerting, AlertingError, Channels, EmailConfig, Roster, SmsConfig};
use analytics::quality::Quality;
use analytics::rules::Analyzer;
use domain::{Clock, RuleError, Water};
use ingest::mqtt::{Door, DoorError, Reloader};
use ingest::{ADMIT, BadRecord, Intake, ParameterTable, Record};
use journal::{JournalError, State};
use metrics_exporter_prometheus::PrometheusHandle;
use portal::{Portal, Readiness};
use registry::RegistryError;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::broadcast;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, SharedAnalyzer};
use crate::follow::{Follower, Keeper, SharedQuality, Tally, keep};
use crate::publish::Outlet;
use crate::settings::{Channel, Config};
use crate::snapshot;
use crate::store::{Store, StoreError};

/// Everything that stops must have stopped by then; systemd's own patience is 90 s.
const STOP_MAX: Duration = Duration::from_secs(30);

/// Live readings that a slow watcher may be behind: ten seconds of 2,000 stations' six values every 10 s.
const LIVE_MAX: usize = 16_384;

/// How often the registry is asked whether somebody changed it.
const BOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks at the registry between two clean-ups of expired logins: an hour.
const SESSIONS_EVERY: u32 = 3_600;

/// Why the engine cannot run, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// The data folder does not serve.
    #[error("data folder does not serve")]
    Store(#[from] StoreError),
    /// A journal failed or is damaged.
    #[error("journal does not serve")]
    Journal(#[from] JournalError),
    /// A record of the journal is of a kind that this program does not know.
    #[error("journal holds a record that cannot be read")]
    Record(#[from] BadRecord),
    /// The desk cannot remember.
    #[error("ledger does not serve")]
    Alerting(#[from] AlertingError),
    /// The registry does not answer.
    #[error("registry does not serve")]
    Registry(#[from] RegistryError),
    /// A rule cannot be computed.
    #[error("rule does not hold")]
    Rule(#[from] RuleError),
    /// The front door cannot be opened.
    #[error("MQTT cannot be served")]
    Door(#[from] DoorError),
    /// The pages' address cannot be listened on.
    #[error("HTTP cannot be served on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A channel's URL cannot be meant.
    #[error("channel {channel}: {why}")]
    Channel {
        /// Which channel.
        channel: &'static str,
        /// What is wrong, without the password.
        why: String,
    },
    /// A part ended by a bug.
    #[error("{0} ended unexpectedly")]
    Ended(&'static str),
}

/// What is the same for the real engine and for the demo.
pub struct Setting {
    /// What a person configured.
    pub config: Config,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Renders `/metrics`.
    pub metrics: PrometheusHandle,
    /// Show `/outbox` and say that this is a demo.
    pub demo: bool,
}

/// Where a running engine serves.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// Plain MQTT.
    pub mqtt: SocketAddr,
    /// MQTT over TLS.
    pub mqtt_tls: Option<SocketAddr>,
    /// Pages and API.
    pub http: SocketAddr,
}

/// Opens everything, calls `ready` when it serves, and runs until `stop`, or until a part fails for good.
///
/// # Errors
/// [`Fatal`]: why it did not start, or why it had to stop.
pub async fn run(
    setting: Setting,
    stop: CancellationToken,
    ready: impl FnOnce(Addresses, &Store),
) -> Result<(), Fatal> {
    let store = Store::open(&setting.config).await?;
    let parts = Parts::open(&setting, store.clone()).await?;
    let door = parts.door(&setting.config)?;
    let http = setting.config.http_listen;
    let listener =
        TcpListener::bind(http).await.map_err(|source| Fatal::Listen { address: http, source })?;
    let served = listener.local_addr().map_err(|source| Fatal::Listen { address: http, source })?;
    let at = door.addresses();
    let addresses = Addresses { mqtt: at.plain, mqtt_tls: at.tls, http: served };
    let running = parts.start(&setting, door, listener).await?;
    ready(addresses, &store);
    running.until(stop).await
}

/// The parts before they run.
struct Parts {
    store: Store,
    clock: Arc<dyn Clock>,
    quality: SharedQuality,
    analyzer: SharedAnalyzer,
    next: u64,
    alerting: Alerting,
    channels: Channels,
    intake: Intake,
    book: u64,
}

impl Parts {
    async fn open(setting: &Setting, store: Store) -> Result<Self, Fatal> {
        let book = store.registry.version().await?;
        let parameters = store.registry.parameters().await?;
        let (analyzer, next) = analyzer(&store).await?;
        let alerting = Alerting::open(store.ledger.clone(), setting.clock.clone())?;
        alerting.set_roster(roster(&store).await?);
        alerting.set_public_url(setting.config.public_url.as_deref());
        let intake = Intake::new(
            store.journal.clone(),
            store.dead_letters.clone(),
            ParameterTable::new(&parameters),
            ADMIT,
            setting.clock.clone(),
        );
        Ok(Self {
            clock: setting.clock.clone(),
            quality: Arc::new(RwLock::new(Arc::new(Quality::new(&parameters)))),
            analyzer: Arc::new(Mutex::new(analyzer)),
            next,
            alerting,
            channels: channels(&setting.config)?,
            intake,
            book,
            store,
        })
    }

    fn door(&self, config: &Config) -> Result<Door, Fatal> {
        let wanted = ingest::mqtt::Config {
            listen: config.mqtt_listen,
            tls: config.mqtt_tls.as_ref().map(|tls| ingest::mqtt::TlsConfig {
                listen: tls.listen,
                certificate: tls.cert_file.clone(),
                key: tls.key_file.clone(),
            }),
            connections_max: config.connections_max,
            connections_per_address_max: config.connections_per_address_max,
            packet_bytes_max: config.packet_bytes_max,
            ..ingest::mqtt::Config::default()
        };
        let gatekeeper = Arc::new(self.store.registry.clone());
        Ok(Door::bind(wanted, self.intake.clone(), gatekeeper)?)
    }

    async fn start(
        self,
        setting: &Setting,
        door: Door,
        listener: TcpListener,
    ) -> Result<Running, Fatal> {
        let outlet = Outlet::new(door.publisher());
        outlet.set_parameters(&self.store.registry.parameters().await?);
        let standing = self.analyzer.lock().unwrap_or_else(PoisonError::into_inner).standing();
        for one in standing.iter().filter(|one| matches!(one.water, Water::Exceed(_))) {
            outlet.warning(&one.station, &one.parameter, &standing);
        }
        let (live, _) = broadcast::channel(LIVE_MAX);
        let tally = Arc::new(Tally::default());
        let mut running = Running::new(self.store.clone());
        let config = &setting.config;
        running.engine(Engine {
            journal: self.store.journal.clone(),
            dir: self.store.dir.clone(),
            quality: self.quality.clone(),
            analyzer: self.analyzer.clone(),
            alerting: self.alerting.clone(),
            outlet: outlet.clone(),
            next: self.next,
        })?;
        running.history(
            Follower {
                journal: self.store.journal.clone(),
                history: self.store.history.clone(),
                quality: self.quality.clone(),
                live: live.clone(),
                outlet: outlet.clone(),
                tally: tally.clone(),
                retain: config.retain,
                clock: self.clock.clone(),
            },
            Keeper {
                history: self.store.history.clone(),
                journal: self.store.journal.clone(),
                dead_letters: self.store.dead_letters.clone(),
                dead_letter_bytes_max: config.dead_letter_bytes_max,
                retain: config.retain,
                clock: self.clock.clone(),
            },
        )?;
        running.clockwork(self.clock.clone(), config, setting.metrics.clone());
        running.accounts(self.intake.clone(), tally.clone());
        running.deliver(self.alerting.clone(), self.channels);
        running
            .portal(listener, portal(setting, &self.store, &self.alerting, &self.analyzer, live));
        running.book(Book {
            store: self.store.clone(),
            seen: self.book,
            looks: 0,
            clock: self.clock.clone(),
            quality: self.quality,
            analyzer: self.analyzer,
            alerting: self.alerting,
            intake: self.intake,
            outlet,
        });
        running.door(door);
        Ok(running)
    }
}

fn portal(
    setting: &Setting,
    store: &Store,
    alerting: &Alerting,
    analyzer: &SharedAnalyzer,
    live: broadcast::Sender<portal::LiveReading>,
) -> Portal {
    let analyzer = analyzer.clone();
    let metrics = setting.metrics.clone();
    let (journal, ledger) = (store.journal.clone(), store.ledger.clone());
    Portal {
        history: store.history.clone(),
        registry: store.registry.clone(),
        alerting: alerting.clone(),
        standing: Arc::new(move || {
            analyzer.lock().unwrap_or_else(PoisonError::into_inner).standing()
        }),
        clock: setting.clock.clone(),
        metrics: Arc::new(move || metrics.render()),
        ready: Arc::new(move || readiness(&[("journal", &journal), ("ledger", &ledger)])),
        live,
        demo: setting.demo,
        public_url: setting.config.public_url.clone(),
    }
}

fn readiness(journals: &[(&str, &journal::Journal)]) -> Readiness {
    let reasons = journals.iter().filter_map(|(name, journal)| match journal.state() {
        State::Healthy => None,
        State::Full => Some(format!("{name}: the disk is full")),
        State::Failed(why) => Some(format!("{name}: {why}")),
    });
    match reasons.collect::<Vec<_>>() {
        none if none.is_empty() => Readiness::Ready,
        some => Readiness::NotReady(some),
    }
}

async fn roster(store: &Store) -> Result<Roster, Fatal> {
    let rivers = store.registry.rivers().await?;
    let mut stations = store.registry.stations().await?;
    for station in &mut stations {
        // People are told the river's name, not its code.
        let named = rivers.iter().find(|river| Some(&river.code) == station.river.as_ref());
        station.river = named.map(|river| river.name.clone()).or(station.river.take());
    }
    Ok(Roster {
        people: store.registry.people().await?,
        duties: store.registry.duties().await?,
        stations,
        rules: store.registry.rules().await?,
        parameters: store.registry.parameters().await?,
    })
}

/// The analyzer as it was saved, and the first record it has not seen.
async fn analyzer(store: &Store) -> Result<(Analyzer, u64), Fatal> {
    let rules = store.registry.rules().await?;
    let intervals = store.registry.stations().await?.into_iter().map(|s| (s.code, s.interval));
    let mut analyzer = Analyzer::new(rules, intervals)?;
    let oldest = store.journal.oldest();
    let Some(saved) = snapshot::load(&store.dir) else { return Ok((analyzer, oldest)) };
    match analyzer.restore(saved.analyzer) {
        Ok(_) => Ok((analyzer, saved.next.max(oldest))),
        Err(error) => {
            tracing::warn!(%error, "engine state is of another version; folding the journal anew");
            Ok((analyzer, oldest))
        }
    }
}

fn channels(config: &Config) -> Result<Channels, Fatal> {
    let bad =
        |channel, why: &dyn std::fmt::Display| Fatal::Channel { channel, why: why.to_string() };
    let email = |text: &Channel| {
        EmailConfig::parse(&text.url, &text.from).map_err(|error| bad("email", &error))
    };
    let sms = |text: &Channel| SmsConfig::parse(&sms_url(text)).map_err(|error| bad("sms", &error));
    Ok(Channels {
        email: config.email.as_ref().map(email).transpose()?,
        sms: config.sms.as_ref().map(sms).transpose()?,
    })
}

/// The sender belongs into the URL's options, unless one stands there already.
fn sms_url(channel: &Channel) -> String {
    match channel.url.split_once('?') {
        None => format!("{}?source={}", channel.url, channel.from),
        Some((_, options)) if options.split('&').any(|option| option.starts_with("source=")) => {
            channel.url.clone()
        }
        Some(_) => format!("{}&source={}", channel.url, channel.from),
    }
}

/// Reads the registry again when somebody changed it.
struct Book {
    store: Store,
    seen: u64,
    looks: u32,
    clock: Arc<dyn Clock>,
    quality: SharedQuality,
    analyzer: SharedAnalyzer,
    alerting: Alerting,
    intake: Intake,
    outlet: Outlet,
}

impl Book {
    async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep(BOOK_EVERY) => {}
                () = stop.cancelled() => return,
            }
            if let Err(error) = self.look().await {
                metrics::counter!("saltline_registry_read_failed_total").increment(1);
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "cannot read the registry; going on with what is known"
                );
            }
        }
    }

    async fn look(&mut self) -> Result<(), Fatal> {
        if self.looks.is_multiple_of(SESSIONS_EVERY) {
            self.store.registry.drop_expired_sessions(self.clock.now()).await?;
        }
        self.looks = self.looks.wrapping_add(1);
        let version = self.store.registry.version().await?;
        if version == self.seen {
            return Ok(());
        }
        let roster = roster(&self.store).await?;
        *self.quality.write().unwrap_or_else(PoisonError::into_inner) =
            Arc::new(Quality::new(&roster.parameters));
        self.intake.set_parameters(ParameterTable::new(&roster.parameters));
        self.outlet.set_parameters(&roster.parameters);
        let intervals: Vec<_> =
            roster.stations.iter().map(|s| (s.code.clone(), s.interval)).collect();
        {
            let mut analyzer = self.analyzer.lock().unwrap_or_else(PoisonError::into_inner);
            analyzer.set_intervals(intervals);
            analyzer.set_rules(roster.rules.clone())?;
        }
        self.alerting.set_roster(roster);
        self.seen = version;
        tracing::info!(version, "registry read again");
        Ok(())
    }
}

/// The parts while they run, each with the token that stops it.
struct Running {
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
    fn new(store: Store) -> Self {
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

    fn engine(&mut self, engine: Engine) -> Result<(), Fatal> {
        let stop = self.stop_of(Stage::Engine);
        self.thread("engine", move |runtime| engine.run(runtime, &stop))
    }

    fn history(&mut self, follower: Follower, keeper: Keeper) -> Result<(), Fatal> {
        let stop = self.stop_of(Stage::Engine);
        let sealed = CancellationToken::new();
        let followed = sealed.clone();
        self.thread("history", move |runtime| {
            // The keeper seals once more when the last record is applied.
            let _last = followed.drop_guard();
            follower.run(runtime, &stop)
        })?;
        self.thread("keeper", move |runtime| keep(&keeper, runtime, &sealed))
    }

    fn deliver(&mut self, alerting: Alerting, channels: Channels) {
        let stop = self.stop_of(Stage::Outbox);
        self.task("outbox", async move {
            alerting.deliver(channels, stop).await;
            Ok(())
        });
    }

    fn portal(&mut self, listener: TcpListener, portal: Portal) {
        let stop = self.stop_of(Stage::Portal);
        self.task("portal", async move {
            portal::serve(listener, portal, stop).await.map_err(|error| {
                tracing::error!(%error, "portal failed");
                Fatal::Ended("portal")
            })
        });
    }

    fn book(&mut self, book: Book) {
        let stop = self.stop_of(Stage::Clockwork);
        self.task("registry", async move {
            book.run(stop).await;
            Ok(())
        });
    }

    fn door(&mut self, door: Door) {
        let stop = self.stop_of(Stage::Door);
        let hangup = hangups(door.reloader(), stop.clone());
        self.task("reload", hangup);
        self.task("door", async move {
            door.run(stop).await;
            Ok(())
        });
    }

    /// Puts the passing of time into the journal, keeps histograms small, feeds the service manager's watchdog.
    fn clockwork(&mut self, clock: Arc<dyn Clock>, config: &Config, metrics: PrometheusHandle) {
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
    fn accounts(&mut self, intake: Intake, tally: Arc<Tally>) {
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
    async fn until(mut self, stop: CancellationToken) -> Result<(), Fatal> {
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
            (Stage::Door, &["door", "reload"]),
            (Stage::Clockwork, &["clock", "registry", "accounts"]),
            (Stage::Engine, &["engine", "history", "keeper"]),
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
