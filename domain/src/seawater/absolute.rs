//! Grams of salt in a kilogram of water. Reference Salinity is practical salinity turned into mass for the salts of the
//! ocean in their usual shares (Millero et al., 2008); Absolute Salinity adds what this water has otherwise.

use super::range::PRACTICAL;

/// Grams per kilogram of a unit of practical salinity: 35.16504/35 (Millero et al., 2008).
const U_PS_G_KG: f64 = 35.165_04 / 35.0;

/// How the salts of this water differ from the ocean's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Anomaly {
    /// They do not: Absolute Salinity is Reference Salinity. This is what the product uses, because nobody has measured
    /// the anomaly of the Tiền. The ocean atlas of TEOS-10 has a ratio of 2.3e-5 off its mouths (10.25° N, 106.75° E),
    /// so against `gsw.SA_from_SP` it is low by 2.3e-5 of itself. River water brings some 0.1 g/L of other salts
    /// (calcium, hydrogen carbonate), which neither knows.
    ReferenceComposition,
    /// Absolute Salinity is Reference Salinity times one and this ratio (the R^δ of TEOS-10): from an atlas or a
    /// laboratory.
    Ratio(f64),
}

impl Anomaly {
    /// The ratio of the atlas (McDougall et al., 2012) at the surface off Cửa Tiểu, 10.25° N, 106.75° E, as `gsw` 3.6
    /// interpolates it; it falls by a fifteenth in 10 m.
    pub const OFF_CUA_TIEU: Self = Self::Ratio(2.255e-5);

    const fn ratio(self) -> f64 {
        match self {
            Self::ReferenceComposition => 0.0,
            Self::Ratio(ratio) => ratio,
        }
    }
}

/// Reference Salinity, g/kg, of a practical salinity; `None` outside 0…42.
#[must_use]
pub fn reference_salinity(practical_salinity: f64) -> Option<f64> {
    PRACTICAL.holds(practical_salinity).then_some(practical_salinity * U_PS_G_KG)
}

/// Absolute Salinity, g/kg; `None` outside 0…42, and for a ratio that is no number or of one half and more.
#[must_use]
pub fn absolute_salinity(practical_salinity: f64, anomaly: Anomaly) -> Option<f64> {
    let ratio = Some(anomaly.ratio()).filter(|ratio| ratio.abs() < 0.5)?;
    Some(reference_salinity(practical_salinity)? * (1.0 + ratio))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ocean_is_35_165_grams_in_a_kilogram() {
        let ocean = absolute_salinity(35.0, Anomaly::ReferenceComposition);
        assert!((ocean.unwrap() - 35.165_04).abs() < 1e-12);
        let off_the_mouth = absolute_salinity(35.0, Anomaly::OFF_CUA_TIEU).unwrap();
        assert!((off_the_mouth - 35.165_833).abs() < 1e-6);
    }

    #[test]
    fn what_is_no_salinity_has_no_mass() {
        for bad in [f64::NAN, f64::INFINITY, -0.01, 42.01] {
            assert_eq!(reference_salinity(bad), None, "{bad}");
        }
        for ratio in [f64::NAN, 0.5, -3.0] {
            assert_eq!(absolute_salinity(10.0, Anomaly::Ratio(ratio)), None, "{ratio}");
        }
    }
}
