//! Everything here that reads bytes from outside, as targets of cargo-fuzz (`fuzz/README.md`): a name and a function
//! over bytes. Each does more than not to panic: bounds are looked at, and what was read is written and read again.
//! Compiled for the fuzzer and for the tests, which run the committed corpus through the same functions.

use std::sync::LazyLock;

use bytes::{Buf, Bytes};
use domain::raw::{Absent, Kind, Order};
use domain::{
    LayoutField, ParameterCode, Refusal, Report, Station, StationCode, Timestamp,
    standard_parameters,
};

use crate::formats::part::Part;
use crate::formats::sparkplug::{Heard, Nodes};
use crate::{
    ADMIT, Admission, DeadLetter, Decoder, Format, ParameterTable, Precision, REPORTS_MAX, Receipt,
    Record, Reported, Said, Shape, VALUES_MAX, Way, admit, formats, says_offline,
};

/// What a target runs.
pub type Run = fn(&[u8]);

/// All targets of this crate; each has a file in `fuzz/fuzz_targets` and a folder in `fuzz/corpus`.
pub const TARGETS: [(&str, Run); 21] = [
    ("mqtt_v3", mqtt_v3),
    ("mqtt_v5", mqtt_v5),
    ("talk", talk),
    ("login", login),
    ("filters", filters),
    ("json", json),
    ("thingsboard", thingsboard),
    ("chirpstack", chirpstack),
    ("sparkplug", sparkplug),
    ("senml", senml),
    ("circular10", circular10),
    ("table", table),
    ("line_protocol", line_protocol),
    ("bytes", bytes),
    ("modbus", modbus),
    ("serial", serial),
    ("sdi12", sdi12),
    ("said", said),
    ("upstream", upstream),
    ("records", records),
    ("sessions", sessions),
];

pub use crate::modbus::fuzzing::modbus_wire;
pub use crate::mqtt::fuzzing::{filters, login, mqtt_v3, mqtt_v5, sessions, talk};
pub use crate::upstream::fuzzing::upstream;

/// The largest detail of a refusal: two names of 160 letters with four bytes each, and the words around them.
const DETAIL_BYTES_MAX: usize = 1_536;

const NOW: Timestamp = Timestamp::from_millis(1_773_266_400_000);

/// Our own report.
pub fn json(payload: &[u8]) {
    let reports = formats::json::decode(payload);
    if reports.is_ok() {
        serde_json::from_slice::<serde_json::Value>(payload).expect("what we read is JSON");
    }
    believe(reports);
}

/// A ThingsBoard device's telemetry.
pub fn thingsboard(payload: &[u8]) {
    believe(formats::thingsboard::decode(payload));
}

/// An uplink of ChirpStack, of a device with a layout for its bytes.
pub fn chirpstack(payload: &[u8]) {
    let layout = [field([0, 0, 2, 0], "ph"), field([3, 2, 7, 1], "salinity")];
    believe(formats::chirpstack::decode(payload, "24e124136b502217", &layout));
}

/// Bare bytes: a number of fields (up to two), four bytes for each of them, the port (0: none), and the payload.
pub fn bytes(bytes: &[u8]) {
    let Some((count, mut bytes)) = bytes.split_first() else { return };
    let mut layout = Vec::new();
    for parameter in ["ph", "salinity"].into_iter().take(usize::from(count % 3)) {
        let Some((lies, rest)) = bytes.split_first_chunk() else { return };
        layout.push(field(*lies, parameter));
        bytes = rest;
    }
    let Some((port, payload)) = bytes.split_first() else { return };
    let port = (*port != 0).then_some(*port);
    match formats::bytes::decode(payload, port, &layout) {
        Err(refusal) => is_short(&refusal),
        Ok(values) => {
            let read = layout.iter().filter(|field| field.is_on(port));
            assert!(read.clone().all(|field| field.end() <= payload.len()));
            assert_eq!(values.len(), read.count());
            let taken = domain::Stated::OnArrival;
            believe(Ok(vec![Report { taken, seq: None, replay: false, values }]));
        }
    }
}

/// A field by four bytes: port, place, kind, order and mask.
fn field([port, at, kind, lies]: [u8; 4], parameter: &str) -> LayoutField {
    let kind = Kind::BYTES[usize::from(kind) % Kind::BYTES.len()];
    LayoutField {
        port: (port != 0).then_some(port),
        at,
        kind,
        order: Order::ALL[usize::from(lies % 4)],
        mask: (kind.is_unsigned() && 3 < lies).then(|| u32::from(lies) << (lies % 8)),
        scale: 0.01,
        offset: -1.0,
        unit: None,
        parameter: ParameterCode::new(parameter).expect("a fixed code"),
        absent: vec![Absent::Whole(-1), Absent::Nan],
    }
}

/// A pack of SenML, by the first byte in JSON or in CBOR.
pub fn senml(bytes: &[u8]) {
    let Some((kind, payload)) = bytes.split_first() else { return };
    shaped(if kind % 2 == 0 { Format::SenmlJson } else { Format::SenmlCbor }.into(), payload);
}

