//! One water, one conductivity at 25 °C: by way of practical salinity, which does not change with temperature, and so with
//! the slope that brackish water really has (2.07 % a degree at a salinity of 0.5, 2.02 % at 15), not a line's.

use super::practical::{conductivity, practical_salinity};

/// Conductivity at 25 °C, mS/cm, of water whose conductivity was measured at its own temperature.
///
/// `None` where there is no [`practical_salinity`].
#[must_use]
pub fn conductivity_25(conductivity_ms_cm: f64, water_c: f64) -> Option<f64> {
    conductivity(practical_salinity(conductivity_ms_cm, water_c, 0.0)?, 25.0, 0.0)
}

/// Conductivity at the water's own temperature, mS/cm, of water whose conductivity at 25 °C is known; the inverse of
/// [`conductivity_25`].
///
/// A probe's own compensation is a line of 1.91 % a degree in most probes: to undo it, see [`crate::EcReference`].
///
/// `None` where there is no [`practical_salinity`].
#[must_use]
pub fn conductivity_from_25(conductivity_25_ms_cm: f64, water_c: f64) -> Option<f64> {
    conductivity(practical_salinity(conductivity_25_ms_cm, 25.0, 0.0)?, water_c, 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// DOMAIN notes of the project: 2.07 % a degree at a practical salinity of 0.5, 2.02 % at 15.
    #[test]
    fn brackish_water_conducts_two_percent_more_a_degree() {
        for (salinity, wanted) in [(0.5, 0.0207), (15.0, 0.0202)] {
            let (at_25, at_30) =
                (conductivity(salinity, 25.0, 0.0), conductivity(salinity, 30.0, 0.0));
            let slope = (at_30.unwrap() / at_25.unwrap() - 1.0) / 5.0;
            assert!((slope - wanted).abs() < 6e-5, "{salinity}: {slope}");
        }
    }

    #[test]
    fn the_same_water_is_one_number_at_25() {
        let back = conductivity_from_25(conductivity_25(15.2, 31.0).unwrap(), 31.0);
        assert!((back.unwrap() / 15.2 - 1.0).abs() < 1e-12);
        assert!((conductivity_25(15.2, 25.0).unwrap() / 15.2 - 1.0).abs() < 1e-12);
        assert_eq!(conductivity_25(15.2, f64::NAN), None);
        assert_eq!(conductivity_25(-0.1, 28.0), None);
    }
}
