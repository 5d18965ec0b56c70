//! What was read of a device, as text: what stands beside a refusal in the dead letters, so that it can be sent in again
//! when the station's profile in the book is mended. A first line says what it is; `time` and `value` lines are read
//! again, the others are for people.
//!
//! ```text
//! time 2026-03-12T05:00:00.000Z
//! value salinity measuring 17.4 g/L        name, status, value after scaling or -, the unit (the rest of the line)
//! ```

use std::borrow::Cow;
use std::fmt::Write as _;

use domain::{ParameterCode, Reason, Refusal, Report, Said, Stated, Status, Timestamp};

use crate::formats::{VALUES_MAX, refused};

/// May this be a value's name? Either our parameter's code or a name that a station's profile maps.
pub(crate) fn is_name(text: &str) -> bool {
    ParameterCode::new(&text.to_lowercase()).is_ok()
}

/// Writes when it was taken.
pub(crate) fn put_time(out: &mut String, report: &Report<'_>) {
    if let Stated::At(at) = report.taken {
        // Writing to a text cannot fail.
        writeln!(out, "time {at}").ok();
    }
}

/// Writes its values, a line each.
pub(crate) fn put_values(out: &mut String, report: &Report<'_>) {
    for said in &report.values {
        let number = said.value.map_or_else(|| "-".to_owned(), |value| value.to_string());
        let unit = said.unit.as_deref().unwrap_or_default();
        writeln!(out, "value {} {} {number} {unit}", said.name, word(said.status)).ok();
    }
}

const fn word(status: Status) -> &'static str {
    match status {
        Status::Measuring => "measuring",
        Status::Calibrating => "calibrating",
        Status::Fault => "fault",
    }
}

/// Reads such a text back, whose first line is `head`.
pub(crate) fn decode(payload: &[u8], head: &str) -> Result<Vec<Report<'static>>, Refusal> {
    let kind = head.split(' ').next().unwrap_or_default();
    let bad = |what: &str| refused(Reason::Malformed, &format!("{kind} text: {what}"));
    let text = std::str::from_utf8(payload).map_err(|_| bad("it is not UTF-8"))?;
    let mut lines = text.lines();
    if lines.next() != Some(head) {
        return Err(bad(&format!("it does not begin with `{head}`")));
    }
    let (mut at, mut values) = (None, Vec::new());
    for line in lines {
        match line.split_once(' ') {
            Some(("time", time)) => {
                at = Some(Timestamp::parse_rfc3339(time).map_err(|_| bad("the time"))?);
            }
            Some(("value", value)) => values.push(said(value).ok_or_else(|| bad(line))?),
            _ => {}
        }
    }
    let at = at.ok_or_else(|| bad("there is no time"))?;
    if !(1..=VALUES_MAX).contains(&values.len()) {
        let detail =
            format!("{kind} text: {} values; 1 to {VALUES_MAX} are possible", values.len());
        return Err(refused(Reason::BadCount, &detail));
    }
    Ok(vec![Report { taken: Stated::At(at), seq: None, replay: false, values }])
}

fn said(line: &str) -> Option<Said<'static>> {
    let mut parts = line.splitn(4, ' ');
    let (name, status, number) = (parts.next()?, parts.next()?, parts.next()?);
    let unit = parts.next().unwrap_or_default();
    Some(Said {
        name: Cow::Owned(name.to_owned()),
        value: if number == "-" { None } else { Some(number.parse().ok()?) },
        unit: Some(Cow::Owned(unit.to_owned())),
        status: match status {
            "measuring" => Status::Measuring,
            "calibrating" => Status::Calibrating,
            "fault" => Status::Fault,
            _ => return None,
        },
    })
}
