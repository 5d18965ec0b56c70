//! One question, one answer, nothing else.
//!
//! On RTU nothing in an answer says which question it belongs to. So: the line is silent before a question; an answer
//! counts only if it is whole, its check is right, it comes from the slave that was asked, has the form that was asked
//! for (function and number of bytes), and nothing follows it. What is whole and somebody else's, or of another form,
//! is a late answer to an earlier question: it is thrown away, and the right one is waited for. After anything else the
//! line is listened to until it is quiet, and opened anew. Plain TCP has a number in each question that comes back; it
//! is never used twice in a row of 65,536, also over connections.

use std::io;
use std::time::Duration;

use tokio::time::Instant;

use crate::line::{Broken, Wire};

use super::config::Config;
use super::counters::LineCounters;
use super::wire::{Judged, Look, Question, rtu_frame, rtu_look, tcp_frame, tcp_look};

/// Bytes that are heard after one question at most: some frames of 256 bytes that are not ours, and ours.
const HEARD_MAX: usize = 4_096;

/// Why there is no answer. The list is closed; each is a label of `saltline_modbus_polls_total`.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Nothing came in time.
    #[error("no answer in time")]
    Timeout,
    /// A part of an answer came in time.
    #[error("the answer is cut short")]
    Short,
    /// Whole answers came, of another slave or to another question.
    #[error("another answer than the one asked for")]
    Mismatch,
    /// The check is wrong, or the bytes are no frame.
    #[error("a damaged answer")]
    Crc,
    /// More came after the answer: one of the two may be somebody else's.
    #[error("more than one answer")]
    Extra,
    /// The slave refuses.
    #[error("exception {0}: {name}", name = exception(*.0))]
    Exception(u8),
    /// Somebody talks without a pause.
    #[error("the line is never silent")]
    Busy,
    /// The line was closed while the answer was waited for.
    #[error("the line was closed")]
    Closed(#[source] io::Error),
    /// The line cannot be opened.
    #[error("the line cannot be opened")]
    NoLine(#[source] io::Error),
}

/// What the application protocol calls an exception.
const fn exception(code: u8) -> &'static str {
    match code {
        1 => "illegal function",
        2 => "illegal data address",
        3 => "illegal data value",
        4 => "server device failure",
        5 => "acknowledge",
        6 => "server device busy",
        8 => "memory parity error",
        10 => "gateway path unavailable",
        11 => "gateway target device failed to respond",
        _ => "not in the specification",
    }
}

impl Fault {
    /// The fault as a label.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Short => "short",
            Self::Mismatch => "mismatch",
            Self::Crc => "crc",
            Self::Extra => "extra",
            Self::Exception(_) => "exception",
            Self::Busy => "busy",
            Self::Closed(_) => "closed",
            Self::NoLine(_) => "no_line",
        }
    }

    /// May an answer to this question still be under way?
    pub(super) const fn leaves_doubt(&self) -> bool {
        !matches!(self, Self::Exception(_) | Self::NoLine(_) | Self::Busy)
    }

    /// Is it the line's and not the slave's? The line has a wait of its own.
    pub(super) const fn is_of_the_line(&self) -> bool {
        matches!(self, Self::NoLine(_) | Self::Busy | Self::Closed(_))
    }

    /// Did an answer come, so that asking once more costs no timeout?
    pub(super) const fn is_noise(&self) -> bool {
        matches!(self, Self::Crc | Self::Extra)
    }
}

impl From<Broken> for Fault {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Closed(error) => Self::Closed(error),
            Broken::NoLine(error) => Self::NoLine(error),
            Broken::Busy => Self::Busy,
            Broken::Stuck => Self::Timeout,
        }
    }
}

/// The line.
pub(super) struct Line {
    config: std::sync::Arc<Config>,
    counters: LineCounters,
    wire: Wire,
    transaction: u16,
    /// When the line was last known to be silent.
    silent_at: Option<Instant>,
}

impl Line {
    /// A line that is not open yet; `seed` differs between lines and runs.
    pub(super) fn new(config: std::sync::Arc<Config>, counters: LineCounters, seed: u64) -> Self {
        let (place, retry_max) = (config.at.place(), config.retry_max);
        Self {
            wire: Wire::new(&config.name, place, config.serial, retry_max, seed, counters.clone()),
            transaction: u16::from_le_bytes([seed.to_le_bytes()[0], seed.to_le_bytes()[1]]),
            config,
            counters,
            silent_at: None,
        }
    }

    /// Asks one slave, and waits for its answer.
    pub(super) async fn ask(&mut self, unit: u8, question: &Question) -> Result<Vec<u8>, Fault> {
        let was_open = self.wire.is_open();
        let asked = self.ask_once(unit, question).await;
        // A device closes a connection that was idle; that is found only when it is used.
        let stale = matches!(asked, Err(Fault::Closed(_))) && was_open;
        if stale && !self.wire.is_serial() {
            return self.ask_once(unit, question).await;
        }
        asked
    }

