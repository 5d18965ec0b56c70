//! SenML (RFC 8428), as JSON and as CBOR: records that lean on base values before them. The field's name is the last
//! part of the record's name, behind `:`, `/` or the base name; records of one time are one report.

use std::borrow::Cow;

use domain::{Reason, Refusal, Report, Said, Stated, Status, Timestamp};
use serde::Deserialize;

use super::part::Part;
use super::{REPORTS_MAX, VALUES_MAX, loose, refused};

const NAME: &str = "senml";

/// Times below it are relative to now (section 4.5.3): 2^28 s.
const ABSOLUTE_FROM: f64 = 268_435_456.0;

/// The version of SenML that we know (section 4.4).
const VERSION_MAX: u64 = 10;

/// A record as it stands (section 4.3), and what only matters for being refused or skipped.
#[derive(Debug, Default)]
struct Record {
    bn: Option<String>,
    bt: Option<f64>,
    bu: Option<String>,
    bv: Option<f64>,
    bs: Option<f64>,
    bver: Option<u64>,
    n: Option<String>,
    u: Option<String>,
    v: Option<f64>,
    t: Option<f64>,
    /// A text, a truth value, data or a sum: no reading.
    other: bool,
}

/// The same with the labels of JSON.
#[derive(Deserialize)]
struct JsonRecord {
    bn: Option<String>,
    bt: Option<f64>,
    bu: Option<String>,
    bv: Option<f64>,
    bs: Option<f64>,
    bver: Option<u64>,
    n: Option<String>,
    u: Option<String>,
    v: Option<f64>,
    t: Option<f64>,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

/// Reads a pack in JSON that came at `now`.
///
/// # Errors
/// A [`Refusal`] of the whole pack: `malformed`, `bad_count` or `bad_time`.
pub fn decode_json(payload: &[u8], now: Timestamp) -> Result<Vec<Part<'_>>, Refusal> {
    let records: Vec<JsonRecord> =
        serde_json::from_slice(payload).map_err(|e| refused(Reason::Malformed, &e.to_string()))?;
    let records = records.into_iter().map(from_json).collect::<Result<_, _>>()?;
    resolve(payload, records, now)
}

/// Reads a pack in CBOR that came at `now`.
///
/// # Errors
/// As [`decode_json`].
pub fn decode_cbor(payload: &[u8], now: Timestamp) -> Result<Vec<Part<'_>>, Refusal> {
    let value: ciborium::Value =
        ciborium::from_reader(payload).map_err(|e| refused(Reason::Malformed, &e.to_string()))?;
    let ciborium::Value::Array(records) = value else {
        return Err(refused(Reason::Malformed, "a pack is an array of records"));
    };
    let records = records.into_iter().map(from_cbor).collect::<Result<_, _>>()?;
    resolve(payload, records, now)
}

fn from_json(record: JsonRecord) -> Result<Record, Refusal> {
    let JsonRecord { bn, bt, bu, bv, bs, bver, n, u, v, t, rest } = record;
    let mut other = false;
    for label in rest.keys() {
        other |= label_without_reading(label)?;
    }
    Ok(Record { bn, bt, bu, bv, bs, bver, n, u, v, t, other })
}

/// Is this a label of a value that is no reading? A label that ends in `_` must be understood (section 4.4), others that
/// are not known are stepped over.
fn label_without_reading(label: &str) -> Result<bool, Refusal> {
    match label {
        "vs" | "vb" | "vd" | "s" => Ok(true),
        label if label.ends_with('_') => Err(refused(
            Reason::Malformed,
            &format!("`{label}` must be understood and is not known"),
        )),
        _ => Ok(false),
    }
}

