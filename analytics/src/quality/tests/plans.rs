//! Limits that contradict do not load, and say why.

use domain::standard_parameters;
use expect_test::{Expect, expect};

use crate::quality::{Limits, SiteClass, TestPlan, defaults};

fn check(toml: &str, why: &Expect) {
    let limits: Limits = toml::from_str(&format!("interval_s = 300\n{toml}")).unwrap();
    why.assert_eq(&TestPlan::new(&limits).unwrap_err().to_string());
}

#[test]
fn limits_that_contradict_do_not_load() {
    check(
        "gross = { fail = [40.0, -0.05] }",
        &expect!["`gross.fail` is [40, -0.05]: its low end is not below its high end"],
    );
    check(
        "gross = { fail = [0.0, 40.0], suspect = [-1.0, 38.0] }",
        &expect!["`gross.suspect` must lie within `gross.fail`"],
    );
    check(
        "gross = { fail = [0.0, inf] }",
        &expect!["`gross.fail` is inf; a finite number is needed"],
    );
    check(
        "spike_differential = { suspect = 3.0, fail = 1.0 }",
        &expect!["`spike_differential.suspect` (3) must come before `spike_differential.fail` (1)"],
    );
    check(
        "spike_average = { suspect = 0.0 }",
        &expect!["`spike_average.suspect` is 0; a number above zero is needed"],
    );
    check(
        "rate = { suspect_per_hour = nan }",
        &expect!["`rate.suspect_per_hour` is NaN; a number above zero is needed"],
    );
    check(
        "flat = { suspect_h = 3.0, fail_h = 12.0, tolerance = 0.0 }",
        &expect!["`flat.tolerance` is 0; a number above zero is needed"],
    );
    check(
        "flat = { suspect_h = 12.0, fail_h = 3.0, tolerance = 0.01 }",
        &expect!["`flat.suspect_h` (12) must come before `flat.fail_h` (3)"],
    );
    check(
        "flat = { suspect_h = 0.05, tolerance = 0.01 }",
        &expect!["`flat.suspect_h` is shorter than 300 s, which the interval asks for"],
    );
    check(
        "attenuated = { period_h = 24.84, suspect = 0.1, fail = 0.4 }",
        &expect!["`attenuated.fail` (0.4) must come before `attenuated.suspect` (0.1)"],
    );
    check(
        "attenuated = { period_h = 1.0, suspect = 0.4, min_obs = 40 }",
        &expect!["`attenuated.min_obs` is 40, but a period holds 13"],
    );
    check(
        "attenuated = { period_h = 2000.0, suspect = 0.4 }",
        &expect!["`attenuated.period_h` is longer than 40 days"],
    );
    check("gap_s = 60", &expect!["`gap_s` is shorter than 300 s, which the interval asks for"]);
    check(
        "unit_slip = { least = -1.0, hold_h = 24.84 }",
        &expect!["`unit_slip.least` is -1; a number above zero is needed"],
    );
    check(
        "[[climatology]]\nperiod = \"month\"\nfrom = 0\nto = 13\nsuspect = [0.0, 1.0]",
        &expect!["`climatology` counts from 0 to 13, but its period has 1 to 12"],
    );
    check(
        "[[climatology]]\nperiod = \"month\"\nfrom = 1\nto = 3\nsuspect = [0.0, 9.0]\nfail = [0.0, 5.0]",
        &expect!["`climatology.suspect` must lie within `climatology.fail`"],
    );
    check("fresh_below = nan", &expect!["`fresh_below` is NaN; a finite number is needed"]);
}

#[test]
fn a_station_without_a_rhythm_has_no_plan() {
    let why = TestPlan::new(&Limits::none(0)).unwrap_err().to_string();
    assert_eq!(why, "`interval_s` is shorter than 1 s, which the interval asks for");
}

#[test]
fn an_unknown_key_is_refused() {
    let typed = toml::from_str::<Limits>("interval_s = 300\nspike = { suspect = 1.0 }");
    assert!(typed.unwrap_err().to_string().contains("unknown field `spike`"));
}

#[test]
fn the_defaults_of_every_parameter_are_a_plan_at_every_rhythm_and_survive_a_file() {
    for parameter in standard_parameters() {
        for site in [SiteClass::Coast, SiteClass::Inland] {
            for interval_s in [1, 60, 300, 600, 900, 1_800, 3_600, 14_400, 86_400] {
                let limits = defaults(&parameter, site, interval_s);
                let plan = TestPlan::new(&limits);
                assert!(plan.is_ok(), "{} every {interval_s} s: {plan:?}", parameter.code);
                let text = toml::to_string(&limits).unwrap();
                assert_eq!(toml::from_str::<Limits>(&text).unwrap(), limits);
            }
        }
    }
}

#[test]
fn the_example_of_the_documents_is_a_plan() {
    let page = include_str!("../../../../docs/quality.md");
    let (_, example) = page.split_once("```toml\ninterval_s").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let plan = toml::from_str::<Limits>(&format!("interval_s{example}"))
        .map(|limits| TestPlan::new(&limits));
    assert!(matches!(plan, Ok(Ok(_))), "{plan:?}");
}
