//! The benches run once, small, so that they never rot.

#[expect(dead_code, reason = "its main is not called here")]
#[path = "../benches/analyzer.rs"]
mod analyzer;
#[expect(dead_code, reason = "its main is not called here")]
#[path = "../benches/quality.rs"]
mod quality;

#[test]
fn the_bench_judges_a_small_tide_and_finds_exceedances_in_it() {
    let measured = analyzer::measure(analyzer::QUICK);
    assert_eq!(measured.readings, 200 * 40 * 6);
    assert!(200 < measured.verdicts, "{measured:?}");
}

#[test]
fn the_bench_of_all_tests_finds_the_spikes_and_little_else() {
    let measured = quality::measure(quality::QUICK);
    assert_eq!(measured.readings, 20 * 320 * 6);
    assert!(6 <= measured.faults && measured.faults < 200, "{measured:?}");
    assert!(measured.bytes_most < 2_048, "{measured:?}");
}

#[test]
fn the_bench_of_whole_reports_revises_spikes_and_has_room_for_each_series() {
    let measured = quality::live(quality::QUICK);
    assert_eq!((measured.readings, measured.series), (20 * 320 * 6, 20 * 6));
    assert!(measured.readings / 2 < measured.revised, "{measured:?}");
    assert!(6 <= measured.faults && measured.faults < 400, "{measured:?}");
    assert!(measured.bytes < 2_048 * measured.series, "{measured:?}");
    assert!(measured.saved < 2_048 * measured.series, "{measured:?}");
}
