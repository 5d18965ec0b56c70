//! The loop of one connection to a broker. While there is no room for more it does not read, and still pings; it
//! acknowledges what the disk has, in the order of arrival, and nothing that came on another connection.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use journal::JournalError;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::intake::{Answer, Proof};
use crate::told::Told;

use super::dial::Stream;
use super::inbound::{Inbound, MESSAGES_MAX};
use super::oversized::{Look, Oversized};
use super::take;
use super::wire::{self, Incoming, Message, Stay};
use super::worker::Worker;

/// The keep-alive that we ask for: a broker that lost us learns it after 45 s, and a path that is cut is noticed by us
/// as soon.
const KEEP_ALIVE_S: u16 = 30;

/// From CONNECT to CONNACK, and from SUBSCRIBE to SUBACK. A broker behind a satellite needs 3 s.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(15);

/// A broker that takes nothing for so long is given up.
const STALLED_MAX: Duration = Duration::from_secs(20);

/// Looks at silence and stalls.
const BEAT: Duration = Duration::from_secs(1);

/// How long an orderly end may wait for the last commit, and again for the last write.
const END_MAX: Duration = Duration::from_secs(5);

/// Bytes read at once: some 300 reports.
const READ_BYTES: usize = 64 * 1024;

/// Why a connection ended, or did not come to be.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("stopped")]
    Stopped,
    #[error("cannot reach the broker")]
    Dial(#[from] super::dial::DialError),
    #[error("no answer within {} s", ANSWER_MAX.as_secs())]
    Unanswered,
    #[error("turned away: {0}")]
    TurnedAway(String),
    #[error("filters refused: {0}")]
    FiltersRefused(String),
    #[error("hung up: {0}")]
    Goodbye(String),
    #[error("closed by the broker")]
    Closed,
    #[error("connection failed")]
    Io(#[from] io::Error),
    #[error("silent for {0} s")]
    Silent(u64),
    #[error("takes nothing for {} s", STALLED_MAX.as_secs())]
    Stalled,
    #[error("broken wire")]
    Malformed(#[from] wire::Malformed),
    #[error("the broker sent {0}")]
    Unasked(&'static str),
    #[error("the journal does not take it")]
    Journal(#[from] JournalError),
}

impl End {
    /// The label of a counter.
    pub(super) const fn label(&self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Dial(_) => "unreachable",
            Self::Unanswered => "unanswered",
            Self::TurnedAway(_) => "turned_away",
            Self::FiltersRefused(_) => "filters_refused",
            Self::Goodbye(_) => "goodbye",
            Self::Closed => "closed",
            Self::Io(_) => "failed",
            Self::Silent(_) => "silent",
            Self::Stalled => "stalled",
            Self::Malformed(_) => "malformed",
            Self::Unasked(_) => "unasked",
            Self::Journal(_) => "journal",
        }
    }
}

/// See the module.
pub(super) struct Connection<'a> {
    worker: &'a Worker,
    input: ReadHalf<Box<dyn Stream>>,
    output: WriteHalf<Box<dyn Stream>>,
    read: BytesMut,
    write: BytesMut,
    /// Since when something waits to be written or flushed.
    waiting_since: Option<Instant>,
    oversized: Oversized,
    inbound: Inbound,
    keep_alive: Duration,
    heard_at: Instant,
    pinged_at: Instant,
    /// Until when the answer to SUBSCRIBE has to be there; `None` once it is.
    answer_by: Option<Instant>,
    standing: Option<Standing>,
}

/// Counted among the connected for as long as it is there.
struct Standing(metrics::Gauge);

impl Standing {
    fn begin(gauge: &metrics::Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge.clone())
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl<'a> Connection<'a> {
    /// Says who we are, and is let in or not.
    pub(super) async fn open(worker: &'a Worker, stream: Box<dyn Stream>) -> Result<Self, End> {
        let (input, output) = tokio::io::split(stream);
        let now = Instant::now();
        let mut it = Self {
            worker,
            input,
            output,
            read: BytesMut::new(),
            write: BytesMut::new(),
            waiting_since: None,
            oversized: Oversized::default(),
            inbound: Inbound::default(),
            keep_alive: Duration::from_secs(KEEP_ALIVE_S.into()),
            heard_at: now,
            pinged_at: now,
            answer_by: None,
            standing: None,
        };
        let config = &worker.config;
        let id = worker.client_id.as_str();
        wire::connect(&mut it.write, config, Stay::Kept, id, KEEP_ALIVE_S, MESSAGES_MAX)?;
        timeout(ANSWER_MAX, it.welcome()).await.map_err(|_| End::Unanswered)??;
        wire::subscribe(&mut it.write, config, Stay::Kept)?;
        it.answer_by = Some(Instant::now() + ANSWER_MAX);
        Ok(it)
    }

    async fn welcome(&mut self) -> Result<(), End> {
        self.output.write_all_buf(&mut self.write).await?;
        self.output.flush().await?;
        let Worker { config, client_id, .. } = self.worker;
        loop {
            match wire::read(&mut self.read, config.version, config.packet_bytes_max)? {
                Some(Incoming::Welcome { session_present, keep_alive_s }) => {
                    let upstream = config.name.as_str();
                    tracing::info!(upstream, client_id, session_present, "connected");
                    // 0 is "no keep-alive": then the pings are for us alone.
                    if let Some(wanted @ 1..) = keep_alive_s {
                        self.keep_alive = Duration::from_secs(wanted.into());
                    }
                    return Ok(());
                }
                Some(Incoming::TurnedAway(why)) => return Err(End::TurnedAway(why)),
                Some(_) => return Err(End::Unasked("something else before its CONNACK")),
                None if self.input.read_buf(&mut self.read).await? == 0 => return Err(End::Closed),
                None => (),
            }
        }
    }

    /// Serves until stopped or lost.
    pub(super) async fn run(mut self, stop: &CancellationToken) -> End {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        match self.serve(stop, &mut beat).await {
            Ok(()) => self.leave().await,
            Err(end) => end,
        }
    }

    async fn serve(&mut self, stop: &CancellationToken, beat: &mut Interval) -> Result<(), End> {
        loop {
            self.take_all()?;
            self.inbound.commit(&self.worker.intake);
            if !self.write.is_empty() {
                self.waiting_since.get_or_insert_with(Instant::now);
            }
            self.read.reserve(READ_BYTES);
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                proven = self.inbound.proven(), if !self.inbound.is_idle() => {
                    let (ids, proof) = proven?;
                    self.acknowledge(&ids, &proof);
                }
                wrote = drain(&mut self.output, &mut self.write), if self.waiting_since.is_some() => {
                    wrote?;
                    self.waiting_since = None;
                }
                count = self.input.read_buf(&mut self.read), if self.inbound.has_room() => {
                    if count? == 0 {
                        return Err(End::Closed);
                    }
                    self.heard_at = Instant::now();
                }
                _ = beat.tick() => self.beat()?,
            }
        }
    }

    /// Everything that was read whole, as far as there is room.
    fn take_all(&mut self) -> Result<(), End> {
        let (version, bytes_max) =
            (self.worker.config.version, self.worker.config.packet_bytes_max);
        while self.inbound.has_room() {
            match self.oversized.look(&mut self.read, version, bytes_max) {
                Look::Waiting => return Ok(()),
                Look::Hopeless => return Err(End::Unasked("a packet that is too large")),
                Look::Gone(message, bytes) => self.take_oversized(&message, bytes),
                Look::Ordinary => match wire::read(&mut self.read, version, bytes_max)? {
                    Some(packet) => self.hear(packet)?,
                    None => return Ok(()),
                },
            }
        }
        Ok(())
    }

    fn hear(&mut self, packet: Incoming) -> Result<(), End> {
        match packet {
            Incoming::Message(message) => self.take(&message),
            Incoming::Subscribed { refused } => self.subscribed(&refused)?,
            Incoming::Alive => (),
            Incoming::Goodbye(why) => return Err(End::Goodbye(why)),
            Incoming::Welcome { .. } | Incoming::TurnedAway(_) => {
                return Err(End::Unasked("a second CONNACK"));
            }
            Incoming::Unasked(what) => return Err(End::Unasked(what)),
        }
        Ok(())
    }

    fn subscribed(&mut self, refused: &[usize]) -> Result<(), End> {
        if refused.is_empty() {
            if self.answer_by.take().is_some() {
                self.standing = Some(Standing::begin(&self.worker.counters.connected));
                self.worker.counters.connect("welcome");
            }
            return Ok(());
        }
        let topics = &self.worker.config.topics;
        let names = refused.iter().filter_map(|&at| topics.get(at)).map(ToString::to_string);
        Err(End::FiltersRefused(names.collect::<Vec<_>>().join(", ")))
    }

    fn take(&mut self, message: &Message) {
        let Worker { config, nodes, intake, .. } = self.worker;
        let told = take::take(config, intake, nodes, message, self.inbound.batch());
        self.taken(told, message);
    }

    fn take_oversized(&mut self, message: &Message, bytes: usize) {
        let Worker { config, intake, .. } = self.worker;
        let told = take::take_oversized(config, intake, message, bytes, self.inbound.batch());
        self.taken(told, message);
    }

    fn taken(&mut self, told: Told, message: &Message) {
        let counters = &self.worker.counters;
        match told.answer {
            None => counters.nothing.increment(1),
            Some(Answer::Stored { refused: None }) => counters.stored.increment(1),
            Some(Answer::Stored { refused: Some(_) }) => counters.partly.increment(1),
            Some(Answer::Refused(_)) => counters.refused.increment(1),
        }
        if let Some(ask) = told.ask {
            wire::publish(&mut self.write, self.worker.config.version, &ask);
        }
        self.inbound.add(message.id, message.topic.len() + message.payload.len());
    }

    /// The proof is what makes it true.
    fn acknowledge(&mut self, ids: &[u16], _: &Proof) {
        for id in ids {
            wire::puback(&mut self.write, *id);
        }
        self.worker.counters.acknowledged.increment(ids.len() as u64);
    }

    fn beat(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if self.answer_by.is_some_and(|by| by < now) {
            return Err(End::Unanswered);
        }
        if self.waiting_since.is_some_and(|since| STALLED_MAX < now - since) {
            return Err(End::Stalled);
        }
        if self.inbound.has_room() {
            let silence = now - self.heard_at;
            if self.keep_alive + self.keep_alive / 2 < silence {
                return Err(End::Silent(silence.as_secs()));
            }
        } else {
            // Who does not listen cannot complain of silence.
            self.heard_at = now;
        }
        if self.keep_alive / 2 <= now - self.pinged_at {
            self.pinged_at = now;
            wire::ping(&mut self.write);
        }
        Ok(())
    }

    /// No new messages: what was taken is committed and acknowledged, then we say goodbye. What was only read stays
    /// unacknowledged, and comes again.
    async fn leave(mut self) -> End {
        let committed = timeout(END_MAX, async {
            loop {
                self.inbound.commit(&self.worker.intake);
                if self.inbound.is_idle() {
                    return Ok::<_, JournalError>(());
                }
                let (ids, proof) = self.inbound.proven().await?;
                self.acknowledge(&ids, &proof);
            }
        });
        match committed.await {
            Ok(Ok(())) => (),
            Ok(Err(error)) => return End::Journal(error),
            Err(_) => tracing::warn!("the disk takes too long; what waits for it comes again"),
        }
        wire::goodbye(&mut self.write);
        let last = async {
            drain(&mut self.output, &mut self.write).await?;
            self.output.shutdown().await
        };
        // A broker that is gone or takes nothing is left all the same.
        timeout(END_MAX, last).await.ok();
        End::Stopped
    }
}

/// Writes and flushes everything. Dropped half-way, it goes on where it was.
async fn drain(output: &mut WriteHalf<Box<dyn Stream>>, write: &mut BytesMut) -> io::Result<()> {
    output.write_all_buf(write).await?;
    output.flush().await
}
