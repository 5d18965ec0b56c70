//! A door on a free port with real journals in a folder of its own, and clients that speak raw packets to it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use domain::{Clock, Station, StationCode, Timestamp};
use futures_util::future::BoxFuture;
use ingest::mqtt::{Addresses, Admission, Config, Denied, Door, Entry, Gatekeeper, Grant, Verb};
use ingest::mqtt::{Publisher, Reloader, Reviewer, SessionLog};
use ingest::{ADMIT, Intake, ParameterTable};
use journal::Journal;
use rumqttc::mqttbytes::{self, v4};
use rumqttc::v5::mqttbytes::{Error as Error5, v5};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes; a test that reaches it has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);
pub const KEY: &str = "a-key";
pub const REPORT: &str = r#"{"seq":1,"values":{"salinity":8.85,"water_level":1.12,"ph":7.1}}"#;

pub struct Stand {
    pub addresses: Addresses,
    pub publisher: Publisher,
    pub reloader: Reloader,
    pub reviewer: Reviewer,
    pub journal: Journal,
    pub dead: Journal,
    pub stop: CancellationToken,
    pub running: JoinSet<()>,
    pub sessions: Option<SessionLog>,
    config: Config,
    clock: Arc<Moved>,
    dir: tempfile::TempDir,
}

/// A clock that tests move.
pub struct Moved(AtomicI64);

impl Moved {
    pub fn by(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000, Ordering::Relaxed);
    }
}

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// Stations `vam-kenh` and `xuan-hoa`; guests `board`, who reads what is published, and `all` and its two twins, who may
/// do everything.
struct Keys(HashMap<String, Entry>);

impl Keys {
    fn new() -> Self {
        let station = |code: &str| {
            let station = Station::new(StationCode::new(code).unwrap());
            (code.to_owned(), Entry::Station(Arc::new(station)))
        };
        let guest = |name: &str, grants: &[(&str, Verb)]| {
            let grant = |(filter, verb): &(&str, Verb)| Grant::new(filter, *verb).unwrap();
            let grants = grants.iter().map(grant).collect();
            (name.to_owned(), Entry::Guest { name: name.to_owned(), grants })
        };
        Self(HashMap::from([
            station("vam-kenh"),
            station("xuan-hoa"),
            guest("board", &[("latest/#", Verb::Read), ("stations/#", Verb::Read)]),
            guest("all", &[("#", Verb::ReadAndWrite)]),
            guest(
                "gateway",
                &[("application/7/#", Verb::Write), ("spBv1.0/tg/#", Verb::ReadAndWrite)],
            ),
            guest("all-2", &[("#", Verb::ReadAndWrite)]),
            guest("all-3", &[("#", Verb::ReadAndWrite)]),
        ]))
    }
}

impl Gatekeeper for Keys {
    fn login<'a>(
        &'a self,
        user: &'a str,
        password: &'a [u8],
    ) -> BoxFuture<'a, Result<Admission, Denied>> {
        let entry = self.0.get(user).filter(|_| password == KEY.as_bytes()).cloned();
        Box::pin(async move {
            match entry {
                _ if user == "broken-book" => Err(Denied::Unavailable),
                Some(entry) => Ok(entry.into()),
                None => Err(Denied::WrongKey),
            }
        })
    }
}

pub fn config() -> Config {
    Config {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        denied_delay: Duration::from_millis(5),
        ..Config::default()
    }
}

pub fn stand() -> Stand {
    stand_with(config())
}

pub fn stand_with(config: Config) -> Stand {
    stand_behind(config, Arc::new(Keys::new()))
}

pub fn stand_behind(config: Config, gatekeeper: Arc<dyn Gatekeeper>) -> Stand {
    let clock = Arc::new(Moved(AtomicI64::new(1_773_266_400_000)));
    stand_in(tempfile::tempdir().unwrap(), config, gatekeeper, clock, Memory::Lost)
}

/// A stand that remembers its clients on disk.
pub fn remembering(config: Config) -> Stand {
    let clock = Arc::new(Moved(AtomicI64::new(1_773_266_400_000)));
    let gatekeeper = Arc::new(Keys::new());
    stand_in(tempfile::tempdir().unwrap(), config, gatekeeper, clock, Memory::Kept)
}

#[derive(Clone, Copy, PartialEq)]
enum Memory {
    Kept,
    Lost,
}

