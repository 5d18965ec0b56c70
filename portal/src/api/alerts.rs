//! `alerts`, `alerts/{id}`, `alerts/{id}/ack`: what was made of the water for people. Who answered, and with which
//! words, is told only to those who have signed in.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use domain::{Alert, AlertEvent, AlertId, AlertState, EventKind};
use serde::{Deserialize, Serialize};

use super::{Segment, finite};
use crate::desk;
use crate::problem::Problem;
use crate::query::Pairs;
use crate::session::{self, Signed, own_site};
use crate::site::Site;
use crate::view::Role;

/// Alerts in one answer.
const ALERTS_MAX: usize = 500;

#[derive(Serialize)]
pub(crate) struct AlertSaid {
    id: String,
    rule: String,
    /// The station's code.
    place: String,
    parameter: String,
    /// From 1.
    level: u16,
    state: &'static str,
    raised_at: String,
    cleared_at: Option<String>,
    events: Vec<EventSaid>,
}

#[derive(Serialize)]
struct EventSaid {
    kind: &'static str,
    at: String,
    value: Option<f64>,
    taken_at: Option<String>,
    limit: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
}

/// Whether the reader may see who did what.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    Public,
    Signed,
}

impl AlertSaid {
    fn new(alert: &Alert, reader: Reader) -> Self {
        Self {
            id: alert.id.to_string(),
            rule: alert.rule.to_string(),
            place: alert.station.to_string(),
            parameter: alert.parameter.to_string(),
            level: u16::from(alert.level) + 1,
            state: alert.state.as_str(),
            raised_at: alert.raised_at.to_string(),
            cleared_at: alert.cleared_at.map(|at| at.to_string()),
            events: alert.events.iter().map(|event| EventSaid::new(event, reader)).collect(),
        }
    }
}

impl EventSaid {
    fn new(event: &AlertEvent, reader: Reader) -> Self {
        // The words of an acknowledgement are a person's; all others are a rule's.
        let personal = event.kind == EventKind::Acknowledged;
        let shown = reader == Reader::Signed || !personal;
        Self {
            kind: event.kind.as_str(),
            at: event.at.to_string(),
            value: finite(event.value),
            taken_at: event.taken_at.map(|at| at.to_string()),
            limit: finite(event.limit),
            why: shown.then(|| event.why.clone()),
            by: event.by.clone().filter(|_| reader == Reader::Signed),
        }
    }
}

/// `GET /api/v1/alerts?state=open|acknowledged|cleared`
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let pairs = Pairs::strict(&uri, &["state"])?;
    let state = pairs.get("state").map(state).transpose()?;
    let reader = reader(&site, &headers).await?;
    let alerts = site.view.alerts();
    let asked = alerts.iter().filter(|alert| state.is_none_or(|state| alert.state == state));
    let said: Vec<AlertSaid> =
        asked.take(ALERTS_MAX).map(|alert| AlertSaid::new(alert, reader)).collect();
    Ok(varied(Json(said)))
}

/// `GET /api/v1/alerts/{id}`
pub(crate) async fn one(
    State(site): State<Arc<Site>>,
    Segment(id): Segment,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    Pairs::strict(&uri, &[])?;
    let reader = reader(&site, &headers).await?;
    let alert = site.view.alert(&AlertId::from_text(&id)).ok_or_else(unknown)?;
    Ok(varied(Json(AlertSaid::new(&alert, reader))))
}

/// What is said with an acknowledgement.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ack {
    #[serde(default)]
    note: String,
}

/// `POST /api/v1/alerts/{id}/ack` with `{"note": "…"}` and the session's token as `X-CSRF-Token`.
pub(crate) async fn acknowledge(
    State(site): State<Arc<Site>>,
    Segment(id): Segment,
    headers: HeaderMap,
    body: Result<Json<Ack>, JsonRejection>,
) -> Result<Json<AlertSaid>, Problem> {
    own_site(&headers)?;
    let signed = session::signed(&site, &headers).await?;
    let token = headers.get("x-csrf-token").and_then(|value| value.to_str().ok());
    signed.own_form(token.unwrap_or_default())?;
    signed.may(Role::Operator)?;
    let Json(Ack { note }) = body.map_err(|bad| {
        let title = "the body cannot be read";
        Problem::new(bad.status(), "bad-body", title, format!("{bad}; send {{\"note\": \"…\"}}"))
    })?;
    let alert = desk::acknowledge(&site, &signed, &AlertId::from_text(&id), &note).await?;
    let alert = alert.ok_or_else(unknown)?;
    Ok(Json(AlertSaid::new(&alert, Reader::Signed)))
}

async fn reader(site: &Site, headers: &HeaderMap) -> Result<Reader, Problem> {
    let signed = Signed::from_headers(site, headers).await?;
    Ok(if signed.is_some() { Reader::Signed } else { Reader::Public })
}

fn state(text: &str) -> Result<AlertState, Problem> {
    [AlertState::Open, AlertState::Acknowledged, AlertState::Cleared]
        .into_iter()
        .find(|state| state.as_str() == text)
        .ok_or_else(|| Problem::bad_query("`state` is open, acknowledged or cleared"))
}

fn unknown() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "not-found",
        "there is no such thing",
        "no alert has this id",
    )
}

/// The answer depends on who asks: a cache in between must not mix them up.
fn varied(said: impl IntoResponse) -> Response {
    let mut response = said.into_response();
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("cookie"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}
