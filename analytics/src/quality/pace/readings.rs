//! What is learned from: a history as a set of readings, in pieces without a gap, all of them
//! and without those that stand out.

use std::time::Duration;

use domain::Timestamp;

use super::super::limits::Limits;
use super::super::steps::Taken;
use super::super::stream::millis;
use super::{NoPace, TestPlan};

/// No unit's, and far enough from the end of numbers that a rate of it is one.
const LARGEST: f64 = 1e100;

/// The readings of a history, oldest first, in pieces.
pub(super) struct Readings {
    pub(super) pieces: Vec<Piece>,
    pub(super) interval_s: u32,
}

/// Readings without a gap between them.
pub(super) struct Piece {
    pub(super) raw: Vec<Taken>,
    /// Without those that stand out by themselves.
    pub(super) quiet: Vec<Taken>,
}

impl Readings {
    pub(super) fn new(
        history: impl IntoIterator<Item = (Timestamp, f64)>,
        begin: &Limits,
    ) -> Result<Self, NoPace> {
        let plan = TestPlan::new(begin)?;
        let fail = plan.gross.and_then(|gross| gross.fail);
        let usable =
            |value: f64| value.abs() < LARGEST && fail.is_none_or(|fail| fail.holds(value));
        let taken = |(at, value): (Timestamp, f64)| Taken { at: millis(at), value };
        let readings = history.into_iter().filter(|(_, value)| usable(*value)).map(taken).collect();
        let near = |a: &Taken, b: &Taken| b.at - a.at <= plan.gap_ms;
        let pieces = one_at_a_time(readings).chunk_by(near).map(Piece::new).collect();
        Ok(Self { pieces, interval_s: begin.interval_s })
    }

    /// Is it long enough?
    pub(super) fn enough(&self, span_min: Duration) -> Result<(), NoPace> {
        let (from, to) = self.ends();
        let (span, day) = (to.since(from), |it: Duration| it.as_secs() / 86_400);
        let (days, needed) = (day(span), day(span_min));
        if span_min <= span { Ok(()) } else { Err(NoPace::Span { days, needed }) }
    }

    pub(super) fn interval_ms(&self) -> i64 {
        i64::from(self.interval_s) * 1_000
    }

    pub(super) fn count(&self) -> usize {
        self.pieces.iter().map(|piece| piece.raw.len()).sum()
    }

    /// The oldest and the newest time; the epoch twice where there is nothing.
    pub(super) fn ends(&self) -> (Timestamp, Timestamp) {
        let first = self.pieces.first().and_then(|piece| piece.raw.first());
        let last = self.pieces.last().and_then(|piece| piece.raw.last());
        let at = |taken: Option<&Taken>| Timestamp::from_millis(taken.map_or(0, |it| it.at));
        (at(first), at(last))
    }
}

/// In the order of their times; of a time with two values that differ nobody knows which is right, so neither stays,
/// and the order in which they came does not matter.
fn one_at_a_time(mut readings: Vec<Taken>) -> Vec<Taken> {
    readings.sort_unstable_by(|a, b| a.at.cmp(&b.at).then(a.value.total_cmp(&b.value)));
    let of_one_time = readings.chunk_by(|a, b| a.at == b.at);
    let agreed = of_one_time.filter(|them| them.iter().all(|it| it.value == them[0].value));
    agreed.map(|them| them[0]).collect()
}

impl Piece {
    fn new(raw: &[Taken]) -> Self {
        let quiet = (0..raw.len()).filter(|i| !stands_out(raw, *i)).map(|i| raw[i]);
        Self { quiet: quiet.collect(), raw: raw.to_vec() }
    }
}

/// Is a reading farther from the middle of itself and two on either side than the nearest three of these lie apart? Of the
/// four one may be garbage too. A front does not stand out, since two of them lie behind it; nor does an end of the
/// piece, which has no four.
fn stands_out(raw: &[Taken], i: usize) -> bool {
    let around = i.checked_sub(2).and_then(|first| raw.get(first..=i + 2));
    around.is_some_and(|five| {
        let mut others = [0, 1, 3, 4].map(|n| five[n].value);
        others.sort_unstable_by(f64::total_cmp);
        let [lowest, low, high, highest] = others;
        let middle = five[2].value.clamp(low, high);
        let apart = if middle - lowest < highest - middle { high - lowest } else { highest - low };
        apart < (five[2].value - middle).abs()
    })
}
