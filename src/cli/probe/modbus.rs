//! `saltline probe modbus URL …`: reads registers, shows each in every kind and order, and writes the profile of what
//! was recognised.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use domain::{Parameter, standard_parameters};
use ingest::modbus::wire::{Block, Function};
use ingest::modbus::{At, Kind, Order, Parity, Profile, Serial, Sounding, Word, sound, words};
use serde_json::json;

use crate::cli::output::{self, Format, Row};
use crate::cli::{Trouble, span_arg};

/// A device on a line that no engine holds.
#[derive(Args)]
pub struct Modbus {
    /// Where: tcp://host:502, rtu+tcp://host:port or serial:///dev/serial/by-id/…
    url: String,
    /// The slave's address.
    #[arg(long, default_value_t = 1)]
    unit: u8,
    /// 1 coils, 2 discrete inputs, 3 holding registers, 4 input registers.
    #[arg(long, default_value_t = 3)]
    function: u8,
    /// The first register, counted from 0 as on the wire.
    #[arg(long, default_value_t = 0)]
    register: u16,
    /// How many.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,
    /// What is looked for: ways to read it that are plausible are marked, the others left out of the table.
    #[arg(long)]
    parameter: Option<String>,
    /// Multiply with this before judging what is plausible, as 0.001 for µS/cm.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// How long an answer is waited for.
    #[arg(long, default_value = "1s", value_parser = span_arg)]
    answer_within: Duration,
    /// Bits a second of a serial line.
    #[arg(long, default_value_t = 9_600)]
    baud: u32,
    /// The check bit of a serial line: none, even or odd.
    #[arg(long, default_value = "none")]
    parity: String,
    /// Stop bits of a serial line.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    stop_bits: u8,
    /// What was recognised, as REGISTER:TYPE:ORDER:PARAMETER[:SCALE], for the profile; more than once.
    #[arg(long = "take", value_name = "TAKE", requires = "profile")]
    takes: Vec<String>,
    /// Write the profile of what was taken into this file.
    #[arg(long, value_name = "FILE", requires = "takes")]
    profile: Option<PathBuf>,
}

impl Modbus {
    /// Does it.
    pub async fn run(self, format: Format) -> Result<(), Trouble> {
        let wanted = self.parameter.as_deref().map(parameter).transpose()?;
        let function = Function::of(self.function.into())
            .ok_or_else(|| Trouble::Usage("--function is 1, 2, 3 or 4".to_owned()))?;
        let block = Block { function, first: self.register, count: self.count };
        if 65_536 < block.end() {
            return Err(Trouble::Usage("the last register is 65535".to_owned()));
        }
        let takes: Vec<Take> =
            self.takes.iter().map(|text| take(text)).collect::<Result<_, _>>()?;
        let read = sound(&self.sounding()?, block).await;
        let read = read.map_err(|unsounded| Trouble::No(unsounded.to_string()))?;
        if function.is_bits() {
            let row = |(at, bit): (u32, &Option<u16>)| -> Row {
                vec![("register", json!(at)), ("bit", json!(bit))]
            };
            output::rows(
                format,
                &(u32::from(self.register)..).zip(&read).map(row).collect::<Vec<_>>(),
            )?;
        } else {
            let range = wanted.as_ref().and_then(|parameter| parameter.suspect.or(parameter.fail));
            let mut ways = words(&read, self.register, range, self.scale);
            if let Some(parameter) = &wanted {
                let range = range
                    .map_or("no range is known".to_owned(), |r| format!("{} to {}", r.low, r.high));
                eprintln!("{} is plausible from {range} {}", parameter.code, parameter.unit);
                ways.retain(|way| way.plausible);
            }
            output::rows(format, &rows(&ways, &read, self.register, wanted.is_some()))?;
            if wanted.is_some() && ways.is_empty() {
                return Err(Trouble::No("no register is plausible in any order".to_owned()));
            }
        }
        match &self.profile {
            Some(file) => write(file, self.function, &self.url, &takes),
            None => Ok(()),
        }
    }

    fn sounding(&self) -> Result<Sounding, Trouble> {
        let usage = |why: String| Trouble::Usage(why);
        Ok(Sounding {
            at: At::parse(&self.url).map_err(|error| usage(error.to_string()))?,
            serial: Serial {
                baud: self.baud,
                data_bits: 8,
                parity: Parity::parse(&self.parity)
                    .ok_or_else(|| usage("--parity is none, even or odd".to_owned()))?,
                stop_bits: self.stop_bits,
            },
            unit: self.unit,
            answer_within: self.answer_within,
        })
    }
}

fn parameter(name: &str) -> Result<Parameter, Trouble> {
    standard_parameters()
        .into_iter()
        .find(|p| p.code.as_str() == name)
        .ok_or_else(|| Trouble::Usage(format!("`{name}` is no parameter; docs/wire.md lists them")))
}

