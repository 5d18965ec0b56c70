//! Tables as text: CSV with a header, wide (`time,salinity,ph`) or long (`time,parameter,value,unit`), and TOA5, the
//! table of Campbell Scientific's loggers (four header lines: environment, names, units, processing).
//!
//! A time with an offset is an instant. A naive one is read only where the offset of the logger's clock is given.

use std::borrow::Cow;

use domain::{Reason, Refusal, Report, Said, Stated, Status, Timestamp, unit};

use super::part::Part;
use super::{VALUES_MAX, json, loose, refused};

/// Names of the column of time, whatever their capitals.
const TIMES: [&str; 6] = ["time", "timestamp", "time_utc", "datetime", "date_time", "taken_at"];

/// How a table is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Clock {
    /// Seconds that the logger's clock is ahead of UTC, where its times are naive.
    pub offset_s: Option<i32>,
}

/// A column of a wide table.
#[derive(Debug, Clone, PartialEq)]
struct Column {
    name: String,
    unit: Option<String>,
}

/// What the columns mean.
#[derive(Debug, Clone, PartialEq)]
enum Shape {
    /// A parameter each, but for the time's; `None` where a column is no reading.
    Wide { time: usize, columns: Vec<Option<Column>> },
    /// A parameter each line.
    Long {
        time: usize,
        station: Option<usize>,
        parameter: usize,
        value: usize,
        unit: Option<usize>,
        flag: Option<usize>,
    },
}

/// Reads a table.
///
/// # Errors
/// A [`Refusal`] of the whole table, where its header does not tell what stands below it.
pub fn decode(payload: &[u8], clock: Clock) -> Result<Vec<Part<'_>>, Refusal> {
    let payload = payload.strip_prefix(b"\xef\xbb\xbf").unwrap_or(payload);
    let delimiter = delimiter(payload);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .trim(csv::Trim::All)
        .from_reader(payload);
    let mut row = csv::ByteRecord::new();
    let shape = header(&mut reader, &mut row)?;
    let head = without_ends(&payload[..position(&reader)]);
    let mut parts = Vec::new();
    // The reader counts a line that ends in CR LF only when it begins the next.
    let (mut line, mut counted) = (1, 0);
    loop {
        let start = position(&reader);
        match reader.read_byte_record(&mut row) {
            Ok(true) => (),
            Ok(false) => return Ok(parts),
            // Reading from memory does not fail, and a flexible table of bytes has no bad line.
            Err(error) => return Err(refused(Reason::Malformed, &error.to_string())),
        }
        let end = position(&reader);
        let bytes = without_ends(&payload[start..end]);
        let first = start + payload[start..end].iter().take_while(|&&byte| is_end(byte)).count();
        line += payload[counted..first].iter().filter(|&&byte| byte == b'\n').count() as u64;
        counted = first;
        let (station, report) = match entry(&shape, &row, delimiter, clock) {
            Ok((station, report)) => (station, Ok(report)),
            Err(refusal) => (None, Err(refusal)),
        };
        parts.push(Part { head, station, ..Part::at(line, bytes, report) });
    }
}

fn is_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// Without the line ends around it; a tab or a blank there stands between columns.
fn without_ends(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|&byte| !is_end(byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|&byte| !is_end(byte)).map_or(start, |last| last + 1);
    &bytes[start..end]
}

fn position(reader: &csv::Reader<&[u8]>) -> usize {
    usize::try_from(reader.position().byte()).unwrap_or(usize::MAX)
}

/// What stands between the columns: of comma, semicolon and tab the one that the first line has most of.
fn delimiter(payload: &[u8]) -> u8 {
    let mut lines = payload.split(|&byte| is_end(byte));
    let first = lines.find(|line| !line.is_empty()).unwrap_or_default();
    let count = |mark: u8| first.iter().filter(|&&byte| byte == mark).count();
    // The last of the greatest: a comma where there is nothing.
    [b'\t', b';', b','].into_iter().max_by_key(|&mark| count(mark)).unwrap_or(b',')
}

fn header(reader: &mut csv::Reader<&[u8]>, row: &mut csv::ByteRecord) -> Result<Shape, Refusal> {
    let mut next = |what: &str| match reader.read_byte_record(row) {
        Ok(true) => row.iter().map(text).collect::<Result<Vec<String>, _>>(),
        _ => Err(refused(Reason::Malformed, &format!("the table ends before its {what}"))),
    };
    let first = next("header")?;
    if first.first().is_some_and(|word| word == "TOA5") {
        let (names, units, _processing) = (next("names")?, next("units")?, next("processing")?);
        return toa5(&names, &units);
    }
    named(&first)
}

