//! `latest`: the newest value of everything, with its age.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::headers::tag_of;
use crate::problem::Problem;
use crate::query::Pairs;
use crate::site::Site;

#[derive(Serialize)]
struct LatestSaid {
    station: String,
    parameter: String,
    time: String,
    value: f64,
    unit: String,
    flag: u8,
    age_s: u64,
}

/// `GET /api/v1/latest`. The tag leaves the ages out: they change with every second, and the reader can count.
pub(crate) async fn latest(State(site): State<Arc<Site>>, uri: Uri) -> Result<Response, Problem> {
    Pairs::strict(&uri, &[])?;
    let book = site.view.book().await?;
    let now = site.now();
    let mut said = Vec::new();
    let mut tagged = Vec::new();
    for value in site.view.latest().await?.iter().filter(|value| value.value.is_finite()) {
        let row = LatestSaid {
            station: value.station.to_string(),
            parameter: value.parameter.to_string(),
            time: value.taken_at.to_string(),
            value: value.value,
            unit: book
                .parameter(value.parameter.as_str())
                .map(|parameter| parameter.unit.clone())
                .unwrap_or_default(),
            flag: value.flag.number(),
            age_s: now.since(value.taken_at).as_secs(),
        };
        let key =
            format!("{} {} {} {} {}\n", row.station, row.parameter, row.time, row.value, row.flag);
        tagged.extend(key.into_bytes());
        said.push(row);
    }
    Ok(([(header::ETAG, tag_of(&tagged))], Json(said)).into_response())
}
