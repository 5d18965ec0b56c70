//! `stations/{code}/tests`: what each test said of the readings of a series, as they came, beside the flag that is the
//! worst of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use history::Tested;
use serde::Serialize;

use super::statistics::{series, wanted};
use super::{Segment, finite};
use crate::problem::Problem;
use crate::query::Pairs;
use crate::site::Site;

const KEYS: &[&str] = &["parameter", "from", "to", "as_of"];

/// The longest range: 31 days of a reading a minute are 45,000 rows of some 300 bytes.
const RANGE_MAX: Duration = Duration::from_hours(31 * 24);

/// Without `from`, the last day.
const RANGE_DEFAULT: Duration = Duration::from_hours(24);

#[derive(Serialize)]
struct Said {
    station: String,
    parameter: String,
    unit: String,
    readings: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    time: String,
    value: Option<f64>,
    flag: u8,
    /// By the names of the tests; empty where nobody tested the reading one by one.
    tests: BTreeMap<&'static str, u8>,
}

/// `GET /api/v1/stations/{code}/tests?parameter=&from=&to=&as_of=`
pub(crate) async fn tests(
    State(site): State<Arc<Site>>,
    Segment(code): Segment,
    uri: Uri,
) -> Result<Response, Problem> {
    let pairs = Pairs::strict(&uri, KEYS)?;
    let book = site.view.book().await?;
    let (station, parameter) = series(&book, &code, &pairs)?;
    let to = pairs.time("to")?.unwrap_or(site.now() + Duration::from_millis(1));
    let from = pairs.time("from")?.unwrap_or(to - RANGE_DEFAULT);
    if to <= from {
        return Err(Problem::bad_query(format!("`from` {from} is not before `to` {to}")));
    }
    if RANGE_MAX < to.since(from) {
        let days = RANGE_MAX.as_secs() / 86_400;
        return Err(Problem::bad_query(format!("a range of tests is at most {days} days")));
    }
    let wanted = wanted(&book, (station, parameter), &pairs, (from, to))?;
    let found = site.view.test_flags(wanted).await?;
    Ok(Json(Said {
        station: station.code.to_string(),
        parameter: parameter.code.to_string(),
        unit: parameter.unit.clone(),
        readings: found.iter().map(row).collect(),
    })
    .into_response())
}

fn row(reading: &Tested) -> Row {
    Row {
        time: reading.taken_at.to_string(),
        value: finite(reading.value),
        flag: reading.flag.number(),
        tests: reading.tests.iter().map(|(test, flag)| (test.name(), flag.number())).collect(),
    }
}
