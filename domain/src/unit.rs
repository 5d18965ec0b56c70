//! Units as people and machines spell them, and what turns one into another. One table for the whole product.

/// A spelling, the quantity it measures, and what makes the quantity's base unit of it: `base = scale · value + offset`.
struct Unit(&'static [&'static str], Quantity, f64, f64);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quantity {
    Temperature,
    Conductivity,
    Mass,
    Nitrogen,
    Length,
    Ratio,
    Pressure,
    Speed,
    Angle,
    Irradiance,
    Voltage,
    Power,
    Turbidity,
    Acidity,
}

use Quantity as Q;

/// Spellings of UCUM, of SenML (RFC 8798 and its registry), of Circular 10/2021 files and of loggers in the field.
///
/// Parts per thousand and practical salinity count as g/L: Vietnam's bulletins use the numbers as equal, and the
/// difference is 0.5 % at 4 g/L. "mg/L" is not "mg/L N": which of the two an ammonium probe means, its profile says.
const UNITS: &[Unit] = &[
    Unit(&["°C", "Cel", "oC", "ºC", "C", "degC", "deg_C", "deg C", "℃"], Q::Temperature, 1.0, 0.0),
    Unit(&["K", "Kelvin"], Q::Temperature, 1.0, -273.15),
    Unit(&["°F", "[degF]", "degF", "F", "Fah"], Q::Temperature, 5.0 / 9.0, -160.0 / 9.0),
    Unit(&["mS/cm", "dS/m", "mmho/cm"], Q::Conductivity, 1.0, 0.0),
    Unit(&["µS/cm", "μS/cm", "uS/cm", "micS/cm", "umho/cm"], Q::Conductivity, 1e-3, 0.0),
    Unit(&["mS/m"], Q::Conductivity, 1e-2, 0.0),
    Unit(&["S/m"], Q::Conductivity, 10.0, 0.0),
    Unit(&["g/L", "g/l", "kg/m3", "kg/m³", "ppt", "‰", "psu", "PSU"], Q::Mass, 1.0, 0.0),
    Unit(&["mg/L", "mg/l", "ppm", "g/m3", "g/m³"], Q::Mass, 1e-3, 0.0),
    Unit(&["µg/L", "μg/L", "ug/L", "ug/l", "ppb", "mg/m3", "mg/m³"], Q::Mass, 1e-6, 0.0),
    Unit(&["mg/L N", "mg/l N", "mg N/L", "mgN/L", "mg/L-N"], Q::Nitrogen, 1.0, 0.0),
    Unit(&["m", "meter", "metre", "mét"], Q::Length, 1.0, 0.0),
    Unit(&["cm"], Q::Length, 1e-2, 0.0),
    Unit(&["mm", "l/m2", "L/m2", "L/m²"], Q::Length, 1e-3, 0.0),
    Unit(&["ft", "[ft_i]", "feet"], Q::Length, 0.3048, 0.0),
    Unit(&["in", "[in_i]", "inch"], Q::Length, 0.0254, 0.0),
    Unit(&["%", "%RH", "%rh", "percent"], Q::Ratio, 1.0, 0.0),
    Unit(&["/"], Q::Ratio, 100.0, 0.0),
    Unit(&["hPa", "mbar", "mb"], Q::Pressure, 1.0, 0.0),
    Unit(&["Pa"], Q::Pressure, 1e-2, 0.0),
    Unit(&["kPa"], Q::Pressure, 10.0, 0.0),
    Unit(&["bar"], Q::Pressure, 1e3, 0.0),
    Unit(&["mmHg", "mm[Hg]"], Q::Pressure, 1.333_223_874, 0.0),
    Unit(&["inHg", "[in_i'Hg]"], Q::Pressure, 33.863_886_67, 0.0),
    Unit(&["m/s"], Q::Speed, 1.0, 0.0),
    Unit(&["km/h", "kph"], Q::Speed, 1.0 / 3.6, 0.0),
    Unit(&["kn", "kt", "knot", "[kn_i]"], Q::Speed, 1_852.0 / 3_600.0, 0.0),
    Unit(&["mph", "[mi_i]/h"], Q::Speed, 0.447_04, 0.0),
    Unit(&["°", "deg", "degree", "degrees"], Q::Angle, 1.0, 0.0),
    Unit(&["rad"], Q::Angle, 180.0 / std::f64::consts::PI, 0.0),
    Unit(&["W/m²", "W/m2", "W/m^2"], Q::Irradiance, 1.0, 0.0),
    Unit(&["V", "Volt", "Volts"], Q::Voltage, 1.0, 0.0),
    Unit(&["mV"], Q::Voltage, 1e-3, 0.0),
    Unit(&["dBm", "dBW-30", "dB[mW]"], Q::Power, 1.0, 0.0),
    Unit(&["dBW"], Q::Power, 1.0, 30.0),
    Unit(&["NTU", "[NTU]"], Q::Turbidity, 1.0, 0.0),
    Unit(&["", "-", "pH", "[pH]"], Q::Acidity, 1.0, 0.0),
];

/// What makes a value in one unit of a value in another: looked up once, applied to a million values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conversion(How);

#[derive(Debug, Clone, Copy, PartialEq)]
enum How {
    Same,
    Times(f64),
    Over(f64),
    /// By way of the quantity's base unit: scale and offset to it, then offset and scale from it.
    Linear([f64; 4]),
}

impl Conversion {
    /// Of a value into itself.
    pub const NONE: Self = Self(How::Same);

