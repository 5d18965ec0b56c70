//! QARTOD's gross range: what the sensor cannot measure is bad, what
//! this water has never been is suspect. The ends of a range pass, as in `ioos_qc`; a test only ever makes a flag worse
//! than what the sensor said of itself.

use domain::{Admitted, Flag, Parameter, ParameterCode, Range};
use rustc_hash::FxHashMap;

use super::plan::Bounds;

/// The quality tests for a table of parameters.
#[derive(Debug, Clone, Default)]
pub struct Quality {
    bounds: FxHashMap<ParameterCode, Bounds>,
}

impl Quality {
    /// The tests that these parameters ask for.
    #[must_use]
    pub fn new(parameters: &[Parameter]) -> Self {
        let bounds = parameters.iter().map(|p| (p.code.clone(), Bounds::of(p))).collect();
        Self { bounds }
    }

    /// Flags every value of an admitted report. Judging twice changes nothing.
    pub fn judge(&self, admitted: &mut Admitted) {
        for measured in &mut admitted.values {
            let bounds = self.bounds.get(&measured.parameter).copied().unwrap_or(Bounds::NONE);
            measured.flag = bounds.combine(measured.value, measured.flag);
        }
    }
}

/// QARTOD's gross range test for one value of `parameter`, combined with what the sensor `said` of itself: outside of
/// the fail range 4, outside of the suspect range 3, inside 1, no value 9. Without any range nothing was tested, and
/// what the sensor said stands (2 for a value of which it said nothing).
#[must_use]
pub fn gross_range(parameter: &Parameter, value: Option<f64>, said: Flag) -> Flag {
    Bounds::of(parameter).combine(value, said)
}

impl Bounds {
    const NONE: Self = Self { fail: None, suspect: None };

    fn of(parameter: &Parameter) -> Self {
        Self { fail: parameter.fail.map(sorted), suspect: parameter.suspect.map(sorted) }
    }

    fn combine(self, value: Option<f64>, said: Flag) -> Flag {
        match (value, said) {
            // "Not evaluated" is no test's word, so it does not win over a value that is not there.
            (None, Flag::NotEvaluated) => Flag::Missing,
            (None, said) => said.worse(Flag::Missing),
            (Some(_), said) => said.worse(number_or_bad(value, |value| self.test(value))),
        }
    }

    fn test(self, value: f64) -> Flag {
        match self {
            Self { fail: None, suspect: None } => Flag::NotEvaluated,
            bounds => bounds.judge(value),
        }
    }
}

/// What is not a number is bad, what is not there is missing, and of a number `judge` speaks.
pub(super) fn number_or_bad(value: Option<f64>, judge: impl Fn(f64) -> Flag) -> Flag {
    match value {
        None => Flag::Missing,
        Some(value) if !value.is_finite() => Flag::Bad,
        Some(value) => judge(value),
    }
}

/// A range typed the wrong way round means the same range, as in `ioos_qc`.
fn sorted(range: Range) -> Range {
    Range { low: range.low.min(range.high), high: range.low.max(range.high) }
}
