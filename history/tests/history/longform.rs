//! In and out as other programs keep it; and files that are not what they should be.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use domain::{Flag, Reason, Refusal, Timestamp, standard_parameters};
use history::longform::{
    Form, Known, Longform, LongformError, Meaning, Opening, Reading, Row, Said, Time, Value, Words,
    Writer,
};
use proptest::prelude::*;

use crate::words::*;

const OPENING: Opening =
    Opening { form: None, has_station: false, has_units: false, unpacked_bytes_max: 1 << 20 };

fn known() -> Known {
    let mut known = Known { parameters: standard_parameters(), ..Known::default() };
    for (flag, number) in
        [("", 2), ("<0>", 1), ("<-3>", 4), ("1", 1), ("2", 2), ("3", 3), ("4", 4), ("9", 9)]
    {
        known.flags.insert(flag.to_owned(), Flag::from_number(number).unwrap());
    }
    known
        .names
        .insert("water_temp".to_owned(), Meaning::Parameter(parameter("water_temperature"), None));
    known.names.insert(
        "EC".to_owned(),
        Meaning::Parameter(parameter("conductivity_25"), Some("µS/cm".to_owned())),
    );
    known.names.insert("note".to_owned(), Meaning::LeftOut);
    known.stations = HashMap::from([("a".to_owned(), station("a"))]);
    known.known_as = HashMap::from([("gw-7".to_owned(), station("a"))]);
    known
}

fn row<'a>(cells: &'a str) -> Row<'a> {
    let cells: Vec<&str> = cells.split(',').collect();
    let [time, station, parameter, value, unit, flag] = cells[..] else {
        panic!("six cells: {cells:?}")
    };
    Row { time: Time::Text(time), station, parameter, value: Value::Text(value), unit, flag }
}

fn say(words: &mut Words, cells: &str) -> Result<String, Refusal> {
    Ok(match words.read(1, &row(cells))? {
        Said::LeftOut => "left out".to_owned(),
        Said::Reading(Reading { station, parameter, value, flag, .. }) => {
            let value = value.map_or("-".to_owned(), |value| value.to_string());
            let (code, what) = (words.station(station), words.parameter(parameter));
            format!("{code} {what} {value} {}", flag.number())
        }
    })
}

#[test]
fn names_units_and_flags_become_ours() {
    let mut words = Words::new(known());
    for (cells, wanted) in [
        ("2020-01-01T00:00:00Z,a,salinity,4.5,psu,", "a salinity 4.5 2"),
        ("2020-01-01T00:00:00Z,GW-7,water_temp,28,degC,<0> (CRE)", "a water_temperature 28 1"),
        ("2020-01-01T00:00:00Z,a,water_level,112,cm,1", "a water_level 1.12 1"),
        ("2020-01-01T00:00:00Z,a,EC,15200,,<-3>[SSD]", "a conductivity_25 15.2 4"),
        ("2020-01-01T00:00:00Z,a,EC,15.2,mS/cm,1", "a conductivity_25 15.2 1"),
        ("2020-01-01T00:00:00Z,a,ph,7.1,1,3", "a ph 7.1 3"),
        ("2020-01-01T00:00:00Z,a,ph,,,1", "a ph - 9"),
        ("2020-01-01T00:00:00Z,a,ph,7,,9", "a ph 7 4"),
        ("2020-01-01T00:00:00Z,a,note,whatever,what,ever", "left out"),
    ] {
        assert_eq!(say(&mut words, cells), Ok(wanted.to_owned()), "{cells}");
    }
}

fn refused(words: &mut Words, cells: &str, reason: Reason, part: &str) {
    for _ in 0..2 {
        // Once looked up, once remembered.
        let refusal = say(words, cells).unwrap_err();
        assert_eq!(refusal.reason, reason, "{cells}: {refusal}");
        assert!(refusal.detail.contains(part) && refusal.detail.len() < 400, "{refusal}");
    }
}

#[test]
fn a_unit_that_cannot_be_the_parameters_is_refused_with_the_likely_cause() {
    let words = &mut Words::new(known());
    let at = "2020-01-01T00:00:00Z,a";
    refused(
        words,
        &format!("{at},salinity,4,mS/cm,"),
        Reason::WrongUnit,
        "is it conductivity or conductivity_25?",
    );
    refused(words, &format!("{at},salinity,4,psus,"), Reason::WrongUnit, "did you mean `psu`?");
    refused(words, &format!("{at},salinity,4,,"), Reason::WrongUnit, "no unit is said");
    refused(words, &format!("{at},ammonium,4,mg/L,"), Reason::WrongUnit, "which is in `mg/L N`");
    refused(
        words,
        &format!("{at},salinity,4,{},", "x".repeat(5_000)),
        Reason::WrongUnit,
        "no unit that is known",
    );
}

