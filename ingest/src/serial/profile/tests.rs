use domain::{Reason, Report, Stated, Status, Timestamp, standard_parameters, unit};

use super::*;
use crate::serial::Judged;

const GOOD: &str = r##"
device = "A sonde"
source = "Made up for this test"
begins = "#"
check = { kind = "xor", mark = "*" }
absent = ["NAN"]
skip = ["INFO"]

[poll]
ask = "{address}R\r\n"

[[sentence]]
begins = "{address}"
words = 5
status = { word = 4, measuring = ["OK"], calibrating = ["CAL"] }
time = { words = [1], format = "%Y%m%d%H%M%S", zone = "+07:00" }
value = [
  { parameter = "salinity", word = 2, unit = "g/L", absent = ["-9999"] },
  { name = "EC", word = 3, unit = "µS/cm", scale = 1000.0 },
]
"##;

fn sonde() -> Profile {
    Profile::read("sonde", GOOD).unwrap()
}

/// The line with its check, without what it begins with.
fn proved(said: &str) -> String {
    format!("{said}*{:02X}", said.bytes().fold(0, |xor, byte| xor ^ byte))
}

fn report(profile: &Profile, line: &str) -> Report<'static> {
    match profile.judge(line.as_bytes(), "7") {
        Judged::Report(_, report) => report,
        other => panic!("{line}: {other:?}"),
    }
}

fn told(report: &Report<'_>) -> Vec<String> {
    let one = |said: &domain::Said<'_>| {
        let value = said.value.map_or("-".to_owned(), |value| value.to_string());
        format!("{} {value} {}", said.name, said.unit.as_deref().unwrap_or("?"))
    };
    report.values.iter().map(one).collect()
}

#[test]
fn a_line_is_read_as_the_profile_says() {
    let profile = sonde();
    let read = report(&profile, &proved("7,20240312050007,8.85,15.2,OK"));
    let at = Timestamp::parse_rfc3339("2024-03-12T05:00:07+07:00").unwrap();
    assert_eq!(read.taken, Stated::At(at));
    assert_eq!(told(&read), ["salinity 8.85 g/L", "EC 15200 µS/cm"]);
    assert!(read.values.iter().all(|value| value.status == Status::Measuring));
    let read = report(&profile, &proved("7,20240312050007,-9999.0,,CAL"));
    assert_eq!(told(&read), ["salinity - g/L", "EC - µS/cm"]);
    assert!(read.values.iter().all(|value| value.status == Status::Calibrating));
    let read = report(&profile, &proved("7, 20240312050007, NAN, 1e1, LOW"));
    assert_eq!(told(&read), ["salinity - g/L", "EC 10000 µS/cm"]);
    assert!(read.values.iter().all(|value| value.status == Status::Fault), "not OK is a fault");
}

#[test]
fn what_is_not_as_the_profile_says_is_refused_with_its_reason() {
    let profile = sonde();
    for (line, what) in [
        ("7,20240312050007,8.85,15.2,OK*00".to_owned(), Err(Reason::BadChecksum)),
        ("7,20240312050007,8.85,15.2,OK".to_owned(), Err(Reason::BadChecksum)),
        (proved("7,20240312050007,8.85,15.2"), Err(Reason::BadCount)),
        (proved("7,20240312050007,8.85,15.2,OK,1"), Err(Reason::BadCount)),
        (proved("7,20240312050007,8.8.5,15.2,OK"), Err(Reason::NotANumber)),
        (proved("7,20240312050007,0x10,15.2,OK"), Err(Reason::NotANumber)),
        (proved("7,20241312050007,8.85,15.2,OK"), Err(Reason::BadTime)),
        (proved("7,,8.85,15.2,OK"), Err(Reason::BadTime)),
        (proved("7,20240312050007,8.85,15.2,?!"), Err(Reason::UnknownStatus)),
        (proved("8,20240312050007,8.85,15.2,OK"), Ok("foreign")),
        (proved("INFO started"), Ok("skipped")),
    ] {
        let judged = match profile.judge(line.as_bytes(), "7") {
            Judged::Report(..) => Ok("report"),
            Judged::Skipped => Ok("skipped"),
            Judged::Foreign(_) => Ok("foreign"),
            Judged::Unproved(refusal) | Judged::Refused(refusal) => Err(refusal.reason),
        };
        assert_eq!(judged, what, "{line}");
    }
}

