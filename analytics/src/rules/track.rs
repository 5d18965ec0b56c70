//! Which level a run of values stands at. Each level of a rule is a switch of its own: on after values of at least its
//! limit have held, off after values below its clear have held. Limits and clears rise from level to level, so the
//! switches that are on are always the lowest ones, and their number says it all.

use std::time::Duration;

use domain::{Level, Timestamp, Water};

/// A value and when it was taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Mark {
    pub at: Timestamp,
    pub value: f64,
}

/// The level of one run of values, and what speaks for leaving it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Track {
    /// How many levels are reached, counted from the lowest.
    pub reached: usize,
    /// Per level, the first value of the unbroken run that speaks for switching it.
    pub pending: Vec<Option<Mark>>,
}

impl Track {
    /// No level reached, of so many.
    pub fn new(levels: usize) -> Self {
        Self { reached: 0, pending: vec![None; levels] }
    }

    /// Takes the next value in order of time. Where that changes the level, returns the value with which the change
    /// began.
    pub fn step(&mut self, levels: &[Level], hold: Duration, value: Mark) -> Option<Mark> {
        self.weigh(levels, value);
        let next = self.next_level(hold, value.at);
        if next == self.reached {
            return None;
        }
        let decisive = if next > self.reached { next - 1 } else { next };
        let began = self.pending[decisive];
        let switched = next.min(self.reached)..next.max(self.reached);
        self.pending[switched].fill(None);
        self.reached = next;
        began
    }

    /// The water, if this track is to be believed.
    pub fn water(&self) -> Water {
        water(self.reached)
    }

    /// Does nothing speak against the level the track stands at? A reached level is not doubted by values that speak
    /// for a higher one; being safe is.
    pub fn is_settled(&self) -> bool {
        let doubted = if self.reached == 0 { self.pending.len() } else { self.reached };
        self.pending[..doubted].iter().all(Option::is_none)
    }

    /// Forgets what speaks for leaving the level: a hold does not reach across silence.
    pub fn forget_pending(&mut self) {
        self.pending.fill(None);
    }

    fn weigh(&mut self, levels: &[Level], value: Mark) {
        for (i, (level, pending)) in levels.iter().zip(&mut self.pending).enumerate() {
            let on = i < self.reached;
            let contrary = if on { value.value < level.clear } else { level.limit <= value.value };
            *pending = if contrary { pending.or(Some(value)) } else { None };
        }
    }

    fn next_level(&self, hold: Duration, at: Timestamp) -> usize {
        let held = |mark: &Option<Mark>| mark.is_some_and(|mark| hold <= at.since(mark.at));
        let (on, off) = self.pending.split_at(self.reached);
        match (off.iter().rposition(held), on.iter().position(held)) {
            (Some(up), _) => self.reached + up + 1,
            (None, Some(down)) => down,
            (None, None) => self.reached,
        }
    }
}

/// The water where so many levels are reached.
pub(super) fn water(reached: usize) -> Water {
    match reached.checked_sub(1) {
        None => Water::Safe,
        Some(level) => Water::Exceed(u8::try_from(level).unwrap_or(u8::MAX)),
    }
}
