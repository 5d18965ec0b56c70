//! Everything here that reads bytes from outside, as targets of cargo-fuzz (`fuzz/README.md`): a name and a function
//! over bytes. Each does more than not to panic: bounds are looked at, and what was read is written and read again.
//! Compiled for the fuzzer and for the tests, which run the committed corpus through the same functions.

use std::sync::LazyLock;

use bytes::{Buf, Bytes};
use domain::{Refusal, Report, Station, StationCode, Timestamp, standard_parameters};

use crate::formats::sparkplug::{Heard, Nodes};
use crate::{
    ADMIT, Admission, DeadLetter, Decoder, ParameterTable, REPORTS_MAX, Receipt, Record, Reported,
    Said, VALUES_MAX, admit, formats, says_offline,
};

/// What a target runs.
pub type Run = fn(&[u8]);

/// All targets of this crate; each has a file in `fuzz/fuzz_targets` and a folder in `fuzz/corpus`.
pub const TARGETS: [(&str, Run); 16] = [
    ("mqtt_v3", mqtt_v3),
    ("mqtt_v5", mqtt_v5),
    ("talk", talk),
    ("login", login),
    ("filters", filters),
    ("json", json),
    ("thingsboard", thingsboard),
    ("chirpstack", chirpstack),
    ("sparkplug", sparkplug),
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

/// An uplink of ChirpStack.
pub fn chirpstack(payload: &[u8]) {
    believe(formats::chirpstack::decode(payload, "24e124136b502217"));
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
