use domain::{Status, standard_parameters};

use super::*;
use crate::modbus::wire::Block;

const GOOD: &str = r#"
device = "A sonde"
source = "Made up for this test"
gap = 2

[[value]]
parameter = "salinity"
function = 3
register = 0
type = "f32"
order = "CDAB"
unit = "g/L"
absent = ["nan", -9999]

[[value]]
name = "Gate"
function = 3
register = 4
type = "bit"
bit = 3
unit = ""

[[status]]
function = 3
register = 3
fault = [0, 7]
calibrating = [1]
of = ["salinity"]

[[write]]
name = "gate_opening"
register = 100
type = "u16"
scale = 0.01
unit = "m"
low = 0
high = 3.5
"#;

#[test]
fn a_profile_says_where_everything_stands() {
    let profile = Profile::read("sonde", GOOD).unwrap();
    let block = Block { function: Function::Holding, first: 0, count: 5 };
    assert_eq!(profile.plan(), [block]);
    assert_eq!(profile.values[0].absent, [Absent::Nan, Absent::Real(-9999.0)]);
    assert_eq!(profile.names().collect::<Vec<_>>(), ["salinity", "Gate"]);
    let status = &profile.statuses[0];
    assert!(status.is_of("salinity") && !status.is_of("Gate"));
    assert_eq!(status.says(0b0100), Status::Measuring);
    assert_eq!(status.says(0b0010), Status::Calibrating);
    assert_eq!(status.says(0b1000_0010), Status::Fault);
}

#[test]
fn what_cannot_be_meant_is_named_with_its_place_and_what_would_do() {
    for (from, to, part) in [
        ("order = ", "oder = ", "did you mean `order`?"),
        ("gap = 2", "gap = 65", "0 to 64"),
        ("gap = 2", "most = 3", "at least the 4"),
        ("device = \"A sonde\"", "", "profile.device: it is missing"),
        ("type = \"f32\"", "type = \"float\"", "i16, u16"),
        ("\"CDAB\"", "\"CBAD\"", "ABCD, CDAB"),
        ("function = 3\nregister = 0", "function = 5\nregister = 0", "holding"),
        ("register = 0", "register = 65535", "behind register 65535"),
        ("[\"nan\", -9999]", "[\"none\"]", "nan"),
        ("bit = 3", "", "value[1].type"),
        ("name = \"Gate\"", "parameter = \"salinity\"", "comes twice"),
        ("name = \"Gate\"", "", "value[1].parameter"),
        ("unit = \"g/L\"", "", "value[0].unit"),
        ("of = [\"salinity\"]", "of = [\"ph\"]", "no value"),
        ("fault = [0, 7]\ncalibrating = [1]", "", "says nothing"),
        ("high = 3.5", "high = -1", "from `low` to `high`"),
        ("low = 0", "", "write[0].low"),
        ("[[status]]", "[status]", "write a list"),
        ("[[status]]", "[[", "text"),
    ] {
        let error = Profile::read("sonde", &GOOD.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.contains("profile `sonde`") && error.contains(part), "{to}: {error}");
    }
}

/// Each of them names parameters that every registry has, in their unit, and its document.
#[test]
fn every_shipped_profile_can_be_used_as_it_is() {
    let shelf = Profiles::shipped().unwrap();
    let standard = standard_parameters();
    for profile in shelf.iter() {
        assert!(20 < profile.source.len(), "{}: name the document", profile.name);
        for value in &profile.values {
            let Some(parameter) = standard.iter().find(|p| p.code.as_str() == value.name) else {
                assert!(
                    value.name.contains(char::is_uppercase),
                    "{}: {}",
                    profile.name,
                    value.name
                );
                continue;
            };
            assert_eq!(parameter.unit, value.unit, "{}: {}", profile.name, value.name);
        }
    }
    assert!(3 < shelf.iter().count());
    assert!(shelf.hint("nothing-like-it").starts_with("there are "));
}

/// The profile and the dead letter that `docs/wire.md` shows are what it says they are.
#[test]
fn the_examples_of_the_document_can_be_used() {
    let document = include_str!("../../../../docs/wire.md");
    let section = document.split("\n## ").find(|part| part.starts_with("Modbus\n")).unwrap();
    let block = |fence: &str| {
        let begun = section.split_once(fence).unwrap().1;
        begun.split_once("```").unwrap().0.to_owned()
    };
    let profile = Profile::read("example", &block("```toml\n")).unwrap();
    assert_eq!(profile.plan().len(), 1);
    assert_eq!(profile.statuses[1].says(7), Status::Fault);
    assert_eq!((profile.values.len(), profile.writes.len()), (2, 1));
    let reports = crate::modbus::decode(block("```text\n").as_bytes()).unwrap();
    assert_eq!(reports[0].values[0].value, Some(17.4));
}
