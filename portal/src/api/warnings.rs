//! `warnings`: how the water stands under each rule at each station: exceed, safe or unknown.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use domain::Water;
use serde::Serialize;

use super::finite;
use crate::problem::Problem;
use crate::query::Pairs;
use crate::site::Site;
use crate::view::Standing;

#[derive(Serialize)]
pub(crate) struct WarningSaid {
    station: String,
    parameter: String,
    rule: String,
    /// From 1; `null` unless exceeding.
    level: Option<u16>,
    limit: Option<f64>,
    state: &'static str,
    since: Option<String>,
    value: Option<f64>,
    taken_at: Option<String>,
    /// In words.
    why: String,
    /// From the closed list.
    reason: Option<&'static str>,
}

/// `GET /api/v1/warnings`
pub(crate) async fn warnings(
    State(site): State<Arc<Site>>,
    uri: Uri,
) -> Result<Json<Vec<WarningSaid>>, Problem> {
    Pairs::strict(&uri, &[])?;
    let book = site.view.book().await?;
    let unit = |standing: &Standing| {
        book.parameter(standing.parameter.as_str()).map_or("", |parameter| parameter.unit.as_str())
    };
    let standing = site.view.standing();
    Ok(Json(standing.iter().map(|standing| said(standing, unit(standing))).collect()))
}

fn said(standing: &Standing, unit: &str) -> WarningSaid {
    let limit = finite(standing.limit);
    let (state, level, why) = match standing.water {
        Water::Exceed(level) => {
            let limit = limit.map_or_else(|| "the limit".to_owned(), |l| format!("{l} {unit}"));
            ("exceed", Some(u16::from(level) + 1), format!("good readings reached {limit}"))
        }
        Water::Safe => ("safe", None, "good readings stand below the limits".to_owned()),
        Water::Unknown if standing.why == Some(domain::Why::RuleUnusable) => (
            "unknown",
            None,
            "the rule cannot be computed; `saltline rule list` says why".to_owned(),
        ),
        Water::Unknown => ("unknown", None, "no good reading for two intervals".to_owned()),
    };
    WarningSaid {
        station: standing.station.to_string(),
        parameter: standing.parameter.to_string(),
        rule: standing.rule.to_string(),
        level,
        limit,
        state,
        since: standing.since.map(|at| at.to_string()),
        value: finite(standing.value),
        taken_at: standing.taken_at.map(|at| at.to_string()),
        why: why.trim_end().to_owned(),
        reason: standing.why.map(domain::Why::as_str),
    }
}
