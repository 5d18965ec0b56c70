//! Names and units of the reserves' records to ours.
//!
//! Salinity in psu (PSS-78) is published as g/L without conversion, as the field does: 4 psu are 4.0 g/L and 35 psu
//! 35.9 g/L, below the resolution of a warning where warnings are about 0.3 to 4. Levels corrected for air pressure are
//! preferred to uncorrected ones, report by report. A quantity that is not in the table passes if it has one of our
//! codes with our unit; all else is skipped and named.

use std::collections::BTreeMap;

use domain::{ParameterCode, standard_parameters};

/// Name, unit, our code, and how good a source it is (0 is best).
const KNOWN: [(&str, &str, &str, u8); 15] = [
    ("salinity", "psu", "salinity", 0),
    ("spcond25", "mS/cm", "conductivity_25", 0),
    ("water_temp", "degC", "water_temperature", 0),
    ("do", "mg/L", "dissolved_oxygen", 0),
    ("ph", "1", "ph", 0),
    ("turbidity", "NTU", "turbidity", 0),
    ("level_corr", "m", "water_level", 0),
    ("depth_corr", "m", "water_level", 0),
    ("level", "m", "water_level", 1),
    ("depth", "m", "water_level", 1),
    ("rain", "mm", "rainfall", 0),
    ("air_temp", "degC", "air_temperature", 0),
    ("rel_humidity", "%", "humidity", 0),
    ("wind_speed", "m/s", "wind_speed", 0),
    ("air_pressure", "hPa", "air_pressure", 0),
];

/// Wind direction is written as `deg` here and as `°` on our pages.
const WIND: (&str, &str) = ("wind_dir", "wind_direction");

/// Where a quantity goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Our code.
    pub code: ParameterCode,
    /// Of two sources in one report the lower rank is published.
    pub rank: u8,
}

/// A wish for a mapping that cannot be granted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unmapped {
    /// Not `from=to`.
    #[error("`{0}` is not of the form from=to")]
    Form(String),
    /// The right side is no parameter code.
    #[error(transparent)]
    Code(#[from] domain::BadCode),
}

/// The table, with wishes of the command line before it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mapping {
    wishes: BTreeMap<String, ParameterCode>,
}

impl Mapping {
    /// The table, and before it each `from=to`.
    ///
    /// # Errors
    /// [`Unmapped`] for a wish that makes no sense.
    pub fn with(wishes: &[String]) -> Result<Self, Unmapped> {
        let one = |wish: &String| {
            let (from, to) = wish.split_once('=').ok_or_else(|| Unmapped::Form(wish.clone()))?;
            Ok((from.trim().to_owned(), ParameterCode::new(to.trim())?))
        };
        Ok(Self { wishes: wishes.iter().map(one).collect::<Result<_, Unmapped>>()? })
    }

    /// Where a quantity with a unit goes; nowhere if neither wish, table nor standard codes know it.
    #[must_use]
    pub fn target(&self, name: &str, unit: &str) -> Option<Target> {
        if let Some(code) = self.wishes.get(name) {
            return Some(Target { code: code.clone(), rank: 0 });
        }
        if name == WIND.0 && matches!(unit, "deg" | "°") {
            return Some(Target { code: ParameterCode::new(WIND.1).ok()?, rank: 0 });
        }
        if let Some((_, _, code, rank)) = KNOWN.iter().find(|k| k.0 == name && k.1 == unit) {
            return Some(Target { code: ParameterCode::new(code).ok()?, rank: *rank });
        }
        let ours = standard_parameters()
            .into_iter()
            .find(|p| p.code.as_str() == name && (p.unit == unit || p.ucum == unit))?;
        Some(Target { code: ours.code, rank: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_units_have_to_fit_both() {
        let mapping = Mapping::default();
        let to = |name: &str, unit: &str| mapping.target(name, unit).map(|t| t.code.to_string());
        assert_eq!(to("salinity", "psu").as_deref(), Some("salinity"));
        assert_eq!(to("salinity", "g/L").as_deref(), Some("salinity"));
        assert_eq!(to("wind_dir", "deg").as_deref(), Some("wind_direction"));
        assert_eq!(to("depth_corr", "m").as_deref(), Some("water_level"));
        assert_eq!(to("spcond25", "uS/cm"), None, "a thousandfold error is not let through");
        assert_eq!(to("do_sat", "%"), None);
        for (name, unit, code, _) in KNOWN {
            assert_eq!(to(name, unit).as_deref(), Some(code));
            let ours = standard_parameters().into_iter().any(|p| p.code.as_str() == code);
            assert!(ours, "{code} is one of ours");
        }
    }

    #[test]
    fn a_wish_comes_before_the_table() {
        let wishes = ["do_sat=oxygen_saturation".to_owned(), "depth=depth_m".to_owned()];
        let mapping = Mapping::with(&wishes).unwrap();
        assert_eq!(mapping.target("do_sat", "%").unwrap().code.as_str(), "oxygen_saturation");
        assert_eq!(mapping.target("depth", "m").unwrap().code.as_str(), "depth_m");
        assert!(Mapping::with(&["depth".to_owned()]).is_err());
        assert!(Mapping::with(&["depth=Nước".to_owned()]).is_err());
    }
}
