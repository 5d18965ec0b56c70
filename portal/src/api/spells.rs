//! `stations/{code}/spells` and `spells`: how long the water stood above or below a limit, by day, month or any interval,
//! at one station or at all.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use domain::{Aggregation, Every, Parameter, Shown, Station, Timestamp};
use serde::Serialize;

use super::readings::{BUCKETS_RANGE_MAX, ROWS_MAX, parameter, written_time};
use super::{Segment, station};
use crate::problem::Problem;
use crate::query::Pairs;
use crate::site::Site;
use crate::view::{Beyond, Book, Spells, Wanted};

const KEYS: &[&str] =
    &["parameter", "above", "below", "from", "to", "every", "as_of", "layer", "gap"];

/// Without `from`, the last thirty days.
const RANGE_DEFAULT: Duration = Duration::from_secs(30 * 86_400);

/// Without `gap`, readings further apart than two and a half of the station's intervals tell nothing of what is between:
/// one may be lost, as the chart's line goes on over it. Here in halves.
pub(super) const GAP_HALF_INTERVALS: u32 = 5;

#[derive(Serialize)]
struct Said {
    station: String,
    parameter: String,
    unit: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    above: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    below: Option<f64>,
    gap_s: u64,
    intervals: Vec<Interval>,
}

#[derive(Serialize)]
struct AllSaid {
    parameter: String,
    unit: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    above: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    below: Option<f64>,
    stations: Vec<OneSaid>,
}

#[derive(Serialize)]
struct OneSaid {
    station: String,
    gap_s: u64,
    intervals: Vec<Interval>,
}

#[derive(Serialize)]
struct Interval {
    #[serde(serialize_with = "written_time")]
    time: Timestamp,
    #[serde(serialize_with = "written_time")]
    end: Timestamp,
    beyond_s: f64,
    known_s: f64,
    spells: u32,
    longest_s: f64,
}

/// What is asked, of whichever station.
struct Question<'a> {
    parameter: &'a Parameter,
    above: Option<f64>,
    below: Option<f64>,
    beyond: Beyond,
    every: Every,
    gap: Option<Duration>,
    span: (Timestamp, Timestamp),
    as_of: Option<Timestamp>,
    layer: Shown,
    book: &'a Book,
}

impl<'a> Question<'a> {
    fn read(pairs: &Pairs, book: &'a Book, now: Timestamp) -> Result<Self, Problem> {
        let Some(name) = pairs.get("parameter") else {
            return Err(Problem::bad_query("`parameter` is missing: of what?"));
        };
        let parameter = parameter(book, name)?;
        if parameter.aggregation == Aggregation::Direction {
            return Err(Problem::bad_query("a direction is neither above nor below another"));
        }
        let (above, below) = (pairs.number("above")?, pairs.number("below")?);
        let beyond = match (above, below) {
            (Some(limit), None) => Beyond::Above(limit),
            (None, Some(limit)) => Beyond::Below(limit),
            _ => return Err(Problem::bad_query("give either `above` or `below`, as above=4")),
        };
        let every = pairs.every("every")?.unwrap_or(Every::Day);
        let (gap, as_of) = (pairs.duration("gap")?, pairs.time("as_of")?);
        let span = span(pairs, every, now)?;
        let layer = pairs.layer()?;
        Ok(Self { parameter, above, below, beyond, every, gap, span, as_of, layer, book })
    }

    fn of(&self, station: &Station) -> (Wanted, Duration) {
        let gap = self.gap.unwrap_or(station.interval.saturating_mul(GAP_HALF_INTERVALS) / 2);
        let wanted = Wanted {
            station: station.code.clone(),
            parameter: self.parameter.code.clone(),
            from: self.span.0,
            to: self.span.1,
            as_of: self.as_of,
            edits: self.book.edits_of(&station.code, &self.parameter.code, self.layer),
        };
        (wanted, gap)
    }

    fn intervals(&self, found: &[Spells]) -> Vec<Interval> {
        found.iter().map(|spells| interval(self.every, spells)).collect()
    }
}

