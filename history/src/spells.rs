//! How long the water stood above or below a limit, from readings some minutes apart.

use std::time::Duration;

use domain::{Every, Timestamp};

use crate::read::Part;
use crate::rollup::{Amount, Counted, State, counted};
use crate::series::Cell;
use crate::{History, HistoryError, Point, Query};

/// A side of a limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Beyond {
    /// At the limit or above it.
    Above(f64),
    /// At the limit or below it.
    Below(f64),
}

impl Beyond {
    /// How far a value is on this side; negative on the other.
    fn depth(self, value: f64) -> f64 {
        match self {
            Self::Above(limit) => value - limit,
            Self::Below(limit) => limit - value,
        }
    }

    /// Are all of them beyond the limit, or none? `None` where some are.
    fn side(self, counted: &Counted) -> Option<bool> {
        let Amount::Number { min, max, .. } = &counted.amount else { return None };
        let sides = (0.0 <= self.depth(min.0), 0.0 <= self.depth(max.0));
        (sides.0 == sides.1).then_some(sides.0)
    }
}

/// One interval of time. Intervals of which nothing is known are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spells {
    /// The interval's start.
    pub start: Timestamp,
    /// How long the water stood beyond the limit.
    pub beyond: Duration,
    /// Of how long it is known where it stood: the rest of the interval has no readings close enough to each other.
    pub known: Duration,
    /// How many spells beyond the limit began in the interval, or were under way when it, or what is known, began.
    pub spells: u32,
    /// The longest time without a break, as far as it lies in the interval.
    pub longest: Duration,
}

impl History {
    /// How long a series was beyond a limit, by intervals. Between two readings the value goes in a straight line (so the
    /// crossing of the limit is placed between them), unless they are further apart than `gap_max`: then nothing is known
    /// of the time between them. Bad (4) and missing (9) readings are left out as if they had not come.
    ///
    /// # Errors
    /// As [`range`](Self::range).
    pub fn spells(
        &self,
        query: &Query,
        every: Every,
        beyond: Beyond,
        gap_max: Duration,
    ) -> Result<Vec<Spells>, HistoryError> {
        let mut counting = Counting::new(every, beyond, gap_max, query.limit);
        let gap = counting.gap_max;
        // A day that stays on one side of the limit, without a gap, needs no look at its readings.
        let enough = |state: &State| {
            state.counted.as_ref().is_none_or(|c| c.gap <= gap && beyond.side(c).is_some())
        };
        self.visit_kept(query, (every, false), &enough, |part| match part {
            Part::Point(point) => counting.take(&point),
            Part::Kept(kept) => counting.take_kept(kept.state()),
        })?;
        Ok(counting.done)
    }
}

/// Counts along the points, which come in order.
struct Counting {
    every: Every,
    beyond: Beyond,
    /// In milliseconds.
    gap_max: i64,
    limit: usize,
    last: Option<(i64, f64)>,
    /// When the spell that reaches the last reading began, or the interval if that is later; in milliseconds.
    since: Option<f64>,
    /// The end of the interval that is open.
    end: Option<i64>,
    /// Milliseconds beyond the limit in it: whole ones of lines that lie beyond it from end to end, so that a day added
    /// in one is what its lines come to, and the parts of those that cross it, kept as they are until it ends, so that no
    /// rounding adds up.
    whole_ms: i64,
    parts_ms: f64,
    longest_ms: f64,
    done: Vec<Spells>,
}

impl Counting {
    fn new(every: Every, beyond: Beyond, gap_max: Duration, limit: usize) -> Self {
        let (last, since, end) = (None, None, None);
        let (whole_ms, parts_ms, longest_ms, done) = (0, 0.0, 0.0, Vec::new());
        let gap_max = i64::try_from(gap_max.as_millis()).unwrap_or(i64::MAX);
        Self {
            every,
            beyond,
            gap_max,
            limit,
            last,
            since,
            end,
            whole_ms,
            parts_ms,
            longest_ms,
            done,
        }
    }