/// A row a register and kind, with a column an order; with a parameter only what is plausible, one by one.
fn rows(ways: &[Word], read: &[Option<u16>], first: u16, one_by_one: bool) -> Vec<Row> {
    if one_by_one {
        let row = |way: &Word| -> Row {
            vec![
                ("register", json!(way.register)),
                ("type", json!(way.kind.as_str())),
                ("order", json!(way.order.as_str())),
                ("value", json!(way.number)),
            ]
        };
        return ways.iter().map(row).collect();
    }
    let mut grouped: BTreeMap<(u16, usize), Vec<&Word>> = BTreeMap::new();
    for way in ways {
        let kind = Kind::ALL.iter().position(|kind| *kind == way.kind).unwrap_or(0);
        grouped.entry((way.register, kind)).or_default().push(way);
    }
    let row = |((register, _), ways): (&(u16, usize), &Vec<&Word>)| -> Row {
        let hex = read
            .get(usize::from(register - first))
            .copied()
            .flatten()
            .map(|word| format!("{word:04X}"));
        let number =
            |order: Order| ways.iter().find(|way| way.order == order).map(|way| way.number);
        vec![
            ("register", json!(register)),
            ("hex", json!(hex)),
            ("type", json!(ways.first().map(|way| way.kind.as_str()))),
            ("abcd", json!(number(Order::Abcd))),
            ("cdab", json!(number(Order::Cdab))),
            ("badc", json!(number(Order::Badc))),
            ("dcba", json!(number(Order::Dcba))),
        ]
    };
    grouped.iter().map(row).collect()
}

/// What a person recognised.
struct Take {
    register: u16,
    kind: Kind,
    order: Order,
    parameter: Parameter,
    scale: f64,
}

fn take(text: &str) -> Result<Take, Trouble> {
    let wanted = || {
        Trouble::Usage(format!(
            "--take {text}: write REGISTER:TYPE:ORDER:PARAMETER[:SCALE], as 2:f32:CDAB:salinity"
        ))
    };
    let parts: Vec<&str> = text.split(':').collect();
    let (register, kind, order, name, scale) = match parts[..] {
        [register, kind, order, name] => (register, kind, order, name, "1"),
        [register, kind, order, name, scale] => (register, kind, order, name, scale),
        _ => return Err(wanted()),
    };
    Ok(Take {
        register: register.parse().map_err(|_| wanted())?,
        kind: Kind::parse(kind).filter(|kind| *kind != Kind::Bit).ok_or_else(wanted)?,
        order: Order::parse(order).ok_or_else(wanted)?,
        parameter: parameter(name)?,
        scale: scale.parse().map_err(|_| wanted())?,
    })
}

fn write(file: &Path, function: u8, url: &str, takes: &[Take]) -> Result<(), Trouble> {
    let text = profile(function, url, takes);
    let name = file.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    // What is written can be read.
    Profile::read(&name, &text).map_err(|error| Trouble::Usage(error.to_string()))?;
    std::fs::write(file, text)
        .map_err(|error| Trouble::Later(format!("cannot write {}: {error}", file.display())))?;
    eprintln!("profile `{name}` written to {}", file.display());
    Ok(())
}

fn profile(function: u8, url: &str, takes: &[Take]) -> String {
    let mut text =
        "# Written by `saltline probe modbus`. Name the device, and the document that agrees.\n"
            .to_owned();
    // Writing to a text cannot fail.
    writeln!(text, "device = \"unknown\"\nsource = {}\n", json!(format!("probed at {url}"))).ok();
    for Take { register, kind, order, parameter, scale } in takes {
        let (code, unit) = (&parameter.code, json!(parameter.unit));
        let (kind, order) = (kind.as_str(), order.as_str());
        writeln!(
            text,
            "[[value]]\nparameter = \"{code}\"\nfunction = {function}\nregister = {register}\n\
             type = \"{kind}\"\norder = \"{order}\"\nscale = {scale:?}\nunit = {unit}\n"
        )
        .ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_becomes_a_profile_that_can_be_read() {
        let takes = ["2:f32:CDAB:salinity", "7:u16:ABCD:conductivity_25:0.001"]
            .map(|text| take(text).unwrap_or_else(|_| panic!("{text}")));
        let profile = Profile::read("probed", &profile(4, "tcp://plc:502", &takes)).unwrap();
        assert_eq!(profile.values.len(), 2);
        assert_eq!((profile.values[1].register, profile.values[1].scale), (7, 0.001));
        for bad in [
            "",
            "2:f32:CDAB",
            "2:f32:XYZ:salinity",
            "2:bit:ABCD:ph",
            "2:f32:CDAB:salt",
            "x:f32:CDAB:ph",
        ] {
            assert!(take(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn registers_stand_in_a_row_with_a_column_an_order() {
        let ways = words(&[Some(0x418B), Some(0x3333)], 5, None, 1.0);
        let rows = rows(&ways, &[Some(0x418B), Some(0x3333)], 5, false);
        assert_eq!(rows.len(), 7, "{rows:?}");
        assert_eq!(rows[0][1], ("hex", json!("418B")));
        let float = rows.iter().find(|row| row[2].1 == json!("f32")).unwrap();
        assert!((float[3].1.as_f64().unwrap() - 17.4).abs() < 1e-6);
    }
}
