//! `latest`: the newest value of everything, with its age.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use domain::{ParameterCode, StationCode, Timestamp};
use serde::{Serialize, Serializer};
use serde_json::json;

use super::form::Form;
use super::readings::written_time;
use super::{geojson, written};
use crate::headers::tag_of;
use crate::problem::Problem;
use crate::query::Pairs;
use crate::shown;
use crate::site::Site;

/// About what a line adds to the tag.
const TAGGED_BYTES: usize = 40;

/// A line of the answer.
#[derive(Serialize)]
pub(super) struct LatestSaid<'a> {
    #[serde(serialize_with = "shown_as_text")]
    pub(super) station: &'a StationCode,
    #[serde(serialize_with = "shown_as_text")]
    pub(super) parameter: &'a ParameterCode,
    #[serde(serialize_with = "written_time")]
    pub(super) time: Timestamp,
    pub(super) value: f64,
    pub(super) unit: &'a str,
    pub(super) flag: u8,
    pub(super) age_s: u64,
}

fn unwritten(error: &serde_json::Error) -> Problem {
    tracing::error!(%error, "an answer cannot be written");
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        "the answer cannot be written",
        error.to_string(),
    )
}

fn shown_as_text<S: Serializer>(code: &impl Display, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(code)
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
    let units: HashMap<&ParameterCode, &str> =
        book.parameters.iter().map(|it| (&it.code, it.unit.as_str())).collect();
    let mut said = Vec::with_capacity(newest.len());
    let mut tagged = Vec::with_capacity(newest.len() * TAGGED_BYTES);
    for value in newest.iter().filter(|value| value.value.is_finite()) {
        let row = LatestSaid {
            station: &value.station,
            parameter: &value.parameter,
            time: value.taken_at,
            value: value.value,
            unit: units.get(&value.parameter).copied().unwrap_or_default(),
            flag: value.flag.number(),
            age_s: now.since(value.taken_at).as_secs(),
        };
        for part in [row.station.as_str(), row.parameter.as_str()] {
            tagged.extend_from_slice(part.as_bytes());
            tagged.push(b' ');
        }
        tagged.extend(row.time.as_millis().to_le_bytes());
        tagged.extend(row.value.to_bits().to_le_bytes());
        tagged.push(row.flag);
        said.push(row);
    }
    if form == Form::GeoJson {
        let mut stations: BTreeMap<&str, Vec<&LatestSaid<'_>>> = BTreeMap::new();
        for row in &said {
            stations.entry(row.station.as_str()).or_default().push(row);
        }
        let feature = |(code, rows): (&str, Vec<&LatestSaid<'_>>)| {
            let station = book.station(code)?;
            Some(geojson::one(station, &json!({ "name": station.name, "latest": rows })))
        };
        let mut response = geojson::collection(stations.into_iter().filter_map(feature).collect());
        response.headers_mut().insert(header::ETAG, tag_of(&tagged));
        return Ok(response);
    }
    let text = written::latest(&said).map_err(|error| unwritten(&error))?;
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(([kind, (header::ETAG, tag_of(&tagged))], text).into_response())
}
