//! `[[station.layout]]`: one field of a payload of bare bytes each; also a file of its own with `[[layout]]`, for
//! `saltline station add --layout FILE`.

use domain::LayoutField;
use domain::raw::{Absent, Kind, Order};
use toml::Value;

use super::PackError;
use super::section::{Section, parse};

const KEYS: [&str; 10] =
    ["parameter", "port", "at", "type", "order", "mask", "scale", "offset", "unit", "absent"];

/// What the file is called in messages.
const FILE: &str = "layout";

/// Reads the `[[layout]]` of a file.
///
/// # Errors
/// [`PackError`] with the key of the first thing that is wrong.
pub fn read_layout(text: &str) -> Result<Vec<LayoutField>, PackError> {
    let table = parse(FILE, text)?;
    fields(&Section::root(FILE, &table, &["layout"])?)
}

/// The fields of the layout in this section.
pub(super) fn fields(section: &Section<'_>) -> Result<Vec<LayoutField>, PackError> {
    section.each("layout", "parameter", &KEYS)?.iter().map(field).collect()
}

fn field(section: &Section<'_>) -> Result<LayoutField, PackError> {
    let scaled = "a number: value = scale * raw + offset";
    let parameter = section.code("parameter", "a parameter, as \"salinity\"")?;
    let kind = kind(section)?;
    let at = "the first byte, from 0, as at = 2";
    Ok(LayoutField {
        port: section.whole_maybe("port", "a LoRaWAN port (fPort), 1 to 255")?,
        at: match section.whole_maybe("at", at)? {
            Some(found) => found,
            None => return Err(section.at("at", super::Problem::Missing { wanted: at })),
        },
        kind,
        order: order(section)?,
        mask: section.whole_maybe("mask", "the bits that are meant, as 0x3fff")?,
        scale: section.number_maybe("scale", scaled)?.unwrap_or(1.0),
        offset: section.number_maybe("offset", scaled)?.unwrap_or(0.0),
        unit: section.text_maybe("unit")?.map(str::to_owned),
        parameter,
        absent: section.list(
            "absent",
            |found| absent(found, kind),
            "raw numbers, as [0, 65535]",
        )?,
    })
}

fn kind(section: &Section<'_>) -> Result<Kind, PackError> {
    let text = section.text("type", "what it is made of, as \"u16\"")?;
    let kind = Kind::parse(text).filter(|kind| Kind::BYTES.contains(kind));
    let names =
        || format!("one of {}; of single bits a mask", Kind::BYTES.map(Kind::as_str).join(", "));
    kind.ok_or_else(|| section.wrong("type", &text.into(), names()))
}

fn order(section: &Section<'_>) -> Result<Order, PackError> {
    let Some(text) = section.text_maybe("order")? else { return Ok(Order::default()) };
    let names = || format!("one of {}", Order::ALL.map(Order::as_str).join(", "));
    Order::parse(text).ok_or_else(|| section.wrong("order", &text.into(), names()))
}

fn absent(found: &Value, kind: Kind) -> Option<Absent> {
    match found {
        Value::String(text) if text == "nan" && kind.is_real() => Some(Absent::Nan),
        Value::Integer(whole) if !kind.is_real() => Some(Absent::Whole(*whole)),
        Value::Integer(whole) => i32::try_from(*whole).ok().map(f64::from).map(Absent::Real),
        Value::Float(real) if kind.is_real() && real.is_finite() => Some(Absent::Real(*real)),
        _ => None,
    }
}