fn text(bytes: &[u8]) -> Result<String, Refusal> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(refused(Reason::Malformed, "the header is not UTF-8")),
    }
}

fn toa5(names: &[String], units: &[String]) -> Result<Shape, Refusal> {
    let time = names.iter().position(|name| name.eq_ignore_ascii_case("TIMESTAMP"));
    let time = time.ok_or_else(|| refused(Reason::Malformed, "TOA5 without a TIMESTAMP column"))?;
    let column = |(place, name): (usize, &String)| {
        if place == time || name.eq_ignore_ascii_case("RECORD") || name.is_empty() {
            return None;
        }
        let unit = units.get(place).filter(|unit| unit::is_unit(unit) && !unit.is_empty()).cloned();
        Some(Column { name: name.clone(), unit })
    };
    Ok(Shape::Wide { time, columns: names.iter().enumerate().map(column).collect() })
}

fn named(names: &[String]) -> Result<Shape, Refusal> {
    let place = |wanted: &[&str]| {
        names.iter().position(|name| wanted.iter().any(|it| name.eq_ignore_ascii_case(it)))
    };
    let time = place(&TIMES).ok_or_else(|| {
        refused(Reason::Malformed, &format!("no column is called one of {}", TIMES.join(", ")))
    })?;
    if let (Some(parameter), Some(value)) = (place(&["parameter"]), place(&["value"])) {
        let (station, unit) = (place(&["station"]), place(&["unit"]));
        let flag = place(&["source_flag", "flag"]);
        return Ok(Shape::Long { time, station, parameter, value, unit, flag });
    }
    let column = |(place, name): (usize, &String)| {
        (place != time && !name.is_empty()).then(|| with_unit(name))
    };
    let columns: Vec<_> = names.iter().enumerate().map(column).collect();
    let mut seen = std::collections::HashSet::new();
    for Column { name, .. } in columns.iter().flatten() {
        if !seen.insert(name) {
            return Err(refused(
                Reason::RepeatedParameter,
                &format!("column `{name}` comes twice"),
            ));
        }
    }
    if seen.is_empty() {
        return Err(refused(Reason::BadCount, "there is no column beside the time"));
    }
    Ok(Shape::Wide { time, columns })
}

/// `salinity (g/L)` and `salinity [g/L]`.
fn with_unit(text: &str) -> Column {
    for (open, close) in [('(', ')'), ('[', ']')] {
        if let Some((name, unit)) = text.strip_suffix(close).and_then(|it| it.rsplit_once(open)) {
            return Column { name: name.trim().to_owned(), unit: Some(unit.trim().to_owned()) };
        }
    }
    Column { name: text.to_owned(), unit: None }
}

type Entry<'a> = (Option<String>, Report<'a>);

fn entry(
    shape: &Shape,
    row: &csv::ByteRecord,
    delimiter: u8,
    clock: Clock,
) -> Result<Entry<'static>, Refusal> {
    let cell = |place: usize| match row.get(place).map(std::str::from_utf8) {
        Some(Ok(text)) => Ok(text),
        Some(Err(_)) => Err(refused(Reason::Malformed, "not UTF-8")),
        None => {
            let detail = format!("{} columns; the header has more", row.len());
            Err(refused(Reason::Malformed, &detail))
        }
    };
    let (taken, station, values) = match shape {
        Shape::Wide { time, columns } => {
            if row.len() != columns.len() {
                let detail = format!("{} columns; the header has {}", row.len(), columns.len());
                return Err(refused(Reason::Malformed, &detail));
            }
            let mut values = Vec::with_capacity(columns.len());
            for (place, column) in columns.iter().enumerate() {
                let Some(Column { name, unit }) = column else { continue };
                let value = number(name, cell(place)?, delimiter)?;
                values.push(said(name.clone(), value, unit.clone(), Status::Measuring));
            }
            (instant(cell(*time)?, clock)?, None, values)
        }
        &Shape::Long { time, station, parameter, value, unit, flag } => {
            let name = cell(parameter)?.to_owned();
            let unit = unit.map(cell).transpose()?.filter(|unit| !unit.is_empty());
            let (status, missing) = flagged(flag.map(cell).transpose()?)?;
            let value = number(&name, cell(value)?, delimiter)?.filter(|_| !missing);
            let station = station.map(cell).transpose()?.map(str::to_owned);
            let said = said(name, value, unit.map(str::to_owned), status);
            (instant(cell(time)?, clock)?, station, vec![said])
        }
    };
    if values.is_empty() || VALUES_MAX < values.len() {
        let detail = format!("{} values; 1 to {VALUES_MAX} are possible", values.len());
        return Err(refused(Reason::BadCount, &detail));
    }
    Ok((station, Report { taken, seq: None, replay: false, values }))
}

