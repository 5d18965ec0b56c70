//! `firmware/…`: images, what runs in the stations, and roll-outs: seen, paused and halted by those on duty, begun and
//! resumed by those who change the book. An image is added on the engine's machine, not here.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use domain::{FirmwareFault, FirmwareState, ModelCode, Release, StationCode, Timestamp};
use registry::{
    Image, Registry, RegistryError, Rollout, RolloutStation, RolloutTerms, StationFirmware, Steer,
};
use serde::{Deserialize, Serialize};

use super::Segment;
use super::field::{acting, field, known, on_duty, private, read, refused};
use crate::field::trouble;
use crate::problem::Problem;
use crate::query::Pairs;
use crate::site::Site;
use crate::view::Role;

/// Roll-outs of one page.
const PAGE: u32 = 50;

#[derive(Serialize)]
struct ReleaseSaid {
    model: String,
    version: String,
    size: u64,
    sha256: String,
}

impl ReleaseSaid {
    fn new(release: &Release) -> Self {
        Self {
            model: release.model.to_string(),
            version: release.version.to_string(),
            size: release.size,
            sha256: release.digest.to_string(),
        }
    }
}

#[derive(Serialize)]
struct ImageSaid {
    #[serde(flatten)]
    release: ReleaseSaid,
    key: String,
    added_at: String,
    added_by: String,
}

#[derive(Serialize)]
struct FirmwareSaid {
    station: String,
    model: Option<String>,
    version: Option<String>,
    running_since: Option<String>,
    image: Option<String>,
    state: Option<&'static str>,
    have: Option<u32>,
    of: Option<u32>,
    why: Option<&'static str>,
    said_at: String,
}

#[derive(Serialize)]
struct RolloutSaid {
    id: String,
    image: ReleaseSaid,
    state: &'static str,
    why: String,
    state_at: String,
    ring: Option<u8>,
    ring_at: Option<String>,
    first: Vec<String>,
    soak_s: u64,
    silent_after_s: u64,
    silent_intervals: u32,
    healthy_percent: u8,
    made_at: String,
    made_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    stations: Option<Vec<MemberSaid>>,
}

#[derive(Serialize)]
struct MemberSaid {
    station: String,
    ring: u8,
    state: &'static str,
    why: Option<String>,
    offered_at: Option<String>,
    installing_at: Option<String>,
    running_at: Option<String>,
    withdrawn_at: Option<String>,
}

fn text(at: Option<Timestamp>) -> Option<String> {
    at.map(|at| at.to_string())
}

impl ImageSaid {
    fn new(image: &Image) -> Self {
        Self {
            release: ReleaseSaid::new(&image.release),
            key: image.key.clone(),
            added_at: image.added_at.to_string(),
            added_by: image.added_by.clone(),
        }
    }
}

impl FirmwareSaid {
    fn new(one: &StationFirmware) -> Self {
        Self {
            station: one.station.to_string(),
            model: one.model.as_ref().map(ModelCode::to_string),
            version: one.version.map(|version| version.to_string()),
            running_since: text(one.running_since),
            image: one.digest.map(|digest| digest.to_string()),
            state: one.state.map(FirmwareState::as_str),
            have: one.progress.map(|(have, _)| have),
            of: one.progress.map(|(_, of)| of),
            why: one.fault.map(FirmwareFault::as_str),
            said_at: one.said_at.to_string(),
        }
    }
}

impl RolloutSaid {
    fn new(rollout: &Rollout) -> Self {
        let RolloutTerms { soak, silent_after, silent_intervals, healthy_percent } = rollout.terms;
        Self {
            id: rollout.id.clone(),
            image: ReleaseSaid::new(&rollout.release),
            state: rollout.state.as_str(),
            why: rollout.why.clone(),
            state_at: rollout.state_at.to_string(),
            ring: rollout.ring.map(|(ring, _)| ring + 1),
            ring_at: text(rollout.ring.map(|(_, at)| at)),
            first: rollout.named.iter().map(StationCode::to_string).collect(),
            soak_s: soak.as_secs(),
            silent_after_s: silent_after.as_secs(),
            silent_intervals,
            healthy_percent,
            made_at: rollout.made_at.to_string(),
            made_by: rollout.made_by.clone(),
            stations: None,
        }
    }

    fn with(self, stations: &[RolloutStation]) -> Self {
        Self { stations: Some(stations.iter().map(MemberSaid::new).collect()), ..self }
    }
}

impl MemberSaid {
    fn new(one: &RolloutStation) -> Self {
        let failed = one.failed.map(|(_, fault)| fault.as_str().to_owned());
        Self {
            station: one.station.to_string(),
            ring: one.ring + 1,
            state: one.standing(),
            why: one.bad.clone().or(failed),
            offered_at: text(one.offered_at),
            installing_at: text(one.installing_at),
            running_at: text(one.running_at),
            withdrawn_at: text(one.withdrawn_at),
        }
    }
}

/// The registry, for somebody on duty who asks without any pairs.
async fn asked_on_duty<'a>(
    site: &'a Arc<Site>,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<&'a Registry, Problem> {
    Pairs::strict(uri, &[])?;
    on_duty(site, headers).await?;
    Ok(&field(site)?.registry)
}

