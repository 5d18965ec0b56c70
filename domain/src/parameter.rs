//! What is measured. Each parameter has one unit on our wires and pages; a station's own unit is converted by its
//! profile before anything is believed. A new parameter is a row in the registry; the ones here are the first rows.

use crate::{Aggregation, ParameterCode};

/// A closed interval of a parameter's unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// Smallest value inside.
    pub low: f64,
    /// Largest value inside.
    pub high: f64,
}

impl Range {
    /// Is the value inside, ends included?
    #[must_use]
    pub fn holds(self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

/// A measured quantity with its one unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its key, as `salinity`.
    pub code: ParameterCode,
    /// The unit as people read it, as `g/L`.
    pub unit: String,
    /// The unit in UCUM, for the API.
    pub ucum: String,
    /// Its name in Vietnamese.
    pub name_vi: String,
    /// Its name in English.
    pub name_en: String,
    /// Digits after the point that a person is shown.
    pub decimals: u8,
    /// Outside of it a value is bad (flag 4).
    pub fail: Option<Range>,
    /// Outside of it a value is suspect (flag 3).
    pub suspect: Option<Range>,
    /// How readings of an interval become one number.
    pub aggregation: Aggregation,
}

type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    u8,
    Option<(f64, f64)>,
    Option<(f64, f64)>,
);

/// Codes and units of `docs/wire.md`; ranges of the gross-range test from the sensor specification of Circular
/// 10/2021/TT-BTNMT and the regime measured in Tiền Giang in 2024 (level ±5 m, −2.3…2.6 m), where one is known.
const STANDARD: &[Row] = &[
    ("salinity", "g/L", "g/L", "Độ mặn", "Salinity", 2, Some((-0.05, 40.0)), Some((-0.05, 38.0))),
    ("conductivity", "mS/cm", "mS/cm", "Độ dẫn điện", "Conductivity", 2, Some((0.0, 100.0)), None),
    (
        "conductivity_25",
        "mS/cm",
        "mS/cm",
        "Độ dẫn điện ở 25 °C",
        "Conductivity at 25 °C",
        2,
        Some((0.0, 100.0)),
        None,
    ),
    (
        "water_temperature",
        "°C",
        "Cel",
        "Nhiệt độ nước",
        "Water temperature",
        1,
        Some((5.0, 45.0)),
        Some((22.0, 36.0)),
    ),
    ("water_level", "m", "m", "Mực nước", "Water level", 2, Some((-5.0, 5.0)), Some((-2.3, 2.6))),
    (
        "water_level_inside",
        "m",
        "m",
        "Mực nước trong đồng",
        "Water level inside",
        2,
        Some((-5.0, 5.0)),
        None,
    ),
    (
        "salinity_inside",
        "g/L",
        "g/L",
        "Độ mặn trong đồng",
        "Salinity inside",
        2,
        Some((-0.05, 40.0)),
        Some((-0.05, 38.0)),
    ),
    ("ph", "", "[pH]", "pH", "pH", 1, Some((0.0, 14.0)), Some((5.0, 9.5))),
    (
        "dissolved_oxygen",
        "mg/L",
        "mg/L",
        "Oxy hòa tan",
        "Dissolved oxygen",
        1,
        Some((0.0, 20.0)),
        Some((1.0, 14.0)),
    ),
    ("turbidity", "NTU", "[NTU]", "Độ đục", "Turbidity", 0, Some((0.0, 4000.0)), None),
    ("ammonium", "mg/L N", "mg/L", "Amoni", "Ammonium", 2, Some((0.0, 1000.0)), None),
    ("nitrate", "mg/L N", "mg/L", "Nitrat", "Nitrate", 2, Some((0.0, 1000.0)), None),
    ("cod", "mg/L", "mg/L", "COD", "COD", 1, Some((0.0, 10000.0)), None),
    ("bod5", "mg/L", "mg/L", "BOD5", "BOD5", 1, Some((0.0, 10000.0)), None),
    ("tss", "mg/L", "mg/L", "TSS", "TSS", 0, Some((0.0, 10000.0)), None),
    ("chlorophyll", "µg/L", "ug/L", "Diệp lục", "Chlorophyll", 1, Some((0.0, 1000.0)), None),
    ("rainfall", "mm", "mm", "Lượng mưa", "Rainfall", 1, Some((0.0, 300.0)), None),
    (
        "air_temperature",
        "°C",
        "Cel",
        "Nhiệt độ không khí",
        "Air temperature",
        1,
        Some((-20.0, 55.0)),
        None,
    ),
    ("humidity", "%", "%", "Độ ẩm", "Humidity", 0, Some((0.0, 100.0)), None),
    ("air_pressure", "hPa", "hPa", "Khí áp", "Air pressure", 1, Some((870.0, 1085.0)), None),
    ("wind_speed", "m/s", "m/s", "Tốc độ gió", "Wind speed", 1, Some((0.0, 90.0)), None),
    ("wind_direction", "°", "deg", "Hướng gió", "Wind direction", 0, Some((0.0, 360.0)), None),
    (
        "solar_radiation",
        "W/m²",
        "W/m2",
        "Bức xạ mặt trời",
        "Solar radiation",
        0,
        Some((-10.0, 1600.0)),
        None,
    ),
    ("gate_opening", "m", "m", "Độ mở cống", "Gate opening", 2, Some((0.0, 20.0)), None),
    ("battery", "V", "V", "Ắc quy", "Battery", 1, Some((0.0, 60.0)), None),
    ("signal", "dBm", "dB[mW]", "Sóng", "Signal", 0, Some((-150.0, 0.0)), None),
];

/// The parameters that every registry starts with.
#[must_use]
pub fn standard_parameters() -> Vec<Parameter> {
    STANDARD.iter().map(parameter).collect()
}

fn parameter(row: &Row) -> Parameter {
    let &(code, unit, ucum, name_vi, name_en, decimals, fail, suspect) = row;
    let range = |(low, high)| Range { low, high };
    Parameter {
        code: ParameterCode::new(code).expect("the standard codes are tested"),
        unit: unit.to_owned(),
        ucum: ucum.to_owned(),
        name_vi: name_vi.to_owned(),
        name_en: name_en.to_owned(),
        decimals,
        fail: fail.map(range),
        suspect: suspect.map(range),
        aggregation: aggregation(code),
    }
}

/// Of the standard parameters, what comes is added up, directions are vectors, and all else is a state.
fn aggregation(code: &str) -> Aggregation {
    match code {
        "rainfall" => Aggregation::Total,
        "wind_direction" => Aggregation::Direction,
        _ => Aggregation::Mean,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_standard_parameter_is_sound() {
        let all = standard_parameters();
        assert_eq!(all.len(), STANDARD.len());
        for p in &all {
            if let (Some(fail), Some(suspect)) = (p.fail, p.suspect) {
                assert!(fail.holds(suspect.low) && fail.holds(suspect.high), "{}", p.code);
            }
        }
    }
}
