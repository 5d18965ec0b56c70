//! How many connections there may be, in all and from one address. A place is given back when it is dropped.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use metrics::Gauge;

use super::Config;

/// The places and who has them.
pub(super) struct Places {
    taken: Mutex<Taken>,
    all_max: usize,
    per_address_max: usize,
    gauge: Gauge,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A connection's place.
pub(super) struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

/// Why there is no place; the counter's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlace {
    TooMany,
    TooManyFromAddress,
}

impl NoPlace {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::TooMany => "too_many",
            Self::TooManyFromAddress => "too_many_from_address",
        }
    }
}

impl Places {
    pub(super) fn new(config: &Config, gauge: Gauge) -> Self {
        Self {
            taken: Mutex::default(),
            all_max: config.connections_max,
            per_address_max: config.connections_per_address_max,
            gauge,
        }
    }

    /// Takes a place for a connection from this address.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Result<Place, NoPlace> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if self.all_max <= taken.all {
            return Err(NoPlace::TooMany);
        }
        let from_address = taken.by_address.entry(address).or_default();
        if self.per_address_max <= *from_address {
            return Err(NoPlace::TooManyFromAddress);
        }
        *from_address += 1;
        taken.all += 1;
        self.gauge.increment(1.0);
        Ok(Place { places: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        self.places.gauge.decrement(1.0);
        if let Some(from_address) = taken.by_address.get_mut(&self.address) {
            *from_address -= 1;
            if *from_address == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_given_back() {
        let config =
            Config { connections_max: 3, connections_per_address_max: 2, ..Config::default() };
        let places = Arc::new(Places::new(&config, Gauge::noop()));
        let [here, there] = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2])];
        let first = places.take(here).ok();
        let _second = places.take(here).ok();
        assert_eq!(places.take(here).err(), Some(NoPlace::TooManyFromAddress));
        let _third = places.take(there).ok();
        assert_eq!(places.take(there).err(), Some(NoPlace::TooMany));
        drop(first);
        assert!(places.take(here).is_ok());
    }
}
