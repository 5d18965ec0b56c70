//! QARTOD's gross range: what the sensor cannot measure is bad, what this water has never been is suspect. The ends of a
//! range pass, as in `ioos_qc`; a test only ever makes a flag worse than what the sensor said of itself.

use domain::derived::Derived;
use domain::{Admitted, Flag, Measured, Parameter, ParameterCode, Range, Station, StationCode};
use rustc_hash::FxHashMap;

use crate::derive;

use super::plan::Bounds;

/// The quality tests for a table of parameters.
#[derive(Debug, Clone, Default)]
pub struct Quality {
    bounds: FxHashMap<ParameterCode, Bounds>,
    derived: FxHashMap<StationCode, Vec<Derived>>,
}

impl Quality {
    /// The tests that these parameters ask for.
    #[must_use]
    pub fn new(parameters: &[Parameter]) -> Self {
        let bounds = parameters.iter().map(|p| (p.code.clone(), Bounds::of(p))).collect();
        Self { bounds, derived: FxHashMap::default() }
    }

    /// The same, with what these stations' declarations make of their reports.
    #[must_use]
    pub fn with_derived<'a>(mut self, stations: impl IntoIterator<Item = &'a Station>) -> Self {
        let declaring = stations.into_iter().filter(|one| !one.profile.derived.is_empty());
        self.derived =
            declaring.map(|one| (one.code.clone(), one.profile.derived.clone())).collect();
        self
    }

    /// Flags every value of an admitted report, and adds what is made of them. Judging twice changes nothing.
    pub fn judge(&self, admitted: &mut Admitted) {
        self.flag(&mut admitted.values);
        if let Some(declarations) = self.derived.get(&admitted.station) {
            let measured = admitted.values.len();
            derive(admitted, declarations);
            self.flag(admitted.values.get_mut(measured..).unwrap_or_default());
        }
    }

    fn flag(&self, values: &mut [Measured]) {
        for measured in values {
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
    pub(super) const NONE: Self = Self { fail: None, suspect: None };

    pub(super) fn of(parameter: &Parameter) -> Self {
        Self { fail: parameter.fail.map(sorted), suspect: parameter.suspect.map(sorted) }
    }

    pub(super) fn combine(self, value: Option<f64>, said: Flag) -> Flag {
        match (value, said) {
            // "Not evaluated" is no test's word, so it does not win over a value that is not there.
            (None, Flag::NotEvaluated) => Flag::Missing,
            (None, said) => said.worse(Flag::Missing),
            (Some(_), said) => said.worse(self.flag(value)),
        }
    }

    /// Of a value whose sensor is not asked.
    pub(super) fn flag(self, value: Option<f64>) -> Flag {
        number_or_bad(value, |value| self.test(value))
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
