//! Readings as a table: one row a time, one group of columns a parameter. It begins with a byte order mark, because a
//! spreadsheet takes a file without one for another alphabet; numbers have a point in every language, because a comma
//! would end the field.

use std::collections::BTreeMap;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use domain::{Aggregation, Parameter, Station, Timestamp};

use super::readings::{Interval, Row};
use crate::words::Lang;

const MARK: &str = "\u{feff}";

/// The table as an answer that a browser saves. One that is not the whole says so in its name: the rest is where the
/// answer's link leads.
pub(super) fn table(
    station: &Station,
    series: &[(&Parameter, Vec<(Timestamp, Row)>)],
    (intervals, whole): (bool, bool),
    lang: Option<Lang>,
) -> Response {
    let mut text = String::from(MARK);
    line(&mut text, heads(series, intervals, lang));
    let widths = || {
        let width = |(parameter, rows): &(&Parameter, Vec<_>)| {
            kinds(parameter, intervals).count() + 1 + usize::from(layered(rows))
        };
        series.iter().map(width)
    };
    let mut rows: BTreeMap<Timestamp, Vec<String>> = BTreeMap::new();
    let mut place = 0;
    for ((parameter, readings), width) in series.iter().zip(widths()) {
        for (at, reading) in readings {
            let empty = || vec![String::new(); widths().sum()];
            let cells = rows.entry(*at).or_insert_with(empty);
            let said = said(reading, totals(parameter), lang);
            for (cell, said) in cells.iter_mut().skip(place).take(width).zip(said) {
                *cell = said;
            }
        }
        place += width;
    }
    for (at, cells) in rows {
        // A spreadsheet reads this as a date and a time; the offset stands in the heading.
        let local = at.local().strftime("%Y-%m-%d %H:%M:%S").to_string();
        line(&mut text, [at.to_string(), local].into_iter().chain(cells));
    }
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    let part = if whole { "" } else { "-part" };
    let name = format!("attachment; filename=\"{}{part}.csv\"", station.code);
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    response
}

fn heads(
    series: &[(&Parameter, Vec<(Timestamp, Row)>)],
    intervals: bool,
    lang: Option<Lang>,
) -> Vec<String> {
    let say = |lang: Option<Lang>, code: &str, vi: &str, en: &str| match lang {
        None => code.to_owned(),
        Some(lang) => lang.say(vi, en).to_owned(),
    };
    let mut heads = vec![
        say(lang, "time", "Thời điểm (UTC)", "Time (UTC)"),
        say(lang, "local_time", "Giờ Việt Nam (+07:00)", "Time in Vietnam (+07:00)"),
    ];
    for (parameter, rows) in series {
        let name = match lang {
            None => parameter.code.to_string(),
            Some(lang) => lang.say(&parameter.name_vi, &parameter.name_en).to_owned(),
        };
        let unit = match parameter.unit.as_str() {
            "" => String::new(),
            unit => format!(" ({unit})"),
        };
        for (code, vi, en) in kinds(parameter, intervals) {
            let kind = say(lang, code, vi, en);
            let space = if kind.is_empty() { "" } else { " " };
            let unit = if *code == "count" { "" } else { unit.as_str() };
            heads.push(format!("{name}{space}{kind}{unit}"));
        }
        heads.push(format!("{name} {}", say(lang, "flag", "cờ QARTOD", "QARTOD flag")));
        if layered(rows) {
            heads.push(format!("{name} {}", say(lang, "layer", "lớp số liệu", "layer")));
        }
    }
    heads
}

/// Did people change or approve any of them? Then a column more says which.
fn layered(rows: &[(Timestamp, Row)]) -> bool {
    rows.iter().any(|(_, row)| matches!(row, Row::Reading { layer: Some(_), .. }))
}

/// What is said of a parameter in columns of its own, before its flag; a total only of what is added up.
fn kinds(
    parameter: &Parameter,
    intervals: bool,
) -> impl Iterator<Item = &'static (&'static str, &'static str, &'static str)> {
    const READING: &[(&str, &str, &str)] = &[("", "", "")];
    const INTERVAL: &[(&str, &str, &str)] = &[
        ("min", "nhỏ nhất", "lowest"),
        ("max", "lớn nhất", "highest"),
        ("mean", "trung bình", "mean"),
        ("total", "tổng", "total"),
        ("count", "số giá trị", "count"),
    ];
    let totals = totals(parameter);
    let all = if intervals { INTERVAL } else { READING };
    all.iter().filter(move |(code, _, _)| totals || *code != "total")
}

/// Has it a total? Of what is no rain a sum says nothing.
fn totals(parameter: &Parameter) -> bool {
    parameter.aggregation == Aggregation::Total
}

/// The cells of one reading or interval, in the order of the headings.
fn said(row: &Row, totals: bool, lang: Option<Lang>) -> Vec<String> {
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    match row {
        Row::Reading { value, flag, layer, .. } => {
            let layer = layer.map(|layer| layer_said(layer, lang).to_owned());
            [number(*value), flag.to_string()].into_iter().chain(layer).collect()
        }
        Row::Interval(interval) => {
            let Interval { min, max, mean, total, count, flag, .. } = &**interval;
            let total = totals.then_some(*total);
            let numbers = [*min, *max, *mean].into_iter().chain(total).map(number);
            numbers.chain([count.to_string(), flag.to_string()]).collect()
        }
    }
}

fn layer_said(layer: &'static str, lang: Option<Lang>) -> &'static str {
    match (layer, lang) {
        ("corrected", Some(lang)) => lang.say("đã hiệu chỉnh", "corrected"),
        ("approved", Some(lang)) => lang.say("đã phê duyệt", "approved"),
        _ => layer,
    }
}

/// Adds a record as RFC 4180 has it.
fn line(out: &mut String, cells: impl IntoIterator<Item = String>) {
    for (place, cell) in cells.into_iter().enumerate() {
        if 0 < place {
            out.push(',');
        }
        if cell.contains([',', '"', '\n', '\r']) {
            out.push('"');
            out.push_str(&cell.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(&cell);
        }
    }
    out.push_str("\r\n");
}
