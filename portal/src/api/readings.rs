//! `stations/{code}/readings`: what was measured, as it was or by intervals, a page at a time. Time is the cursor: the
//! next page begins where this one ended, so a page is the same however often it is asked for.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use domain::{Every, Flag, Layer, Parameter, Shown, Station, Timestamp};
use serde::{Serialize, Serializer};

use super::form::Form;
use super::{Segment, finite, station};
use super::{columns, csv, geojson, times, written};
use crate::nearest::nearest;
use crate::problem::Problem;
use crate::query::Pairs;
use crate::site::Site;
use crate::view::{At, Book, Bucket, Point, Wanted};

/// Readings or intervals in one answer, over all its series: a year of one every 15 minutes, 2.3 MB of JSON before gzip.
pub const ROWS_MAX: usize = 36_000;

/// The same of a table: it is written in one go and takes a third of the room.
pub const TABLE_ROWS_MAX: usize = 36_000;

/// The same of columns for other programs: 30 MB while they are written, and a year of ten values every 15 minutes.
pub const COLUMN_ROWS_MAX: usize = 400_000;

/// The longest range that is cut into intervals in one answer: what the store reads for it stays bounded.
pub(super) const BUCKETS_RANGE_MAX: Duration = Duration::from_secs(3_660 * 86_400);

/// Without `from`, the last day.
const RANGE_DEFAULT: Duration = Duration::from_secs(86_400);

const KEYS: &[&str] =
    &["parameter", "from", "to", "every", "points", "flags", "as_of", "layer", "format", "lang"];

/// What was asked.
struct Asked {
    from: Timestamp,
    to: Timestamp,
    every: Option<Every>,
    flags: Option<Vec<Flag>>,
    as_of: Option<Timestamp>,
    shown: Shown,
}

/// Rows of one parameter at one station.
#[derive(Serialize)]
pub(super) struct Series {
    #[serde(flatten)]
    pub(super) about: About,
    #[serde(serialize_with = "written_rows")]
    pub(super) readings: Vec<(Timestamp, Row)>,
}

/// What is said of a series before its rows.
#[derive(Serialize)]
pub(super) struct About {
    pub(super) station: String,
    pub(super) parameter: String,
    pub(super) unit: String,
    /// Where nobody measures it: what it is made of, and how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) derived: Option<Derivation>,
}

/// How a parameter is made of others.
#[derive(Serialize)]
pub(super) struct Derivation {
    method: String,
    name: String,
    inputs: Vec<String>,
}

impl Derivation {
    fn of(station: &Station, parameter: &Parameter) -> Option<Self> {
        let derived =
            station.profile.derived.iter().find(|it| *it.parameter() == parameter.code)?;
        let method = derived.method();
        let inputs = derived.inputs().iter().map(ToString::to_string).collect();
        Some(Self { method: method.to_string(), name: method.name_en(), inputs })
    }
}

#[derive(Serialize)]
pub(super) struct AllSeries {
    pub(super) station: String,
    pub(super) series: Vec<Series>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Row {
    Reading {
        #[serde(serialize_with = "written_time")]
        time: Timestamp,
        value: Option<f64>,
        flag: u8,
        /// Left out where it is as it came.
        #[serde(skip_serializing_if = "Option::is_none")]
        layer: Option<&'static str>,
    },
    /// Apart, so that a year of readings is not moved about in rows of three times their size.
    Interval(Box<Interval>),
}

/// What the readings of an interval come to.
#[derive(Debug, Serialize)]
pub(super) struct Interval {
    #[serde(serialize_with = "written_time")]
    pub(super) time: Timestamp,
    pub(super) min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "written_some_time")]
    pub(super) min_time: Option<Timestamp>,
    pub(super) max: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "written_some_time")]
    pub(super) max_time: Option<Timestamp>,
    pub(super) mean: Option<f64>,
    /// Of what is added up, as rainfall.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) total: Option<f64>,
    pub(super) first: Option<f64>,
    pub(super) last: Option<f64>,
    pub(super) count: u32,
    pub(super) flag: u8,
}

fn written_rows<S: Serializer>(rows: &[(Timestamp, Row)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(rows.iter().map(|(_, row)| row))
}

pub(super) fn written_time<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    times::with_text(*time, |text| to.serialize_str(text))
}

fn written_some_time<S: Serializer>(time: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => written_time(time, to),
        None => to.serialize_none(),
    }
}

/// Rows of one series, and where the next page begins if there is more.
struct Page {
    rows: Vec<(Timestamp, Row)>,
    next: Option<Timestamp>,
}

fn rows(pages: Vec<(&Parameter, Page)>) -> Vec<(&Parameter, Vec<(Timestamp, Row)>)> {
    pages.into_iter().map(|(parameter, page)| (parameter, page.rows)).collect()
}

