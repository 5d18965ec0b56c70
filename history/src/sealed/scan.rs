//! A sealed file from its first row to its last, a few rows at a time: what a merge reads.

use std::sync::Arc;

use parquet::arrow::arrow_reader::ParquetRecordBatchReader;

use super::{Columns, Footer, Rows, SealedFile, Usual};
use crate::HistoryError;
use crate::series::Cell;

/// Rows that a merge decodes of each source at a time.
const SCAN_ROWS: usize = 1_024;

/// A file read from its first row to its last, or such row groups and parameters of it.
pub(crate) struct Scan {
    file: Arc<SealedFile>,
    footer: Arc<Footer>,
    groups: std::vec::IntoIter<usize>,
    columns: Columns,
    /// Of each parameter the place of its tests among those that are read.
    tests: Vec<Option<(usize, Usual)>>,
    reader: Option<ParquetRecordBatchReader>,
    rows: Option<Rows>,
    row: usize,
}

impl Scan {
    pub(super) fn begin(file: &Arc<SealedFile>, footer: Arc<Footer>) -> Result<Self, HistoryError> {
        let (groups, pairs) = ((0..footer.groups()), (0..footer.parameters.len()));
        let (groups, pairs) = (groups.collect(), pairs.collect());
        Self::of(file, footer, groups, Columns::tested(pairs))
    }

    /// The same with values and flags of one parameter.
    pub(crate) fn every(
        file: &Arc<SealedFile>,
        footer: Arc<Footer>,
        pair: usize,
    ) -> Result<Self, HistoryError> {
        let groups = (0..footer.groups()).collect();
        Self::of(file, footer, groups, Columns::shown(vec![pair]))
    }

    /// The same of these row groups, with these columns.
    pub(crate) fn of(
        file: &Arc<SealedFile>,
        footer: Arc<Footer>,
        groups: Vec<usize>,
        columns: Columns,
    ) -> Result<Self, HistoryError> {
        let tests = footer.tests_of(&columns);
        let (file, groups) = (Arc::clone(file), groups.into_iter());
        let (reader, rows) = (None, None);
        let mut scan = Self { file, footer, groups, columns, tests, reader, rows, row: 0 };
        scan.refill()?;
        Ok(scan)
    }

    /// Where the present row stands in the order of a sealed file; `None` behind the last.
    pub(crate) fn key(&self) -> Option<(&str, i64, u64)> {
        Some(self.rows.as_ref()?.key(self.row))
    }

    pub(crate) fn damaged(&self, what: String) -> HistoryError {
        self.file.damaged(what)
    }

    pub(crate) fn received(&self) -> i64 {
        self.rows.as_ref().map_or(0, |rows| rows.received(self.row))
    }

    pub(crate) fn cell(&self, pair: usize) -> Result<Option<Cell>, HistoryError> {
        let Some(rows) = &self.rows else { return Ok(None) };
        rows.cell(pair, self.row).map_err(|what| self.file.damaged(what))
    }

    pub(crate) fn step(&mut self) -> Result<(), HistoryError> {
        self.row += 1;
        if self.rows.as_ref().is_some_and(|rows| self.row < rows.len()) {
            return Ok(());
        }
        self.refill()
    }

    fn refill(&mut self) -> Result<(), HistoryError> {
        self.row = 0;
        loop {
            if let Some(reader) = &mut self.reader {
                self.rows = self.file.next(reader, &self.tests)?;
                if self.rows.is_some() {
                    return Ok(());
                }
            }
            let Some(group) = self.groups.next() else {
                (self.reader, self.rows) = (None, None);
                return Ok(());
            };
            self.reader = Some(self.file.reader(&self.footer, group, &self.columns, SCAN_ROWS)?);
        }
    }
}
