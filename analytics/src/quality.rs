//! How far a number can be trusted. One test so far, QARTOD's gross range: what the sensor cannot measure is bad, what
//! this water has never been is suspect. The ends of a range pass, as in `ioos_qc`; a test only ever makes a flag worse
//! than what the sensor said of itself.

use domain::derived::Derived;
use domain::{Admitted, Flag, Measured, Parameter, ParameterCode, Range, Station, StationCode};
use rustc_hash::FxHashMap;

use crate::derive;

/// The quality tests for a table of parameters.
#[derive(Debug, Clone, Default)]
pub struct Quality {
    limits: FxHashMap<ParameterCode, Limits>,
    derived: FxHashMap<StationCode, Vec<Derived>>,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    fail: Option<Range>,
    suspect: Option<Range>,
}

impl Quality {
    /// The tests that these parameters ask for.
    #[must_use]
    pub fn new(parameters: &[Parameter]) -> Self {
        let limits = parameters.iter().map(|p| (p.code.clone(), Limits::of(p))).collect();
        Self { limits, derived: FxHashMap::default() }
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
            let limits = self.limits.get(&measured.parameter).copied().unwrap_or(Limits::NONE);
            measured.flag = limits.judge(measured.value, measured.flag);
        }
    }
}

/// QARTOD's gross range test for one value of `parameter`, combined with what the sensor `said` of itself: outside of
/// the fail range 4, outside of the suspect range 3, inside 1, no value 9. Without any range nothing was tested, and
/// what the sensor said stands (2 for a value of which it said nothing).
#[must_use]
pub fn gross_range(parameter: &Parameter, value: Option<f64>, said: Flag) -> Flag {
    Limits::of(parameter).judge(value, said)
}

impl Limits {
    const NONE: Self = Self { fail: None, suspect: None };

    fn of(parameter: &Parameter) -> Self {
        Self { fail: parameter.fail.map(sorted), suspect: parameter.suspect.map(sorted) }
    }

    fn judge(self, value: Option<f64>, said: Flag) -> Flag {
        match (value, said) {
            // "Not evaluated" is no test's word, so it does not win over a value that is not there.
            (None, Flag::NotEvaluated) => Flag::Missing,
            (None, said) => said.worse(Flag::Missing),
            (Some(value), said) => said.worse(self.test(value)),
        }
    }

    fn test(self, value: f64) -> Flag {
        let outside = |range: Option<Range>| range.is_some_and(|range| !range.holds(value));
        if !value.is_finite() || outside(self.fail) {
            Flag::Bad
        } else if outside(self.suspect) {
            Flag::Suspect
        } else if self.fail.is_none() && self.suspect.is_none() {
            Flag::NotEvaluated
        } else {
            Flag::Good
        }
    }
}

/// A range typed the wrong way round means the same range, as in `ioos_qc`.
fn sorted(range: Range) -> Range {
    Range { low: range.low.min(range.high), high: range.low.max(range.high) }
}

#[cfg(test)]
mod tests {
    use domain::{Timestamp, standard_parameters};

    use super::*;

    fn standard(code: &str) -> Parameter {
        standard_parameters().into_iter().find(|p| p.code.as_str() == code).unwrap()
    }

    fn check(parameter: &Parameter, cases: &[(Option<f64>, Flag, Flag)]) {
        for &(value, said, flag) in cases {
            let judged = gross_range(parameter, value, said);
            assert_eq!(judged, flag, "{} {value:?}, said {said}", parameter.code);
            assert_eq!(gross_range(parameter, value, judged), flag, "judged twice: {value:?}");
        }
    }

    #[test]
    fn the_ends_of_a_range_pass_and_what_lies_outside_does_not() {
        use Flag::{Bad, Good, NotEvaluated, Suspect};
        check(
            &standard("salinity"),
            &[
                (Some(0.0), NotEvaluated, Good),
                (Some(38.0), NotEvaluated, Good),
                (Some(38.01), NotEvaluated, Suspect),
                (Some(40.0), NotEvaluated, Suspect),
                (Some(40.01), NotEvaluated, Bad),
                (Some(-0.05), NotEvaluated, Good),
                (Some(-0.06), NotEvaluated, Bad),
            ],
        );
    }

    #[test]
    fn a_test_never_makes_better_what_the_sensor_said_of_itself() {
        use Flag::{Bad, Good, Missing, NotEvaluated, Suspect};
        check(
            &standard("ph"),
            &[
                (Some(7.0), Bad, Bad),
                (Some(7.0), Suspect, Suspect),
                (Some(7.0), Good, Good),
                (None, Bad, Bad),
                (None, Missing, Missing),
                (None, NotEvaluated, Missing),
            ],
        );
    }

    #[test]
    fn what_is_not_a_number_is_bad_and_without_a_range_nothing_was_evaluated() {
        let mut rangeless = standard("salinity");
        (rangeless.fail, rangeless.suspect) = (None, None);
        check(
            &rangeless,
            &[
                (Some(3.0), Flag::NotEvaluated, Flag::NotEvaluated),
                (Some(f64::NAN), Flag::NotEvaluated, Flag::Bad),
                (Some(f64::INFINITY), Flag::NotEvaluated, Flag::Bad),
                (None, Flag::NotEvaluated, Flag::Missing),
            ],
        );
        let mut reversed = standard("salinity");
        reversed.fail = Some(Range { low: 40.0, high: -0.05 });
        check(&reversed, &[(Some(3.0), Flag::NotEvaluated, Flag::Good)]);
    }

    #[test]
    fn every_value_of_a_report_is_judged_by_its_own_parameter() {
        let measured = |code: &str, value| Measured {
            parameter: ParameterCode::new(code).unwrap(),
            value: Some(value),
            flag: Flag::NotEvaluated,
        };
        let mut report = Admitted {
            station: StationCode::new("xuan-hoa").unwrap(),
            taken_at: Timestamp::default(),
            received_at: Timestamp::default(),
            seq: None,
            replay: false,
            values: vec![measured("salinity", 8.85), measured("ph", 15.0), measured("colour", 3.0)],
        };
        Quality::new(&standard_parameters()).judge(&mut report);
        let flags: Vec<u8> = report.values.iter().map(|m| m.flag.number()).collect();
        assert_eq!(flags, [1, 4, 2]);
    }
}
