//! The text file of an automatic station under Circular 10/2021/TT-BTNMT: a line for each parameter,
//! `symbol ⇥ value ⇥ unit ⇥ yyyyMMddHHmmss ⇥ status`, in Vietnam's time, which the circular prescribes.
//!
//! Read as implementers write it: either line end, a decimal comma, and an empty value, `-` or `NaN` where the device
//! is in error. Lines that follow each other with one time are one report.
//!
//! A status has two digits, as every implementer writes it. One digit is refused: it stands at the end of a file that
//! was torn, where `02` without its last byte would be a device that measures.

mod write; // what a department's server takes

use std::borrow::Cow;

use domain::{Reason, Refusal, Report, Said, Stated, Status, Timestamp, VIETNAM_OFFSET_S};

pub use write::{Line, stamp, symbol, write};

use super::part::{Part, lines};
use super::{VALUES_MAX, loose, refused};

/// Symbols of Appendix 15 and of the loggers that measure what it does not name, and our codes.
///
/// Nitrogen: QCVN 08:2023/BTNMT gives ammonium and nitrate as N, so mg/L of NH4 and NO3 is mg/L N here.
const SYMBOLS: &[(&str, &str)] = &[
    ("Temp", "water_temperature"),
    ("pH", "ph"),
    ("TSS", "tss"),
    ("COD", "cod"),
    ("BOD5", "bod5"),
    ("NH4", "ammonium"),
    ("NO3", "nitrate"),
    ("DO", "dissolved_oxygen"),
    ("EC", "conductivity"),
    ("Sal", "salinity"),
    ("WL", "water_level"),
    ("Rain", "rainfall"),
    ("Turb", "turbidity"),
];

/// Reads the parts of a file: reports, and lines that are none.
#[must_use]
pub fn decode(payload: &[u8]) -> Vec<Part<'_>> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    for (number, line) in lines(payload) {
        match entry(line) {
            Ok((taken, said)) => match parts.last_mut() {
                Some(Part { bytes, report: Ok(report), .. })
                    if report.taken == Stated::At(taken) && report.values.len() < VALUES_MAX =>
                {
                    report.values.push(said);
                    *bytes = joined(payload, bytes, line);
                }
                _ => {
                    let report = Report {
                        taken: Stated::At(taken),
                        seq: None,
                        replay: false,
                        values: vec![said],
                    };
                    parts.push(Part::at(number, line, Ok(report)));
                }
            },
            Err(refusal) => parts.push(Part::at(number, line, Err(refusal))),
        }
    }
    parts
}

/// From the start of one slice of `whole` to the end of a later one.
fn joined<'a>(whole: &'a [u8], first: &[u8], last: &[u8]) -> &'a [u8] {
    let place = |of: &[u8]| of.as_ptr() as usize - whole.as_ptr() as usize;
    &whole[place(first)..place(last) + last.len()]
}

fn entry(line: &[u8]) -> Result<(Timestamp, Said<'_>), Refusal> {
    let line = std::str::from_utf8(line).map_err(|_| refused(Reason::Malformed, "not UTF-8"))?;
    let columns: Vec<&str> = line.split('\t').map(str::trim).collect();
    let [symbol, value, unit, time, status] = columns[..] else {
        let detail = format!(
            "{} columns; five are symbol, value, unit, time, status, with tabs",
            columns.len()
        );
        return Err(refused(Reason::Malformed, &detail));
    };
    if symbol.is_empty() {
        return Err(refused(Reason::Malformed, "the symbol is empty"));
    }
    // Digits only: another form is another format's.
    if time.len() != 14 || !time.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(refused(Reason::BadTime, &format!("time: `{time}` is not yyyyMMddHHmmss")));
    }
    let taken = Timestamp::parse_local(time, VIETNAM_OFFSET_S)
        .map_err(|_| refused(Reason::BadTime, &format!("time: there is no `{time}`")))?;
    let status = match status {
        "00" => Status::Measuring,
        "01" => Status::Calibrating,
        "02" => Status::Fault,
        other => {
            let detail = format!("{symbol}: status `{other}` is not one of 00, 01, 02");
            return Err(refused(Reason::UnknownStatus, &detail));
        }
    };
    let value = match value {
        "" | "-" | "NaN" | "nan" => None,
        text => Some(loose::decimal(text).ok_or_else(|| {
            refused(Reason::NotANumber, &format!("{symbol}: `{text}` is not a number"))
        })?),
    };
    Ok((taken, said(symbol, value, unit, status)))
}

fn said<'a>(symbol: &'a str, value: Option<f64>, unit: &'a str, status: Status) -> Said<'a> {
    let known = SYMBOLS.iter().find(|(name, _)| name.eq_ignore_ascii_case(symbol));
    let name = known.map_or(symbol, |(_, code)| code);
    let unit = match (name, unit) {
        ("ammonium" | "nitrate", "mg/L" | "mg/l") => "mg/L N",
        _ => unit,
    };
    // A dash is also what some write where they know no unit.
    let unit = (!matches!(unit, "" | "-")).then_some(Cow::Borrowed(unit));
    Said { name: Cow::Borrowed(name), value, unit, status }
}

