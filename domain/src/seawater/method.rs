//! Which of the salinities a number is. "1 g/L" at 25 °C is an EC25 of 1.97 mS/cm by PSS-78, 1.56 by the factor 0.64 and
//! 1.50 by the MRC's rule for Mỹ Tho: a quarter apart at the line that closes gates. So a salinity has a method, and the
//! method's name stands beside it.

use std::fmt;
use std::str::FromStr;

use super::compensation::conductivity_25;
use super::density::mass_concentration;
use super::practical::practical_salinity;
use super::range::{Computed, PRACTICAL, Validity};
use crate::Range;

/// How a salinity is made of a conductivity and a water temperature.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SalinityMethod {
    /// Practical salinity by PSS-78, below 2 by Hill et al. (1986), as TEOS-10 joins them; the number is shown as g/L, as
    /// Vietnamese bulletins use it.
    Practical,
    /// Grams of sea salt in a litre: Reference Salinity times density (TEOS-10). 0.5 % above the practical number at 1, 3 %
    /// at 35.
    Mass,
    /// Total dissolved solids by a factor: g/L = factor · conductivity at 25 °C in mS/cm. Cheap meters have 0.64 to 0.667,
    /// Vietnamese extension texts 0.64.
    Linear(TdsFactor),
    /// The profile of the Mekong River Commission at Mỹ Tho (State of the Basin 2023, as quoted by others): 1 g/L at
    /// 150 mS/m, 4 g/L at 620 mS/m. Its two points are all that it says: straight between them, straight from the first
    /// to nothing, and on beyond the second.
    MrcMyTho,
}

/// Grams per litre of one mS/cm at 25 °C: from 0.4 to 1.0, around the 0.55 to 0.9 that natural waters have (Standard Methods
/// for the Examination of Water and Wastewater, 1030 E).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TdsFactor(f64);

/// A word that names no method, or a factor that no water has.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum BadMethod {
    /// None of the words.
    #[error("a salinity method is `pss-78`, `mass`, `mrc-my-tho` or `linear:` and a factor")]
    Unknown,
    /// The factor of a linear method.
    #[error("a factor of total dissolved solids is 0.4 to 1.0, not {0}")]
    Factor(f64),
}

const FACTORS: Range = Range { low: 0.4, high: 1.0 };

/// The two points of the MRC's rule: conductivity at 25 °C in mS/cm, g/L.
const MRC: [(f64, f64); 2] = [(1.5, 1.0), (6.2, 4.0)];

/// Grams of sea salt of a gram of chloride, in the ocean's shares: S = 1.80655 · Cl (JPOTS, 1967).
const SALT_OF_CHLORIDE: f64 = 1.806_55;

impl TdsFactor {
    /// What Vietnamese extension texts use.
    pub const EXTENSION: Self = Self(0.64);

    /// A factor.
    ///
    /// # Errors
    /// [`BadMethod::Factor`] outside 0.4…1.0, and for what is no number.
    pub fn new(factor: f64) -> Result<Self, BadMethod> {
        if FACTORS.holds(factor) { Ok(Self(factor)) } else { Err(BadMethod::Factor(factor)) }
    }
}

impl SalinityMethod {
    /// The salinity, in g/L, of water with this conductivity as measured, in mS/cm, at this temperature. Of a conductivity
    /// that is referred to 25 °C, ask with 25.
    ///
    /// `None` where [`practical_salinity`] is none; extrapolated above 35 °C.
    #[must_use]
    pub fn salinity(self, conductivity_ms_cm: f64, water_c: f64) -> Option<Computed> {
        let practical = practical_salinity(conductivity_ms_cm, water_c, 0.0)?;
        let value = match self {
            Self::Practical => practical,
            Self::Mass => mass_concentration(practical, water_c, 0.0)?,
            Self::Linear(TdsFactor(factor)) => {
                factor * conductivity_25(conductivity_ms_cm, water_c)?
            }
            Self::MrcMyTho => mrc(conductivity_25(conductivity_ms_cm, water_c)?),
        };
        Some(Computed { value, validity: Validity::of_water(water_c) })
    }

    /// As it stands beside a value, in Vietnamese.
    #[must_use]
    pub fn name_vi(self) -> String {
        match self {
            Self::Linear(TdsFactor(factor)) => {
                format!("TDS = {} × EC25", factor.to_string().replace('.', ","))
            }
            Self::Mass => "khối lượng muối (TEOS-10)".to_owned(),
            Self::Practical | Self::MrcMyTho => self.name_en(),
        }
    }

    /// As it stands beside a value, in English.
    #[must_use]
    pub fn name_en(self) -> String {
        match self {
            Self::Practical => "PSS-78".to_owned(),
            Self::Mass => "mass of salt (TEOS-10)".to_owned(),
            Self::Linear(TdsFactor(factor)) => format!("TDS = {factor} × EC25"),
            Self::MrcMyTho => "MRC Mỹ Tho".to_owned(),
        }
    }
}

