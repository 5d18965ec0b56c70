//! Where the formulas hold. Inside of the range that a formula was fitted on its number is as good as its inputs; a
//! little beyond it is computed and says so; farther out there is none.

use crate::Range;

/// Was the number computed inside the range that its formula was fitted on?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// Yes.
    Inside,
    /// A little beyond it: computed, and to be shown as suspect.
    Extrapolated,
}

/// A number that a formula gave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Computed {
    /// The number, in the unit that the formula names.
    pub value: f64,
    /// Whether its formula was fitted there.
    pub validity: Validity,
}

/// Water temperatures that are computed, °C: PSS-78 was fitted from −2 to 35 °C; the reference tables of `gsw` go to 40,
/// and a canal in April passes 35. Beyond, a sensor is broken.
pub(super) const WATER_C: Range = Range { low: -2.0, high: 40.0 };
/// What PSS-78 was fitted on, °C (UNESCO technical papers in marine science 44, 1983).
const FITTED_C: Range = Range { low: -2.0, high: 35.0 };
/// Practical salinities: 2 to 42 by PSS-78, 0 to 2 by Hill et al. (1986).
pub(super) const PRACTICAL: Range = Range { low: 0.0, high: 42.0 };
/// Sea pressures, dbar (the same UNESCO paper).
pub(super) const PRESSURE_DBAR: Range = Range { low: 0.0, high: 10_000.0 };
/// Conductivities, mS/cm: above practical salinity 42 at 40 °C (84 mS/cm) nothing in an estuary is.
pub(super) const CONDUCTIVITY_MS_CM: Range = Range { low: 0.0, high: 100.0 };

impl Validity {
    /// Of a water temperature.
    pub(crate) fn of_water(water_c: f64) -> Self {
        if FITTED_C.holds(water_c) { Self::Inside } else { Self::Extrapolated }
    }
}