    async fn ask_once(&mut self, unit: u8, question: &Question) -> Result<Vec<u8>, Fault> {
        self.wire.open().await?;
        let asked = match self.config.at.is_rtu() {
            true => self.ask_rtu(unit, question).await,
            false => self.ask_tcp(unit, question).await,
        };
        match &asked {
            Ok(_) | Err(Fault::Exception(_)) => {}
            Err(_) => self.begin_anew().await,
        }
        asked
    }

    /// Closes the line in good order.
    pub(super) fn close(&mut self) {
        self.wire.close();
        self.silent_at = None;
    }

    /// Listens until the line is quiet, and closes it: the next question opens it anew.
    async fn begin_anew(&mut self) {
        if self.config.at.is_rtu() {
            self.wire.heard.clear();
            drop(self.hush(self.config.quiet).await);
        }
        self.close();
    }

    async fn ask_rtu(&mut self, unit: u8, question: &Question) -> Result<Vec<u8>, Fault> {
        let pause = self.pause();
        // Between two questions of one poll the silence after the answer is the silence before the next.
        if self.silent_at.is_none_or(|at| Duration::from_millis(2) < at.elapsed())
            && 0 < self.hush(pause).await?
        {
            self.counters.strays.increment(1);
        }
        self.wire.heard.clear();
        self.silent_at = None;
        let frame = rtu_frame(unit, &question.pdu());
        let on_the_wire = self.config.serial.time_of(frame.len() + question.answer_len() + 3);
        let until = Instant::now() + on_the_wire + self.config.answer_within;
        self.wire.say(&frame, until).await?;
        let values = self.listen_rtu(unit, question, until).await?;
        // Alone? What follows at once makes both doubtful.
        if !self.wire.heard.is_empty() || 0 < self.hush(pause).await? {
            return Err(Fault::Extra);
        }
        values.map_err(Fault::Exception)
    }

    fn pause(&self) -> Duration {
        self.config.serial.silence() + self.config.pause
    }

    async fn listen_rtu(
        &mut self,
        unit: u8,
        question: &Question,
        until: Instant,
    ) -> Result<Result<Vec<u8>, u8>, Fault> {
        let mut foreign = false;
        loop {
            match rtu_look(&self.wire.heard) {
                Look::Lost => return Err(Fault::Crc),
                Look::Frame(length) => {
                    let frame = self.wire.heard.split_to(length);
                    match question.judge(&frame[1..length - 2]) {
                        Judged::Fits(values) if frame[0] == unit => return Ok(Ok(values)),
                        Judged::Exception(code) if frame[0] == unit => return Ok(Err(code)),
                        _ => {
                            self.counters.strays.increment(1);
                            foreign = true;
                        }
                    }
                }
                Look::More if !self.hear(until).await? => {
                    return Err(match (self.wire.heard.is_empty(), foreign) {
                        (false, _) => Fault::Short,
                        (true, true) => Fault::Mismatch,
                        (true, false) => Fault::Timeout,
                    });
                }
                Look::More => {}
            }
        }
    }

    async fn ask_tcp(&mut self, unit: u8, question: &Question) -> Result<Vec<u8>, Fault> {
        self.transaction = self.transaction.wrapping_add(1);
        let transaction = self.transaction;
        let until = Instant::now() + self.config.answer_within;
        self.wire.say(&tcp_frame(transaction, unit, &question.pdu()), until).await?;
        loop {
            match tcp_look(&self.wire.heard) {
                Look::Lost => return Err(Fault::Mismatch),
                Look::Frame(frame) => {
                    let whole = self.wire.heard.split_to(frame.length);
                    if frame.transaction != transaction {
                        // An answer that came twice, or too late.
                        self.counters.strays.increment(1);
                        continue;
                    }
                    return match question.judge(frame.pdu(&whole)) {
                        Judged::Fits(values) if frame.unit == unit => Ok(values),
                        Judged::Exception(code) if frame.unit == unit => {
                            Err(Fault::Exception(code))
                        }
                        _ => Err(Fault::Mismatch),
                    };
                }
                Look::More if !self.hear(until).await? => {
                    return Err(match self.wire.heard.is_empty() {
                        true => Fault::Timeout,
                        false => Fault::Short,
                    });
                }
                Look::More => {}
            }
        }
    }

    async fn hear(&mut self, until: Instant) -> Result<bool, Fault> {
        Ok(self.wire.hear(until, HEARD_MAX).await?)
    }

    /// Waits until the line was silent for so long; how many bytes came meanwhile is the answer.
    async fn hush(&mut self, silence: Duration) -> Result<usize, Fault> {
        let bytes = self.wire.hush(silence).await?;
        self.silent_at = Some(Instant::now());
        Ok(bytes)
    }
}
