//! The examples of docs/wire.md are read as the document says: whoever writes a station from it can trust them. An
//! example is a fenced block whose info string names, behind the language, the topic that its dead letter would have.

#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests")]

use std::collections::BTreeSet;
use std::path::Path;

use bytes::Bytes;
use domain::{
    LayoutField, Mapping, ParameterCode, Report, Stated, Station, StationCode, Timestamp,
};
use ingest::modbus::Profile;
use ingest::sparkplug::{Heard, Nodes};
use ingest::{ADMIT, Format, ParameterTable, Shape, admit, chirpstack};
use registry::pack;

/// 2026-03-12T05:00:00+07:00, which every example speaks of.
const AT: Timestamp = Timestamp::from_millis(1_773_266_400_000);

struct Example {
    language: String,
    topic: String,
    text: String,
}

fn blocks() -> Vec<Example> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/wire.md");
    let document = std::fs::read_to_string(file).unwrap();
    let (mut blocks, mut lines) = (Vec::new(), document.lines());
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let (language, topic) = info.split_once(' ').unwrap_or((info, ""));
        let text: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
        let (language, topic) = (language.to_owned(), topic.to_owned());
        blocks.push(Example { language, topic, text: format!("{}\n", text.join("\n")) });
    }
    blocks
}

impl Example {
    fn bytes(&self) -> Bytes {
        if self.language != "hex" {
            return Bytes::from(self.text.clone());
        }
        let digits: Vec<u8> = self.text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte =
            |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    }

    /// What a station gets that sends it, as one report after the other.
    fn check(&self, see: impl Fn(&Report<'_>)) -> Format {
        let bytes = self.bytes();
        if self.topic.starts_with("spBv1.0/") {
            let (Heard::Reports { reports, .. }, None) =
                Nodes::default().hear(&self.topic, &bytes, AT)
            else {
                panic!("{} is not heard", self.topic);
            };
            reports.iter().for_each(see);
            return Format::Sparkplug;
        }
        if let Some(device) = ingest::chirpstack_device(&self.topic) {
            let layout = layout_of(|station| station.known_as.iter().any(|name| name == device));
            chirpstack::decode(&bytes, device, &layout).unwrap().iter().for_each(see);
            return Format::ChirpStack;
        }
        let shape = Shape::of_topic(&self.topic).expect("a topic of dead letters");
        let layout = layout_of(|station| station.code.as_str() == "xuan-hoa");
        for part in shape.read_laid_out(&bytes, AT, &layout).unwrap() {
            let report = part.report.unwrap_or_else(|refusal| panic!("{}: {refusal}", self.topic));
            see(&report);
        }
        shape.format
    }
}

/// The layout of a station in the document's example; none where it has no such station.
fn layout_of(is: impl Fn(&Station) -> bool) -> Vec<LayoutField> {
    let blocks = blocks();
    let text = blocks.iter().find(|it| it.text.contains("[[station.layout]]")).expect("one");
    let pack = pack::read(&|file| (file == pack::STATIONS).then(|| text.text.clone())).unwrap();
    let station = pack.stations.into_iter().find(|station| is(station));
    station.map(|station| station.profile.layout).unwrap_or_default()
}

#[test]
fn every_format_has_an_example_that_says_what_the_document_says() {
    let table = ParameterTable::new(&domain::standard_parameters());
    let mut station = Station::new(StationCode::new("xuan-hoa").unwrap());
    station.profile.fields.push(Mapping {
        name: "BattV_Min".to_owned(),
        parameter: ParameterCode::new("battery").unwrap(),
        scale: 1.0,
        offset: 0.0,
        ec: None,
    });
    let mut seen = BTreeSet::new();
    for example in blocks().iter().filter(|example| !example.topic.is_empty()) {
        let first = std::cell::Cell::new(true);
        let format = example.check(|report| {
            let admission =
                admit(report, &station, &table, &ADMIT, AT + std::time::Duration::from_secs(600));
            assert!(admission.refused.is_empty(), "{}: {:?}", example.topic, admission.refused);
            if !first.replace(false) {
                return;
            }
            let admitted = admission.admitted.unwrap();
            // Bare bytes have no time.
            let bare = example.topic.ends_with("/bytes");
            let taken = if bare { Stated::OnArrival } else { Stated::At(AT) };
            assert_eq!(report.taken, taken, "{}", example.topic);
            let value = |code: &str| {
                admitted
                    .values
                    .iter()
                    .find(|it| it.parameter.as_str() == code)
                    .and_then(|it| it.value)
            };
            assert_eq!(value("salinity"), Some(8.85), "{}", example.topic);
            let ph = value("ph").expect("every example has a pH");
            assert!((7.1..7.13).contains(&ph), "{}: {ph}", example.topic);
        });
        assert!(!first.get(), "{} says nothing", example.topic);
        seen.insert(format.as_str());
    }
    let all: BTreeSet<_> = Format::ALL.into_iter().map(Format::as_str).collect();
    assert_eq!(seen, all, "a format without an example");
}

#[test]
fn the_parameters_of_the_document_are_those_that_there_are() {
    let document = include_str!("../../docs/wire.md");
    let (_, section) = document.split_once("### Parameters").unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with("| `"));
    let rows: Vec<&str> = rows.take_while(|line| line.starts_with("| `")).collect();
    let range = |range: Option<domain::Range>| {
        let words = |range: domain::Range| format!("{} to {}", range.low, range.high);
        range.map(words).unwrap_or_default().replace('-', "−")
    };
    let row = |it: &domain::Parameter| {
        let unit = if it.unit.is_empty() { "none" } else { &it.unit };
        let (code, name) = (&it.code, &it.name_en);
        let (fail, suspect) = (range(it.fail), range(it.suspect));
        format!("| `{code}` | {unit} | {} | {name} | {fail} | {suspect} |", it.ucum)
    };
    let wanted: Vec<String> = domain::standard_parameters().iter().map(row).collect();
    assert_eq!(rows, wanted, "{}", wanted.join("\n"));
}

#[test]
fn the_device_profile_of_the_document_is_one() {
    let mut profiles = blocks().into_iter().filter(|it| it.text.contains("\n[[value]]"));
    let profile = profiles.next().expect("there is one");
    Profile::read("example", &profile.text).unwrap();
    assert!(profiles.next().is_none());
}

#[test]
fn a_refused_modbus_reading_of_the_document_reads_back() {
    let letters = blocks().into_iter().find(|it| it.text.starts_with("modbus 1\n"));
    let reports = ingest::modbus::decode(letters.expect("there is one").text.as_bytes()).unwrap();
    assert_eq!(
        reports[0].taken,
        Stated::At(Timestamp::parse_rfc3339("2026-03-12T05:00:00Z").unwrap())
    );
    assert_eq!(reports[0].values[0].value, Some(17.4));
}
