//! `stations/{code}/statistics`: how a series is spread, over a range or by month and hour of day; `…/availability`: how
//! much of it is there.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use domain::{Aggregation, Every, Parameter, Station, Timestamp};
use history::{By, Group, Rhythm, Spread, VALUES_MAX};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::readings::parameter;
use super::spells::{GAP_HALF_INTERVALS, span};
use super::{Segment, station};
use crate::problem::Problem;
use crate::query::Pairs;
use crate::site::Site;
use crate::view::{Book, Wanted};

/// Percentiles or limits of one question.
const NUMBERS_MAX: usize = 20;

/// Gaps that are told one by one.
const GAPS_MAX: usize = 1_000;

/// Without `percentiles`: what the forecasts' bands are too, and the quartiles.
const PERCENTILES: [f64; 7] = [5.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0];

#[derive(Serialize)]
struct SpreadSaid {
    station: String,
    parameter: String,
    unit: String,
    from: String,
    to: String,
    groups: Vec<Value>,
}

/// `GET /api/v1/stations/{code}/statistics?parameter=&from=&to=&by=all|month|hour|month-hour&percentiles=&above=`
pub(crate) async fn statistics(
    State(site): State<Arc<Site>>,
    Segment(code): Segment,
    uri: Uri,
) -> Result<Response, Problem> {
    let keys = &["parameter", "from", "to", "by", "percentiles", "above", "as_of", "layer"];
    let pairs = Pairs::strict(&uri, keys)?;
    let book = site.view.book().await?;
    let (station, parameter) = series(&book, &code, &pairs)?;
    if parameter.aggregation == Aggregation::Direction {
        return Err(Problem::bad_query("a direction has no percentiles"));
    }
    let percentiles = numbers(&pairs, "percentiles")?.unwrap_or_else(|| PERCENTILES.to_vec());
    if percentiles.iter().any(|percent| !(0.0..=100.0).contains(percent)) {
        return Err(Problem::bad_query("`percentiles` lie between 0 and 100"));
    }
    let limits = numbers(&pairs, "above")?.unwrap_or_default();
    let spread = Spread { by: by(&pairs)?, percentiles, limits };
    let (from, to) = span(&pairs, Every::Month, site.now())?;
    let wanted = wanted(&book, (station, parameter), &pairs, (from, to))?;
    let groups = site.view.spread(wanted, spread.clone()).await?.ok_or_else(|| {
        Problem::bad_query(format!(
            "that is more than {VALUES_MAX} readings; ask for a shorter range"
        ))
    })?;
    let groups = groups.iter().map(|group| group_said(group, &spread)).collect();
    let (unit, from, to) = (parameter.unit.clone(), from.to_string(), to.to_string());
    let (station, parameter) = (station.code.to_string(), parameter.code.to_string());
    Ok(Json(SpreadSaid { station, parameter, unit, from, to, groups }).into_response())
}

fn group_said(group: &Group, spread: &Spread) -> Value {
    let named = |names: &[f64], values: &[f64]| -> Map<String, Value> {
        names.iter().zip(values).map(|(name, value)| (name.to_string(), json!(value))).collect()
    };
    let mut said = json!({
        "count": group.count,
        "min": group.min,
        "max": group.max,
        "mean": group.mean,
        "percentiles": named(&spread.percentiles, &group.percentiles),
        "at_or_above": named(&spread.limits, &group.at_or_above),
    });
    for (name, part) in [("month", group.month), ("hour", group.hour)] {
        if let Some(part) = part {
            said[name] = json!(part);
        }
    }
    said
}

#[derive(Serialize)]
struct AvailableSaid {
    station: String,
    parameter: String,
    interval_s: u64,
    gap_s: u64,
    intervals: Vec<IntervalSaid>,
    gaps: Vec<GapSaid>,
    more_gaps: u64,
}

#[derive(Serialize)]
struct IntervalSaid {
    time: String,
    end: String,
    expected: u64,
    came: u64,
    usable: u64,
    longest_gap_s: f64,
}

