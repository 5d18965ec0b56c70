//! Oxygen in water with salt: Garcia and Gordon (1992), "Oxygen solubility in seawater: better fitting equations",
//! Limnology and Oceanography 37(6), their fit of Benson and Krause's data, as `gsw.O2sol_SP_pt`. Salt drives oxygen out:
//! at 28 °C 7.83 mg/L in fresh water and 6.44 at 35, so without it brackish water looks shorter of oxygen than it is.

use super::density::density;
use super::polynomial::horner;
use super::range::{PRACTICAL, WATER_C};
use crate::Range;

const WARMTH: [f64; 6] = [5.808_71, 3.202_91, 4.178_87, 5.100_06, -9.866_43e-2, 3.803_69];
const SALT: [f64; 4] = [-7.015_77e-3, -7.700_28e-3, -1.138_64e-2, -9.515_19e-3];
const SALT_SQUARED: f64 = -2.759_15e-7;
/// From ITS-90 to IPTS-68, on which the fit is written.
const T68_OF_T90: f64 = 1.000_24;
/// Grams of a mole of oxygen.
const O2_G_MOL: f64 = 31.998_8;
/// What a sensor of oxygen can show, mg/L: the range of Circular 10/2021/TT-BTNMT, and as much again for the bubbles of a
/// bloom.
const OXYGEN_MG_L: Range = Range { low: 0.0, high: 40.0 };

/// Oxygen that water holds in balance with moist air at 1013.25 hPa, µmol/kg.
///
/// `None` outside salinity 0…42 and 0…40 °C (the fit begins at freezing), and for what is no number.
#[must_use]
pub fn oxygen_solubility_umol_kg(practical_salinity: f64, water_c: f64) -> Option<f64> {
    let known = PRACTICAL.holds(practical_salinity) && WATER_C.holds(water_c) && 0.0 <= water_c;
    known.then(|| {
        let t68 = water_c * T68_OF_T90;
        let scaled = ((298.15 - t68) / (273.15 + t68)).ln();
        let salt = horner(&SALT, scaled) + SALT_SQUARED * practical_salinity;
        (horner(&WARMTH, scaled) + practical_salinity * salt).exp()
    })
}

/// The same in mg/L, with the density at this depth.
///
/// `None` as [`oxygen_solubility_umol_kg`] and [`density`].
#[must_use]
pub fn oxygen_solubility(practical_salinity: f64, water_c: f64, pressure_dbar: f64) -> Option<f64> {
    let kg_m3 = density(practical_salinity, water_c, pressure_dbar)?;
    Some(oxygen_solubility_umol_kg(practical_salinity, water_c)? * O2_G_MOL * kg_m3 / 1e6)
}

/// Oxygen saturation, %, of water with this much oxygen, against air at sea level (a low of 990 hPa makes it 2 % too low).
///
/// `None` for oxygen outside 0…40 mg/L, and as [`oxygen_solubility`].
#[must_use]
pub fn oxygen_saturation(oxygen_mg_l: f64, practical_salinity: f64, water_c: f64) -> Option<f64> {
    let oxygen = Some(oxygen_mg_l).filter(|&oxygen| OXYGEN_MG_L.holds(oxygen))?;
    Some(100.0 * oxygen / oxygen_solubility(practical_salinity, water_c, 0.0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn salt_drives_oxygen_out() {
        let (fresh, sea) = (oxygen_solubility(0.0, 28.0, 0.0), oxygen_solubility(35.0, 28.0, 0.0));
        assert!((fresh.unwrap() - 7.83).abs() < 0.01, "{fresh:?}");
        assert!((sea.unwrap() - 6.44).abs() < 0.01, "{sea:?}");
        let saturation = oxygen_saturation(6.0, 15.0, 28.0).unwrap();
        assert!(oxygen_saturation(6.0, 0.0, 28.0).unwrap() < saturation);
    }

    #[test]
    fn what_is_no_oxygen_saturates_nothing() {
        for (oxygen, salinity, water_c) in [
            (f64::NAN, 5.0, 28.0),
            (-0.1, 5.0, 28.0),
            (41.0, 5.0, 28.0),
            (6.0, -1.0, 28.0),
            (6.0, 5.0, -0.5),
            (6.0, 5.0, f64::INFINITY),
        ] {
            assert_eq!(oxygen_saturation(oxygen, salinity, water_c), None);
        }
    }
}
