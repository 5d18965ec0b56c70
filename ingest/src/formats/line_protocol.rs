//! InfluxDB's line protocol, so that Telegraf and whatever else speaks it can feed us:
//! `measurement[,tag=value…] field=value[,field=value…] [timestamp]`. A field called `value` is what its measurement's
//! name says; any other field is what its own name says. The tag `station` names the station.
//!
//! Read here and not by the crate of that name: that has stood still since 2023 and builds a second generation of the
//! macro crates for two hundred lines of grammar.

use std::borrow::Cow;

use domain::{Reason, Refusal, Report, Said, Stated, Status, Timestamp};

use super::part::Part;
use super::{VALUES_MAX, loose, refused};

const NAME: &str = "line-protocol";

/// The tag that names the station.
const STATION: &str = "station";

/// What a timestamp counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Nanoseconds, unless the sender says otherwise.
    #[default]
    Nanoseconds,
    /// Microseconds.
    Microseconds,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
}

impl Precision {
    /// The precision of the query's `precision=`, as both versions of the write API spell it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "ns" | "n" => Some(Self::Nanoseconds),
            "us" | "u" | "µ" => Some(Self::Microseconds),
            "ms" => Some(Self::Milliseconds),
            "s" => Some(Self::Seconds),
            _ => None,
        }
    }

    const fn millis(self, count: i64) -> i64 {
        match self {
            Self::Nanoseconds => count.div_euclid(1_000_000),
            Self::Microseconds => count.div_euclid(1_000),
            Self::Milliseconds => count,
            Self::Seconds => count.saturating_mul(1_000),
        }
    }
}

/// Reads the lines of a write: a report each, or why it is none. Lines of one station and time that follow each other
/// are one report, as Telegraf sends a device's measurements.
#[must_use]
pub fn decode(payload: &[u8], precision: Precision) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = payload;
    let mut number = 1;
    while !rest.is_empty() {
        let (line, lines) = first_line(rest);
        let (at, bytes) = (number, line.trim_ascii());
        number += lines;
        rest = rest.get(line.len() + 1..).unwrap_or(&[]);
        if bytes.is_empty() || bytes.starts_with(b"#") {
            continue;
        }
        match read(bytes, precision) {
            Ok(Some((station, report))) => add(&mut parts, payload, at, bytes, station, report),
            Ok(None) => (),
            Err(refusal) => parts.push(Part::at(at, bytes, Err(refusal))),
        }
    }
    parts
}

fn add<'a>(
    parts: &mut Vec<Part<'a>>,
    payload: &'a [u8],
    line: u64,
    bytes: &'a [u8],
    station: Option<String>,
    report: Report<'a>,
) {
    if let Some(Part { bytes: held, station: of, report: Ok(last), .. }) = parts.last_mut()
        && *of == station
        && last.taken == report.taken
        && last.values.len() + report.values.len() <= VALUES_MAX
        && !report.values.iter().any(|new| last.values.iter().any(|had| had.name == new.name))
    {
        last.values.extend(report.values);
        let place = |of: &[u8]| of.as_ptr() as usize - payload.as_ptr() as usize;
        *held = &payload[place(held)..place(bytes) + bytes.len()];
        return;
    }
    parts.push(Part { station, ..Part::at(line, bytes, Ok(report)) });
}

/// The first line, without its end, and how many lines of a file it is: a string may hold line ends.
fn first_line(text: &[u8]) -> (&[u8], u64) {
    let (mut quoted, mut escaped, mut lines) = (false, false, 1);
    // Only a field's value may be quoted, and fields come after the first blank that is not escaped, behind whatever
    // blanks the line begins with. In a comment nothing is.
    let begin = text.iter().position(|byte| *byte == b'\n' || !byte.is_ascii_whitespace());
    let begin = begin.unwrap_or(text.len());
    let comment = text.get(begin) == Some(&b'#');
    let mut in_fields = false;
    for (place, &byte) in text.iter().enumerate().skip(begin) {
        match byte {
            b'\n' if comment => return (&text[..place], lines),
            _ if comment => {}
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' if in_fields => quoted = !quoted,
            b' ' => in_fields = true,
            b'\n' if quoted => lines += 1,
            b'\n' => return (&text[..place], lines),
            _ => {}
        }
    }
    (text, lines)
}

type Read<'a> = Option<(Option<String>, Report<'a>)>;

