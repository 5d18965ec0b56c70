//! From text to the book, all or nothing: the whole pack is one change. Entries it does not name stay as they are,
//! also a duty that an earlier version of the pack had; ending one is a person's decision.

use super::{Pack, PackError, Problem, QUALITY, RIVERS, ROSTER, RULES, STATIONS};
use crate::store::Change;
use crate::{Registry, RegistryError, duties, people, quality, rivers, rules, stations};

/// What became of one kind of entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// New in the book.
    pub created: usize,
    /// In the book, and different before.
    pub changed: usize,
    /// In the book just so.
    pub unchanged: usize,
}

/// What became of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied {
    /// Rivers, canals and coasts.
    pub rivers: Count,
    /// Stations. New ones have no key yet: see [`Registry::keyless`].
    pub stations: Count,
    /// Rules.
    pub rules: Count,
    /// People.
    pub people: Count,
    /// Duties.
    pub duties: Count,
    /// The document of the tests.
    pub quality: Count,
}

impl Pack {
    /// Makes the book say what the pack says.
    ///
    /// # Errors
    /// [`PackError::At`] with file and key of the entry that the book refuses; nothing is changed then.
    pub async fn apply(&self, registry: &Registry) -> Result<Applied, PackError> {
        let mut change = registry.change().await?;
        let mut applied = Applied::default();
        for river in &self.rivers {
            let before = change.moves();
            let done = rivers::put(&mut change, river).await;
            let key = || format!("features[{}]", river.code);
            applied.rivers.add(created(done, RIVERS, key)?, &change, before);
        }
        for station in &self.stations {
            let before = change.moves();
            let done = stations::put(&mut change, station).await;
            let key = || format!("station[{}]", station.code);
            applied.stations.add(created(done, STATIONS, key)?, &change, before);
        }
        for rule in &self.rules {
            let before = change.moves();
            let done = rules::put(&mut change, rule).await;
            let key = || format!("rule[{}]", rule.code);
            applied.rules.add(created(done, RULES, key)?, &change, before);
        }
        for person in &self.people {
            let before = change.moves();
            let done = people::put(&mut change, person).await;
            let key = || format!("person[{}]", person.id);
            applied.people.add(created(done, ROSTER, key)?, &change, before);
        }
        for duty in &self.duties {
            let before = change.moves();
            let done = duties::put(&mut change, duty).await;
            let key = || format!("duty[{}]", duty.person);
            applied.duties.add(created(done, ROSTER, key)?, &change, before);
        }
        if let Some(document) = &self.quality {
            let before = change.moves();
            let done = quality::put(&mut change, document).await;
            applied.quality.add(created(done, QUALITY, || "whole".to_owned())?, &change, before);
        }
        change.finish().await?;
        Ok(applied)
    }
}

impl Count {
    fn add(&mut self, created: bool, change: &Change, moves_before: usize) {
        match (created, moves_before < change.moves()) {
            (true, _) => self.created += 1,
            (false, true) => self.changed += 1,
            (false, false) => self.unchanged += 1,
        }
    }
}

/// The entry's place in the pack is part of what is wrong, unless it is the file of the book that failed.
fn created(
    done: Result<bool, RegistryError>,
    file: &'static str,
    key: impl FnOnce() -> String,
) -> Result<bool, PackError> {
    done.map_err(|why| match why {
        RegistryError::Busy | RegistryError::Store(_) => PackError::Registry(why),
        why => PackError::At { file, key: key(), source: Problem::Refused(why) },
    })
}
