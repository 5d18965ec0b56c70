//! One bus with its sensors: hears commands, throws the dice, and answers.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::dials::{Contents, Dials, Injected};
use super::sensor::{crc, identity, page, proof, proof_all};
use crate::dice::Dice;
use crate::pty::SerialLink;

/// Half a command is forgotten after so long.
const HALF_MAX: Duration = Duration::from_millis(200);

/// Characters of values of one answer: 35, and 75 of a concurrent measurement.
const ROOM: usize = 35;
const ROOM_CONCURRENT: usize = 75;

/// Sensors and what is wrong with them.
#[derive(Debug)]
pub struct Bus {
    /// Who is there.
    pub addresses: Vec<char>,
    /// Who is there and dead.
    pub dead: Vec<char>,
    /// Does the adapter repeat commands?
    pub echo: bool,
    /// How long a measurement takes; it promises whole seconds.
    pub measures_for: Duration,
    /// What goes wrong.
    pub dials: Dials,
    /// Where chance begins.
    pub seed: u64,
    sensors: Mutex<BTreeMap<char, Sensor>>,
    injected: Mutex<Injected>,
}

/// What a sensor remembers.
#[derive(Debug, Clone, Default)]
struct Sensor {
    /// How many measurements it made.
    number: u64,
    held: Vec<f64>,
    before: Vec<f64>,
    with_crc: bool,
    room: usize,
}

impl Bus {
    /// Sensors on a perfect bus.
    #[must_use]
    pub fn new(addresses: &str) -> Self {
        Self {
            addresses: addresses.chars().collect(),
            dead: Vec::new(),
            echo: false,
            measures_for: Duration::from_millis(100),
            dials: Dials::default(),
            seed: 1,
            sensors: Mutex::default(),
            injected: Mutex::default(),
        }
    }

    /// How often each dial struck so far, and `commands`.
    #[must_use]
    pub fn injected(&self) -> Injected {
        self.injected.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many measurements the sensor at this address made.
    #[must_use]
    pub fn measurements(&self, address: char) -> u64 {
        self.sensor(address, |sensor| sensor.number)
    }

    fn sensor<T>(&self, address: char, with: impl FnOnce(&mut Sensor) -> T) -> T {
        let mut sensors = self.sensors.lock().unwrap_or_else(PoisonError::into_inner);
        with(sensors.entry(address).or_default())
    }

    fn count(&self, what: &'static str) {
        let mut injected = self.injected.lock().unwrap_or_else(PoisonError::into_inner);
        *injected.entry(what).or_default() += 1;
    }
}

/// Answers until told to stop or the bus breaks.
///
/// # Errors
/// Where the bus breaks.
pub async fn serve(bus: &Bus, mut port: SerialLink, stop: CancellationToken) -> io::Result<()> {
    let mut talk = Talk { bus, dice: Dice(bus.seed), going: Vec::new() };
    let mut heard = BytesMut::new();
    loop {
        let due = talk.going.iter().map(|(at, _)| *at).min();
        let idle = if heard.is_empty() { Duration::from_secs(3_600) } else { HALF_MAX };
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => talk.send(&mut port).await?,
            read = timeout(idle, port.read_buf(&mut heard)) => match read {
                Err(_) => heard.clear(),
                Ok(Ok(0)) => return Ok(()),
                Ok(read) => {
                    read?;
                    while let Some(end) = heard.iter().position(|byte| *byte == b'!') {
                        let command = String::from_utf8_lossy(&heard[..end]).into_owned();
                        heard.advance(end + 1);
                        talk.command(&command);
                    }
                }
            }
        }
    }
}

struct Talk<'a> {
    bus: &'a Bus,
    dice: Dice,
    going: Vec<(Instant, Vec<u8>)>,
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

    fn command(&mut self, command: &str) {
        let bus = self.bus;
        if bus.echo {
            self.going.push((Instant::now(), format!("{command}!").into_bytes()));
        }
        // A command ends a service request that is still to come, as the break before it does.
        self.going.retain(|(at, _)| *at <= Instant::now());
        let mut characters = command.chars();
        let Some(first) = characters.next() else { return };
        let what = characters.as_str();
        let address = match first {
            '?' if bus.addresses.len() == 1 => bus.addresses[0],
            other => other,
        };
        if !bus.addresses.contains(&address) || bus.dead.contains(&address) {
            return bus.count("nobody");
        }
        bus.count("commands");
        match what {
            "" => self.say(&address.to_string()),
            "I" => self.say(&identity(address)),
            _ => self.measure(address, what),
        }
    }

    fn measure(&mut self, address: char, what: &str) {
        let bus = self.bus;
        let with_crc = what.as_bytes().get(1) == Some(&b'C');
        let plain = if with_crc { what.replacen('C', "", 1) } else { what.to_owned() };
        // `CC1` is a concurrent one with a CRC.
        let plain = if what.starts_with("CC") { what[1..].to_owned() } else { plain };
        match plain.as_str() {
            "M" => {
                bus.sensor(address, |sensor| {
                    sensor.begin(with_crc, ROOM, |number| proof(address, number).to_vec());
                });
                let seconds = bus.measures_for.as_secs_f64().ceil();
                self.say(&format!("{address}{seconds:03}4"));
                if self.dice.share() < bus.dials.unserved {
                    return bus.count("unserved");
                }
                let at = Instant::now() + bus.measures_for;
                self.going.push((at, format!("{address}\r\n").into_bytes()));
            }
            "C1" => {
                bus.sensor(address, |sensor| {
                    sensor.begin(with_crc, ROOM_CONCURRENT, |number| proof_all(address, number));
                });
                let seconds = bus.measures_for.as_secs_f64().ceil();
                self.say(&format!("{address}{seconds:03}12"));
            }
            "R0" => self.values(address, &[12.6], &[12.6], 0, (with_crc, ROOM)),
            page if page.len() == 2 && page.starts_with('D') => {
                let page = page[1..].parse().unwrap_or(9);
                let sensor = bus.sensor(address, |sensor| sensor.clone());
                let how = (sensor.with_crc, sensor.room);
                self.values(address, &sensor.held, &sensor.before, page, how);
            }
            _ => bus.count("nonsense"),
        }
    }

    fn values(
        &mut self,
        address: char,
        held: &[f64],
        before: &[f64],
        number: usize,
        (with_crc, room): (bool, usize),
    ) {
        let (name, contents) = self.bus.dials.contents(&mut self.dice);
        self.bus.count(name);
        let values = match contents {
            Contents::Right => held,
            Contents::Stale => before,
            Contents::Empty => &[],
            Contents::Short => &held[..held.len().saturating_sub(1)],
        };
        let mut said = format!("{address}{}", page(values, number, room));
        if with_crc {
            said = format!("{said}{}", crc(&said));
        }
        self.say(&said);
    }

    fn say(&mut self, said: &str) {
        let (name, bytes) = self.bus.dials.bus(&mut self.dice, &format!("{said}\r\n"));
        self.bus.count(name);
        if !bytes.is_empty() {
            self.going.push((Instant::now(), bytes));
        }
    }
}

impl Sensor {
    fn begin(&mut self, with_crc: bool, room: usize, values: impl Fn(u64) -> Vec<f64>) {
        self.number += 1;
        let held = values(self.number);
        self.before = std::mem::replace(&mut self.held, held);
        (self.with_crc, self.room) = (with_crc, room);
    }
}
