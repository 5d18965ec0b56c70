//! In which form an answer is written: what `format=` says, or else the request's `Accept`.

use axum::http::{HeaderMap, header};

use super::readings::{COLUMN_ROWS_MAX, ROWS_MAX, TABLE_ROWS_MAX};
use crate::problem::Problem;
use crate::query::Pairs;
use crate::words::Lang;

/// RFC 7946.
pub(super) const GEOJSON: &str = "application/geo+json";
/// As registered with IANA for Arrow's IPC stream.
pub(super) const ARROW: &str = "application/vnd.apache.arrow.stream";
/// As registered with IANA.
pub(super) const PARQUET: &str = "application/vnd.apache.parquet";

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    /// With headings in this language, where one was asked for, or our codes.
    Csv(Option<Lang>),
    /// A feature with the station's place, the readings among its properties (RFC 7946).
    GeoJson,
    /// A stream of Arrow's.
    Arrow,
    /// A Parquet file.
    Parquet,
}

impl Form {
    /// As the query says, or else the request's `Accept`.
    pub(super) fn of(pairs: &Pairs, headers: &HeaderMap) -> Result<Self, Problem> {
        let lang = match pairs.get("lang") {
            None => None,
            Some("vi") => Some(Lang::Vi),
            Some("en") => Some(Lang::En),
            Some(_) => return Err(Problem::bad_query("`lang`: write vi or en")),
        };
        match pairs.get("format") {
            Some("json") => Ok(Self::Json),
            Some("csv") => Ok(Self::Csv(lang)),
            Some("geojson") => Ok(Self::GeoJson),
            Some("arrow") => Ok(Self::Arrow),
            Some("parquet") => Ok(Self::Parquet),
            Some(_) => {
                Err(Problem::bad_query("`format` is one of json, csv, geojson, arrow, parquet"))
            }
            None => Ok(accepted(headers, lang)),
        }
    }

    /// Readings in one answer, over all its series.
    pub(super) const fn rows_max(self) -> usize {
        match self {
            Self::Json | Self::GeoJson => ROWS_MAX,
            Self::Arrow | Self::Parquet => COLUMN_ROWS_MAX,
            Self::Csv(_) => TABLE_ROWS_MAX,
        }
    }

    /// What the next page has to ask for to be like this one.
    pub(super) fn query(self) -> &'static str {
        match self {
            Self::Json => "",
            Self::GeoJson => "&format=geojson",
            Self::Arrow => "&format=arrow",
            Self::Parquet => "&format=parquet",
            Self::Csv(None) => "&format=csv",
            Self::Csv(Some(Lang::Vi)) => "&format=csv&lang=vi",
            Self::Csv(Some(Lang::En)) => "&format=csv&lang=en",
        }
    }
}

/// The first that `Accept` names of what we write; a browser names none.
fn accepted(headers: &HeaderMap, lang: Option<Lang>) -> Form {
    let kinds = [
        ("application/json", Form::Json),
        ("text/csv", Form::Csv(lang)),
        (GEOJSON, Form::GeoJson),
        (ARROW, Form::Arrow),
        (PARQUET, Form::Parquet),
    ];
    let said = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let said = said.unwrap_or_default();
    let named = kinds.into_iter().filter_map(|(kind, form)| Some((said.find(kind)?, form)));
    named.min_by_key(|(at, _)| *at).map_or(Form::Json, |(_, form)| form)
}