#[test]
fn what_nobody_knows_is_refused_by_name() {
    let words = &mut Words::new(known());
    let at = "2020-01-01T00:00:00Z";
    refused(
        words,
        &format!("{at},b,ph,7,,"),
        Reason::UnknownStation,
        "there is no `b`; --create makes it",
    );
    refused(
        words,
        &format!("{at},No Code,ph,7,,"),
        Reason::UnknownStation,
        "is not a station code",
    );
    refused(
        words,
        &format!("{at},a,salinty,7,psu,"),
        Reason::UnknownParameter,
        "did you mean `salinity`?",
    );
    refused(words, &format!("{at},a,ph,7,,<7>"), Reason::UnknownStatus, "`<7>` is in no table");
    refused(words, &format!("{at},a,ph,seven,,"), Reason::NotANumber, "`seven` is not a number");
    refused(words, &format!("{at},a,ph,inf,,"), Reason::NotANumber, "no number of a sensor");
    let mut create = Words::new(Known { create: true, ..known() });
    assert_eq!(say(&mut create, &format!("{at},b,ph,7,,")), Ok("b ph 7 2".to_owned()));
    assert_eq!(create.take_new_stations(), [station("b")]);
    refused(
        &mut create,
        &format!("{at},B!,ph,7,,"),
        Reason::UnknownStation,
        "is not a station code",
    );
}

#[test]
fn a_naive_time_is_read_only_where_somebody_says_whose_clock_it_was() {
    let words = &mut Words::new(known());
    refused(words, "2020-01-01 07:00:00,a,ph,7,,", Reason::NoOffset, "say --utc-offset");
    refused(words, "2020-13-01T00:00:00Z,a,ph,7,,", Reason::BadTime, "`2020-13-01T00:00:00Z`");
    let naive = Row { time: Time::Naive(1_577_836_800_000), ..row("x,a,ph,7,,") };
    assert_eq!(words.read(1, &naive).unwrap_err().reason, Reason::NoOffset);
    let mut local = Words::new(Known { offset_s: Some(25_200), ..known() });
    let midnight = Timestamp::parse_rfc3339("2020-01-01T00:00:00Z").unwrap();
    for time in [
        Time::Text("2020-01-01 07:00"),
        Time::Text("2020-01-01T07:00:00+07:00"),
        Time::Naive(1_577_862_000_000),
    ] {
        let read = local.read(1, &Row { time, ..row("x,a,ph,7,,") });
        assert!(
            matches!(read, Ok(Said::Reading(Reading { taken_at, .. })) if taken_at == midnight),
            "{time:?}"
        );
    }
}

/// Every row as text, or why there are no more.
fn rows(path: &Path, opening: Opening) -> Result<Vec<String>, LongformError> {
    let mut file = Longform::open(path, opening)?;
    let mut rows = Vec::new();
    while let Some(placed) = file.next_row()? {
        rows.push(match placed.row {
            Ok(row) => format!("{row:?}"),
            Err(refusal) => format!("{}: {}", placed.line, refusal.reason),
        });
    }
    Ok(rows)
}