fn read(line: &[u8], precision: Precision) -> Result<Read<'_>, Refusal> {
    let text = std::str::from_utf8(line).map_err(|_| refused(Reason::Malformed, "not UTF-8"))?;
    let (key, rest) = cut(text, ' ', Quotes::AreLetters).ok_or_else(|| bad("it has no fields"))?;
    let (fields, time) = match cut(rest.trim_start(), ' ', Quotes::Quote) {
        Some((fields, time)) => (fields, time.trim()),
        None => (rest.trim_start(), ""),
    };
    let (measurement, tags) = match cut(key, ',', Quotes::AreLetters) {
        Some((measurement, tags)) => (measurement, Some(tags)),
        None => (key, None),
    };
    let measurement = unescaped(measurement);
    if measurement.is_empty() {
        return Err(bad("it has no measurement"));
    }
    let mut station = None;
    for tag in tags.into_iter().flat_map(|tags| split(tags, Quotes::AreLetters)) {
        let (name, value) =
            cut(tag, '=', Quotes::AreLetters).ok_or_else(|| bad("a tag has no value"))?;
        if name == STATION {
            station = Some(unescaped(value).into_owned());
        }
    }
    let taken = match time {
        "" => Stated::OnArrival,
        time => {
            let count: i64 = time.parse().map_err(|_| {
                refused(Reason::BadTime, &format!("`{time}` is not a whole number of time units"))
            })?;
            Stated::At(Timestamp::from_millis(precision.millis(count)))
        }
    };
    let mut values = Vec::new();
    for field in split(fields, Quotes::Quote) {
        let (name, value) =
            cut(field, '=', Quotes::AreLetters).ok_or_else(|| bad("a field has no value"))?;
        let name = match unescaped(name) {
            name if name.is_empty() => return Err(bad("a field has no name")),
            name if name == "value" => measurement.clone(),
            name => name,
        };
        match number(value)? {
            Some(value) => values.push(Said {
                name,
                value: Some(value),
                unit: None,
                status: Status::Measuring,
            }),
            None => loose::skipped(NAME),
        }
    }
    if VALUES_MAX < values.len() {
        let detail = format!("{} fields; {VALUES_MAX} are possible", values.len());
        return Err(refused(Reason::BadCount, &detail));
    }
    let report = Report { taken, seq: None, replay: false, values };
    Ok((!report.values.is_empty()).then_some((station, report)))
}

/// A field's number; `None` for a text or a truth value, which are no readings.
fn number(text: &str) -> Result<Option<f64>, Refusal> {
    if text.len() >= 2 && text.starts_with('"') && text.ends_with('"') {
        return Ok(None);
    }
    if matches!(
        text,
        "t" | "T" | "true" | "True" | "TRUE" | "f" | "F" | "false" | "False" | "FALSE"
    ) {
        return Ok(None);
    }
    let digits = text.strip_suffix(['i', 'u']).unwrap_or(text);
    match loose::number(digits) {
        Some(value) => Ok(Some(value)),
        None => Err(refused(Reason::NotANumber, &format!("`{text}` is not a field's value"))),
    }
}

fn bad(detail: &str) -> Refusal {
    refused(Reason::Malformed, detail)
}

/// May what is searched be inside of quotes?
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Quote,
    AreLetters,
}

/// Before and after the first `mark` that is neither escaped nor quoted.
fn cut(text: &str, mark: char, quotes: Quotes) -> Option<(&str, &str)> {
    let (mut quoted, mut escaped) = (false, false);
    for (place, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' if quotes == Quotes::Quote => quoted = !quoted,
            _ if letter == mark && !quoted => {
                return Some((&text[..place], &text[place + letter.len_utf8()..]));
            }
            _ => {}
        }
    }
    None
}

/// The parts between commas.
fn split(text: &str, quotes: Quotes) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        match cut(text, ',', quotes) {
            Some((first, after)) => {
                rest = Some(after);
                Some(first)
            }
            None => {
                rest = None;
                Some(text)
            }
        }
    })
}

