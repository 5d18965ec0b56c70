//! What judges readings in this process: the gross range alone, or the tests that a province typed (`quality.toml`, kept in
//! the registry). Each follower of the journal has a state of its own and all have the same tests, which are replaced
//! as a whole when parameters, stations or the document change.

mod shelf; // a state on disk
mod memory; // history's state, which is of the moment of its files
mod settle; // what came late is judged with its neighbours

use std::sync::{Arc, RwLock};

use analytics::quality::{BadTable, Live, Plans, Quality, Table};
use domain::{Admitted, Parameter, Revised, Station, TestFlags};
use registry::pack::Pack;
use registry::{Registry, RegistryError};

pub use memory::{Memory, SharedMemory, seal};
pub use settle::{Moment, Rounds};
pub use shelf::{Shelf, written};

/// The tests, shared by all followers; replaced when the book changes.
pub type SharedTests = Arc<RwLock<Arc<Tests>>>;

/// What judges.
#[derive(Debug, Clone, Default)]
pub struct Tests {
    quality: Quality,
    plans: Option<Plans>,
}

/// The document is none.
#[derive(Debug, thiserror::Error)]
pub enum BadDocument {
    /// It does not read.
    #[error("quality.toml cannot be read")]
    Text(#[from] toml::de::Error),
    /// An entry is none.
    #[error("quality.toml does not hold")]
    Table(#[from] BadTable),
}

/// Why a pack is not applied.
#[derive(Debug, thiserror::Error)]
pub enum BadPack {
    /// Its tests do not hold, or those that the book has do not hold with its stations.
    #[error(transparent)]
    Document(#[from] BadDocument),
    /// The registry cannot be read.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// What was said of a report.
#[derive(Debug, Clone, Copy, Default)]
pub struct Said<'a> {
    /// What each test said of its values, in their order; nothing where only the gross range is tested.
    pub flags: &'a [TestFlags],
    /// Older readings of the station whose flags are others now.
    pub revised: &'a [Revised],
}

/// How a report comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coming {
    /// As its station sent it.
    Live,
    /// Out of a file, of the past.
    Imported,
}

impl Tests {
    /// The tests of this document, or the gross range alone where there is none or it says nothing.
    ///
    /// # Errors
    /// [`BadDocument`] names the entry.
    pub fn new(
        parameters: &[Parameter],
        stations: &[Station],
        document: Option<&str>,
    ) -> Result<Self, BadDocument> {
        Ok(Self::of_table(&toml::from_str(document.unwrap_or_default())?, parameters, stations)?)
    }

    fn of_table(
        table: &Table,
        parameters: &[Parameter],
        stations: &[Station],
    ) -> Result<Self, BadTable> {
        let plans = match *table == Table::default() {
            true => None,
            false => Some(Plans::new(table, parameters, stations)?),
        };
        Ok(Self { plans, ..Self::gross_range(parameters, stations) })
    }

    /// As [`new`](Self::new), of the stations that are there.
    fn of_those_there(
        parameters: &[Parameter],
        stations: &[Station],
        document: Option<&str>,
    ) -> Result<Self, BadDocument> {
        let known = |code: &str| stations.iter().any(|station| station.code.as_str() == code);
        let table: Table = toml::from_str(document.unwrap_or_default())?;
        let (table, gone) = table.among(known);
        if !gone.is_empty() {
            tracing::warn!(stations = gone.join(", "), "quality.toml names stations that are gone");
        }
        Ok(Self::of_table(&table, parameters, stations)?)
    }

    /// The gross range alone.
    #[must_use]
    pub fn gross_range(parameters: &[Parameter], stations: &[Station]) -> Self {
        Self { quality: Quality::new(parameters).with_derived(stations), plans: None }
    }

    /// The tests of a book that may have moved on since its document was applied: stations that were taken away are left
    /// out of it. One that does not hold any more is shown, counted and left out as a whole, and the gross range remains.
    #[must_use]
    pub fn that_hold(
        parameters: &[Parameter],
        stations: &[Station],
        document: Option<&str>,
    ) -> Self {
        let tests = Self::of_those_there(parameters, stations, document);
        let bad = f64::from(u8::from(tests.is_err()));
        metrics::gauge!("saltline_quality_table_bad").set(bad);
        tests.unwrap_or_else(|error| {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "quality.toml does not hold any more; the gross range alone is tested"
            );
            Self::gross_range(parameters, stations)
        })
    }

    /// The tests of a registry, as [`that_hold`](Self::that_hold).
    ///
    /// # Errors
    /// Where it cannot be read.
    pub async fn of(registry: &Registry) -> Result<Self, RegistryError> {
        let (parameters, stations) = (registry.parameters().await?, registry.stations().await?);
        let document = registry.quality().await?;
        Ok(Self::that_hold(&parameters, &stations, document.as_deref()))
    }

    /// What the province typed, if anything is tested but the gross range.
    #[must_use]
    pub const fn plans(&self) -> Option<&Plans> {
        self.plans.as_ref()
    }

    /// Flags every value of a report, and adds what is made of them. Without plans `live` is not looked at.
    pub fn judge<'a>(
        &self,
        live: &'a mut Live,
        coming: Coming,
        admitted: &mut Admitted,
    ) -> Said<'a> {
        let Some(plans) = &self.plans else {
            self.quality.judge(admitted);
            return Said::default();
        };
        let judged = match coming {
            Coming::Live => live.judge(plans, admitted),
            Coming::Imported => live.judge_late(plans, admitted),
        };
        Said { flags: &judged.flags, revised: &judged.revised }
    }

    /// Lets go of what nobody will ask for any more, after the tests were replaced by these.
    pub fn tidy(&self, live: &mut Live) {
        match &self.plans {
            Some(plans) => live.retain(|station| plans.knows(station)),
            None => *live = Live::default(),
        }
    }
}

/// Would the tests hold once this pack is applied? Asked before it is, because the book keeps the document as text.
///
/// # Errors
/// [`BadPack`] names the entry that does not hold, or the registry cannot be read.
pub async fn check(pack: &Pack, registry: &Registry) -> Result<(), BadPack> {
    let parameters = registry.parameters().await?;
    let mut stations = registry.stations().await?;
    stations.retain(|known| !pack.stations.iter().any(|station| station.code == known.code));
    stations.extend(pack.stations.iter().cloned());
    match &pack.quality {
        Some(text) => Tests::new(&parameters, &stations, Some(text)),
        None => Tests::of_those_there(&parameters, &stations, registry.quality().await?.as_deref()),
    }?;
    Ok(())
}

#[cfg(test)]
mod tests;
