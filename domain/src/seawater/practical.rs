//! Practical salinity: the Practical Salinity Scale 1978 (UNESCO technical papers in marine science 44, 1983), below 2
//! with the extension of Hill et al. (1986), joined as TEOS-10 joins them (IOC/SCOR/IAPSO, 2010; the GSW toolbox, 3.06).

use super::hill;
use super::polynomial::{horner, slope};
use super::range::{CONDUCTIVITY_MS_CM, PRACTICAL, PRESSURE_DBAR, WATER_C};

/// Conductivity of standard seawater (SP 35, 15 °C on IPTS-68, surface), mS/cm: Culkin and Smith (1980).
const C_35_15_0_MS_CM: f64 = 42.9140;
/// From ITS-90 to IPTS-68, on which PSS-78 is written: Saunders (1990).
const T68_OF_T90: f64 = 1.00024;

/// PSS-78: salinity in powers of the square root of the conductivity ratio, at 15 °C.
pub(super) const A: [f64; 6] = [0.0080, -0.1692, 25.3851, 14.0941, -7.0261, 2.7081];
/// And what a temperature other than 15 °C adds.
pub(super) const B: [f64; 6] = [0.0005, -0.0056, -0.0066, -0.0375, 0.0636, -0.0144];
const K: f64 = 0.0162;
/// Conductivity of standard seawater at a temperature, of that at 15 °C.
const RT_35: [f64; 5] = [0.676_609_7, 2.005_64e-2, 1.104_259e-4, -6.969_8e-7, 1.003_1e-9];
/// What pressure adds to the ratio, over what temperature and the ratio itself take from it.
const PRESSURE: [f64; 4] = [0.0, 2.070e-5, -6.370e-10, 3.989e-15];
const PRESSURE_OVER: [f64; 3] = [1.0, 3.426e-2, 4.464e-4];
const PRESSURE_OVER_RATIO: [f64; 2] = [4.215e-1, -3.107e-3];

/// Where PSS-78 hands over to Hill.
pub(super) const JOIN: f64 = 2.0;

/// A water temperature as PSS-78 wants it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Warmth {
    t68: f64,
    /// The f(t) of PSS-78.
    pub(super) factor: f64,
}

impl Warmth {
    pub(super) fn new(water_c: f64) -> Self {
        let t68 = water_c * T68_OF_T90;
        Self { t68, factor: (t68 - 15.0) / (1.0 + K * (t68 - 15.0)) }
    }

    /// The salinity that PSS-78 alone gives, and the slope, at a square root of the conductivity ratio.
    pub(super) fn pss78(self, root: f64) -> (f64, f64) {
        let at = |sum: fn(&[f64], f64) -> f64| sum(&A, root) + self.factor * sum(&B, root);
        (at(horner), at(slope))
    }

    /// The ratio of this water's conductivity to standard seawater's at the same temperature and pressure.
    fn ratio(self, conductivity_ms_cm: f64, pressure_dbar: f64) -> f64 {
        let ratio = conductivity_ms_cm / C_35_15_0_MS_CM;
        let under_pressure = 1.0 + horner(&PRESSURE, pressure_dbar) / self.over(ratio);
        ratio / (under_pressure * horner(&RT_35, self.t68))
    }

    fn over(self, ratio: f64) -> f64 {
        horner(&PRESSURE_OVER, self.t68) + horner(&PRESSURE_OVER_RATIO, self.t68) * ratio
    }

    /// The conductivity of water of this ratio, mS/cm: [`Self::ratio`] solved for it, a quadratic whose other root is
    /// negative.
    fn conductivity(self, ratio_t: f64, pressure_dbar: f64) -> f64 {
        let pressure = horner(&PRESSURE, pressure_dbar);
        let scaled = ratio_t * horner(&RT_35, self.t68);
        let (d, a) = (horner(&PRESSURE_OVER, self.t68), horner(&PRESSURE_OVER_RATIO, self.t68));
        // a·R² + (d − a·s)·R − s·(d + p) = 0, with s the ratio without pressure.
        let half = (d - a * scaled) / 2.0;
        let constant = scaled * (d + pressure);
        let ratio = constant / (half + (half * half + a * constant).sqrt());
        ratio * C_35_15_0_MS_CM
    }
}

/// Practical salinity (a number without unit) from conductivity as measured, as `gsw.SP_from_C` has it.
///
/// `None` for what is no number, for water outside −2…40 °C, pressures outside 0…10,000 dbar, conductivities outside
/// 0…100 mS/cm, salinities over 42, and the first 0.0025 mS/cm above none, where the extension runs below zero.
#[must_use]
pub fn practical_salinity(
    conductivity_ms_cm: f64,
    water_c: f64,
    pressure_dbar: f64,
) -> Option<f64> {
    let known = WATER_C.holds(water_c)
        && PRESSURE_DBAR.holds(pressure_dbar)
        && CONDUCTIVITY_MS_CM.holds(conductivity_ms_cm);
    if !known {
        return None;
    }
    if conductivity_ms_cm == 0.0 {
        return Some(0.0);
    }
    let warmth = Warmth::new(water_c);
    let root = warmth.ratio(conductivity_ms_cm, pressure_dbar).sqrt();
    let (salinity, _) = warmth.pss78(root);
    let salinity = if salinity < JOIN { hill::salinity(warmth, root, salinity) } else { salinity };
    Some(salinity).filter(|&salinity| PRACTICAL.holds(salinity))
}

/// Conductivity as measured, in mS/cm, of water of a practical salinity: the exact inverse of [`practical_salinity`],
/// where `gsw.C_from_SP` is an iteration that comes within 3e-12 of it.
///
/// `None` for what is no number, salinities outside 0…42, and temperatures and pressures outside of theirs.
#[must_use]
pub fn conductivity(practical_salinity: f64, water_c: f64, pressure_dbar: f64) -> Option<f64> {
    let known = WATER_C.holds(water_c)
        && PRESSURE_DBAR.holds(pressure_dbar)
        && PRACTICAL.holds(practical_salinity);
    if !known {
        return None;
    }
    if practical_salinity == 0.0 {
        return Some(0.0);
    }
    let warmth = Warmth::new(water_c);
    let root = root_of(warmth, practical_salinity);
    Some(warmth.conductivity(root * root, pressure_dbar))
}

/// Newton's steps until the last bits; five are needed from a start this good (both curves are smooth and rise), the rest
/// is margin.
const STEPS_MAX: usize = 40;

/// The square root of the conductivity ratio at which the salinity is this.
fn root_of(warmth: Warmth, salinity: f64) -> f64 {
    if salinity >= JOIN {
        return solve((salinity / 35.0).sqrt(), salinity, |root| warmth.pss78(root));
    }
    let hill = hill::Join::at(warmth);
    solve((salinity / 35.0).sqrt(), salinity, |root| hill.salinity_and_slope(root))
}

/// The `x` at which a rising curve has this value.
pub(super) fn solve(start: f64, wanted: f64, curve: impl Fn(f64) -> (f64, f64)) -> f64 {
    let mut x = start;
    for _ in 0..STEPS_MAX {
        let (value, slope) = curve(x);
        // Half of the way to zero at most: the curve is of a root that cannot be negative.
        let next = (x - (value - wanted) / slope).max(x / 2.0);
        if (next - x).abs() <= f64::EPSILON * x {
            return next;
        }
        x = next;
    }
    x
}
