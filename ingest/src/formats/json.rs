//! The JSON report of `docs/wire.md`: one report or an array of them. Strict: a field that is not known is refused,
//! because a misspelt `time` would silently become the time of arrival.

use std::borrow::Cow;
use std::fmt;

use domain::{BadTime, Reason, Refusal, Report, Said, Stated, Status, Timestamp};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{REPORTS_MAX, VALUES_MAX};

/// From this size on a number of time is milliseconds: as seconds it would be the year 5138, as milliseconds it is
/// March 1973, before any station.
const MILLIS_FROM: f64 = 1e11;

/// Reads the reports of one packet, borrowing from it.
///
/// # Errors
/// A [`Refusal`] of the whole packet: `malformed`, `bad_count`, `bad_time`, `no_offset`, `unknown_status` or
/// `not_a_number`, with what a technician needs to mend it.
pub fn decode(payload: &[u8]) -> Result<Vec<Report<'_>>, Refusal> {
    let raw: OneOrMany<'_> = serde_json::from_slice(payload).map_err(|error| broken(&error))?;
    raw.0.into_iter().map(report).collect()
}

fn report(raw: RawReport<'_>) -> Result<Report<'_>, Refusal> {
    let taken = match raw.time {
        None => Stated::OnArrival,
        Some(time) => Stated::At(instant(&time)?),
    };
    let count = raw.values.0.len();
    if count == 0 || VALUES_MAX < count {
        let detail = format!("values: {count} of them; 1 to {VALUES_MAX} are possible");
        return Err(Refusal { reason: Reason::BadCount, detail });
    }
    let values = raw.values.0.into_iter().map(said).collect::<Result<_, _>>()?;
    Ok(Report { taken, seq: raw.seq, replay: raw.replay, values })
}

fn said<'a>((name, raw): (Cow<'a, str>, RawValue<'a>)) -> Result<Said<'a>, Refusal> {
    let status = match raw.status.as_deref() {
        None | Some("measuring" | "ok" | "00") => Status::Measuring,
        Some("calibrating" | "01") => Status::Calibrating,
        Some("fault" | "error" | "02") => Status::Fault,
        Some(other) => {
            let detail = format!(
                "values.{}.status: `{}` is not one of measuring, calibrating, fault",
                shorten(&name),
                shorten(other)
            );
            return Err(Refusal { reason: Reason::UnknownStatus, detail });
        }
    };
    Ok(Said { name, value: raw.value, unit: raw.unit, status })
}

fn instant(time: &RawTime<'_>) -> Result<Timestamp, Refusal> {
    match time {
        RawTime::Number(n) => unix(*n),
        RawTime::Text(text) => Timestamp::parse_rfc3339(text).map_err(|error| match error {
            BadTime::NoOffset => Refusal {
                reason: Reason::NoOffset,
                detail: format!("time: `{}` has no offset; write +07:00 or Z", shorten(text)),
            },
            BadTime::Malformed => bad_time(&format!("time: `{}` is not RFC 3339", shorten(text))),
        }),
    }
}

/// Unix seconds or milliseconds.
pub(super) fn unix(number: f64) -> Result<Timestamp, Refusal> {
    if !number.is_finite() {
        return Err(bad_time("time: not a finite number"));
    }
    let millis = if number.abs() < MILLIS_FROM { number * 1_000.0 } else { number };
    // `as` saturates; admit refuses both ends.
    Ok(Timestamp::from_millis(millis.round() as i64))
}

fn bad_time(detail: &str) -> Refusal {
    Refusal { reason: Reason::BadTime, detail: detail.to_owned() }
}

fn broken(error: &serde_json::Error) -> Refusal {
    let text = error.to_string();
    let reason = if text.contains("number out of range") {
        Reason::NotANumber
    } else if text.contains(TOO_MANY) {
        Reason::BadCount
    } else if text.contains(NOT_A_TIME) {
        Reason::BadTime
    } else {
        Reason::Malformed
    };
    Refusal { reason, detail: shorten(&text).into_owned() }
}

/// An answer fits into one packet and one line of a log, whatever was sent.
pub(crate) fn shorten(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(160) {
        None => Cow::Borrowed(text),
        Some((at, _)) => Cow::Owned(format!("{}…", &text[..at])),
    }
}

const TOO_MANY: &str = "too many";
const NOT_A_TIME: &str = "an RFC 3339 text or Unix seconds or milliseconds";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawReport<'a> {
    #[serde(default, borrow, deserialize_with = "present")]
    time: Option<RawTime<'a>>,
    #[serde(default)]
    seq: Option<u64>,
    #[serde(default)]
    replay: bool,
    #[serde(borrow)]
    values: RawValues<'a>,
}