/// Without the backslashes before commas, blanks and equal signs; any other backslash is a letter.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letters.peek() {
            Some(next @ (',' | ' ' | '=')) if letter == '\\' => {
                out.push(*next);
                letters.next();
            }
            _ => out.push(letter),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(part: &Part<'_>) -> (Option<String>, Stated, Vec<(String, f64)>) {
        let report = part.report.as_ref().unwrap();
        let values = report.values.iter().map(|v| (v.name.to_string(), v.value.unwrap())).collect();
        (part.station.clone(), report.taken, values)
    }

    #[test]
    fn the_grammar_of_its_reference_is_read() {
        let at = Stated::At(Timestamp::from_millis(1_773_266_400_000));
        for (line, station, taken, values) in [
            (
                "water,station=xuan-hoa salinity=8.85,ph=7i 1773266400000000000",
                Some("xuan-hoa"),
                at,
                vec![("salinity", 8.85), ("ph", 7.0)],
            ),
            ("salinity value=8.85", None, Stated::OnArrival, vec![("salinity", 8.85)]),
            (
                r#"my\ water,a\,b=c\=d,station=x ph=7.1,note="a, b=c \" d",ok=true"#,
                Some("x"),
                Stated::OnArrival,
                vec![("ph", 7.1)],
            ),
            (r"w e\ c=1e3,n=-4u", None, Stated::OnArrival, vec![("e c", 1_000.0), ("n", -4.0)]),
        ] {
            let parts = decode(line.as_bytes(), Precision::default());
            assert_eq!(parts.len(), 1, "{line}");
            let values = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            assert_eq!(told(&parts[0]), (station.map(str::to_owned), taken, values), "{line}");
        }
    }

    #[test]
    fn a_quote_that_quotes_nothing_swallows_no_line() {
        for text in
            ["# it's 5\" wide\nph value=7", " \t# \"\n  ph value=7\n", "\"q x=1 5\nph value=7"]
        {
            let parts = decode(text.as_bytes(), Precision::default());
            let last = parts.last().unwrap();
            assert_eq!((last.line, last.bytes), (Some(2), &b"ph value=7"[..]), "{text}");
        }
    }

    #[test]
    fn precision_is_what_the_sender_says() {
        for (precision, count) in [
            ("ns", "1773266400000000000"),
            ("us", "1773266400000000"),
            ("ms", "1773266400000"),
            ("s", "1773266400"),
        ] {
            let line = format!("ph value=7 {count}");
            let parts = decode(line.as_bytes(), Precision::parse(precision).unwrap());
            assert_eq!(
                told(&parts[0]).1,
                Stated::At(Timestamp::from_millis(1_773_266_400_000)),
                "{precision}"
            );
        }
        assert_eq!(Precision::parse("h"), None);
    }

    #[test]
    fn lines_of_one_time_are_one_report_and_bad_ones_have_their_number() {
        let text = "# Telegraf\n\nph,station=a value=7 5\nsalinity,station=a value=1 5\nph,station=a value=7 5\n\
            ph,station=b value=7 5\nph\nph value=x 5\nph value=7 soon\n,a=b value=7\nph,a value=7\nph =7\n\
            note text=\"a\nb\"\nph value=8";
        let parts = decode(text.as_bytes(), Precision::Seconds);
        let told: Vec<_> = parts
            .iter()
            .map(|p| {
                (p.line.unwrap(), p.report.as_ref().map(|r| r.values.len()).map_err(|r| r.reason))
            })
            .collect();
        use Reason as R;
        assert_eq!(
            told,
            [
                (3, Ok(2)),
                (5, Ok(1)),
                (6, Ok(1)),
                (7, Err(R::Malformed)),
                (8, Err(R::NotANumber)),
                (9, Err(R::BadTime)),
                (10, Err(R::Malformed)),
                (11, Err(R::Malformed)),
                (12, Err(R::Malformed)),
                (15, Ok(1)),
            ]
        );
        assert_eq!(parts[0].bytes, b"ph,station=a value=7 5\nsalinity,station=a value=1 5");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(payload in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(decode(&payload, Precision::default()));
        }

        #[test]
        fn no_text_makes_it_panic(payload in "[a-c\\\\\", =\n0-9i]{0,80}") {
            drop(decode(payload.as_bytes(), Precision::default()));
        }

        #[test]
        fn what_is_escaped_reads_back(name in "[a-c ,=]{1,8}", station in "[a-c ,=]{1,8}", value in -1e6..1e6_f64) {
            let escape = |text: &str| text.replace(',', "\\,").replace('=', "\\=").replace(' ', "\\ ");
            let line = format!("m,station={} {}={value}", escape(&station), escape(&name));
            let parts = decode(line.as_bytes(), Precision::default());
            let (of, _, values) = told(&parts[0]);
            prop_assert_eq!((of, values), (Some(station), vec![(name, value)]));
        }
    }
}
