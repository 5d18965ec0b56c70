//! A whole connection for the fuzzer: from its first byte to its last, beside a bystander who hears everything and must
//! not notice more than what it hears.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use domain::{Clock, Station, StationCode, Timestamp, standard_parameters};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join, join3};
use journal::Journal;
use metrics::Gauge;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::broker::Broker;
use super::config::Config;
use super::door::Shared;
use super::gatekeeper::{Admission, Denied, Entry, Gatekeeper, Grant, Verb};
use super::login;
use super::places::Places;
use super::recognise::Caller;
use crate::{ADMIT, Intake, ParameterTable};

/// Longer than any talk: its writes are in memory, and the peer has hung up behind its last byte.
const PATIENCE: Duration = Duration::from_secs(8);
/// After so many talks the journals begin anew, so that they do not fill the memory they are in.
const TALKS_MAX: u32 = 10_000;

/// The first byte says how the client begins: 1 with MQTT 5, 2 as a station, 4 with a session that lasts, 8 with a
/// CONNECT of its own. What follows is what it says.
pub fn talk(bytes: &[u8]) {
    static WORLD: LazyLock<Mutex<World>> = LazyLock::new(|| Mutex::new(World::new()));
    let Some((&how, said)) = bytes.split_first() else { return };
    let mut world = WORLD.lock().unwrap_or_else(PoisonError::into_inner);
    if world.talks == TALKS_MAX {
        *world = World::new();
    }
    world.talks += 1;
    let shared = world.shared();
    let mut whole = BytesMut::new();
    if how & 8 == 0 {
        let (five, lasting) = (how & 1 != 0, how & 4 != 0);
        connect(&mut whole, if how & 2 == 0 { "guest" } else { "vam-kenh" }, five, lasting);
    }
    whole.extend_from_slice(said);
    let talk = async { timeout(PATIENCE, beside_a_bystander(Arc::clone(&shared), &whole)).await };
    world.runtime.block_on(talk).expect("the talk comes to its end");
    if how & 12 == 0 {
        assert_eq!(shared.broker.subscriptions.load(Ordering::Relaxed), 0, "a subscription stays");
    }
}

/// What lasts from one talk to the next.
struct World {
    runtime: Runtime,
    intake: Intake,
    talks: u32,
}

impl World {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let dir = std::env::temp_dir().join(format!("fuzzed-talk-{}", std::process::id()));
        // One segment each, which goes with its last owner: the names are taken away at once.
        let config = journal::Config { segment_bytes_max: 1 << 40, ..journal::Config::default() };
        let open = |name| Journal::open(&dir.join(name), &config).expect("a folder of our own");
        let (journal, dead) = (open("journal"), open("deadletter"));
        std::fs::remove_dir_all(&dir).expect("a folder of our own");
        let table = ParameterTable::new(&standard_parameters());
        let intake = Intake::new(journal, dead, table, ADMIT, Arc::new(Stopped));
        Self { runtime, intake, talks: 0 }
    }

    fn shared(&self) -> Arc<Shared> {
        let config = Arc::new(Config {
            denied_delay: Duration::ZERO,
            end_deadline: Duration::from_secs(2),
            packet_bytes_max: 2_048,
            in_flight_max: 8,
            subscriptions_max: 8,
            queue_messages_max: 8,
            retained_messages_max: 8,
            keep_alive_s_max: Some(60),
            ..Config::default()
        });
        Arc::new(Shared {
            broker: Arc::new(Broker::new(Arc::clone(&config), None)),
            config,
            intake: self.intake.clone(),
            gatekeeper: Arc::new(Everybody),
            live: Arc::default(),
            debts: Arc::default(),
        })
    }
}

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_773_266_400_000)
    }
}

/// Lets in one station and guests who may do nearly everything.
struct Everybody;

impl Gatekeeper for Everybody {
    fn login<'a>(&'a self, user: &'a str, _: &'a [u8]) -> BoxFuture<'a, Result<Admission, Denied>> {
        let entry = match StationCode::new(user) {
            Ok(code) if user == "vam-kenh" => Entry::Station(Arc::new(Station::new(code))),
            _ => {
                let all = Grant::new("#", Verb::ReadAndWrite).expect("a filter");
                let hidden = Grant::new("hidden/#", Verb::Read).expect("a filter").denied();
                Entry::Guest { name: user.to_owned(), grants: vec![all, hidden] }
            }
        };
        async move { Ok(entry.into()) }.boxed()
    }
}