/// `"time": null` is not "on arrival": the station meant to say something.
fn present<'de, D: Deserializer<'de>>(d: D) -> Result<Option<RawTime<'de>>, D::Error> {
    RawTime::deserialize(d).map(Some)
}

enum RawTime<'a> {
    Number(f64),
    Text(Cow<'a, str>),
}

struct OneOrMany<'a>(Vec<RawReport<'a>>);

/// Fields in the order they came; a name that comes twice is for admit to refuse.
struct RawValues<'a>(Vec<(Cow<'a, str>, RawValue<'a>)>);

struct RawValue<'a> {
    value: Option<f64>,
    unit: Option<Cow<'a, str>>,
    status: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDetailed<'a> {
    value: Option<f64>,
    #[serde(default, borrow)]
    unit: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    status: Option<Cow<'a, str>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for RawTime<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Time;
        impl<'de> Visitor<'de> for Time {
            type Value = RawTime<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(NOT_A_TIME)
            }
            fn visit_i64<E>(self, n: i64) -> Result<RawTime<'de>, E> {
                Ok(RawTime::Number(n as f64))
            }
            fn visit_u64<E>(self, n: u64) -> Result<RawTime<'de>, E> {
                Ok(RawTime::Number(n as f64))
            }
            fn visit_f64<E>(self, n: f64) -> Result<RawTime<'de>, E> {
                Ok(RawTime::Number(n))
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<RawTime<'de>, E> {
                Ok(RawTime::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<RawTime<'de>, E> {
                Ok(RawTime::Text(Cow::Owned(text.to_owned())))
            }
        }
        d.deserialize_any(Time)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for OneOrMany<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Reports;
        impl<'de> Visitor<'de> for Reports {
            type Value = OneOrMany<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a report or an array of reports")
            }
            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Self::Value, M::Error> {
                let one = RawReport::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(OneOrMany(vec![one]))
            }
            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
                let mut many = Vec::new();
                while let Some(Object(one)) = seq.next_element()? {
                    if many.len() == REPORTS_MAX {
                        return Err(de::Error::custom(format_args!(
                            "{TOO_MANY} reports in one packet; {REPORTS_MAX} are possible"
                        )));
                    }
                    many.push(one);
                }
                if many.is_empty() {
                    return Err(de::Error::custom("an array without reports"));
                }
                Ok(OneOrMany(many))
            }
        }
        d.deserialize_any(Reports)
    }
}

/// A report as an object: serde would also take an array of its fields in order, which no station means.
struct Object<'a>(RawReport<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a report")
            }
            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Self::Value, M::Error> {
                RawReport::deserialize(de::value::MapAccessDeserializer::new(map)).map(Object)
            }
        }
        d.deserialize_map(Fields)
    }
}

/// A JSON text, borrowed from the packet where it has no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        d.deserialize_str(Text)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RawValues<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Values;
        impl<'de> Visitor<'de> for Values {
            type Value = RawValues<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of values")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut values = Vec::with_capacity(8);
                while let Some((Name(name), value)) = map.next_entry()? {
                    if values.len() == VALUES_MAX {
                        return Err(de::Error::custom(format_args!(
                            "{TOO_MANY} values in one report; {VALUES_MAX} are possible"
                        )));
                    }
                    values.push((name, value));
                }
                Ok(RawValues(values))
            }
        }
        d.deserialize_map(Values)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RawValue<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Value;
        impl<'de> Visitor<'de> for Value {
            type Value = RawValue<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, null, or {\"value\": …, \"status\": …}")
            }
            fn visit_i64<E>(self, n: i64) -> Result<Self::Value, E> {
                Ok(bare(Some(n as f64)))
            }
            fn visit_u64<E>(self, n: u64) -> Result<Self::Value, E> {
                Ok(bare(Some(n as f64)))
            }
            fn visit_f64<E>(self, n: f64) -> Result<Self::Value, E> {
                Ok(bare(Some(n)))
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(bare(None))
            }
            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Self::Value, M::Error> {
                let access = de::value::MapAccessDeserializer::new(map);
                let RawDetailed { value, unit, status } = RawDetailed::deserialize(access)?;
                Ok(RawValue { value, unit, status })
            }
        }
        d.deserialize_any(Value)
    }
}

