//! A province pack: the one we ship is sound, applying it twice changes nothing, and whatever is wrong with one is
//! said with its file, its key and what would be accepted.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;

use domain::{Language, Person, PersonId, Station, StationCode};
use expect_test::{Expect, expect};
use registry::Registry;
use registry::pack::{self, Count, Pack};

async fn book() -> (Registry, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::open(&folder.path().join("registry.sqlite")).await.unwrap();
    (registry.by("cli"), folder)
}

fn tien_giang() -> Pack {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/tien-giang");
    pack::read_dir(&folder).unwrap()
}

fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

fn read(files: &[(&str, &str)]) -> Result<Pack, pack::PackError> {
    let files: HashMap<_, _> = files.iter().copied().collect();
    pack::read(&|name| files.get(name).map(|text| (*text).to_owned()))
}

/// What is said of a file with this text.
fn check(file: &str, text: &str, said: &Expect) {
    let error = read(&[(file, text)]).unwrap_err();
    said.assert_eq(&chain(&error));
}

const STATION: &str = r#"
    [[station]]
    code = "xuan-hoa"
    name = "Xuân Hòa"
    interval = "5m"
"#;

const RULE: &str = r#"
    [[rule]]
    code = "intake"
    name = "Lấy nước"
    parameter = "salinity"
    hold = "10m"
"#;

const PERSON: &str = r#"
    [[person]]
    id = "ba-tu"
    name = "Ba Tư"
    phone = "+84900000001"
    language = "vi"
"#;

#[tokio::test]
async fn tien_giang_is_applied_once_and_then_there() {
    let (registry, _folder) = book().await;
    let pack = tien_giang();
    let first = pack.apply(&registry).await.unwrap();
    assert_eq!(first.stations, Count { created: 15, ..Count::default() });
    assert_eq!(first.rivers, Count { created: 7, ..Count::default() });
    assert_eq!(registry.keyless().await.unwrap().len(), 15);
    let version = registry.version().await.unwrap();
    let audit = registry.audits(1).await.unwrap();

    let second = pack.apply(&registry).await.unwrap();
    assert_eq!(second.stations, Count { unchanged: 15, ..Count::default() });
    assert_eq!(second.rules, Count { unchanged: pack.rules.len(), ..Count::default() });
    assert_eq!(second.people, Count { unchanged: pack.people.len(), ..Count::default() });
    assert_eq!(second.duties, Count { unchanged: pack.duties.len(), ..Count::default() });
    assert_eq!(registry.version().await.unwrap(), version);
    assert_eq!(registry.audits(1).await.unwrap(), audit);
}

#[tokio::test]
async fn tien_giang_reads_back_from_the_book_as_it_was_written() {
    let (registry, _folder) = book().await;
    let mut pack = tien_giang();
    pack.apply(&registry).await.unwrap();
    pack.stations.sort_by(|a, b| a.code.cmp(&b.code));
    pack.rules.sort_by(|a, b| a.code.cmp(&b.code));
    pack.people.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(registry.stations().await.unwrap(), pack.stations);
    assert_eq!(registry.rules().await.unwrap(), pack.rules);
    assert_eq!(registry.people().await.unwrap(), pack.people);
    assert_eq!(registry.duties().await.unwrap().len(), pack.duties.len());
}

#[test]
fn the_people_of_tien_giang_are_invented() {
    for person in tien_giang().people {
        let phone = person.phone.as_deref();
        assert!(phone.is_none_or(|phone| phone.starts_with("+8490000000")), "{phone:?}");
        let email = person.email.as_deref();
        assert!(email.is_none_or(|email| email.ends_with("@example.org")), "{email:?}");
    }
}

#[test]
fn kilometres_rise_from_the_mouth_of_the_tien() {
    let pack = tien_giang();
    let river = pack.rivers.iter().find(|river| river.code == "tien").unwrap();
    let on_it = pack.stations.iter().filter(|s| s.river.as_deref() == Some("tien"));
    let mut last = (0, -1.0);
    for station in on_it {
        let at = river.line.iter().position(|point| Some(*point) == station.place);
        let here = (at.unwrap(), station.km_from_mouth.unwrap());
        assert!(last.0 < here.0 && last.1 < here.1, "{}", station.code);
        last = here;
    }
    assert_eq!(last.1, 55.0);
}

