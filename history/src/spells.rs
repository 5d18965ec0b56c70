//! How long the water stood above or below a limit, from readings some minutes apart.

use std::time::Duration;

use domain::{Every, Flag, Timestamp};

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
        let all = Query { limit: usize::MAX, ..query.clone() };
        self.visit(&all, |point| counting.take(&point))?;
        Ok(counting.done)
    }
}

/// Counts along the points, which come in order.
struct Counting {
    every: Every,
    beyond: Beyond,
    gap_max: Duration,
    limit: usize,
    last: Option<(i64, f64)>,
    /// When the spell that reaches the last reading began, or the interval if that is later; in milliseconds.
    since: Option<f64>,
    /// The end of the interval that is open.
    end: Option<i64>,
    /// Milliseconds beyond the limit in it: kept as they are until it ends, so that no rounding adds up.
    beyond_ms: f64,
    longest_ms: f64,
    done: Vec<Spells>,
}

impl Counting {
    fn new(every: Every, beyond: Beyond, gap_max: Duration, limit: usize) -> Self {
        let (last, since, end) = (None, None, None);
        let (beyond_ms, longest_ms, done) = (0.0, 0.0, Vec::new());
        Self { every, beyond, gap_max, limit, last, since, end, beyond_ms, longest_ms, done }
    }

    /// `false` when the interval it would open is one too many.
    fn take(&mut self, point: &Point) -> bool {
        let trusted = !matches!(point.flag, Flag::Bad | Flag::Missing);
        let Some(value) = point.value.filter(|value| trusted && value.is_finite()) else {
            return true;
        };
        let now = (point.taken_at.as_millis(), value);
        if let Some(before) = self.last.replace(now) {
            let apart = now.0.saturating_sub(before.0);
            if i128::from(apart) <= i128::try_from(self.gap_max.as_millis()).unwrap_or(i128::MAX) {
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
        self.beyond_ms += leaves - enters;
        let since = self.since.unwrap_or(enters);
        self.longest_ms = self.longest_ms.max(leaves - since);
        open.beyond = millis(self.beyond_ms);
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
        (self.beyond_ms, self.longest_ms, self.since) = (0.0, 0.0, None);
        let (beyond, known, longest) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        self.done.push(Spells { start, beyond, known, spells: 0, longest });
        true
    }
}

fn millis(ms: f64) -> Duration {
    Duration::from_millis(ms.round() as u64)
}