/// As configuration and stores write it: `pss-78`, `mass`, `linear:0.64`, `mrc-my-tho`.
impl fmt::Display for SalinityMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Practical => f.write_str("pss-78"),
            Self::Mass => f.write_str("mass"),
            Self::Linear(TdsFactor(factor)) => write!(f, "linear:{factor}"),
            Self::MrcMyTho => f.write_str("mrc-my-tho"),
        }
    }
}

impl FromStr for SalinityMethod {
    type Err = BadMethod;

    fn from_str(text: &str) -> Result<Self, BadMethod> {
        match text {
            "pss-78" => Ok(Self::Practical),
            "mass" => Ok(Self::Mass),
            "mrc-my-tho" => Ok(Self::MrcMyTho),
            _ => {
                let factor = text.strip_prefix("linear:").ok_or(BadMethod::Unknown)?;
                let factor = factor.parse().map_err(|_| BadMethod::Unknown)?;
                Ok(Self::Linear(TdsFactor::new(factor)?))
            }
        }
    }
}

/// The MRC's rule.
fn mrc(conductivity_25_ms_cm: f64) -> f64 {
    let [(low_ec, low), (high_ec, high)] = MRC;
    if conductivity_25_ms_cm <= low_ec {
        return low * conductivity_25_ms_cm / low_ec;
    }
    low + (high - low) * (conductivity_25_ms_cm - low_ec) / (high_ec - low_ec)
}

/// Chloride, g/L, of sea salt, g/L: what laboratories and water plants ask for (250 mg/L is 0.45 g/L). The ocean's share:
/// in nearly fresh river water, whose salts are not the sea's, it is too high. `None` outside 0…42 g/L.
#[must_use]
pub fn chloride(salinity_g_l: f64) -> Option<f64> {
    PRACTICAL.holds(salinity_g_l).then(|| salinity_g_l / SALT_OF_CHLORIDE)
}

/// The other way: sea salt, g/L, of chloride, g/L; `None` below 0 and where it would be over 42 g/L.
#[must_use]
pub fn salinity_from_chloride(chloride_g_l: f64) -> Option<f64> {
    Some(chloride_g_l * SALT_OF_CHLORIDE).filter(|&salinity| PRACTICAL.holds(salinity))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_25(method: &str, ec25: f64) -> f64 {
        method.parse::<SalinityMethod>().unwrap().salinity(ec25, 25.0).unwrap().value
    }

    #[test]
    fn one_water_is_four_salinities() {
        for (method, ec25, wanted) in [
            ("pss-78", 1.5, 0.751_82),
            ("pss-78", 6.2, 3.370_48),
            ("mrc-my-tho", 1.5, 1.0),
            ("mrc-my-tho", 6.2, 4.0),
            ("mrc-my-tho", 3.85, 2.5),
            ("mrc-my-tho", 0.75, 0.5),
            ("mrc-my-tho", 10.9, 7.0),
            ("linear:0.64", 1.5, 0.96),
            ("linear:0.667", 3.0, 2.001),
        ] {
            let got = at_25(method, ec25);
            assert!((got - wanted).abs() < 5e-6, "{method} of {ec25} is {got}");
        }
        let mass = at_25("mass", 7.2767);
        assert!((mass / 4.0 - 1.0053).abs() < 3e-3, "{mass}");
    }

    #[test]
    fn the_name_of_a_method_is_told_and_read_back() {
        for (text, vi) in [
            ("pss-78", "PSS-78"),
            ("mass", "khối lượng muối (TEOS-10)"),
            ("linear:0.64", "TDS = 0,64 × EC25"),
            ("mrc-my-tho", "MRC Mỹ Tho"),
        ] {
            let method: SalinityMethod = text.parse().unwrap();
            assert_eq!((method.to_string().as_str(), method.name_vi().as_str()), (text, vi));
        }
        for bad in ["", "pss", "linear", "linear:", "linear:nan", "linear:6.4", "linear:-0.64"] {
            assert!(bad.parse::<SalinityMethod>().is_err(), "{bad}");
        }
    }

    #[test]
    fn chloride_is_the_oceans_share() {
        for (mg_l, wanted) in [(100.0, 0.18), (250.0, 0.45), (300.0, 0.54), (350.0, 0.63)] {
            let salinity = salinity_from_chloride(mg_l / 1e3).unwrap();
            assert!((salinity - wanted).abs() < 0.005, "{mg_l} mg/L are {salinity} g/L");
            assert!((chloride(salinity).unwrap() - mg_l / 1e3).abs() < 1e-15);
        }
        for bad in [f64::NAN, -0.1, 50.0] {
            assert_eq!((chloride(bad), salinity_from_chloride(bad)), (None, None), "{bad}");
        }
    }

    #[test]
    fn hot_water_is_extrapolated_and_broken_sensors_are_not_computed() {
        let practical = SalinityMethod::Practical;
        let validity = |water_c| practical.salinity(10.0, water_c).map(|it| it.validity);
        assert_eq!(validity(35.0), Some(Validity::Inside));
        assert_eq!(validity(35.1), Some(Validity::Extrapolated));
        for bad in [40.1, -2.1, f64::NAN, f64::INFINITY] {
            assert_eq!(validity(bad), None, "{bad}");
        }
    }
}