    /// `false` when the interval it would open is one too many.
    fn take(&mut self, point: &Point) -> bool {
        let cell = Cell::untested(point.value, point.flag);
        let Some(value) = counted(cell).filter(|value| value.is_finite()) else { return true };
        self.reading((point.taken_at.as_millis(), value))
    }

    /// Takes readings that are all on one side of the limit and close to each other: the line to the first of them, and
    /// from there to the last as if it were one.
    fn take_kept(&mut self, state: &State) -> bool {
        let Some(counted) = &state.counted else { return true };
        let (first, last) = (counted.first, counted.last);
        if !self.reading((first.1, first.0)) {
            return false;
        }
        self.last = Some((last.1, last.0));
        first.1 == last.1 || self.line((first.1, first.0), (last.1, last.0))
    }

    fn reading(&mut self, now: (i64, f64)) -> bool {
        if let Some(before) = self.last.replace(now) {
            let apart = now.0.saturating_sub(before.0);
            if apart <= self.gap_max {
                return self.line(before, now);
            }
            self.since = None;
        }
        true
    }

    /// Goes along the line from one reading to the next, interval by interval.
    fn line(&mut self, (from, at_from): (i64, f64), (to, at_to): (i64, f64)) -> bool {
        let depths = (self.beyond.depth(at_from), self.beyond.depth(at_to));
        // Where the line meets the limit, if it does.
        let crossing = || from as f64 + (to - from) as f64 * depths.0 / (depths.0 - depths.1);
        let (enters, leaves) = match (0.0 <= depths.0, 0.0 <= depths.1) {
            (true, true) => (from as f64, to as f64),
            (true, false) => (from as f64, crossing()),
            (false, true) => (crossing(), to as f64),
            (false, false) => (to as f64, to as f64),
        };
        let mut at = from;
        while at < to {
            if self.end.is_none_or(|end| end <= at) && !self.open(at) {
                return false;
            }
            let until = self.end.map_or(to, |end| end.min(to));
            self.piece((at, until), (enters.max(at as f64), leaves.min(until as f64)));
            at = until;
        }
        true
    }

    /// A piece of a line that lies in the open interval, and the part of it that is beyond the limit.
    fn piece(&mut self, (from, until): (i64, i64), (enters, leaves): (f64, f64)) {
        let Some(open) = self.done.last_mut() else { return };
        open.known += Duration::from_millis(u64::try_from(until - from).unwrap_or(0));
        // A limit that is touched for an instant is a spell of no length: it does not count.
        if leaves <= enters {
            self.since = None;
            return;
        }
        if self.since.is_none() || (from as f64) < enters {
            self.since = Some(enters);
            open.spells = open.spells.saturating_add(1);
        }
        if (enters, leaves) == (from as f64, until as f64) {
            self.whole_ms = self.whole_ms.saturating_add(until - from);
        } else {
            self.parts_ms += leaves - enters;
        }
        let since = self.since.unwrap_or(enters);
        self.longest_ms = self.longest_ms.max(leaves - since);
        open.beyond = millis(self.whole_ms as f64 + self.parts_ms);
        open.longest = millis(self.longest_ms);
        if leaves < until as f64 {
            self.since = None;
        }
    }

    /// Opens the interval that holds this time. A spell that is under way begins anew with it.
    fn open(&mut self, at: i64) -> bool {
        if self.limit <= self.done.len() {
            return false;
        }
        let start = self.every.start(Timestamp::from_millis(at));
        self.end = Some(self.every.end(start).as_millis());
        (self.whole_ms, self.parts_ms, self.longest_ms, self.since) = (0, 0.0, 0.0, None);
        let (beyond, known, longest) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        self.done.push(Spells { start, beyond, known, spells: 0, longest });
        true
    }
}

fn millis(ms: f64) -> Duration {
    Duration::from_millis(ms.round() as u64)
}
