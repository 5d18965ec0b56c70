//! `gaps`, `deadletter`, `stations/{code}/commands`, `stations/{code}/config`: for those on duty, but for the gaps,
//! which anybody may know.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use domain::{Reason, StationCode};
use registry::{Command, Held, RegistryError, Replay, ReplayWish, StationConfig, Wish};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Segment, station};
use crate::field::{Field, Gaps, Letter, LettersWanted, trouble};
use crate::problem::Problem;
use crate::query::Pairs;
use crate::session::{self, Signed, own_site};
use crate::site::Site;
use crate::view::Role;

/// Letters or commands of one page, unless fewer are asked for.
const PAGE: u32 = 100;

/// The most of one page.
const PAGE_MAX: u32 = 1_000;

/// A command expires after so long, unless it is said.
const EXPIRES: Duration = Duration::from_mins(10);

#[derive(Serialize)]
pub(crate) struct GapsSaid {
    station: String,
    missing: u64,
    filled: u64,
    given_up: u64,
    next_seq: u64,
    asked_at: Option<String>,
    ranges: Vec<RangeSaid>,
}

#[derive(Serialize)]
struct RangeSaid {
    from_seq: u64,
    to_seq: u64,
    since: String,
}

impl GapsSaid {
    pub(crate) fn new(gaps: &Gaps) -> Self {
        let range = |&(from_seq, to_seq, since): &(u64, u64, domain::Timestamp)| RangeSaid {
            from_seq,
            to_seq,
            since: since.to_string(),
        };
        Self {
            station: gaps.station.to_string(),
            missing: gaps.missing,
            filled: gaps.filled,
            given_up: gaps.given_up,
            next_seq: gaps.next,
            asked_at: gaps.asked_at.map(|at| at.to_string()),
            ranges: gaps.ranges.iter().map(range).collect(),
        }
    }
}

/// `GET /api/v1/gaps`: the stations whose reports are missing.
pub(crate) async fn gaps(
    State(site): State<Arc<Site>>,
    uri: Uri,
) -> Result<Json<Vec<GapsSaid>>, Problem> {
    Pairs::strict(&uri, &[])?;
    let gaps = field(&site)?.gaps.as_ref()(None);
    Ok(Json(gaps.iter().map(GapsSaid::new).collect()))
}

#[derive(Serialize)]
struct LetterSaid {
    id: u64,
    time: String,
    station: String,
    topic: String,
    reason: &'static str,
    detail: String,
    bytes: usize,
    /// The bytes as text, where they are one.
    payload: Option<String>,
    /// The bytes in hex, where they are not.
    payload_hex: Option<String>,
    replay: Option<ReplaySaid>,
}

#[derive(Serialize)]
struct ReplaySaid {
    state: &'static str,
    why: String,
    asked_at: String,
    asked_by: String,
    done_at: Option<String>,
}

impl LetterSaid {
    fn new(letter: Letter, replays: &[Replay]) -> Self {
        let replay = replays
            .iter()
            .find(|r| r.letter == letter.id && r.received_at == letter.received_at)
            .map(ReplaySaid::new);
        let (payload, payload_hex) = match String::from_utf8(letter.payload) {
            Ok(text) => (Some(text), None),
            Err(bytes) => (None, Some(hex(bytes.as_bytes()))),
        };
        let bytes = payload
            .as_ref()
            .map_or_else(|| payload_hex.as_ref().map_or(0, |hex| hex.len() / 2), String::len);
        Self {
            id: letter.id,
            time: letter.received_at.to_string(),
            station: letter.station,
            topic: letter.topic,
            reason: letter.reason.as_str(),
            detail: letter.detail,
            bytes,
            payload,
            payload_hex,
            replay,
        }
    }
}