/// `GET /api/v1/stations/{code}/readings`
pub(crate) async fn readings(
    State(site): State<Arc<Site>>,
    Segment(code): Segment,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let pairs = Pairs::strict(&uri, KEYS)?;
    let form = Form::of(&pairs, &headers)?;
    let book = site.view.book().await?;
    let station = station(&book, &code)?;
    let asked = asked(&pairs, site.now())?;
    if asked.every.is_some() && matches!(form, Form::Arrow | Form::Parquet) {
        let detail =
            "intervals are written as json, csv or geojson; arrow and parquet hold readings";
        return Err(Problem::bad_query(detail));
    }
    let Some(name) = pairs.get("parameter") else {
        return all(&site, &book, station, &asked, (&pairs, form)).await;
    };
    let parameter = parameter(&book, name)?;
    let page = page(&site, (&book, station, parameter), &asked, form.rows_max()).await?;
    let next = page.next;
    let whole = next.is_none();
    let mut response = match form {
        Form::Json => json(written::one(&series(station, parameter, page))),
        Form::GeoJson => geojson::feature(station, &series(station, parameter, page)),
        Form::Arrow | Form::Parquet => {
            columns::file(station, &[(parameter, page.rows)], form, whole)?
        }
        Form::Csv(lang) => {
            csv::table(station, &[(parameter, page.rows)], (asked.every.is_some(), whole), lang)
        }
    };
    link(&mut response, station, &asked, (&pairs, form), next);
    Ok(response)
}

async fn all(
    site: &Site,
    book: &Book,
    station: &Station,
    asked: &Asked,
    (pairs, form): (&Pairs, Form),
) -> Result<Response, Problem> {
    let known = site.view.parameters(&station.code).await?;
    let parameters: Vec<&Parameter> =
        known.iter().filter_map(|code| book.parameter(code.as_str())).collect();
    let each = (form.rows_max() / parameters.len().max(1)).max(1);
    let mut pages = Vec::new();
    for parameter in parameters {
        pages.push((parameter, page(site, (book, station, parameter), asked, each).await?));
    }
    // All series of a page end together, so that one cursor holds for all.
    let next = pages.iter().filter_map(|(_, page)| page.next).min();
    for (_, page) in &mut pages {
        page.rows.retain(|(at, _)| next.is_none_or(|next| *at < next));
    }
    let whole = next.is_none();
    let said = |pages: Vec<(&Parameter, Page)>| {
        let all = pages.into_iter().map(|(parameter, page)| series(station, parameter, page));
        AllSeries { station: station.code.to_string(), series: all.collect() }
    };
    let mut response = match form {
        Form::Json => json(written::all(&said(pages))),
        Form::GeoJson => geojson::feature(station, &said(pages)),
        Form::Arrow | Form::Parquet => columns::file(station, &rows(pages), form, whole)?,
        Form::Csv(lang) => csv::table(station, &rows(pages), (asked.every.is_some(), whole), lang),
    };
    link(&mut response, station, asked, (pairs, form), next);
    Ok(response)
}

