//! How the bytes of a station lie, in the book: a row for each field, and what is wrong with one that could never be read.

use std::collections::HashMap;

use domain::raw::{Absent, Kind, Order};
use domain::{LayoutField, Parameter, ParameterCode, Station, unit};
use serde_json::{Value, json};
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::{Noun, RegistryError, parameters};

/// The byte behind the last that a field may have. LoRaWAN's largest payload has 242.
const END_MAX: usize = 255;

/// As many as a report may hold values of one port; no device has more ports than fields.
const FIELDS_MAX: usize = 128;

/// Raw numbers of one field that mean "there is none": no device has more than a few.
const ABSENT_MAX: usize = 16;

/// Every field of every station.
pub(crate) async fn all(
    sql: &mut SqliteConnection,
) -> Result<HashMap<String, Vec<LayoutField>>, RegistryError> {
    let query = "SELECT * FROM station_layout ORDER BY station, position";
    let mut layouts: HashMap<String, Vec<LayoutField>> = HashMap::new();
    for row in sqlx::query(query).fetch_all(sql).await? {
        layouts.entry(row.try_get("station")?).or_default().push(field(&row)?);
    }
    Ok(layouts)
}

/// The fields of one station.
pub(crate) async fn of(
    sql: &mut SqliteConnection,
    station: &str,
) -> Result<Vec<LayoutField>, RegistryError> {
    let query = "SELECT * FROM station_layout WHERE station = $1 ORDER BY position";
    let rows = sqlx::query(query).bind(station).fetch_all(sql).await?;
    rows.iter().map(field).collect()
}

/// Writes the fields of a station in place of those that it had.
pub(crate) async fn write(
    sql: &mut SqliteConnection,
    station: &Station,
) -> Result<(), RegistryError> {
    let code = station.code.as_str();
    let clear = "DELETE FROM station_layout WHERE station = $1";
    sqlx::query(clear).bind(code).execute(&mut *sql).await?;
    let layout = &station.profile.layout;
    if layout.is_empty() {
        return Ok(());
    }
    let known = parameters::all(sql).await?;
    for (position, field) in (0_i64..).zip(layout) {
        if let Err(why) = is_known(field, &known) {
            let why = format!("layout[{position}].{why}");
            return Err(RegistryError::bad(Noun::Station, code, why));
        }
        let statement = "INSERT INTO station_layout (station, position, port, at, kind, byte_order, \
                         mask, scale, shift, unit, parameter, absent) \
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
        sqlx::query(statement)
            .bind(code)
            .bind(position)
            .bind(field.port.map(i64::from))
            .bind(i64::from(field.at))
            .bind(field.kind.as_str())
            .bind(field.order.as_str())
            .bind(field.mask.map(i64::from))
            .bind(field.scale)
            .bind(field.offset)
            .bind(&field.unit)
            .bind(field.parameter.as_str())
            .bind(absent_text(&field.absent).to_string())
            .execute(&mut *sql)
            .await?;
    }
    Ok(())
}

/// Does the province know the parameter, and can the unit be turned into its own?
fn is_known(field: &LayoutField, known: &[Parameter]) -> Result<(), String> {
    let code = field.parameter.as_str();
    let Some(parameter) = known.iter().find(|parameter| parameter.code == field.parameter) else {
        let likeness = |it: &&Parameter| strsim::jaro_winkler(code, it.code.as_str());
        let nearest = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        let nearest = nearest.map_or("", |parameter| parameter.code.as_str());
        return Err(format!("parameter: `{code}` is unknown; did you mean `{nearest}`?"));
    };
    match &field.unit {
        Some(from)
            if *from != parameter.unit && unit::convert(1.0, from, &parameter.unit).is_none() =>
        {
            Err(format!("unit: `{from}` cannot be turned into `{}` of {code}", parameter.unit))
        }
        _ => Ok(()),
    }
}

/// Why a layout could never be read, and where: `layout[2].at: …`.
pub(crate) fn check(layout: &[LayoutField]) -> Result<(), String> {
    if FIELDS_MAX < layout.len() {
        return Err(format!("layout: {} fields; up to {FIELDS_MAX} are possible", layout.len()));
    }
    for (position, field) in layout.iter().enumerate() {
        check_field(field).map_err(|why| format!("layout[{position}].{why}"))?;
        let twice = layout[..position].iter().any(|other| {
            let together = other.is_on(field.port) || field.is_on(other.port);
            together && other.parameter == field.parameter
        });
        if twice {
            let parameter = &field.parameter;
            return Err(format!(
                "layout[{position}].parameter: `{parameter}` comes twice in a payload"
            ));
        }
    }
    Ok(())
}

