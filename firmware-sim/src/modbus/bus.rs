//! One line with its slaves: hears questions, throws the dice, and sends each answer when its last character would have
//! arrived.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::dials::{Dials, Fate, Injected};
use super::frame::{Asked, Framing};
use super::registers::Registers;
use crate::dice::Dice;

/// Half a question is forgotten after so long: the line was silent, so it is not going on.
const HALF_MAX: Duration = Duration::from_millis(200);

/// Slaves and what is wrong with them, shared by all lines of a simulation.
#[derive(Debug)]
pub struct Bus {
    /// Who is there; everybody else is silent.
    pub units: Vec<u8>,
    /// Who is there and dead.
    pub dead: Vec<u8>,
    /// What they hold.
    pub registers: Registers,
    /// What goes wrong.
    pub dials: Dials,
    /// Bits a second, where characters are to take their time.
    pub baud: Option<u32>,
    /// Where chance begins.
    pub seed: u64,
    injected: Mutex<Injected>,
}

impl Bus {
    /// Slaves on a perfect line.
    #[must_use]
    pub fn new(units: impl IntoIterator<Item = u8>) -> Self {
        Self {
            units: units.into_iter().collect(),
            dead: Vec::new(),
            registers: Registers::default(),
            dials: Dials::default(),
            baud: None,
            seed: 1,
            injected: Mutex::default(),
        }
    }

    /// How often each dial struck so far.
    #[must_use]
    pub fn injected(&self) -> Injected {
        self.injected.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, what: &'static str) {
        let mut injected = self.injected.lock().unwrap_or_else(PoisonError::into_inner);
        *injected.entry(what).or_default() += 1;
    }

    fn time_of(&self, characters: usize) -> Duration {
        match self.baud {
            Some(baud) => Duration::from_secs_f64(characters as f64 * 10.0 / f64::from(baud)),
            None => Duration::ZERO,
        }
    }
}

/// What one line remembers.
pub(super) struct Talk<'a, S> {
    pub(super) bus: &'a Bus,
    pub(super) framing: Framing,
    pub(super) stream: S,
    pub(super) dice: Dice,
    /// What is on its way, and when it arrives.
    pub(super) going: Vec<(Instant, Vec<u8>)>,
    /// What comes before a slave's next answer.
    pub(super) held: HashMap<u8, Vec<u8>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<'_, S> {
    /// Answers until the other side is gone.
    pub(super) async fn run(mut self, stop: &CancellationToken) -> io::Result<()> {
        let mut heard = BytesMut::new();
        loop {
            let next = self.going.iter().map(|(at, _)| *at).min();
            let idle = if heard.is_empty() { Duration::from_secs(3_600) } else { HALF_MAX };
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => self.send().await?,
                read = timeout(idle, self.stream.read_buf(&mut heard)) => match read {
                    Err(_) => heard.clear(),
                    Ok(Ok(0)) => return Ok(()),
                    Ok(read) => {
                        read?;
                        self.hear(&mut heard);
                    }
                }
            }
        }
    }

    async fn send(&mut self) -> io::Result<()> {
        let now = Instant::now();
        self.going.sort_by_key(|(at, _)| *at);
        let due = self.going.partition_point(|(at, _)| *at <= now);
        for (_, bytes) in self.going.drain(..due) {
            self.stream.write_all(&bytes).await?;
        }
        self.stream.flush().await
    }

    fn hear(&mut self, heard: &mut BytesMut) {
        loop {
            match self.framing.question(heard) {
                Ok(None) => return,
                Err(()) => return heard.clear(),
                Ok(Some(asked)) => {
                    heard.advance(asked.length);
                    self.answer(&asked);
                }
            }
        }
    }

    fn answer(&mut self, asked: &Asked) {
        let bus = self.bus;
        if !bus.units.contains(&asked.unit) || bus.dead.contains(&asked.unit) {
            return bus.count("nobody");
        }
        bus.count("questions");
        let answer = self.framing.answer(asked, &bus.registers.answer(asked.unit, &asked.pdu));
        let refusal = self.framing.answer(asked, &[asked.pdu[0] | 0x80, 4]);
        let (name, fate) = bus.dials.throw(&mut self.dice, self.framing, answer, refusal);
        bus.count(name);
        let before = self.held.remove(&asked.unit).unwrap_or_default();
        let now = match fate {
            Fate::Now(bytes) => bytes,
            Fate::Never => Vec::new(),
            Fate::Late(bytes, by) => {
                self.going.push((Instant::now() + by, bytes));
                Vec::new()
            }
            Fate::Held(bytes) => {
                self.held.insert(asked.unit, bytes);
                Vec::new()
            }
            Fate::NowAndHeld(bytes, again) => {
                self.held.insert(asked.unit, again);
                bytes
            }
        };
        let at = Instant::now() + bus.dials.delay + bus.time_of(asked.length + now.len());
        // What was held comes first, and the right answer close behind it.
        if !before.is_empty() {
            self.going.push((Instant::now(), before));
        }
        if !now.is_empty() {
            self.going.push((at, now));
        }
    }
}
