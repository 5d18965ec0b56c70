//! What was heard, topic by topic: who speaks, in which format, and what each value would become at the door.

use std::collections::BTreeMap;

use domain::{Report, Said, Stated, Station, StationCode, Timestamp, standard_parameters};
use ingest::upstream::{Heard, Read, Reader, Template};
use ingest::{ADMIT, Format, ParameterTable, admit};
use serde_json::json;

use crate::cli::output::Row;

use super::level;
use super::meaning::{Meaning, meaning};

/// Letters of a payload that nobody reads, that are shown.
const SHOWN: usize = 60;

/// See the module.
pub struct Told {
    /// By topic, in order.
    pub topics: BTreeMap<String, Topic>,
}

/// A topic on which something came.
pub struct Topic {
    /// The messages that came.
    pub messages: usize,
    /// Bytes of the last.
    bytes: usize,
    /// Was it kept by the broker?
    retained: bool,
    /// Its template, where the station's level is known.
    pub template: Option<Template>,
    /// The format that reads it.
    pub format: Option<Format>,
    /// Are its times without a zone?
    pub zoneless: bool,
    /// The distances between its times, ms.
    pub times: Vec<i64>,
    /// What it says, newest, by sender and name.
    pub fields: BTreeMap<(Option<String>, String), Field>,
    /// Why it, or a part of it, is not read.
    why: Option<String>,
    /// The beginning of what came.
    begins: String,
}

/// A value with what it may be.
pub struct Field {
    said: Said<'static>,
    /// What its name may mean.
    pub meaning: Option<Meaning>,
    /// The number in our unit, as the door would store it.
    ours: Option<f64>,
    /// Why the door would refuse it.
    why: Option<String>,
}

impl Told {
    /// What came, as it would be read by `now`.
    pub fn of(heard: &[Heard], given: &[Template], codes: &[String], now: Timestamp) -> Self {
        let (reader, table) = (Reader::default(), ParameterTable::new(&standard_parameters()));
        let all: Vec<&str> = heard.iter().map(|heard| heard.topic.as_str()).collect();
        let mut topics: BTreeMap<String, Topic> = BTreeMap::new();
        for heard in heard {
            let read = reader.read(heard, now);
            let topic = topics.entry(heard.topic.clone()).or_insert_with(|| Topic {
                template: level::template(&heard.topic, &all, given, codes),
                messages: 0,
                bytes: 0,
                retained: false,
                format: None,
                zoneless: false,
                times: Vec::new(),
                fields: BTreeMap::new(),
                why: None,
                begins: String::new(),
            });
            topic.hear(heard, read, &table, now);
        }
        Self { topics }
    }

    /// A row for each value, or for a topic that says none.
    pub fn rows(&self) -> Vec<Row> {
        self.topics.iter().flat_map(|(name, topic)| topic.rows(name)).collect()
    }

    /// The templates with the format that reads them, as a configuration would have them.
    pub fn shapes(&self) -> Vec<Shape> {
        let mut shapes: Vec<Shape> = Vec::new();
        for (name, topic) in &self.topics {
            let Some(format) = topic.format else { continue };
            let template = match format {
                Format::Sparkplug => Some("spBv1.0/#".to_owned()),
                Format::ChirpStack => Some("application/+/device/{station}/event/up".to_owned()),
                _ => topic.template.as_ref().map(ToString::to_string),
            };
            let topic = template.clone().unwrap_or_else(|| name.clone());
            match shapes.iter_mut().find(|it| it.format == format && it.topic == topic) {
                Some(shape) => shape.seen += 1,
                None => {
                    shapes.push(Shape { topic, format, seen: 1, is_template: template.is_some() });
                }
            }
        }
        shapes
    }
}

