//! `stations/{code}/edits`, `edits/{id}/withdraw`: what people change of what was measured. Anybody may read what was
//! changed and why; by whom is told to those who have signed in, and only they change anything.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use domain::{Act, Edit, Parameter, Shown, Station, Timestamp};
use registry::EditWish;
use serde::{Deserialize, Serialize};

use super::field::{acting, field, private, read, refused};
use super::readings::parameter;
use super::{Segment, station};
use crate::problem::Problem;
use crate::query::{Pairs, duration};
use crate::session::Signed;
use crate::site::Site;
use crate::view::{Book, Point, Wanted};

/// How far from a range a reading may be that its line is tied to: beyond it nobody calls it a gap.
const TIE_MAX: Duration = Duration::from_hours(31 * 24);

/// Readings looked at on each side for one that has a value.
const TIES_MAX: usize = 50_000;

#[derive(Serialize)]
pub(crate) struct EditSaid {
    id: u64,
    station: String,
    parameter: String,
    from: String,
    to: String,
    act: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    every_s: Option<u64>,
    reason: String,
    made_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    made_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    withdrawn: Option<WithdrawnSaid>,
}

#[derive(Serialize)]
struct WithdrawnSaid {
    at: String,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
}

/// Whether names of people are told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    Told,
    Hidden,
}

impl EditSaid {
    fn new(edit: &Edit, names: Names) -> Self {
        let name = |name: &String| (names == Names::Told).then(|| name.clone());
        let (by, line, every) = match edit.act {
            Act::Offset { by } => (Some(by), None, None),
            Act::Drift { start, end } => (None, Some((start, end)), None),
            Act::Interpolate { start, end, every } => (None, Some((start, end)), every),
            Act::Remove | Act::Approve => (None, None, None),
        };
        Self {
            id: edit.id,
            station: edit.station.to_string(),
            parameter: edit.parameter.to_string(),
            from: edit.from.to_string(),
            to: edit.to.to_string(),
            act: edit.act.as_str(),
            by,
            start: line.map(|(start, _)| start),
            end: line.map(|(_, end)| end),
            every_s: every.map(|every| every.as_secs()),
            reason: edit.reason.clone(),
            made_at: edit.at.to_string(),
            made_by: name(&edit.by),
            withdrawn: edit.withdrawn.as_ref().map(|end| WithdrawnSaid {
                at: end.at.to_string(),
                reason: end.reason.clone(),
                by: name(&end.by),
            }),
        }
    }
}

/// `GET /api/v1/stations/{code}/edits?parameter=&from=&to=`: those that reach into the range, in the order they apply.
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    Segment(code): Segment,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let pairs = Pairs::strict(&uri, &["parameter", "from", "to"])?;
    let book = site.view.book().await?;
    let station = station(&book, &code)?;
    let wanted = pairs.get("parameter").map(|name| parameter(&book, name)).transpose()?;
    let (from, to) = (pairs.time("from")?, pairs.time("to")?);
    let signed = Signed::from_headers(&site, &headers).await?;
    let names = if signed.is_some() { Names::Told } else { Names::Hidden };
    let edits = book.edits.get(&station.code).into_iter().flatten();
    let said: Vec<EditSaid> = edits
        .filter(|edit| wanted.is_none_or(|parameter| parameter.code == edit.parameter))
        .filter(|edit| from.is_none_or(|from| from < edit.to))
        .filter(|edit| to.is_none_or(|to| edit.from < to))
        .map(|edit| EditSaid::new(edit, names))
        .collect();
    Ok(private(Json(said)))
}

/// What somebody wants changed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EditWanted {
    pub(crate) parameter: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) act: String,
    pub(crate) by: Option<f64>,
    pub(crate) start: Option<f64>,
    pub(crate) end: Option<f64>,
    pub(crate) every: Option<String>,
    pub(crate) reason: String,
}

const EXAMPLE: &str = "{\"parameter\": \"salinity\", \"from\": \"2026-03-01T00:00:00Z\", \
                       \"to\": \"2026-03-08T00:00:00Z\", \"act\": \"drift\", \"start\": 0, \"end\": -0.4, \
                       \"reason\": \"probe was fouled, cleaned on 8 March\"}";

/// `POST /api/v1/stations/{code}/edits`: an `offset` (`by`), a `drift` (`start`, `end`), `remove`, `interpolate`
/// (`start` and `end`, or tied to the readings on both sides; `every` where there are none) or `approve`.
pub(crate) async fn make(
    State(site): State<Arc<Site>>,
    Segment(code): Segment,
    headers: HeaderMap,
    body: Result<Json<EditWanted>, JsonRejection>,
) -> Result<Response, Problem> {
    let signed = acting(&site, &headers).await?;
    let edit = make_edit(&site, &signed, &code, read(body, EXAMPLE)?).await?;
    let said = private(Json(EditSaid::new(&edit, Names::Told)));
    Ok((StatusCode::CREATED, said).into_response())
}

/// Makes an edit in somebody's name.
///
/// # Errors
/// A [`Problem`] that says what cannot be asked for.
pub(crate) async fn make_edit(
    site: &Site,
    signed: &Signed,
    code: &str,
    wanted: EditWanted,
) -> Result<Edit, Problem> {
    let book = site.view.book().await?;
    let station = station(&book, code)?;
    let parameter = parameter(&book, &wanted.parameter)?;
    let (from, to, act) = wished(site, (&book, station, parameter), &wanted).await?;
    let (station, parameter) = (station.code.clone(), parameter.code.clone());
    let wish = EditWish { station, parameter, from, to, act, reason: wanted.reason };
    let registry = field(site)?.registry.by(&signed.user.name);
    registry.make_edit(&wish).await.map_err(refused)
}

