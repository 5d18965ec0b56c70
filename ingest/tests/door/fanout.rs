//! Many who listen, and half of them who never read: a station notices neither, and those who read miss nothing.
//! `FANOUT_SUBSCRIBERS=4000 cargo test -p ingest --test door fanout -- --nocapture` prints the figures at that size.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ingest::mqtt::Keep;
use rumqttc::mqttbytes::v4;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::stand::*;

/// Reports of the station in each part.
const REPORTS: u16 = 200;

/// Who listens, unless the environment says otherwise: small enough for every run of the tests.
const SUBSCRIBERS: usize = 400;

fn wanted() -> usize {
    let said = std::env::var("FANOUT_SUBSCRIBERS").ok();
    said.and_then(|said| said.parse().ok()).unwrap_or(SUBSCRIBERS)
}

/// A board with a client id of its own, subscribed to everything that stations say.
async fn board(door: SocketAddr, number: usize) -> Raw<TcpStream> {
    let mut hello = hello4("board");
    hello.client_id = format!("board-{number}");
    let mut board = Raw::new(TcpStream::connect(door).await.unwrap());
    assert_eq!(board.hello4(&hello).await.code, v4::ConnectReturnCode::Success);
    board.subscribe4("stations/#").await;
    board
}

/// Publishes one report after another and gives back how long each acknowledgement took.
async fn speak(station: &mut Raw<TcpStream>, payload: &str) -> Vec<Duration> {
    let mut took = Vec::new();
    for id in 1..=REPORTS {
        let begun = Instant::now();
        station.publish4("stations/vam-kenh/readings", id, payload).await;
        assert_eq!(station.puback4().await, id);
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    took
}

fn said(what: &str, took: &[Duration]) -> Duration {
    let (p50, p99) = (took[took.len() / 2], took[took.len() * 99 / 100]);
    eprintln!("{what}: PUBACK p50 {p50:?}, p99 {p99:?}");
    p50
}

/// Reads and acknowledges until it has `messages`.
async fn listen(door: SocketAddr, number: usize, messages: usize, there: Arc<Semaphore>) -> usize {
    let mut board = board(door, number).await;
    there.add_permits(1);
    for _ in 0..messages {
        let message = board.message4().await;
        board.send4(&v4::Packet::PubAck(v4::PubAck::new(message.pkid))).await;
    }
    messages
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_never_read_slow_no_station_and_those_who_read_miss_nothing() {
    let stand = stand();
    let half = wanted() / 2;
    // Two kilobytes, most of them spaces.
    let report = format!("{REPORT}{}", " ".repeat(2_000));
    let mut station = stand.v4("vam-kenh").await;
    let alone = said("nobody listens", &speak(&mut station, &report).await);

    // Listeners have a thread of their own: a station does not queue behind them in any scheduler but the machine's.
    let elsewhere = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (door, there) = (stand.addresses.plain, Arc::new(Semaphore::new(0)));
    let mut readers = JoinSet::new();
    for number in 0..half {
        let listening = listen(door, number, 2 * usize::from(REPORTS), Arc::clone(&there));
        readers.spawn_on(listening, elsewhere.handle());
    }
    drop(there.acquire_many(u32::try_from(half).unwrap()).await.unwrap());
    let read = said(&format!("{half} read"), &speak(&mut station, &report).await);

    let mut deaf = Vec::new();
    for number in half..2 * half {
        let mut board = board(door, number).await;
        board.subscribe4("latest/#").await;
        deaf.push(board);
    }
    // What they never read fills the sockets' buffers, the door's and the queues of their sessions.
    for number in 0..1_200 {
        let topic = format!("latest/s-{number}/ph");
        stand.publisher.publish(&topic, report.as_bytes(), Keep::Passing);
        tokio::task::yield_now().await;
    }
    let slow = said(&format!("{half} read, {half} do not"), &speak(&mut station, &report).await);
    while let Some(heard) = readers.join_next().await {
        assert_eq!(
            heard.unwrap(),
            2 * usize::from(REPORTS),
            "QoS 1 loses nothing within the queue"
        );
    }
    // A deaf listener costs a station no more than one that reads does; the rest is the machine's noise.
    let most = (read.max(alone) * 3).max(Duration::from_millis(20));
    assert!(slow < most, "{slow:?} with deaf listeners, {read:?} without, {alone:?} alone");
    drop(deaf);
    elsewhere.shutdown_background();
}