fn bare<'a>(value: Option<f64>) -> RawValue<'a> {
    RawValue { value, unit: None, status: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(payload: &str) -> Reason {
        match decode(payload.as_bytes()) {
            Ok(reports) => panic!("{payload} was read as {reports:?}"),
            Err(refusal) => refusal.reason,
        }
    }

    #[test]
    fn what_is_said_of_a_status_is_short_however_long_the_name() {
        let (name, status) = ("mặn".repeat(10_000), "hỏng".repeat(10_000));
        let payload = format!(r#"{{"values":{{"{name}":{{"value":1,"status":"{status}"}}}}}}"#);
        let refusal = decode(payload.as_bytes()).unwrap_err();
        assert_eq!(refusal.reason, Reason::UnknownStatus);
        assert!(refusal.detail.len() < 1_500, "{}", refusal.detail.len());
    }

    #[test]
    fn the_report_of_the_wire_document_is_read() {
        let payload = br#"{"time": "2026-03-12T05:00:00+07:00", "seq": 4711,
            "values": {"salinity": 8.85, "water_level": 1.12, "ph": 7.1}}"#;
        let reports = decode(payload).unwrap();
        let [report] = &reports[..] else { panic!("{reports:?}") };
        assert_eq!(
            report.taken,
            Stated::At(Timestamp::parse_rfc3339("2026-03-11T22:00:00Z").unwrap())
        );
        assert_eq!((report.seq, report.replay, report.values.len()), (Some(4711), false, 3));
        assert_eq!(
            (report.values[0].name.as_ref(), report.values[0].value),
            ("salinity", Some(8.85))
        );
    }

    #[test]
    fn an_array_is_as_good_as_one_and_a_value_may_be_missing_or_calibrating() {
        let payload = br#"[{"values": {"ph": null}}, {"time": 1741730400, "replay": true,
            "values": {"ph": {"value": 7.1, "status": "calibrating", "unit": "pH"}}}]"#;
        let reports = decode(payload).unwrap();
        assert_eq!(reports[0].taken, Stated::OnArrival);
        assert_eq!(reports[0].values[0].value, None);
        assert!(reports[1].replay);
        assert_eq!(reports[1].values[0].status, Status::Calibrating);
    }

    #[test]
    fn seconds_and_milliseconds_are_told_apart() {
        for text in ["1741730400", "1741730400.0", "1741730400000", "\"2025-03-11T22:00:00Z\""] {
            let payload = format!(r#"{{"time": {text}, "values": {{"ph": 7}}}}"#);
            let reports = decode(payload.as_bytes()).unwrap();
            assert_eq!(reports[0].taken, Stated::At(Timestamp::from_millis(1_741_730_400_000)));
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_reason() {
        use Reason as R;
        for (payload, reason) in [
            ("", R::Malformed),
            ("{", R::Malformed),
            ("null", R::Malformed),
            ("[]", R::Malformed),
            ("7", R::Malformed),
            (r#"[[1741730400, 1, false, {"ph": 7}]]"#, R::Malformed),
            (r#"{"values": {"ph": NaN}}"#, R::Malformed),
            (r#"{"values": {"ph": "7.1"}}"#, R::Malformed),
            (r#"{"values": {"ph": 1e999}}"#, R::NotANumber),
            (r#"{"values": {}}"#, R::BadCount),
            (r#"{"tiem": 1, "values": {"ph": 7}}"#, R::Malformed),
            (r#"{"values": {"ph": 7}} x"#, R::Malformed),
            (r#"{"time": null, "values": {"ph": 7}}"#, R::BadTime),
            (r#"{"time": "yesterday", "values": {"ph": 7}}"#, R::BadTime),
            (r#"{"time": "2026-03-12T05:00:00", "values": {"ph": 7}}"#, R::NoOffset),
            (r#"{"seq": -1, "values": {"ph": 7}}"#, R::Malformed),
            (r#"{"values": {"ph": {"value": 7, "status": "broken"}}}"#, R::UnknownStatus),
            (r#"{"values": {"ph": {"status": "fault", "valeu": 7}}}"#, R::Malformed),
        ] {
            assert_eq!(refused(payload), reason, "{payload}");
        }
    }

    #[test]
    fn too_many_reports_or_values_are_refused_before_they_are_kept() {
        let one = r#"{"values":{"ph":7}}"#;
        let many = format!("[{}]", vec![one; REPORTS_MAX + 1].join(","));
        assert_eq!(refused(&many), Reason::BadCount);
        let wide: Vec<_> = (0..=VALUES_MAX).map(|n| format!(r#""p{n}":1"#)).collect();
        assert_eq!(refused(&format!(r#"{{"values":{{{}}}}}"#, wide.join(","))), Reason::BadCount);
        let deep = "[".repeat(100_000);
        assert_eq!(refused(&deep), Reason::Malformed);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(payload in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(decode(&payload));
        }

        #[test]
        fn no_mutilated_report_makes_it_panic(at in 0..90_usize, byte in any::<u8>()) {
            let mut payload = br#"[{"time":"2026-03-12T05:00:00+07:00","seq":1,"values":{"ph":{"value":7,"status":"ok"}}}]"#.to_vec();
            let at = at.min(payload.len() - 1);
            payload[at] = byte;
            drop(decode(&payload));
        }
    }
}
