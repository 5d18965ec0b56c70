//! `stations`, `stations/{code}`: where it is measured.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use domain::Station;
use serde::Serialize;

use super::field::GapsSaid;
use super::form::Form;
use super::geojson;
use super::{Segment, station};
use crate::field::ClockOff;
use crate::problem::Problem;
use crate::query::Pairs;
use crate::site::Site;
use crate::view::Book;
use crate::words::Lang;

#[derive(Serialize)]
pub(crate) struct StationSaid {
    code: String,
    name: String,
    lat: Option<f64>,
    lon: Option<f64>,
    river: Option<String>,
    river_name: Option<String>,
    km_from_mouth: Option<f64>,
    interval_s: u64,
}

#[derive(Serialize)]
pub(crate) struct StationWhole {
    #[serde(flatten)]
    station: StationSaid,
    parameters: Vec<ParameterSaid>,
    /// Reports that are missing; `null` where the station does not number them.
    gaps: Option<GapsSaid>,
    /// How far its clock is from ours; `null` where its reports state no time.
    clock: Option<ClockSaid>,
}

#[derive(Serialize)]
struct ClockSaid {
    offset_s: f64,
    reports: usize,
    at: String,
}

impl From<ClockOff> for ClockSaid {
    fn from(clock: ClockOff) -> Self {
        let ClockOff { ahead_ms, reports, at } = clock;
        Self { offset_s: ahead_ms as f64 / 1e3, reports, at: at.to_string() }
    }
}

#[derive(Serialize)]
struct ParameterSaid {
    code: String,
    unit: String,
    ucum: String,
    name: String,
    name_en: String,
    limits: Vec<LimitSaid>,
}

#[derive(Serialize)]
struct LimitSaid {
    limit: f64,
    level: u16,
    rule: String,
}

impl StationSaid {
    fn new(station: &Station, book: &Book) -> Self {
        Self {
            code: station.code.to_string(),
            name: station.name.clone(),
            lat: station.place.map(|place| place.lat),
            lon: station.place.map(|place| place.lon),
            river: station.river.clone(),
            river_name: station
                .river
                .as_deref()
                .map(|code| book.river_name(code, Lang::Vi).to_owned()),
            km_from_mouth: station.km_from_mouth,
            interval_s: station.interval.as_secs(),
        }
    }
}

/// `GET /api/v1/stations?format=`
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let pairs = Pairs::strict(&uri, &["format"])?;
    let form = Form::of(&pairs, &headers)?;
    let book = site.view.book().await?;
    let said = book.stations.iter().map(|station| (station, StationSaid::new(station, &book)));
    match form {
        Form::Json => {
            let all: Vec<StationSaid> = said.map(|(_, said)| said).collect();
            Ok(Json(all).into_response())
        }
        Form::GeoJson => {
            let all = said.map(|(station, said)| geojson::one(station, &said));
            Ok(geojson::collection(all.collect()))
        }
        _ => Err(Problem::bad_query("`format`: stations are written as json or geojson")),
    }
}

/// `GET /api/v1/stations/{code}`
pub(crate) async fn one(
    State(site): State<Arc<Site>>,
    Segment(code): Segment,
    uri: Uri,
) -> Result<Json<StationWhole>, Problem> {
    Pairs::strict(&uri, &[])?;
    let book = site.view.book().await?;
    let station = station(&book, &code)?;
    let known = site.view.parameters(&station.code).await?;
    let parameters = known.iter().filter_map(|code| book.parameter(code.as_str()));
    let said = parameters.map(|parameter| ParameterSaid {
        code: parameter.code.to_string(),
        unit: parameter.unit.clone(),
        ucum: parameter.ucum.clone(),
        name: parameter.name_vi.clone(),
        name_en: parameter.name_en.clone(),
        limits: book
            .limits(&station.code, &parameter.code)
            .into_iter()
            .map(|l| LimitSaid { limit: l.limit, level: u16::from(l.level) + 1, rule: l.rule })
            .collect(),
    });
    let parameters = said.collect();
    let field = site.settings.field.as_ref();
    let gaps = field.and_then(|field| field.gaps_of(&station.code)).as_ref().map(GapsSaid::new);
    let clock = field.and_then(|field| field.clock.as_ref()(&station.code)).map(Into::into);
    let station = StationSaid::new(station, &book);
    Ok(Json(StationWhole { station, parameters, gaps, clock }))
}
