//! What temperature a conductivity is referred to. Warm water conducts better than cold, by some 2 % a degree, so the
//! same water is one number as measured and another referred to 25 °C, and nobody can tell from the number which it is.

use crate::ParameterCode;

/// The temperature that a conductivity is referred to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EcReference {
    /// None: as measured, at the water's own temperature.
    Raw,
    /// 25 °C: the probe has compensated, which makers call specific conductance.
    At25,
    /// 20 °C, as older meters have it.
    At20,
}

/// How much more water conducts for each degree, of what it conducts at 25 °C, as probes reckon when they compensate:
/// Standard Methods for the Examination of Water and Wastewater, 2510 B.
const PROBE_SLOPE: f64 = 0.0191;

/// How much more brackish water really conducts: 2.07 % at a practical salinity of 0.5, 2.02 % at 15, between 25 and
/// 30 °C (computed with PSS-78). With the probes' 1.91 % the salinity at 31 °C would be 0.9 % too high.
const WATER_SLOPE: f64 = 0.0205;

/// Waters of the field; outside of it a temperature is a broken sensor's, and no conductivity is turned by it.
const WATER_C: std::ops::RangeInclusive<f64> = -2.0..=50.0;

impl EcReference {
    /// Every one there is.
    pub const ALL: [Self; 3] = [Self::Raw, Self::At25, Self::At20];

    /// As profiles and stores write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::At25 => "25",
            Self::At20 => "20",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }

    /// What our own parameter is referred to, where it is a conductivity.
    #[must_use]
    pub fn of(parameter: &ParameterCode) -> Option<Self> {
        match parameter.as_str() {
            "conductivity" => Some(Self::Raw),
            "conductivity_25" => Some(Self::At25),
            _ => None,
        }
    }

    /// What a logger's name for a conductivity tells of its reference: `SpCond`, `EC25`, `Cond_20C`, `EC_raw`.
    #[must_use]
    pub fn told_by(name: &str) -> Option<Self> {
        let letters: String =
            name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        let has = |word: &str| letters.contains(word);
        match () {
            () if has("raw") => Some(Self::Raw),
            () if has("25") || has("spcond") || has("specific") || has("speccond") => {
                Some(Self::At25)
            }
            () if has("20") => Some(Self::At20),
            () => None,
        }
    }

    /// The value referred to `to`, of one that is referred to this, in water of this temperature. `None` where the
    /// temperature is needed and not known.
    #[must_use]
    pub fn refer(self, value: f64, to: Self, water_c: Option<f64>) -> Option<f64> {
        let water_c = water_c.filter(|degrees| WATER_C.contains(degrees));
        Some(match (self, to) {
            (Self::Raw, Self::Raw) | (Self::At25, Self::At25) | (Self::At20, Self::At20) => value,
            (Self::At20, Self::At25) => value / curve(PROBE_SLOPE, 20.0),
            (Self::At25, Self::At20) => value * curve(PROBE_SLOPE, 20.0),
            (Self::At25, Self::Raw) => value * curve(PROBE_SLOPE, water_c?),
            (Self::At20, Self::Raw) => {
                value * curve(PROBE_SLOPE, water_c?) / curve(PROBE_SLOPE, 20.0)
            }
            (Self::Raw, Self::At25) => value / curve(WATER_SLOPE, water_c?),
            (Self::Raw, Self::At20) => {
                value * curve(WATER_SLOPE, 20.0) / curve(WATER_SLOPE, water_c?)
            }
        })
    }
}

/// How well water conducts at a temperature, of what it does at 25 °C.
fn curve(slope: f64, water_c: f64) -> f64 {
    slope.mul_add(water_c - 25.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use EcReference::{At20, At25, Raw};

    #[test]
    fn a_conductivity_is_turned_by_the_waters_temperature() {
        for (value, from, to, water_c, wanted) in [
            (15.2, Raw, Raw, None, Some(15.2)),
            (15.2, At25, At25, None, Some(15.2)),
            (10.0, At25, Raw, Some(30.0), Some(10.955)),
            (10.0, At25, Raw, Some(25.0), Some(10.0)),
            (9.045, At20, At25, None, Some(10.0)),
            (9.045, At20, Raw, Some(20.0), Some(9.045)),
            (11.025, Raw, At25, Some(30.0), Some(10.0)),
            (10.0, At25, Raw, None, None),
            (10.0, Raw, At25, Some(-40.0), None),
            (10.0, Raw, At25, Some(f64::NAN), None),
        ] {
            let got = from.refer(value, to, water_c);
            let near = match (got, wanted) {
                (Some(got), Some(wanted)) => (got - wanted).abs() < 1e-9,
                (got, wanted) => got == wanted,
            };
            assert!(near, "{value} {from:?} is {got:?} {to:?}");
        }
    }

    #[test]
    fn raw_is_referred_as_pss_78_has_it() {
        // EC at 28 °C and at 25 °C of water of practical salinity 1.984, 7.004 and 14.257.
        for (raw_28, at_25) in [(4.0, 3.7683), (13.0, 12.2533), (25.0, 23.5751)] {
            let got = Raw.refer(raw_28, At25, Some(28.0)).unwrap();
            assert!((got / at_25 - 1.0_f64).abs() < 0.001, "{raw_28}: {got}, wanted {at_25}");
        }
    }

    #[test]
    fn a_name_may_tell_its_reference() {
        for (name, told) in [
            ("SpCond", Some(At25)),
            ("EC25", Some(At25)),
            ("Specific Conductance", Some(At25)),
            ("Cond_20C", Some(At20)),
            ("EC_raw", Some(Raw)),
            ("EC", None),
            ("conductivity", None),
        ] {
            assert_eq!(EcReference::told_by(name), told, "{name}");
        }
        for one in EcReference::ALL {
            assert_eq!(EcReference::parse(one.as_str()), Some(one));
        }
    }
}
