//! One question, its lines, nothing else. A line counts only if it is whole, proved and of the logger that was asked;
//! what is somebody else's is thrown away and the right one waited for. After anything else the port is listened to until
//! it is quiet, and opened anew.

use std::sync::Arc;

use domain::Report;
use tokio::time::Instant;

use crate::line::Wire;

use super::config::{Config, LoggerConfig};
use super::counters::Counters;
use super::ear::{Ear, Heard};
use super::fault::{Fault, Unread, whole};
use super::judge::Judged;
use super::profile::Poll;

/// Bytes that one read may bring.
const READ_MAX: usize = 4_096;

/// A line and what it says.
pub(super) type Answer = (Vec<u8>, Report<'static>);

/// See the module.
pub(super) struct Port {
    config: Arc<Config>,
    counters: Counters,
    wire: Wire,
}

impl Port {
    pub(super) fn new(config: Arc<Config>, counters: Counters, seed: u64) -> Self {
        let (place, retry_max) = (config.place.clone(), config.retry_max);
        let wire = Wire::new(&config.name, place, config.serial, retry_max, seed, counters.clone());
        Self { config, counters, wire }
    }

    /// Closes the port in good order.
    pub(super) fn close(&mut self) {
        self.wire.close();
    }

    /// Asks one logger, and waits for the lines of its answer.
    pub(super) async fn ask(
        &mut self,
        logger: &LoggerConfig,
        poll: &Poll,
    ) -> Result<Vec<Answer>, Fault> {
        let was_open = self.wire.is_open();
        let asked = self.ask_once(logger, poll).await;
        // A gateway closes a connection that was idle; that is found only when it is used.
        let stale = matches!(asked, Err(Fault::Closed(_))) && was_open;
        if stale && !self.wire.is_serial() {
            return self.ask_once(logger, poll).await;
        }
        asked
    }

    /// Tells a logger that its lines are on disk; what it answers to that is thrown away.
    pub(super) async fn took(&mut self, logger: &LoggerConfig, poll: &Poll) -> Result<(), Fault> {
        if poll.took.is_empty() {
            return Ok(());
        }
        let text = poll.took.replace("{address}", &logger.address);
        self.wire.hush(self.config.pause).await?;
        self.wire.say(text.as_bytes(), Instant::now() + self.config.answer_within).await?;
        self.wire.hush(self.config.quiet).await?;
        Ok(())
    }

    async fn ask_once(&mut self, logger: &LoggerConfig, poll: &Poll) -> Result<Vec<Answer>, Fault> {
        self.wire.open().await?;
        let asked = self.question(logger, poll).await;
        if let Err(fault) = &asked
            && !matches!(fault, Fault::Unread(Unread { label: "refused", .. }))
        {
            self.wire.heard.clear();
            // What comes now is late, and a line that broke has nothing to say.
            drop(self.wire.hush(self.config.quiet).await);
            self.wire.close();
        }
        asked
    }

    async fn question(&mut self, logger: &LoggerConfig, poll: &Poll) -> Result<Vec<Answer>, Fault> {
        if 0 < self.wire.hush(self.config.pause).await? {
            self.counters.line("stray");
        }
        self.wire.heard.clear();
        let text = poll.ask.replace("{address}", &logger.address);
        let characters = text.len() + poll.lines * logger.profile.bytes_max;
        let long = self.config.answer_within + self.config.serial.time_of(characters);
        let until = Instant::now() + long;
        self.wire.say(text.as_bytes(), until).await?;
        let mut heard = Listening::new(logger, poll, &text);
        while !heard.is_whole() {
            if !self.wire.hear(until, READ_MAX).await? {
                return Err(heard.why_not());
            }
            let bytes = self.wire.heard.split();
            heard.take(&bytes, &self.counters)?;
        }
        let found = std::mem::take(&mut heard.found);
        // Alone? What follows at once makes both doubtful.
        let until = Instant::now() + self.config.quiet;
        while self.wire.hear(until, READ_MAX).await? {
            let bytes = self.wire.heard.split();
            heard.take(&bytes, &self.counters)?;
        }
        match heard.found.first().map(|(line, _)| line.clone()).or_else(|| heard.rest()) {
            Some(more) => Err(Unread::extra(&more).into()),
            None => Ok(found),
        }
    }
}

/// What is heard after a question.
struct Listening<'a> {
    logger: &'a LoggerConfig,
    wanted: usize,
    /// The question, as a logger would repeat it.
    echo: Vec<u8>,
    ear: Ear,
    found: Vec<Answer>,
    foreign: Option<Unread>,
}

