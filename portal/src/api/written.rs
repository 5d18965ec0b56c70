//! Series as JSON, written straight: an answer of a year has 36,000 rows of one shape, and a serializer that looks at
//! each field of each anew takes three times as long. What comes out is what `serde_json` writes, byte by byte.

use domain::Timestamp;

use super::latest::LatestSaid;
use super::readings::{AllSeries, Interval, Row, Series};
use super::times;

/// Bytes of a reading, and of an interval, so that the answer's room is asked for once.
const READING_BYTES: usize = 60;
const INTERVAL_BYTES: usize = 210;
const LATEST_BYTES: usize = 160;

/// One series as an answer.
///
/// # Errors
/// None that writing to memory can have.
pub(super) fn one(series: &Series) -> serde_json::Result<Vec<u8>> {
    let mut text = room(std::slice::from_ref(series));
    put(&mut text, series)?;
    Ok(text)
}

/// All of a station as an answer.
///
/// # Errors
/// As [`one`].
pub(super) fn all(said: &AllSeries) -> serde_json::Result<Vec<u8>> {
    let mut text = room(&said.series);
    text.extend_from_slice(b"{\"station\":");
    serde_json::to_writer(&mut text, &said.station)?;
    text.extend_from_slice(b",\"series\":[");
    for (n, series) in said.series.iter().enumerate() {
        if n != 0 {
            text.push(b',');
        }
        put(&mut text, series)?;
    }
    text.extend_from_slice(b"]}");
    Ok(text)
}

