//! What comes from the sun, before the atmosphere takes its part.

use std::f64::consts::PI;

/// MJ/(m² min): Allen et al. (1998).
const SOLAR_CONSTANT: f64 = 0.0820;
const MINUTES_OF_A_DAY: f64 = 24.0 * 60.0;

/// Extraterrestrial radiation of a day, MJ/m²: Allen et al. (1998), FAO Irrigation and Drainage Paper 56, equations 21 to
/// 25. `day` is counted from 1 on the first of January.
///
/// `None` for days outside 1…366 and latitudes outside −66…66°, beyond which the sun may not set.
#[must_use]
pub fn extraterrestrial_radiation(latitude_deg: f64, day: u16) -> Option<f64> {
    if !(1..=366).contains(&day) || !(-66.0..=66.0).contains(&latitude_deg) {
        return None;
    }
    let angle = 2.0 * PI / 365.0 * f64::from(day);
    let (latitude, declination) = (latitude_deg.to_radians(), 0.409 * (angle - 1.39).sin());
    let nearness = 1.0 + 0.033 * angle.cos();
    let sunset = (-latitude.tan() * declination.tan()).acos();
    let daily = sunset * latitude.sin() * declination.sin()
        + latitude.cos() * declination.cos() * sunset.sin();
    Some(MINUTES_OF_A_DAY / PI * SOLAR_CONSTANT * nearness * daily)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn example_8_of_fao_56() {
        // 3 September at 20° S: 32.2 MJ/m².
        let got = extraterrestrial_radiation(-20.0, 246).unwrap();
        assert!((got - 32.2).abs() < 0.05, "{got}");
    }

    #[test]
    fn no_day_and_no_place_has_no_sun() {
        for (latitude, day) in [(10.0, 0), (10.0, 367), (f64::NAN, 100), (80.0, 100)] {
            assert_eq!(extraterrestrial_radiation(latitude, day), None);
        }
    }
}
