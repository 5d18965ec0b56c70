//! Over a real socket: events as they happen, what was missed, and an end in order.

use std::sync::Arc;
use std::time::Duration;

use domain::{Flag, Reading};
use portal::LiveReading;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::fixture::{code, now, parameter, province, settings};

const SOON: Duration = Duration::from_secs(10);

struct Running {
    address: std::net::SocketAddr,
    live: broadcast::Sender<LiveReading>,
    stop: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

async fn start() -> Running {
    let listener = portal::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (settings, stop) = (settings(false), CancellationToken::new());
    let live = settings.live.clone();
    let serving = portal::serve_view(listener, Arc::new(province()), settings, stop.clone());
    #[expect(clippy::disallowed_methods, reason = "the test owns it and awaits its end")]
    let task = tokio::spawn(serving);
    Running { address, live, stop, task }
}

impl Running {
    fn tell(&self, station: &str, value: f64) {
        let reading = Reading {
            station: code(station),
            parameter: parameter("salinity"),
            taken_at: now(),
            received_at: now(),
            value: Some(value),
            flag: Flag::Good,
            replay: false,
        };
        assert!(self.live.send(LiveReading { reading }).is_ok(), "somebody listens");
    }

    async fn listen(&self, query: &str, last: &str) -> Listener {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        let ask = format!(
            "GET /api/v1/events{query} HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n{last}\r\n"
        );
        socket.write_all(ask.as_bytes()).await.unwrap();
        let mut listener = Listener { socket, heard: String::new() };
        listener.until("retry: 3000").await;
        listener
    }

    async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(SOON, self.task).await.unwrap().unwrap().unwrap();
    }
}

struct Listener {
    socket: TcpStream,
    heard: String,
}

impl Listener {
    /// Reads until `words` were heard.
    async fn until(&mut self, words: &str) {
        let hear = async {
            let mut bytes = [0; 4_096];
            while !self.heard.contains(words) {
                let read = self.socket.read(&mut bytes).await.unwrap();
                assert_ne!(read, 0, "ended before `{words}`: {}", self.heard);
                self.heard.push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
        };
        tokio::time::timeout(SOON, hear).await.unwrap();
    }

    fn ids(&self) -> Vec<String> {
        self.heard.lines().filter_map(|l| l.strip_prefix("id: ")).map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn a_reading_reaches_who_listens_to_its_station() {
    let running = start().await;
    let mut all = running.listen("", "").await;
    let mut one = running.listen("?station=xuan-hoa", "").await;
    running.tell("my-tho", 0.25);
    running.tell("xuan-hoa", 4.5);
    all.until("\"value\":0.25").await;
    all.until("\"value\":4.5").await;
    one.until("\"value\":4.5").await;
    assert!(!one.heard.contains("my-tho"), "{}", one.heard);
    assert!(one.heard.contains("event: reading") && one.heard.contains("text/event-stream"));
    assert!(!one.heard.contains("content-encoding"));
    running.end().await;
}

#[tokio::test]
async fn what_was_missed_is_told_again_and_what_is_gone_is_named() {
    let running = start().await;
    let mut first = running.listen("", "").await;
    for value in [1.5, 2.5, 3.5] {
        running.tell("xuan-hoa", value);
    }
    first.until("\"value\":3.5").await;
    let ids = first.ids();
    drop(first);
    let back = running.listen("", &format!("Last-Event-ID: {}\r\n", ids[0])).await;
    let mut back = back;
    back.until("\"value\":3.5").await;
    assert_eq!(back.ids(), ids[1..]);
    for lost in ["0-1", "nonsense", &format!("{}9", ids[2])] {
        let mut other = running.listen("", &format!("Last-Event-ID: {lost}\r\n")).await;
        other.until("event: reset").await;
    }
    running.end().await;
}

#[tokio::test]
async fn stopping_ends_streams_and_lets_answers_end() {
    let running = start().await;
    let mut idle = TcpStream::connect(running.address).await.unwrap();
    let mut listener = running.listen("", "").await;
    running.stop.cancel();
    let mut rest = Vec::new();
    tokio::time::timeout(SOON, listener.socket.read_to_end(&mut rest)).await.unwrap().unwrap();
    idle.write_all(b"GET ").await.ok();
    running.end().await;
}
