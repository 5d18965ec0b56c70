//! Rows of JSON: an object on each line, with the columns as its names.

use std::borrow::Cow;
use std::io::Read;

use domain::{Reason, Refusal};
use serde::Deserialize;
use serde_json::Value as Json;

use super::text::{TextLines, TooLong};
use super::{Given, LINE_BYTES_MAX, Placed, Places, Row, Time, Value};

/// Lines of JSON whose first was looked at.
pub(super) struct Lines<R> {
    lines: TextLines<R>,
    given: Given,
    /// The first line, until it was given.
    first: Option<(u64, Vec<u8>)>,
    held: Held,
}

/// The texts of the row that was given last.
#[derive(Default)]
struct Held {
    time: String,
    station: String,
    parameter: String,
    unit: String,
    flag: String,
    text: String,
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    time_utc: Option<Cow<'a, str>>,
    #[serde(borrow)]
    station: Option<Cow<'a, str>>,
    #[serde(borrow)]
    parameter: Option<Cow<'a, str>>,
    #[serde(default)]
    value: Json,
    #[serde(borrow)]
    unit: Option<Cow<'a, str>>,
    #[serde(default)]
    source_flag: Json,
}

impl<R: Read> Lines<R> {
    /// Looks at the first object; also gives the names that mean nothing here.
    pub(super) fn open(inner: R, given: Given) -> Result<(Self, Vec<String>), String> {
        let mut lines = TextLines::new(inner);
        let first = loop {
            match lines.next_line().map_err(|error| error.to_string())? {
                None => return Err("it is empty".to_owned()),
                Some(Err(TooLong)) => {
                    return Err(format!("a line of more than {LINE_BYTES_MAX} bytes"));
                }
                Some(Ok(line)) if line.trim_ascii().is_empty() => (),
                Some(Ok(line)) => break line.to_vec(),
            }
        };
        let object: serde_json::Map<String, Json> = serde_json::from_slice(&first)
            .map_err(|error| format!("its first line is no JSON object: {error}"))?;
        let names: Vec<&String> = object.keys().collect();
        let (_, extra) = Places::find(&names, given)?;
        let first = Some((lines.number(), first));
        Ok((Self { lines, given, first, held: Held::default() }, extra))
    }

    pub(super) fn next_row(&mut self) -> Result<Option<Placed<'_>>, (u64, String)> {
        let Self { lines, given, first, held } = self;
        if let Some((line, bytes)) = first.take() {
            return Ok(Some(Placed { line, row: row(&bytes, *given, held) }));
        }
        loop {
            let line = lines.number() + 1;
            let bytes = match lines.next_line().map_err(|error| (line - 1, error.to_string()))? {
                None => return Ok(None),
                Some(Err(TooLong)) => {
                    let detail = format!("a line of more than {LINE_BYTES_MAX} bytes");
                    let row = Err(Refusal { reason: Reason::TooLarge, detail });
                    return Ok(Some(Placed { line, row }));
                }
                Some(Ok(bytes)) => bytes,
            };
            if !bytes.trim_ascii().is_empty() {
                return Ok(Some(Placed { line, row: row(bytes, *given, held) }));
            }
        }
    }
}

fn row<'a>(bytes: &[u8], given: Given, held: &'a mut Held) -> Result<Row<'a>, Refusal> {
    let bad = |detail: String| Refusal { reason: Reason::Malformed, detail };
    let object: Object<'_> = serde_json::from_slice(bytes)
        .map_err(|error| bad(format!("no object of this form: {error}")))?;
    let keep = |place: &mut String, text: Option<Cow<'_, str>>, name: &str, needed: bool| {
        place.clear();
        match text {
            Some(text) => place.push_str(text.trim()),
            None if needed => return Err(bad(format!("{name} is missing"))),
            None => (),
        }
        Ok(())
    };
    if given.station && object.station.is_some() {
        return Err(bad("it names a station, and --station names one too".to_owned()));
    }
    keep(&mut held.time, object.time_utc, "time_utc", true)?;
    keep(&mut held.station, object.station, "station", !given.station)?;
    keep(&mut held.parameter, object.parameter, "parameter", true)?;
    keep(&mut held.unit, object.unit, "unit", !given.unit)?;
    held.flag.clear();
    match object.source_flag {
        Json::Null => (),
        Json::String(text) => held.flag.push_str(text.trim()),
        Json::Number(number) => held.flag.push_str(&number.to_string()),
        other => return Err(bad(format!("source_flag: {other} is neither text nor number"))),
    }
    held.text.clear();
    let value = match object.value {
        Json::Null => Value::Missing,
        Json::Number(number) => match number.as_f64() {
            Some(number) => Value::Number(number),
            None => return Err(bad(format!("value: {number} is no number of a sensor"))),
        },
        Json::String(text) => {
            held.text.push_str(text.trim());
            Value::Text(&held.text)
        }
        other => return Err(bad(format!("value: {other} is neither number nor null"))),
    };
    Ok(Row {
        time: Time::Text(&held.time),
        station: &held.station,
        parameter: &held.parameter,
        value,
        unit: &held.unit,
        flag: &held.flag,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_on_each_line_is_a_row_and_what_is_none_is_told_by_its_line() {
        let text = concat!(
            r#"{"time_utc":"2024-01-01T00:00:00Z","station":"a","parameter":"ph","value":7.1,"unit":"","source_flag":1,"note":0}"#,
            "\n\n{\n",
            r#"{"station":"a","parameter":"ph","value":null,"unit":""}"#,
            "\n",
            r#"{"time_utc":"t","station":"a","parameter":"ph","value":true,"unit":""}"#,
            "\n",
            r#"{"time_utc":"t","station":"a","parameter":"ph","value":"NA","unit":"","source_flag":"<0>"}"#,
        );
        let (mut lines, extra) = Lines::open(text.as_bytes(), Given::default()).unwrap();
        assert_eq!(extra, ["note"]);
        let mut told = Vec::new();
        while let Some(placed) = lines.next_row().unwrap() {
            let row = placed.row.map(|row| format!("{:?} {}", row.value, row.flag));
            told.push((placed.line, row.map_err(|refusal| refusal.detail[..12].to_owned())));
        }
        let wanted = [
            (1, Ok("Number(7.1) 1".to_owned())),
            (3, Err("no object of".to_owned())),
            (4, Err("time_utc is ".to_owned())),
            (5, Err("value: true ".to_owned())),
            (6, Ok("Text(\"NA\") <0>".to_owned())),
        ];
        assert_eq!(told, wanted);
    }
}
