//! All parts, put together: opened from the disk outward, so that nothing is served before everything behind it stands.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use alerting::{Alerting, AlertingError, Channels, EmailConfig, Roster, SmsConfig};
use analytics::quality::Live;
use analytics::rules::Analyzer;
use domain::{Clock, Rule, RuleError, Water};
use history::History;
use ingest::drop::Drop;
use ingest::modbus::Master;
use ingest::mqtt::{Door, DoorError, Publisher};
use ingest::sdi12::Sensors;
use ingest::serial::Loggers;
use ingest::upstream::{Upstream, UpstreamError};
use ingest::{ADMIT, BadRecord, Clocks, Intake, ParameterTable, SavedClocks, Seqs};
use journal::{JournalError, State};
use metrics_exporter_prometheus::PrometheusHandle;
use portal::{Portal, Readiness};
use registry::RegistryError;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::book::Book;
use crate::clock::SystemClock;
use crate::disk::Watch;
use crate::engine::{Engine, SharedAnalyzer};
use crate::errands::{Errands, SharedSeqs};
use crate::export::{Circular10, Export, ExportError, Source};
use crate::firmware::{FirmwareDesk, Images};
use crate::follow::{Follower, Keeper, Sealer, Tally};
use crate::front;
use crate::import::Drain;
use crate::judge::{Memory, SharedTests, Shelf, Tests};
use crate::publish::Outlet;
use crate::push;
use crate::questdb;
use crate::rules::{Rules, SharedRules};
use crate::running::Running;
use crate::settings::{Channel, Config, Reader};
use crate::snapshot;
use crate::store::{Store, StoreError};
use crate::threads::DoorThreads;

