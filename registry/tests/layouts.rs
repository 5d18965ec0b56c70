//! A station's payloads in the book: what they are, how their bytes lie, and what could never be read.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::error::Error;

use domain::raw::{Absent, Kind, Order};
use domain::{Format, LayoutField, ParameterCode, Station, StationCode};
use registry::Registry;
use registry::pack::{self, read_layout};

async fn book() -> (Registry, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::open(&folder.path().join("registry.sqlite")).await.unwrap();
    (registry.by("cli"), folder)
}

fn ph() -> LayoutField {
    LayoutField {
        port: Some(2),
        at: 3,
        kind: Kind::I16,
        order: Order::Dcba,
        mask: None,
        scale: 0.1,
        offset: -1.0,
        unit: None,
        parameter: ParameterCode::new("ph").unwrap(),
        absent: vec![Absent::Whole(-32_768), Absent::Whole(0)],
    }
}

fn level() -> LayoutField {
    LayoutField {
        port: None,
        kind: Kind::F32,
        unit: Some("mm".to_owned()),
        parameter: ParameterCode::new("water_level").unwrap(),
        absent: vec![Absent::Nan, Absent::Real(-9999.5)],
        ..ph()
    }
}

fn station(layout: &[LayoutField]) -> Station {
    let mut station = Station::new(StationCode::new("xuan-hoa").unwrap());
    station.profile.format = Some(Format::Bytes);
    station.profile.layout = layout.to_vec();
    station
}

fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

#[tokio::test]
async fn a_layout_reads_back_as_it_was_written() {
    let (book, _folder) = book().await;
    let state = LayoutField {
        port: Some(3),
        kind: Kind::U32,
        mask: Some(0xFFFF_0000),
        absent: Vec::new(),
        ..ph()
    };
    let written = station(&[ph(), level(), state]);
    book.add_station(&written).await.unwrap();
    assert_eq!(book.station(&written.code).await.unwrap(), Some(written.clone()));
    assert_eq!(book.stations().await.unwrap(), std::slice::from_ref(&written));
    assert!(book.audits(8).await.unwrap().iter().any(|audit| audit.after.contains("\"DCBA\"")));
    let mut plain = station(&[]);
    plain.profile.format = Some(Format::Table);
    book.put_station(&plain).await.unwrap();
    assert_eq!(book.station(&plain.code).await.unwrap(), Some(plain));
}

#[tokio::test]
async fn a_layout_that_could_never_be_read_is_refused_by_its_field() {
    let (book, _folder) = book().await;
    let with = |change: fn(&mut LayoutField)| {
        let mut field = ph();
        change(&mut field);
        station(&[level(), field])
    };
    let mask = |kind, mask| station(&[LayoutField { kind, mask: Some(mask), ..level() }]);
    let foreign = |format| {
        let mut station = station(&[]);
        station.profile.format = Some(format);
        station
    };
    let good = [
        with(|it| it.at = 253),
        with(|it| it.at = 0),
        mask(Kind::U32, u32::MAX),
        mask(Kind::U32, 0x8000_0000),
        mask(Kind::U16, 0x3FFF),
    ];
    for mut station in good {
        station
            .profile
            .layout
            .iter_mut()
            .filter(|it| it.mask.is_some())
            .for_each(|it| it.absent.clear());
        book.put_station(&station).await.unwrap();
    }
    for (station, said) in [
        (with(|it| it.at = 254), "layout[1].at: it would end with byte 256; 255 is the last"),
        (with(|it| it.kind = Kind::Bit), "layout[1].type: there are i8, u8,"),
        (with(|it| it.scale = 0.0), "layout[1].scale"),
        (with(|it| it.offset = f64::NAN), "layout[1].scale"),
        (with(|it| it.absent = vec![Absent::Nan]), "layout[1].absent"),
        (with(|it| it.absent = vec![Absent::Whole(0); 17]), "layout[1].absent"),
        (with(|it| it.mask = Some(1)), "layout[1].mask: bits are taken from u8, u16 and u32"),
        (mask(Kind::U8, 0x100), "layout[0].mask: bits side by side, from 1 to 0xff"),
        (mask(Kind::U8, 0), "layout[0].mask"),
        (mask(Kind::U16, 0b101), "layout[0].mask"),
        (with(|it| it.parameter = ParameterCode::new("water_level").unwrap()), "comes twice"),
        (
            with(|it| it.parameter = ParameterCode::new("salinty").unwrap()),
            "layout[1].parameter: `salinty` is unknown; did you mean `salinity`?",
        ),
        (with(|it| it.unit = Some("mm".to_owned())), "layout[1].unit: `mm` cannot be turned"),
        (station(&vec![ph(); 129]), "129 fields"),
        (foreign(Format::Bytes), "bytes need a layout"),
        (foreign(Format::Sparkplug), "told by their topics"),
        (foreign(Format::ChirpStack), "told by their topics"),
    ] {
        let refused = book.put_station(&station).await.unwrap_err().to_string();
        assert!(refused.contains(said), "{refused} is not {said}");
    }
    // On two ports the same parameter may stand.
    let other = LayoutField { port: Some(3), ..ph() };
    book.put_station(&station(&[ph(), other])).await.unwrap();
}

