//! From an amount to a sub-index: straight between the breakpoints of Decision 1460/QĐ-TCMT, 100 or 10 beyond their ends.

use crate::Range;
use crate::water_quality::Analyte;

/// (amount, sub-index) with rising amounts, and the sub-indices below the first and above the last.
struct Curve {
    below: f64,
    points: &'static [(f64, f64)],
    above: f64,
}

/// Good below the first breakpoint, 10 above the last: all but pH and oxygen.
const fn falling(points: &'static [(f64, f64)]) -> Curve {
    Curve { below: 100.0, points, above: 10.0 }
}

/// Good in the middle: 10 on either side.
const fn middle(points: &'static [(f64, f64)]) -> Curve {
    Curve { below: 10.0, points, above: 10.0 }
}

/// The breakpoints; `None` for what the index has no sub-index of. Of oxygen they are % of saturation.
const fn curve(analyte: Analyte) -> Option<Curve> {
    Some(match analyte {
        Analyte::Ph => middle(&[(5.5, 50.0), (6.0, 100.0), (8.5, 100.0), (9.0, 50.0)]),
        Analyte::DissolvedOxygen => middle(&[
            (20.0, 25.0),
            (50.0, 50.0),
            (75.0, 75.0),
            (88.0, 100.0),
            (112.0, 100.0),
            (125.0, 75.0),
            (150.0, 50.0),
            (200.0, 25.0),
        ]),
        Analyte::Bod5 | Analyte::Toc => {
            falling(&[(4.0, 100.0), (6.0, 75.0), (15.0, 50.0), (25.0, 25.0), (50.0, 10.0)])
        }
        Analyte::Cod => {
            falling(&[(10.0, 100.0), (15.0, 75.0), (30.0, 50.0), (50.0, 25.0), (150.0, 10.0)])
        }
        // At 0.3 it jumps from 100 to 75.
        Analyte::Ammonium => falling(&[(0.3, 75.0), (0.6, 50.0), (0.9, 25.0), (5.0, 10.0)]),
        Analyte::Nitrate => falling(&[(2.0, 100.0), (5.0, 75.0), (10.0, 50.0), (15.0, 25.0)]),
        Analyte::Nitrite => falling(&[(0.05, 100.0)]),
        Analyte::Phosphate => {
            falling(&[(0.1, 100.0), (0.2, 75.0), (0.3, 50.0), (0.5, 25.0), (4.0, 10.0)])
        }
        Analyte::Coliform => {
            falling(&[(2_500.0, 100.0), (5_000.0, 75.0), (7_500.0, 50.0), (10_000.0, 25.0)])
        }
        Analyte::EscherichiaColi => {
            falling(&[(20.0, 100.0), (50.0, 75.0), (100.0, 50.0), (200.0, 25.0)])
        }
        Analyte::Arsenic => falling(&[(0.01, 100.0), (0.02, 75.0), (0.05, 50.0), (0.1, 25.0)]),
        Analyte::Cadmium => falling(&[(0.005, 100.0), (0.008, 75.0), (0.01, 50.0), (0.1, 25.0)]),
        Analyte::Lead => falling(&[(0.02, 100.0), (0.04, 75.0), (0.05, 50.0), (0.5, 25.0)]),
        Analyte::Chromium6 => falling(&[(0.01, 100.0), (0.02, 75.0), (0.04, 50.0), (0.1, 25.0)]),
        Analyte::Copper => {
            falling(&[(0.1, 100.0), (0.2, 75.0), (0.5, 50.0), (1.0, 25.0), (2.0, 10.0)])
        }
        Analyte::Zinc => {
            falling(&[(0.5, 100.0), (1.0, 75.0), (1.5, 50.0), (2.0, 25.0), (3.0, 10.0)])
        }
        Analyte::Mercury => {
            falling(&[(0.001, 100.0), (0.001_5, 75.0), (0.002, 50.0), (0.01, 25.0)])
        }
        _ => return None,
    })
}

impl Curve {
    fn at(&self, amount: f64) -> f64 {
        let next = self.points.partition_point(|(breakpoint, _)| *breakpoint < amount);
        match (next.checked_sub(1).map(|last| self.points[last]), self.points.get(next)) {
            (_, Some(&(breakpoint, index))) if breakpoint == amount => index,
            (None, _) => self.below,
            (_, None) => self.above,
            (Some((low, from)), Some(&(high, to))) => {
                (from - to) / (high - low) * (high - amount) + to
            }
        }
    }
}

/// The sub-index, 10 to 100, of an amount; of oxygen in % of [`oxygen_saturation_1460`].
///
/// `None` for what the index has no sub-index of, and for amounts that no water has.
#[must_use]
pub fn sub_index(analyte: Analyte, amount: f64) -> Option<f64> {
    Some(curve(analyte).filter(|_| analyte.can_be(amount))?.at(amount))
}

/// Oxygen saturation, %, as the Decision has it: against 14.652 − 0.41022 T + 0.0079910 T² − 0.000077774 T³ mg/L, which knows
/// no salt. Brackish water holds less (at 28 °C and 15 g/L by 8 %), so of such water this is too low; for what the water
/// really holds see [`crate::seawater::oxygen_saturation`].
///
/// `None` outside 0…40 °C and 0…40 mg/L.
#[must_use]
pub fn oxygen_saturation_1460(oxygen_mg_l: f64, water_c: f64) -> Option<f64> {
    let range = Range { low: 0.0, high: 40.0 };
    (range.holds(oxygen_mg_l) && range.holds(water_c)).then(|| {
        let saturated_mg_l =
            14.652 + water_c * (-0.410_22 + water_c * (0.007_991_0 - water_c * 0.000_077_774));
        100.0 * oxygen_mg_l / saturated_mg_l
    })
}
