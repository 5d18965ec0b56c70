//! The engine as it runs in the field, put together in this process: the real door, journal, history, analyzer, desk
//! and portal in a folder of its own, a station that calls over a real socket, and a clock that only the story moves.
//!
//! A story waits for a state, never for a time. What must not happen is shown by what comes after it: the journal is
//! followed in order, so when a later reading is judged, everything before it has been decided.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use alerting::{Alerting, NoticeView};
use domain::{
    Alert, ChannelKind, Clock, Duty, Language, Level, ParameterCode, Person, PersonId, Rule,
    RuleCode, Station, StationCode, Timestamp,
};
use metrics_exporter_prometheus::PrometheusBuilder;
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS};
use saltline::assembly::{self, Addresses, Fatal, Setting};
use saltline::settings::Config;
use saltline::store::{Store, open_registry};
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes on a busy machine; a story that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A clock that stands still until the story moves it.
struct Held(AtomicI64);

impl Clock for Held {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// A running engine.
struct Engine {
    at: Addresses,
    store: Store,
    stop: CancellationToken,
    thread: JoinHandle<Result<(), Fatal>>,
}

/// A province with the station `xuan-hoa` (every 5 minutes), the rule `salt` on it (4 g/L, clear below 3.6, hold 10
/// minutes), and Ba Tư, who is told by SMS and has an e-mail address.
pub struct Story {
    dir: tempfile::TempDir,
    clock: Arc<Held>,
    key: String,
    engine: Option<Engine>,
    station: Option<Link>,
}

/// The station's connection.
struct Link {
    client: AsyncClient,
    events: EventLoop,
}

/// This time of 12 March 2026, as people in the province read it.
fn time(clock: &str) -> Timestamp {
    Timestamp::parse_rfc3339(&format!("2026-03-12T{clock}:00+07:00")).unwrap()
}

impl Story {
    /// Begins at this time of the day.
    pub async fn begin(clock: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = province(dir.path()).await;
        let clock = Arc::new(Held(AtomicI64::new(time(clock).as_millis())));
        let mut story = Self { dir, clock, key, engine: None, station: None };
        story.start().await;
        story
    }