#[tokio::test]
async fn a_pack_leaves_alone_what_it_does_not_name() {
    let (registry, _folder) = book().await;
    let station = Station::new(StationCode::new("my-own").unwrap());
    let person = Person {
        id: PersonId::new("nam").unwrap(),
        name: "Năm".to_owned(),
        phone: None,
        email: None,
        language: Language::Vietnamese,
    };
    registry.put_person(&person).await.unwrap();
    let key = registry.add_station(&station).await.unwrap();
    tien_giang().apply(&registry).await.unwrap();
    assert!(registry.people().await.unwrap().contains(&person));
    let login = registry.login(&station.code, key.reveal()).await.unwrap();
    assert_eq!(login, registry::Login::Welcome(station));
}

#[tokio::test]
async fn a_changed_entry_is_changed_and_keeps_its_key() {
    let (registry, _folder) = book().await;
    let mut pack = tien_giang();
    pack.apply(&registry).await.unwrap();
    let code = pack.stations[0].code.clone();
    let key = registry.rotate_key(&code).await.unwrap();
    pack.stations[0].name = "Vàm Kênh 2".to_owned();
    pack.rules[0].levels.pop();
    let applied = pack.apply(&registry).await.unwrap_err();
    let said = "rules.toml: rule[salinity-intake]: refused: rule `salinity-intake`: \
                somebody's duty begins at a level that it would no longer have";
    assert_eq!(chain(&applied), said);
    let kept = registry.station(&code).await.unwrap().unwrap();
    assert_eq!(kept.name, "Vàm Kênh", "all or nothing");

    pack.rules = tien_giang().rules;
    let applied = pack.apply(&registry).await.unwrap();
    assert_eq!(applied.stations, Count { changed: 1, unchanged: 14, created: 0 });
    let login = registry.login(&code, key.reveal()).await.unwrap();
    assert_eq!(login, registry::Login::Welcome(pack.stations[0].clone()));
}

#[tokio::test]
async fn an_entry_that_the_book_refuses_is_named_with_its_file() {
    let (registry, _folder) = book().await;
    let check = async |files: &[(&str, &str)], said: Expect| {
        let pack = read(files).unwrap();
        let error = pack.apply(&registry).await.unwrap_err();
        said.assert_eq(&chain(&error));
    };
    let field = "[[station.field]]\nname = \"Hg\"\nparameter = \"mercury\"";
    let station = format!("{STATION}\n{field}");
    check(&[("stations.toml", &station)], expect!["stations.toml: station[xuan-hoa]: refused: station `xuan-hoa` names the parameter `mercury`, which is not in the registry"]).await;
    let rule = format!("{RULE} levels = [{{limit = 1, clear = 0.8}}]\nstations = [\"xuan-hoa\"]");
    check(&[("rules.toml", &rule)], expect!["rules.toml: rule[intake]: refused: rule `intake` names the station `xuan-hoa`, which is not in the registry"]).await;
    let roster = format!("{PERSON} [[duty]]\nperson = \"ba-tu\"\nchannel = \"email\"");
    check(&[("roster.toml", &roster)], expect!["roster.toml: duty[ba-tu]: refused: duty `ba-tu/*/*/email`: the person has no phone or address for this channel"]).await;
    assert_eq!(registry.people().await.unwrap(), [], "all or nothing");
}