/// As `axum::Json` answers.
fn json(text: serde_json::Result<Vec<u8>>) -> Response {
    match text {
        Ok(text) => ([(CONTENT_TYPE, "application/json")], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn series(station: &Station, parameter: &Parameter, page: Page) -> Series {
    let about = About {
        station: station.code.to_string(),
        parameter: parameter.code.to_string(),
        unit: parameter.unit.clone(),
        derived: Derivation::of(station, parameter),
    };
    Series { about, readings: page.rows }
}

async fn page(
    site: &Site,
    (book, station, parameter): (&Book, &Station, &Parameter),
    asked: &Asked,
    limit: usize,
) -> Result<Page, Problem> {
    let wanted = |to| Wanted {
        station: station.code.clone(),
        parameter: parameter.code.clone(),
        from: asked.from,
        to,
        as_of: asked.as_of,
        edits: book.edits_of(&station.code, &parameter.code, asked.shown),
    };
    match asked.every {
        None => {
            let points = site.view.points(wanted(asked.to), limit + 1).await?;
            let next = points.get(limit).map(|point| point.taken_at);
            let kept = points.into_iter().take(limit).filter(|point| asked.keeps(point.flag));
            Ok(Page { rows: kept.map(|point| (point.taken_at, reading(&point))).collect(), next })
        }
        Some(every) => {
            let end = every.after(asked.from, u32::try_from(limit).unwrap_or(u32::MAX));
            let end = end.min(asked.to);
            let buckets = site.view.buckets(wanted(end), every, parameter.aggregation).await?;
            let kept = buckets.into_iter().filter(|bucket| asked.keeps(bucket.flag));
            let rows = kept.map(|bucket| (bucket.start, interval(&bucket))).collect();
            Ok(Page { rows, next: (end < asked.to).then_some(end) })
        }
    }
}

impl Asked {
    fn keeps(&self, flag: Flag) -> bool {
        self.flags.as_ref().is_none_or(|flags| flags.contains(&flag))
    }
}

fn asked(pairs: &Pairs, now: Timestamp) -> Result<Asked, Problem> {
    let newest = now + Duration::from_millis(1);
    let to = pairs.time("to")?.unwrap_or(newest);
    let from = pairs.time("from")?.unwrap_or(to - RANGE_DEFAULT);
    if to <= from {
        return Err(Problem::bad_query(format!("`from` {from} is not before `to` {to}")));
    }
    let every = pairs.every("every")?;
    let points = pairs.count("points", 1, u32::try_from(ROWS_MAX).unwrap_or(u32::MAX))?;
    if every.is_some() && points.is_some() {
        let detail = "`every` and `points` both choose the interval; give one of them";
        return Err(Problem::bad_query(detail));
    }
    let every =
        every.or_else(|| points.map(|points| Every::Span(interval_for(to.since(from), points))));
    if every.is_some() && BUCKETS_RANGE_MAX < to.since(from) {
        let days = BUCKETS_RANGE_MAX.as_secs() / 86_400;
        return Err(Problem::bad_query(format!("a range by intervals is at most {days} days")));
    }
    let (flags, as_of, shown) = (pairs.flags("flags")?, pairs.time("as_of")?, pairs.layer()?);
    Ok(Asked { from, to, every, flags, as_of, shown })
}

/// The shortest whole number of seconds by which `range` makes at most `points` intervals, wherever they begin.
fn interval_for(range: Duration, points: u32) -> Duration {
    let cut = u64::from(points.saturating_sub(1).max(1));
    Duration::from_secs(range.as_secs().div_ceil(cut).max(1))
}

pub(crate) fn parameter<'a>(book: &'a Book, name: &str) -> Result<&'a Parameter, Problem> {
    book.parameter(name).ok_or_else(|| {
        let known = book.parameters.iter().map(|parameter| parameter.code.as_str());
        let hint = nearest(name, known).map(|near| format!("; did you mean `{near}`?"));
        let name: String = name.chars().take(40).collect();
        let hint = hint.unwrap_or_default();
        Problem::bad_query(format!("`parameter`: there is no parameter `{name}`{hint}"))
    })
}

fn reading(point: &Point) -> Row {
    Row::Reading {
        time: point.taken_at,
        value: finite(point.value),
        flag: point.flag.number(),
        layer: (point.layer != Layer::Raw).then_some(point.layer.as_str()),
    }
}

fn interval(bucket: &Bucket) -> Row {
    let value = |at: Option<At>| finite(at.map(|at| at.value));
    let time = |at: Option<At>| at.map(|at| at.taken_at);
    Row::Interval(Box::new(Interval {
        time: bucket.start,
        min: value(bucket.min),
        min_time: time(bucket.min),
        max: value(bucket.max),
        max_time: time(bucket.max),
        mean: finite(bucket.mean),
        total: finite(bucket.total),
        first: value(bucket.first),
        last: value(bucket.last),
        count: bucket.count,
        flag: bucket.flag.number(),
    }))
}

/// As the next page asks for it.
pub(super) fn written(every: Every) -> String {
    match every {
        Every::Day => "day".to_owned(),
        Every::Month => "month".to_owned(),
        Every::TIDAL_DAY => "tidal-day".to_owned(),
        Every::Span(length) => format!("{}s", length.as_secs()),
    }
}

/// Tells where the next page is. Every part of the address is a code, a number or a time of ours.
fn link(
    response: &mut Response,
    station: &Station,
    asked: &Asked,
    (pairs, form): (&Pairs, Form),
    next: Option<Timestamp>,
) {
    let Some(next) = next else { return };
    let mut query = format!("from={next}&to={}", asked.to);
    if let Some(every) = asked.every {
        query += &format!("&every={}", written(every));
    }
    if let Some(parameter) = pairs.get("parameter") {
        query += &format!("&parameter={parameter}");
    }
    if let Some(as_of) = asked.as_of {
        query += &format!("&as_of={as_of}");
    }
    if asked.shown != Shown::default() {
        query += &format!("&layer={}", asked.shown.as_str());
    }
    if let Some(flags) = &asked.flags {
        let flags: Vec<String> = flags.iter().map(|flag| flag.number().to_string()).collect();
        query += &format!("&flags={}", flags.join(","));
    }
    query += form.query();
    let link = format!("</api/v1/stations/{}/readings?{query}>; rel=\"next\"", station.code);
    if let Ok(link) = HeaderValue::from_str(&link) {
        response.headers_mut().insert(header::LINK, link);
    }
}
