//! One line with its loggers: hears questions, throws the dice, and writes each line when its last character would have
//! arrived.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use domain::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::dials::{Dials, Fate, Injected};
use super::text::{PROOF_STEP, crc, nmea, record, weather};
use crate::dice::Dice;
use crate::pty::SerialLink;

/// Half a question is forgotten after so long.
const HALF_MAX: Duration = Duration::from_millis(200);

/// Loggers and what is wrong with them.
#[derive(Debug)]
pub struct Line {
    /// Who is there and asked; a line without any streams weather.
    pub addresses: Vec<String>,
    /// Who is there and dead.
    pub dead: Vec<String>,
    /// Time between two seconds of what streams.
    pub every: Duration,
    /// What goes wrong.
    pub dials: Dials,
    /// Where chance begins.
    pub seed: u64,
    /// The first record's time.
    pub first: Timestamp,
    records: Mutex<BTreeMap<String, Records>>,
    injected: Mutex<Injected>,
}

/// Where a logger is in its records.
#[derive(Debug, Clone, Copy, Default)]
struct Records {
    /// So many are kept by somebody else.
    kept: u64,
    /// The one that was said last.
    said: Option<u64>,
}

impl Line {
    /// Loggers that are asked, on a perfect line.
    #[must_use]
    pub fn asked(addresses: &[&str], first: Timestamp) -> Self {
        Self {
            addresses: addresses.iter().map(|&address| address.to_owned()).collect(),
            dead: Vec::new(),
            every: Duration::from_secs(1),
            dials: Dials::default(),
            seed: 1,
            first,
            records: Mutex::default(),
            injected: Mutex::default(),
        }
    }

    /// A weather station that streams.
    #[must_use]
    pub fn streaming(every: Duration) -> Self {
        Self { every, ..Self::asked(&[], Timestamp::default()) }
    }

    /// How often each dial struck so far.
    #[must_use]
    pub fn injected(&self) -> Injected {
        self.injected.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records that the logger at this address was told to be kept.
    #[must_use]
    pub fn kept(&self, address: &str) -> u64 {
        self.records(address, |records| records.kept)
    }

    fn records<T>(&self, address: &str, with: impl FnOnce(&mut Records) -> T) -> T {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        with(records.entry(address.to_owned()).or_default())
    }

    fn count(&self, what: &'static str) {
        let mut injected = self.injected.lock().unwrap_or_else(PoisonError::into_inner);
        *injected.entry(what).or_default() += 1;
    }

    fn record(&self, address: &str, number: u64) -> String {
        let at = self.first.as_millis() + number as i64 * PROOF_STEP;
        record(address, Timestamp::from_millis(at))
    }
}

/// Writes and answers until told to stop or the line breaks.
///
/// # Errors
/// Where the line breaks.
pub async fn serve(line: &Line, mut port: SerialLink, stop: CancellationToken) -> io::Result<()> {
    let mut talk = Talk { line, dice: Dice(line.seed), going: Vec::new(), second: 0 };
    let (mut heard, mut next) = (BytesMut::new(), Instant::now());
    let streams = line.addresses.is_empty();
    loop {
        let due = talk.going.iter().map(|(at, _)| *at).min();
        let idle = if heard.is_empty() { Duration::from_secs(3_600) } else { HALF_MAX };
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = sleep_until(next), if streams => {
                next += line.every;
                talk.stream();
            }
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => talk.send(&mut port).await?,
            read = timeout(idle, port.read_buf(&mut heard)) => match read {
                Err(_) => heard.clear(),
                Ok(Ok(0)) => return Ok(()),
                Ok(read) => {
                    read?;
                    talk.hear(&mut heard);
                }
            }
        }
    }
}

struct Talk<'a> {
    line: &'a Line,
    dice: Dice,
    /// What is on its way, and when it arrives.
    going: Vec<(Instant, Vec<u8>)>,
    second: u64,
}

impl Talk<'_> {
    async fn send(&mut self, port: &mut SerialLink) -> io::Result<()> {
        let now = Instant::now();
        self.going.sort_by_key(|(at, _)| *at);
        let due = self.going.partition_point(|(at, _)| *at <= now);
        for (_, bytes) in self.going.drain(..due) {
            port.write_all(&bytes).await?;
        }
        port.flush().await
    }

    fn stream(&mut self) {
        let (now, before) = (weather(self.second), weather(self.second.saturating_sub(1)));
        self.second += 1;
        for (line, before) in now.iter().zip(&before) {
            self.throw(line, before, nmea);
        }
    }

    fn hear(&mut self, heard: &mut BytesMut) {
        while let Some(end) = heard.iter().position(|byte| *byte == b'\n') {
            let question = String::from_utf8_lossy(&heard[..end]).trim().to_owned();
            heard.advance(end + 1);
            self.question(&question);
        }
    }

    fn question(&mut self, question: &str) {
        let line = self.line;
        let Some((at, what)) = question.char_indices().last() else { return };
        let address = &question[..at];
        let is = |of: &[String]| of.iter().any(|one| one == address);
        if !is(&line.addresses) || is(&line.dead) {
            return line.count("nobody");
        }
        match what {
            'R' => {
                line.count("questions");
                let number = line.kept(address);
                let before = number.saturating_sub(1);
                let lines = (line.record(address, number), line.record(address, before));
                let again = |said: &str| format!("#{said}*{:04X}\r\n", crc(said.as_bytes()));
                let said = match self.throw(&lines.0, &lines.1, again) {
                    "stale" => before,
                    _ => number,
                };
                line.records(address, |records| records.said = Some(said));
            }
            // What was said last is kept.
            'N' => line.records(address, |records| {
                line.count("records");
                records.kept = records.said.take().map_or(0, |said| said + 1).max(records.kept);
            }),
            _ => line.count("nonsense"),
        }
    }

    fn throw(&mut self, line: &str, before: &str, again: impl Fn(&str) -> String) -> &'static str {
        let (name, fate) = self.line.dials.throw(&mut self.dice, line, before, again);
        self.line.count(name);
        let at = Instant::now() + self.line.dials.delay;
        match fate {
            Fate::Now(bytes) => self.going.push((at, bytes)),
            Fate::Late(bytes, by) => self.going.push((at + by, bytes)),
            Fate::Never => {}
        }
        name
    }
}
