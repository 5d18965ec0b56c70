//! The load generator of the front-door bench: many connections, QoS 1, six values a report, a fixed window, and the
//! time from PUBLISH to PUBACK. It has to be cheap itself, so it writes packets straight into a buffer, one task per
//! connection, and reads acknowledgements in bulk.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use domain::Timestamp;
use rumqttc::mqttbytes::v4;
use rumqttc::mqttbytes::{Error as MqttError, QoS};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

/// What a connection may wait for one acknowledgement before it is given up.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// The largest packet read: nothing but acknowledgements comes.
const READ_BYTES_MAX: usize = 4_096;

/// What to send.
#[derive(Debug, Clone)]
pub struct Load {
    /// `HOST:PORT` of the broker.
    pub address: String,
    /// Code and key of each connection; a broker without logins takes any code without a key.
    pub logins: Vec<(String, Option<String>)>,
    /// Packets under way on each connection.
    pub in_flight: u16,
    /// Reports of each connection.
    pub reports: u64,
    /// Reports a second over all connections; without it as fast as acknowledged.
    pub rate: Option<f64>,
    /// The newest time that a report carries; each is a millisecond older than the next, so none repeats another.
    pub newest: Timestamp,
}

/// What it took.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Loaded {
    /// Connections that were let in.
    pub connections: usize,
    /// Connections that were refused or lost.
    pub refused: usize,
    /// Reports acknowledged.
    pub messages: u64,
    /// From the first publish to the last acknowledgement.
    pub seconds: f64,
    /// Reports acknowledged in a second.
    pub messages_per_second: f64,
    /// Median time from PUBLISH to PUBACK.
    pub p50_us: u32,
    /// The time that 99 % stay below.
    pub p99_us: u32,
    /// The longest.
    pub max_us: u32,
}

/// Why a connection of the load ended early.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("connection failed")]
    Io(#[from] std::io::Error),
    #[error("malformed packet: {0}")]
    Mqtt(String),
    #[error("no acknowledgement in time")]
    Slow,
    #[error("refused at the door")]
    Refused,
}

impl Load {
    /// Opens all connections, then sends on all of them at once.
    pub async fn run(self) -> Loaded {
        let mut opening = JoinSet::new();
        for (code, key) in self.logins.clone() {
            let address = self.address.clone();
            opening.spawn(async move {
                let opened = timeout(ANSWER_WITHIN, open(&address, &code, key)).await;
                opened.map_err(|_| Broken::Slow)?.map(|stream| (code, stream))
            });
        }
        let mut refused = 0;
        let mut open = Vec::new();
        while let Some(joined) = opening.join_next().await {
            match joined {
                Ok(Ok(connection)) => open.push(connection),
                Ok(Err(error)) => {
                    refused += 1;
                    tracing::warn!(%error, "no connection");
                }
                Err(error) => tracing::error!(%error, "a task failed"),
            }
        }
        self.send(open, refused).await
    }

    async fn send(self, open: Vec<(String, TcpStream)>, mut refused: usize) -> Loaded {
        let connections = open.len();
        let begin = Instant::now();
        let mut sending = JoinSet::new();
        for (code, stream) in open {
            sending.spawn(Sender::new(&self, &code, stream, connections).run());
        }
        let mut latencies = Vec::new();
        while let Some(joined) = sending.join_next().await {
            let (mut measured, error) = joined.unwrap_or_default();
            latencies.append(&mut measured);
            if let Some(error) = error {
                refused += 1;
                tracing::warn!(%error, "connection lost");
            }
        }
        let seconds = begin.elapsed().as_secs_f64();
        latencies.sort_unstable();
        let at = |share: f64| {
            let index = (latencies.len() as f64 * share) as usize;
            latencies.get(index.min(latencies.len().saturating_sub(1))).copied().unwrap_or(0)
        };
        Loaded {
            connections,
            refused,
            messages: latencies.len() as u64,
            seconds,
            messages_per_second: latencies.len() as f64 / seconds.max(1e-9),
            p50_us: at(0.50),
            p99_us: at(0.99),
            max_us: at(1.0),
        }
    }
}

async fn open(address: &str, code: &str, key: Option<String>) -> Result<TcpStream, Broken> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut connect = v4::Connect::new(code);
    connect.keep_alive = 600;
    connect.login = key.map(|key| v4::Login::new(code, key));
    let mut bytes = BytesMut::new();
    connect.write(&mut bytes).map_err(|e| Broken::Mqtt(e.to_string()))?;
    stream.write_all(&bytes).await?;
    bytes.clear();
    loop {
        match v4::Packet::read(&mut bytes, READ_BYTES_MAX) {
            Ok(v4::Packet::ConnAck(ack)) if ack.code == v4::ConnectReturnCode::Success => {
                return Ok(stream);
            }
            Ok(_) => return Err(Broken::Refused),
            Err(MqttError::InsufficientBytes(_)) => {
                if stream.read_buf(&mut bytes).await? == 0 {
                    return Err(Broken::Refused);
                }
            }
            Err(error) => return Err(Broken::Mqtt(error.to_string())),
        }
    }
}