/// Live readings that a slow watcher may be behind: ten seconds of 2,000 stations' six values every 10 s.
const LIVE_MAX: usize = 16_384;

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
    /// A broker that we take from cannot be used.
    #[error("upstream does not serve")]
    Upstream(#[from] UpstreamError),
    /// Files for a department cannot be made.
    #[error("export does not serve")]
    Export(#[from] ExportError),
    /// QuestDB cannot be asked as it is configured.
    #[error("QuestDB cannot be used")]
    QuestDb(#[from] questdb::Trouble),
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
    let store = Store::open(&setting.config, setting.clock.clone()).await?;
    let parts = Parts::open(&setting, store.clone()).await?;
    let threads = DoorThreads::start()?;
    let door = {
        let _here = threads.enter();
        parts.door(&setting.config)?
    };
    let http = setting.config.http_listen;
    let listener =
        TcpListener::bind(http).await.map_err(|source| Fatal::Listen { address: http, source })?;
    let served = listener.local_addr().map_err(|source| Fatal::Listen { address: http, source })?;
    let at = door.addresses();
    let addresses = Addresses { mqtt: at.plain, mqtt_tls: at.tls, http: served };
    let running = parts.start(&setting, (door, threads), listener).await?;
    ready(addresses, &store);
    running.until(stop).await
}

/// The parts before they run.
struct Parts {
    store: Store,
    clock: Arc<dyn Clock>,
    tests: SharedTests,
    live: Live,
    analyzer: SharedAnalyzer,
    seqs: SharedSeqs,
    next: u64,
    rules: SharedRules,
    alerting: Alerting,
    channels: Channels,
    intake: Intake,
    book: u64,
}

impl Parts {
    async fn open(setting: &Setting, store: Store) -> Result<Self, Fatal> {
        let book = store.registry.version().await?;
        store.registry.refresh_keys().await?;
        let parameters = store.registry.parameters().await?;
        let roster = roster(&store).await?;
        let sorted = Rules::sort(&roster);
        let (analyzer, saved) = folded(&store, &roster, sorted.usable.clone())?;
        let rules = SharedRules::default();
        rules.set(sorted);
        let alerting = Alerting::open(store.ledger.clone(), setting.clock.clone())?;
        alerting.set_roster(roster);
        alerting.set_public_url(setting.config.public_url.as_deref());
        let intake = Intake::new(
            store.journal.clone(),
            store.dead_letters.clone(),
            ParameterTable::new(&parameters),
            ADMIT,
            setting.clock.clone(),
        )
        .hearing(store.said.clone());
        let stations = store.registry.stations().await?;
        let tests = Tests::of(&store.registry).await?;
        let live = match tests.plans() {
            Some(_) => Shelf::of_engine(&store.dir).load(saved.next),
            None => Live::default(),
        };
        intake.stations().set(stations);
        intake.clocks().restore(saved.clocks);
        Ok(Self {
            clock: setting.clock.clone(),
            tests: Arc::new(RwLock::new(Arc::new(tests))),
            live,
            analyzer: Arc::new(Mutex::new(analyzer)),
            seqs: Arc::new(Mutex::new(saved.seqs)),
            next: saved.next,
            rules,
            alerting,
            channels: channels(&setting.config)?,
            intake,
            book,
            store,
        })
    }

    fn door(&self, config: &Config) -> Result<Door, Fatal> {
        let gatekeeper = Arc::new(self.store.registry.clone());
        let (intake, sessions) = (self.intake.clone(), self.store.sessions.clone());
        Ok(Door::bind_remembering(config.mqtt.clone(), intake, gatekeeper, sessions)?)
    }

    fn firmware(&self, config: &Config, publisher: Publisher) -> FirmwareDesk {
        let wanted = &config.firmware;
        FirmwareDesk {
            registry: self.store.registry.clone(),
            said: self.store.said.clone(),
            history: self.store.history.clone(),
            publisher,
            images: Images::new(&self.store.dir, wanted.keys.clone(), wanted.image_bytes_max),
            chunk_bytes: wanted.chunk_bytes,
            rates: wanted.rates,
            start_grace: config.start_grace,
            clock: self.clock.clone(),
        }
    }

    fn upstreams(&self, setting: &Setting) -> Result<Vec<Upstream>, Fatal> {
        let upstream =
            |config: &ingest::upstream::Config| Upstream::new(config.clone(), &self.intake);
        Ok(setting.config.upstreams.iter().map(upstream).collect::<Result<_, _>>()?)
    }

    fn exports(&self, setting: &Setting, tally: &Arc<Tally>) -> Result<Vec<Export>, Fatal> {
        let source = Source {
            journal: self.store.journal.clone(),
            history: self.store.history.clone(),
            tally: tally.clone(),
            registry: self.store.registry.clone(),
            clock: self.clock.clone(),
            dir: self.store.dir.join("export"),
        };
        let export = |config: &Circular10| Export::open(config.clone(), source.clone());
        Ok(setting.config.exports.iter().map(export).collect::<Result<_, _>>()?)
    }

    /// QuestDB's follower, if there is one, and the store as the portal asks it.
    fn questdb(&self, config: &Config) -> Result<(Option<questdb::Follower>, History), Fatal> {
        let history = self.store.history.clone();
        let Some(at) = &config.questdb else { return Ok((None, history)) };
        let source = questdb::Source {
            journal: self.store.journal.clone(),
            behind: self.store.behind.clone(),
            data: self.store.dir.clone(),
            tests: self.tests.clone(),
        };
        let standing = Arc::new(questdb::Standing::default());
        let asked = match config.reader {
            Reader::Embedded => history,
            Reader::QuestDb => {
                history.asking(Arc::new(questdb::Reader::new(at, standing.clone())?))
            }
        };
        Ok((Some(questdb::Follower::new(at.clone(), source, standing)), asked))
    }

    fn modbus(&self, setting: &Setting) -> Option<Master> {
        let lines = setting.config.modbus.clone();
        (!lines.is_empty()).then(|| Master::new(lines, &self.intake, Some(&self.store.registry)))
    }

    fn loggers(&self, setting: &Setting) -> Option<Loggers> {
        let lines = setting.config.serial.clone();
        (!lines.is_empty()).then(|| Loggers::new(lines, &self.intake))
    }

    fn sensors(&self, setting: &Setting) -> Option<Sensors> {
        let buses = setting.config.sdi12.clone();
        (!buses.is_empty()).then(|| Sensors::new(buses, &self.intake))
    }

    async fn start(
        mut self,
        setting: &Setting,
        (door, threads): (Door, DoorThreads),
        listener: TcpListener,
    ) -> Result<Running, Fatal> {
        let publisher = door.publisher();
        let outlet = Outlet::new(publisher.clone());
        outlet.set_parameters(&self.store.registry.parameters().await?);
        let standing = self.analyzer.lock().unwrap_or_else(PoisonError::into_inner).standing();
        for one in standing.iter().filter(|one| matches!(one.water, Water::Exceed(_))) {
            outlet.warning(&one.station, &one.parameter, &standing);
        }
        // Rules may have gone while the engine was stopped: before it judges by the others.
        for alert in self.rules.get().withdraw(&self.alerting, self.clock.now()).await? {
            outlet.warning(&alert.station, &alert.parameter, &standing);
        }
        let (live, _) = broadcast::channel(LIVE_MAX);
        let tally = Arc::new(Tally::default());
        let upstreams = self.upstreams(setting)?;
        let state = self.store.dir.join("drop");
        let drop = |config: &ingest::drop::Config| Drop::new(config.clone(), &self.intake, &state);
        let drops = setting.config.drops.iter().map(drop).collect();
        let (modbus, loggers) = (self.modbus(setting), self.loggers(setting));
        let sensors = self.sensors(setting);
        let exports = self.exports(setting, &tally)?;
        let imports = {
            let (intake, journal) = (self.intake.clone(), self.store.journal.clone());
            Drain::new(&self.store.dir, intake, journal, tally.clone())
        };
        let mut running = Running::new(self.store.clone());
        let config = &setting.config;
        running.engine(Engine {
            journal: self.store.journal.clone(),
            behind: self.store.behind.clone(),
            dir: self.store.dir.clone(),
            tests: self.tests.clone(),
            live: std::mem::take(&mut self.live),
            analyzer: self.analyzer.clone(),
            seqs: self.seqs.clone(),
            clocks: self.intake.clocks().clone(),
            alerting: self.alerting.clone(),
            outlet: outlet.clone(),
            next: self.next,
        })?;
        let tested = self.tests.read().unwrap_or_else(PoisonError::into_inner).plans().is_some();
        let sealer = Sealer {
            history: self.store.history.clone(),
            memory: Memory::open(&self.store.dir, self.store.history.position(), tested),
            journal: self.store.journal.clone(),
            clock: self.clock.clone(),
        };
        running.history(
            Follower {
                journal: self.store.journal.clone(),
                behind: self.store.behind.clone(),
                history: self.store.history.clone(),
                sealer: sealer.clone(),
                tests: self.tests.clone(),
                live: live.clone(),
                outlet: outlet.clone(),
                tally: tally.clone(),
            },
            Keeper {
                sealer,
                journal: self.store.journal.clone(),
                dead_letters: self.store.dead_letters.clone(),
                dead_letter_bytes_max: config.dead_letter_bytes_max,
                retain: config.retain,
                disk: Mutex::new(Watch::new(&config.data_dir, config.disk)),
            },
        )?;
        let (follower, asked) = self.questdb(config)?;
        running.questdb(follower)?;
        running.clockwork(self.clock.clone(), config, setting.metrics.clone());
        running.accounts(self.intake.clone(), tally.clone());
        let firmware = self.firmware(config, publisher.clone());
        running.deliver(self.alerting.clone(), self.channels);
        running.errands(Errands {
            registry: self.store.registry.clone(),
            said: self.store.said.clone(),
            dead_letters: self.store.dead_letters.clone(),
            intake: self.intake.clone(),
            publisher,
            seqs: self.seqs.clone(),
            settle: config.gap_settle,
            clock: self.clock.clone(),
        })?;
        running.firmware(firmware)?;
        let room = (&self.analyzer, &self.rules);
        let heard = (&self.seqs, self.intake.clocks());
        let mut pages = portal(setting, &self.store, &self.alerting, room, heard, live);
        pages.history = asked;
        pages.beside.extend(front::addresses(door.attacher(), &self.store.registry));
        pages.beside.extend(push::addresses(&self.intake, &self.store.registry));
        running.portal(listener, pages);
        running.book(Book {
            store: self.store.clone(),
            seen: self.book,
            looks: 0,
            clock: self.clock.clone(),
            tests: self.tests,
            analyzer: self.analyzer,
            rules: self.rules,
            alerting: self.alerting,
            intake: self.intake,
            outlet,
            reviewer: door.reviewer(),
            next_end: None,
        });
        running.exports(exports);
        running.drops(drops);
        running.imports(imports);
        running.upstreams(upstreams);
        running.modbus(modbus);
        running.loggers(loggers);
        running.sensors(sensors);
        running.door(door, threads)?;
        Ok(running)
    }
}

fn portal(
    setting: &Setting,
    store: &Store,
    alerting: &Alerting,
    (analyzer, rules): (&SharedAnalyzer, &SharedRules),
    (seqs, clocks): (&SharedSeqs, &Clocks),
    live: broadcast::Sender<portal::LiveReading>,
) -> Portal {
    let (analyzer, rules) = (analyzer.clone(), rules.clone());
    let (metrics, behind) = (setting.metrics.clone(), store.behind.clone());
    let (journal, ledger) = (store.journal.clone(), store.ledger.clone());
    let sessions = store.sessions.journal().clone();
    Portal {
        history: store.history.clone(),
        registry: store.registry.clone(),
        alerting: alerting.clone(),
        standing: Arc::new(move || {
            let mut all = analyzer.lock().unwrap_or_else(PoisonError::into_inner).standing();
            all.extend(rules.get().unknown());
            all
        }),
        clock: setting.clock.clone(),
        wall: Arc::new(SystemClock),
        metrics: Arc::new(move || {
            behind.show();
            metrics.render()
        }),
        ready: Arc::new(move || {
            readiness(&[("journal", &journal), ("ledger", &ledger), ("sessions", &sessions)])
        }),
        live,
        demo: setting.demo,
        public_url: setting.config.public_url.clone(),
        field: Some(crate::field::shown(store, seqs, clocks, &setting.config.firmware.terms)),
        beside: Vec::new(),
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

/// What the desk has to know, with rivers by their names.
pub(crate) async fn roster(store: &Store) -> Result<Roster, Fatal> {
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

/// What was saved beside the analyzer, and the first record that they have not seen.
struct Folded {
    seqs: Seqs,
    clocks: SavedClocks,
    next: u64,
}

/// The analyzer as it was saved, and what was saved with it.
fn folded(store: &Store, book: &Roster, rules: Vec<Rule>) -> Result<(Analyzer, Folded), Fatal> {
    let intervals = book.stations.iter().map(|s| (s.code.clone(), s.interval));
    let mut analyzer = Analyzer::new(rules, intervals)?;
    let oldest = store.journal.oldest();
    let anew = || Folded { seqs: Seqs::default(), clocks: SavedClocks::default(), next: oldest };
    let Some(saved) = snapshot::load(&store.dir) else {
        return Ok((analyzer, anew()));
    };
    match analyzer.restore(saved.analyzer) {
        Ok(_) => {
            let (seqs, next) = (Seqs::restore(saved.seqs), saved.next.max(oldest));
            Ok((analyzer, Folded { seqs, clocks: saved.clocks, next }))
        }
        Err(error) => {
            tracing::warn!(%error, "engine state is of another version; folding the journal anew");
            Ok((analyzer, anew()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_sent_elsewhere_as_soon_as_a_sync_has_failed() {
        let dir = tempfile::tempdir().unwrap();
        let journal = journal::Journal::open(dir.path(), &journal::Config::default()).unwrap();
        assert_eq!(readiness(&[("journal", &journal)]), Readiness::Ready);
        journal.break_syncs();
        journal.append_blocking(vec![bytes::Bytes::from_static(b"salt")]).unwrap_err();
        let Readiness::NotReady(reasons) = readiness(&[("journal", &journal)]) else {
            panic!("a journal that failed is no place for work");
        };
        assert!(reasons[0].starts_with("journal: "), "{reasons:?}");
    }
}
