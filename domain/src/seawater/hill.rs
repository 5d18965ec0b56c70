//! Below a practical salinity of 2: Hill, Dauphinee and Woods (1986), "The extension of the Practical Salinity Scale 1978
//! to low salinities", IEEE Journal of Oceanic Engineering 11(1), times the ratio that makes it PSS-78 at 2 exactly, as
//! TEOS-10 does. This is where the farmer's limits are.

use super::practical::{A, B, JOIN, Warmth, solve};

/// The extension at one temperature.
#[derive(Debug, Clone, Copy)]
pub(super) struct Join {
    warmth: Warmth,
    /// 2 over what Hill's formula gives where PSS-78 gives 2.
    ratio: f64,
}

impl Join {
    pub(super) fn at(warmth: Warmth) -> Self {
        let root = solve((JOIN / 35.0_f64).sqrt(), JOIN, |root| warmth.pss78(root));
        let (taken, _) = taken(warmth, root);
        Self { warmth, ratio: JOIN / (JOIN - taken) }
    }

    /// The salinity at a square root of the conductivity ratio, and its slope.
    pub(super) fn salinity_and_slope(self, root: f64) -> (f64, f64) {
        let (salinity, slope) = self.warmth.pss78(root);
        let (taken, taken_slope) = taken(self.warmth, root);
        (self.ratio * (salinity - taken), self.ratio * (slope - taken_slope))
    }
}

/// The salinity of the extension, where PSS-78 alone gives `pss78`.
pub(super) fn salinity(warmth: Warmth, root: f64, pss78: f64) -> f64 {
    let (taken, _) = taken(warmth, root);
    Join::at(warmth).ratio * (pss78 - taken)
}

/// What Hill takes from PSS-78, a0 / (1 + 1.5x + x²) + b0·f(t) / (1 + √y + y + y√y) with x = 400 Rt and y = 100 Rt, and
/// its slope in the square root of Rt.
fn taken(warmth: Warmth, root: f64) -> (f64, f64) {
    let (x, y_root) = (400.0 * root * root, 10.0 * root);
    let part_a = 1.0 + x * (1.5 + x);
    let part_b = 1.0 + y_root * (1.0 + y_root * (1.0 + y_root));
    let (a, b) = (A[0] / part_a, B[0] * warmth.factor / part_b);
    let slope_a = -a / part_a * (1.5 + 2.0 * x) * 800.0 * root;
    let slope_b = -b / part_b * (1.0 + y_root * (2.0 + 3.0 * y_root)) * 10.0;
    (a + b, slope_a + slope_b)
}