fn stand_in(
    dir: tempfile::TempDir,
    config: Config,
    gatekeeper: Arc<dyn Gatekeeper>,
    clock: Arc<Moved>,
    memory: Memory,
) -> Stand {
    let journals = journal::Config::default();
    let journal = Journal::open(&dir.path().join("journal"), &journals).unwrap();
    let dead = Journal::open(&dir.path().join("deadletter"), &journals).unwrap();
    let table = ParameterTable::new(&domain::standard_parameters());
    let intake = Intake::new(journal.clone(), dead.clone(), table, ADMIT, clock.clone());
    let known_as = vec!["24e124136b502217".to_owned(), "tg/edge/pier".to_owned()];
    let station = Station::new(StationCode::new("vam-kenh").unwrap());
    intake.stations().set([Station { known_as, ..station }]);
    let sessions = (memory == Memory::Kept)
        .then(|| SessionLog::open(&dir.path().join("sessions"), clock.clone()).unwrap());
    let door = match &sessions {
        None => Door::bind(config.clone(), intake, gatekeeper).unwrap(),
        Some(log) => {
            Door::bind_remembering(config.clone(), intake, gatekeeper, log.clone()).unwrap()
        }
    };
    let stop = CancellationToken::new();
    let (addresses, publisher, reloader) = (door.addresses(), door.publisher(), door.reloader());
    let reviewer = door.reviewer();
    let mut running = JoinSet::new();
    running.spawn(door.run(stop.clone()));
    Stand {
        addresses,
        publisher,
        reloader,
        reviewer,
        journal,
        dead,
        stop,
        running,
        sessions,
        config,
        clock,
        dir,
    }
}

/// Copies what a power cut leaves. What follows in time is copied last.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    let mut entries: Vec<_> =
        std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap()).collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.file_name()));
    for entry in entries {
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}

impl Stand {
    /// The power goes, and comes back so many seconds later: another stand, on what was on disk at this moment.
    pub fn cut(self, seconds: i64) -> Stand {
        let dir = tempfile::tempdir().unwrap();
        copy(self.dir.path(), dir.path());
        self.clock.by(seconds);
        stand_in(dir, self.config.clone(), Arc::new(Keys::new()), self.clock.clone(), Memory::Kept)
    }

    pub async fn socket(&self) -> Raw<TcpStream> {
        Raw::new(TcpStream::connect(self.addresses.plain).await.unwrap())
    }

    /// A client of 3.1.1 that was welcomed.
    pub async fn v4(&self, user: &str) -> Raw<TcpStream> {
        let mut raw = self.socket().await;
        let ack = raw.hello4(&hello4(user)).await;
        assert_eq!(ack.code, v4::ConnectReturnCode::Success);
        raw
    }

    /// A client of 5.0 that was welcomed.
    pub async fn v5(&self, user: &str) -> Raw<TcpStream> {
        let mut raw = self.socket().await;
        let ack = raw.hello5(&hello5(user), None, user, KEY).await;
        assert_eq!(ack.code, v5::ConnectReturnCode::Success);
        raw
    }
}

pub fn hello4(user: &str) -> v4::Connect {
    let mut connect = v4::Connect::new(user);
    connect.set_login(user, KEY);
    connect
}

pub fn hello5(user: &str) -> v5::Connect {
    let client_id = user.to_owned();
    v5::Connect { keep_alive: 60, client_id, clean_start: true, properties: None }
}

