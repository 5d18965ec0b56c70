//! The bench runs once, small, so that it never rots.

#[expect(dead_code, reason = "its main is not called here")]
#[path = "../benches/analyzer.rs"]
mod analyzer;

#[test]
fn the_bench_judges_a_small_tide_and_finds_exceedances_in_it() {
    let measured = analyzer::measure(analyzer::QUICK);
    assert_eq!(measured.readings, 200 * 40 * 6);
    assert!(200 < measured.verdicts, "{measured:?}");
}
