//! `rivers.geojson`: a FeatureCollection (RFC 7946) of LineStrings, each from the mouth up, with the properties `code`,
//! `kind` (`river`, `canal` or `coast`; `river` where it is missing), `name`, `name_en`, `schematic`, and `source`,
//! which is for the reader of the file.

use std::collections::HashSet;

use domain::Place;
use geojson::{Feature, FeatureCollection, GeometryValue, JsonValue, Position};

use super::section::nearest;
use super::{PackError, Problem, RIVERS};
use crate::{River, RiverKind};

const KEYS: [&str; 6] = ["code", "kind", "name", "name_en", "schematic", "source"];

pub(super) fn read(text: &str) -> Result<Vec<River>, PackError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let all: FeatureCollection = text.parse().map_err(|source: geojson::Error| {
        PackError::Syntax { file: RIVERS, source: source.into() }
    })?;
    let mut seen = HashSet::new();
    let mut rivers = Vec::new();
    for (number, feature) in (1..).zip(&all.features) {
        let line = Line::new(number, feature)?;
        let river = line.river()?;
        if !seen.insert(river.code.clone()) {
            return Err(line.at("code", Problem::Twice));
        }
        rivers.push(river);
    }
    Ok(rivers)
}

/// One feature, with its place in the file for messages.
struct Line<'a> {
    path: String,
    feature: &'a Feature,
}

impl<'a> Line<'a> {
    fn new(number: usize, feature: &'a Feature) -> Result<Self, PackError> {
        let code = feature.property("code").and_then(JsonValue::as_str);
        let called = code.map_or(format!("#{number}"), str::to_owned);
        let line = Self { path: format!("features[{called}]"), feature };
        let mut properties = feature.properties_iter().map(|(key, _)| key.as_str());
        match properties.find(|key| !KEYS.contains(key)) {
            None => Ok(line),
            Some(key) => {
                let known = KEYS.join(", ");
                Err(line.at(key, Problem::Unknown { nearest: nearest(key, &KEYS), known }))
            }
        }
    }

    fn river(&self) -> Result<River, PackError> {
        Ok(River {
            code: self.text("code", "the line's code, as \"tien\"")?.to_owned(),
            kind: self.kind()?,
            name: self.text("name", "its name in Vietnamese")?.to_owned(),
            name_en: self.text("name_en", "its name in English")?.to_owned(),
            schematic: self.schematic()?,
            line: self.points()?,
        })
    }

    fn text(&self, key: &str, wanted: &'static str) -> Result<&'a str, PackError> {
        match self.feature.property(key) {
            None => Err(self.at(key, Problem::Missing { wanted })),
            Some(JsonValue::String(text)) => Ok(text),
            Some(other) => Err(self.at(key, Problem::wrong(other.to_string(), wanted))),
        }
    }

    fn kind(&self) -> Result<RiverKind, PackError> {
        if !self.feature.contains_property("kind") {
            return Ok(RiverKind::River);
        }
        let wanted = "\"river\", \"canal\" or \"coast\"";
        let text = self.text("kind", wanted)?;
        let wrong = || self.at("kind", Problem::wrong(format!("\"{text}\""), wanted));
        RiverKind::parse(text).ok_or_else(wrong)
    }

    /// A line is schematic unless the file says that it was surveyed.
    fn schematic(&self) -> Result<bool, PackError> {
        match self.feature.property("schematic") {
            None => Ok(true),
            Some(JsonValue::Bool(schematic)) => Ok(*schematic),
            Some(other) => {
                Err(self.at("schematic", Problem::wrong(other.to_string(), "true or false")))
            }
        }
    }

    fn points(&self) -> Result<Vec<Place>, PackError> {
        let wanted = "a LineString of [lon, lat], from the mouth up";
        match self.feature.geometry.as_ref().map(|geometry| &geometry.value) {
            Some(GeometryValue::LineString { coordinates }) => {
                coordinates.iter().map(|point| self.point(point)).collect()
            }
            Some(other) => Err(self.at("geometry", Problem::wrong(other.type_name(), wanted))),
            None => Err(self.at("geometry", Problem::Missing { wanted })),
        }
    }

    fn point(&self, position: &Position) -> Result<Place, PackError> {
        match *position.as_slice() {
            [lon, lat] | [lon, lat, _] if lon.abs() <= 180.0 && lat.abs() <= 90.0 => {
                Ok(Place { lat, lon })
            }
            ref other => {
                let wanted = "[lon, lat] in degrees, lon -180 to 180 and lat -90 to 90";
                Err(self.at("geometry", Problem::wrong(format!("{other:?}"), wanted)))
            }
        }
    }

    fn at(&self, key: &str, source: Problem) -> PackError {
        PackError::At { file: RIVERS, key: format!("{}.{key}", self.path), source }
    }
}