/// A file of Circular 10/2021.
pub fn circular10(payload: &[u8]) {
    shaped(Format::Circular10.into(), payload);
}

/// A table: CSV or TOA5; the first byte says whether somebody knows the offset of its times.
pub fn table(bytes: &[u8]) {
    let Some((kind, payload)) = bytes.split_first() else { return };
    let offset_s = (kind % 2 == 1).then_some(25_200);
    shaped(Shape { offset_s, ..Format::Table.into() }, payload);
}

/// Lines of the line protocol; the first byte says what their times count.
pub fn line_protocol(bytes: &[u8]) {
    let Some((kind, payload)) = bytes.split_first() else { return };
    let precision = ["ns", "us", "ms", "s"][usize::from(kind % 4)];
    let precision = Precision::parse(precision).expect("one of the four");
    shaped(Shape { precision, ..Format::LineProtocol.into() }, payload);
}

/// Each part is believed or refused by itself, and what would be kept of it says the same when it is read again.
fn shaped(shape: Shape, payload: &[u8]) {
    assert_eq!(Shape::of_topic(&shape.topic(Way::Http)), Some(shape));
    let payload = Bytes::copy_from_slice(payload);
    let parts = match shape.read(&payload, NOW) {
        Ok(parts) => parts,
        Err(refusal) => return is_short(&refusal),
    };
    assert!(!parts.is_empty());
    for part in &parts {
        let kept = part.kept();
        let again = shape.read(&kept, NOW).expect("what was a part is one again");
        // As text, because a value may be no number. What has no lines is kept whole.
        let told = |part: &Part<'_>| format!("{:?} {:?}", part.station, part.report);
        let same = again.iter().filter(|it| told(it) == told(part)).count();
        let wanted = if part.line.is_some() { 1 } else { parts.len() };
        assert!(0 < same && again.len() == wanted, "{:?} is {again:?}", told(part));
        match &part.report {
            Ok(report) => believe(Ok(vec![report.clone()])),
            Err(refusal) => is_short(refusal),
        }
    }
}

/// Messages of Sparkplug nodes one after the other: each a kind (u8), a length (u16) and its payload.
pub fn sparkplug(mut bytes: &[u8]) {
    const KINDS: [&str; 8] = [
        "NBIRTH/edge",
        "NDATA/edge",
        "NDEATH/edge",
        "DBIRTH/edge/pier",
        "DDATA/edge/pier",
        "DDEATH/edge/pier",
        "DBIRTH/edge/gate",
        "NBIRTH/other",
    ];
    let nodes = Nodes::default();
    while let Ok(kind) = bytes.try_get_u8() {
        let length = usize::from(bytes.try_get_u16_le().unwrap_or(0)).min(bytes.len());
        let (payload, rest) = bytes.split_at(length);
        bytes = rest;
        let topic = format!("spBv1.0/tg/{}", KINDS[usize::from(kind) % KINDS.len()]);
        match nodes.hear(&topic, payload, NOW).0 {
            Heard::Nothing => (),
            Heard::Refused(refusal) => is_short(&refusal),
            Heard::Reports { reports, .. } => believe(Ok(reports)),
        }
        assert!(nodes.holds_together());
    }
    drop(nodes.hear(&String::from_utf8_lossy(bytes), bytes, NOW));
}

/// What a Modbus device says, by the first byte: RTU, TCP, the text of a dead letter, a profile.
pub fn modbus(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 4 {
        2 => believe(crate::modbus::decode(bytes)),
        3 => drop(crate::modbus::Profile::read("fuzzed", &String::from_utf8_lossy(bytes))),
        tcp => modbus_wire(bytes, *kind, tcp == 1),
    }
}

/// What a logger writes, by the first byte: to each shipped profile, or a profile itself.
pub fn serial(bytes: &[u8]) {
    use crate::serial::{Judged, fuzzing};
    let Some((choice, bytes)) = bytes.split_first() else { return };
    if choice % 16 == 15 {
        return fuzzing::profile(bytes);
    }
    fuzzing::lines(*choice, bytes, |judged| match judged {
        Judged::Report(_, report) => believe(Ok(vec![report])),
        Judged::Foreign(refusal) | Judged::Unproved(refusal) | Judged::Refused(refusal) => {
            is_short(&refusal);
        }
        Judged::Skipped => (),
    });
}

/// What a sensor on SDI-12 says, by the first byte: an answer, the text of a dead letter, a profile.
pub fn sdi12(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 4 {
        2 => believe(crate::sdi12::decode(bytes)),
        3 => drop(crate::sdi12::Profile::read("fuzzed", &String::from_utf8_lossy(bytes))),
        _ => crate::sdi12::fuzzing::answer(bytes),
    }
}

/// What a station says beside its readings.
pub fn said(payload: &[u8]) {
    drop(Receipt::decode(payload));
    if let Some(reported) = Reported::decode(payload) {
        assert!(reported.hash.is_none_or(|hash| hash.len() <= 64));
    }
    assert!(says_offline(payload) || payload != b"offline");
}

