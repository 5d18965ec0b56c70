//! A unit that changed on the way: a step by a factor of 10, 100 or 1000 within a tenth of it, as when a logger is set
//! from mS/cm to µS/cm or a decimal comma is lost. The step and what follows are suspect until a step back comes, or
//! until the hold is over, because then it is the water.
//!
//! Which side of a step is right nobody can see from the series: a step that takes back those of the hold before it is
//! a return and begins nothing. Steps are kept in sixteenths of the hold, so that memory has a bound.

use std::collections::VecDeque;

use domain::Flag;

use super::plan::SlipPlan;
use super::saved::in_order;
use super::steps::Taken;

const SLOTS: i64 = 16;

/// Steps of one sixteenth of the hold.
#[derive(Debug, Clone, Copy)]
struct Steps {
    newest: i64,
    tens: i32,
}

/// Steps of a series, and its last number.
#[derive(Debug, Clone, Default)]
pub(super) struct Slips {
    before: Option<Taken>,
    steps: VecDeque<Steps>,
    /// When the unit slipped, unless it came back.
    since: Option<i64>,
}

in_order!(Steps { newest: i64, tens: i32 });
in_order!(Slips { before: Option<Taken>, steps: VecDeque<Steps>, since: Option<i64> });

impl Slips {
    pub(super) fn step(&mut self, plan: &SlipPlan, gap_ms: i64, now: Taken) -> Flag {
        let near = self.before.filter(|before| now.at - before.at <= gap_ms);
        self.before = Some(now);
        let Some(before) = near else { return self.standing(plan, now.at, Flag::NotEvaluated) };
        match tens(plan.least, before.value, now.value) {
            0 => {}
            tens => self.stepped(plan, now.at, tens),
        }
        self.standing(plan, now.at, Flag::Good)
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.steps.capacity() * size_of::<Steps>()
    }

    fn standing(&mut self, plan: &SlipPlan, at: i64, otherwise: Flag) -> Flag {
        self.since = self.since.filter(|since| at - since < plan.hold_ms);
        if self.since.is_some() { Flag::Suspect } else { otherwise }
    }

    fn stepped(&mut self, plan: &SlipPlan, at: i64, tens: i32) {
        while self.steps.front().is_some_and(|it| plan.hold_ms <= at - it.newest) {
            self.steps.pop_front();
        }
        let before: i32 = self.steps.iter().map(|it| it.tens).sum();
        let back = before.signum() == -tens.signum();
        self.since = (!back || before + tens != 0 && self.since.is_some()).then_some(at);
        let slot = (plan.hold_ms / SLOTS).max(1);
        match self.steps.back_mut() {
            Some(it) if it.newest.div_euclid(slot) == at.div_euclid(slot) => {
                (it.newest, it.tens) = (at, it.tens.saturating_add(tens));
            }
            _ => self.steps.push_back(Steps { newest: at, tens }),
        }
    }
}

/// The power of ten of a step from one number to the next, 0 for none.
fn tens(least: f64, before: f64, now: f64) -> i32 {
    let (small, large) = (before.abs().min(now.abs()), before.abs().max(now.abs()));
    if large < 8.0 * small || small < least || before.signum() != now.signum() {
        return 0;
    }
    let ratio = large / small;
    let found = [(10.0, 1), (100.0, 2), (1_000.0, 3)]
        .into_iter()
        .find(|(factor, _)| (factor / 1.1..=factor * 1.1).contains(&ratio));
    let sign = if before.abs() < now.abs() { 1 } else { -1 };
    found.map_or(0, |(_, tens)| sign * tens)
}
