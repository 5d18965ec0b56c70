//! Which of our formats a message has that nobody has described yet. Some topics say it themselves; of the others the
//! format is the one that understands most of the message, and of those that understand it all the strictest.

use std::borrow::Cow;

use domain::{Format, Reason, Refusal, Report, Said, Timestamp, VIETNAM_OFFSET_S};

use crate::formats::part::Part;
use crate::formats::shape::Shape;
use crate::formats::sparkplug::{Heard as Told, Nodes};
use crate::formats::{chirpstack, chirpstack_device, of_topic, refused};

use super::sound::Heard;

/// What a message may be whose topic does not say it, the strictest first: ThingsBoard's telemetry is any JSON with a
/// number in it.
const CANDIDATES: [Format; 8] = [
    Format::Json,
    Format::SenmlJson,
    Format::SenmlCbor,
    Format::JsonLines,
    Format::ThingsBoard,
    Format::LineProtocol,
    Format::Circular10,
    Format::Table,
];

/// A message that was understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// As what.
    pub format: Format,
    /// Are its times without a zone? They were then read as Vietnam's.
    pub zoneless: bool,
    /// Who speaks in it, where that stands in the payload or in a topic of the format, and what was said.
    pub reports: Vec<(Option<String>, Report<'static>)>,
    /// The first part that was not understood, where others were.
    pub refused: Option<Refusal>,
}

/// Reads messages in the order of their arrival: what a Sparkplug node says leans on its birth.
#[derive(Default)]
pub struct Reader {
    nodes: Nodes,
}

impl Reader {
    /// Reads a message that came at `now`.
    ///
    /// # Errors
    /// A [`Refusal`] where none of our formats understands it.
    pub fn read(&self, heard: &Heard, now: Timestamp) -> Result<Read, Refusal> {
        let Heard { topic, payload, bytes, .. } = heard;
        if payload.len() < *bytes {
            return Err(refused(Reason::TooLarge, &format!("{bytes} bytes, more than are read")));
        }
        match of_topic(topic) {
            Some(Format::Sparkplug) => self.sparkplug(topic, payload, now),
            Some(Format::ChirpStack) => {
                let device = chirpstack_device(topic).unwrap_or_default();
                let named = |report| (Some(device.to_owned()), owned(report));
                let reports = chirpstack::decode(payload, device, &[])?.into_iter().map(named);
                Ok(Read::whole(Format::ChirpStack, reports.collect()))
            }
            _ => any(payload, now),
        }
    }

    fn sparkplug(&self, topic: &str, payload: &[u8], now: Timestamp) -> Result<Read, Refusal> {
        let of = |reports| Read::whole(Format::Sparkplug, reports);
        match self.nodes.hear(topic, payload, now).0 {
            Told::Nothing => Ok(of(Vec::new())),
            Told::Refused(refusal) => Err(refusal),
            Told::Reports { name, reports } => {
                Ok(of(reports.into_iter().map(|report| (Some(name.clone()), report)).collect()))
            }
        }
    }
}

