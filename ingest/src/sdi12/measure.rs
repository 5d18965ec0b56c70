//! A measurement, from its start to its values.

use std::time::Duration;

use tokio::time::Instant;

use super::answer::{Address, Identity, Misread, Started, identity, started, values};
use super::bus::{Behind, Bus};
use super::fault::Fault;
use super::profile::{Command, Measure, Profile};

/// What was measured, and the answers that said it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Measured {
    pub(super) values: Vec<f64>,
    pub(super) answers: Vec<String>,
}

/// A measurement that the sensor makes while others are asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Underway {
    pub(super) ready_at: Instant,
    answers: Vec<String>,
}

/// What a command came to.
pub(super) enum Begun {
    Done(Measured),
    Underway(Underway),
}

impl Bus {
    /// Who the sensor is.
    pub(super) async fn identity(
        &mut self,
        address: Address,
        tries: u32,
    ) -> Result<Identity, Fault> {
        let read = |line: &[u8]| identity(address, line);
        let command = format!("{address}I!");
        Ok(self.ask(address, &command, tries, Behind::Nothing, read).await?.0)
    }

    /// Is it the sensor that its profile is of?
    pub(super) async fn is_the_sensor(
        &mut self,
        address: Address,
        profile: &Profile,
        tries: u32,
    ) -> Result<(), Fault> {
        let found = self.identity(address, tries).await?;
        let fits = |found: &str, wanted: &str| {
            found.get(..wanted.len()).is_some_and(|found| found.eq_ignore_ascii_case(wanted))
        };
        match fits(&found.vendor, &profile.vendor) && fits(&found.model, &profile.model) {
            true => Ok(()),
            false => {
                let is = format!("{} {}", found.vendor, found.model);
                Err(Fault::misread(is.as_bytes(), Misread::Sensor(is.clone())))
            }
        }
    }

    /// Begins a measurement; one that others need not wait for is under way then.
    pub(super) async fn begin(
        &mut self,
        address: Address,
        measure: &Measure,
        crc: bool,
    ) -> Result<(Begun, bool), Fault> {
        let tries = self.config.tries;
        let command = measure.command.text(address, crc);
        let count = measure.count;
        let concurrent = match measure.command {
            Command::Read(_) => {
                let read = |line: &[u8]| exactly(count, values(address, line, crc)?);
                let (values, said) =
                    self.ask(address, &command, tries, Behind::Nothing, read).await?;
                return Ok((Begun::Done(Measured { values, answers: vec![said] }), true));
            }
            Command::Concurrent(_) => true,
            Command::Measure(_) => false,
        };
        let read = |line: &[u8]| {
            let begun = started(address, line, concurrent)?;
            let wanted = || format!("the profile has {count}");
            match begun.count == count {
                true => Ok(begun),
                false => Err(Misread::Count { found: begun.count, wanted: wanted() }),
            }
        };
        let behind = if concurrent { Behind::Nothing } else { Behind::Service };
        let (Started { within, .. }, said) =
            self.ask(address, &command, tries, behind, read).await?;
        if self.config.measure_max < within {
            return Err(Fault::Slow(within.as_secs()));
        }
        let answers = vec![said];
        if concurrent {
            // The clocks of the two are not the same.
            let ready_at = Instant::now() + within + Duration::from_millis(100);
            return Ok((Begun::Underway(Underway { ready_at, answers }), true));
        }
        let served = match within {
            Duration::ZERO => true,
            within => {
                let by = Instant::now() + within + self.config.answer_within;
                self.served(address, by).await?
            }
        };
        let measured = self.collect(address, count, crc, answers).await?;
        Ok((Begun::Done(measured), served))
    }

    /// Fetches what was measured while others were asked.
    pub(super) async fn finish(
        &mut self,
        address: Address,
        measure: &Measure,
        crc: bool,
        underway: Underway,
    ) -> Result<Measured, Fault> {
        self.collect(address, measure.count, crc, underway.answers).await
    }

    /// `aD0!` to `aD9!`, until all values are there; neither one less nor one more.
    async fn collect(
        &mut self,
        address: Address,
        count: usize,
        crc: bool,
        answers: Vec<String>,
    ) -> Result<Measured, Fault> {
        let mut measured = Measured { values: Vec::new(), answers };
        for page in 0..10 {
            let had = measured.values.len();
            let read = |line: &[u8]| {
                let read = values(address, line, crc)?;
                let wanted = || format!("{count} were promised, {had} came before");
                match read.len() {
                    0 if had == 0 => Err(Misread::Empty),
                    0 => Err(Misread::Count { found: 0, wanted: wanted() }),
                    more if count < had + more => {
                        Err(Misread::Count { found: more, wanted: wanted() })
                    }
                    _ => Ok(read),
                }
            };
            let command = format!("{address}D{page}!");
            let (read, said) =
                self.ask(address, &command, self.config.tries, Behind::Nothing, read).await?;
            measured.values.extend(read);
            measured.answers.push(said);
            if measured.values.len() == count {
                return Ok(measured);
            }
        }
        let (found, wanted) = (measured.values.len(), format!("{count} were promised"));
        Err(Fault::misread(
            measured.answers.join("\n").as_bytes(),
            Misread::Count { found, wanted },
        ))
    }
}

fn exactly(count: usize, read: Vec<f64>) -> Result<Vec<f64>, Misread> {
    match read.len() {
        0 => Err(Misread::Empty),
        found if found == count => Ok(read),
        found => Err(Misread::Count { found, wanted: format!("the profile has {count}") }),
    }
}
