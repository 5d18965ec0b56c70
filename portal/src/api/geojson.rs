//! Answers with a place, for maps: features of RFC 7946, whose properties are the answer.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use domain::Station;
use serde::Serialize;
use serde_json::{Value, json};

use super::form::GEOJSON;

/// One station with something said of it. A station whose place nobody knows has no geometry.
pub(super) fn one(station: &Station, properties: &impl Serialize) -> Value {
    // Longitude first.
    let point = station.place.map(|at| json!({ "type": "Point", "coordinates": [at.lon, at.lat] }));
    json!({ "type": "Feature", "id": station.code.as_str(), "geometry": point, "properties": properties })
}

/// One feature as an answer.
pub(super) fn feature(station: &Station, properties: &impl Serialize) -> Response {
    said(&one(station, properties))
}

/// Many as an answer.
pub(super) fn collection(features: Vec<Value>) -> Response {
    let mut whole = json!({ "type": "FeatureCollection" });
    whole["features"] = Value::Array(features);
    said(&whole)
}

fn said(whole: &Value) -> Response {
    let mut response = whole.to_string().into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(GEOJSON));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    response
}