fn listed<T, S: Serialize>(
    rows: Result<Vec<T>, RegistryError>,
    said: fn(&T) -> S,
) -> Result<Response, Problem> {
    let rows = rows.map_err(trouble)?;
    Ok(private(Json(rows.iter().map(said).collect::<Vec<_>>())))
}

/// `GET /api/v1/firmware/images`
pub(crate) async fn images(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let registry = asked_on_duty(&site, &headers, &uri).await?;
    listed(registry.images().await, ImageSaid::new)
}

/// `GET /api/v1/firmware/stations`: what runs in the stations, as they say.
pub(crate) async fn stations(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let registry = asked_on_duty(&site, &headers, &uri).await?;
    listed(registry.station_firmwares().await, FirmwareSaid::new)
}

/// `GET /api/v1/firmware/rollouts`: the newest, newest first.
pub(crate) async fn rollouts(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let registry = asked_on_duty(&site, &headers, &uri).await?;
    listed(registry.rollouts(PAGE).await, RolloutSaid::new)
}

/// `GET /api/v1/firmware/rollouts/{id}`: with its stations.
pub(crate) async fn rollout(
    State(site): State<Arc<Site>>,
    Segment(id): Segment,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    on_duty(&site, &headers).await?;
    let registry = &field(&site)?.registry;
    let rollout = registry.rollout(&id).await.map_err(trouble)?;
    let rollout = rollout.ok_or_else(|| Problem::not_found("there is no such roll-out"))?;
    let stations = registry.rollout_stations(&id).await.map_err(trouble)?;
    Ok(private(Json(RolloutSaid::new(&rollout).with(&stations))))
}

/// What somebody wants rolled out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    image: String,
    #[serde(default)]
    first: Vec<String>,
    soak_s: Option<u64>,
    silent_after_s: Option<u64>,
    healthy_percent: Option<u8>,
}

/// `POST /api/v1/firmware/rollouts` with `{"image": "<sha256>", "first", "soak_s", "silent_after_s",
/// "healthy_percent"}`.
pub(crate) async fn start(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    body: Result<Json<Wanted>, JsonRejection>,
) -> Result<Response, Problem> {
    let signed = acting(&site, &headers).await?;
    signed.may(Role::Admin)?;
    let wanted = read(body, "{\"image\": \"<sha-256>\", \"first\": [\"xuan-hoa\"]}")?;
    let field = field(&site)?;
    let digest = wanted.image.parse().map_err(|error: domain::BadRelease| {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Problem::new(status, "bad-value", "this cannot be asked for", error.to_string())
    })?;
    let mut first = Vec::new();
    for code in &wanted.first {
        first.push(known(&site, code).await?);
    }
    let usual = field.rollout_terms;
    let terms = RolloutTerms {
        soak: wanted.soak_s.map_or(usual.soak, Duration::from_secs),
        silent_after: wanted.silent_after_s.map_or(usual.silent_after, Duration::from_secs),
        silent_intervals: usual.silent_intervals,
        healthy_percent: wanted.healthy_percent.unwrap_or(usual.healthy_percent),
    };
    let registry = field.registry.by(&signed.user.name);
    let rollout = registry.start_rollout(&digest, &first, &terms).await.map_err(refused)?;
    let at = format!("/api/v1/firmware/rollouts/{}", rollout.id);
    let said = private(Json(RolloutSaid::new(&rollout)));
    let mut response = (StatusCode::CREATED, said).into_response();
    if let Ok(at) = HeaderValue::from_str(&at) {
        response.headers_mut().insert(header::LOCATION, at);
    }
    Ok(response)
}

/// Why somebody steers.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Because {
    #[serde(default)]
    why: String,
}

/// `POST /api/v1/firmware/rollouts/{id}/{act}`: `pause`, `resume` or `halt`, with `{"why"}` or nothing.
pub(crate) async fn steer(
    State(site): State<Arc<Site>>,
    axum::extract::Path((id, act)): axum::extract::Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let signed = acting(&site, &headers).await?;
    let steer = match act.as_str() {
        "pause" => Steer::Pause,
        "resume" => Steer::Resume,
        "halt" => Steer::Halt,
        _ => return Err(Problem::not_found("a roll-out takes pause, resume and halt")),
    };
    if steer == Steer::Resume {
        signed.may(Role::Admin)?;
    }
    let because: Because = match body.is_empty() {
        true => Because::default(),
        false => serde_json::from_slice(&body).map_err(|bad| {
            let (status, title) = (StatusCode::BAD_REQUEST, "the body cannot be read");
            Problem::new(status, "bad-body", title, format!("{bad}; send {{\"why\": \"…\"}}"))
        })?,
    };
    let registry = field(&site)?.registry.by(&signed.user.name);
    let steered = registry.steer_rollout(&id, steer, &because.why).await;
    let rollout = steered.map_err(|error| match error {
        RegistryError::BadValue { why, .. } => {
            Problem::new(StatusCode::CONFLICT, "conflict", "this cannot be done now", why)
        }
        other => refused(other),
    })?;
    Ok(private(Json(RolloutSaid::new(&rollout))))
}