fn file(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn what_unpacks_to_more_than_is_allowed_ends_there() {
    let dir = tempfile::tempdir().unwrap();
    let text =
        "time_utc,station,parameter,value,unit\n".to_owned() + &"t,a,ph,7,\n".repeat(200_000);
    let path = file(dir.path(), "a.csv.gz", &gzip(text.as_bytes()));
    let error = rows(&path, OPENING).unwrap_err().to_string();
    assert!(error.contains("unpacked it has more than 1048576 bytes"), "{error}");
    let more = Opening { unpacked_bytes_max: 1 << 22, ..OPENING };
    assert_eq!(rows(&path, more).unwrap().len(), 200_000);
    let endless = file(dir.path(), "b.csv.gz", &gzip(&vec![0; 1 << 19]));
    assert!(rows(&endless, OPENING).unwrap_err().to_string().contains("a line of more than"));
    let half = &gzip(text.as_bytes())[..200];
    assert!(
        rows(&file(dir.path(), "c.csv.gz", half), more).is_err(),
        "half a file is not a shorter one"
    );
}

#[test]
fn a_line_that_is_not_utf_8_or_too_long_is_told_by_its_number() {
    let dir = tempfile::tempdir().unwrap();
    let long = "x".repeat(100_000);
    let mut text =
        format!("time_utc,station,parameter,value,unit\nt,a,ph,7,\nt,a,{long},7,\n").into_bytes();
    text.extend_from_slice(b"t,a,\xff\xfe,7,\nt,a,ph,7,\n");
    let read = rows(&file(dir.path(), "a.csv", &text), OPENING).unwrap();
    assert_eq!(
        (read.len(), read[1].as_str(), read[2].as_str()),
        (4, "3: too_large", "4: malformed")
    );
}

fn parquet() -> Vec<u8> {
    let mut writer = Writer::begin(Form::Parquet, Vec::new()).unwrap();
    for n in 0..500_i64 {
        let (a, ph) = (station("a"), parameter("ph"));
        writer.write((&a, &ph, ""), at(n), Some(n as f64 / 7.0), Flag::Good).unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn a_parquet_file_that_is_cut_or_changed_anywhere_is_an_error_or_reads_and_never_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let whole = parquet();
    for cut in (0..whole.len()).step_by(97) {
        let path = file(dir.path(), "cut.parquet", &whole[..cut]);
        assert!(rows(&path, OPENING).is_err(), "cut at {cut}");
    }
    for at in (0..whole.len()).step_by(53) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        let read = rows(&file(dir.path(), "changed.parquet", &bytes), OPENING);
        assert!(read.is_err() || read.is_ok_and(|rows| rows.len() == 500), "changed at {at}");
    }
    let path = file(dir.path(), "whole.parquet", &whole);
    assert_eq!(rows(&path, OPENING).unwrap().len(), 500);
    let small = Opening { unpacked_bytes_max: 1_000, ..OPENING };
    assert!(rows(&path, small).unwrap_err().to_string().contains("1000 are allowed"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_reads_back_to_the_bit(
        readings in prop::collection::vec((0..1_000_000_i64, prop::option::of(-1e12..1e12_f64), 0..4_usize), 0..80),
        unit in prop::sample::select(vec!["g/L", "", "mg/L N", "W/m²"]),
    ) {
        let dir = tempfile::tempdir().unwrap();
        for (form, name) in [(Form::Csv, "a.csv"), (Form::JsonLines, "a.jsonl"), (Form::Parquet, "a.parquet")] {
            let path = dir.path().join(name);
            let mut writer = Writer::begin(form, std::fs::File::create(&path).unwrap()).unwrap();
            let flags = [Flag::Good, Flag::NotEvaluated, Flag::Suspect, Flag::Bad];
            for &(ms, value, flag) in &readings {
                let flag = if value.is_none() { Flag::Missing } else { flags[flag] };
                let of = (&station("a"), &parameter("tss"), unit);
                writer.write(of, Timestamp::from_millis(ms), value, flag).unwrap();
            }
            writer.finish().unwrap();
            if form == Form::JsonLines && readings.is_empty() {
                continue; // There is not even a header.
            }
            let mut known = known();
            known.parameters.iter_mut().filter(|it| it.code.as_str() == "tss").for_each(|it| unit.clone_into(&mut it.unit));
            let mut words = Words::new(known);
            let mut file = Longform::open(&path, OPENING).unwrap();
            let mut read = Vec::new();
            while let Some(placed) = file.next_row().unwrap() {
                let Ok(Said::Reading(it)) = words.read(placed.line, &placed.row.unwrap()) else { panic!() };
                read.push((it.taken_at.as_millis(), it.value.map(f64::to_bits), it.flag));
            }
            let wanted: Vec<_> = readings.iter().map(|&(ms, value, flag)| {
                let flag = if value.is_none() { Flag::Missing } else { flags[flag] };
                (ms, value.map(f64::to_bits), flag)
            }).collect();
            prop_assert_eq!(&read, &wanted, "{}", name);
        }
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), header in any::<bool>()) {
        let dir = tempfile::tempdir().unwrap();
        let head: &[u8] = if header { b"time_utc,station,parameter,value,unit\n" } else { b"" };
        let first: &[u8] = if header { br#"{"time_utc":"t","station":"a","parameter":"p","value":1,"unit":""}"# } else { b"" };
        drop(rows(&file(dir.path(), "a.csv", &[head, &bytes].concat()), OPENING));
        drop(rows(&file(dir.path(), "a.jsonl", &[first, b"\n", &bytes].concat()), OPENING));
        drop(rows(&file(dir.path(), "a.parquet", &bytes), OPENING));
        drop(rows(&file(dir.path(), "a.csv.gz", &bytes), OPENING));
    }
}