#[test]
fn without_a_zone_it_is_the_time_of_receipt() {
    let text = GOOD.replace(", zone = \"+07:00\"", "");
    let profile = Profile::read("x", &text).unwrap();
    assert_eq!(report(&profile, &proved("7,20240312050007,1,2,OK")).taken, Stated::OnArrival);
}

#[test]
fn what_cannot_be_meant_is_named_with_its_place_and_what_would_do() {
    for (from, to, part) in [
        ("device", "devcie", "did you mean `device`?"),
        ("begins = \"#\"", "begins = \"##\"", "one character"),
        ("begins = \"#\"", "begins = \"\\n\"", "cannot begin with what ends it"),
        ("begins = \"#\"", "begins = \",\"", "between words"),
        ("kind = \"xor\"", "kind = \"crc\"", "crc16-arc"),
        ("kind = \"xor\"", "form = \"sdi12\", kind = \"xor\"", "a CRC's"),
        ("skip =", "separator = \", \"\nskip =", "one character"),
        ("skip =", "decimal = \",\"\nskip =", "a comma cannot be"),
        ("skip =", "bytes_max = 5000\nskip =", "4096"),
        ("skip =", "ends = \"\"\nskip =", "one to four"),
        ("ask = \"{address}R\\r\\n\"", "ask = \"\"", "must not be empty"),
        ("ask =", "lines = 0\nask =", "at least one line"),
        ("words = 5", "words = 3", "word 4 is not there"),
        ("words = 5", "group = 4\nwords = 5", "how many a group has"),
        ("words = 5", "", "how many words"),
        ("zone = \"+07:00\"", "zone = \"Hanoi\"", "+07:00"),
        ("format = \"%Y%m%d%H%M%S\"", "format = \"yyyy\"", "strftime"),
        ("word = 2, unit = \"g/L\"", "unit = \"g/L\"", "or the `key` before it"),
        ("word = 2, unit = \"g/L\"", "word = 2", "or the `units`"),
        ("word = 2, unit = \"g/L\"", "word = 2, unit_word = 3", "K = "),
        ("word = 2, unit = \"g/L\"", "word = 2, unit = \"\", when = { x = \"R\" }", "as { 2 ="),
        ("parameter = \"salinity\"", "parameter = \"Độ mặn\"", "parameter"),
        ("measuring = [\"OK\"], calibrating = [\"CAL\"]", "", "says nothing"),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let error = Profile::read("bad", &GOOD.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.contains("profile `bad`") && error.contains(part), "{to}: {error}");
    }
}

fn shipped(name: &str) -> Profile {
    Profiles::shipped().unwrap().get(name).unwrap().as_ref().clone()
}

#[test]
fn shipped_profiles_name_parameters_and_units_that_there_are() {
    let parameters = standard_parameters();
    for profile in Profiles::shipped().unwrap().iter() {
        assert!(!profile.source.is_empty());
        for value in profile.sentences.iter().flat_map(|sentence| &sentence.values) {
            let parameter = parameters.iter().find(|p| p.code.as_str() == value.name).unwrap();
            let stated = value.units.iter().map(|(_, unit)| unit).chain([&value.unit]);
            for unit in stated.filter(|unit| !unit.is_empty()) {
                let fits = unit::convert(1.0, unit, &parameter.unit).is_some();
                assert!(fits, "{}: {} in {unit}", profile.name, value.name);
            }
        }
    }
}