/// What the wish means: its range, and its act with the ends of a line that is tied to the readings on both sides.
///
/// # Errors
/// A [`Problem`] that says what cannot be asked for.
pub(crate) async fn wished(
    site: &Site,
    series: (&Book, &Station, &Parameter),
    wanted: &EditWanted,
) -> Result<(Timestamp, Timestamp, Act), Problem> {
    let (from, to) = (time("from", &wanted.from)?, time("to", &wanted.to)?);
    let act = act(site, series, wanted, (from, to)).await?;
    Ok((from, to, act))
}

/// Takes an edit back in somebody's name.
///
/// # Errors
/// A [`Problem`] where there is no such edit, it was taken back before, or there is no reason.
pub(crate) async fn withdraw_edit(
    site: &Site,
    signed: &Signed,
    id: &str,
    reason: &str,
) -> Result<Edit, Problem> {
    let id: u64 = id.parse().map_err(|_| Problem::not_found("no edit has this number"))?;
    let registry = field(site)?.registry.by(&signed.user.name);
    registry.withdraw_edit(id, reason).await.map_err(refused)
}

/// Why an edit ends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WithdrawWanted {
    reason: String,
}

/// `POST /api/v1/edits/{id}/withdraw`
pub(crate) async fn withdraw(
    State(site): State<Arc<Site>>,
    Segment(id): Segment,
    headers: HeaderMap,
    body: Result<Json<WithdrawWanted>, JsonRejection>,
) -> Result<Response, Problem> {
    let signed = acting(&site, &headers).await?;
    let wanted = read(body, "{\"reason\": \"the probe was not fouled\"}")?;
    let edit = withdraw_edit(&site, &signed, &id, &wanted.reason).await?;
    Ok(private(Json(EditSaid::new(&edit, Names::Told))))
}

fn time(name: &str, text: &str) -> Result<Timestamp, Problem> {
    Timestamp::parse_rfc3339(text).map_err(|bad| wrong(format!("`{name}`: {bad}")))
}

fn wrong(detail: impl Into<String>) -> Problem {
    let (status, title) = (StatusCode::UNPROCESSABLE_ENTITY, "this cannot be asked for");
    Problem::new(status, "bad-value", title, detail.into())
}

async fn act(
    site: &Site,
    series: (&Book, &Station, &Parameter),
    wanted: &EditWanted,
    span: (Timestamp, Timestamp),
) -> Result<Act, Problem> {
    let &EditWanted { by, start, end, ref every, .. } = wanted;
    match (wanted.act.as_str(), by, start, end, every) {
        ("offset", Some(by), None, None, None) => Ok(Act::Offset { by }),
        ("drift", None, Some(start), Some(end), None) => Ok(Act::Drift { start, end }),
        ("remove", None, None, None, None) => Ok(Act::Remove),
        ("approve", None, None, None, None) => Ok(Act::Approve),
        ("interpolate", None, start, end, every) => {
            let step = |text: &String| {
                duration(text).ok_or_else(|| wrong("`every` is a duration, as 15m"))
            };
            let every = every.as_ref().map(step).transpose()?;
            let (start, end) = match (start, end) {
                (Some(start), Some(end)) => (start, end),
                (None, None) => tied(site, series, span).await?,
                _ => return Err(wrong("give both `start` and `end`, or neither")),
            };
            Ok(Act::Interpolate { start, end, every })
        }
        ("offset", ..) => Err(wrong("an offset has `by`, and nothing else")),
        ("drift", ..) => Err(wrong("a drift has `start` and `end`, and nothing else")),
        ("remove" | "approve", ..) => Err(wrong("this act has no numbers")),
        _ => Err(wrong("`act` is one of offset, drift, remove, interpolate, approve")),
    }
}

/// Where the line from the last reading before a range to the first behind it meets the range's ends.
async fn tied(
    site: &Site,
    (book, station, parameter): (&Book, &Station, &Parameter),
    (from, to): (Timestamp, Timestamp),
) -> Result<(f64, f64), Problem> {
    let side = async |from: Timestamp, to: Timestamp| {
        let edits = book.edits_of(&station.code, &parameter.code, Shown::Best);
        let (station, parameter) = (station.code.clone(), parameter.code.clone());
        let wanted = Wanted { station, parameter, from, to, as_of: None, edits };
        site.view.points(wanted, TIES_MAX).await
    };
    let counted = |point: &Point| {
        let value = point.value.filter(|_| !matches!(point.flag.number(), 4 | 9))?;
        Some((point.taken_at, value))
    };
    let before = side(from - TIE_MAX, from).await?.iter().rev().find_map(counted);
    let behind = side(to, to + TIE_MAX).await?.iter().find_map(counted);
    let (Some((left, low)), Some((right, high))) = (before, behind) else {
        let days = TIE_MAX.as_secs() / 86_400;
        return Err(wrong(format!(
            "no reading within {days} days on both sides to tie the line to; give `start` and `end`"
        )));
    };
    let whole = right.since(left).as_secs_f64().max(1e-3);
    let at = |time: Timestamp| low + (high - low) * time.since(left).as_secs_f64() / whole;
    Ok((at(from), at(to)))
}
