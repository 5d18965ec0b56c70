//! The stations there are, for those who hear of a station from somebody else: a broker, a gateway. A copy of the
//! province's book in memory, laid anew when the book changes; to look one up costs no wait.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use domain::{Station, StationCode};

/// See the module. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Stations {
    held: Arc<RwLock<ByCode>>,
}

type ByCode = HashMap<StationCode, Arc<Station>>;

impl Stations {
    /// From now on these, and no others.
    pub fn set(&self, stations: impl IntoIterator<Item = Station>) {
        let laid = stations.into_iter().map(|it| (it.code.clone(), Arc::new(it))).collect();
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = laid;
    }

    /// The station with this code.
    #[must_use]
    pub fn get(&self, code: &str) -> Option<Arc<Station>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).get(code).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_station_is_known_from_when_it_is_laid_until_it_is_not() {
        let stations = Stations::default();
        let shared = stations.clone();
        assert!(shared.get("xuan-hoa").is_none());
        stations.set([Station::new(StationCode::new("xuan-hoa").unwrap())]);
        assert_eq!(shared.get("xuan-hoa").unwrap().code.as_str(), "xuan-hoa");
        stations.set([]);
        assert!(shared.get("xuan-hoa").is_none());
    }
}
