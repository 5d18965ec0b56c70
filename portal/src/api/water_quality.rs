//! `stations/{code}/water-quality`: VN_WQI by intervals or what it lacks, the class of the water and the limits of health
//! by the table in force, how long a class was not kept, and first flushes.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use domain::Every;
use domain::water_quality::limits::{Bound, Grade, Judgement, Purpose, Sureness, Table};
use domain::water_quality::vn_wqi::{Computability, Group, Index, Missing};
use domain::water_quality::{Analyte, Pollution};
use serde_json::{Map, Value, json};

use super::{Segment, finite, station};
use crate::problem::Problem;
use crate::query::Pairs;
use crate::site::Site;
use crate::water::{Asked, Interval, Over, table, usual_column};

const KEYS: &[&str] = &["from", "to", "every", "class", "as_of", "layer"];

/// Without `from`, the last week.
const RANGE_DEFAULT: Duration = Duration::from_hours(7 * 24);

/// Every reading of a range is looked at, so it is a season at most.
const RANGE_MAX: Duration = Duration::from_hours(370 * 24);

/// Intervals of one answer.
const INTERVALS_MAX: u32 = 9_000;

/// `GET /api/v1/stations/{code}/water-quality?from=&to=&every=&class=&as_of=&layer=`
pub(crate) async fn water_quality(
    State(site): State<Arc<Site>>,
    Segment(code): Segment,
    uri: Uri,
) -> Result<Response, Problem> {
    let pairs = Pairs::strict(&uri, KEYS)?;
    let book = site.view.book().await?;
    let station = station(&book, &code)?;
    let every = pairs.every("every")?.unwrap_or(Every::Day);
    let to = pairs.time("to")?.unwrap_or(site.now() + Duration::from_millis(1));
    let from = pairs.time("from")?.unwrap_or(to - RANGE_DEFAULT);
    if to <= from || RANGE_MAX < to.since(from) || every.after(from, INTERVALS_MAX) < to {
        return Err(Problem::bad_query(format!(
            "`from` lies before `to`, by {} days and {INTERVALS_MAX} intervals at most",
            RANGE_MAX.as_secs() / 86_400
        )));
    }
    let (as_of, shown) = (pairs.time("as_of")?, pairs.layer()?);
    let asked = Asked { site: &site, book: &book, station, from, to, as_of, shown };
    let classes = class_table(&asked, pairs.get("class"))?;
    let analytes = asked.analytes().await?;
    let intervals = asked.intervals(&analytes, every).await?;
    let over = match classes {
        Some(classes) => asked.over(&analytes, classes).await?,
        None => Vec::new(),
    };
    let flushes = asked.first_flushes().await?;
    let flush = |it: &domain::water_quality::FirstFlush| json!({ "from": it.from.to_string(), "until": it.until.to_string(), "rain_mm": it.rain_mm });
    Ok(Json(json!({
        "station": station.code.to_string(),
        "from": from.to_string(),
        "to": to.to_string(),
        "intervals": intervals.iter().map(|it| interval_said(it, every)).collect::<Vec<_>>(),
        "exceedance": classes.map(|(table, column)| json!({
            "table": table.name,
            "source": table.source,
            "class": column,
            "analytes": over.iter().map(over_said).collect::<Vec<_>>(),
        })),
        "first_flushes": flushes.iter().map(flush).collect::<Vec<_>>(),
    }))
    .into_response())
}

/// The table of classes that is in force at the end of the range, and its column that is asked for; none where no table is
/// known of that time.
fn class_table<'a>(
    asked: &Asked<'_>,
    column: Option<&'a str>,
) -> Result<Option<(&'static Table, &'a str)>, Problem> {
    let last = asked.to - Duration::from_millis(1);
    let Some(table) = table(Purpose::Classes, last) else { return Ok(None) };
    let column = column.unwrap_or_else(|| usual_column(table));
    if !table.columns.contains(&column) {
        let known = table.columns.join(", ");
        return Err(Problem::bad_query(format!("`class` is one of {known} of {}", table.name)));
    }
    Ok(Some((table, column)))
}

