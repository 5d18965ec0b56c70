//! `stations/{code}/spells`: how long the water stood above or below a limit, by day, month or any interval.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use domain::{Aggregation, Every, Timestamp};
use serde::Serialize;

use super::readings::{BUCKETS_RANGE_MAX, ROWS_MAX, parameter};
use super::{Segment, station};
use crate::problem::Problem;
use crate::query::Pairs;
use crate::site::Site;
use crate::view::{Beyond, Spells, Wanted};

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
struct Interval {
    time: String,
    end: String,
    beyond_s: f64,
    known_s: f64,
    spells: u32,
    longest_s: f64,
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
    let Some(name) = pairs.get("parameter") else {
        return Err(Problem::bad_query("`parameter` is missing: of what?"));
    };
    let parameter = parameter(&book, name)?;
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
    let gap = pairs.duration("gap")?;
    let gap_max = gap.unwrap_or(station.interval.saturating_mul(GAP_HALF_INTERVALS) / 2);
    let (from, to) = span(&pairs, every, site.now())?;
    let wanted = Wanted {
        station: station.code.clone(),
        parameter: parameter.code.clone(),
        from,
        to,
        as_of: pairs.time("as_of")?,
        edits: book.edits_of(&station.code, &parameter.code, pairs.layer()?),
    };
    let found = site.view.spells(wanted, every, beyond, gap_max).await?;
    Ok(Json(Said {
        station: station.code.to_string(),
        parameter: parameter.code.to_string(),
        unit: parameter.unit.clone(),
        above,
        below,
        gap_s: gap_max.as_secs(),
        intervals: found.iter().map(|spells| interval(every, spells)).collect(),
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
        time: spells.start.to_string(),
        end: every.end(spells.start).to_string(),
        beyond_s: spells.beyond.as_secs_f64(),
        known_s: spells.known.as_secs_f64(),
        spells: spells.spells,
        longest_s: spells.longest.as_secs_f64(),
    }
}
