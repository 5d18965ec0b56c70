use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::seawater::{SalinityMethod, practical_salinity};
use crate::{Flag, ParameterCode, Timestamp, standard_parameters};
use Flag::{Bad, Good, Missing, NotEvaluated, Suspect};

fn code(text: &str) -> ParameterCode {
    ParameterCode::new(text).unwrap()
}

fn declared(parameter: &str, method: &str) -> Derived {
    let method: Method = method.parse().unwrap();
    Derived::new(code(parameter), method, method.inputs().iter().map(|it| code(it)).collect())
        .unwrap()
}

fn input(seconds: i64, value: f64, flag: Flag) -> Input {
    Input { at: Timestamp::from_millis(seconds * 1_000), value: Some(value), flag }
}

const METHODS: [&str; 16] = [
    "salinity-probe-25:pss-78",
    "salinity:pss-78",
    "salinity:mass",
    "salinity:linear:0.64",
    "salinity-25:mrc-my-tho",
    "conductivity-25",
    "density",
    "absolute-salinity",
    "chloride",
    "oxygen-saturation",
    "dew-point",
    "heat-index",
    "wet-bulb",
    "level-above:-1.5",
    "head-difference:0.25",
    "depth-mean",
];

#[test]
fn each_method_makes_its_number() {
    for (method, values, wanted) in [
        ("salinity:pss-78", vec![6.2, 28.0], 3.162_99),
        ("salinity-25:pss-78", vec![6.2], 3.370_48),
        ("salinity-25:mrc-my-tho", vec![6.2], 4.0),
        // 1.682 809 mS/cm at 31 °C is 0.75; the probe's line makes 1.509 787 of it at 25.
        ("salinity-probe-25:pss-78", vec![1.682_809 / 1.114_6, 31.0], 0.75),
        ("salinity:linear:0.64", vec![6.2, 25.0], 3.968),
        ("conductivity-25", vec![4.0, 28.0], 3.7683),
        ("density", vec![0.0, 4.0], 999.972),
        ("absolute-salinity", vec![6.2, 28.0], 3.162_99 * 35.165_04 / 35.0),
        ("chloride", vec![6.2, 28.0], 1_000.0 * 3.162_99 / 1.806_55),
        ("oxygen-saturation", vec![7.826_65, 0.0, 28.0], 100.0),
        ("dew-point", vec![31.1, 80.0], 27.196_01),
        ("heat-index", vec![31.1, 80.0], 41.212_635),
        ("wet-bulb", vec![20.0, 50.0], 13.7),
        ("level-above:-1.5", vec![2.7], 1.2),
        ("head-difference:0.25", vec![1.1, 0.6], 0.75),
        ("depth-mean", vec![1.0, 2.0, 6.0], 3.0),
    ] {
        let inputs: Vec<_> = values.iter().map(|&value| input(0, value, Good)).collect();
        let (value, flag) = declared("made", method).compute(&inputs).unwrap();
        assert!((value / wanted - 1.0).abs() < 1e-4, "{method} is {value}");
        assert_eq!(flag, Good, "{method}");
    }
}

#[test]
fn a_value_is_no_better_than_what_it_is_made_of() {
    let salinity = declared("salinity", "salinity:pss-78");
    let flag = |ec, water| {
        let inputs = [input(0, 6.2, ec), input(0, 28.0, water)];
        salinity.compute(&inputs).map(|(_, flag)| flag)
    };
    assert_eq!(flag(Good, Good), Some(Good));
    assert_eq!(flag(Good, NotEvaluated), Some(NotEvaluated));
    assert_eq!(flag(Suspect, NotEvaluated), Some(Suspect));
    assert_eq!(flag(Good, Bad), Some(Bad));
    assert_eq!(flag(Good, Missing), None);
    let hot = [input(0, 6.2, Good), input(0, 36.0, Good)];
    assert_eq!(salinity.compute(&hot).map(|(_, flag)| flag), Some(Suspect));
    let broken = [input(0, 6.2, Good), input(0, 85.0, Good)];
    assert_eq!(salinity.compute(&broken), None);
}