/// `GET /api/v1/stations/{code}/spells?parameter=&above=|below=&from=&to=&every=&gap=&as_of=&layer=`
pub(crate) async fn spells(
    State(site): State<Arc<Site>>,
    Segment(code): Segment,
    uri: Uri,
) -> Result<Response, Problem> {
    let pairs = Pairs::strict(&uri, KEYS)?;
    let book = site.view.book().await?;
    let station = station(&book, &code)?;
    let question = Question::read(&pairs, &book, site.now())?;
    let (wanted, gap_max) = question.of(station);
    let found = site.view.spells(wanted, question.every, question.beyond, gap_max).await?;
    Ok(Json(Said {
        station: station.code.to_string(),
        parameter: question.parameter.code.to_string(),
        unit: question.parameter.unit.clone(),
        above: question.above,
        below: question.below,
        gap_s: gap_max.as_secs(),
        intervals: question.intervals(&found),
    })
    .into_response())
}

/// `GET /api/v1/spells?parameter=&above=|below=&from=&to=&every=&gap=&as_of=`: the same of every station that has readings
/// of the parameter, by code. All intervals of all stations together are at most as many as rows in any other answer.
pub(crate) async fn everywhere(
    State(site): State<Arc<Site>>,
    uri: Uri,
) -> Result<Response, Problem> {
    let pairs = Pairs::strict(&uri, KEYS)?;
    let book = site.view.book().await?;
    let question = Question::read(&pairs, &book, site.now())?;
    let mut stations = Vec::new();
    for station in &book.stations {
        if site.view.parameters(&station.code).await?.contains(&question.parameter.code) {
            stations.push(station);
        }
    }
    let each = u32::try_from(ROWS_MAX / stations.len().max(1)).unwrap_or(u32::MAX);
    if question.every.after(question.span.0, each) < question.span.1 {
        let detail = format!("that would be more than {ROWS_MAX} intervals; ask for longer ones");
        return Err(Problem::bad_query(detail));
    }
    let wanted: Vec<(Wanted, Duration)> = stations.iter().map(|one| question.of(one)).collect();
    let gaps: Vec<u64> = wanted.iter().map(|(_, gap)| gap.as_secs()).collect();
    let found = site.view.spells_of(wanted, question.every, question.beyond).await?;
    let stations = stations.iter().zip(gaps).zip(&found).map(|((station, gap_s), found)| OneSaid {
        station: station.code.to_string(),
        gap_s,
        intervals: question.intervals(found),
    });
    Ok(Json(AllSaid {
        parameter: question.parameter.code.to_string(),
        unit: question.parameter.unit.clone(),
        above: question.above,
        below: question.below,
        stations: stations.collect(),
    })
    .into_response())
}

/// What is asked for, in one answer: it is refused where it would be more than one answer holds.
pub(super) fn span(
    pairs: &Pairs,
    every: Every,
    now: Timestamp,
) -> Result<(Timestamp, Timestamp), Problem> {
    let to = pairs.time("to")?.unwrap_or(now + Duration::from_millis(1));
    let from = pairs.time("from")?.unwrap_or(to - RANGE_DEFAULT);
    if to <= from {
        return Err(Problem::bad_query(format!("`from` {from} is not before `to` {to}")));
    }
    if BUCKETS_RANGE_MAX < to.since(from) {
        let days = BUCKETS_RANGE_MAX.as_secs() / 86_400;
        return Err(Problem::bad_query(format!("a range by intervals is at most {days} days")));
    }
    if every.after(from, u32::try_from(ROWS_MAX).unwrap_or(u32::MAX)) < to {
        let detail = format!("that would be more than {ROWS_MAX} intervals; ask for longer ones");
        return Err(Problem::bad_query(detail));
    }
    Ok((from, to))
}

fn interval(every: Every, spells: &Spells) -> Interval {
    Interval {
        time: spells.start,
        end: every.end(spells.start),
        beyond_s: spells.beyond.as_secs_f64(),
        known_s: spells.known.as_secs_f64(),
        spells: spells.spells,
        longest_s: spells.longest.as_secs_f64(),
    }
}
