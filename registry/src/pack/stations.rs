//! `stations.toml`: one `[[station]]` each, with a `[[station.field]]` for every field that is not ours.

use std::collections::HashSet;

use domain::{EcReference, Format, Mapping, Place, Profile, Station, parse_utc_offset};

use super::section::{Section, parse};
use super::{PackError, Problem, STATIONS};
use super::{derived, layout};
use crate::River;

const KEYS: [&str; 13] = [
    "code",
    "name",
    "lat",
    "lon",
    "river",
    "km_from_mouth",
    "interval",
    "known_as",
    "utc_offset",
    "format",
    "field",
    "layout",
    "derived",
];
const KNOWN_AS: &str = "a list of names, as [\"24e124136b502217\"]";
const FIELD_KEYS: [&str; 5] = ["name", "parameter", "scale", "offset", "ec"];

pub(super) fn read(text: &str) -> Result<Vec<Station>, PackError> {
    let table = parse(STATIONS, text)?;
    let root = Section::root(STATIONS, &table, &["station"])?;
    let mut seen = HashSet::new();
    let mut stations = Vec::new();
    for section in root.each("station", "code", &KEYS)? {
        let station = station(&section)?;
        if !seen.insert(station.code.clone()) {
            return Err(section.at("code", Problem::Twice));
        }
        stations.push(station);
    }
    Ok(stations)
}

/// A station's river is a line of the map, where the pack brings a map: kilometres are counted along it.
pub(super) fn check_rivers(stations: &[Station], rivers: &[River]) -> Result<(), PackError> {
    if rivers.is_empty() {
        return Ok(());
    }
    for station in stations {
        let Some(river) = &station.river else { continue };
        if !rivers.iter().any(|known| known.code == *river) {
            let codes: Vec<_> = rivers.iter().map(|river| river.code.as_str()).collect();
            let wanted = format!("a code of rivers.geojson: {}", codes.join(", "));
            let key = format!("station[{}].river", station.code);
            let source = Problem::wrong(format!("\"{river}\""), wanted);
            return Err(PackError::At { file: STATIONS, key, source });
        }
    }
    Ok(())
}

fn station(section: &Section<'_>) -> Result<Station, PackError> {
    let mut fields = Vec::new();
    for field in section.each("field", "name", &FIELD_KEYS)? {
        fields.push(mapping(&field)?);
    }
    Ok(Station {
        code: section.code("code", "the station's code, as \"xuan-hoa\"")?,
        name: section.text("name", "its name, as \"Xuân Hòa\"")?.to_owned(),
        place: place(section)?,
        river: section.text_maybe("river")?.map(str::to_owned),
        km_from_mouth: section.number_maybe("km_from_mouth", "kilometres, as 42.0")?,
        interval: section.duration("interval")?,
        profile: Profile {
            fields,
            utc_offset_s: utc_offset(section)?,
            format: format(section)?,
            layout: layout::fields(section)?,
            derived: derived::all(section)?,
        },
        known_as: section.texts_maybe("known_as", KNOWN_AS)?,
    })
}

fn place(section: &Section<'_>) -> Result<Option<Place>, PackError> {
    let wanted = "degrees, as 10.3366";
    let (lat, lon) = (section.number_maybe("lat", wanted)?, section.number_maybe("lon", wanted)?);
    match (lat, lon) {
        (Some(lat), Some(lon)) => Ok(Some(Place { lat, lon })),
        (None, None) => Ok(None),
        (None, _) => Err(section.at("lat", Problem::Missing { wanted })),
        (_, None) => Err(section.at("lon", Problem::Missing { wanted })),
    }
}

fn utc_offset(section: &Section<'_>) -> Result<Option<i32>, PackError> {
    let Some(text) = section.text_maybe("utc_offset")? else { return Ok(None) };
    let wanted = "how far its clock is ahead of UTC, as \"+07:00\" or \"Z\"";
    let offset = parse_utc_offset(text);
    offset.map(Some).ok_or_else(|| section.wrong("utc_offset", &text.into(), wanted))
}

fn format(section: &Section<'_>) -> Result<Option<Format>, PackError> {
    let Some(text) = section.text_maybe("format")? else { return Ok(None) };
    let format = Format::parse(text).filter(|format| format.needs_no_topic());
    let names = || {
        let all = Format::ALL.into_iter().filter(|format| format.needs_no_topic());
        format!("one of {}", all.map(Format::as_str).collect::<Vec<_>>().join(", "))
    };
    format.map(Some).ok_or_else(|| section.wrong("format", &text.into(), names()))
}

fn ec(field: &Section<'_>) -> Result<Option<EcReference>, PackError> {
    let Some(text) = field.text_maybe("ec")? else { return Ok(None) };
    let wanted = "what it is referred to: \"raw\", \"25\" or \"20\"";
    EcReference::parse(text).map(Some).ok_or_else(|| field.wrong("ec", &text.into(), wanted))
}

fn mapping(field: &Section<'_>) -> Result<Mapping, PackError> {
    let wanted = "a number: value = scale * said + offset";
    Ok(Mapping {
        name: field.text("name", "the field's name as the station spells it")?.to_owned(),
        parameter: field.code("parameter", "a parameter, as \"salinity\"")?,
        scale: field.number_maybe("scale", wanted)?.unwrap_or(1.0),
        offset: field.number_maybe("offset", wanted)?.unwrap_or(0.0),
        ec: ec(field)?,
    })
}
