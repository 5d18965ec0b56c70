//! `latest`: the newest value of everything, with its age.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse, Response};
use domain::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::form::Form;
use super::geojson;
use super::readings::written_time;
use crate::headers::tag_of;
use crate::problem::Problem;
use crate::query::Pairs;
use crate::shown;
use crate::site::Site;

#[derive(Serialize)]
struct LatestSaid<'a> {
    station: &'a str,
    parameter: &'a str,
    #[serde(serialize_with = "written_time")]
    time: Timestamp,
    value: f64,
    unit: &'a str,
    flag: u8,
    age_s: u64,
}

/// `GET /api/v1/latest?as_of=&layer=&format=`. The tag leaves the ages out: they change with every second, and the reader can count.
pub(crate) async fn latest(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let pairs = Pairs::strict(&uri, &["as_of", "layer", "format"])?;
    let form = Form::of(&pairs, &headers)?;
    if !matches!(form, Form::Json | Form::GeoJson) {
        return Err(Problem::bad_query(
            "`format`: the newest values are written as json or geojson",
        ));
    }
    let book = site.view.book().await?;
    let now = site.now();
    let newest = shown::latest(&site, &book, pairs.layer()?, pairs.time("as_of")?).await?;
    let mut said = Vec::new();
    let mut tagged = Vec::new();
    for value in newest.iter().filter(|value| value.value.is_finite()) {
        let row = LatestSaid {
            station: value.station.as_str(),
            parameter: value.parameter.as_str(),
            time: value.taken_at,
            value: value.value,
            unit: book
                .parameter(value.parameter.as_str())
                .map(|parameter| parameter.unit.as_str())
                .unwrap_or_default(),
            flag: value.flag.number(),
            age_s: now.since(value.taken_at).as_secs(),
        };
        for part in [row.station, row.parameter] {
            tagged.extend(part.bytes().chain([b' ']));
        }
        tagged.extend(row.time.as_millis().to_le_bytes());
        tagged.extend(row.value.to_bits().to_le_bytes());
        tagged.push(row.flag);
        said.push(row);
    }
    if form == Form::GeoJson {
        let mut stations: BTreeMap<&str, Vec<&LatestSaid<'_>>> = BTreeMap::new();
        for row in &said {
            stations.entry(row.station).or_default().push(row);
        }
        let feature = |(code, rows): (&str, Vec<&LatestSaid<'_>>)| {
            let station = book.station(code)?;
            Some(geojson::one(station, &json!({ "name": station.name, "latest": rows })))
        };
        let mut response = geojson::collection(stations.into_iter().filter_map(feature).collect());
        response.headers_mut().insert(header::ETAG, tag_of(&tagged));
        return Ok(response);
    }
    Ok(([(header::ETAG, tag_of(&tagged))], Json(said)).into_response())
}
