//! The gross range test, by itself and over a report.

use domain::{
    Admitted, Flag, Measured, Parameter, ParameterCode, Range, StationCode, Timestamp,
    standard_parameters,
};

use crate::quality::{Quality, gross_range};

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
