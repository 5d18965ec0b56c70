//! The stations there are, for those who hear of a station from somebody else: a broker, a gateway. A copy of the
//! province's book in memory, laid anew when the book changes; to look one up costs no wait.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use domain::Station;

/// See the module. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Stations {
    held: Arc<RwLock<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    by_code: HashMap<String, Arc<Station>>,
    /// In lower case.
    by_name: HashMap<String, Arc<Station>>,
}

impl Stations {
    /// From now on these, and no others.
    pub fn set(&self, stations: impl IntoIterator<Item = Station>) {
        let mut laid = Held::default();
        for station in stations.into_iter().map(Arc::new) {
            for name in &station.known_as {
                laid.by_name.insert(name.to_lowercase(), station.clone());
            }
            laid.by_code.insert(station.code.to_string(), station);
        }
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = laid;
    }

    /// The station with this code.
    #[must_use]
    pub fn get(&self, code: &str) -> Option<Arc<Station>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).by_code.get(code).cloned()
    }

    /// The station that other systems call so.
    #[must_use]
    pub fn known_as(&self, name: &str) -> Option<Arc<Station>> {
        let name = name.to_lowercase();
        self.held.read().unwrap_or_else(PoisonError::into_inner).by_name.get(&name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::StationCode;

    #[test]
    fn a_station_is_known_from_when_it_is_laid_until_it_is_not() {
        let stations = Stations::default();
        let shared = stations.clone();
        assert!(shared.get("xuan-hoa").is_none());
        let station = Station::new(StationCode::new("xuan-hoa").unwrap());
        let known_as = vec!["24E124136B502217".to_owned(), "Cầu Xuân Hòa".to_owned()];
        stations.set([Station { known_as, ..station }]);
        assert_eq!(shared.get("xuan-hoa").unwrap().code.as_str(), "xuan-hoa");
        for name in ["24e124136b502217", "24E124136B502217", "CẦU xuân hòa"] {
            assert!(shared.known_as(name).is_some(), "{name}");
        }
        assert!(shared.known_as("xuan-hoa").is_none());
        stations.set([]);
        assert!(shared.get("xuan-hoa").is_none() && shared.known_as("24E124136B502217").is_none());
    }
}