fn said(name: String, value: Option<f64>, unit: Option<String>, status: Status) -> Said<'static> {
    Said { name: Cow::Owned(name), value, unit: unit.map(Cow::Owned), status }
}

/// A QARTOD number, or nothing: what the source itself holds for bad is not the water's.
fn flagged(flag: Option<&str>) -> Result<(Status, bool), Refusal> {
    match flag.unwrap_or("") {
        "" | "1" | "2" | "3" => Ok((Status::Measuring, false)),
        "4" => Ok((Status::Fault, false)),
        "9" => Ok((Status::Measuring, true)),
        other => {
            let detail = format!("flag `{other}` is not one of QARTOD's 1, 2, 3, 4, 9");
            Err(refused(Reason::UnknownStatus, &detail))
        }
    }
}

/// A number of a cell; `None` where the cell says that there is none.
fn number(name: &str, text: &str, delimiter: u8) -> Result<Option<f64>, Refusal> {
    if matches!(text, "" | "-" | "NAN" | "NaN" | "nan" | "null" | "NULL" | "NA") {
        return Ok(None);
    }
    let value = match delimiter {
        b',' => loose::number(text),
        _ => loose::decimal(text),
    };
    let bad = || refused(Reason::NotANumber, &format!("{name}: `{text}` is not a number"));
    value.map(Some).ok_or_else(bad)
}

