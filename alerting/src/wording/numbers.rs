//! Numbers and times as the reader writes them: 8,85 g/l and 05:00 12/03 in Vietnam, 8.85 g/L in English.

use domain::{Language, Parameter, Timestamp};

/// A measured value with its unit, to the digits its parameter is shown with.
pub(super) fn amount(value: f64, parameter: Option<&Parameter>, language: Language) -> String {
    let digits = parameter.map_or(2, |p| usize::from(p.decimals));
    with_unit(decimal(value, digits, language), parameter, language)
}

/// A limit with its unit, as short as it can be written: `4 g/l`, `0,3 g/l`.
pub(super) fn limit(value: f64, parameter: Option<&Parameter>, language: Language) -> String {
    let digits = parameter.map_or(2, |p| usize::from(p.decimals));
    let text = decimal(value, digits, language);
    let short = match text.split_once(['.', ',']) {
        Some(_) => text.trim_end_matches('0').trim_end_matches(['.', ',']).to_owned(),
        None => text,
    };
    with_unit(short, parameter, language)
}

/// A number with so many digits after the reader's decimal sign.
pub(super) fn decimal(value: f64, digits: usize, language: Language) -> String {
    let text = format!("{value:.digits$}");
    match language {
        Language::English => text,
        Language::Vietnamese | Language::VietnameseUnmarked => text.replace('.', ","),
    }
}

/// Official Vietnamese notices write litres small: g/l.
fn with_unit(number: String, parameter: Option<&Parameter>, language: Language) -> String {
    let unit = parameter.map_or("", |p| p.unit.as_str());
    match (unit, language) {
        ("", _) => number,
        (_, Language::English) => format!("{number} {unit}"),
        (_, Language::Vietnamese | Language::VietnameseUnmarked) => {
            format!("{number} {}", unit.replace("/L", "/l"))
        }
    }
}

/// Hour and day on a wall clock in Vietnam, as in an SMS.
pub(super) fn clock(at: Timestamp) -> String {
    let t = at.local();
    format!("{:02}:{:02} {:02}/{:02}", t.hour(), t.minute(), t.day(), t.month())
}

/// Hour, day and year on a wall clock in Vietnam, as in an e-mail.
pub(super) fn clock_full(at: Timestamp) -> String {
    let t = at.local();
    format!("{}/{} (UTC+7)", clock(at), t.year())
}