/// The rows without the columns that none of them fills: a table is read on one screen.
pub fn filled(mut rows: Vec<Row>) -> Vec<Row> {
    let names: Vec<&str> =
        rows.first().map(|row| row.iter().map(|(name, _)| *name).collect()).unwrap_or_default();
    let says = |value: &serde_json::Value| !value.is_null() && *value != json!(false);
    for name in names.into_iter().filter(|name| *name != "plausible") {
        let empty = |row: &Row| row.iter().all(|(other, value)| *other != name || !says(value));
        if rows.iter().all(empty) {
            rows.iter_mut().for_each(|row| row.retain(|(other, _)| *other != name));
        }
    }
    rows
}

/// Topics of one kind.
pub struct Shape {
    /// The template; a topic itself where no level is known to be the station's.
    pub topic: String,
    /// The format that reads them.
    pub format: Format,
    /// How many topics there are.
    seen: usize,
    /// Is it a template that a configuration may have?
    pub is_template: bool,
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { topic, format, seen, is_template } = self;
        write!(f, "format `{}` reads {seen} topic(s) of `{topic}`", format.as_str())?;
        match is_template {
            true => Ok(()),
            false => {
                write!(f, "; which level is the station? --station CODE, or {{station}} in --topic")
            }
        }
    }
}

impl Topic {
    fn hear(
        &mut self,
        heard: &Heard,
        read: Result<Read, domain::Refusal>,
        table: &ParameterTable,
        now: Timestamp,
    ) {
        self.messages += 1;
        self.bytes = heard.bytes;
        self.retained = heard.retained;
        let read = match read {
            Ok(read) => read,
            Err(refusal) => {
                self.why = Some(format!("{}: {refusal}", refusal.reason));
                self.begins = beginning(&heard.payload);
                return;
            }
        };
        self.format = Some(read.format);
        self.zoneless |= read.zoneless;
        self.why = read.refused.map(|refusal| format!("{}: {refusal}", refusal.reason));
        for (sender, report) in read.reports {
            if let Stated::At(at) = report.taken {
                self.times.push(at.as_millis());
            } else if heard.retained {
                self.why = Some("bad_time: the broker kept it, and it says no time".to_owned());
            }
            for said in &report.values {
                let key = (sender.clone(), said.name.clone().into_owned());
                self.fields.insert(key, field(said, &report, table, now));
            }
        }
    }

    /// Who stands in the topic.
    pub fn station<'a>(&self, name: &'a str) -> Option<&'a str> {
        self.template.as_ref().and_then(|template| template.station(name))
    }

    fn rows(&self, name: &str) -> Vec<Row> {
        if self.fields.is_empty() {
            return vec![self.row(name, None, None)];
        }
        let row = |(key, field): (&(Option<String>, String), &Field)| {
            self.row(name, key.0.as_deref(), Some(field))
        };
        self.fields.iter().map(row).collect()
    }

    fn row(&self, name: &str, sender: Option<&str>, field: Option<&Field>) -> Row {
        let meaning = field.and_then(|field| field.meaning.as_ref());
        let range = meaning.and_then(|it| it.parameter.suspect.or(it.parameter.fail));
        let ours = field.and_then(|field| field.ours);
        let why = field.and_then(|field| field.why.clone()).or_else(|| self.why.clone());
        let begins = Some(&self.begins).filter(|text| self.format.is_none() && !text.is_empty());
        vec![
            ("topic", json!(name)),
            ("station", json!(self.station(name))),
            ("sender", json!(sender)),
            ("format", json!(self.format.map(Format::as_str))),
            ("messages", json!(self.messages)),
            ("bytes", json!(self.bytes)),
            ("retained", json!(self.retained)),
            ("name", json!(field.map(|field| field.said.name.as_ref()))),
            ("value", json!(field.and_then(|field| field.said.value))),
            ("unit", json!(meaning.and_then(|it| it.unit.as_deref()).or_else(|| stated(field)))),
            ("parameter", json!(meaning.map(|it| it.parameter.code.as_str()))),
            ("ours", json!(ours.map(shown))),
            ("our_unit", json!(meaning.map(|it| it.parameter.unit.as_str()))),
            ("low", json!(range.map(|range| range.low))),
            ("high", json!(range.map(|range| range.high))),
            ("plausible", json!(meaning.zip(ours).and_then(|(it, ours)| it.plausible(ours)))),
            ("why", json!(why)),
            ("begins", json!(begins)),
        ]
    }
}

