//! Values as other people's programs write them. A gateway sends what its decoder makes: numbers, and beside them texts,
//! truth values and lists that are no readings. A text that is a number is taken as one; the others are skipped and
//! counted, because to refuse them would fill the dead letters with every battery's "ok".

use std::borrow::Cow;

use domain::{Said, Status};
use serde_json::Value;

/// How deep an object of values may hold others: `probe.upper.ec` is three.
const DEPTH_MAX: usize = 4;

/// Adds a value under its name; an object adds each of its own, as `probe.ec`.
pub(super) fn say(name: &str, value: &Value, format: &'static str, said: &mut Vec<Said<'static>>) {
    add(name.to_owned(), value, format, 1, said);
}

fn add(
    name: String,
    value: &Value,
    format: &'static str,
    depth: usize,
    said: &mut Vec<Said<'static>>,
) {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::Null => None,
        Value::String(text) => match number(text) {
            Some(number) => Some(number),
            None => return skipped(format),
        },
        Value::Object(inner) if depth < DEPTH_MAX => {
            for (part, value) in inner {
                add(format!("{name}.{part}"), value, format, depth + 1, said);
            }
            return;
        }
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => return skipped(format),
    };
    said.push(Said {
        name: Cow::Owned(name),
        value: number,
        unit: None,
        status: Status::Measuring,
    });
}

/// A plain decimal number: not `NaN`, not `inf`, not `0x10`.
pub(crate) fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e' | 'E');
    if text.is_empty() || !text.chars().all(plain) {
        return None;
    }
    text.parse().ok()
}

/// The same with a decimal point or a decimal comma.
pub(crate) fn decimal(text: &str) -> Option<f64> {
    match text.contains(',') {
        true if text.contains('.') => None,
        true => number(&text.replacen(',', ".", 1)),
        false => number(text),
    }
}

/// Counts what is no reading.
pub(super) fn skipped(format: &'static str) {
    metrics::counter!("saltline_fields_skipped_total", "format" => format).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_taken_and_what_is_no_reading_is_skipped() {
        let value: Value = serde_json::from_str(
            r#"{"ec": "1.25", "probe": {"ph": 7, "deep": {"x": {"y": {"z": 1}}}}, "status": "ok",
                "ph": null, "open": true, "list": [1], "text": "NaN", "hex": "0x10", "none": ""}"#,
        )
        .unwrap();
        let mut said = Vec::new();
        for (name, value) in value.as_object().unwrap() {
            say(name, value, "test", &mut said);
        }
        let told: Vec<_> = said.iter().map(|it| (it.name.as_ref(), it.value)).collect();
        assert_eq!(told, [("ec", Some(1.25)), ("ph", None), ("probe.ph", Some(7.0))]);
    }
}
