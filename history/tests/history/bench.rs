//! The bench runs once, small, so that it never rots.

#[path = "../../benches/history.rs"]
#[allow(dead_code)]
mod history_bench;

#[test]
fn the_bench_runs_small() {
    history_bench::run(&history_bench::Scale::QUICK);
    history_bench::run_with(&history_bench::Scale::QUICK, history_bench::Tests::Words);
    history_bench::run_with(&history_bench::Scale::QUICK, history_bench::Tests::Revised);
}
