//! QARTOD's flat line: for how long has the value stood still? A flag comes when it has stood long enough and is not
//! written back over the readings before, as in `ioos_qc`.
//!
//! What is kept is the longest run up to now whose range is below the tolerance: its start, and two monotonic queues
//! with its smallest and largest values still to come. Moving water keeps them at a few entries; each reading enters
//! and leaves once. Positions are milliseconds where gaps break a run, rows where they are bridged.

use std::collections::VecDeque;

use super::limits::Gaps;
use super::plan::FlatPlan;
use super::saved::{Number, in_order};

/// Room for extremes that is kept although it is not needed.
const SPARE: usize = 8;

/// A value that may be the smallest or the largest of a run.
#[derive(Debug, Clone, Copy)]
struct Extreme {
    at: i64,
    value: f64,
    /// Position of the reading after it.
    next: i64,
}

/// The run that the newest reading ends.
#[derive(Debug, Clone, Default)]
pub(super) struct Run {
    start: i64,
    low: VecDeque<Extreme>,
    high: VecDeque<Extreme>,
}

in_order!(Extreme { at: i64, value: Number, next: i64 });
in_order!(Run { start: i64, low: VecDeque<Extreme>, high: VecDeque<Extreme> });

impl Run {
    /// A run that begins here.
    pub(super) fn begin(&mut self, start: i64) {
        self.start = start;
        self.low.clear();
        self.high.clear();
    }

    /// How long the run is that `value` ends; what lies more than `keep` back is forgotten.
    pub(super) fn step(&mut self, plan: &FlatPlan, keep: i64, at: i64, value: f64) -> i64 {
        let it = Extreme { at, value, next: at + 1 };
        for queue in [&mut self.low, &mut self.high] {
            follow(queue, plan.gaps, at);
        }
        enter(&mut self.low, it, |back| value <= back);
        enter(&mut self.high, it, |back| back <= value);
        while let (Some(low), Some(high)) = (self.low.front(), self.high.front()) {
            if high.value - low.value < plan.tolerance {
                break;
            }
            self.start = if low.at < high.at { low.next } else { high.next };
            forget(&mut self.low, self.start);
            forget(&mut self.high, self.start);
        }
        forget(&mut self.low, at - keep);
        forget(&mut self.high, at - keep);
        at - self.start
    }

    pub(super) fn heap_bytes(&self) -> usize {
        (self.low.capacity() + self.high.capacity()) * size_of::<Extreme>()
    }
}

/// Tells the reading before, which is always at the back, where the next one is. A row has the next row, be it empty.
fn follow(queue: &mut VecDeque<Extreme>, gaps: Gaps, at: i64) {
    if let (Gaps::Break, Some(back)) = (gaps, queue.back_mut()) {
        back.next = at;
    }
}

fn enter(queue: &mut VecDeque<Extreme>, it: Extreme, beats: impl Fn(f64) -> bool) {
    while queue.back().is_some_and(|back| beats(back.value)) {
        queue.pop_back();
    }
    queue.push_back(it);
}

fn forget(queue: &mut VecDeque<Extreme>, before: i64) {
    while queue.front().is_some_and(|front| front.at < before) {
        queue.pop_front();
    }
    // A long run of small changes is over: give its memory back.
    if SPARE < queue.capacity() && queue.len() < queue.capacity() / 4 {
        queue.shrink_to(queue.capacity() / 2);
    }
}