struct Sender {
    stream: TcpStream,
    topic: String,
    window: usize,
    reports: u64,
    first_ms: i64,
    every: Option<Duration>,
    sent: u64,
    under_way: VecDeque<(u16, Instant)>,
    latencies_us: Vec<u32>,
    outbox: BytesMut,
    inbox: BytesMut,
    payload: String,
}

impl Sender {
    fn new(load: &Load, code: &str, stream: TcpStream, connections: usize) -> Self {
        let every =
            load.rate.map(|rate| Duration::from_secs_f64(connections as f64 / rate.max(1e-3)));
        Self {
            stream,
            topic: format!("stations/{code}/readings"),
            window: usize::from(load.in_flight.max(1)),
            reports: load.reports,
            first_ms: load.newest.as_millis() - i64::try_from(load.reports).unwrap_or(0),
            every,
            sent: 0,
            under_way: VecDeque::new(),
            // 4 bytes for each report; a day at 1,000 a second on one connection is 345 MB.
            latencies_us: Vec::new(),
            outbox: BytesMut::with_capacity(64 * 1024),
            inbox: BytesMut::with_capacity(16 * 1024),
            payload: String::with_capacity(256),
        }
    }

    /// Latencies in microseconds, and why it ended early, if it did.
    async fn run(mut self) -> (Vec<u32>, Option<Broken>) {
        let error = self.exchange().await.err();
        (self.latencies_us, error)
    }

    async fn exchange(&mut self) -> Result<(), Broken> {
        let begin = Instant::now();
        while (self.latencies_us.len() as u64) < self.reports {
            let next_at = self.every.map(|every| begin + every.mul_f64(self.sent as f64));
            self.fill(next_at)?;
            if !self.outbox.is_empty() {
                self.stream.write_all_buf(&mut self.outbox).await?;
            }
            let waits_for_time = self.under_way.len() < self.window && self.sent < self.reports;
            tokio::select! {
                read = timeout(ANSWER_WITHIN, self.stream.read_buf(&mut self.inbox)),
                    if !self.under_way.is_empty() =>
                {
                    if read.map_err(|_| Broken::Slow)?? == 0 {
                        return Err(Broken::Refused);
                    }
                    self.settle()?;
                }
                () = sleep_until(next_at.unwrap_or(begin)), if waits_for_time => {}
            }
        }
        self.stream.write_all(&[0xe0, 0x00]).await?;
        Ok(())
    }

    fn fill(&mut self, next_at: Option<Instant>) -> Result<(), Broken> {
        let now = Instant::now();
        let mut next_at = next_at;
        while self.under_way.len() < self.window
            && self.sent < self.reports
            && next_at.is_none_or(|at| at <= now)
        {
            let pkid = u16::try_from(self.sent % 65_535 + 1).unwrap_or(1);
            self.write_report(pkid)?;
            self.under_way.push_back((pkid, now));
            self.sent += 1;
            next_at = next_at.zip(self.every).map(|(at, every)| at + every);
        }
        Ok(())
    }

    fn write_report(&mut self, pkid: u16) -> Result<(), Broken> {
        let n = self.sent;
        let (tenth, hundredth) = (n % 10, n % 100);
        self.payload.clear();
        write!(
            self.payload,
            r#"{{"time":{},"seq":{n},"values":{{"salinity":0.{hundredth:02},"water_level":1.{hundredth:02},"water_temperature":28.{tenth},"conductivity":1.{hundredth:02},"ph":7.{tenth},"battery":12.{tenth}}}}}"#,
            self.first_ms + n.cast_signed(),
        )
        .map_err(|e| Broken::Mqtt(e.to_string()))?;
        // By hand and not by `Publish::write`, which would allocate topic and payload each time.
        let remaining = 2 + self.topic.len() + 2 + self.payload.len();
        self.outbox.put_u8(0x30 | ((QoS::AtLeastOnce as u8) << 1));
        put_length(&mut self.outbox, remaining);
        self.outbox.put_u16(u16::try_from(self.topic.len()).unwrap_or(u16::MAX));
        self.outbox.put_slice(self.topic.as_bytes());
        self.outbox.put_u16(pkid);
        self.outbox.put_slice(self.payload.as_bytes());
        Ok(())
    }

    /// Takes all acknowledgements that are there.
    fn settle(&mut self) -> Result<(), Broken> {
        let now = Instant::now();
        loop {
            match v4::Packet::read(&mut self.inbox, READ_BYTES_MAX) {
                Ok(v4::Packet::PubAck(ack)) => {
                    // In order from every broker that keeps the standard, so this looks once.
                    let found = self.under_way.iter().position(|(pkid, _)| *pkid == ack.pkid);
                    if let Some((_, at)) = found.and_then(|index| self.under_way.remove(index)) {
                        let micros = (now - at).as_micros();
                        self.latencies_us.push(u32::try_from(micros).unwrap_or(u32::MAX));
                    }
                }
                Ok(_) => {}
                Err(MqttError::InsufficientBytes(_)) => return Ok(()),
                Err(error) => return Err(Broken::Mqtt(error.to_string())),
            }
        }
    }
}

fn put_length(out: &mut BytesMut, mut length: usize) {
    loop {
        let digit = u8::try_from(length % 128).unwrap_or(0);
        length /= 128;
        out.put_u8(if length == 0 { digit } else { digit | 0x80 });
        if length == 0 {
            return;
        }
    }
}