#[tokio::test]
async fn what_is_made_is_kept_with_its_method_and_what_cannot_be_made_is_named() {
    let (registry, _folder) = book().await;
    let of = |text: &str| format!("{STATION}\n[[station.derived]]\n{text}");
    let salinity = "parameter = \"salinity\"\nmethod = \"salinity:pss-78\"\nwithin = \"5m\"";
    let text = of(salinity);
    let pack = read(&[("stations.toml", &text)]).unwrap();
    pack.apply(&registry).await.unwrap();
    let station = registry.stations().await.unwrap().remove(0);
    let [derived] = station.profile.derived.as_slice() else { panic!("{station:?}") };
    let inputs: Vec<_> = derived.inputs().iter().map(domain::ParameterCode::as_str).collect();
    assert_eq!(
        (derived.parameter().as_str(), inputs.as_slice()),
        ("salinity", &["conductivity", "water_temperature"][..])
    );
    assert_eq!(
        (derived.method().to_string().as_str(), derived.apart_max().as_secs()),
        ("salinity:pss-78", 300)
    );
    assert_eq!(registry.station(&station.code).await.unwrap().unwrap(), station);
    for (text, part) in [
        ("parameter = \"salinity\"\nmethod = \"magic\"", "derives nothing"),
        ("parameter = \"salinity\"", "method"),
        (
            "parameter = \"salinity\"\nmethod = \"salinity:pss-78\"\ninputs = [\"conductivity\"]",
            "made of 2",
        ),
        ("parameter = \"salinity\"\nmethod = \"salinity:pss-78\"\nwithin = \"2h\"", "an hour"),
        ("parameter = \"conductivity\"\nmethod = \"conductivity-25\"", "itself"),
    ] {
        let error = read(&[("stations.toml", &of(text))]).unwrap_err();
        assert!(chain(&error).contains(part), "{part}: {}", chain(&error));
    }
    let unknown = of("parameter = \"brightness\"\nmethod = \"conductivity-25\"");
    let error = read(&[("stations.toml", &unknown)]).unwrap().apply(&registry).await.unwrap_err();
    assert!(
        chain(&error).contains("`brightness`, which is not in the registry"),
        "{}",
        chain(&error)
    );
}

