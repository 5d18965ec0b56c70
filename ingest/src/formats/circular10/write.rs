//! The same file written: what a department's server takes. Symbols and units in plain ASCII, a decimal point, times of
//! Vietnam; what has no value that can be trusted has an empty one and status 02, as implementers write it.

use std::fmt::Write as _;

use domain::{Status, Timestamp};

use super::SYMBOLS;

/// A line: one parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Line<'a> {
    /// What it is called in the file.
    pub symbol: &'a str,
    /// Its value; `None` where there is none.
    pub value: Option<f64>,
    /// Digits behind the point, at most; zeros at the end are left out.
    pub decimals: usize,
    /// Our unit.
    pub unit: &'a str,
    /// What the sensor was doing.
    pub status: Status,
}

/// The symbol of one of our parameters, where the circular or loggers in the field have one.
#[must_use]
pub fn symbol(parameter: &str) -> Option<&'static str> {
    SYMBOLS.iter().find(|(_, code)| *code == parameter).map(|(symbol, _)| *symbol)
}

/// A time as files write it, `yyyyMMddHHmmss` on a wall clock in Vietnam.
#[must_use]
pub fn stamp(at: Timestamp) -> String {
    let at = at.local();
    let (date, clock) = (at.date(), at.time());
    format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}",
        date.year(),
        date.month(),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second()
    )
}

/// The text of a file: lines of one time.
#[must_use]
pub fn write(lines: &[Line<'_>], at: Timestamp, line_end: &str) -> String {
    let (stamp, mut text) = (stamp(at), String::new());
    for line in lines {
        let value = line.value.map_or_else(String::new, |value| number(value, line.decimals));
        let status = match line.status {
            Status::Measuring => "00",
            Status::Calibrating => "01",
            Status::Fault => "02",
        };
        let (symbol, unit) = (line.symbol, unit(line.unit));
        write!(text, "{symbol}\t{value}\t{unit}\t{stamp}\t{status}{line_end}")
            .expect("writing to a string does not fail");
    }
    text
}

fn number(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text.as_str(),
    };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Our unit as files in the field spell it.
fn unit(ours: &str) -> &str {
    match ours {
        "" => "-",
        "°C" => "oC",
        // The circular's NH4 and NO3 are given as N.
        "mg/L N" => "mg/L",
        "µg/L" => "ug/L",
        "W/m²" => "W/m2",
        "°" => "deg",
        unit => unit,
    }
}

#[cfg(test)]
mod tests {
    use domain::{Stated, standard_parameters, unit};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_is_written_as_departments_read_it() {
        let at = Timestamp::parse_rfc3339("2024-03-12T05:00:00+07:00").unwrap();
        let line =
            |symbol, value, decimals, unit, status| Line { symbol, value, decimals, unit, status };
        let lines = [
            line("pH", Some(7.12), 2, "", Status::Measuring),
            line("Temp", Some(28.404), 2, "°C", Status::Measuring),
            line("TSS", Some(120.0), 1, "mg/L", Status::Calibrating),
            line("WL", Some(-0.001), 2, "m", Status::Measuring),
            line("DO", None, 2, "mg/L", Status::Fault),
        ];
        let wanted = "pH\t7.12\t-\t20240312050000\t00\r\nTemp\t28.4\toC\t20240312050000\t00\r\n\
            TSS\t120\tmg/L\t20240312050000\t01\r\nWL\t0\tm\t20240312050000\t00\r\n\
            DO\t\tmg/L\t20240312050000\t02\r\n";
        assert_eq!(write(&lines, at, "\r\n"), wanted);
        assert_eq!(write(&lines, at, "\n"), wanted.replace("\r\n", "\n"));
    }

    #[test]
    fn every_unit_that_is_written_can_be_read() {
        for parameter in standard_parameters() {
            let Some(symbol) = symbol(parameter.code.as_str()) else { continue };
            let line = Line {
                symbol,
                value: Some(1.5),
                decimals: 3,
                unit: &parameter.unit,
                status: Status::Measuring,
            };
            let text = write(&[line], Timestamp::from_millis(0), "\n");
            let parts = super::super::decode(text.as_bytes());
            let said = &parts[0].report.as_ref().unwrap().values[0];
            assert_eq!(said.name, parameter.code.as_str());
            if let Some(stated) = said.unit.as_deref() {
                assert_eq!(unit::convert(1.5, stated, &parameter.unit), Some(1.5), "{text}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(values in prop::collection::vec(prop::option::of(-1e6..1e6_f64), 1..8), minutes in 0..40_000_000_i64) {
            let at = Timestamp::from_millis(minutes * 60_000);
            let symbols = ["pH", "Temp", "EC", "Sal", "DO", "WL", "Rain", "Chla"];
            let lines: Vec<_> = values.iter().zip(symbols).map(|(&value, symbol)| Line {
                symbol, value, decimals: 6, unit: "", status: Status::Measuring,
            }).collect();
            let text = write(&lines, at, "\r\n");
            let parts = super::super::decode(text.as_bytes());
            prop_assert_eq!(parts.len(), 1);
            let report = parts[0].report.as_ref().unwrap();
            prop_assert_eq!(report.taken, Stated::At(at));
            for (said, wanted) in report.values.iter().zip(&values) {
                let near = match (said.value, wanted) {
                    (Some(said), Some(wanted)) => (said - wanted).abs() < 1e-6,
                    (said, wanted) => said == *wanted,
                };
                prop_assert!(near);
            }
        }
    }
}