/// The labels of CBOR (section 6, table 6) are numbers; those that have none are texts.
fn from_cbor(value: ciborium::Value) -> Result<Record, Refusal> {
    let ciborium::Value::Map(fields) = value else {
        return Err(refused(Reason::Malformed, "a record is a map"));
    };
    let mut record = Record::default();
    for (label, value) in fields {
        let label = match &label {
            ciborium::Value::Text(text) => text.clone(),
            ciborium::Value::Integer(number) => i128::from(*number).to_string(),
            _ => return Err(refused(Reason::Malformed, "a label is a number or a text")),
        };
        let slot = match label.as_str() {
            "-2" | "bn" => Slot::Text(&mut record.bn),
            "-3" | "bt" => Slot::Number(&mut record.bt),
            "-4" | "bu" => Slot::Text(&mut record.bu),
            "-5" | "bv" => Slot::Number(&mut record.bv),
            "-6" | "bs" => Slot::Number(&mut record.bs),
            "0" | "n" => Slot::Text(&mut record.n),
            "1" | "u" => Slot::Text(&mut record.u),
            "2" | "v" => Slot::Number(&mut record.v),
            "6" | "t" => Slot::Number(&mut record.t),
            "-1" | "bver" => {
                let number = value.as_integer().and_then(|n| u64::try_from(n).ok());
                record.bver = Some(number.ok_or_else(|| wrong(&label))?);
                continue;
            }
            "3" | "4" | "5" | "8" => {
                record.other = true;
                continue;
            }
            _ => {
                record.other |= label_without_reading(&label)?;
                continue;
            }
        };
        fill(slot, value, &label)?;
    }
    Ok(record)
}

enum Slot<'a> {
    Text(&'a mut Option<String>),
    Number(&'a mut Option<f64>),
}

fn fill(slot: Slot<'_>, value: ciborium::Value, label: &str) -> Result<(), Refusal> {
    match slot {
        Slot::Text(slot) => *slot = Some(value.into_text().map_err(|_| wrong(label))?),
        Slot::Number(slot) => *slot = Some(number(&value).ok_or_else(|| wrong(label))?),
    }
    Ok(())
}

/// A number of CBOR, decimal fractions (tag 4) included, which SenML prefers for times.
fn number(value: &ciborium::Value) -> Option<f64> {
    match value {
        ciborium::Value::Integer(number) => Some(i128::from(*number) as f64),
        ciborium::Value::Float(number) => Some(*number),
        ciborium::Value::Tag(4, inner) => {
            let [exponent, mantissa] = &inner.as_array()?[..] else { return None };
            let exponent = i32::try_from(exponent.as_integer()?).ok()?;
            Some(i128::from(mantissa.as_integer()?) as f64 * 10_f64.powi(exponent))
        }
        _ => None,
    }
}

fn wrong(label: &str) -> Refusal {
    refused(Reason::Malformed, &format!("the value of label `{label}` is of the wrong type"))
}

/// Resolved records (section 4.6), gathered by their time.
fn resolve(payload: &[u8], records: Vec<Record>, now: Timestamp) -> Result<Vec<Part<'_>>, Refusal> {
    let mut base = Record::default();
    let mut reports: Vec<Report<'_>> = Vec::new();
    for record in records {
        let Record { bn, bt, bu, bv, bs, bver, n, u, v, t, other } = record;
        if bver.is_some_and(|version| version == 0 || VERSION_MAX < version) {
            return Err(refused(Reason::Malformed, "bver: this version is not known"));
        }
        base.bn = bn.or(base.bn);
        base.bt = bt.or(base.bt);
        base.bu = bu.or(base.bu);
        base.bv = bv.or(base.bv);
        base.bs = bs.or(base.bs);
        let (prefix, n) = (base.bn.as_deref().unwrap_or(""), n.unwrap_or_default());
        let Some(value) = v.or_else(|| base.bv.filter(|_| !other).map(|_| 0.0)) else {
            if other || base.bs.is_some() {
                loose::skipped(NAME);
            }
            continue;
        };
        let name = field(prefix, &n)?;
        let value = value + base.bv.unwrap_or(0.0);
        let unit = u.or_else(|| base.bu.clone()).map(Cow::Owned);
        let said =
            Said { name: Cow::Owned(name), value: Some(value), unit, status: Status::Measuring };
        let taken = instant(base.bt, t, now)?;
        let at = reports.iter().rposition(|report| report.taken == taken).unwrap_or(reports.len());
        match reports.get_mut(at) {
            Some(report) if report.values.len() < VALUES_MAX => report.values.push(said),
            Some(_) => return Err(many("values")),
            None if at == REPORTS_MAX => return Err(many("times")),
            None => reports.push(Report { taken, seq: None, replay: false, values: vec![said] }),
        }
    }
    if reports.is_empty() {
        return Err(refused(Reason::BadCount, "the pack has no number in it"));
    }
    Ok(reports.into_iter().map(|report| Part::whole(payload, report)).collect())
}