#[test]
fn a_value_is_made_of_readings_of_one_time() {
    let salinity = declared("salinity", "salinity:pss-78");
    let apart = |seconds| [input(0, 6.2, Good), input(seconds, 28.0, Good)];
    assert!(salinity.compute(&apart(60)).is_some() && salinity.compute(&apart(-60)).is_some());
    assert_eq!(salinity.compute(&apart(61)), None);
    let patient = salinity.clone().within(Duration::from_secs(600)).unwrap();
    assert!(patient.compute(&apart(600)).is_some());
    assert!(patient.compute(&apart(601)).is_none());
    let hours = Duration::from_secs(3_601);
    assert_eq!(salinity.clone().within(hours), Err(BadDerived::Apart(code("salinity"))));
    let mut missing = apart(0);
    missing[1].value = None;
    assert_eq!(salinity.compute(&missing), None);
    assert_eq!(salinity.compute(&missing[..1]), None);
}

#[test]
fn a_depth_mean_lives_without_one_depth_and_says_so() {
    let mean = declared("salinity", "depth-mean");
    let mut depths = [input(0, 1.0, Good), input(5, 2.0, Good), input(0, 6.0, Good)];
    // A missing depth has no time either.
    depths[1] = Input { at: Timestamp::from_millis(0), value: None, flag: Missing };
    assert_eq!(mean.compute(&depths), Some((3.5, Suspect)));
    depths[0].flag = Bad;
    assert_eq!(mean.compute(&depths), None);
}

#[test]
fn a_declaration_that_would_lie_is_not_made() {
    let method = Method::Salinity(SalinityMethod::Practical);
    let (ec, water, salinity) = (code("conductivity"), code("water_temperature"), code("salinity"));
    for (inputs, wanted) in [
        (vec![ec.clone()], "`salinity` by salinity:pss-78 is made of 2 parameters, not 1"),
        (vec![salinity.clone(), water.clone()], "`salinity` is made of itself"),
        (vec![ec.clone(), ec.clone()], "`salinity` is made of `conductivity` twice"),
    ] {
        let error = Derived::new(salinity.clone(), method, inputs).unwrap_err();
        assert_eq!(error.to_string(), wanted);
    }
    assert!(Derived::new(salinity, method, vec![ec, water]).is_ok());
}

#[test]
fn a_method_is_written_and_read_back_and_has_a_name() {
    let standard: Vec<_> = standard_parameters().into_iter().map(|it| it.code).collect();
    for text in METHODS {
        let method: Method = text.parse().unwrap();
        assert_eq!(method.to_string(), text);
        assert!(!method.name_vi().is_empty() && !method.name_en().is_empty());
        assert!(
            method == Method::DepthMean
                || method.inputs().iter().all(|it| standard.contains(&code(it)))
        );
    }
    for bad in [
        "",
        "salinity",
        "salinity:",
        "salinity:pss",
        "density:1",
        "level-above",
        "level-above:nan",
        "level-above:51",
        "head-difference:high",
    ] {
        assert!(bad.parse::<Method>().is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn what_is_made_is_a_number_and_no_better_than_its_worst_input(
        values in proptest::collection::vec(prop_oneof![any::<f64>(), -5.0_f64..60.0], 3),
        flags in proptest::collection::vec(proptest::sample::select(vec![1_u8, 2, 3, 4, 9]), 3),
        which in 0..METHODS.len(),
    ) {
        let derived = declared("made", METHODS[which]);
        let inputs: Vec<_> = values
            .iter()
            .zip(&flags)
            .map(|(&value, &flag)| input(0, value, Flag::from_number(flag).unwrap()))
            .take(derived.inputs().len())
            .collect();
        if let Some((value, flag)) = derived.compute(&inputs) {
            prop_assert!(value.is_finite());
            let worst = Flag::composed(inputs.iter().map(|input| input.flag));
            let left_out = derived.method() == Method::DepthMean && flag == Suspect;
            prop_assert!(left_out || Flag::composed([flag, worst]) == flag);
        }
    }

    #[test]
    fn a_corrected_conductivity_gives_a_corrected_salinity(
        ec in 0.1_f64..50.0, offset in -0.05_f64..0.05, water_c in 15.0_f64..35.0,
    ) {
        let salinity = declared("salinity", "salinity:pss-78");
        let of = |ec| salinity.compute(&[input(0, ec, Good), input(0, water_c, Good)]);
        prop_assert_eq!(of(ec + offset).map(|(value, _)| value), practical_salinity(ec + offset, water_c, 0.0));
    }
}