/// Records of the three journals.
pub fn records(bytes: &[u8]) {
    if let Ok(record) = Decoder::default().decode(bytes) {
        let once = encoded(&record);
        let again = Decoder::default().decode(&once).expect("what we wrote reads back");
        // As bytes, because a value may be no number.
        assert_eq!(encoded(&again), once);
    }
    let bytes = Bytes::copy_from_slice(bytes);
    if let Some(letter) = DeadLetter::decode(&bytes) {
        assert_eq!(DeadLetter::decode(&letter.encode()), Some(letter));
    }
    if let Some(said) = Said::decode(&bytes) {
        assert_eq!(Said::decode(&said.encode()), Some(said));
    }
}

fn encoded(record: &Record) -> Bytes {
    match record {
        Record::Admitted(admitted) => Record::encode_admitted(admitted),
        Record::Imported(admitted) => {
            let mut out = bytes::BytesMut::new();
            Record::encode_imported(admitted, &mut out);
            out.freeze()
        }
        Record::Clock(now) => Record::encode_clock(*now),
    }
}

/// What was read is within its bounds; what is believed of it is a record that reads back.
fn believe(reports: Result<Vec<Report<'_>>, Refusal>) {
    let reports = match reports {
        Ok(reports) => reports,
        Err(refusal) => return is_short(&refusal),
    };
    assert!((1..=REPORTS_MAX).contains(&reports.len()));
    for report in &reports {
        assert!((1..=VALUES_MAX).contains(&report.values.len()));
        let Admission { admitted, refused } = settle(report);
        refused.iter().for_each(is_short);
        let Some(admitted) = admitted else {
            assert!(!refused.is_empty(), "a report vanished");
            continue;
        };
        assert_eq!(admitted.values.len() + refused.len(), report.values.len());
        let bytes = Record::encode_admitted(&admitted);
        assert_eq!(Decoder::default().decode(&bytes), Ok(Record::Admitted(admitted)));
    }
}

fn settle(report: &Report<'_>) -> Admission {
    static KNOWN: LazyLock<(Station, ParameterTable)> = LazyLock::new(|| {
        let code = StationCode::new("vam-kenh").expect("a fixed code");
        (Station::new(code), ParameterTable::new(&standard_parameters()))
    });
    let (station, table) = &*KNOWN;
    admit(report, station, table, &ADMIT, NOW)
}

/// It fits into an answer and a line of a log, whatever was sent.
fn is_short(refusal: &Refusal) {
    assert!(refusal.detail.len() <= DETAIL_BYTES_MAX, "{} bytes of detail", refusal.detail.len());
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn fuzz(folder: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz").join(folder)
    }

    #[test]
    fn the_corpus_of_every_target_still_holds() {
        for (name, run) in TARGETS {
            assert!(fuzz("fuzz_targets").join(name).with_extension("rs").exists(), "{name}");
            let mut count = 0;
            for entry in std::fs::read_dir(fuzz("corpus").join(name)).unwrap() {
                let path = entry.unwrap().path();
                println!("{}", path.display());
                run(&std::fs::read(path).unwrap());
                count += 1;
            }
            assert_ne!(count, 0, "no seeds for {name}");
        }
    }

    /// No fuzzer, but a thousand small changes of every seed in each run of the tests.
    #[test]
    fn a_changed_seed_breaks_no_format() {
        let mut state = 0x5eed_u64;
        let mut next = |below: usize| {
            // SplitMix64: the same changes in every run.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            usize::try_from((z ^ (z >> 31)) % below.max(1) as u64).unwrap()
        };
        const LETTERS: &[u8] = b"\t\n\r\" ,;=\\-.0159:TZeEnvt[]{}\x00\xff#";
        for (name, run) in TARGETS {
            if !matches!(name, "senml" | "circular10" | "table" | "line_protocol" | "json") {
                continue;
            }
            for entry in std::fs::read_dir(fuzz("corpus").join(name)).unwrap() {
                let seed = std::fs::read(entry.unwrap().path()).unwrap();
                for _ in 0..if 20 < seed.len() { 1_000 } else { 50 } {
                    let mut bytes = seed.clone();
                    for _ in 0..=next(4) {
                        let at = next(bytes.len() + 1);
                        match next(4) {
                            0 => bytes.insert(at, LETTERS[next(LETTERS.len())]),
                            1 if at < bytes.len() => drop(bytes.remove(at)),
                            2 if at < bytes.len() => bytes[at] = LETTERS[next(LETTERS.len())],
                            _ => {
                                let end = at + next(bytes.len() + 1 - at);
                                let again = bytes[at..end].to_vec();
                                bytes.splice(at..at, again);
                            }
                        }
                    }
                    println!("{name} {}", String::from_utf8_lossy(&bytes));
                    run(&bytes);
                }
            }
        }
    }

    #[test]
    fn every_folder_of_the_corpus_has_its_target() {
        let mut known: Vec<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
        known.push("journal".to_owned());
        known.sort();
        let folders = std::fs::read_dir(fuzz("corpus")).unwrap();
        let mut found: Vec<_> =
            folders.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        found.sort();
        assert_eq!(found, known);
    }
}
