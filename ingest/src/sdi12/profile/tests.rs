use domain::{Status, Timestamp, standard_parameters, unit};

use super::*;
use crate::sdi12::answer::{identity, started, values};
use crate::sdi12::said::report;

const GOOD: &str = r#"
device = "A sonde"
source = "Made up for this test"
vendor = "SONDE"
crc = true

[[measure]]
command = "C1"
values = 4
status = { at = 4, measuring = [0], calibrating = [1] }
value = [
  { parameter = "water_level", at = 1, unit = "mm", absent = [-9999] },
  { name = "EC", at = 3, scale = 0.001, unit = "dS/m" },
]
"#;

#[test]
fn a_profile_says_what_is_asked_for_and_what_comes() {
    let profile = Profile::read("sonde", GOOD).unwrap();
    let measure = &profile.measures[0];
    let seven = Address::parse("7").unwrap();
    assert_eq!(measure.command.text(seven, profile.crc), "7CC1!");
    let status = measure.status.as_ref().unwrap();
    assert_eq!(status.says(0.0), Status::Measuring);
    assert_eq!(status.says(1.0), Status::Calibrating);
    assert_eq!(status.says(4.0), Status::Fault);
    for (text, sent) in [("M", "7M!"), ("M9", "7M9!"), ("C", "7C!"), ("R0", "7R0!"), ("R3", "7R3!")]
    {
        let command = Command::parse(text).unwrap();
        assert_eq!(
            (command.text(seven, false).as_str(), command.to_string().as_str()),
            (sent, text)
        );
    }
    assert_eq!(Command::Read(0).text(seven, true), "7RC0!");
}

#[test]
fn what_cannot_be_meant_is_named_with_its_place_and_what_would_do() {
    for (from, to, part) in [
        ("vendor", "vendro", "did you mean `vendor`?"),
        ("crc = true", "crc = 1", "true or false"),
        ("\"C1\"", "\"M0\"", "there are M"),
        ("\"C1\"", "\"V\"", "there are M"),
        ("values = 4", "values = 3", "1 to 3"),
        ("values = 4", "values = 100", "from 0 to 99"),
        ("at = 1, unit", "at = 0, unit", "1 to 4"),
        ("measuring = [0], ", "", "when the sensor measures"),
        ("absent = [-9999]", "absent = [\"nan\"]", "a list of numbers"),
        ("name = \"EC\"", "parameter = \"water_level\"", "comes twice"),
    ] {
        let error = Profile::read("bad", &GOOD.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.contains("profile `bad`") && error.contains(part), "{to}: {error}");
    }
    let bare = "device = \"x\"\nsource = \"y\"";
    assert!(Profile::read("bad", bare).unwrap_err().to_string().contains("[[measure]]"));
}

#[test]
fn shipped_profiles_name_parameters_and_units_that_there_are() {
    let parameters = standard_parameters();
    for profile in Profiles::shipped().unwrap().iter() {
        assert!(!profile.source.is_empty());
        for value in profile.measures.iter().flat_map(|measure| &measure.values) {
            assert!(unit::is_unit(&value.unit), "{}: {}", profile.name, value.unit);
            if let Some(parameter) = parameters.iter().find(|p| p.code.as_str() == value.name) {
                let fits = unit::convert(1.0, &value.unit, &parameter.unit).is_some();
                assert!(fits, "{}: {} in {}", profile.name, value.name, value.unit);
            }
        }
    }
}

/// The example of docs/wire.md, its profile and its answers, as they stand there.
#[test]
fn the_example_of_the_wire_is_read_as_it_says() {
    let wire = include_str!("../../../../docs/wire.md");
    let (_, section) = wire.split_once("\n## SDI-12").unwrap();
    let block = |kind: &str| {
        let begun = section.split(&format!("```{kind}\n")).nth(1).unwrap();
        begun.split("```").next().unwrap()
    };
    let profile = Profile::read("example", block("toml")).unwrap();
    let answer_to = |command: &str| {
        let line = block("text").lines().find(|line| line.starts_with(command)).unwrap();
        let said = line[command.len()..].trim_start();
        said.split("    ").next().unwrap().as_bytes().to_vec()
    };
    let address = Address::parse("0").unwrap();
    let identity = identity(address, &answer_to("0I!")).unwrap();
    assert!(identity.vendor.starts_with(&profile.vendor) && identity.model == profile.model);
    let measure = &profile.measures[0];
    let command = measure.command.text(address, profile.crc);
    let begun = started(address, &answer_to(&command), false).unwrap();
    assert_eq!(begun.count, measure.count);
    let values = values(address, &answer_to("0D0!"), profile.crc).unwrap();
    let report = report(measure, &values, Timestamp::from_millis(0));
    let told: Vec<_> = report.values.iter().map(|one| (one.name.as_ref(), one.value)).collect();
    let wanted =
        [("water_level", Some(350.0)), ("water_temperature", Some(28.5)), ("EC", Some(15_200.0))];
    assert_eq!(told, wanted);
}