#[derive(Serialize)]
struct GapSaid {
    from: String,
    to: String,
    seconds: f64,
}

/// `GET /api/v1/stations/{code}/availability?parameter=&from=&to=&every=&gap=`
pub(crate) async fn availability(
    State(site): State<Arc<Site>>,
    Segment(code): Segment,
    uri: Uri,
) -> Result<Response, Problem> {
    let keys = &["parameter", "from", "to", "every", "gap", "as_of", "layer"];
    let pairs = Pairs::strict(&uri, keys)?;
    let book = site.view.book().await?;
    let (station, parameter) = series(&book, &code, &pairs)?;
    let every = pairs.every("every")?.unwrap_or(Every::Month);
    let gap_min = pairs.duration("gap")?;
    let gap_min = gap_min.unwrap_or(station.interval.saturating_mul(GAP_HALF_INTERVALS) / 2);
    let rhythm = Rhythm { interval: station.interval, every, gap_min, gaps_max: GAPS_MAX };
    let (from, to) = span(&pairs, every, site.now())?;
    let wanted = wanted(&book, (station, parameter), &pairs, (from, to))?;
    let found = site.view.availability(wanted, rhythm).await?;
    let seconds = |span: Duration| span.as_secs_f64();
    let interval = |one: &history::Availability| IntervalSaid {
        time: one.start.to_string(),
        end: every.end(one.start).to_string(),
        expected: one.expected,
        came: one.came,
        usable: one.usable,
        longest_gap_s: seconds(one.longest_gap),
    };
    let gap = |gap: &history::Gap| GapSaid {
        from: gap.from.to_string(),
        to: gap.to.to_string(),
        seconds: seconds(gap.to.since(gap.from)),
    };
    Ok(Json(AvailableSaid {
        station: station.code.to_string(),
        parameter: parameter.code.to_string(),
        interval_s: station.interval.as_secs(),
        gap_s: gap_min.as_secs(),
        intervals: found.intervals.iter().map(interval).collect(),
        gaps: found.gaps.iter().map(gap).collect(),
        more_gaps: found.more_gaps,
    })
    .into_response())
}

pub(super) fn series<'a>(
    book: &'a Book,
    code: &str,
    pairs: &Pairs,
) -> Result<(&'a Station, &'a Parameter), Problem> {
    let station = station(book, code)?;
    let Some(name) = pairs.get("parameter") else {
        return Err(Problem::bad_query("`parameter` is missing: of what?"));
    };
    Ok((station, parameter(book, name)?))
}

pub(super) fn wanted(
    book: &Book,
    (station, parameter): (&Station, &Parameter),
    pairs: &Pairs,
    (from, to): (Timestamp, Timestamp),
) -> Result<Wanted, Problem> {
    let edits = book.edits_of(&station.code, &parameter.code, pairs.layer()?);
    let as_of = pairs.time("as_of")?;
    let (station, parameter) = (station.code.clone(), parameter.code.clone());
    Ok(Wanted { station, parameter, from, to, as_of, edits })
}

fn by(pairs: &Pairs) -> Result<By, Problem> {
    match pairs.get("by") {
        None | Some("all") => Ok(By::All),
        Some("month") => Ok(By::Month),
        Some("hour") => Ok(By::Hour),
        Some("month-hour") => Ok(By::MonthHour),
        Some(_) => Err(Problem::bad_query("`by` is one of all, month, hour, month-hour")),
    }
}

/// Numbers with commas between them.
fn numbers(pairs: &Pairs, key: &str) -> Result<Option<Vec<f64>>, Problem> {
    let Some(text) = pairs.get(key) else { return Ok(None) };
    let read = |one: &str| one.trim().parse().ok().filter(|number: &f64| number.is_finite());
    let numbers: Option<Vec<f64>> = text.split(',').map(read).collect();
    let numbers = numbers.filter(|numbers| numbers.len() <= NUMBERS_MAX);
    numbers.map(Some).ok_or_else(|| {
        Problem::bad_query(format!("`{key}`: up to {NUMBERS_MAX} numbers, as 0.5,1,4"))
    })
}