fn stated(field: Option<&Field>) -> Option<&str> {
    field.and_then(|field| field.said.unit.as_deref())
}

/// What the door would make of one value, at a station whose profile says what we propose.
fn field(
    said: &Said<'static>,
    of: &Report<'static>,
    table: &ParameterTable,
    now: Timestamp,
) -> Field {
    let meaning = meaning(&said.name, said.unit.as_deref(), said.value);
    let mut station = Station::new(StationCode::new("probe").expect("a fixed code"));
    let ec = meaning.as_ref().and_then(|it| it.mapping.clone());
    station.profile.fields.extend(ec);
    let report = Report { values: vec![said.clone()], ..of.clone() };
    let admission = admit(&report, &station, table, &ADMIT, now);
    let values = admission.admitted.map(|admitted| admitted.values).unwrap_or_default();
    let why = admission.refused.first().map(|refusal| format!("{}: {refusal}", refusal.reason));
    Field { said: said.clone(), meaning, ours: values.first().and_then(|it| it.value), why }
}

/// Without the last digits of a product: 15.2, not 15.200000000000001.
fn shown(ours: f64) -> f64 {
    (ours * 1e9).round() / 1e9
}

/// The beginning of what nobody reads, as a person can see it.
fn beginning(payload: &[u8]) -> String {
    let text = String::from_utf8_lossy(&payload[..payload.len().min(SHOWN)]);
    let visible = |c: char| match c {
        c if c.is_control() || c == char::REPLACEMENT_CHARACTER => '.',
        c => c,
    };
    text.chars().map(visible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn heard(topic: &str, payload: &str) -> Heard {
        let payload = Bytes::copy_from_slice(payload.as_bytes());
        Heard { topic: topic.to_owned(), bytes: payload.len(), payload, retained: false }
    }

    fn cell<'a>(row: &'a Row, name: &str) -> &'a serde_json::Value {
        &row.iter().find(|(it, _)| *it == name).unwrap().1
    }

    #[test]
    fn each_value_stands_beside_what_it_would_become() {
        let now = Timestamp::from_millis(1_773_266_400_000);
        let all = [
            heard("tg/a/data", r#"{"ts": 1773266400000, "values": {"EC": 15200, "x1": 3}}"#),
            heard("tg/b/data", r#"{"ts": 1773266400000, "values": {"EC": 15300}}"#),
            heard("tg/b/log", "started\u{1}"),
        ];
        let told = Told::of(&all, &[], &[], now);
        let rows = told.rows();
        assert_eq!(rows.len(), 4);
        assert_eq!(
            (cell(&rows[0], "station"), cell(&rows[0], "ours")),
            (&json!("a"), &json!(15.2))
        );
        assert_eq!(
            (cell(&rows[0], "unit"), cell(&rows[0], "plausible")),
            (&json!("µS/cm"), &json!(true))
        );
        assert!(cell(&rows[1], "why").as_str().unwrap().starts_with("unknown_parameter"));
        assert_eq!(cell(&rows[3], "begins"), &json!("started."));
        let columns: Vec<_> = filled(told.rows())[0].iter().map(|(name, _)| *name).collect();
        assert!(columns.contains(&"begins") && !columns.contains(&"sender"), "{columns:?}");
        let shapes: Vec<_> = told.shapes().iter().map(ToString::to_string).collect();
        assert_eq!(shapes, ["format `thingsboard` reads 2 topic(s) of `tg/{station}/data`"]);
    }
}
