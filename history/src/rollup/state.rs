//! What one interval comes to, and what two stretches of time come to together.

use domain::{Directions, Flag};

use super::Sum;
use crate::series::Cell;

/// A value and when it was taken.
pub(crate) type Stood = (f64, i64);

/// What the readings of a stretch of time come to. Counted are those with a value that are neither bad nor missing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct State {
    /// First and last time of any reading.
    pub(crate) span: (i64, i64),
    /// The worst flag of any reading.
    pub(crate) flag: Flag,
    /// How many are counted.
    pub(crate) count: u32,
    /// What those are like; `None` of none.
    pub(crate) counted: Option<Counted>,
}

/// What the counted readings of a stretch of time come to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Counted {
    pub(crate) first: Stood,
    pub(crate) last: Stood,
    /// The longest time between two that follow each other.
    pub(crate) gap: i64,
    pub(crate) amount: Amount,
}

/// What they are together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Amount {
    /// Of a number: the first of the least, the first of the greatest, the sum.
    Number { min: Stood, max: Stood, sum: Sum },
    /// Of a direction: the sum of unit vectors.
    Vectors(Directions),
}

/// Does a reading count?
pub(crate) fn counted(cell: Cell) -> Option<f64> {
    cell.value.filter(|_| !matches!(cell.flag, Flag::Bad | Flag::Missing))
}

impl State {
    /// Of one reading.
    pub(crate) fn of(taken: i64, cell: Cell, direction: bool) -> Self {
        let counted = counted(cell).map(|value| Counted::of((value, taken), direction));
        let count = u32::from(counted.is_some());
        Self { span: (taken, taken), flag: cell.flag, count, counted }
    }

    /// Adds a later reading.
    pub(crate) fn add(&mut self, taken: i64, cell: Cell, direction: bool) {
        self.span.1 = taken;
        self.flag = self.flag.worse(cell.flag);
        let Some(value) = counted(cell) else { return };
        self.count = self.count.saturating_add(1);
        match &mut self.counted {
            Some(counted) => counted.add((value, taken)),
            None => self.counted = Some(Counted::of((value, taken), direction)),
        }
    }

    /// Can it be put together with others and still be what the readings give?
    pub(crate) fn is_tame(&self) -> bool {
        self.counted.as_ref().is_none_or(|counted| match &counted.amount {
            Amount::Number { sum, .. } => sum.is_tame(),
            Amount::Vectors(_) => true,
        })
    }
}

impl Counted {
    fn of((value, taken): Stood, direction: bool) -> Self {
        let now = (value, taken);
        let amount = if direction {
            let mut directions = Directions::default();
            directions.add(value);
            Amount::Vectors(directions)
        } else {
            let mut sum = Sum::default();
            sum.add(value);
            Amount::Number { min: now, max: now, sum }
        };
        Self { first: now, last: now, gap: 0, amount }
    }

    fn add(&mut self, now: Stood) {
        self.gap = self.gap.max(now.1.saturating_sub(self.last.1));
        self.last = now;
        match &mut self.amount {
            Amount::Number { min, max, sum } => {
                sum.add(now.0);
                if now.0 < min.0 {
                    *min = now;
                }
                if max.0 < now.0 {
                    *max = now;
                }
            }
            Amount::Vectors(directions) => directions.add(now.0),
        }
    }
}
