//! What another series says at the same time, and whether it may be heard: what is bad in itself accuses nobody.

use domain::Flag;

/// A value of another series with the flag that its own tests gave it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Witness {
    /// Its value in its parameter's unit.
    pub value: Option<f64>,
    /// The worst of the tests of its own series; not of those that compare it with others, which would go round.
    pub flag: Flag,
}

impl Witness {
    /// The value, if it may be heard: a number whose own tests found nothing (flag 1 or 2).
    #[must_use]
    pub fn heard(self) -> Option<f64> {
        let heard = matches!(self.flag, Flag::Good | Flag::NotEvaluated);
        self.value.filter(|value| heard && value.is_finite())
    }
}