/// The newest value of everything as an answer.
///
/// # Errors
/// As [`one`].
pub(super) fn latest(rows: &[LatestSaid<'_>]) -> serde_json::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(2 + rows.len() * LATEST_BYTES);
    text.push(b'[');
    for (n, row) in rows.iter().enumerate() {
        let LatestSaid { station, parameter, time, value, unit, flag, age_s } = *row;
        // Codes have nothing that must be escaped; a unit is somebody's text.
        key(&mut text, if n == 0 { b"{\"station\":\"" } else { b",{\"station\":\"" }, |to| {
            to.extend_from_slice(station.as_str().as_bytes());
        });
        key(&mut text, b"\",\"parameter\":\"", |to| {
            to.extend_from_slice(parameter.as_str().as_bytes());
        });
        key(&mut text, b"\",\"time\":", |to| self::time(to, time));
        key(&mut text, b",\"value\":", |to| number(to, Some(value)));
        text.extend_from_slice(b",\"unit\":");
        serde_json::to_writer(&mut text, unit)?;
        key(&mut text, b",\"flag\":", |to| count(to, u32::from(flag)));
        key(&mut text, b",\"age_s\":", |to| digits(to, age_s, 1));
        text.push(b'}');
    }
    text.push(b']');
    Ok(text)
}

fn room(all: &[Series]) -> Vec<u8> {
    let bytes = |row: &(Timestamp, Row)| match row.1 {
        Row::Reading { .. } => READING_BYTES,
        Row::Interval(_) => INTERVAL_BYTES,
    };
    // Rows of a series are of one kind.
    let of = |series: &Series| series.readings.len() * series.readings.first().map_or(0, bytes);
    Vec::with_capacity(256 + all.iter().map(|series| 256 + of(series)).sum::<usize>())
}

fn put(to: &mut Vec<u8>, series: &Series) -> serde_json::Result<()> {
    serde_json::to_writer(&mut *to, &series.about)?;
    // The object goes on.
    to.pop();
    to.extend_from_slice(b",\"readings\":[");
    for (n, (_, row)) in series.readings.iter().enumerate() {
        if n != 0 {
            to.push(b',');
        }
        self::row(to, row);
    }
    to.extend_from_slice(b"]}");
    Ok(())
}

fn row(to: &mut Vec<u8>, row: &Row) {
    match row {
        Row::Reading { time, value, flag, layer } => {
            key(to, b"{\"time\":", |to| self::time(to, *time));
            key(to, b",\"value\":", |to| number(to, *value));
            key(to, b",\"flag\":", |to| count(to, u32::from(*flag)));
            if let Some(layer) = layer {
                // A word of ours: nothing in it has to be escaped.
                key(to, b",\"layer\":\"", |to| to.extend_from_slice(layer.as_bytes()));
                to.push(b'"');
            }
        }
        Row::Interval(interval) => self::interval(to, interval),
    }
    to.push(b'}');
}

fn interval(to: &mut Vec<u8>, it: &Interval) {
    key(to, b"{\"time\":", |to| time(to, it.time));
    for (name, value, named_at, at) in [
        (&b",\"min\":"[..], it.min, &b",\"min_time\":"[..], it.min_time),
        (b",\"max\":", it.max, b",\"max_time\":", it.max_time),
    ] {
        key(to, name, |to| number(to, value));
        if let Some(at) = at {
            key(to, named_at, |to| time(to, at));
        }
    }
    key(to, b",\"mean\":", |to| number(to, it.mean));
    if it.total.is_some() {
        key(to, b",\"total\":", |to| number(to, it.total));
    }
    key(to, b",\"first\":", |to| number(to, it.first));
    key(to, b",\"last\":", |to| number(to, it.last));
    key(to, b",\"count\":", |to| count(to, it.count));
    key(to, b",\"flag\":", |to| count(to, u32::from(it.flag)));
}

fn key(to: &mut Vec<u8>, name: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
    to.extend_from_slice(name);
    write(to);
}

fn time(to: &mut Vec<u8>, time: Timestamp) {
    times::with_text(time, |text| {
        to.push(b'"');
        to.extend_from_slice(text.as_bytes());
        to.push(b'"');
    });
}

fn count(to: &mut Vec<u8>, count: u32) {
    digits(to, u64::from(count), 1);
}

/// Powers of ten that a sensor's values are whole multiples of: thousandths, which is as fine as any of ours speaks.
const THOUSAND: f64 = 1_000.0;
/// Below it thousandths of a value are exact, and have at most 15 digits: then they are its shortest decimal, because no
/// two decimals of 15 digits are one double (IEEE 754, DBL_DIG).
const THOUSANDTHS_MAX: f64 = 1e12;

fn number(to: &mut Vec<u8>, value: Option<f64>) {
    let Some(value) = value.filter(|value| value.is_finite()) else {
        return to.extend_from_slice(b"null");
    };
    let scaled = (value * THOUSAND).round();
    let is_decimal = scaled.abs() < THOUSANDTHS_MAX && scaled / THOUSAND == value;
    if !is_decimal || (value == 0.0 && value.is_sign_negative()) {
        // It is finite, and memory takes everything.
        return serde_json::to_writer(to, &value).unwrap_or_default();
    }
    if value < 0.0 {
        to.push(b'-');
    }
    let thousandths = scaled.abs() as u64;
    digits(to, thousandths / 1_000, 1);
    to.push(b'.');
    match thousandths % 1_000 {
        rest if rest % 100 == 0 => digits(to, rest / 100, 1),
        rest if rest % 10 == 0 => digits(to, rest / 10, 2),
        rest => digits(to, rest, 3),
    }
}

/// A number with at least so many digits.
fn digits(to: &mut Vec<u8>, mut number: u64, least: usize) {
    let mut text = [b'0'; 20];
    let mut at = text.len();
    while number != 0 {
        at -= 1;
        text[at] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    let at = at.min(text.len() - least);
    to.extend_from_slice(&text[at..]);
}

#[cfg(test)]
mod tests {
    use domain::{ParameterCode, StationCode};
    use proptest::prelude::*;

    use super::super::readings::About;
    use super::*;

    fn values() -> impl Strategy<Value = Option<f64>> {
        prop_oneof![
            Just(None),
            Just(Some(-0.0)),
            Just(Some(0.0)),
            Just(Some(f64::NAN)),
            (-5_000_000_i64..5_000_000).prop_map(|it| Some(it as f64 / 1_000.0)),
            (-5_000_i64..5_000).prop_map(|it| Some(it as f64)),
            (any::<i64>(), 0_i32..20).prop_map(|(it, down)| Some(it as f64 / 10_f64.powi(down))),
            any::<f64>().prop_map(Some),
        ]
    }

    fn times() -> impl Strategy<Value = Timestamp> {
        (-1_000_i64..253_402_300_799_999).prop_map(Timestamp::from_millis)
    }

    fn rows() -> impl Strategy<Value = Row> {
        let layers = prop_oneof![Just(None), Just(Some("corrected")), Just(Some("approved"))];
        let reading =
            (times(), values(), 1_u8..10, layers).prop_map(|(time, value, flag, layer)| {
                Row::Reading { time, value: super::super::finite(value), flag, layer }
            });
        let some_time = || prop::option::of(times());
        let interval = (
            (times(), values(), some_time(), values(), some_time()),
            (values(), values(), values(), values(), any::<u32>(), 1_u8..10),
        );
        let interval = interval.prop_map(|((time, min, min_time, max, max_time), rest)| {
            let (mean, total, first, last, count, flag) = rest;
            let [min, max, mean, total, first, last] =
                [min, max, mean, total, first, last].map(super::super::finite);
            Row::Interval(Box::new(Interval {
                time,
                min,
                min_time,
                max,
                max_time,
                mean,
                total,
                first,
                last,
                count,
                flag,
            }))
        });
        prop_oneof![reading, interval]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_written_is_what_serde_writes(rows in prop::collection::vec(rows(), 0..40)) {
            let readings = rows.into_iter().map(|row| (Timestamp::from_millis(0), row)).collect();
            let said = Series {
                about: About {
                    station: "vam-kenh".to_owned(),
                    parameter: "salinity".to_owned(),
                    unit: "g/L \"as it is\"".to_owned(),
                    derived: None,
                },
                readings,
            };
            let text = String::from_utf8(one(&said).unwrap()).unwrap();
            prop_assert_eq!(&text, &serde_json::to_string(&said).unwrap());
            let all_said = AllSeries { station: "vam-kenh".to_owned(), series: vec![said] };
            let text = String::from_utf8(all(&all_said).unwrap()).unwrap();
            prop_assert_eq!(&text, &serde_json::to_string(&all_said).unwrap());
        }

        #[test]
        fn the_newest_values_are_written_as_serde_writes_them(
            rows in prop::collection::vec((times(), any::<f64>(), "[a-z\"µ/°%\\\\]{0,6}", 1_u8..10, any::<u64>()), 0..9),
        ) {
            let (station, parameter) = (StationCode::new("vam-kenh").unwrap(), ParameterCode::new("salinity").unwrap());
            let said: Vec<LatestSaid<'_>> = rows
                .iter()
                .filter(|row| row.1.is_finite())
                .map(|(time, value, unit, flag, age_s)| LatestSaid {
                    station: &station, parameter: &parameter, time: *time, value: *value, unit, flag: *flag, age_s: *age_s,
                })
                .collect();
            let text = String::from_utf8(latest(&said).unwrap()).unwrap();
            prop_assert_eq!(text, serde_json::to_string(&said).unwrap());
        }

        #[test]
        fn a_number_is_written_as_serde_writes_it(value in values()) {
            let mut text = Vec::new();
            number(&mut text, value);
            let value = value.filter(|value| value.is_finite());
            prop_assert_eq!(String::from_utf8(text).unwrap(), serde_json::to_string(&value).unwrap());
        }
    }
}