fn interval_said(interval: &Interval<'_>, every: Every) -> Value {
    let amounts: Vec<Value> = interval.amounts.iter().map(amount_said).collect();
    let mut said = json!({
        "time": interval.start.to_string(),
        "end": every.end(interval.start).to_string(),
        "amounts": amounts,
        "water_temperature": finite(interval.water_c),
    });
    match &interval.index {
        Computability::Computed(index) => said["wqi"] = index_said(index),
        Computability::NotComputable { missing } => {
            said["wqi"] = Value::Null;
            said["missing"] = missing.iter().map(missing_said).collect();
        }
    }
    said["tables"] = interval.judged.iter().map(|(table, it)| judged_said(table, it)).collect();
    said
}

fn amount_said(amount: &crate::water::Amount<'_>) -> Value {
    let (symbol, unit) = amount.analyte.symbol_and_unit();
    let extreme = |at: Option<crate::view::At>| finite(at.map(|at| at.value));
    json!({
        "analyte": amount.analyte.code(),
        "symbol": symbol,
        "unit": unit,
        "mean": amount.mean,
        "min": extreme(amount.bucket.min),
        "max": extreme(amount.bucket.max),
        "count": amount.bucket.count,
        "flag": amount.bucket.flag.number(),
    })
}

fn index_said(index: &Index) -> Value {
    let [red, green, blue] = index.label.rgb();
    let groups: Vec<&str> = index.groups.iter().map(|group| group.roman()).collect();
    let each: Map<String, Value> =
        index.sub_indices.iter().map(|(it, value)| (it.code().to_owned(), json!(value))).collect();
    json!({
        "value": index.value,
        "label": index.label.vi(),
        "label_en": index.label.en(),
        "colour": format!("#{red:02x}{green:02x}{blue:02x}"),
        "groups": groups,
        "sub_indices": each,
        "oxygen_without_salt": index.oxygen_without_salt,
    })
}

fn missing_said(missing: &Missing) -> Value {
    let roman = |groups: &[Group]| groups.iter().map(|group| group.roman()).collect::<Vec<_>>();
    match missing {
        Missing::NotAValue(analyte) => json!({ "not_a_value": analyte.code() }),
        Missing::WaterTemperature => json!({ "parameter": "water_temperature" }),
        Missing::OfGroupIv(count) => json!({ "analytes_of_group_iv": count }),
        Missing::Groups(count, of) => json!({ "groups": count, "out_of": roman(of) }),
    }
}

fn judged_said(table: &Table, judgement: &Judgement) -> Value {
    let codes = |of: &[Analyte]| of.iter().map(|it| it.code()).collect::<Vec<_>>();
    let unsure = |grade: Grade| {
        // The grade is the law's only where a row that was read in it decides.
        let mut deciding = judgement.each.iter().filter(|(_, own, _)| *own == grade);
        !deciding.any(|(_, _, sureness)| *sureness == Sureness::Read)
    };
    let each: Map<String, Value> = judgement
        .each
        .iter()
        .map(|(analyte, grade, _)| (analyte.code().to_owned(), json!(table.name_of(*grade))))
        .collect();
    json!({
        "table": table.name,
        "source": table.source,
        "grade": table.name_of(judgement.grade),
        "to_verify": unsure(judgement.grade),
        "each": each,
        "unmeasured": codes(&judgement.unmeasured),
        "not_a_value": codes(&judgement.not_a_value),
    })
}

fn over_said(over: &Over<'_>) -> Value {
    let found = &over.exceedance;
    let spell = |it: &domain::water_quality::OverLimit| json!({ "from": it.from.to_string(), "to": it.to.to_string() });
    json!({
        "analyte": over.analyte.code(),
        "parameter": over.parameter.code.to_string(),
        "bound": bound_said(over.rule.bound),
        "pollution": pollution_said(found.pollution),
        "known_s": found.known.as_secs_f64(),
        "over_s": found.over.as_secs_f64(),
        "share": found.share,
        "hold_s": over.rule.hold.as_secs(),
        "share_max": over.rule.share,
        "spells": found.spells.iter().map(spell).collect::<Vec<_>>(),
    })
}

/// A bound as people write it.
fn bound_said(bound: Bound) -> String {
    match bound {
        Bound::AtMost(limit) => format!("≤ {limit}"),
        Bound::AtLeast(limit) => format!("≥ {limit}"),
        Bound::Between(low, high) => format!("{low} – {high}"),
        Bound::Any => "–".to_owned(),
    }
}

const fn pollution_said(pollution: Pollution) -> &'static str {
    match pollution {
        Pollution::Held => "held",
        Pollution::Share => "share",
        Pollution::None => "none",
        Pollution::Unknown => "unknown",
    }
}
