//! One command, one answer, nothing else. A damaged or missing answer is asked for again, as the standard wants it (4.4,
//! 7.2); lines of other sensors are thrown away and the right one waited for; after anything else the port is listened to
//! until it is quiet.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::line::Wire;

use super::answer::{Address, Misread, alone};
use super::config::Config;
use super::counters::Counters;
use super::fault::Fault;

/// No answer is longer: 75 characters of values, the address, the CRC (4.4.7), and room for an echo.
const LINE_MAX: usize = 96;

/// What a port without an adapter has to do for itself: after the break the line rests for so long (7.1).
const MARK: Duration = Duration::from_micros(8_330);

/// Does anything else come behind an answer?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behind {
    /// Nothing may.
    Nothing,
    /// The sensor may say at once that it is ready.
    Service,
}

/// See the module.
pub(super) struct Bus {
    pub(super) config: Arc<Config>,
    pub(super) counters: Counters,
    wire: Wire,
}

impl Bus {
    pub(super) fn new(config: Arc<Config>, counters: Counters, seed: u64) -> Self {
        let (place, retry_max) = (config.place.clone(), config.retry_max);
        let wire = Wire::new(&config.name, place, config.serial, retry_max, seed, counters.clone());
        Self { config, counters, wire }
    }

    /// Closes the port in good order.
    pub(super) fn close(&mut self) {
        self.wire.close();
    }

    /// Says a command up to `tries` times, until an answer fits. The answer is what `read` makes of it, and its text.
    pub(super) async fn ask<T>(
        &mut self,
        address: Address,
        command: &str,
        tries: u32,
        behind: Behind,
        read: impl Fn(&[u8]) -> Result<T, Misread>,
    ) -> Result<(T, String), Fault> {
        let mut left = tries.max(1);
        loop {
            left -= 1;
            match self.once(address, command, behind, &read).await {
                Err(fault) if 0 < left && fault.passes() => self.counters.retry(fault.label()),
                Err(fault) if fault.is_of_the_line() => {
                    self.wire.close();
                    return Err(fault);
                }
                asked => return asked,
            }
        }
    }

    async fn once<T>(
        &mut self,
        address: Address,
        command: &str,
        behind: Behind,
        read: &impl Fn(&[u8]) -> Result<T, Misread>,
    ) -> Result<(T, String), Fault> {
        self.wire.open().await?;
        if 0 < self.wire.hush(self.config.pause).await? {
            self.counters.strays.increment(1);
        }
        self.wire.heard.clear();
        if let Some(held) = self.config.wake {
            self.wire.wake(held, MARK).await?;
        }
        let asked = self.listen(address, command, behind, read).await;
        if asked.is_err() && self.wire.is_open() {
            self.wire.heard.clear();
            // What is late comes now; what breaks here is found by the next command.
            drop(self.wire.hush(self.config.quiet).await);
        }
        asked
    }

    async fn listen<T>(
        &mut self,
        address: Address,
        command: &str,
        behind: Behind,
        read: &impl Fn(&[u8]) -> Result<T, Misread>,
    ) -> Result<(T, String), Fault> {
        let until = Instant::now() + self.config.answer_within;
        self.wire.say(command.as_bytes(), until).await?;
        let mut foreign = None;
        let (line, value) = loop {
            let Some(line) = self.line(until, command).await? else {
                return Err(foreign.unwrap_or(Fault::Timeout));
            };
            match read(&line) {
                Ok(value) => break (line, value),
                Err(Misread::Address) => {
                    self.counters.strays.increment(1);
                    foreign = Some(Fault::misread(&line, Misread::Address));
                }
                Err(why) => return Err(Fault::misread(&line, why)),
            }
        };
        if behind == Behind::Nothing {
            self.nothing_more().await?;
        }
        let said = line.strip_prefix(&[address.byte()]).unwrap_or(&line);
        Ok((value, format!("{command} {}", said.escape_ascii())))
    }

    /// What follows at once makes the answer doubtful.
    async fn nothing_more(&mut self) -> Result<(), Fault> {
        let until = Instant::now() + self.config.quiet;
        while self.wire.hear(until, LINE_MAX).await? {}
        let more = self.wire.heard.split();
        match more.trim_ascii() {
            [] => Ok(()),
            more => Err(Fault::Extra(more.to_vec())),
        }
    }

    /// The next line; `None` where none came in time.
    async fn line(&mut self, until: Instant, command: &str) -> Result<Option<Vec<u8>>, Fault> {
        loop {
            if let Some(line) = self.taken(command) {
                return Ok(Some(line));
            }
            if LINE_MAX < self.wire.heard.len() || !self.wire.hear(until, LINE_MAX).await? {
                let half = self.wire.heard.split();
                let half = without_noughts(half.trim_ascii());
                // An adapter that repeats the command, and no sensor behind it.
                let half = half.strip_prefix(command.as_bytes()).unwrap_or(half);
                return if half.is_empty() { Ok(None) } else { Err(Fault::Half(half.to_vec())) };
            }
        }
    }

    /// A line that was heard whole, without the command where the adapter repeats it.
    fn taken(&mut self, command: &str) -> Option<Vec<u8>> {
        loop {
            let end = self.wire.heard.iter().position(|byte| *byte == b'\n')?;
            let line = self.wire.heard.split_to(end + 1);
            let line = without_noughts(line.trim_ascii());
            let line = line.strip_prefix(command.as_bytes()).unwrap_or(line).trim_ascii_start();
            if !line.is_empty() {
                return Some(line.to_vec());
            }
        }
    }

    /// Waits until the sensor says that it is ready; `false` where it did not, and its time is over.
    pub(super) async fn served(&mut self, address: Address, by: Instant) -> Result<bool, Fault> {
        loop {
            match self.line(by, "").await {
                Ok(Some(line)) if alone(address, &line).is_ok() => return Ok(true),
                Ok(Some(_)) | Err(Fault::Half(_)) => self.counters.strays.increment(1),
                Ok(None) => return Ok(false),
                Err(fault) => {
                    self.wire.close();
                    return Err(fault);
                }
            }
            if by <= Instant::now() {
                return Ok(false);
            }
        }
    }
}

/// A break is read as noughts by some ports.
fn without_noughts(bytes: &[u8]) -> &[u8] {
    let begin = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    bytes[begin..].trim_ascii_start()
}
