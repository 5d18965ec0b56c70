//! What a province may type, and what is named when it contradicts itself or the book.

use std::time::Duration;

use domain::{ParameterCode, Station, StationCode, standard_parameters};
use expect_test::{Expect, expect};

use crate::quality::{BadTable, Plans, Table};

pub(super) fn station(code: &str) -> Station {
    let mut station = Station::new(StationCode::new(code).unwrap());
    station.interval = Duration::from_secs(300);
    station
}

fn book() -> Vec<Station> {
    ["vam-kenh", "xuan-hoa", "hoa-binh"].map(station).to_vec()
}

fn load(toml: &str) -> Result<Plans, BadTable> {
    Plans::new(&toml::from_str(toml).unwrap(), &standard_parameters(), &book())
}

fn refused(toml: &str, why: &Expect) {
    let error = load(toml).unwrap_err();
    let source = std::error::Error::source(&error).map(|it| format!(": {it}"));
    why.assert_eq(&format!("{error}{}", source.unwrap_or_default()));
}

#[test]
fn a_table_that_contradicts_itself_or_the_book_names_its_entry() {
    refused(
        "[[series]]\nparameter = \"salinity\"\n[[series]]\nparameter = \"ph\"\nstations = [\"xuan-hoa\", \"xuan-hao\"]",
        &expect!["[[series]] 2 (ph): no station `xuan-hao` is known"],
    );
    refused(
        "[[series]]\nparameter = \"salt\"",
        &expect!["[[series]] 1 (salt): no parameter `salt` is known"],
    );
    refused(
        "[[series]]\nparameter = \"ph\"\nstations = []",
        &expect!["[[series]] 1 (ph): `stations` is empty"],
    );
    refused(
        "[[series]]\nparameter = \"ph\"\nstations = [\"xuan-hoa\"]\nsite = \"coast\"",
        &expect![
            "[[series]] 1 (ph): `stations` and `site` stand side by side; one says where it holds"
        ],
    );
    refused(
        "[[series]]\ndefaults = true\nlimits = { rate = { suspect_per_hour = 3.0 } }",
        &expect![
            "[[series]] 1 (every parameter): `limits` without a `parameter`; they are in its unit"
        ],
    );
    refused(
        "[[series]]\nparameter = \"ph\"\noff = [\"flat_line\"]\nlimits = { flat = { suspect_h = 3.0, tolerance = 0.1 } }",
        &expect!["[[series]] 1 (ph): `flat_line` has limits and is off"],
    );
    refused(
        "[[series]]\nparameter = \"salinity\"\ndefaults = true\nlimits = { rate = { suspect_per_hour = 6.0, fail_per_hour = 3.0 } }",
        &expect![
            "[[series]] 1 (salinity): `salinity` at `vam-kenh`: `rate.suspect_per_hour` (6) must come before `rate.fail_per_hour` (3)"
        ],
    );
    refused(
        "[[series]]\nparameter = \"salinity\"\nlimits = { gross = { suspect = [-2.0, 30.0] } }",
        &expect![
            "[[series]] 1 (salinity): `salinity` at `vam-kenh`: `gross.suspect` must lie within `gross.fail`"
        ],
    );
    refused(
        "[[site]]\nstations = [\"vam-kenh\"]\nclass = \"coast\"\n[[site]]\nstations = [\"hoa-binh\", \"vam-kenh\"]",
        &expect!["[[site]] 2: `vam-kenh` stands in [[site]] 1 already"],
    );
    refused(
        "[[site]]\nstations = [\"vam-ken\"]",
        &expect!["[[site]] 1: no station `vam-ken` is known"],
    );
    refused(
        "[[site]]\nstations = [\"vam-kenh\"]\nexposure = { probe_m = -0.5, margin_m = -0.1 }",
        &expect!["[[site]] 1: `exposure.margin_m` is -0.1"],
    );
    refused(
        "[[site]]\nstations = [\"vam-kenh\"]\nconsistency = { relative = nan, absolute = 0.05 }",
        &expect!["[[site]] 1: `consistency.relative` is NaN"],
    );
    refused(
        "[[site]]\nstations = [\"vam-kenh\"]\nsalinity_method = \"linear:6\"",
        &expect![
            "[[site]] 1: `salinity_method` is `linear:6`: a factor of total dissolved solids is 0.4 to 1.0, not 6"
        ],
    );
    refused("stuck_clock = { suspect = 5, fail = 5 }", &expect!["stuck_clock: `fail` is 5"]);
    refused("stuck_clock = { suspect = 1, fail = 5 }", &expect!["stuck_clock: `suspect` is 1"]);
}

#[test]
fn an_entry_that_never_holds_is_refused() {
    let shadowed = |earlier: &str, later: &str| {
        let found = load(&format!("{earlier}\n{later}"));
        assert!(matches!(found, Err(BadTable::Shadowed(_))), "{earlier} {later} {found:?}");
    };
    let holds = |earlier: &str, later: &str| {
        let found = load(&format!("{earlier}\n{later}"));
        assert!(found.is_ok(), "{earlier} {later} {found:?}");
    };
    let everywhere = "[[series]]\nparameter = \"ph\"";
    let all = "[[series]]\ndefaults = true";
    let here = "[[series]]\nparameter = \"ph\"\nstations = [\"xuan-hoa\"]";
    let coast = "[[series]]\nparameter = \"ph\"\nsite = \"coast\"";
    let inland = "[[series]]\nparameter = \"ph\"\nsite = \"inland\"";
    shadowed(everywhere, here);
    shadowed(everywhere, coast);
    shadowed(everywhere, everywhere);
    shadowed(all, here);
    shadowed(here, here);
    shadowed(inland, here);
    shadowed(&format!("{coast}\n{inland}"), everywhere);
    holds(here, everywhere);
    holds(coast, here);
    holds(coast, inland);
    holds(coast, everywhere);
    holds(everywhere, all);
    holds(here, "[[series]]\nparameter = \"ph\"\nstations = [\"xuan-hoa\", \"hoa-binh\"]");
}