/// The station's name in a file's: `Tỉnh_CơSở_Trạm_yyyyMMddHHmmss.txt`, or as implementers shorten it,
/// `<STATION>_<time>.txt`. All before the last group is the name.
#[must_use]
pub fn station_of(file: &str) -> Option<&str> {
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let (name, time) = stem.rsplit_once('_')?;
    let is_time = time.len() == 14 && time.bytes().all(|byte| byte.is_ascii_digit());
    (is_time && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SAMPLE: &str = "pH\t7.12\t-\t20240312050000\t00\r\nTemp\t28.4\toC\t20240312050000\t00\r\n\
        EC\t15.2\tmS/cm\t20240312050000\t00\nSal\t8,85\tg/L\t20240312050000\t00\nDO\t\tmg/L\t20240312050000\t02\n";

    #[test]
    fn the_lines_of_one_time_are_one_report_in_vietnams_time() {
        let parts = decode(SAMPLE.as_bytes());
        assert_eq!(parts.len(), 1);
        let report = parts[0].report.as_ref().unwrap();
        let at = Timestamp::parse_rfc3339("2024-03-12T05:00:00+07:00").unwrap();
        assert_eq!(report.taken, Stated::At(at));
        let told: Vec<_> =
            report.values.iter().map(|v| (v.name.as_ref(), v.value, v.status)).collect();
        assert_eq!(
            told,
            [
                ("ph", Some(7.12), Status::Measuring),
                ("water_temperature", Some(28.4), Status::Measuring),
                ("conductivity", Some(15.2), Status::Measuring),
                ("salinity", Some(8.85), Status::Measuring),
                ("dissolved_oxygen", None, Status::Fault),
            ]
        );
        assert_eq!(report.values[1].unit.as_deref(), Some("oC"));
        assert_eq!(parts[0].bytes, SAMPLE.trim_end().as_bytes());
    }

    #[test]
    fn each_bad_line_is_refused_by_its_number_and_the_others_stand() {
        let text = "pH\t7.12\t-\t20240312050000\t00\npH 7.12\nSal\tabc\tg/L\t20240312050000\t00\n\
            Sal\t1.2.3\tg/L\t20240312050000\t00\nSal\t1\tg/L\t20241312050000\t00\nSal\t1\tg/L\t2024031205\t00\n\
            Sal\t1\tg/L\t20240312050000\t07\n\t1\tg/L\t20240312050000\t00\nSal\t\u{ff}\nTemp\t28\toC\t20240312050000\t01";
        let bytes: Vec<u8> =
            text.chars().map(|c| if c == '\u{ff}' { 0xff } else { c as u8 }).collect();
        let parts = decode(&bytes);
        let told: Vec<_> = parts
            .iter()
            .map(|p| (p.line.unwrap(), p.report.as_ref().err().map(|r| r.reason)))
            .collect();
        assert_eq!(
            told,
            [
                (1, None),
                (2, Some(Reason::Malformed)),
                (3, Some(Reason::NotANumber)),
                (4, Some(Reason::NotANumber)),
                (5, Some(Reason::BadTime)),
                (6, Some(Reason::BadTime)),
                (7, Some(Reason::UnknownStatus)),
                (8, Some(Reason::Malformed)),
                (9, Some(Reason::Malformed)),
                (10, None),
            ]
        );
    }

    #[test]
    fn a_torn_file_says_nothing_that_the_whole_does_not_say() {
        let values = |text: &str| -> Vec<String> {
            let parts = decode(text.as_bytes());
            let reports = parts.into_iter().filter_map(|part| part.report.ok());
            reports.flat_map(|it| it.values).map(|it| format!("{it:?}")).collect()
        };
        let whole = values(SAMPLE);
        for cut in 0..=SAMPLE.len() {
            let torn = values(&SAMPLE[..cut]);
            assert_eq!(torn[..], whole[..torn.len()], "cut at {cut}");
        }
        // Everything but the status of the last line, and half of that.
        let at = SAMPLE.trim_end().len();
        let reason = |cut: usize| {
            let parts = decode(&SAMPLE.as_bytes()[..cut]);
            parts.last().and_then(|part| part.report.as_ref().err()).map(|it| it.reason)
        };
        assert_eq!((reason(at - 1), reason(at)), (Some(Reason::UnknownStatus), None));
        for status in ["0", "1", "2", "000", "2 0"] {
            let line = format!("pH\t7.12\t-\t20240312050000\t{status}\n");
            let refusal = decode(line.as_bytes()).remove(0).report.unwrap_err();
            assert_eq!(refusal.reason, Reason::UnknownStatus, "{status}");
        }
    }

    #[test]
    fn a_files_name_tells_its_station() {
        for (file, station) in [
            ("TG_XuanHoa_XH01_20240312050000.txt", Some("TG_XuanHoa_XH01")),
            ("XH01_20240312050000.txt", Some("XH01")),
            ("XH01.txt", None),
            ("_20240312050000.txt", None),
        ] {
            assert_eq!(station_of(file), station, "{file}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(payload in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(decode(&payload));
        }

        #[test]
        fn no_text_makes_it_panic(payload in "([a-zA-Z]{0,3}\t?[-0-9.,]{0,4}\t?[a-z/]{0,3}\t?[0-9]{12,15}\t?0[0-3]\r?\n){0,8}") {
            let lines = lines(payload.as_bytes()).count();
            prop_assert!(decode(payload.as_bytes()).len() <= lines);
        }
    }
}
