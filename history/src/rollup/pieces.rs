//! Of a question, what is answered from what is kept and what from readings. Of each file of a month either the one or
//! the other is taken; an interval is computed from the readings of all files where
//! - its readings in two sources lie between each other, so that one may correct the other,
//! - the question begins or ends in it,
//! - or the one who asks wants to see its readings.
//!
//! What is left is in the order of time, and each reading is in it once.

use std::sync::Arc;

use super::{Block, Level, State};
use crate::HistoryError;
use crate::month::Month;
use crate::read::View;
use crate::sealed::{Footer, Rolled, SealedFile};
use crate::series::Version;
use crate::store::{Shared, lock};

/// A part of an answer.
#[derive(Debug)]
pub(crate) enum Piece {
    /// A reading.
    Reading(Version),
    /// What the readings of an interval, or of a part of it, come to.
    Kept(Kept),
}

/// One of the intervals of a block.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    block: Arc<Block>,
    at: usize,
}

impl Kept {
    pub(crate) fn state(&self) -> &State {
        &self.block.states[self.at]
    }

    fn span(&self) -> (i64, i64) {
        self.state().span
    }
}

impl Piece {
    fn first(&self) -> i64 {
        match self {
            Self::Reading(version) => version.taken,
            Self::Kept(kept) => kept.span().0,
        }
    }
}

/// What is asked of a month.
pub(crate) struct Asked<'a> {
    pub(crate) series: (&'a str, &'a str),
    /// The second not included.
    pub(crate) span: (i64, i64),
    pub(crate) level: Level,
    pub(crate) direction: bool,
    /// Is what is kept of an interval enough?
    pub(crate) enough: &'a dyn Fn(&State) -> bool,
}

impl Shared {
    /// One month of a series in pieces, in the order of time.
    pub(crate) fn pieces(
        &self,
        view: &View,
        month: Month,
        asked: &Asked<'_>,
    ) -> Result<Vec<Piece>, HistoryError> {
        let (from, to) = asked.span;
        let mut kept: Vec<Kept> = Vec::new();
        let mut sources = view.of_month(month);
        for file in view.files.iter().filter(|f| f.facts.month == month && f.overlaps(from, to)) {
            let footer = file.footer(&self.footers)?;
            match self.rolled(view, file, &footer, asked) {
                Rolled::Nothing => {}
                Rolled::Kept(block)
                    if block.direction == asked.direction && block.received <= view.known_by =>
                {
                    let inside = |state: &&State| from <= state.span.1 && state.span.0 < to;
                    let begin = block.states.partition_point(|state| state.span.1 < from);
                    let many = block.states[begin..].iter().take_while(inside).count();
                    let one = |at| Kept { block: Arc::clone(&block), at };
                    kept.extend((begin..begin + many).map(one));
                }
                Rolled::Kept(_) | Rolled::Rows => sources.files.push(file.clone()),
            }
        }
        if kept.is_empty() {
            let all = self.month(view, month, asked.series, asked.span)?;
            return Ok(all.into_iter().map(Piece::Reading).collect());
        }
        kept.sort_by_key(Kept::span);
        let readings = self.versions(view, &sources, asked.series, asked.span)?;
        let again = intervals_to_see(&kept, &readings, asked);
        self.put_together(view, month, asked, (kept, readings, again))
    }

    /// What a file has kept of the series, from memory where it is there.
    fn rolled(&self, view: &View, file: &SealedFile, footer: &Footer, asked: &Asked<'_>) -> Rolled {
        let Some((station, parameter)) = view.numbers else { return Rolled::Rows };
        let key = (file.facts.serial, station, parameter, asked.level);
        let known = lock(&self.kept).get(key);
        if let Some(block) = known.and_then(|bytes| Block::decode(&bytes)) {
            return Rolled::Kept(Arc::new(block));
        }
        let rolled = file.rolled(footer, asked.series, asked.level);
        // As it lies on disk, a tenth of what it is in memory: all stations' years fit.
        if let Rolled::Kept(block) = &rolled
            && let Some(bytes) = block.encode()
        {
            let length = bytes.len();
            lock(&self.kept).put(key, Arc::new(bytes), length);
        }
        rolled
    }

    fn put_together(
        &self,
        view: &View,
        month: Month,
        asked: &Asked<'_>,
        (kept, readings, again): (Vec<Kept>, Vec<Version>, Vec<(i64, i64)>),
    ) -> Result<Vec<Piece>, HistoryError> {
        let seen = |at: i64| {
            let before = again.partition_point(|interval| interval.1 < at);
            again.get(before).is_some_and(|interval| interval.0 <= at)
        };
        let mut pieces: Vec<Piece> = Vec::new();
        pieces.extend(kept.into_iter().filter(|kept| !seen(kept.span().0)).map(Piece::Kept));
        pieces.extend(readings.into_iter().filter(|v| !seen(v.taken)).map(Piece::Reading));
        let (from, to) = asked.span;
        let within = |(first, last): (i64, i64)| (from.max(first), to.min(last.saturating_add(1)));
        if let (Some(first), Some(last)) = (again.first(), again.last()) {
            match self.packed(view, month, asked.series)? {
                Some(packed) => {
                    for &interval in &again {
                        let all = view.with_hot(month, &packed, within(interval));
                        pieces.extend(all.into_iter().map(Piece::Reading));
                    }
                }
                None => {
                    let all = self.month(view, month, asked.series, within((first.0, last.1)))?;
                    pieces.extend(all.into_iter().filter(|v| seen(v.taken)).map(Piece::Reading));
                }
            }
        }
        pieces.sort_by_key(Piece::first);
        Ok(pieces)
    }
}

/// The intervals whose readings must be seen, first and last millisecond of each, in order and apart.
fn intervals_to_see(kept: &[Kept], readings: &[Version], asked: &Asked<'_>) -> Vec<(i64, i64)> {
    let (from, to) = asked.span;
    let mut again = Vec::new();
    let mut reaches = i64::MIN;
    for (at, one) in kept.iter().enumerate() {
        let (first, last) = one.span();
        let inside = from <= first && last < to;
        let parted = at == 0 || reaches < first;
        let next = kept.get(at + 1).is_none_or(|next| last < next.span().0);
        let near = readings.partition_point(|version| version.taken < first);
        let alone = readings.get(near).is_none_or(|version| last < version.taken);
        if !(inside && parted && next && alone && (asked.enough)(one.state())) {
            again.push(asked.level.interval(first));
        }
        reaches = reaches.max(last);
    }
    again.dedup();
    again
}