impl ReplaySaid {
    fn new(replay: &Replay) -> Self {
        Self {
            state: replay.state.as_str(),
            why: replay.why.clone(),
            asked_at: replay.asked_at.to_string(),
            asked_by: replay.asked_by.clone(),
            done_at: replay.done_at.map(|at| at.to_string()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
        text
    })
}

/// `GET /api/v1/deadletter?station=&reason=&since=&before=&limit=`: newest first, a page at a time.
pub(crate) async fn letters(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let pairs = Pairs::strict(&uri, &["station", "reason", "since", "before", "limit"])?;
    on_duty(&site, &headers).await?;
    let limit = pairs.count("limit", 1, PAGE_MAX)?.unwrap_or(PAGE);
    let before = pairs.get("before").map(str::parse).transpose();
    let wanted = LettersWanted {
        id: None,
        station: pairs.get("station").map(str::to_owned),
        reason: pairs.get("reason").map(reason).transpose()?,
        since: pairs.time("since")?,
        before: before.map_err(|_| Problem::bad_query("`before` is the number of a letter"))?,
        most: limit as usize,
    };
    let said = said(field(&site)?, wanted).await?;
    let next = said.last().filter(|_| said.len() == limit as usize).map(|last| last.id);
    let mut response = private(Json(said));
    if let Some(link) = next.and_then(|before| next_page(&pairs, before, limit)) {
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

fn next_page(pairs: &Pairs, before: u64, limit: u32) -> Option<HeaderValue> {
    let mut link = format!("</api/v1/deadletter?before={before}&limit={limit}");
    for key in ["station", "reason", "since"] {
        if let Some(value) = pairs.get(key) {
            link.push_str(&format!("&{key}={}", value.replace('+', "%2B")));
        }
    }
    HeaderValue::from_str(&(link + ">; rel=\"next\"")).ok()
}

async fn said(field: &Field, wanted: LettersWanted) -> Result<Vec<LetterSaid>, Problem> {
    let letters = field.letters(wanted).await?;
    let ids = || letters.iter().map(|letter| letter.id);
    let replays = match (ids().min(), ids().max()) {
        (Some(first), Some(last)) => field.registry.replays(first, last).await.map_err(trouble)?,
        _ => Vec::new(),
    };
    Ok(letters.into_iter().map(|letter| LetterSaid::new(letter, &replays)).collect())
}

async fn letter(field: &Field, id: &str) -> Result<Letter, Problem> {
    let unknown = || Problem::not_found("no dead letter has this number, or it is no longer kept");
    let id: u64 = id.parse().map_err(|_| unknown())?;
    let wanted = LettersWanted { id: Some(id), most: 1, ..LettersWanted::default() };
    field.letters(wanted).await?.into_iter().next().ok_or_else(unknown)
}

/// `GET /api/v1/deadletter/{id}`
pub(crate) async fn one_letter(
    State(site): State<Arc<Site>>,
    Segment(id): Segment,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    on_duty(&site, &headers).await?;
    let field = field(&site)?;
    let letter = letter(field, &id).await?;
    let replays = field.registry.replays(letter.id, letter.id).await.map_err(trouble)?;
    Ok(private(Json(LetterSaid::new(letter, &replays))))
}

/// Seconds that times are moved by, as milliseconds. More than a century is a slip.
fn shift(uri: &Uri) -> Result<Option<i64>, Problem> {
    const SHIFT_S_MAX: f64 = 3.2e9;
    let pairs = Pairs::strict(uri, &["shift_s"])?;
    let Some(text) = pairs.get("shift_s") else { return Ok(None) };
    let seconds = text.parse().ok().filter(|seconds: &f64| seconds.abs() <= SHIFT_S_MAX);
    let seconds = seconds.ok_or_else(|| {
        Problem::bad_query("shift_s is seconds, as 1773266400 or -25200: within a century")
    })?;
    Ok(Some((seconds * 1e3).round() as i64))
}

/// `POST /api/v1/deadletter/{id}/replay?shift_s=`: asks the engine to send the letter in again, with the times moved
/// that could not be believed; what became of it is found at the letter. Asking again for one that went in changes
/// nothing.
pub(crate) async fn replay(
    State(site): State<Arc<Site>>,
    Segment(id): Segment,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let signed = acting(&site, &headers).await?;
    let shift_ms = shift(&uri)?;
    let field = field(&site)?;
    let letter = letter(field, &id).await?;
    let registry = field.registry.by(&signed.user.name);
    let (id, received_at) = (letter.id, letter.received_at);
    let wish = ReplayWish { letter: id, received_at, shift_ms };
    let asked = registry.ask_replays(&[wish]).await.map_err(refused)?;
    let status = if asked.asked.is_empty() { StatusCode::OK } else { StatusCode::ACCEPTED };
    let replays = registry.replays(letter.id, letter.id).await.map_err(trouble)?;
    Ok((status, private(Json(LetterSaid::new(letter, &replays)))).into_response())
}

#[derive(Serialize)]
struct CommandSaid {
    id: String,
    station: String,
    kind: String,
    args: Map<String, Value>,
    state: &'static str,
    why: String,
    made_at: String,
    made_by: String,
    expires: String,
    state_at: String,
}

impl CommandSaid {
    fn new(command: Command) -> Self {
        Self {
            id: command.id,
            station: command.station.to_string(),
            kind: command.kind,
            args: command.args,
            state: command.state.as_str(),
            why: command.why,
            made_at: command.made_at.to_string(),
            made_by: command.made_by,
            expires: command.expires_at.to_string(),
            state_at: command.state_at.to_string(),
        }
    }
}

/// What somebody wants of a station.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CommandWanted {
    kind: String,
    #[serde(default)]
    args: Map<String, Value>,
    expires_s: Option<u64>,
}

/// `POST /api/v1/stations/{code}/commands` with `{"kind", "args", "expires_s"}`; with an `Idempotency-Key` a repeated
/// request makes no second command.
pub(crate) async fn make_command(
    State(site): State<Arc<Site>>,
    Segment(code): Segment,
    headers: HeaderMap,
    body: Result<Json<CommandWanted>, JsonRejection>,
) -> Result<Response, Problem> {
    let signed = acting(&site, &headers).await?;
    let wanted = read(body, "{\"kind\": \"reboot\", \"args\": {}, \"expires_s\": 600}")?;
    let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok());
    let field = field(&site)?;
    let wish = Wish {
        station: known(&site, &code).await?,
        kind: wanted.kind,
        args: wanted.args,
        expires_in: wanted.expires_s.map_or(EXPIRES, Duration::from_secs),
        once: key.map(str::to_owned),
    };
    let registry = field.registry.by(&signed.user.name);
    let command = registry.make_command(&wish).await.map_err(refused)?;
    let at = format!("/api/v1/stations/{}/commands/{}", command.station, command.id);
    let mut response =
        (StatusCode::CREATED, private(Json(CommandSaid::new(command)))).into_response();
    if let Ok(at) = HeaderValue::from_str(&at) {
        response.headers_mut().insert(header::LOCATION, at);
    }
    Ok(response)
}

/// `GET /api/v1/stations/{code}/commands?limit=`: newest first.
pub(crate) async fn commands(
    State(site): State<Arc<Site>>,
    Segment(code): Segment,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let pairs = Pairs::strict(&uri, &["limit"])?;
    on_duty(&site, &headers).await?;
    let limit = pairs.count("limit", 1, PAGE_MAX)?.unwrap_or(PAGE);
    let code = known(&site, &code).await?;
    let commands = field(&site)?.registry.commands(Some(&code), limit).await.map_err(trouble)?;
    Ok(private(Json(commands.into_iter().map(CommandSaid::new).collect::<Vec<_>>())))
}

/// `GET /api/v1/stations/{code}/commands/{id}`
pub(crate) async fn one_command(
    State(site): State<Arc<Site>>,
    axum::extract::Path((code, id)): axum::extract::Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    on_duty(&site, &headers).await?;
    let found = field(&site)?.registry.command(&id).await.map_err(trouble)?;
    let command = found.filter(|command| command.station.as_str() == code);
    let command = command.ok_or_else(|| Problem::not_found("this station has no such command"))?;
    Ok(private(Json(CommandSaid::new(command))))
}

#[derive(Serialize)]
struct ConfigSaid {
    station: String,
    in_sync: Option<bool>,
    differs_since: Option<String>,
    desired: Option<HeldSaid>,
    desired_by: Option<String>,
    reported: Option<HeldSaid>,
}

#[derive(Serialize)]
struct HeldSaid {
    hash: String,
    at: String,
    config: Map<String, Value>,
}

impl ConfigSaid {
    fn new(code: &StationCode, config: Option<StationConfig>) -> Self {
        let held =
            |held: Held| HeldSaid { hash: held.hash, at: held.at.to_string(), config: held.config };
        Self {
            station: code.to_string(),
            in_sync: config.as_ref().and_then(StationConfig::in_sync),
            differs_since: config.as_ref().and_then(|c| c.differs_since).map(|at| at.to_string()),
            desired_by: config.as_ref().and_then(|c| c.desired_by.clone()),
            desired: config.as_ref().and_then(|c| c.desired.clone()).map(held),
            reported: config.and_then(|c| c.reported).map(held),
        }
    }
}

/// `GET /api/v1/stations/{code}/config`
pub(crate) async fn config(
    State(site): State<Arc<Site>>,
    Segment(code): Segment,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    on_duty(&site, &headers).await?;
    let code = known(&site, &code).await?;
    let config = field(&site)?.registry.station_config(&code).await.map_err(trouble)?;
    Ok(private(Json(ConfigSaid::new(&code, config))))
}

/// `PUT /api/v1/stations/{code}/config` with the whole configuration as an object.
pub(crate) async fn configure(
    State(site): State<Arc<Site>>,
    Segment(code): Segment,
    headers: HeaderMap,
    body: Result<Json<Map<String, Value>>, JsonRejection>,
) -> Result<Response, Problem> {
    let signed = acting(&site, &headers).await?;
    let wanted = read(body, "{\"interval_s\": 300}")?;
    let code = known(&site, &code).await?;
    let registry = field(&site)?.registry.by(&signed.user.name);
    let config = registry.configure(&code, &wanted).await.map_err(refused)?;
    Ok(private(Json(ConfigSaid::new(&code, Some(config)))))
}

pub(super) fn field(site: &Site) -> Result<&Field, Problem> {
    let absent = || Problem::not_found("nothing of the field is known here");
    site.settings.field.as_ref().ok_or_else(absent)
}

/// Somebody who may see this.
pub(super) async fn on_duty(site: &Arc<Site>, headers: &HeaderMap) -> Result<Signed, Problem> {
    let signed = session::signed(site, headers).await?;
    signed.may(Role::Operator)?;
    Ok(signed)
}

/// Somebody who may do this, and whose browser was not made to by another site.
pub(super) async fn acting(site: &Arc<Site>, headers: &HeaderMap) -> Result<Signed, Problem> {
    own_site(headers)?;
    let signed = session::signed(site, headers).await?;
    let token = headers.get("x-csrf-token").and_then(|value| value.to_str().ok());
    signed.own_form(token.unwrap_or_default())?;
    signed.may(Role::Operator)?;
    Ok(signed)
}

pub(super) async fn known(site: &Site, code: &str) -> Result<StationCode, Problem> {
    let book = site.view.book().await?;
    Ok(station(&book, code)?.code.clone())
}

fn reason(text: &str) -> Result<Reason, Problem> {
    Reason::parse(text).ok_or_else(|| {
        let all: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        Problem::bad_query(format!("`reason` is one of {}", all.join(", ")))
    })
}

pub(super) fn read<T>(body: Result<Json<T>, JsonRejection>, example: &str) -> Result<T, Problem> {
    body.map(|Json(read)| read).map_err(|bad| {
        let title = "the body cannot be read";
        Problem::new(bad.status(), "bad-body", title, format!("{bad}; send {example}"))
    })
}

/// What the book refuses is the caller's mistake; all else is trouble.
pub(super) fn refused(error: RegistryError) -> Problem {
    match error {
        RegistryError::BadValue { .. } => {
            let (status, title) = (StatusCode::UNPROCESSABLE_ENTITY, "this cannot be asked for");
            Problem::new(status, "bad-value", title, error.to_string())
        }
        RegistryError::NotFound { .. } => Problem::not_found(error.to_string()),
        RegistryError::AlreadyThere { .. } => {
            let title = "this was done before";
            Problem::new(StatusCode::CONFLICT, "already-there", title, error.to_string())
        }
        other => trouble(other).into(),
    }
}

/// Not for a cache in between.
pub(super) fn private(said: impl IntoResponse) -> Response {
    let mut response = said.into_response();
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("cookie"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}
