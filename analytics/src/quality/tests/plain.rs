//! The definitions again, as slowly as they read: every flag from the whole record, without any state. Written apart
//! from the stream; both must agree on any record.

use domain::{Flag, QualityTest, TestFlags};

use crate::quality::plan::TestPlan;
use crate::quality::{Levels, Point};

/// The flags of a settled record under a plan that breaks at gaps, but for unit slips.
pub(super) fn judge(plan: &TestPlan, record: &[Point]) -> Vec<TestFlags> {
    let values: Vec<(i64, f64)> = record
        .iter()
        .filter(|point| usable(plan, point))
        .map(|point| (point.at.as_millis(), point.value.unwrap()))
        .collect();
    record.iter().enumerate().map(|(i, point)| flags(plan, record, &values, i, point)).collect()
}

fn usable(plan: &TestPlan, point: &Point) -> bool {
    let in_range = |value: f64| {
        plan.gross.and_then(|it| it.fail).is_none_or(|fail| fail.low <= value && value <= fail.high)
    };
    point.value.is_some_and(|it| it.is_finite() && in_range(it))
        && !matches!(point.said, Flag::Bad | Flag::Missing)
}

fn flags(
    plan: &TestPlan,
    record: &[Point],
    values: &[(i64, f64)],
    i: usize,
    point: &Point,
) -> TestFlags {
    let mut out = TestFlags::NONE;
    let at = point.at.as_millis();
    if point.said != Flag::NotEvaluated {
        out = out.with(QualityTest::Sensor, point.said);
    }
    let gap = i.checked_sub(1).map(|before| at - record[before].at.as_millis() > plan.gap_ms);
    out = out.with(QualityTest::Timing, gap.map_or(Flag::NotEvaluated, |gap| pick(gap, Flag::Bad)));
    out = out.with(QualityTest::GrossRange, gross(plan, point.value));
    let compared = values.iter().position(|(time, _)| *time == at);
    let number = point.value.is_some_and(f64::is_finite);
    let otherwise = if number { Flag::NotEvaluated } else { Flag::Missing };
    for (test, judge) in COMPARING {
        out = out.with(test, compared.map_or(otherwise, |n| judge(plan, values, n)));
    }
    out
}

type Judge = fn(&TestPlan, &[(i64, f64)], usize) -> Flag;

const COMPARING: [(QualityTest, Judge); 5] = [
    (QualityTest::SpikeAverage, |plan, values, n| {
        spike(plan, values, n, plan.spike_average, |a, b, c| (b - (a + c) / 2.0).abs())
    }),
    (QualityTest::SpikeDifferential, |plan, values, n| {
        spike(plan, values, n, plan.spike_differential, |a, b, c| {
            if (b > a && b > c) || (b < a && b < c) {
                (b - a).abs().min((c - b).abs())
            } else {
                0.0
            }
        })
    }),
    (QualityTest::RateOfChange, rate),
    (QualityTest::FlatLine, flat),
    (QualityTest::AttenuatedSignal, attenuated),
];

fn pick(fault: bool, flag: Flag) -> Flag {
    if fault { flag } else { Flag::Good }
}

fn level(limits: Levels, size: f64) -> Flag {
    if size > limits.fail.unwrap_or(f64::INFINITY) {
        Flag::Bad
    } else {
        pick(size > limits.suspect, Flag::Suspect)
    }
}

fn gross(plan: &TestPlan, value: Option<f64>) -> Flag {
    let bounds = plan.gross.unwrap();
    match value {
        None => Flag::Missing,
        Some(it) if !it.is_finite() || !bounds.fail.unwrap().holds(it) => Flag::Bad,
        Some(it) => pick(!bounds.suspect.unwrap().holds(it), Flag::Suspect),
    }
}

fn near(plan: &TestPlan, values: &[(i64, f64)], n: usize) -> bool {
    0 < n && n < values.len() && values[n].0 - values[n - 1].0 <= plan.gap_ms
}

fn spike(
    plan: &TestPlan,
    values: &[(i64, f64)],
    n: usize,
    limits: Option<Levels>,
    size: fn(f64, f64, f64) -> f64,
) -> Flag {
    if near(plan, values, n) && near(plan, values, n + 1) {
        level(limits.unwrap(), size(values[n - 1].1, values[n].1, values[n + 1].1))
    } else {
        Flag::NotEvaluated
    }
}

fn rate(plan: &TestPlan, values: &[(i64, f64)], n: usize) -> Flag {
    if !near(plan, values, n) {
        return Flag::NotEvaluated;
    }
    let ((t0, v0), (t1, v1)) = (values[n - 1], values[n]);
    level(plan.rate_per_s.unwrap(), ((v1 - v0) / ((t1 - t0) as f64 / 1_000.0)).abs())
}

/// Has the value stood for so long? Some reading at least so old belongs to the unbroken run up to now, and all since
/// it lie within the tolerance.
fn flat(plan: &TestPlan, values: &[(i64, f64)], n: usize) -> Flag {
    let limits = plan.flat.unwrap();
    let (mut low, mut high, mut length) = (values[n].1, values[n].1, 0);
    for k in (0..n).rev() {
        (low, high) = (low.min(values[k].1), high.max(values[k].1));
        if high - low >= limits.tolerance || !near(plan, values, k + 1) {
            break;
        }
        length = values[n].0 - values[k].0;
    }
    let bad = limits.fail.is_some_and(|fail| fail <= length);
    match (bad, limits.suspect <= length) {
        (false, false) => Flag::Good,
        _ if fresh(plan, values, n) => Flag::NotEvaluated,
        (true, _) => Flag::Bad,
        (false, true) => Flag::Suspect,
    }
}

/// The readings of the slots whose newest is not older than the period.
fn period(plan: &TestPlan, values: &[(i64, f64)], n: usize) -> Vec<f64> {
    let (span, now) = (plan.window.unwrap(), values[n].0);
    let slot = |at: i64| at.div_euclid(span.slot_ms);
    let newest_of = |at: i64| {
        let of_slot = values[..=n].iter().filter(|(time, _)| slot(*time) == slot(at));
        of_slot.map(|(time, _)| *time).max().unwrap()
    };
    let inside = values[..=n].iter().filter(|(time, _)| now - newest_of(*time) < span.period_ms);
    inside.map(|(_, value)| *value).collect()
}

fn fresh(plan: &TestPlan, values: &[(i64, f64)], n: usize) -> bool {
    plan.fresh_below.is_some_and(|fresh| period(plan, values, n).iter().all(|it| *it <= fresh))
}

fn attenuated(plan: &TestPlan, values: &[(i64, f64)], n: usize) -> Flag {
    let (limits, period) = (plan.attenuated.unwrap(), period(plan, values, n));
    let low = period.iter().copied().fold(f64::INFINITY, f64::min);
    let high = period.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match high - low {
        _ if period.len() < limits.min_obs as usize => Flag::NotEvaluated,
        range if range >= limits.suspect => Flag::Good,
        _ if fresh(plan, values, n) => Flag::NotEvaluated,
        range => pick(limits.fail.is_some_and(|fail| range < fail), Flag::Bad).worse(Flag::Suspect),
    }
}
