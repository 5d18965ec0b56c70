//! No wrong value. Each block of the proof says whose it is, which registers it holds and when it was asked for; the
//! slaves remember every question. A value is right if it is the slave's own, of its own registers, and the answer to
//! the last question for it, or to the one that this question repeated.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use domain::Admitted;
use firmware_sim::modbus::{Bus, Dials, Injected, Question, Registers, SerialLink, serve_pty};
use ingest::modbus::{At, Config};

use super::stand::{Stand, line, now, proof, value};

/// Slaves of a line.
const SLAVES: u8 = 3;

/// How often a slave is asked.
const EVERY: Duration = Duration::from_millis(150);

/// A question is repeated at once, or not at all.
const REPEATED_MS: u32 = 140;

/// A slave's answer leaves so long after its question. Longer than the silence after an answer: what comes before the
/// right one is not seen to be followed by it.
const ANSWER_AFTER: Duration = Duration::from_millis(4);

/// A question that comes later than this before a reading is none of its: two clocks that count whole milliseconds differ
/// by two at most. On a busy machine the next poll asks in the very millisecond in which this one ended.
const LAST_BEFORE_MS: u32 = ANSWER_AFTER.as_millis() as u32 - 2;

/// What was found.
pub struct Found {
    pub turns: u64,
    pub readings: u64,
    pub values: u64,
    pub wrong: Vec<String>,
    pub injected: Injected,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { turns, readings, values, wrong, injected } = self;
        write!(
            f,
            "{turns} polls, {readings} readings with {values} values, {} wrong; ",
            wrong.len()
        )?;
        write!(f, "injected {injected:?}")
    }
}

/// How many polls: `SALTLINE_MODBUS_POLLS`, or so many.
pub fn polls(usual: u64) -> u64 {
    std::env::var("SALTLINE_MODBUS_POLLS").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

/// Every fault of the field, more often than there.
fn dials(rtu: bool) -> Dials {
    Dials {
        late: 0.02,
        held: 0.01,
        duplicate: 0.02,
        duplicate_held: 0.01,
        truncated: 0.02,
        corrupted: 0.03,
        noise: if rtu { 0.02 } else { 0.0 },
        exception: 0.01,
        silence: 0.01,
        delay: ANSWER_AFTER,
        // Some arrive while the next slave is asked, some after that.
        late_by: (Duration::from_millis(32), Duration::from_millis(110)),
    }
}

/// A line whose patience is as short as its faults are often.
fn hurried(config: Config) -> Config {
    Config {
        answer_within: Duration::from_millis(30),
        quiet: Duration::from_millis(10),
        // Far above `late_by`: on a machine that stands still for a moment the slaves' timers ring late too.
        late_max: Duration::from_millis(500),
        back_off_max: Duration::from_millis(520),
        ..config
    }
}

/// Asks until so many questions were asked, and looks at all that is on disk.
pub async fn run(polls: u64) -> Found {
    let seed = u64::try_from(now().as_millis()).unwrap();
    println!("seed {seed}");
    let lines = if polls <= 100_000 { 36 } else { 120 };
    let mut stand = Stand::new();
    let mut buses: HashMap<String, (i64, Arc<Bus>)> = HashMap::new();
    let mut configs = Vec::new();
    for number in 0..lines {
        // Of six lines one is plain TCP, two go through a gateway, which forgets with each connection, and three are
        // serial, where whatever is late comes, however often the port is opened anew.
        let rtu = number % 6 != 0;
        let serial = number % 2 != 0;
        let mut bus = Bus::new(1..=SLAVES);
        bus.registers = Registers::remembering();
        bus.dials = dials(rtu);
        bus.seed = seed + number;
        let (bus, name) = (Arc::new(bus), format!("l{number}"));
        let at = if serial {
            let link = stand.path(&name);
            let port = SerialLink::new(&link).unwrap();
            let (bus, stop) = (bus.clone(), stand.stop.clone());
            stand.spawn(async move { serve_pty(port, bus, stop).await.unwrap() });
            At::Serial(link)
        } else {
            stand.serve(&bus, rtu).await
        };
        configs.push(hurried(line(&name, at, &proof(), SLAVES, EVERY)));
        let started = now().as_millis() - i64::from(bus.registers.millis());
        buses.insert(name, (started, bus));
    }
    let taken = |buses: &HashMap<String, (i64, Arc<Bus>)>| {
        buses.values().map(|(_, bus)| bus.registers.asked().len() as u64).sum::<u64>()
    };
    stand.ask(configs, None);
    // A poll has three questions; in doubt it has fewer.
    while taken(&buses) < polls * 3 {
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    stand.stopped().await;
    let turns = taken(&buses) / 3;
    judge(&stand, &buses, turns)
}

fn judge(stand: &Stand, buses: &HashMap<String, (i64, Arc<Bus>)>, turns: u64) -> Found {
    let mut found =
        Found { turns, readings: 0, values: 0, wrong: Vec::new(), injected: Injected::new() };
    let mut asked: HashMap<(&str, u8, u16), Vec<u32>> = HashMap::new();
    for (name, (_, bus)) in buses {
        for Question { unit, first, millis } in bus.registers.asked() {
            asked.entry((name, unit, first)).or_default().push(millis);
        }
        for (dial, struck) in bus.injected() {
            *found.injected.entry(dial).or_default() += struck;
        }
    }
    for admitted in stand.stored(None) {
        let (name, unit) = admitted.station.as_str().split_once('-').unwrap();
        let unit: u8 = unit.parse().unwrap();
        let at = u32::try_from(admitted.taken_at.as_millis() - buses[name].0).unwrap();
        found.readings += 1;
        found.values += admitted.values.len() as u64;
        for (block, first, tags) in [
            ("a", 1000, &[][..]),
            ("b", 1100, &[("b_tag", 1104)]),
            ("c", 1200, &[("c_tag", 1204), ("c_tag_too", 1205)]),
        ] {
            let before = asked.get(&(name, unit, first)).map(Vec::as_slice).unwrap_or_default();
            if let Some(wrong) = wrong(&admitted, block, unit, first, tags, before, at) {
                found.wrong.push(format!("{} block {first} at {at}: {wrong}", admitted.station));
            }
        }
    }
    found
}

/// What is wrong with one block of a reading, if it has it.
fn wrong(
    of: &Admitted,
    block: &str,
    unit: u8,
    first: u16,
    tags: &[(&str, u16)],
    asked: &[u32],
    at: u32,
) -> Option<String> {
    let who = value(of, &format!("{block}_who"))?;
    if who != f64::from(u32::from(unit) << 16 | u32::from(first)) {
        return Some(format!("it is of {who:x?}", who = who as u32));
    }
    for (tag, number) in tags {
        if value(of, tag) != Some(f64::from(*number)) {
            return Some(format!("{tag} is {:?}", value(of, tag)));
        }
    }
    let millis = value(of, &format!("{block}_ms"))? as u32;
    let last = asked.partition_point(|asked| asked + LAST_BEFORE_MS <= at);
    let repeated = asked[..last]
        .iter()
        .rev()
        .take_while(|asked| at.saturating_sub(**asked) <= REPEATED_MS * 4);
    let newest = asked[..last].last().copied()?;
    let may_be: Vec<u32> =
        repeated.copied().filter(|asked| newest - asked <= REPEATED_MS).collect();
    if millis != newest && !may_be.contains(&millis) {
        return Some(format!(
            "it is the answer of {millis}, asked was at {:?}",
            &asked[last.saturating_sub(3)..last]
        ));
    }
    None
}
