//! What a method is called: by configuration and stores, and beside a value.

use std::fmt;
use std::str::FromStr;

use super::Method;
use crate::seawater::BadMethod;

/// A word that names no derivation.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BadDerivation {
    /// None of the words.
    #[error(
        "`{0}` derives nothing: use salinity:…, salinity-25:…, salinity-probe-25:…, conductivity-25, density, \
         absolute-salinity, chloride, oxygen-saturation, dew-point, heat-index, wet-bulb, \
         level-above:…, head-difference:… or depth-mean"
    )]
    Unknown(String),
    /// The method of a salinity.
    #[error("the salinity of `{text}` is not known")]
    Salinity {
        /// What stood there.
        text: String,
        /// What is wrong with it.
        source: BadMethod,
    },
    /// The zero of a level: metres, within ±50.
    #[error("`{0}` needs a zero in metres after its colon, within ±50")]
    Zero(String),
}

/// Zeros are within this many metres of each other.
const ZERO_M_MAX: f64 = 50.0;

/// As configuration and stores write it: `salinity:pss-78`, `salinity-25:linear:0.64`, `level-above:-1.5`.
impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Salinity(method) => write!(f, "salinity:{method}"),
            Self::SalinityFrom25(method) => write!(f, "salinity-25:{method}"),
            Self::SalinityFromProbe25(method) => write!(f, "salinity-probe-25:{method}"),
            Self::Conductivity25 => f.write_str("conductivity-25"),
            Self::Density => f.write_str("density"),
            Self::AbsoluteSalinity => f.write_str("absolute-salinity"),
            Self::Chloride => f.write_str("chloride"),
            Self::OxygenSaturation => f.write_str("oxygen-saturation"),
            Self::DewPoint => f.write_str("dew-point"),
            Self::HeatIndex => f.write_str("heat-index"),
            Self::WetBulb => f.write_str("wet-bulb"),
            Self::LevelAbove { zero_m } => write!(f, "level-above:{zero_m}"),
            Self::HeadDifference { zero_m } => write!(f, "head-difference:{zero_m}"),
            Self::DepthMean => f.write_str("depth-mean"),
        }
    }
}

impl FromStr for Method {
    type Err = BadDerivation;

    fn from_str(text: &str) -> Result<Self, BadDerivation> {
        let (word, rest) = text.split_once(':').map_or((text, None), |(w, rest)| (w, Some(rest)));
        let salinity = |rest: &str| {
            rest.parse().map_err(|source| BadDerivation::Salinity { text: text.to_owned(), source })
        };
        Ok(match (word, rest) {
            ("salinity", Some(rest)) => Self::Salinity(salinity(rest)?),
            ("salinity-25", Some(rest)) => Self::SalinityFrom25(salinity(rest)?),
            ("salinity-probe-25", Some(rest)) => Self::SalinityFromProbe25(salinity(rest)?),
            ("level-above", Some(rest)) => Self::LevelAbove { zero_m: zero(text, rest)? },
            ("head-difference", Some(rest)) => Self::HeadDifference { zero_m: zero(text, rest)? },
            ("conductivity-25", None) => Self::Conductivity25,
            ("density", None) => Self::Density,
            ("absolute-salinity", None) => Self::AbsoluteSalinity,
            ("chloride", None) => Self::Chloride,
            ("oxygen-saturation", None) => Self::OxygenSaturation,
            ("dew-point", None) => Self::DewPoint,
            ("heat-index", None) => Self::HeatIndex,
            ("wet-bulb", None) => Self::WetBulb,
            ("depth-mean", None) => Self::DepthMean,
            _ => return Err(BadDerivation::Unknown(text.to_owned())),
        })
    }
}

fn zero(text: &str, rest: &str) -> Result<f64, BadDerivation> {
    let metres = rest.parse().ok().filter(|metres: &f64| metres.abs() <= ZERO_M_MAX);
    metres.ok_or_else(|| BadDerivation::Zero(text.to_owned()))
}

impl Method {
    /// The unit of what it makes, as people read it; `None` where it is that of its inputs.
    #[must_use]
    pub const fn unit(self) -> Option<&'static str> {
        Some(match self {
            Self::Salinity(_) | Self::SalinityFrom25(_) | Self::SalinityFromProbe25(_) => "g/L",
            Self::Conductivity25 => "mS/cm",
            Self::Density => "kg/m³",
            Self::AbsoluteSalinity => "g/kg",
            Self::Chloride => "mg/L",
            Self::OxygenSaturation => "%",
            Self::DewPoint | Self::HeatIndex | Self::WetBulb => "°C",
            Self::LevelAbove { .. } | Self::HeadDifference { .. } => "m",
            Self::DepthMean => return None,
        })
    }

    /// As it stands beside a value, in Vietnamese.
    #[must_use]
    pub fn name_vi(self) -> String {
        let metres = |zero_m: f64| format!("{zero_m:+}").replace('.', ",");
        match self {
            Self::Salinity(method) => method.name_vi(),
            Self::SalinityFrom25(method) => format!("{}, từ EC25", method.name_vi()),
            Self::SalinityFromProbe25(method) => {
                format!("{}, từ EC25 bù 1,91 %/°C", method.name_vi())
            }
            Self::Conductivity25 => "EC25 qua PSS-78".to_owned(),
            Self::AbsoluteSalinity => "TEOS-10, thành phần chuẩn".to_owned(),
            Self::Chloride => "độ mặn PSS-78 / 1,80655".to_owned(),
            Self::HeatIndex => "chỉ số nhiệt NWS".to_owned(),
            Self::LevelAbove { zero_m } => format!("số 0 trạm {} m", metres(zero_m)),
            Self::HeadDifference { zero_m } => {
                format!("ngoài − trong, lệch số 0 {} m", metres(zero_m))
            }
            Self::DepthMean => "trung bình mặt, giữa, đáy".to_owned(),
            Self::Density | Self::OxygenSaturation | Self::DewPoint | Self::WetBulb => {
                self.name_en()
            }
        }
    }

    /// As it stands beside a value, in English.
    #[must_use]
    pub fn name_en(self) -> String {
        match self {
            Self::Salinity(method) => method.name_en(),
            Self::SalinityFrom25(method) => format!("{}, of EC25", method.name_en()),
            Self::SalinityFromProbe25(method) => {
                format!("{}, of EC25 at 1.91 %/°C", method.name_en())
            }
            Self::Conductivity25 => "EC25 by PSS-78".to_owned(),
            Self::Density => "TEOS-10".to_owned(),
            Self::AbsoluteSalinity => "TEOS-10, reference composition".to_owned(),
            Self::Chloride => "PSS-78 salinity / 1.80655".to_owned(),
            Self::OxygenSaturation => "Garcia & Gordon 1992".to_owned(),
            Self::DewPoint => "Bolton 1980".to_owned(),
            Self::HeatIndex => "NWS heat index".to_owned(),
            Self::WetBulb => "Stull 2011".to_owned(),
            Self::LevelAbove { zero_m } => format!("station zero {zero_m:+} m"),
            Self::HeadDifference { zero_m } => format!("outside − inside, zeros {zero_m:+} m"),
            Self::DepthMean => "mean of surface, middle, bottom".to_owned(),
        }
    }
}