    /// The value in the other unit.
    #[must_use]
    pub fn apply(self, value: f64) -> f64 {
        match self.0 {
            How::Same => value,
            How::Times(factor) => value * factor,
            How::Over(factor) => value / factor,
            How::Linear([scale, offset, less, over]) => {
                (scale.mul_add(value, offset) - less) / over
            }
        }
    }
}

/// What makes a value in `to` of a value in `from`; `None` where either is not known, or they measure different things.
///
/// Factors are exact or those of the units' definitions (NIST SP 811, appendix B).
#[must_use]
pub fn between(from: &str, to: &str) -> Option<Conversion> {
    let (from, to) = (find(from)?, find(to)?);
    if from.1 != to.1 {
        return None;
    }
    if from.2.to_bits() == to.2.to_bits() && from.3.to_bits() == to.3.to_bits() {
        return Some(Conversion::NONE);
    }
    if from.3 == 0.0 && to.3 == 0.0 {
        // By a whole number where it is one: 15,200 µS/cm are 15.2 mS/cm, not 15.200000000000001.
        let (up, down) = (from.2 / to.2, to.2 / from.2);
        return Some(Conversion(if up < 1.0 { How::Over(down) } else { How::Times(up) }));
    }
    Some(Conversion(How::Linear([from.2, from.3, to.3, to.2])))
}

/// The value in `to`, of a value in `from`, as [`between`] turns it.
#[must_use]
pub fn convert(value: f64, from: &str, to: &str) -> Option<f64> {
    Some(between(from, to)?.apply(value))
}

/// What a unit measures, as people say it; `None` where it is not known.
#[must_use]
pub fn measures(text: &str) -> Option<&'static str> {
    Some(match find(text)?.1 {
        Q::Temperature => "temperature",
        Q::Conductivity => "conductivity",
        Q::Mass => "mass in water",
        Q::Nitrogen => "nitrogen in water",
        Q::Length => "length",
        Q::Ratio => "a ratio",
        Q::Pressure => "pressure",
        Q::Speed => "speed",
        Q::Angle => "an angle",
        Q::Irradiance => "irradiance",
        Q::Voltage => "voltage",
        Q::Power => "power",
        Q::Turbidity => "turbidity",
        Q::Acidity => "acidity",
    })
}

/// Every spelling of every unit.
pub fn spellings() -> impl Iterator<Item = &'static str> {
    UNITS.iter().flat_map(|unit| unit.0.iter().copied())
}

/// Is this a unit that the table knows?
#[must_use]
pub fn is_unit(text: &str) -> bool {
    find(text).is_some()
}

/// As it is spelt, or else whatever its capitals, where that is not two units.
fn find(text: &str) -> Option<&'static Unit> {
    let text = text.trim();
    let exactly = |unit: &&Unit| unit.0.contains(&text);
    let loosely = |unit: &&Unit| unit.0.iter().any(|name| name.eq_ignore_ascii_case(text));
    UNITS.iter().find(exactly).or_else(|| {
        let mut found = UNITS.iter().filter(loosely);
        found.next().filter(|_| found.next().is_none())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standard_parameters;

    #[test]
    fn each_spelling_is_one_unit_and_every_parameter_has_one() {
        let mut all: Vec<&str> = UNITS.iter().flat_map(|unit| unit.0.iter().copied()).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count, "a spelling stands twice");
        for parameter in standard_parameters() {
            assert_eq!(
                convert(1.5, &parameter.unit, &parameter.unit),
                Some(1.5),
                "{}",
                parameter.unit
            );
            assert_eq!(
                convert(1.5, &parameter.ucum, &parameter.ucum),
                Some(1.5),
                "{}",
                parameter.ucum
            );
        }
    }

    #[test]
    fn values_are_turned_by_what_the_units_are_defined_as() {
        for (value, from, to, wanted) in [
            (15_200.0, "µS/cm", "mS/cm", 15.2),
            (1_520.0, "mS/m", "mS/cm", 15.2),
            (1.52, "S/m", "mS/cm", 15.2),
            (15.2, "dS/m", "mS/cm", 15.2),
            (301.15, "K", "°C", 28.0),
            (82.4, "°F", "°C", 28.0),
            (112.0, "cm", "m", 1.12),
            (0.012, "m", "mm", 12.0),
            (8.85, "‰", "g/L", 8.85),
            (0.3, "g/L", "mg/L", 300.0),
            (101.3, "kPa", "hPa", 1_013.0),
            (36.0, "km/h", "m/s", 10.0),
            (0.65, "/", "%", 65.0),
            (12_600.0, "mV", "V", 12.6),
            (7.1, "-", "", 7.1),
            (28.0, "OC", "°C", 28.0),
        ] {
            let got = convert(value, from, to).unwrap();
            assert!((got - wanted).abs() < 1e-9, "{value} {from} is {got} {to}");
        }
    }

    #[test]
    fn a_shift_of_the_point_is_exact() {
        for n in 0..2_000_i32 {
            let micro = f64::from(n * 7);
            let text = format!("{}.{:03}", n * 7 / 1_000, n * 7 % 1_000);
            assert_eq!(convert(micro, "uS/cm", "mS/cm"), text.parse().ok());
            assert_eq!(convert(micro, "mm", "m"), text.parse().ok());
        }
        assert_eq!(convert(15.2, "mS/cm", "µS/cm"), Some(15_200.0));
    }

    #[test]
    fn what_measures_something_else_is_not_turned() {
        for (from, to) in [("mg/L", "mg/L N"), ("m", "m/s"), ("mS/cm", "g/L"), ("furlong", "m")] {
            assert_eq!(convert(1.0, from, to), None, "{from} to {to}");
        }
        assert!(is_unit("uS/cm") && !is_unit("salinity"));
    }
}
