//! Sensors that nobody knows yet: which addresses answer, who they are, and what a measurement of them is.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::answer::{Address, Identity, alone, identity, started, values};
use super::bus::{Behind, Bus};
use super::config::Config;
use super::counters::Counters;
use super::fault::Fault;
use super::profile::Command;
use crate::line::{Place, Serial};

/// Where and how a bus is asked.
#[derive(Debug, Clone)]
pub struct Sounding {
    /// The adapter's port.
    pub place: Place,
    /// How it is set.
    pub serial: Serial,
    /// How long an answer is waited for.
    pub answer_within: Duration,
    /// A break that we hold ourselves.
    pub wake: Option<Duration>,
    /// A longer measurement is not waited for.
    pub measure_max: Duration,
}

/// Nothing could be learnt.
#[derive(Debug, thiserror::Error)]
#[error("{command}: {fault}")]
pub struct Unsounded {
    /// What was asked.
    pub command: String,
    /// Why there is no answer.
    pub fault: Fault,
}

fn bus(sounding: &Sounding) -> Bus {
    let config = Config {
        name: "probe".to_owned(),
        place: sounding.place.clone(),
        serial: sounding.serial,
        answer_within: sounding.answer_within,
        pause: Duration::ZERO,
        quiet: Duration::from_millis(50),
        wake: sounding.wake,
        tries: 2,
        measure_max: sounding.measure_max,
        late_max: sounding.answer_within,
        back_off_max: sounding.answer_within,
        retry_max: sounding.answer_within,
        sensors: Vec::new(),
    };
    Bus::new(Arc::new(config), Counters::new("probe"), 1)
}

/// The addresses at which somebody answers. The question to all (`?!`) is asked first: where there is one sensor alone, it
/// says its own address, whichever that is; several answer at once, and nobody can read that.
///
/// # Errors
/// [`Unsounded`] where the port cannot be used.
pub async fn find(
    sounding: &Sounding,
    addresses: impl IntoIterator<Item = Address>,
) -> Result<Vec<Address>, Unsounded> {
    let mut bus = bus(sounding);
    let mut found = Vec::new();
    let anybody = Address::parse("0").expect("0 is an address");
    let whose = |line: &[u8]| {
        let said = String::from_utf8_lossy(line).into_owned();
        Address::parse(&said).ok_or(super::answer::Misread::Form("one address"))
    };
    match bus.ask(anybody, "?!", 1, Behind::Nothing, whose).await {
        Ok((address, _)) => found.push(address),
        Err(fault) if fault.is_of_the_line() => {
            return Err(Unsounded { command: "?!".to_owned(), fault });
        }
        Err(_) => {}
    }
    for address in
        addresses.into_iter().filter(|address| !found.contains(address)).collect::<Vec<_>>()
    {
        let command = format!("{address}!");
        let read = |line: &[u8]| alone(address, line);
        match bus.ask(address, &command, 1, Behind::Nothing, read).await {
            Ok(_) => found.push(address),
            Err(fault) if fault.is_of_the_line() => return Err(Unsounded { command, fault }),
            Err(_) => {}
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Who the sensor at this address is.
///
/// # Errors
/// [`Unsounded`].
pub async fn identify(sounding: &Sounding, address: Address) -> Result<Identity, Unsounded> {
    let command = format!("{address}I!");
    let read = |line: &[u8]| identity(address, line);
    let asked = bus(sounding).ask(address, &command, 2, Behind::Nothing, read).await;
    asked.map(|(identity, _)| identity).map_err(|fault| Unsounded { command, fault })
}

/// One measurement, whatever it holds.
///
/// # Errors
/// [`Unsounded`] for the command that is not answered.
pub async fn measure_once(
    sounding: &Sounding,
    address: Address,
    measure: Command,
    crc: bool,
) -> Result<Vec<f64>, Unsounded> {
    let mut bus = bus(sounding);
    let command = measure.text(address, crc);
    let failed = |command: &str| {
        let command = command.to_owned();
        move |fault| Unsounded { command, fault }
    };
    let read = |line: &[u8]| values(address, line, crc);
    let concurrent = match measure {
        Command::Read(_) => {
            let asked = bus.ask(address, &command, 2, Behind::Nothing, read).await;
            return asked.map(|(values, _)| values).map_err(failed(&command));
        }
        Command::Concurrent(_) => true,
        Command::Measure(_) => false,
    };
    let behind = if concurrent { Behind::Nothing } else { Behind::Service };
    let begun = |line: &[u8]| started(address, line, concurrent);
    let (begun, _) =
        bus.ask(address, &command, 2, behind, begun).await.map_err(failed(&command))?;
    if sounding.measure_max < begun.within {
        return Err(failed(&command)(Fault::Slow(begun.within.as_secs())));
    }
    if concurrent {
        sleep(begun.within + Duration::from_millis(100)).await;
    } else if !begun.within.is_zero() {
        let by = tokio::time::Instant::now() + begun.within + sounding.answer_within;
        bus.served(address, by).await.map_err(failed(&command))?;
    }
    let mut found = Vec::new();
    for page in 0..10 {
        if begun.count <= found.len() {
            break;
        }
        let command = format!("{address}D{page}!");
        let asked = bus.ask(address, &command, 2, Behind::Nothing, read).await;
        let (more, _) = asked.map_err(failed(&command))?;
        if more.is_empty() {
            break;
        }
        found.extend(more);
    }
    Ok(found)
}
