//! Which formula a derived quantity is made by. Sensors hang a few metres down, so the water's pressure is taken as none:
//! 10 m change a salinity of 10 by 0.001.

use super::declaration::Input;
use crate::seawater::{
    Anomaly, SalinityMethod, Validity, absolute_salinity, chloride, conductivity_25, density,
    depth_mean, oxygen_saturation, practical_salinity,
};
use crate::weather::{dew_point, heat_index, wet_bulb};
use crate::{EcReference, Flag};

/// A formula of readings of one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// Salinity, g/L by the named method, of conductivity as measured (mS/cm) and water temperature (°C).
    Salinity(SalinityMethod),
    /// Salinity, g/L by the named method, of conductivity that is referred to 25 °C (mS/cm) as the water itself does it:
    /// computed, or by a probe with a curve for natural waters.
    SalinityFrom25(SalinityMethod),
    /// Salinity, g/L by the named method, of conductivity that a probe referred to 25 °C (mS/cm) by the usual line of 1.91 %
    /// a degree, and the water temperature that it did it with. The line is undone first ([`EcReference::refer`]): left as
    /// it is, the salinity would be 0.9 % too high at 31 °C.
    SalinityFromProbe25(SalinityMethod),
    /// Conductivity at 25 °C, mS/cm, with the water's true slope, of conductivity as measured and water temperature.
    Conductivity25,
    /// Density, kg/m³, of conductivity as measured and water temperature.
    Density,
    /// Absolute Salinity, g/kg, for salts in the ocean's shares, of conductivity as measured and water temperature.
    AbsoluteSalinity,
    /// Chloride, mg/L, by the ocean's share of the practical salinity as g/L, of conductivity as measured and water
    /// temperature.
    Chloride,
    /// Oxygen saturation, %, of dissolved oxygen (mg/L), conductivity as measured and water temperature.
    OxygenSaturation,
    /// Dew point, °C, of air temperature (°C) and relative humidity (%).
    DewPoint,
    /// Heat index, °C, of air temperature and relative humidity.
    HeatIndex,
    /// Wet-bulb temperature, °C, of air temperature and relative humidity.
    WetBulb,
    /// Water level, m, above a datum that the station's zero lies this high above, of the level above the station's zero.
    LevelAbove {
        /// How high the station's zero lies above the datum, m.
        zero_m: f64,
    },
    /// How much higher the water stands outside of a gate than inside, m, of the two levels above their own zeros.
    HeadDifference {
        /// How much higher the zero outside lies than the zero inside, m.
        zero_m: f64,
    },
    /// The mean over surface, middle and bottom, in their unit; suspect where one of the three is not there.
    DepthMean,
}

const CONDUCTIVITY: &[&str] = &["conductivity", "water_temperature"];
const AIR: &[&str] = &["air_temperature", "humidity"];

impl Method {
    /// What it is made of, in order, as the codes of the standard parameters; those of a depth mean are whatever is
    /// measured at three depths.
    #[must_use]
    pub const fn inputs(self) -> &'static [&'static str] {
        match self {
            Self::Salinity(_)
            | Self::Conductivity25
            | Self::Density
            | Self::AbsoluteSalinity
            | Self::Chloride => CONDUCTIVITY,
            Self::SalinityFrom25(_) => &["conductivity_25"],
            Self::SalinityFromProbe25(_) => &["conductivity_25", "water_temperature"],
            Self::OxygenSaturation => &["dissolved_oxygen", "conductivity", "water_temperature"],
            Self::DewPoint | Self::HeatIndex | Self::WetBulb => AIR,
            Self::LevelAbove { .. } => &["water_level"],
            Self::HeadDifference { .. } => &["water_level", "water_level_inside"],
            Self::DepthMean => &["surface", "middle", "bottom"],
        }
    }

    /// The number and its flag, of inputs in the order of [`Self::inputs`]; their times are not looked at.
    pub(super) fn apply(self, inputs: &[Input]) -> Option<(f64, Flag)> {
        if self == Self::DepthMean {
            let [surface, middle, bottom] = inputs else { return None };
            let mean = depth_mean([surface, middle, bottom].map(|it| (it.value, it.flag)))?;
            return Some((mean.value, mean.flag));
        }
        let values: Option<Vec<f64>> = inputs.iter().map(|input| input.value).collect();
        let (value, validity) = self.of(&values?)?;
        let range = match validity {
            Validity::Inside => Flag::Good,
            Validity::Extrapolated => Flag::Suspect,
        };
        let flag = Flag::composed(inputs.iter().map(|input| input.flag).chain([range]));
        let there = flag != Flag::Missing && value.is_finite();
        there.then_some((value, flag))
    }

    fn of(self, values: &[f64]) -> Option<(f64, Validity)> {
        let water = |value: Option<f64>, water_c: f64| Some((value?, Validity::of_water(water_c)));
        let inside = |value: Option<f64>| Some((value?, Validity::Inside));
        match (self, values) {
            (Self::Salinity(method), &[ec, water_c]) => salinity(method, ec, water_c),
            (Self::SalinityFrom25(method), &[ec25]) => salinity(method, ec25, 25.0),
            (Self::SalinityFromProbe25(method), &[ec25, water_c]) => {
                let ec = EcReference::At25.refer(ec25, EcReference::Raw, Some(water_c))?;
                salinity(method, ec, water_c)
            }
            (Self::Conductivity25, &[ec, water_c]) => water(conductivity_25(ec, water_c), water_c),
            (Self::OxygenSaturation, &[oxygen, ec, water_c]) => {
                let practical = practical_salinity(ec, water_c, 0.0)?;
                water(oxygen_saturation(oxygen, practical, water_c), water_c)
            }
            (Self::DewPoint, &[air_c, humidity]) => inside(dew_point(air_c, humidity)),
            (Self::HeatIndex, &[air_c, humidity]) => inside(heat_index(air_c, humidity)),
            (Self::WetBulb, &[air_c, humidity]) => inside(wet_bulb(air_c, humidity)),
            (Self::LevelAbove { zero_m }, &[level_m]) => inside(metres(level_m + zero_m)),
            (Self::HeadDifference { zero_m }, &[outside_m, inside_m]) => {
                inside(metres(outside_m + zero_m - inside_m))
            }
            (_, &[ec, water_c]) => {
                water(self.of_practical(practical_salinity(ec, water_c, 0.0)?, water_c), water_c)
            }
            _ => None,
        }
    }

    /// What is made of practical salinity.
    fn of_practical(self, practical: f64, water_c: f64) -> Option<f64> {
        match self {
            Self::Density => density(practical, water_c, 0.0),
            Self::AbsoluteSalinity => absolute_salinity(practical, Anomaly::ReferenceComposition),
            Self::Chloride => Some(1_000.0 * chloride(practical)?),
            _ => None,
        }
    }
}

fn salinity(method: SalinityMethod, ec_ms_cm: f64, water_c: f64) -> Option<(f64, Validity)> {
    let computed = method.salinity(ec_ms_cm, water_c)?;
    Some((computed.value, computed.validity))
}

/// A height or a difference of heights that an estuary can have.
fn metres(metres: f64) -> Option<f64> {
    Some(metres).filter(|metres| metres.abs() <= 50.0)
}