#[test]
fn a_slip_in_a_key_is_answered_with_the_nearest_right_one() {
    check(
        "stations.toml",
        "[[station]]\ncode = \"xuan-hoa\"\nname = \"Xuân Hòa\"\nintervall = \"5m\"",
        &expect![
            "stations.toml: station[xuan-hoa].intervall: unknown key; did you mean `interval`? (known: code, name, lat, lon, river, km_from_mouth, interval, known_as, utc_offset, format, field, layout, derived)"
        ],
    );
    check(
        "stations.toml",
        "[[stations]]\ncode = \"a\"",
        &expect!["stations.toml: stations: unknown key; did you mean `station`? (known: station)"],
    );
    check(
        "stations.toml",
        &format!(
            "{STATION} [[station.field]]\nname = \"Sal\"\nparameter = \"salinity\"\nscael = 2"
        ),
        &expect![
            "stations.toml: station[xuan-hoa].field[Sal].scael: unknown key; did you mean `scale`? (known: name, parameter, scale, offset, ec)"
        ],
    );
    check(
        "rules.toml",
        &format!("{RULE} hodl = \"10m\""),
        &expect![
            "rules.toml: rule[intake].hodl: unknown key; did you mean `hold`? (known: code, name, parameter, stations, hold, levels)"
        ],
    );
    check(
        "rules.toml",
        &format!("{RULE} levels = [{{limit = 1, claer = 0.8}}]"),
        &expect![
            "rules.toml: rule[intake].levels[#1].claer: unknown key; did you mean `clear`? (known: limit, clear)"
        ],
    );
    check(
        "roster.toml",
        &format!("{PERSON} e-mail = \"a@example.org\""),
        &expect![
            "roster.toml: person[ba-tu].e-mail: unknown key; did you mean `email`? (known: id, name, phone, email, language)"
        ],
    );
    check(
        "roster.toml",
        "[[duty]]\nperson = \"ba-tu\"\nchanel = \"sms\"",
        &expect![
            "roster.toml: duty[ba-tu].chanel: unknown key; did you mean `channel`? (known: person, rule, station, channel, from_level)"
        ],
    );
    check(
        "rivers.geojson",
        r#"{"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": null, "properties": {"code": "tien", "nmae": "Tiền"}}]}"#,
        &expect![
            "rivers.geojson: features[tien].nmae: unknown key; did you mean `name`? (known: code, kind, name, name_en, schematic, source)"
        ],
    );
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let st = |text: &str| format!("[[station]]\ncode = \"xuan-hoa\"\nname = \"Xuân Hòa\"\n{text}");
    let stations = |text: &str, said: Expect| check("stations.toml", text, &said);
    stations(
        &st(""),
        expect![
            "stations.toml: station[xuan-hoa].interval: missing; write a whole number with ms, s, m, h or d, as \"15m\""
        ],
    );
    stations(
        &st("interval = 300"),
        expect![
            "stations.toml: station[xuan-hoa].interval: found 300; write a whole number with ms, s, m, h or d, as \"15m\""
        ],
    );
    stations(
        &st("interval = \"5 min\""),
        expect![
            "stations.toml: station[xuan-hoa].interval: found \"5 min\"; write a whole number with ms, s, m, h or d, as \"15m\""
        ],
    );
    stations(
        &st("interval = \"5m\"\nlat = 10.3"),
        expect!["stations.toml: station[xuan-hoa].lon: missing; write degrees, as 10.3366"],
    );
    stations(
        &st("interval = \"5m\"\nlat = nan\nlon = 1"),
        expect!["stations.toml: station[xuan-hoa].lat: found nan; write degrees, as 10.3366"],
    );
    stations(
        "[[station]]\ncode = \"Xuân Hòa\"\nname = \"x\"\ninterval = \"5m\"",
        expect![
            "stations.toml: station[Xuân Hòa].code: not a code: `Xuân Hòa` is not a station code: use 1 to 32 of a-z, 0-9 and -"
        ],
    );
    stations(
        "[[station]]\nname = \"x\"\ninterval = \"5m\"",
        expect![
            "stations.toml: station[#1].code: missing; write the station's code, as \"xuan-hoa\""
        ],
    );
    stations(
        "station = 1",
        expect!["stations.toml: station: found 1; write tables, each under [[station]]"],
    );
    stations(
        &format!("{STATION}{STATION}"),
        expect!["stations.toml: station[xuan-hoa].code: is there twice"],
    );

    let rules = |text: &str, said: Expect| check("rules.toml", &format!("{RULE}{text}"), &said);
    rules(
        "",
        expect![
            "rules.toml: rule[intake].levels: refused: the rule cannot be kept: rule `intake` has no level"
        ],
    );
    rules(
        "levels = [{limit = 1, clear = 1}]",
        expect![
            "rules.toml: rule[intake].levels: refused: the rule cannot be kept: rule `intake`: clear 1 must be below its limit 1"
        ],
    );
    rules(
        "levels = [{limit = 1}]",
        expect![
            "rules.toml: rule[intake].levels[#1].clear: missing; write a number in the parameter's unit, as 1.0"
        ],
    );
    rules(
        "levels = [{limit = inf, clear = 1}]",
        expect![
            "rules.toml: rule[intake].levels[#1].limit: found inf; write a number in the parameter's unit, as 1.0"
        ],
    );
    rules(
        "stations = \"xuan-hoa\"",
        expect![[
            r#"rules.toml: rule[intake].stations: found "xuan-hoa"; write station codes, as ["xuan-hoa"]"#
        ]],
    );

    let roster = |text: &str, said: Expect| check("roster.toml", text, &said);
    roster(
        &PERSON.replace("\"vi\"", "\"vn\""),
        expect![
            "roster.toml: person[ba-tu].language: found \"vn\"; write one of vi, vi-unmarked, en"
        ],
    );
    roster(
        "[[duty]]\nperson = \"ba-tu\"\nchannel = \"fax\"",
        expect!["roster.toml: duty[ba-tu].channel: found \"fax\"; write \"email\" or \"sms\""],
    );
    roster(
        "[[duty]]\nperson = \"ba-tu\"\nchannel = \"sms\"\nfrom_level = -1",
        expect![
            "roster.toml: duty[ba-tu].from_level: found -1; write a level of the rule, 0 the lowest"
        ],
    );
    roster(&format!("{PERSON}{PERSON}"), expect!["roster.toml: person[ba-tu].id: is there twice"]);
}