fn check_field(field: &LayoutField) -> Result<(), String> {
    if !Kind::BYTES.contains(&field.kind) {
        let kinds = Kind::BYTES.map(Kind::as_str).join(", ");
        return Err(format!("type: there are {kinds}; of single bits write a `mask`"));
    }
    if END_MAX < field.end() {
        return Err(format!("at: it would end with byte {}; {END_MAX} is the last", field.end()));
    }
    if !field.scale.is_finite() || field.scale == 0.0 || !field.offset.is_finite() {
        return Err("scale: scale and offset are numbers, and scale is not 0".to_owned());
    }
    if let Some(mask) = field.mask {
        check_mask(mask, field.kind)?;
    }
    let fits = |absent: &Absent| matches!(absent, Absent::Whole(_)) != field.kind.is_real();
    if ABSENT_MAX < field.absent.len() || !field.absent.iter().all(fits) {
        return Err(format!("absent: up to {ABSENT_MAX} raw numbers as the type gives them"));
    }
    Ok(())
}

fn check_mask(mask: u32, kind: Kind) -> Result<(), String> {
    if !kind.is_unsigned() {
        return Err("mask: bits are taken from u8, u16 and u32".to_owned());
    }
    let most = match kind {
        Kind::U8 => u32::from(u8::MAX),
        Kind::U16 => u32::from(u16::MAX),
        _ => u32::MAX,
    };
    let ones = mask.checked_shr(mask.trailing_zeros()).unwrap_or(0);
    if mask == 0 || most < mask || ones & ones.wrapping_add(1) != 0 {
        return Err(format!("mask: bits side by side, from 1 to {most:#x}, as 0x3fff"));
    }
    Ok(())
}

fn field(row: &SqliteRow) -> Result<LayoutField, RegistryError> {
    let station: String = row.try_get("station")?;
    let damaged =
        |what: &str| RegistryError::damaged(Noun::Station, &station, format!("layout: {what}"));
    let (port, at): (Option<i64>, i64) = (row.try_get("port")?, row.try_get("at")?);
    let (kind, order): (String, String) = (row.try_get("kind")?, row.try_get("byte_order")?);
    let mask: Option<i64> = row.try_get("mask")?;
    let (parameter, absent): (String, String) = (row.try_get("parameter")?, row.try_get("absent")?);
    Ok(LayoutField {
        port: port.map(u8::try_from).transpose().map_err(|_| damaged("port"))?,
        at: u8::try_from(at).map_err(|_| damaged("at"))?,
        kind: Kind::parse(&kind).ok_or_else(|| damaged("kind"))?,
        order: Order::parse(&order).ok_or_else(|| damaged("byte_order"))?,
        mask: mask.map(u32::try_from).transpose().map_err(|_| damaged("mask"))?,
        scale: row.try_get("scale")?,
        offset: row.try_get("shift")?,
        unit: row.try_get("unit")?,
        parameter: ParameterCode::new(&parameter).map_err(|_| damaged("parameter"))?,
        absent: absent_read(&absent).ok_or_else(|| damaged("absent"))?,
    })
}

fn absent_text(absent: &[Absent]) -> Value {
    let one = |absent: &Absent| match absent {
        Absent::Nan => json!("nan"),
        Absent::Whole(whole) => json!(whole),
        Absent::Real(real) => json!(real),
    };
    absent.iter().map(one).collect()
}

fn absent_read(text: &str) -> Option<Vec<Absent>> {
    let one = |value: &Value| match value {
        Value::String(text) if text == "nan" => Some(Absent::Nan),
        Value::Number(number) => {
            number.as_i64().map(Absent::Whole).or(number.as_f64().map(Absent::Real))
        }
        _ => None,
    };
    serde_json::from_str::<Vec<Value>>(text).ok()?.iter().map(one).collect()
}

/// A field as the audit shows it.
pub(crate) fn text(field: &LayoutField) -> Value {
    json!({
        "port": field.port, "at": field.at, "type": field.kind.as_str(), "order": field.order.as_str(),
        "mask": field.mask, "scale": field.scale, "offset": field.offset, "unit": field.unit,
        "parameter": field.parameter.as_str(), "absent": absent_text(&field.absent),
    })
}
