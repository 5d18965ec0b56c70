//! Telemetry as a ThingsBoard device sends it: `{"salinity": 8.85}`, `{"ts": 1773266400000, "values": {…}}`, or an array
//! of either. `ts` is Unix time in milliseconds.

use domain::{Reason, Refusal, Report, Stated, Timestamp};
use serde_json::{Map, Value};

use super::{REPORTS_MAX, VALUES_MAX, loose, refused};

const NAME: &str = "thingsboard";

/// Reads the reports of one packet.
///
/// # Errors
/// A [`Refusal`] of the whole packet: `malformed`, `bad_count` or `bad_time`.
pub fn decode(payload: &[u8]) -> Result<Vec<Report<'static>>, Refusal> {
    let value: Value = serde_json::from_slice(payload)
        .map_err(|error| refused(Reason::Malformed, &error.to_string()))?;
    match value {
        Value::Object(one) => Ok(vec![report(&one)?]),
        Value::Array(many) if many.is_empty() || REPORTS_MAX < many.len() => {
            let count = many.len();
            let detail = format!("an array of {count}; 1 to {REPORTS_MAX} are possible");
            Err(refused(Reason::BadCount, &detail))
        }
        Value::Array(many) => many.iter().map(element).collect(),
        _ => Err(refused(Reason::Malformed, "not an object or an array of objects")),
    }
}

fn element(value: &Value) -> Result<Report<'static>, Refusal> {
    match value {
        Value::Object(one) => report(one),
        _ => Err(refused(Reason::Malformed, "an element of the array is not an object")),
    }
}

fn report(object: &Map<String, Value>) -> Result<Report<'static>, Refusal> {
    let (taken, values) = match (object.get("ts"), object.get("values")) {
        (None, None) => (Stated::OnArrival, object),
        (Some(ts), Some(Value::Object(values))) if object.len() == 2 => (instant(ts)?, values),
        _ => {
            let detail = "write `ts` and `values` and nothing else, or values alone";
            return Err(refused(Reason::Malformed, detail));
        }
    };
    let mut said = Vec::with_capacity(values.len().min(VALUES_MAX));
    for (name, value) in values {
        loose::say(name, value, NAME, &mut said);
    }
    if said.is_empty() || VALUES_MAX < said.len() {
        let detail = format!("{} values; 1 to {VALUES_MAX} are possible", said.len());
        return Err(refused(Reason::BadCount, &detail));
    }
    Ok(Report { taken, seq: None, replay: false, values: said })
}

fn instant(ts: &Value) -> Result<Stated, Refusal> {
    match ts.as_i64() {
        Some(millis) => Ok(Stated::At(Timestamp::from_millis(millis))),
        None => Err(refused(Reason::BadTime, "ts: write Unix time in milliseconds")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_forms_of_its_documentation_are_read() {
        let at = Stated::At(Timestamp::from_millis(1_773_266_400_000));
        for (payload, taken, count) in [
            (r#"{"salinity": 8.85, "ph": "7.1", "active": true}"#, Stated::OnArrival, 1),
            (r#"[{"salinity": 8.85}, {"ph": 7.1}]"#, Stated::OnArrival, 2),
            (r#"{"ts": 1773266400000, "values": {"salinity": 8.85, "ph": 7.1}}"#, at, 1),
            (r#"[{"ts": 1773266400000, "values": {"ph": 7}}, {"ph": 7}]"#, at, 2),
        ] {
            let reports = decode(payload.as_bytes()).unwrap();
            assert_eq!((reports[0].taken, reports.len()), (taken, count), "{payload}");
        }
        let reports = decode(br#"{"salinity": 8.85, "ph": "7.1", "active": true}"#).unwrap();
        assert_eq!(reports[0].values.len(), 2);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_reason() {
        use Reason as R;
        let many = format!("[{}]", vec![r#"{"ph":7}"#; REPORTS_MAX + 1].join(","));
        for (payload, reason) in [
            ("", R::Malformed),
            ("7", R::Malformed),
            ("[]", R::BadCount),
            ("[7]", R::Malformed),
            ("{}", R::BadCount),
            (r#"{"status": "ok"}"#, R::BadCount),
            (r#"{"ts": 1773266400000}"#, R::Malformed),
            (r#"{"ts": 1773266400000, "values": {"ph": 7}, "ph": 7}"#, R::Malformed),
            (r#"{"ts": "2026-03-12T05:00:00Z", "values": {"ph": 7}}"#, R::BadTime),
            (many.as_str(), R::BadCount),
        ] {
            assert_eq!(decode(payload.as_bytes()).unwrap_err().reason, reason, "{payload}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(payload in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(decode(&payload));
        }
    }
}