async fn beside_a_bystander(shared: Arc<Shared>, said: &[u8]) {
    let (ours, mut bystander) = duplex(1 << 16);
    let (theirs, client) = duplex(1 << 16);
    let mut greeting = BytesMut::new();
    connect(&mut greeting, "bystander", true, false);
    // Two filters of its own and one of a group, with QoS 0: it owes nobody an answer.
    greeting.extend_from_slice(b"\x82\x16\0\x01\0\0\x01#\0\0\x0c$share/g/+/+\0");
    let talk = async {
        bystander.write_all(&greeting).await.expect("it is there");
        let mut welcome = [0; 2];
        bystander.read_exact(&mut welcome).await.expect("it is let in");
        let mut rest = vec![0; usize::from(welcome[1])];
        bystander.read_exact(&mut rest).await.expect("it is let in");
        assert_eq!((welcome[0], rest[1]), (0x20, 0));
        are_whole(&said_whole(client, said).await);
        let packets = are_whole(&served_still(bystander).await);
        assert_eq!(packets.last(), Some(&0xD0), "the bystander is not served");
    };
    let stop = CancellationToken::new();
    let served = |stream, shared| login::serve(stream, caller(), shared, &stop);
    join3(served(ours, Arc::clone(&shared)), served(theirs, shared), talk).await;
}

/// Says it, hangs up, and hears what is answered.
async fn said_whole(client: DuplexStream, said: &[u8]) -> Vec<u8> {
    let (mut from, mut to) = tokio::io::split(client);
    let mut heard = Vec::new();
    let say = async {
        // The door may have closed in the middle of it.
        if to.write_all(said).await.is_ok() {
            to.shutdown().await.ok();
        }
    };
    let (_, read) = join(say, from.read_to_end(&mut heard)).await;
    read.expect("memory does not break");
    heard
}

/// What it heard, and what it is answered at last.
async fn served_still(mut bystander: DuplexStream) -> Vec<u8> {
    bystander.write_all(b"\xC0\0\xE0\0").await.expect("it is there");
    let mut heard = Vec::new();
    bystander.read_to_end(&mut heard).await.expect("memory does not break");
    heard
}

fn caller() -> Caller {
    let address = SocketAddr::from(([127, 0, 0, 1], 9));
    let places = Arc::new(Places::new(&Config::default(), Gauge::noop()));
    let place = places.take(address.ip(), Instant::now()).expect("the first place");
    Caller { address, may_be_nameless: false, certificate: None, certificates: None, place }
}

fn connect(to: &mut BytesMut, user: &str, five: bool, lasting: bool) {
    let mut body = BytesMut::new();
    body.put_slice(b"\0\x04MQTT");
    body.put_u8(if five { 5 } else { 4 });
    body.put_u8(if lasting { 0xC0 } else { 0xC2 });
    body.put_u16(60);
    match (five, lasting) {
        (true, true) => body.put_slice(b"\x08\x11\0\0\0\x3c\x22\0\x04"),
        (true, false) => body.put_slice(b"\x03\x22\0\x04"),
        (false, _) => (),
    }
    for text in [user, user, "key"] {
        body.put_u16(u16::try_from(text.len()).expect("a short name"));
        body.put_slice(text.as_bytes());
    }
    to.put_u8(0x10);
    to.put_u8(u8::try_from(body.len()).expect("a short greeting"));
    to.unsplit(body);
}

/// The first bytes of the packets, of which the last is whole too.
fn are_whole(mut bytes: &[u8]) -> Vec<u8> {
    let mut firsts = Vec::new();
    while let Some((&first, rest)) = bytes.split_first() {
        let (mut length, mut at) = (0, 0);
        loop {
            length |= usize::from(rest[at] & 0x7F) << (7 * at);
            at += 1;
            if rest[at - 1] & 0x80 == 0 {
                break;
            }
        }
        firsts.push(first);
        bytes = &rest[at + length..];
    }
    firsts
}
