//! A climatology learned from history: what the water was in this month at this hour of the tide, from its 0.5th to its
//! 99.5th percentile. Too little history is refused, and a cell of too few readings says nothing.

use std::time::Duration;

use domain::{Flag, Timestamp};
use serde::{Deserialize, Serialize};

use super::climatology::{month, tide_phase};

/// What the water was in one month at one hour of the tide.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Usual {
    /// The 0.5th percentile.
    pub low: f64,
    /// The 99.5th percentile.
    pub high: f64,
    /// Of how many readings.
    pub count: u32,
}

/// A climatology learned from history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Learned {
    /// By month (Vietnam's, 0 is January), then by [`tide_phase`]: 12 × 12 cells in a row; `None` where too little is
    /// known.
    cells: Vec<Option<Usual>>,
    /// Share of a cell's width that a value may lie outside of it.
    margin: f64,
}

/// What learning asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Learning {
    /// Readings without which a cell says nothing.
    pub cell_min: u32,
    /// How long history must be at least, from its oldest to its newest reading.
    pub span_min: Duration,
    /// Share of a cell's width that a value may lie outside of it.
    pub margin: f64,
}

/// History does not bear a climatology.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooLittle {
    /// It is too short.
    #[error("history spans {days} days; {needed} are needed")]
    Span {
        /// What it spans.
        days: u64,
        /// What is needed.
        needed: u64,
    },
    /// It is long enough, but no month and hour of the tide has readings enough.
    #[error("no month and hour of the tide has {needed} readings; the fullest has {most}")]
    Readings {
        /// Readings of the fullest cell.
        most: u32,
        /// What is needed.
        needed: u32,
    },
}

impl Default for Learning {
    /// 200 readings a cell, below which the 0.5th percentile is the smallest reading; a spring and a neap tide of one
    /// month at least; a tenth of the width on both sides, for the years that were not seen.
    fn default() -> Self {
        Self { cell_min: 200, span_min: Duration::from_secs(30 * 86_400), margin: 0.1 }
    }
}

const MONTHS: usize = 12;
const PHASES: usize = 12;
const DAY_S: u64 = 86_400;

impl Learned {
    /// Learns from readings that were good, in any order; what is not a number is passed over.
    ///
    /// # Errors
    /// [`TooLittle`] where history does not bear it.
    pub fn from_history(
        history: impl IntoIterator<Item = (Timestamp, f64)>,
        asked: Learning,
    ) -> Result<Self, TooLittle> {
        let (cells, span) = sorted_into_cells(history);
        if span < asked.span_min {
            let (days, needed) = (span.as_secs() / DAY_S, asked.span_min.as_secs() / DAY_S);
            return Err(TooLittle::Span { days, needed });
        }
        let most = cells.iter().map(Vec::len).max().unwrap_or(0);
        let needed = asked.cell_min.max(1);
        if most < needed as usize {
            return Err(TooLittle::Readings {
                most: u32::try_from(most).unwrap_or(u32::MAX),
                needed,
            });
        }
        let cells = cells.into_iter().map(|cell| usual(cell, needed)).collect();
        Ok(Self { cells, margin: asked.margin.clamp(0.0, 10.0) })
    }

    /// What the water was at such a time.
    #[must_use]
    pub fn usual(&self, at: Timestamp) -> Option<Usual> {
        self.cells.get(cell(at)).copied().flatten()
    }

    /// Cells that say something, of 144.
    #[must_use]
    pub fn known(&self) -> usize {
        self.cells.iter().flatten().count()
    }

    pub(super) fn judge(&self, at: Timestamp, value: f64) -> Flag {
        let Some(usual) = self.usual(at) else { return Flag::NotEvaluated };
        let margin = self.margin * (usual.high - usual.low);
        let inside = usual.low - margin <= value && value <= usual.high + margin;
        if inside { Flag::Good } else { Flag::Suspect }
    }
}

fn cell(at: Timestamp) -> usize {
    month(at) * PHASES + tide_phase(at)
}

fn sorted_into_cells(
    history: impl IntoIterator<Item = (Timestamp, f64)>,
) -> (Vec<Vec<f64>>, Duration) {
    let mut cells = vec![Vec::new(); MONTHS * PHASES];
    let mut ends = None::<(Timestamp, Timestamp)>;
    for (at, value) in history.into_iter().filter(|(_, value)| value.is_finite()) {
        cells[cell(at)].push(value);
        ends = Some(ends.map_or((at, at), |(oldest, newest)| (oldest.min(at), newest.max(at))));
    }
    let span = ends.map_or(Duration::ZERO, |(oldest, newest)| newest.since(oldest));
    (cells, span)
}

fn usual(mut cell: Vec<f64>, needed: u32) -> Option<Usual> {
    let count = u32::try_from(cell.len()).unwrap_or(u32::MAX);
    cell.sort_unstable_by(f64::total_cmp);
    (needed <= count).then(|| Usual {
        low: quantile(&cell, 0.005),
        high: quantile(&cell, 0.995),
        count,
    })
}

/// The quantile of sorted values, linear between neighbours (Hyndman & Fan 1996, type 7, as numpy).
pub(super) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (below, part) = (place.floor() as usize, place.fract());
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + part * (sorted[above] - sorted[below])
}
