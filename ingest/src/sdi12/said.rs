//! What was measured, as a report and as text, which stands beside a refusal in the dead letters.
//!
//! ```text
//! sdi12 1
//! line pier address 0 profile meter-hydros-21
//! time 2026-03-12T05:00:00.000Z
//! answer 0M! 0013                     the command, and what came behind the address
//! answer 0D0! +350+28.5+15200OqZ
//! value water_level measuring 350 mm
//! ```

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::Bytes;
use domain::{Refusal, Report, Said, Stated, Status, Timestamp};

use crate::line::{self, put_time, put_values};

use super::measure::Measured;
use super::profile::Measure;

/// The first line of the text.
const HEAD: &str = "sdi12 1";

/// What the profile makes of these values.
pub(super) fn report<'a>(measure: &'a Measure, values: &[f64], at: Timestamp) -> Report<'a> {
    let number = |at: usize| values.get(at - 1).copied();
    let status = measure.status.as_ref().map_or(Status::Measuring, |status| {
        number(status.at).map_or(Status::Fault, |number| status.says(number))
    });
    let said = |value: &'a super::profile::Value| {
        let raw = number(value.at)?;
        let is_absent = value.absent.iter().any(|absent| absent.to_bits() == raw.to_bits());
        Some(Said {
            name: Cow::Borrowed(value.name.as_str()),
            value: (!is_absent).then_some(raw * value.scale + value.offset),
            unit: Some(Cow::Borrowed(value.unit.as_str())),
            status,
        })
    };
    let values = measure.values.iter().filter_map(said).collect();
    Report { taken: Stated::At(at), seq: None, replay: false, values }
}

/// The text of a measurement.
pub(super) fn text(head: &str, measured: &Measured, report: &Report<'_>) -> Bytes {
    let mut out = format!("{HEAD}\n{head}\n");
    put_time(&mut out, report);
    for answer in &measured.answers {
        // Writing to a text cannot fail.
        writeln!(out, "answer {answer}").ok();
    }
    put_values(&mut out, report);
    Bytes::from(out)
}

/// Reads the text back, for a letter that is sent in again.
///
/// # Errors
/// A refusal where it is not such a text.
pub fn decode(payload: &[u8]) -> Result<Vec<Report<'static>>, Refusal> {
    line::decode(payload, HEAD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdi12::Profile;

    #[test]
    fn a_measurement_reads_back_from_its_text() {
        let text = "device = \"x\"\nsource = \"y\"\n[[measure]]\ncommand = \"M\"\nvalues = 3\n\
                    status = { at = 3, measuring = [0] }\nvalue = [\n\
                    { parameter = \"water_level\", at = 1, unit = \"mm\", scale = 10.0, offset = -1.0 },\n\
                    { parameter = \"salinity\", at = 2, unit = \"g/L\", absent = [-9999] }]";
        let profile = Profile::read("x", text).unwrap();
        let measured =
            Measured { values: vec![35.0, -9999.0, 4.0], answers: vec!["0M! 0013".to_owned()] };
        let at = Timestamp::from_millis(1_773_266_400_000);
        let report = report(&profile.measures[0], &measured.values, at);
        assert_eq!(report.values[0].value, Some(349.0));
        assert_eq!((report.values[1].value, report.values[1].status), (None, Status::Fault));
        let text = super::text("line pier address 0 profile x", &measured, &report);
        assert_eq!(decode(&text).unwrap(), [report]);
        assert!(decode(b"0+1+2").is_err());
    }
}