impl<'a> Listening<'a> {
    fn new(logger: &'a LoggerConfig, poll: &Poll, text: &str) -> Self {
        let mut ear = Ear::new(&logger.profile);
        // The line was silent before the question.
        ear.rested();
        let echo = text.trim().as_bytes().to_vec();
        Self { logger, wanted: poll.lines, echo, ear, found: Vec::new(), foreign: None }
    }

    fn is_whole(&self) -> bool {
        self.wanted <= self.found.len()
    }

    fn take(&mut self, bytes: &[u8], counters: &Counters) -> Result<(), Fault> {
        let mut lines = Vec::new();
        self.ear.hear(bytes, |heard| lines.push(heard));
        for heard in lines {
            self.line(heard, counters)?;
        }
        // An answer with a line more than was asked for.
        match self.found.get(self.wanted) {
            Some((more, _)) => Err(Unread::extra(more).into()),
            None => Ok(()),
        }
    }

    fn line(&mut self, heard: Heard, counters: &Counters) -> Result<(), Fault> {
        let Some(line) = self.without_echo(whole(heard)?) else { return Ok(()) };
        let profile = &self.logger.profile;
        let unread = match profile.judge(&line, &self.logger.address) {
            Judged::Report(_, report) => {
                self.found.push((line, report));
                return Ok(());
            }
            Judged::Skipped => {
                counters.line("skipped");
                return Ok(());
            }
            Judged::Foreign(refusal) => {
                counters.line("foreign");
                self.foreign = Some(Unread::new("mismatch", &line, refusal));
                return Ok(());
            }
            Judged::Unproved(refusal) => Unread::new("checksum", &line, refusal),
            Judged::Refused(refusal) => Unread::new("refused", &line, refusal),
        };
        Err(unread.into())
    }

    /// The line, where it is not the question that the logger repeats; without the question where that ended with CR only.
    fn without_echo(&self, line: Vec<u8>) -> Option<Vec<u8>> {
        let begins: Vec<u8> = self.logger.profile.begins.into_iter().collect();
        let echo = self.echo.strip_prefix(begins.as_slice()).unwrap_or(&self.echo);
        match line.strip_prefix(echo).filter(|_| !echo.is_empty()) {
            Some(rest) if rest.trim_ascii().is_empty() => None,
            Some([b'\r', rest @ ..]) => Some(rest.trim_ascii_start().to_vec()),
            _ => Some(line),
        }
    }

    /// What stands behind the answer and is no line, but for a prompt that the profile knows.
    fn rest(&mut self) -> Option<Vec<u8>> {
        let rest = match self.ear.cut()? {
            Heard::Line(rest) | Heard::Half(rest) | Heard::Overlong(rest) | Heard::Noise(rest) => {
                rest
            }
        };
        let is_skipped = |skip: &String| rest.trim_ascii().starts_with(skip.trim().as_bytes());
        (!self.logger.profile.skip.iter().any(is_skipped)).then_some(rest)
    }

    fn why_not(&mut self) -> Fault {
        match (self.ear.cut().map(whole), self.foreign.take()) {
            (Some(Err(unread)), _) | (_, Some(unread)) => Fault::Unread(unread),
            _ => Fault::Timeout,
        }
    }
}
