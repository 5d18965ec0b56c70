//! `/api/v1/`: the same things for machines. Shapes are those of the design, section 3.5; more fields may come, none
//! goes. Times are UTC in RFC 3339 with milliseconds, flags are QARTOD numbers, levels count from 1 as on the pages.

pub(crate) mod stations; // where it is measured
pub(crate) mod readings; // what was measured, by time
pub(crate) mod spells; // how long beyond a limit
pub(crate) mod tests; // what each test said
pub(crate) mod water_quality; // how clean it is, by the law's tables
pub(crate) mod statistics; // how it is spread, how much of it is there
mod form; // in which form
mod csv; // as a table for a spreadsheet
mod columns; // as columns for other programs
mod geojson; // with its place
mod times; // and when
mod written; // and with them rows, in thousands
pub(crate) mod latest; // what was measured last
pub(crate) mod warnings; // how the water stands under each rule
pub(crate) mod alerts; // what was made of it for people
pub(crate) mod edits; // what people changed of it
pub(crate) mod field; // what is refused, missing, told and set
pub(crate) mod firmware; // what runs in stations, and what will

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use domain::Station;
use serde::Serialize;

use crate::nearest::nearest;
use crate::problem::Problem;
use crate::session;
use crate::site::Site;
use crate::view::Book;

/// One segment of the path; where it is no text the answer is a problem, not a bare line.
pub(crate) struct Segment(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Path::<String>::from_request_parts(parts, state)
            .await
            .map(|Path(text)| Self(text))
            .map_err(|_| Problem::not_found("the path is not UTF-8"))
    }
}

/// The station with this code, or a problem that names the nearest.
pub(crate) fn station<'a>(book: &'a Book, code: &str) -> Result<&'a Station, Problem> {
    book.station(code).ok_or_else(|| {
        let known = book.stations.iter().map(|station| station.code.as_str());
        let hint = nearest(code, known).map(|near| format!("; did you mean `{near}`?"));
        let code: String = code.chars().take(40).collect();
        Problem::not_found(format!("there is no station `{code}`{}", hint.unwrap_or_default()))
    })
}

/// A value that JSON can carry.
pub(crate) fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite())
}

#[derive(Serialize)]
struct SessionSaid<'a> {
    user: &'a str,
    role: &'static str,
    csrf: String,
}

/// `GET /api/v1/session`: who the cookie says I am, and the token that a POST has to carry as `X-CSRF-Token`.
pub(crate) async fn session(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let signed = session::signed(&site, &headers).await?;
    let said = SessionSaid {
        user: &signed.user.name,
        role: signed.user.role.as_str(),
        csrf: signed.csrf(),
    };
    let mut response = Json(said).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
