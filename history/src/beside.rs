//! Somebody else who keeps the same readings and may be asked instead of the sealed files: a database that follows the
//! journal too. What is not sealed yet still comes from memory, and what is made of the readings (intervals, spells)
//! is made here, so that the answers are the same whoever was asked. Whoever is behind or does not answer is passed over.

use std::fmt::Debug;
use std::sync::Arc;

use domain::{Flag, Timestamp};

use crate::layers::{as_it_came, last_write_wins};
use crate::series::{Cell, Version};
use crate::{History, Point, Query};

/// Keeps the newest version of every reading, elsewhere.
pub trait Beside: Send + Sync + Debug {
    /// Everything up to this position of the journal, included, can be asked for; `None` where nobody knows.
    fn position(&self) -> Option<u64>;

    /// Rows that may be asked for at a time, at least one: an answer with fewer is the last.
    fn rows_max(&self) -> usize;

    /// The first `limit` rows of the query's series between its instants, in the order of time, each time once.
    ///
    /// # Errors
    /// [`NotNow`]: the sealed files are read instead.
    fn rows(&self, query: &Query, from: Timestamp, limit: usize) -> Result<Vec<BesideRow>, NotNow>;
}

/// A reading as it is kept elsewhere.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BesideRow {
    /// When it was taken.
    pub taken_at: Timestamp,
    /// When it reached us.
    pub received_at: Timestamp,
    /// Its position in the journal.
    pub position: u64,
    /// The value, if the sensor gave one.
    pub value: Option<f64>,
    /// How far it can be trusted.
    pub flag: Flag,
}

/// Why nothing came from elsewhere: a reason out of the closed list of whoever says it, for the counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot be asked now: {0}")]
pub struct NotNow(pub &'static str);

impl History {
    /// The same store, whose ranges, intervals and spells are asked of somebody else first. Commands and followers keep
    /// the handle that they have.
    #[must_use]
    pub fn asking(&self, beside: Arc<dyn Beside>) -> Self {
        Self { shared: Arc::clone(&self.shared), beside: Some(beside) }
    }

    /// Gives the points that somebody else has until `take` has enough. Returns from when on the sealed files are to be
    /// asked; `None` where nothing is left to ask.
    pub(crate) fn visit_beside(
        &self,
        query: &Query,
        take: &mut impl FnMut(Point) -> bool,
    ) -> Option<Timestamp> {
        let Some(beside) = &self.beside else { return Some(query.from) };
        let (from, outcome) = match self.through(beside.as_ref(), query, take) {
            Ok(()) => (None, "answered"),
            Err((from, why)) => (Some(from), why.0),
        };
        metrics::counter!("saltline_history_reader_total", "outcome" => outcome).increment(1);
        from
    }

    fn through(
        &self,
        beside: &dyn Beside,
        query: &Query,
        take: &mut impl FnMut(Point) -> bool,
    ) -> Result<(), (Timestamp, NotNow)> {
        let mut from = query.from;
        let passed = |from, why| Err((from, NotNow(why)));
        // Only the newest version of a reading is kept there.
        if query.as_of.is_some() {
            return passed(from, "as_of");
        }
        // What people changed may speak of an older version.
        if !query.edits.within(query.from, query.to).change_nothing() {
            return passed(from, "edited");
        }
        let series = (query.station.as_str(), query.parameter.as_str());
        let span = (from.as_millis(), query.to.as_millis());
        let view = self.shared.view(series, span, i64::MAX);
        // What is sealed must be there; what is not sealed is in the view.
        if view.sealed.is_some_and(|sealed| beside.position().is_none_or(|has| has < sealed)) {
            return passed(from, "behind");
        }
        let mut hot = &view.hot[..];
        loop {
            let limit = beside.rows_max().max(1);
            let rows = beside.rows(query, from, limit).map_err(|why| (from, why))?;
            let last = rows.last().filter(|_| limit <= rows.len()).map(|row| row.taken_at);
            // Of a time that they know and we know the later version counts, as in a file.
            let end = last.map_or(hot.len(), |last| {
                hot.partition_point(|version| version.taken <= last.as_millis())
            });
            let (now, later) = hot.split_at(end);
            hot = later;
            let versions = rows.iter().map(version).chain(now.iter().copied()).collect();
            for version in last_write_wins(versions) {
                if !take(as_it_came(version)) {
                    return Ok(());
                }
            }
            match last {
                Some(last) => from = Timestamp::from_millis(last.as_millis().saturating_add(1)),
                None => return Ok(()),
            }
        }
    }
}

fn version(row: &BesideRow) -> Version {
    Version {
        taken: row.taken_at.as_millis(),
        received: row.received_at.as_millis(),
        position: row.position,
        cell: Cell::untested(row.value, row.flag),
    }
}
