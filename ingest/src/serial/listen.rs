//! A logger that streams: every line is taken as it comes. A port that is pulled out, or says nothing for long, is opened
//! anew by its path.

use std::collections::HashMap;
use std::sync::Arc;

use domain::Timestamp;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::intake::{Batch, Intake};
use crate::line::{Broken, Wire};

use super::config::{Config, LoggerConfig};
use super::counters::Counters;
use super::ear::{Ear, Heard};
use super::fault::{Unread, whole};
use super::judge::Judged;
use super::scribe::Scribe;

/// Bytes that one read may bring.
const READ_MAX: usize = 4_096;

/// See the module.
pub(super) struct Listen {
    config: Arc<Config>,
    logger: LoggerConfig,
    wire: Wire,
    scribe: Scribe,
    /// The period in which a line of each sentence was taken last.
    taken: HashMap<usize, Timestamp>,
}

impl Listen {
    pub(super) fn new(
        config: Arc<Config>,
        logger: LoggerConfig,
        intake: &Intake,
        seed: u64,
    ) -> Self {
        let counters = Counters::new(&config.name);
        let (place, retry_max) = (config.place.clone(), config.retry_max);
        let wire = Wire::new(&config.name, place, config.serial, retry_max, seed, counters.clone());
        let scribe = Scribe::new(&config.name, intake, counters);
        scribe.learn(&logger);
        Self { config, logger, wire, scribe, taken: HashMap::new() }
    }

    /// Listens until told to stop; then what was heard is committed.
    pub(super) async fn run(mut self, stop: &CancellationToken) {
        loop {
            tokio::select! {
                () = self.once() => {}
                () = stop.cancelled() => break,
            }
        }
        self.wire.close();
        self.scribe.commits.finish().await;
    }

    /// From opening the port to its end.
    async fn once(&mut self) {
        if self.wire.open().await.is_err() {
            return sleep_until(self.wire.opens_at().unwrap_or_else(Instant::now)).await;
        }
        let mut ear = Ear::new(&self.logger.profile);
        let why = self.hear_all(&mut ear).await;
        let cut: Vec<Heard> = ear.cut().into_iter().collect();
        self.keep(cut).await;
        let line = &self.config.name;
        match why {
            Broken::Closed(error) => tracing::warn!(line, %error, "line closed"),
            why => tracing::warn!(line, %why, "line opened anew"),
        }
        self.wire.close();
    }

    /// Hears until the line breaks.
    async fn hear_all(&mut self, ear: &mut Ear) -> Broken {
        let mut heard_at = Instant::now();
        loop {
            let wait = if ear.is_in_a_line() {
                self.config.answer_within
            } else {
                self.config.silent_after
            };
            match self.wire.hear(Instant::now() + wait, READ_MAX).await {
                Err(broken) => return broken,
                Ok(false) => match ear.cut() {
                    Some(half) => self.keep(vec![half]).await,
                    None if heard_at.elapsed() < self.config.silent_after => {}
                    None => return self.silent(),
                },
                Ok(true) => {
                    if self.config.quiet <= heard_at.elapsed() {
                        ear.rested();
                    }
                    heard_at = Instant::now();
                    let bytes = self.wire.heard.split();
                    let mut heard = Vec::new();
                    ear.hear(&bytes, |one| heard.push(one));
                    self.keep(heard).await;
                }
            }
        }
    }

    fn silent(&self) -> Broken {
        self.scribe.counters.line("silent");
        Broken::Closed(std::io::Error::new(
            std::io::ErrorKind::TimedOut,
            "nothing was heard for long",
        ))
    }

    async fn keep(&mut self, heard: Vec<Heard>) {
        let (mut batch, mut taken) = (Batch::default(), 0);
        for one in heard {
            match whole(one) {
                Ok(line) => taken += usize::from(self.take(&line, &mut batch)),
                Err(unread) => self.scribe.refuse(&self.logger, unread, &mut batch),
            }
        }
        let durable = self.scribe.taken(taken);
        self.scribe.commits.keep(batch, durable).await;
    }

    /// Is anything of this line believed?
    fn take(&mut self, line: &[u8], batch: &mut Batch) -> bool {
        let logger = &self.logger;
        let unread = match logger.profile.judge(line, &logger.address) {
            Judged::Report(sentence, report) if self.is_due(sentence) => {
                return self.scribe.take(&self.logger, line, report, batch);
            }
            Judged::Report(..) => {
                self.scribe.counters.line("thinned");
                return false;
            }
            Judged::Skipped => {
                self.scribe.counters.line("skipped");
                return false;
            }
            Judged::Unproved(refusal) => Unread::new("checksum", line, refusal),
            Judged::Foreign(refusal) | Judged::Refused(refusal) => {
                Unread::new("refused", line, refusal)
            }
        };
        self.scribe.refuse(&self.logger, unread, batch);
        false
    }

    /// Was no line of this sentence taken in this period?
    fn is_due(&mut self, sentence: usize) -> bool {
        let Some(every) = self.logger.every else { return true };
        let period = self.scribe.now().floor(every);
        self.taken.insert(sentence, period) != Some(period)
    }
}
