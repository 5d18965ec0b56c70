//! Connect, serve, wait, again: a worker goes on until it is told to stop.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::formats::sparkplug::Nodes;
use crate::intake::Intake;
use domain::Format;

use super::backoff::Backoff;
use super::config::Config;
use super::connection::{Connection, End};
use super::counters::Counters;
use super::dial::dial;
use super::take;
use super::tls::{self, TlsError};

/// From the first packet to the end of the TLS handshake.
pub(super) const DIAL_MAX: Duration = Duration::from_secs(15);

/// The configuration of an upstream cannot be meant.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The certificates cannot be used.
    #[error("upstream `{name}`: TLS cannot be used")]
    Tls {
        /// Which one.
        name: String,
        /// Why.
        source: TlsError,
    },
    /// There is nothing to subscribe to.
    #[error("upstream `{0}` names no topics")]
    NoTopics(String),
    /// A topic is not one that this format has.
    #[error("upstream `{name}`: `{topic}` does not fit {format}: {wanted}")]
    NotOfFormat {
        /// Which one.
        name: String,
        /// The topic.
        topic: String,
        /// The format.
        format: &'static str,
        /// What would fit.
        wanted: &'static str,
    },
    /// The messages of a Sparkplug node have an order, which several workers would not keep.
    #[error("upstream `{0}`: sparkplug needs one worker, because its messages have an order")]
    Ordered(String),
    /// Each of the workers would get everything.
    #[error("upstream `{0}` has several workers and no shared subscription: set `share`")]
    NotShared(String),
}

/// A broker that we take from, ready to run.
pub struct Upstream {
    workers: Vec<Worker>,
}

/// One connection's worth of work.
#[derive(Clone)]
pub(super) struct Worker {
    pub(super) config: Arc<Config>,
    pub(super) client_id: String,
    pub(super) intake: Intake,
    /// What Sparkplug nodes said at their birth.
    pub(super) nodes: Nodes,
    pub(super) counters: Counters,
    number: usize,
}

impl Upstream {
    /// Checks the configuration; nothing is connected yet. The metrics recorder has to stand.
    ///
    /// # Errors
    /// [`UpstreamError`] where a certificate cannot be read, or the configuration contradicts itself.
    pub fn new(config: Config, intake: &Intake) -> Result<Self, UpstreamError> {
        check(&config)?;
        let config = Arc::new(config);
        let counters = Counters::new(&config.name);
        let nodes = Nodes::default();
        let worker = |number| Worker {
            client_id: client_id(&config.client_id, number),
            config: config.clone(),
            intake: intake.clone(),
            nodes: nodes.clone(),
            counters: counters.clone(),
            number,
        };
        Ok(Self { workers: (1..=config.workers).map(worker).collect() })
    }

    /// Takes messages until told to stop, and then commits, acknowledges and says goodbye, within 11 s.
    pub async fn run(self, stop: CancellationToken) {
        let mut running = JoinSet::new();
        for worker in self.workers {
            running.spawn(worker.watched(stop.clone()));
        }
        while running.join_next().await.is_some() {}
    }
}

/// The first has the plain id, so that one worker more or less moves no other's session.
fn client_id(base: &str, number: usize) -> String {
    if number == 1 { base.to_owned() } else { format!("{base}-{number}") }
}

fn check(config: &Config) -> Result<(), UpstreamError> {
    let name = || config.name.clone();
    if config.topics.is_empty() {
        return Err(UpstreamError::NoTopics(name()));
    }
    if let Some(topic) = config.topics.iter().find(|topic| !take::fits(config.format, topic)) {
        let format = config.format.map_or("the station's own format", Format::as_str);
        let topic = topic.to_string();
        let wanted = take::wanted(config.format);
        return Err(UpstreamError::NotOfFormat { name: name(), topic, format, wanted });
    }
    if config.format == Some(Format::Sparkplug) && (1 < config.workers || config.share.is_some()) {
        return Err(UpstreamError::Ordered(name()));
    }
    if 1 < config.workers && config.share.is_none() {
        return Err(UpstreamError::NotShared(name()));
    }
    if let Some(tls) = &config.tls {
        tls::connector(tls).map_err(|source| UpstreamError::Tls { name: name(), source })?;
    }
    Ok(())
}

impl Worker {
    /// A bug of the codec that some broker finds ends a connection, not the engine: the worker begins anew.
    async fn watched(self, stop: CancellationToken) {
        loop {
            let (worker, token) = (self.clone(), stop.clone());
            let mut once = JoinSet::new();
            once.spawn(async move { worker.run(&token).await });
            let Some(Err(error)) = once.join_next().await else { return };
            tracing::error!(upstream = self.config.name, %error, "a worker ended by a bug");
            self.counters.lost("bug");
            tokio::select! {
                () = tokio::time::sleep(self.config.retry_max) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn run(self, stop: &CancellationToken) {
        let seed = RandomState::new().build_hasher().finish();
        let mut backoff = Backoff::new(self.config.retry_max, seed);
        while !stop.is_cancelled() {
            let began = Instant::now();
            let end = self.once(stop).await;
            if matches!(end, End::Stopped) {
                return;
            }
            backoff.lasted_since(began);
            let wait = backoff.next();
            self.complain(&end, wait);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    fn complain(&self, end: &End, wait: Duration) {
        let (upstream, worker) = (self.config.name.as_str(), self.number);
        let (reason, retry_ms) = (end.label(), wait.as_millis() as u64);
        let error = end as &dyn std::error::Error;
        tracing::warn!(upstream, worker, reason, error, retry_ms, "no upstream");
    }

    async fn once(&self, stop: &CancellationToken) -> End {
        let opened = tokio::select! {
            opened = self.open() => opened,
            () = stop.cancelled() => return End::Stopped,
        };
        match opened {
            Ok(connection) => {
                let end = connection.run(stop).await;
                self.counters.lost(end.label());
                end
            }
            Err(end) => {
                self.counters.connect(end.label());
                end
            }
        }
    }

    async fn open(&self) -> Result<Connection<'_>, End> {
        let stream = timeout(DIAL_MAX, dial(&self.config)).await.map_err(|_| End::Unanswered)??;
        Connection::open(self, stream).await
    }
}
