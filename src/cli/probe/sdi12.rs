//! `saltline probe sdi12 PORT`: finds the sensors of a bus and who they are; or measures one, and writes the profile of
//! what was recognised.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use domain::{Parameter, standard_parameters, unit};
use ingest::sdi12::{
    Address, Command, Identity, Profile, Sounding, Unsounded, find, identify, measure_once,
};
use serde_json::json;

use super::port::{Port, name_of, place, write};
use crate::cli::output::{self, Format, Row};
use crate::cli::{Trouble, span_arg};

/// Sensors on a bus that no engine holds.
#[derive(Args)]
pub struct Sdi12 {
    /// Where the adapter is: serial:///dev/serial/by-id/…, its path alone, or tcp://host:port.
    port: String,
    #[command(flatten)]
    how: Port,
    /// Look at all 62 addresses, not only at 0 to 9.
    #[arg(long)]
    all: bool,
    /// Measure the sensor at this address.
    #[arg(long, value_parser = address)]
    address: Option<Address>,
    /// How: M, M1 to M9, C, C1 to C9, R0 to R9.
    #[arg(long, default_value = "M", value_parser = command, requires = "address")]
    measure: Command,
    /// Ask for no CRC, also of a sensor that has it (version 1.3 and above).
    #[arg(long)]
    no_crc: bool,
    /// How long an answer is waited for.
    #[arg(long, default_value = "1s", value_parser = span_arg)]
    answer_within: Duration,
    /// A break that the port itself holds before each command, as 12ms, where no adapter does.
    #[arg(long = "break", value_parser = span_arg)]
    wake: Option<Duration>,
    /// What was recognised, as NUMBER:PARAMETER:UNIT[:SCALE], for the profile; more than once.
    #[arg(long = "take", value_name = "TAKE", requires_all = ["profile", "address"])]
    takes: Vec<String>,
    /// Write the profile of what was taken into this file.
    #[arg(long, value_name = "FILE", requires = "takes")]
    profile: Option<PathBuf>,
}

fn address(text: &str) -> Result<Address, String> {
    Address::parse(text).ok_or_else(|| "write one of 0-9, a-z and A-Z".to_owned())
}

fn command(text: &str) -> Result<Command, String> {
    Command::parse(text).ok_or_else(|| "there are M, M1 to M9, C, C1 to C9 and R0 to R9".to_owned())
}

fn no(unsounded: &Unsounded) -> Trouble {
    let mut text = unsounded.to_string();
    let mut cause = std::error::Error::source(&unsounded.fault);
    while let Some(error) = cause {
        write!(text, ": {error}").ok();
        cause = error.source();
    }
    Trouble::No(text)
}

impl Sdi12 {
    /// Does it.
    pub async fn run(self, format: Format) -> Result<(), Trouble> {
        let sounding = Sounding {
            place: place(&self.port)?,
            serial: self.how.serial()?,
            answer_within: self.answer_within,
            wake: self.wake,
            measure_max: Duration::from_secs(999),
        };
        match self.address {
            None => self.find(format, &sounding).await,
            Some(address) => self.measured(format, &sounding, address).await,
        }
    }

    async fn find(&self, format: Format, sounding: &Sounding) -> Result<(), Trouble> {
        let digits = |address: &Address| address.byte().is_ascii_digit();
        let addresses = Address::all().filter(|address| self.all || digits(address));
        let found = find(sounding, addresses).await.map_err(|unsounded| no(&unsounded))?;
        let mut rows: Vec<Row> = Vec::new();
        for address in found {
            let identity = identify(sounding, address).await.map_err(|unsounded| no(&unsounded))?;
            rows.push(row(address, &identity));
        }
        output::rows(format, &rows)?;
        match rows.is_empty() {
            true => Err(Trouble::No(
                "no sensor answers; try --all, another --baud, or --break 12ms".to_owned(),
            )),
            false => Ok(()),
        }
    }

