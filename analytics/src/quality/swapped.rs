//! Two columns that changed places, as after a logger's program was changed: each value lies outside of what its own
//! water is and inside of what the other's is. Where both ranges hold both values nobody can tell.

use domain::{Flag, Range};

/// What two parameters of one station usually are: a suspect range, or what was learned for the month and tide.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Swapped {
    /// Of the first.
    pub first: Range,
    /// Of the second.
    pub second: Range,
}

impl Swapped {
    /// The flag of both values of one report: 4 where they changed places, 1 where one of them is in its own place, 2
    /// where neither is anywhere or the ranges are one, 9 where one is missing.
    #[must_use]
    pub fn judge(&self, first: Option<f64>, second: Option<f64>) -> Flag {
        let number = |it: Option<f64>| it.filter(|it| it.is_finite());
        let Some((first, second)) = number(first).zip(number(second)) else { return Flag::Missing };
        let at_home = self.first.holds(first) || self.second.holds(second);
        let exchanged = self.second.holds(first) && self.first.holds(second);
        match (at_home, exchanged) {
            (true, _) => Flag::Good,
            (false, true) => Flag::Bad,
            (false, false) => Flag::NotEvaluated,
        }
    }
}
