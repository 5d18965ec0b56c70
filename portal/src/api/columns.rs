//! Readings as columns, for programs: the long form that `saltline import` reads, as a Parquet file or as a stream of
//! Arrow's. A row is a reading.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use domain::{Flag, Parameter, Station, Timestamp};
use history::longform::{self, Writer};

use super::form::{ARROW, Form, PARQUET};
use super::readings::Row;
use crate::problem::Problem;
use crate::view::Trouble;

/// The columns as an answer that a program saves. One that is not the whole says so in its name: the rest is where the
/// answer's link leads.
pub(super) fn file(
    station: &Station,
    series: &[(&Parameter, Vec<(Timestamp, Row)>)],
    form: Form,
    whole: bool,
) -> Result<Response, Problem> {
    let bytes = written(station, series, form).map_err(|error| Trouble::new("columns", error))?;
    let (kind, ending) = match form {
        Form::Parquet => (PARQUET, "parquet"),
        _ => (ARROW, "arrows"),
    };
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    let part = if whole { "" } else { "-part" };
    let name = format!("attachment; filename=\"{}{part}.{ending}\"", station.code);
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

fn written(
    station: &Station,
    series: &[(&Parameter, Vec<(Timestamp, Row)>)],
    form: Form,
) -> std::io::Result<Vec<u8>> {
    let mut writer = match form {
        Form::Parquet => Writer::begin(longform::Form::Parquet, Vec::new())?,
        _ => Writer::arrow(Vec::new())?,
    };
    for (parameter, rows) in series {
        let names = (&station.code, &parameter.code, parameter.unit.as_str());
        for (at, row) in rows {
            let Row::Reading { value, flag, .. } = row else { continue };
            writer.write(names, *at, *value, Flag::from_number(*flag).unwrap_or(Flag::Missing))?;
        }
    }
    writer.finish()
}