/// The example of docs/wire.md, its profile and its line, as they stand there.
#[test]
fn the_example_of_the_wire_is_read_as_it_says() {
    let wire = include_str!("../../../../docs/wire.md");
    let (_, section) = wire.split_once("### A profile of lines").unwrap();
    let text = section.split("```toml").nth(1).and_then(|it| it.split("```").next()).unwrap();
    let profile = Profile::read("example", text).unwrap();
    let line = section.split("The line `#").nth(1).and_then(|it| it.split('`').next()).unwrap();
    let Judged::Report(_, report) = profile.judge(line.as_bytes(), "1") else { panic!("{line}") };
    let at = Timestamp::parse_rfc3339("2026-03-12T05:00:00+07:00").unwrap();
    assert_eq!(report.taken, Stated::At(at));
    assert_eq!(told(&report), ["salinity 8.85 g/L", "water_level 1120 mm", "EC 15200 µS/cm"]);
}

/// Lines as the makers' documents print them.
#[test]
fn lines_of_the_manuals_are_read() {
    let wind = "WIXDR,A,316,D,0,A,326,D,1,A,330,D,2,S,0.1,M,0,S,0.1,M,1,S,0.1,M,2*57";
    let wxt = shipped("vaisala-wxt-nmea");
    assert_eq!(told(&report(&wxt, wind)), ["wind_direction 326 °", "wind_speed 0.1 m/s"]);
    let air = proved("WIXDR,C,23.3,C,0,C,24.0,C,1,H,50.1,P,0,P,1009.5,H,0");
    let wanted = ["air_temperature 23.3 °C", "humidity 50.1 %", "air_pressure 1009.5 hPa"];
    assert_eq!(told(&report(&wxt, &air)), wanted);
    let ascii = shipped("vaisala-wxt-ascii");
    let line =
        "7R0,Dm=243D,Sm=1.0M,Ta=23.6C,Ua=14.2P,Pa=1026.6H,Rc=0.00M,Th=25.6C,Vh=12.0N,Vs=15.2V";
    let wanted = [
        "wind_direction 243 °",
        "wind_speed 1 m/s",
        "air_temperature 23.6 °C",
        "humidity 14.2 %",
        "air_pressure 1026.6 hPa",
        "battery 15.2 V",
    ];
    assert_eq!(told(&report(&ascii, line)), wanted);
    assert_eq!(
        told(&report(&ascii, "7R0,Dm=000#,Sm=0.0#")),
        ["wind_direction - ", "wind_speed - "]
    );
    let gill = shipped("gill-windsonic");
    let line = "Q, 229, 002.74, M, 00,\u{3}16".replace(", ", ",");
    assert_eq!(told(&report(&gill, &line)), ["wind_direction 229 °", "wind_speed 2.74 m/s"]);
    let nmea = shipped("nmea-weather");
    let kmh = report(&nmea, &proved("IIMWV,084.0,R,10.4,N,A"));
    assert_eq!(told(&kmh), ["wind_direction 84 °", "wind_speed 10.4 kn"]);
    let theoretical = report(&nmea, &proved("WIMWV,084.0,T,10.4,K,A"));
    assert_eq!(told(&theoretical), ["wind_speed 10.4 km/h"]);
    let weather = "WIMDA,29.7544,I,1.0076,B,35.5,C,,,42.1,,20.6,C,116.4,T,107.7,M,1.2,N,0.6,M";
    let wanted = [
        "air_pressure 1.0076 bar",
        "air_temperature 35.5 °C",
        "water_temperature - °C",
        "humidity 42.1 %",
        "wind_direction 116.4 °",
        "wind_speed 0.6 m/s",
    ];
    assert_eq!(told(&report(&nmea, &proved(weather))), wanted);
    assert_eq!(nmea.judge(proved("GPGGA,1,2").as_bytes(), ""), Judged::Skipped);
}