#[test]
fn a_line_that_cannot_be_drawn_is_named() {
    let feature = |properties: &str, geometry: &str| {
        format!(
            r#"{{"type": "FeatureCollection", "features": [
                {{"type": "Feature", "properties": {properties}, "geometry": {geometry}}}]}}"#
        )
    };
    let named = r#"{"code": "tien", "name": "Tiền", "name_en": "Tien"}"#;
    let line = r#"{"type": "LineString", "coordinates": [[106.7, 10.2], [106.4, 10.3]]}"#;
    let pack = read(&[("rivers.geojson", &feature(named, line))]).unwrap();
    assert!(pack.rivers[0].schematic, "unless it says otherwise");

    let rivers = |text: &str, said: Expect| check("rivers.geojson", text, &said);
    let swapped = r#"{"type": "LineString", "coordinates": [[10.2, 106.7], [10.3, 106.4]]}"#;
    let point = r#"{"type": "Point", "coordinates": [106.7, 10.2]}"#;
    rivers(
        &feature(named, swapped),
        expect![
            "rivers.geojson: features[tien].geometry: found [10.2, 106.7]; write [lon, lat] in degrees, lon -180 to 180 and lat -90 to 90"
        ],
    );
    rivers(
        &feature(named, point),
        expect![
            "rivers.geojson: features[tien].geometry: found Point; write a LineString of [lon, lat], from the mouth up"
        ],
    );
    rivers(
        &feature(named, "null"),
        expect![
            "rivers.geojson: features[tien].geometry: missing; write a LineString of [lon, lat], from the mouth up"
        ],
    );
    rivers(
        &feature(r#"{"code": "tien", "name": "T", "name_en": "T", "kind": "lake"}"#, line),
        expect![
            "rivers.geojson: features[tien].kind: found \"lake\"; write \"river\", \"canal\" or \"coast\""
        ],
    );
    rivers(
        &feature(r#"{"name": "T"}"#, line),
        expect!["rivers.geojson: features[#1].code: missing; write the line's code, as \"tien\""],
    );
}

#[test]
fn a_station_on_a_river_that_is_not_on_the_map_is_named() {
    let line = r#"{"type": "FeatureCollection", "features": [{"type": "Feature",
        "properties": {"code": "tien", "name": "Tiền", "name_en": "Tien"},
        "geometry": {"type": "LineString", "coordinates": [[106.7, 10.2], [106.4, 10.3]]}}]}"#;
    let station = format!("{STATION} river = \"hau\"");
    let error = read(&[("rivers.geojson", line), ("stations.toml", &station)]).unwrap_err();
    let said = "stations.toml: station[xuan-hoa].river: \
                found \"hau\"; write a code of rivers.geojson: tien";
    assert_eq!(chain(&error), said);
}

#[test]
fn what_is_no_pack_is_said_to_be_none() {
    let error = read(&[("gates.toml", "")]).unwrap_err();
    assert!(chain(&error).starts_with("no province pack here"), "{error}");
    let empty = tempfile::tempdir().unwrap();
    let error = pack::read_dir(empty.path()).unwrap_err();
    assert!(chain(&error).starts_with("no province pack here"), "{error}");
    let error = pack::read_dir(&empty.path().join("nowhere")).unwrap_err();
    assert!(chain(&error).starts_with("cannot read `"), "{error}");
    let torn = read(&[("rules.toml", "[[rule]]\ncode = ")]).unwrap_err();
    assert!(chain(&torn).starts_with("rules.toml cannot be parsed: "), "{}", chain(&torn));
    let torn = read(&[("rivers.geojson", "{\"type\": ")]).unwrap_err();
    assert!(chain(&torn).starts_with("rivers.geojson cannot be parsed: "), "{}", chain(&torn));
}
