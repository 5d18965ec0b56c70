//! How many connections there may be, in all and from one address, and how many of them may still be shaking hands.
//! A place is given back when it is dropped. Where too many shake hands, the oldest of them makes room: a client that
//! means it is done within a second or two, and one that hangs is the one to go.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::Gauge;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Config;

/// A handshake younger than this is not made to give way: in a storm of honest clients the newcomer waits instead. A
/// round trip over 2G takes 0.7 s, and a handshake with TLS and CONNECT three of them.
const YOUNG: Duration = Duration::from_millis(2_100);

/// The places and who has them.
pub(super) struct Places {
    taken: Mutex<Taken>,
    all_max: usize,
    per_address_max: usize,
    shaking_max: usize,
    shaking_per_address_max: usize,
    gauge: Gauge,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, Counts>,
    /// Handshakes under way, oldest first.
    shaking: BTreeMap<u64, Shaking>,
    next: u64,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    shaking: usize,
}

#[derive(Debug)]
struct Shaking {
    address: IpAddr,
    since: Instant,
    give_way: CancellationToken,
}

/// A connection's place.
pub(super) struct Place {
    places: Arc<Places>,
    address: IpAddr,
    id: u64,
    /// Cancelled when the handshake has to make room.
    pub(super) give_way: CancellationToken,
}

/// Why there is no place; the counter's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlace {
    TooMany,
    TooManyFromAddress,
    TooManyHandshakes,
    TooManyHandshakesFromAddress,
}

impl NoPlace {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::TooMany => "too_many",
            Self::TooManyFromAddress => "too_many_from_address",
            Self::TooManyHandshakes => "too_many_handshakes",
            Self::TooManyHandshakesFromAddress => "too_many_handshakes_from_address",
        }
    }
}

impl Places {
    pub(super) fn new(config: &Config, gauge: Gauge) -> Self {
        Self {
            taken: Mutex::default(),
            all_max: config.connections_max,
            per_address_max: config.connections_per_address_max,
            shaking_max: config.handshakes_max,
            shaking_per_address_max: config.handshakes_per_address_max,
            gauge,
        }
    }

    /// Takes a place for a connection from this address, which begins to shake hands.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr, now: Instant) -> Result<Place, NoPlace> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if self.all_max <= taken.all {
            return Err(NoPlace::TooMany);
        }
        let counts = taken.by_address.entry(address).or_default();
        let (all, shaking) = (counts.all, counts.shaking);
        let place = if self.per_address_max <= all {
            Err(NoPlace::TooManyFromAddress)
        } else if self.shaking_per_address_max <= shaking {
            let room = taken.make_room(now, |other| other.address == address);
            room.ok_or(NoPlace::TooManyHandshakesFromAddress)
        } else if self.shaking_max <= taken.shaking.len() {
            taken.make_room(now, |_| true).ok_or(NoPlace::TooManyHandshakes)
        } else {
            Ok(())
        };
        if place.is_err() {
            taken.forget_if_empty(address);
        }
        place?;
        let (id, give_way) = taken.begin(address, now);
        self.gauge.increment(1.0);
        Ok(Place { places: Arc::clone(self), address, id, give_way })
    }
}

impl Taken {
    fn begin(&mut self, address: IpAddr, now: Instant) -> (u64, CancellationToken) {
        self.all += 1;
        let counts = self.by_address.entry(address).or_default();
        counts.all += 1;
        counts.shaking += 1;
        let (id, give_way) = (self.next, CancellationToken::new());
        self.next += 1;
        self.shaking.insert(id, Shaking { address, since: now, give_way: give_way.clone() });
        (id, give_way)
    }

    /// Sends away the oldest of these handshakes, if it had its time.
    fn make_room(&mut self, now: Instant, of: impl Fn(&Shaking) -> bool) -> Option<()> {
        let (&id, oldest) = self.shaking.iter().find(|(_, it)| of(it))?;
        if now.saturating_duration_since(oldest.since) < YOUNG {
            return None;
        }
        oldest.give_way.cancel();
        self.settle(id);
        Some(())
    }

    /// The handshake is over, one way or the other.
    fn settle(&mut self, id: u64) {
        if let Some(done) = self.shaking.remove(&id)
            && let Some(counts) = self.by_address.get_mut(&done.address)
        {
            counts.shaking -= 1;
        }
    }

    fn forget_if_empty(&mut self, address: IpAddr) {
        if self.by_address.get(&address).is_some_and(|counts| counts.all == 0) {
            self.by_address.remove(&address);
        }
    }
}

impl Place {
    /// The client is logged in: it shakes hands no more.
    pub(super) fn settle(&self) {
        self.places.taken.lock().unwrap_or_else(PoisonError::into_inner).settle(self.id);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.settle(self.id);
        taken.all -= 1;
        self.places.gauge.decrement(1.0);
        if let Some(counts) = taken.by_address.get_mut(&self.address) {
            counts.all -= 1;
        }
        taken.forget_if_empty(self.address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));

    fn places(config: &Config) -> Arc<Places> {
        Arc::new(Places::new(config, Gauge::noop()))
    }

    #[tokio::test]
    async fn a_place_is_given_back() {
        let now = Instant::now();
        let places = places(&Config {
            connections_max: 3,
            connections_per_address_max: 2,
            ..Config::default()
        });
        let first = places.take(HERE, now).ok();
        let _second = places.take(HERE, now).ok();
        assert_eq!(places.take(HERE, now).err(), Some(NoPlace::TooManyFromAddress));
        let third = places.take(THERE, now).ok();
        assert_eq!(places.take(THERE, now).err(), Some(NoPlace::TooMany));
        drop(first);
        assert!(places.take(HERE, now).is_ok());
        drop(third);
        let taken = places.taken.lock().unwrap();
        assert_eq!((taken.all, taken.by_address.len(), taken.shaking.len()), (1, 1, 1));
    }

    #[tokio::test]
    async fn the_oldest_handshake_gives_way_once_it_had_its_time() {
        let places = places(&Config {
            handshakes_max: 3,
            handshakes_per_address_max: 2,
            ..Config::default()
        });
        let start = Instant::now();
        let first = places.take(HERE, start).ok().unwrap();
        let second = places.take(HERE, start).ok().unwrap();
        let refused = places.take(HERE, start).err();
        assert_eq!(refused, Some(NoPlace::TooManyHandshakesFromAddress));
        let there = places.take(THERE, start).ok().unwrap();
        assert_eq!(places.take(THERE, start).err(), Some(NoPlace::TooManyHandshakes));
        let later = start + YOUNG;
        let _third = places.take(HERE, later).ok().unwrap();
        assert!(first.give_way.is_cancelled() && !second.give_way.is_cancelled());
        let _fourth = places.take(THERE, later).ok().unwrap();
        assert!(second.give_way.is_cancelled() && !there.give_way.is_cancelled());
    }

    #[tokio::test]
    async fn who_is_logged_in_never_gives_way() {
        let places = places(&Config { handshakes_max: 1, ..Config::default() });
        let start = Instant::now();
        let welcome = places.take(HERE, start).ok().unwrap();
        welcome.settle();
        let _next = places.take(HERE, start + YOUNG).ok().unwrap();
        let _after = places.take(HERE, start + 2 * YOUNG).ok().unwrap();
        assert!(!welcome.give_way.is_cancelled());
    }
}
