//! A state on disk is of one record, whole, or none; and a document is believed only where it holds.

use std::time::Duration;

use domain::{Flag, Measured, ParameterCode, StationCode, Timestamp, standard_parameters};

use super::*;

const DOCUMENT: &str = r#"
[[series]]
parameter = "salinity"
stations = ["xuan-hoa"]
limits = { rate = { suspect_per_hour = 3.0, fail_per_hour = 6.0 } }
"#;

fn stations() -> Vec<Station> {
    let mut station = Station::new(StationCode::new("xuan-hoa").unwrap());
    station.interval = Duration::from_mins(5);
    vec![station]
}

fn report(minutes: i64, salinity: f64) -> Admitted {
    let taken_at = Timestamp::from_millis(1_773_000_000_000 + minutes * 60_000);
    Admitted {
        station: StationCode::new("xuan-hoa").unwrap(),
        taken_at,
        received_at: taken_at,
        seq: None,
        replay: false,
        values: vec![Measured {
            parameter: ParameterCode::new("salinity").unwrap(),
            value: Some(salinity),
            flag: Flag::NotEvaluated,
        }],
    }
}

fn tests(document: Option<&str>) -> Tests {
    Tests::new(&standard_parameters(), &stations(), document).unwrap()
}

fn flag(tests: &Tests, live: &mut Live, minutes: i64, salinity: f64) -> Flag {
    let mut report = report(minutes, salinity);
    tests.judge(live, Coming::Live, &mut report);
    report.values[0].flag
}

#[test]
fn a_state_is_read_again_of_its_own_record_and_of_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (shelf, tests) = (Shelf::of_history(dir.path()), tests(Some(DOCUMENT)));
    let mut live = Live::default();
    flag(&tests, &mut live, 0, 1.0);
    shelf.save(7, &written(&live)).unwrap();
    assert_eq!(flag(&tests, &mut shelf.load(7), 5, 9.0), Flag::Bad, "it knows the reading before");
    assert!(shelf.load(8).is_empty() && shelf.load(6).is_empty());
    assert!(Shelf::of_engine(dir.path()).load(7).is_empty());
    let file = dir.path().join("tests/history-00000000000000000007.cbor");
    let whole = std::fs::read(&file).unwrap();
    for length in 0..whole.len() {
        std::fs::write(&file, &whole[..length]).unwrap();
        assert!(shelf.load(7).is_empty(), "torn at {length}");
    }
    for byte in 0..whole.len() {
        let mut bad = whole.clone();
        bad[byte] ^= 1;
        std::fs::write(&file, bad).unwrap();
        assert!(shelf.load(7).is_empty(), "byte {byte}");
    }
    for next in [8, 9, 12, 20] {
        shelf.save(next, &written(&live)).unwrap();
    }
    shelf.clear(12);
    let there = [7, 8, 9, 12, 20].map(|next| !shelf.load(next).is_empty());
    assert_eq!(there, [false, false, true, true, false], "and none of a store that never was");
}

#[test]
fn without_a_document_the_gross_range_is_all() {
    let (document, mut live) = (Some("# nothing yet"), Live::default());
    for tests in [tests(None), tests(document)] {
        assert!(tests.plans().is_none());
        assert_eq!(flag(&tests, &mut live, 0, 1.0), Flag::Good);
        assert_eq!(flag(&tests, &mut live, 5, 9.0), Flag::Good);
        assert!(live.is_empty());
    }
}

#[test]
fn a_document_that_does_not_hold_is_named_and_one_of_stations_that_went_holds_without_them() {
    let bad = DOCUMENT.replace("xuan-hoa", "nowhere");
    let error = Tests::new(&standard_parameters(), &stations(), Some(&bad)).unwrap_err();
    let BadDocument::Table(source) = error else { panic!("{error}") };
    assert_eq!(source.to_string(), "[[series]] 1 (salinity): no station `nowhere` is known");
    let known = |document: &str| {
        Tests::that_hold(&standard_parameters(), &stations(), Some(document)).plans().is_some()
    };
    assert!(known(DOCUMENT) && !known(&bad), "nothing is left of it");
    assert!(known(&DOCUMENT.replace("\"xuan-hoa\"", "\"xuan-hoa\", \"gone\"")));
    assert!(!known("series = 3") && !known(&DOCUMENT.replace("6.0", "1.0")));
}

#[test]
fn a_pack_whose_stations_take_the_tests_their_ground_is_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let registry = Registry::open(&dir.path().join("registry.sqlite")).await.unwrap();
        let pack = Pack { stations: stations(), ..Pack::default() };
        let tested = Pack { quality: Some(DOCUMENT.to_owned()), ..pack.clone() };
        check(&tested, &registry).await.unwrap();
        let alone = Pack { stations: Vec::new(), ..tested.clone() };
        check(&alone, &registry).await.unwrap_err();
        tested.apply(&registry).await.unwrap();
        check(&alone, &registry).await.unwrap();
        assert_eq!(registry.quality().await.unwrap().as_deref(), Some(DOCUMENT));
        assert!(Tests::of(&registry).await.unwrap().plans().is_some());
    });
}

#[test]
fn the_pack_that_is_shipped_holds_and_tests_no_steps_that_nobody_measured() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/tien-giang");
    let pack = registry::pack::read_dir(&folder).unwrap();
    let tests = Tests::new(&standard_parameters(), &pack.stations, pack.quality.as_deref());
    let (tests, mut live) = (tests.unwrap(), Live::default());
    for (n, salinity) in [0.1, 12.0, 0.1, 0.1, 0.1].into_iter().enumerate() {
        assert_eq!(flag(&tests, &mut live, n as i64 * 300, salinity), Flag::Good, "{n}");
    }
    assert!(tests.plans().is_some() && !live.is_empty());
    assert_eq!(flag(&tests, &mut live, 2_000, -5.0), Flag::Bad);
}