fn instant(text: &str, clock: Clock) -> Result<Stated, Refusal> {
    if let Ok(at) = Timestamp::parse_rfc3339(text) {
        return Ok(Stated::At(at));
    }
    // Twelve or fourteen digits are a date and a time of day: as milliseconds they would be before 2001 or after 5138.
    let is_date = matches!(text.len(), 12 | 14) && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(number) = loose::number(text).filter(|_| !is_date) {
        return json::unix(number).map(Stated::At);
    }
    match clock.offset_s.map(|offset_s| Timestamp::parse_local(text, offset_s)) {
        Some(Ok(at)) => Ok(Stated::At(at)),
        None if Timestamp::parse_local(text, 0).is_ok() => {
            let detail = format!("time: `{text}` has no offset; write +07:00 or Z");
            Err(refused(Reason::NoOffset, &detail))
        }
        _ => Err(refused(Reason::BadTime, &format!("time: `{text}` cannot be read"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HANOI: Clock = Clock { offset_s: Some(7 * 3_600) };
    const UTC: Clock = Clock { offset_s: None };

    fn at(text: &str) -> Stated {
        Stated::At(Timestamp::parse_rfc3339(text).unwrap())
    }

    fn values(part: &Part<'_>) -> Vec<(String, Option<f64>, Option<String>)> {
        let value =
            |v: &Said<'_>| (v.name.to_string(), v.value, v.unit.as_deref().map(str::to_owned));
        part.report.as_ref().unwrap().values.iter().map(value).collect()
    }

    #[test]
    fn a_wide_table_is_a_report_a_row() {
        let text =
            "Time,salinity (g/L),ph,\n2024-03-12T05:00:00+07:00,8.85,7.1,x\r\n1710194400,,NAN,\n";
        let parts = decode(text.as_bytes(), UTC).unwrap();
        let told: Vec<_> =
            parts.iter().map(|p| (p.line, p.report.as_ref().unwrap().taken)).collect();
        assert_eq!(
            told,
            [(Some(2), at("2024-03-11T22:00:00Z")), (Some(3), at("2024-03-11T22:00:00Z"))]
        );
        assert_eq!(
            values(&parts[0]),
            [("salinity".into(), Some(8.85), Some("g/L".into())), ("ph".into(), Some(7.1), None),]
        );
        assert_eq!(values(&parts[1])[0].1, None);
        assert_eq!(parts[0].bytes, b"2024-03-12T05:00:00+07:00,8.85,7.1,x");
    }

    #[test]
    fn a_long_table_names_station_parameter_and_flag() {
        let text = "time_utc,station,parameter,value,unit,source_flag\n2024-03-11T22:00:00Z,a,EC,15200,uS/cm,1\n\
            2024-03-11T22:00:00Z,b,ph,7.1,,4\n2024-03-11T22:00:00Z,b,ph,7.1,,9\n2024-03-11T22:00:00Z,b,ph,7.1,,8\n";
        let parts = decode(text.as_bytes(), UTC).unwrap();
        assert_eq!(
            (parts[0].station.as_deref(), values(&parts[0])[0].clone()),
            (Some("a"), ("EC".into(), Some(15_200.0), Some("uS/cm".into())))
        );
        assert_eq!(parts[1].report.as_ref().unwrap().values[0].status, Status::Fault);
        assert_eq!(values(&parts[2])[0].1, None);
        assert_eq!(parts[3].report.as_ref().unwrap_err().reason, Reason::UnknownStatus);
    }

    #[test]
    fn toa5_is_read_in_its_loggers_time() {
        let text = "\"TOA5\",\"XH\",\"CR300\",\"1\",\"std\",\"p\",\"1\",\"Hourly\"\r\n\"TIMESTAMP\",\"RECORD\",\"EC\",\"AirT\"\r\n\
            \"TS\",\"RN\",\"uS/cm\",\"Deg C\"\r\n\"\",\"\",\"Smp\",\"Avg\"\r\n\"2024-03-12 05:00:00\",17,15200,28.4\r\n\
            \"2024-03-12 05:10:00\",18,\"NAN\",\"x\"\r\n";
        let parts = decode(text.as_bytes(), HANOI).unwrap();
        assert_eq!(
            (parts[0].line, parts[0].report.as_ref().unwrap().taken),
            (Some(5), at("2024-03-11T22:00:00Z"))
        );
        assert_eq!(
            values(&parts[0]),
            [
                ("EC".into(), Some(15_200.0), Some("uS/cm".into())),
                ("AirT".into(), Some(28.4), Some("Deg C".into())),
            ]
        );
        assert_eq!(parts[1].report.as_ref().unwrap_err().reason, Reason::NotANumber);
        let naive = decode(text.as_bytes(), UTC).unwrap();
        assert_eq!(naive[0].report.as_ref().unwrap_err().reason, Reason::NoOffset);
    }

    #[test]
    fn a_semicolon_lets_the_comma_be_decimal() {
        let parts = decode(b"time;salinity\n2024-03-11T22:00:00Z;8,85\n", UTC).unwrap();
        assert_eq!(values(&parts[0])[0].1, Some(8.85));
        let parts = decode(b"time\tsalinity\n20240312050000\t8.85\n", HANOI).unwrap();
        assert_eq!(parts[0].report.as_ref().unwrap().taken, at("2024-03-11T22:00:00Z"));
    }

    #[test]
    fn what_is_kept_of_a_row_has_its_empty_columns() {
        let text =
            "\ttime\tph\t\r\nx\t2024-03-11T22:00:00Z\twet\t\r\n\t2024-03-11T22:00:00Z\t7\t\r\n";
        let parts = decode(text.as_bytes(), UTC).unwrap();
        assert_eq!(parts[0].report.as_ref().unwrap_err().reason, Reason::NotANumber);
        for part in &parts {
            let kept = part.kept();
            let again = decode(&kept, UTC).unwrap();
            assert_eq!(again.len(), 1);
            assert_eq!(again[0].report, part.report);
        }
    }

    #[test]
    fn the_first_line_tells_the_delimiter_whatever_ends_it() {
        let parts = decode(b"\r\n\ntime;ph\r2024-03-11T22:00:00Z;7,1\ra,b,c,d,e\n", UTC).unwrap();
        assert_eq!(values(&parts[0])[0].1, Some(7.1));
        assert_eq!(parts[1].report.as_ref().unwrap_err().reason, Reason::Malformed);
    }

    #[test]
    fn a_header_that_tells_nothing_refuses_the_table_and_a_bad_row_itself() {
        use Reason as R;
        for (text, reason) in [
            ("", R::Malformed),
            ("a,b\n1,2\n", R::Malformed),
            ("time\n1\n", R::BadCount),
            ("time,ph,ph\n", R::RepeatedParameter),
            ("TOA5,a\nx\n", R::Malformed),
            ("TOA5,a\nx,y\n,\n,\n", R::Malformed),
        ] {
            assert_eq!(decode(text.as_bytes(), UTC).unwrap_err().reason, reason, "{text}");
        }
        let parts = decode(b"time,ph\nyesterday,7\n2024-03-11T22:00:00Z\n2024-03-11T22:00:00Z,7,8\n2024-03-11T22:00:00Z,x\n2024-03-11T22:00:00Z,7", UTC).unwrap();
        let told: Vec<_> =
            parts.iter().map(|p| p.report.as_ref().err().map(|r| r.reason)).collect();
        assert_eq!(
            told,
            [Some(R::BadTime), Some(R::Malformed), Some(R::Malformed), Some(R::NotANumber), None]
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(payload in prop::collection::vec(any::<u8>(), 0..200), offset_s in prop::option::of(-90_000..90_000_i32)) {
            drop(decode(&payload, Clock { offset_s }));
        }

        #[test]
        fn no_rows_make_it_panic(rows in "[-0-9TZ:,\"\r\n.a-c]{0,200}") {
            drop(decode(format!("time,ph,ec\n{rows}").as_bytes(), HANOI));
        }
    }
}