    /// Starts the engine and lets the station call.
    pub async fn start(&mut self) {
        let mut config = Config::read(None, []).unwrap();
        config.data_dir = self.dir.path().to_owned();
        (config.mqtt.listen, config.http_listen) = (loopback(), loopback());
        config.start_grace = Duration::ZERO;
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let setting = Setting { config, clock: self.clock.clone(), metrics, demo: false };
        let stop = CancellationToken::new();
        let (ready, started) = tokio::sync::oneshot::channel();
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread();
            let runtime = { runtime }.worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(assembly::run(setting, stopped, |at, store| {
                drop(ready.send((at, store.clone())));
            }))
        });
        let (at, store) = started.await.expect("the engine starts");
        self.engine = Some(Engine { at, store, stop, thread });
        self.station = Some(self.call().await);
    }

    async fn call(&self) -> Link {
        let at = self.at().mqtt;
        let mut options = MqttOptions::new("xuan-hoa", at.ip().to_string(), at.port());
        options.set_credentials("xuan-hoa", &self.key).set_clean_session(true);
        let (client, mut events) = AsyncClient::new(options, 16);
        loop {
            if let Event::Incoming(Packet::ConnAck(_)) = events.poll().await.unwrap() {
                return Link { client, events };
            }
        }
    }

    /// Stops the engine in order; what it ended with.
    pub fn stop(&mut self) -> Result<(), Fatal> {
        self.station = None;
        let Engine { store, stop, thread, .. } = self.engine.take().expect("the engine runs");
        stop.cancel();
        let ended = thread.join().expect("the engine does not panic");
        drop(store);
        ended
    }

    /// Forgets the saved state: the next start folds the journal from its beginning, as after a lost file.
    pub fn forget_state(&self) {
        std::fs::remove_file(self.dir.path().join("engine.json")).unwrap();
    }

    /// It is this late now.
    pub fn at_clock(&self, clock: &str) {
        self.clock.0.store(time(clock).as_millis(), Ordering::SeqCst);
    }

    /// The station reports this salinity, taken now, and has its acknowledgement.
    pub async fn reads(&mut self, clock: &str, salinity: f64) {
        self.says(clock, &format!("{{\"salinity\": {salinity}}}"), "").await;
    }

    /// The station reports these values, taken now, and has its acknowledgement.
    pub async fn says(&mut self, clock: &str, values: &str, more: &str) {
        self.at_clock(clock);
        self.sends(&report(clock, values, more)).await;
    }

    /// The station sends what its memory kept: a backlog.
    pub async fn sends_backlog(&mut self, readings: &[(&str, f64)]) {
        let reports: Vec<_> = readings
            .iter()
            .map(|(clock, value)| {
                report(clock, &format!("{{\"salinity\": {value}}}"), ", \"replay\": true")
            })
            .collect();
        self.sends(&format!("[{}]", reports.join(","))).await;
    }

    async fn sends(&mut self, payload: &str) {
        assert!(self.publish(payload).await, "the station is acknowledged");
    }

    /// Publishes and waits; was it acknowledged?
    pub async fn publish(&mut self, payload: &str) -> bool {
        let link = self.station.as_mut().expect("the station is connected");
        let topic = "stations/xuan-hoa/readings";
        link.client.publish(topic, QoS::AtLeastOnce, false, payload).await.unwrap();
        let acknowledged = async {
            loop {
                match link.events.poll().await {
                    Ok(Event::Incoming(Packet::PubAck(_))) => return true,
                    Ok(_) => {}
                    Err(_) => return false,
                }
            }
        };
        tokio::time::timeout(PATIENCE, acknowledged).await.expect("an answer or the end")
    }

    /// Waits until the newest alert has lived through just these events.
    pub async fn expect_events(&self, expected: &[&str]) {
        self.until(&format!("{expected:?}"), |story| {
            let alerts = story.memory().alerts();
            let lived = alerts.first().map_or(Vec::new(), |alert| events(alert));
            (lived == expected).then_some(()).ok_or_else(|| format!("{lived:?}"))
        })
        .await;
    }

    /// Waits until a reading of this time stands under the rule in this state: everything before it has been decided.
    pub async fn expect_judged(&self, clock: &str, state: &str) {
        let taken = time(clock).to_string();
        self.until(&format!("{state} as of {clock}"), |story| {
            let text = story.get("/api/v1/warnings").1;
            let all: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            let one = &all[0];
            let stands = one["state"] == state && one["taken_at"] == taken.as_str();
            stands.then_some(()).ok_or(text)
        })
        .await;
    }

    /// Alerts that there are, open or over.
    pub fn alerts(&self) -> usize {
        self.memory().alerts().len()
    }

    /// SMS and e-mails that were ever made.
    pub fn told(&self) -> (usize, usize) {
        let notices = self.notices();
        let over = |kind| notices.iter().filter(|n| n.notice.channel == kind).count();
        (over(ChannelKind::Sms), over(ChannelKind::Email))
    }

    /// The notices, newest first.
    pub fn notices(&self) -> Vec<NoticeView> {
        self.memory().notices(usize::MAX)
    }

    /// What a start would remember: the fold of the ledger as it is on disk.
    fn memory(&self) -> Alerting {
        let ledger = self.engine.as_ref().expect("the engine runs").store.ledger.clone();
        Alerting::open(ledger, self.clock.clone()).unwrap()
    }

    /// Takes the rule out of the book, as `saltline rule remove salt` does.
    pub async fn remove_rule(&self) {
        let registry = &self.engine.as_ref().expect("the engine runs").store.registry;
        registry.drop_rule(&RuleCode::new("salt").unwrap()).await.unwrap();
    }

    /// Writes which series are tested how; it holds from the next start on.
    pub async fn types_quality(&self, document: &str) {
        let registry = &self.engine.as_ref().expect("the engine runs").store.registry;
        registry.put_quality(document).await.unwrap();
    }

    /// From now on the disk under the readings' journal reports an error at every sync.
    pub fn break_disk(&self) {
        self.engine.as_ref().expect("the engine runs").store.journal.break_syncs();
    }

    /// Asks the portal; status 0 where nobody answers.
    pub fn get(&self, path: &str) -> (u16, String) {
        get(self.at().http, path).unwrap_or_default()
    }

    fn at(&self) -> Addresses {
        self.engine.as_ref().expect("the engine runs").at
    }

    async fn until(&self, wanted: &str, look: impl Fn(&Self) -> Result<(), String>) {
        let begun = Instant::now();
        loop {
            match look(self) {
                Ok(()) => return,
                Err(found) if PATIENCE < begun.elapsed() => panic!("want {wanted}, found {found}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn report(clock: &str, values: &str, more: &str) -> String {
    format!("{{\"time\": \"2026-03-12T{clock}:00+07:00\", \"values\": {values}{more}}}")
}

fn events(alert: &Alert) -> Vec<&'static str> {
    alert.events.iter().map(|event| event.kind.as_str()).collect()
}

fn get(at: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut socket = TcpStream::connect(at).ok()?;
    write!(socket, "GET {path} HTTP/1.1\r\nHost: saltline\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    socket.read_to_string(&mut text).ok()?;
    let status = text.get(9..12)?.parse().ok()?;
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    // A body in chunks has its length before it; ours are one chunk of JSON.
    let json = body.find(['[', '{']).map_or(body, |begin| &body[begin..]);
    let json = json.rfind([']', '}']).map_or(json, |end| &json[..=end]);
    Some((status, json.to_owned()))
}

/// Writes the province's book; returns the station's key.
async fn province(dir: &Path) -> String {
    let registry = open_registry(dir).await.unwrap();
    let code = StationCode::new("xuan-hoa").unwrap();
    let mut station = Station::new(code.clone());
    (station.name, station.interval) = ("Cống Xuân Hòa".to_owned(), Duration::from_mins(5));
    let key = registry.add_station(&station).await.unwrap();
    let rule = Rule {
        code: RuleCode::new("salt").unwrap(),
        name: "Lấy nước ngọt".to_owned(),
        parameter: ParameterCode::new("salinity").unwrap(),
        stations: vec![code],
        levels: vec![Level { limit: 4.0, clear: 3.6 }],
        hold: Duration::from_mins(10),
    };
    registry.put_rule(&rule).await.unwrap();
    let person = Person {
        id: PersonId::new("ba-tu").unwrap(),
        name: "Ba Tư".to_owned(),
        phone: Some("+84900000001".to_owned()),
        email: Some("ba-tu@example.vn".to_owned()),
        language: Language::VietnameseUnmarked,
    };
    registry.put_person(&person).await.unwrap();
    let duty = Duty {
        person: person.id,
        rule: Some(rule.code),
        station: None,
        channel: ChannelKind::Sms,
        from_level: 0,
    };
    registry.put_duty(&duty).await.unwrap();
    registry.close().await;
    key.reveal().to_owned()
}