impl Read {
    const fn whole(format: Format, reports: Vec<(Option<String>, Report<'static>)>) -> Self {
        Self { format, zoneless: false, reports, refused: None }
    }
}

/// The candidate that understands most of it.
fn any(payload: &bytes::Bytes, now: Timestamp) -> Result<Read, Refusal> {
    let mut best: Option<Read> = None;
    for format in CANDIDATES {
        match understood(format, payload, now) {
            Ok(read) if read.refused.is_none() => return Ok(read),
            Ok(read)
                if best.as_ref().is_none_or(|best| best.reports.len() < read.reports.len()) =>
            {
                best = Some(read);
            }
            Ok(_) | Err(_) => (),
        }
    }
    best.ok_or_else(|| nobodys(payload, now))
}

/// Why nothing reads it: what looks like JSON is refused as our report, of which the reason is the most telling.
fn nobodys(payload: &bytes::Bytes, now: Timestamp) -> Refusal {
    let json = matches!(payload.trim_ascii_start().first(), Some(b'{' | b'['));
    match understood(Format::Json, payload, now) {
        Err(refusal) if json => refusal,
        _ => refused(Reason::Malformed, "none of our formats"),
    }
}

/// What `format` makes of a message, where that is anything.
fn understood(format: Format, payload: &bytes::Bytes, now: Timestamp) -> Result<Read, Refusal> {
    let read = |offset_s| Shape { offset_s, ..Shape::from(format) }.read(payload, now);
    let no_offset =
        |part: &Part<'_>| part.report.as_ref().is_err_and(|it| it.reason == Reason::NoOffset);
    let mut zoneless = false;
    let parts = match read(None) {
        Ok(parts) if parts.iter().any(no_offset) => {
            zoneless = true;
            read(Some(VIETNAM_OFFSET_S))?
        }
        Err(refusal) if refusal.reason == Reason::NoOffset => {
            zoneless = true;
            read(Some(VIETNAM_OFFSET_S))?
        }
        other => other?,
    };
    let (mut reports, mut first) = (Vec::new(), None);
    for part in parts {
        match part.report {
            Ok(report) if !report.values.is_empty() => reports.push((part.station, owned(report))),
            Ok(_) => (),
            Err(refusal) => first = first.or(Some(refusal)),
        }
    }
    if reports.is_empty() {
        return Err(first.unwrap_or_else(|| refused(Reason::BadCount, "there is no value in it")));
    }
    Ok(Read { format, zoneless, reports, refused: first })
}

fn owned(report: Report<'_>) -> Report<'static> {
    let own = |said: Said<'_>| Said {
        name: Cow::Owned(said.name.into_owned()),
        value: said.value,
        unit: said.unit.map(|unit| Cow::Owned(unit.into_owned())),
        status: said.status,
    };
    let values = report.values.into_iter().map(own).collect();
    Report { taken: report.taken, seq: report.seq, replay: report.replay, values }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn heard(topic: &str, payload: &[u8]) -> Heard {
        let payload = Bytes::copy_from_slice(payload);
        Heard { topic: topic.to_owned(), bytes: payload.len(), payload, retained: false }
    }

    fn read(topic: &str, payload: &[u8]) -> Result<Read, Refusal> {
        Reader::default().read(&heard(topic, payload), Timestamp::from_millis(1_773_266_400_000))
    }

    #[test]
    fn each_format_is_known_by_what_it_says() {
        for (payload, format) in [
            (
                r#"{"time": "2026-03-12T05:00:00+07:00", "values": {"salinity": 8.85}}"#,
                Format::Json,
            ),
            (r#"[{"bn": "x:", "n": "salinity", "u": "g/L", "v": 8.85}]"#, Format::SenmlJson),
            ("{\"values\": {\"ph\": 7}}\n{\"values\": {\"ph\": 8}}\n", Format::JsonLines),
            (r#"{"ts": 1773266400000, "values": {"EC": 15.2}}"#, Format::ThingsBoard),
            (r#"{"EC": 15.2, "pump": true}"#, Format::ThingsBoard),
            ("water,probe=upper EC=15.2 1773266400000000000", Format::LineProtocol),
            ("Sal\t8.85\tg/L\t20260312050000\t00\r\n", Format::Circular10),
            ("time,EC (µS/cm)\n2026-03-12T05:00:00+07:00,15200\n", Format::Table),
        ] {
            assert_eq!(
                read("a/b", payload.as_bytes()).map(|it| it.format),
                Ok(format),
                "{payload}"
            );
        }
    }

    #[test]
    fn times_without_a_zone_are_told() {
        let read = read("a", b"time,salinity\n2026-03-12 05:00:00,8.85\n").unwrap();
        assert_eq!((read.format, read.zoneless, read.reports.len()), (Format::Table, true, 1));
    }

    #[test]
    fn what_is_half_understood_is_told_with_its_first_fault() {
        let read = read("a", b"{\"values\": {\"ph\": 7}}\n{\"values\": \n").unwrap();
        assert_eq!((read.format, read.reports.len()), (Format::JsonLines, 1));
        assert_eq!(read.refused.unwrap().reason, Reason::Malformed);
    }

    #[test]
    fn what_nobody_understands_has_a_reason() {
        for (topic, payload, reason) in [
            ("a", &b"\xff\xfe\x00\x01"[..], Reason::Malformed),
            ("a", b"", Reason::Malformed),
            ("a", b"hello", Reason::Malformed),
            ("a", b"{\"state\": \"on\"}", Reason::Malformed),
            ("spBv1.0/tg/NBIRTH/edge", b"\xff", Reason::Malformed),
            ("application/7/device/24e1/event/up", b"{\"salinity\": 8}", Reason::Malformed),
        ] {
            assert_eq!(read(topic, payload).unwrap_err().reason, reason, "{topic} {payload:?}");
        }
        let cut = Heard { bytes: 2_000_000, ..heard("a", b"{}") };
        let refusal = Reader::default().read(&cut, Timestamp::default()).unwrap_err();
        assert_eq!(refusal.reason, Reason::TooLarge);
    }

    #[test]
    fn the_sender_stands_where_its_format_has_it() {
        let uplink = br#"{"deviceInfo": {"devEui": "24e124136b502217"}, "object": {"ec": 1.2}}"#;
        let of = read("application/7/device/24e124136b502217/event/up", uplink).unwrap();
        assert_eq!(of.reports[0].0.as_deref(), Some("24e124136b502217"));
        let of = read("a", b"water,station=xuan-hoa salinity=8.85").unwrap();
        assert_eq!(of.reports[0].0.as_deref(), Some("xuan-hoa"));
    }
}