/// A socket and the packets on it.
pub struct Raw<S> {
    pub stream: S,
    buffer: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    pub async fn send4(&mut self, packet: &v4::Packet) {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, usize::MAX).unwrap();
        self.send(&bytes).await;
    }

    pub async fn send5(&mut self, packet: &v5::Packet) {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, None).unwrap();
        self.send(&bytes).await;
    }

    /// The next packet of 3.1.1; `None` when the door has closed.
    pub async fn next4(&mut self) -> Option<v4::Packet> {
        loop {
            match v4::Packet::read(&mut self.buffer, usize::MAX) {
                Ok(packet) => return Some(packet),
                Err(mqttbytes::Error::InsufficientBytes(_)) => (),
                Err(error) => panic!("{error}"),
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// The next packet of 5.0; `None` when the door has closed.
    pub async fn next5(&mut self) -> Option<v5::Packet> {
        loop {
            match v5::Packet::read(&mut self.buffer, None) {
                Ok(packet) => return Some(packet),
                Err(Error5::InsufficientBytes(_)) => (),
                Err(error) => panic!("{error}"),
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    async fn fill(&mut self) -> bool {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await;
        matches!(read.expect("the door is silent"), Ok(1..))
    }

    pub async fn hello4(&mut self, hello: &v4::Connect) -> v4::ConnAck {
        self.send4(&v4::Packet::Connect(hello.clone())).await;
        match self.next4().await {
            Some(v4::Packet::ConnAck(ack)) => ack,
            other => panic!("{other:?}"),
        }
    }

    pub async fn hello5(
        &mut self,
        hello: &v5::Connect,
        will: Option<v5::LastWill>,
        user: &str,
        key: &str,
    ) -> v5::ConnAck {
        let login = v5::Login { username: user.into(), password: key.into() };
        self.send5(&v5::Packet::Connect(hello.clone(), will, Some(login))).await;
        match self.next5().await {
            Some(v5::Packet::ConnAck(ack)) => ack,
            other => panic!("{other:?}"),
        }
    }

    pub async fn publish4(&mut self, topic: &str, id: u16, payload: &str) {
        self.send(&publish4(topic, id, payload, false)).await;
    }

    pub async fn publish5(&mut self, topic: &str, id: u16, payload: &str) {
        self.send(&publish5(topic, id, payload)).await;
    }

    pub async fn puback4(&mut self) -> u16 {
        match self.next4().await {
            Some(v4::Packet::PubAck(ack)) => ack.pkid,
            other => panic!("{other:?}"),
        }
    }

    pub async fn puback5(&mut self) -> v5::PubAck {
        match self.next5().await {
            Some(v5::Packet::PubAck(ack)) => ack,
            other => panic!("{other:?}"),
        }
    }

    pub async fn pubrec4(&mut self) -> u16 {
        match self.next4().await {
            Some(v4::Packet::PubRec(rec)) => rec.pkid,
            other => panic!("{other:?}"),
        }
    }

    pub async fn pubcomp4(&mut self) -> u16 {
        match self.next4().await {
            Some(v4::Packet::PubComp(comp)) => comp.pkid,
            other => panic!("{other:?}"),
        }
    }

    pub async fn pubrec5(&mut self) -> (u16, v5::PubRecReason) {
        match self.next5().await {
            Some(v5::Packet::PubRec(rec)) => (rec.pkid, rec.reason),
            other => panic!("{other:?}"),
        }
    }

    pub async fn pubcomp5(&mut self) -> (u16, v5::PubCompReason) {
        match self.next5().await {
            Some(v5::Packet::PubComp(comp)) => (comp.pkid, comp.reason),
            other => panic!("{other:?}"),
        }
    }

    pub async fn subscribe4(&mut self, filter: &str) -> v4::SubscribeReasonCode {
        let mut packet = v4::Subscribe::new(filter, rumqttc::QoS::AtLeastOnce);
        packet.pkid = 1;
        self.send4(&v4::Packet::Subscribe(packet)).await;
        match self.next4().await {
            Some(v4::Packet::SubAck(ack)) => ack.return_codes[0],
            other => panic!("{other:?}"),
        }
    }

    pub async fn subscribe5(&mut self, filter: &str, qos: Qos5) -> v5::SubscribeReasonCode {
        let mut packet = v5::Subscribe::new(v5::Filter::new(filter, qos), None);
        packet.pkid = 1;
        self.send5(&v5::Packet::Subscribe(packet)).await;
        match self.next5().await {
            Some(v5::Packet::SubAck(ack)) => ack.return_codes[0],
            other => panic!("{other:?}"),
        }
    }

    pub async fn message4(&mut self) -> v4::Publish {
        match self.next4().await {
            Some(v4::Packet::Publish(publish)) => publish,
            other => panic!("{other:?}"),
        }
    }

    pub async fn message5(&mut self) -> v5::Publish {
        match self.next5().await {
            Some(v5::Packet::Publish(publish)) => publish,
            other => panic!("{other:?}"),
        }
    }

    /// Proves that nothing else came before: the answer to a ping is the next packet.
    pub async fn nothing_before_ping4(&mut self) {
        self.send(&[0xC0, 0]).await;
        assert_eq!(self.next4().await, Some(v4::Packet::PingResp));
    }

    pub async fn disconnected5(&mut self) -> v5::DisconnectReasonCode {
        loop {
            match self.next5().await {
                Some(v5::Packet::Disconnect(disconnect)) => return disconnect.reason_code,
                Some(_) => (),
                None => panic!("closed without DISCONNECT"),
            }
        }
    }
}

pub type Qos5 = rumqttc::v5::mqttbytes::QoS;

/// QoS 0 where the id is 0.
pub fn publish4(topic: &str, id: u16, payload: &str, retain: bool) -> BytesMut {
    let qos = if id == 0 { rumqttc::QoS::AtMostOnce } else { rumqttc::QoS::AtLeastOnce };
    let mut packet = v4::Publish::new(topic, qos, payload);
    packet.pkid = id;
    packet.retain = retain;
    let mut bytes = BytesMut::new();
    packet.write(&mut bytes).unwrap();
    bytes
}

/// QoS 0 where the id is 0.
pub fn publish5(topic: &str, id: u16, payload: &str) -> BytesMut {
    let qos = if id == 0 { Qos5::AtMostOnce } else { Qos5::AtLeastOnce };
    let mut packet = v5::Publish::new(topic, qos, payload.to_owned(), None);
    packet.pkid = id;
    let mut bytes = BytesMut::new();
    packet.write(&mut bytes).unwrap();
    bytes
}

/// QoS 2.
pub fn publish_once4(topic: &str, id: u16, payload: &str) -> BytesMut {
    let mut packet = v4::Publish::new(topic, rumqttc::QoS::ExactlyOnce, payload);
    packet.pkid = id;
    let mut bytes = BytesMut::new();
    packet.write(&mut bytes).unwrap();
    bytes
}

/// QoS 2.
pub fn publish_once5(topic: &str, id: u16, payload: &str) -> BytesMut {
    let mut packet = v5::Publish::new(topic, Qos5::ExactlyOnce, payload.to_owned(), None);
    packet.pkid = id;
    let mut bytes = BytesMut::new();
    packet.write(&mut bytes).unwrap();
    bytes
}
