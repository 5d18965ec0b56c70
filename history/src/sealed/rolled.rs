//! The roll-ups of a sealed file. Where they cannot be read the rows can: that is told, and slower, and no error.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Footer, SealedFile};
use crate::HistoryError;
use crate::rollup::{Block, Directory, Level, Page};

/// What a file has kept of a series.
pub(crate) enum Rolled {
    /// It has no row of the station.
    Nothing,
    /// It has rows and nothing kept.
    Rows,
    /// What is kept of all its rows of the series.
    Kept(Arc<Block>),
}

impl SealedFile {
    /// What is kept of a series at a level.
    pub(crate) fn rolled(
        &self,
        footer: &Footer,
        (station, parameter): (&str, &str),
        level: Level,
    ) -> Rolled {
        if !footer.parameters.iter().any(|code| code.as_str() == parameter) {
            return Rolled::Nothing;
        }
        match self.read_rolled(footer, (station, parameter), level) {
            Ok(rolled) => rolled,
            Err(error) => {
                metrics::counter!("saltline_history_rollups_damaged_total").increment(1);
                tracing::error!(%error, "roll-ups are damaged: the readings are asked, and a merge writes them anew");
                self.rewrite.store(true, Ordering::Relaxed);
                Rolled::Rows
            }
        }
    }

    fn read_rolled(
        &self,
        footer: &Footer,
        (station, parameter): (&str, &str),
        level: Level,
    ) -> Result<Rolled, HistoryError> {
        let Some(directory) = self.directory(footer)? else { return Ok(Rolled::Rows) };
        let Some(page) = directory.page(station) else { return Ok(Rolled::Nothing) };
        if page.length == 0 {
            return Ok(Rolled::Rows);
        }
        let bytes = self.page(page)?;
        let block = page.block(&bytes, &footer.parameters, (parameter, level));
        let block = block.map_err(|what| self.damaged(what))?;
        Ok(block.map_or(Rolled::Rows, |block| Rolled::Kept(Arc::new(block))))
    }

    /// Reads everything that is kept.
    pub(crate) fn verify_rolled(&self, footer: &Footer) -> Result<(), HistoryError> {
        let Some(directory) = self.directory(footer)? else { return Ok(()) };
        for page in directory.pages() {
            let bytes = self.page(page)?;
            let sound = page.verify(&bytes, footer.parameters.len());
            sound.map_err(|what| self.damaged(what))?;
        }
        Ok(())
    }

    /// The directory, read once; `None` where nothing is kept.
    fn directory<'a>(&self, footer: &'a Footer) -> Result<Option<&'a Directory>, HistoryError> {
        let Some(place) = footer.rollups.filter(|place| 0 < place.pages) else {
            // A file from before there were roll-ups, and more than a short while in it.
            let old = footer.rollups.is_none() && OLD_ROWS_MIN <= self.facts.rows;
            self.rewrite.fetch_or(old, Ordering::Relaxed);
            return Ok(None);
        };
        if let Some(known) = footer.directory.get() {
            return Ok(Some(known));
        }
        let length = usize::try_from(place.directory).unwrap_or(usize::MAX);
        let offset = place.offset.saturating_add(place.pages);
        let bytes = self.bytes_at(offset, length)?;
        let directory = Directory::decode(place, &bytes).map_err(|what| self.damaged(what))?;
        Ok(Some(footer.directory.get_or_init(|| directory)))
    }

    fn page(&self, page: Page) -> Result<Vec<u8>, HistoryError> {
        self.bytes_at(page.offset, page.length)
    }

    fn bytes_at(&self, offset: u64, length: usize) -> Result<Vec<u8>, HistoryError> {
        // The metadata is under a checksum; this is for a program that wrote something else under it.
        if self.facts.bytes < offset.saturating_add(length as u64) {
            return Err(self.damaged("its roll-ups are said to be behind its end".to_owned()));
        }
        let file = File::open(self.path()).map_err(|e| HistoryError::reading(self.path(), e))?;
        let mut bytes = vec![0; length];
        let read = file.read_exact_at(&mut bytes, offset);
        read.map_err(|e| HistoryError::reading(self.path(), e))?;
        Ok(bytes)
    }
}

/// Smaller files of before are merged soon enough.
const OLD_ROWS_MIN: u64 = 8_192;