#[test]
fn a_slip_in_a_layout_is_said_with_its_key() {
    let good = "[[layout]]\nparameter = \"ph\"\nport = 2\nat = 3\ntype = \"i16\"\norder = \"DCBA\"\n\
                scale = 0.1\noffset = -1\nabsent = [-32768, 0]\n";
    assert_eq!(read_layout(good).unwrap(), [ph()]);
    let real =
        "[[layout]]\nparameter = \"ph\"\nat = 0xff\ntype = \"f32\"\nabsent = [\"nan\", 1, -2.5]\n";
    let absent = [Absent::Nan, Absent::Real(1.0), Absent::Real(-2.5)];
    assert_eq!(read_layout(real).unwrap()[0].absent, absent);
    for (from, to, said) in [
        ("type = ", "tpye = ", "layout: layout[ph].tpye: unknown key; did you mean `type`?"),
        ("at = 3\n", "", "layout: layout[ph].at"),
        ("at = 3", "at = 256", "layout[ph].at"),
        ("at = 3", "at = -1", "layout[ph].at"),
        ("port = 2", "port = \"2\"", "layout[ph].port"),
        ("\"i16\"", "\"bit\"", "layout[ph].type"),
        ("\"i16\"", "\"u24\"", "one of i8, u8, i16, u16, i32, u32, f32, f64"),
        ("\"DCBA\"", "\"little\"", "one of ABCD, CDAB, BADC, DCBA"),
        ("[-32768, 0]", "[\"nan\"]", "layout[ph].absent"),
        ("[-32768, 0]", "0", "layout[ph].absent"),
        ("scale = 0.1", "mask = -1", "layout[ph].mask"),
        ("\"ph\"", "\"p H\"", "parameter"),
        ("[[layout]]", "[[layuot]]", "did you mean `layout`?"),
    ] {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from}");
        let refused = chain(&read_layout(&text).unwrap_err());
        assert!(refused.contains(said), "{refused} is not {said}");
    }
}

#[test]
fn a_pack_names_the_formats_that_a_station_may_speak() {
    let text = "[[station]]\ncode = \"a\"\nname = \"A\"\ninterval = \"5m\"\nformat = \"table\"\n";
    let read = |text: &str| pack::read(&|file| (file == pack::STATIONS).then(|| text.to_owned()));
    assert_eq!(read(text).unwrap().stations[0].profile.format, Some(Format::Table));
    for other in ["csv", "sparkplug", "chirpstack", ""] {
        let refused = chain(&read(&text.replace("table", other)).unwrap_err());
        let said = "json, thingsboard, json-lines, senml-json, senml-cbor, circular-10, table";
        assert!(refused.contains("station[a].format") && refused.contains(said), "{refused}");
    }
}