fn many(what: &str) -> Refusal {
    let detail =
        format!("too many {what}; {REPORTS_MAX} times of {VALUES_MAX} values are possible");
    refused(Reason::BadCount, &detail)
}

fn field(prefix: &str, n: &str) -> Result<String, Refusal> {
    let whole = format!("{prefix}{n}");
    let name = whole.rsplit([':', '/']).next().unwrap_or("");
    if name.is_empty() {
        return Err(refused(Reason::Malformed, &format!("`{whole}` names nothing")));
    }
    Ok(name.to_owned())
}

fn instant(bt: Option<f64>, t: Option<f64>, now: Timestamp) -> Result<Stated, Refusal> {
    if bt.is_none() && t.is_none() {
        return Ok(Stated::OnArrival);
    }
    let seconds = bt.unwrap_or(0.0) + t.unwrap_or(0.0);
    if !seconds.is_finite() {
        return Err(refused(Reason::BadTime, "t: not a finite number"));
    }
    let millis = (seconds * 1_000.0).round() as i64;
    Ok(match seconds {
        0.0 => Stated::OnArrival,
        s if s < ABSOLUTE_FROM => {
            Stated::At(Timestamp::from_millis(now.as_millis().saturating_add(millis)))
        }
        _ => Stated::At(Timestamp::from_millis(millis)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_millis(1_773_266_400_000);

    type Told = (Stated, Vec<(String, f64, Option<String>)>);

    fn told(parts: &[Part<'_>]) -> Vec<Told> {
        let value = |v: &Said<'_>| {
            (v.name.to_string(), v.value.unwrap(), v.unit.as_deref().map(str::to_owned))
        };
        let reports = parts.iter().map(|part| part.report.as_ref().unwrap());
        reports.map(|r| (r.taken, r.values.iter().map(value).collect())).collect()
    }

    /// Section 5.1.1 to 5.1.3 of RFC 8428.
    #[test]
    fn the_examples_of_the_standard_are_read() {
        let parts =
            decode_json(br#"[{"n":"urn:dev:ow:10e2073a01080063","u":"Cel","v":23.1}]"#, NOW)
                .unwrap();
        assert_eq!(
            told(&parts),
            [(Stated::OnArrival, vec![("10e2073a01080063".into(), 23.1, Some("Cel".into()))])]
        );

        let parts = decode_json(
            br#"[{"bn":"urn:dev:ow:10e2073a01080063:","n":"voltage","u":"V","v":120.1},{"n":"current","u":"A","v":1.2}]"#,
            NOW,
        )
        .unwrap();
        let volt = ("voltage".to_owned(), 120.1, Some("V".to_owned()));
        let ampere = ("current".to_owned(), 1.2, Some("A".to_owned()));
        assert_eq!(told(&parts), [(Stated::OnArrival, vec![volt, ampere])]);

        let parts = decode_json(
            br#"[{"bn":"urn:dev:ow:10e2073a0108006:","bt":1.276020076001e+09,"bu":"A","bver":5,"n":"voltage","u":"V","v":120.1},
                 {"n":"current","t":-5,"v":1.2},{"n":"current","t":-4,"v":1.3},{"n":"current","t":-3,"v":1.4},
                 {"n":"current","t":-2,"v":1.5},{"n":"current","t":-1,"v":1.6},{"n":"current","v":1.7}]"#,
            NOW,
        )
        .unwrap();
        assert_eq!(parts.len(), 6);
        let first = Stated::At(Timestamp::from_millis(1_276_020_076_001));
        let told = told(&parts);
        assert_eq!((told[0].0, told[0].1.len()), (first, 2));
        assert_eq!(told[1].0, Stated::At(Timestamp::from_millis(1_276_020_071_001)));
        assert_eq!(told[1].1, [("current".to_owned(), 1.2, Some("A".to_owned()))]);
    }

    /// Section 6: the first two records of its CBOR example, `bt` as a decimal fraction as it shows.
    #[test]
    fn the_same_in_cbor_is_the_same() {
        use ciborium::Value as V;
        let integer = |n: i64| V::Integer(n.into());
        let bt = V::Tag(4, Box::new(V::Array(vec![integer(-3), integer(1_276_020_076_001)])));
        let pack = V::Array(vec![
            V::Map(vec![
                (integer(-2), V::Text("urn:dev:ow:10e2073a0108006:".into())),
                (integer(-3), bt),
                (integer(-4), V::Text("A".into())),
                (integer(-1), integer(5)),
                (integer(0), V::Text("voltage".into())),
                (integer(1), V::Text("V".into())),
                (integer(2), V::Float(120.1)),
            ]),
            V::Map(vec![
                (integer(0), V::Text("current".into())),
                (integer(6), integer(-5)),
                (integer(2), V::Float(1.2)),
            ]),
        ]);
        let mut bytes = Vec::new();
        ciborium::into_writer(&pack, &mut bytes).unwrap();
        let parts = decode_cbor(&bytes, NOW).unwrap();
        let told = told(&parts);
        assert_eq!(told[0].0, Stated::At(Timestamp::from_millis(1_276_020_076_001)));
        assert_eq!(told[1].0, Stated::At(Timestamp::from_millis(1_276_020_071_001)));
        assert_eq!(told[1].1[0].2.as_deref(), Some("A"));
    }

    #[test]
    fn small_times_count_from_now_and_texts_are_no_readings() {
        let parts = decode_json(
            br#"[{"bn":"probe/","n":"ph","v":7.1,"t":-60},{"n":"door","vb":true},{"n":"label","vs":"x"},{"n":"ph","v":7.2}]"#,
            NOW,
        )
        .unwrap();
        let told = told(&parts);
        assert_eq!(told[0].0, Stated::At(Timestamp::from_millis(NOW.as_millis() - 60_000)));
        assert_eq!((told[1].0, told.len()), (Stated::OnArrival, 2));
        let based =
            decode_json(br#"[{"bn":"p:","bv":20,"n":"t","v":1.5},{"n":"u"}]"#, NOW).unwrap();
        let values: Vec<_> =
            based[0].report.as_ref().unwrap().values.iter().map(|v| v.value).collect();
        assert_eq!(values, [Some(21.5), Some(20.0)]);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        use Reason as R;
        for (payload, reason) in [
            ("", R::Malformed),
            ("{}", R::Malformed),
            ("[]", R::BadCount),
            (r#"[{"n":"ph","vs":"x"}]"#, R::BadCount),
            (r#"[{"n":"ph","v":"7"}]"#, R::Malformed),
            (r#"[{"v":7}]"#, R::Malformed),
            (r#"[{"bn":"urn:x:","v":7}]"#, R::Malformed),
            (r#"[{"n":"ph","v":7,"xx_":1}]"#, R::Malformed),
            (r#"[{"bver":11,"n":"ph","v":7}]"#, R::Malformed),
        ] {
            assert_eq!(
                decode_json(payload.as_bytes(), NOW).unwrap_err().reason,
                reason,
                "{payload}"
            );
        }
        for bytes in [&b""[..], b"\xa0", b"\x81\x01", b"\x81\xa1\x02\x61x", b"\x9f"] {
            assert_eq!(decode_cbor(bytes, NOW).unwrap_err().reason, R::Malformed, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(payload in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(decode_json(&payload, NOW));
            drop(decode_cbor(&payload, NOW));
        }
    }
}