    async fn measured(
        &self,
        format: Format,
        sounding: &Sounding,
        address: Address,
    ) -> Result<(), Trouble> {
        let takes: Vec<Take> =
            self.takes.iter().map(|text| take(text)).collect::<Result<_, _>>()?;
        let identity = identify(sounding, address).await.map_err(|unsounded| no(&unsounded))?;
        let crc = !self.no_crc && "1.3" <= identity.version.as_str();
        let values = measure_once(sounding, address, self.measure, crc).await;
        let values = values.map_err(|unsounded| no(&unsounded))?;
        let row = |(at, value): (usize, &f64)| -> Row {
            vec![("at", json!(at)), ("value", json!(value))]
        };
        output::rows(format, &(1..).zip(&values).map(row).collect::<Vec<_>>())?;
        eprintln!("{} {} of {}", identity.model, identity.firmware, identity.vendor);
        if values.is_empty() {
            return Err(Trouble::No("the measurement has no values".to_owned()));
        }
        let Some(file) = &self.profile else { return Ok(()) };
        let text = profile(&self.port, &identity, self.measure, crc, values.len(), &takes);
        // What is written can be read.
        Profile::read(&name_of(file), &text).map_err(|error| Trouble::Usage(error.to_string()))?;
        write(file, &text)
    }
}

fn row(address: Address, identity: &Identity) -> Row {
    vec![
        ("address", json!(address.to_string())),
        ("sdi12", json!(identity.version)),
        ("vendor", json!(identity.vendor)),
        ("model", json!(identity.model)),
        ("firmware", json!(identity.firmware)),
        ("more", json!(identity.more)),
    ]
}

/// What a person recognised.
struct Take {
    at: u16,
    parameter: Parameter,
    unit: String,
    scale: f64,
}

fn take(text: &str) -> Result<Take, Trouble> {
    let wanted = || {
        Trouble::Usage(format!(
            "--take {text}: write NUMBER:PARAMETER:UNIT[:SCALE], as 1:water_level:mm"
        ))
    };
    let parts: Vec<&str> = text.split(':').collect();
    let (at, name, stated, scale) = match parts[..] {
        [at, name, stated] => (at, name, stated, "1"),
        [at, name, stated, scale] => (at, name, stated, scale),
        _ => return Err(wanted()),
    };
    let parameter = standard_parameters().into_iter().find(|p| p.code.as_str() == name);
    let parameter = parameter.ok_or_else(|| {
        Trouble::Usage(format!("`{name}` is no parameter; docs/wire.md lists them"))
    })?;
    if unit::convert(1.0, stated, &parameter.unit).is_none() {
        let why = format!("`{stated}` cannot be turned into {name}'s `{}`", parameter.unit);
        return Err(Trouble::Usage(why));
    }
    Ok(Take {
        at: at.parse().ok().filter(|at| 0 < *at).ok_or_else(wanted)?,
        parameter,
        unit: stated.to_owned(),
        scale: scale.parse().map_err(|_| wanted())?,
    })
}

fn profile(
    port: &str,
    identity: &Identity,
    measure: Command,
    crc: bool,
    count: usize,
    takes: &[Take],
) -> String {
    let Identity { vendor, model, firmware, .. } = identity;
    let mut text =
        "# Written by `saltline probe sdi12`. Name the device, and the document that agrees.\n"
            .to_owned();
    // Writing to a text cannot fail.
    writeln!(
        text,
        "device = {}\nsource = {}\nvendor = {}\nmodel = {}\ncrc = {crc}\n\n[[measure]]\ncommand = \"{measure}\"\nvalues = {count}\nvalue = [",
        json!(format!("{vendor} {model} {firmware}")),
        json!(format!("probed at {port}")),
        json!(vendor),
        json!(model),
    )
    .ok();
    for Take { at, parameter, unit, scale } in takes {
        let code = &parameter.code;
        writeln!(
            text,
            "    {{ parameter = \"{code}\", at = {at}, scale = {scale:?}, unit = {} }},",
            json!(unit)
        )
        .ok();
    }
    text.push_str("]\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_becomes_a_profile_that_can_be_read() {
        let identity = Identity {
            version: "1.4".to_owned(),
            vendor: "METER".to_owned(),
            model: "HYDR21".to_owned(),
            firmware: "101".to_owned(),
            more: String::new(),
        };
        let takes = ["1:water_level:mm", "3:conductivity_25:µS/cm:2"]
            .map(|text| take(text).unwrap_or_else(|_| panic!("{text}")));
        let text = profile("serial:///dev/x", &identity, Command::Concurrent(1), true, 3, &takes);
        let profile = Profile::read("probed", &text).unwrap();
        assert_eq!((profile.vendor.as_str(), profile.crc), ("METER", true));
        let measure = &profile.measures[0];
        assert_eq!((measure.command, measure.count), (Command::Concurrent(1), 3));
        assert_eq!((measure.values[1].at, measure.values[1].scale), (3, 2.0));
        for bad in ["", "1:water_level", "x:ph:", "0:ph:", "1:salt:g/L", "1:ph:mm", "1:ph::x"] {
            assert!(take(bad).is_err(), "{bad}");
        }
    }
}
