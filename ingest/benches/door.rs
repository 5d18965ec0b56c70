//! What the front door takes: durable QoS 1 publishes of a six-value report over real sockets, the door and its
//! clients in one process. Prints messages per second of the wall; the comparison with other brokers, per second of
//! server CPU, is made from outside. `--quick` runs it once, small.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{Clock, Station, StationCode, Timestamp};
use futures_util::future::BoxFuture;
use ingest::mqtt::{Admission, Config, Denied, Door, Entry, Gatekeeper};
use ingest::{ADMIT, Intake, ParameterTable};
use journal::Journal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const REPORT: &[u8] = br#"{"time":1773266400000,"seq":4711,"values":{"salinity":8.85,"water_level":1.12,"ph":7.1,"water_temperature":28.4,"turbidity":35.0,"battery":12.6}}"#;

struct Held;

impl Clock for Held {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_773_266_400_000)
    }
}

struct Open(HashMap<String, Arc<Station>>);

impl Gatekeeper for Open {
    fn login<'a>(&'a self, user: &'a str, _: &'a [u8]) -> BoxFuture<'a, Result<Admission, Denied>> {
        let station = self.0.get(user).map(Arc::clone);
        Box::pin(async move { station.map(|it| Entry::Station(it).into()).ok_or(Denied::WrongKey) })
    }
}

#[tokio::main]
async fn main() {
    let quick = std::env::args().any(|arg| arg == "--quick" || arg == "--test");
    let clients = if quick { 5 } else { 50 };
    for in_flight in [20, 1] {
        let messages = if quick { 200 } else { 400 * in_flight };
        let took = run(clients, in_flight, messages).await;
        let all = (clients * messages) as f64;
        let rate = all / took.as_secs_f64();
        println!("{clients} clients, {in_flight} in flight: {rate:.0} durable messages/s");
    }
}

/// Every client publishes `messages`, keeping `in_flight` of them unacknowledged.
async fn run(clients: usize, in_flight: usize, messages: usize) -> Duration {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let open = |name: &str| {
        Journal::open(&dir.path().join(name), &journal::Config::default()).expect("a new journal")
    };
    let journal = open("journal");
    let table = ParameterTable::new(&domain::standard_parameters());
    let intake = Intake::new(journal.clone(), open("dead"), table, ADMIT, Arc::new(Held));
    let codes: Vec<String> = (0..clients).map(|number| format!("s-{number}")).collect();
    let station = |code: &String| {
        let station = Station::new(StationCode::new(code).expect("s- and a number is a code"));
        (code.clone(), Arc::new(station))
    };
    let gatekeeper = Arc::new(Open(codes.iter().map(station).collect()));
    let config = Config { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..Config::default() };
    let door = Door::bind(config, intake, gatekeeper).expect("a free port");
    let address = door.addresses().plain;
    let stop = CancellationToken::new();
    let mut running = JoinSet::new();
    running.spawn(door.run(stop.clone()));
    let start = Instant::now();
    let mut publishing = JoinSet::new();
    for code in codes {
        publishing.spawn(publish(address, code, in_flight, messages));
    }
    while let Some(done) = publishing.join_next().await {
        done.expect("every client gets its acknowledgements");
    }
    let took = start.elapsed();
    assert_eq!(journal.durable_end(), (clients * messages) as u64, "acknowledged is on disk");
    stop.cancel();
    while running.join_next().await.is_some() {}
    took
}

async fn publish(address: SocketAddr, code: String, in_flight: usize, messages: usize) {
    let mut stream = TcpStream::connect(address).await.expect("the door listens");
    stream.set_nodelay(true).expect("a socket option");
    let code_bytes = |packet: &mut Vec<u8>| {
        packet.extend([0, code.len() as u8]);
        packet.extend(code.as_bytes());
    };
    let mut hello = b"\0\x04MQTT\x04\xC2\0\x3C".to_vec();
    code_bytes(&mut hello);
    code_bytes(&mut hello);
    code_bytes(&mut hello);
    let mut packet = vec![0x10, hello.len() as u8];
    packet.extend(hello);
    stream.write_all(&packet).await.expect("a CONNECT");
    let mut connack = [0; 4];
    stream.read_exact(&mut connack).await.expect("a CONNACK");
    assert_eq!(connack, [0x20, 2, 0, 0]);

    let topic = format!("stations/{code}/readings");
    let body = 2 + topic.len() + 2 + REPORT.len();
    let mut report =
        vec![0x32, (body % 128) as u8 | 0x80, (body / 128) as u8, 0, topic.len() as u8];
    report.extend(topic.as_bytes());
    report.extend([0, 1]);
    report.extend(REPORT);
    let mut acks = vec![0; 4 * in_flight];
    let (mut sent, mut acked, mut partial) = (0, 0, 0);
    while acked < messages {
        let more = (messages - sent).min(in_flight - (sent - acked));
        if 0 < more {
            stream.write_all(&report.repeat(more)).await.expect("reports");
            sent += more;
        }
        let read = stream.read(&mut acks[partial..]).await.expect("acknowledgements");
        assert_ne!(read, 0, "the door stays open");
        let bytes = partial + read;
        acked += bytes / 4;
        partial = bytes % 4;
    }
}