#[test]
fn the_first_entry_that_fits_holds_and_what_none_fits_has_no_plan() {
    let plans = load(
        "[[series]]\nparameter = \"salinity\"\nstations = [\"xuan-hoa\"]\n\
         [[series]]\nparameter = \"salinity\"\nsite = \"coast\"\ndefaults = true\n\
         [[site]]\nstations = [\"vam-kenh\"]\nclass = \"coast\"",
    )
    .unwrap();
    let reach = |station: &str| {
        let plan = plans
            .plan(&StationCode::new(station).unwrap(), &ParameterCode::new("salinity").unwrap());
        plan.map(|plan| plan.reach().before.as_secs() / 3_600)
    };
    assert_eq!(reach("vam-kenh"), Some(77));
    assert_eq!(reach("xuan-hoa"), Some(2), "the gross range and the gap alone");
    assert_eq!(reach("hoa-binh"), None);
    assert_eq!(reach("nowhere"), None);
    let of = |station: &str| plans.reach(&StationCode::new(station).unwrap()).before.as_secs();
    assert_eq!(of("hoa-binh"), 0);
}

#[test]
fn what_is_typed_stands_in_place_of_single_defaults() {
    let table: Table = toml::from_str(
        "[[series]]\nparameter = \"salinity\"\ndefaults = true\noff = [\"unit_slip\", \"gross_range\"]\n\
         limits = { rate = { suspect_per_hour = 3.0 }, flat = { suspect_h = 6.0, tolerance = 0.02 } }",
    )
    .unwrap();
    let salinity = standard_parameters().remove(0);
    let defaults = crate::quality::defaults(&salinity, crate::quality::SiteClass::Inland, 300);
    let limits = table.series[0].over(defaults.clone());
    assert_eq!(limits.rate.unwrap().fail_per_hour, None);
    assert_eq!(limits.flat.unwrap().suspect_h, 6.0);
    assert_eq!((limits.unit_slip, limits.gross), (None, None));
    assert_eq!(limits.spike_differential, defaults.spike_differential);
    let text = toml::to_string(&table).unwrap();
    assert_eq!(toml::from_str::<Table>(&text).unwrap(), table);
}

#[test]
fn one_end_of_the_gross_range_is_typed_and_the_other_stays() {
    let table: Table = toml::from_str(
        "[[series]]\nparameter = \"salinity\"\nlimits = { gross = { suspect = [0.0, 12.0] } }",
    )
    .unwrap();
    let salinity = standard_parameters().remove(0);
    let defaults = crate::quality::defaults(&salinity, crate::quality::SiteClass::Inland, 300);
    let gross = table.series[0].over(defaults).gross.unwrap();
    assert_eq!((gross.fail, gross.suspect), (Some([-0.05, 40.0]), Some([0.0, 12.0])));
}

#[test]
fn an_unknown_key_or_test_is_refused() {
    for (typed, why) in [
        ("[[serie]]\nparameter = \"ph\"", "unknown field `serie`"),
        ("[[series]]\nparameter = \"ph\"\noff = [\"flat\"]", "unknown variant `flat`"),
        (
            "[[series]]\nparameter = \"ph\"\nlimits = { interval_s = 60 }",
            "unknown field `interval_s`",
        ),
        ("[[series]]\nparameter = \"ph\"\nlimits = { gaps = \"bridge\" }", "unknown field `gaps`"),
        ("[[site]]\nstations = [\"vam-kenh\"]\nclass = \"sea\"", "unknown variant `sea`"),
    ] {
        let error = toml::from_str::<Table>(typed).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn the_defaults_of_everything_everywhere_are_a_table_at_every_rhythm() {
    for interval_s in [1, 60, 300, 900, 3_600, 86_400] {
        let stations: Vec<_> = book()
            .into_iter()
            .map(|it| Station { interval: Duration::from_secs(interval_s), ..it })
            .collect();
        for typed in ["[[series]]\ndefaults = true", "[[series]]\nparameter = \"salinity\""] {
            let plans =
                Plans::new(&toml::from_str(typed).unwrap(), &standard_parameters(), &stations);
            assert!(plans.is_ok(), "{typed} every {interval_s} s: {plans:?}");
        }
    }
}

#[test]
fn a_station_that_moves_to_another_rhythm_has_another_plan() {
    let plan = |interval_s| {
        let mut stations = book();
        stations[0].interval = Duration::from_secs(interval_s);
        let table = toml::from_str("[[series]]\ndefaults = true").unwrap();
        let plans = Plans::new(&table, &standard_parameters(), &stations).unwrap();
        plans.of(&stations[0].code).print
    };
    assert_eq!(plan(300), plan(300));
    assert_ne!(plan(300), plan(600));
}

#[test]
fn the_table_of_the_documents_loads() {
    let page = include_str!("../../../../docs/quality.md");
    let (_, rest) = page.split_once("<!-- quality.toml -->\n```toml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let plans = load(example);
    assert!(plans.is_ok(), "{plans:?}");
}
