//! Slows down who guesses passwords: by address and name, and by address alone. Memory is bounded; when it is full
//! the entry with the fewest failures goes, so that a flood of invented names does not wash out a real guesser.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures of one name from one address before it has to wait.
const PER_NAME: u32 = 5;

/// Failures from one address before it has to wait, whatever the names: an office behind one address mistypes too.
const PER_ADDRESS: u32 = 50;

/// Failures are forgotten after this long.
const FORGET_AFTER: Duration = Duration::from_secs(15 * 60);

/// Entries kept: at 40 bytes each, below half a megabyte.
const ENTRIES_MAX: usize = 8_192;

/// Failures to sign in, by whom.
#[derive(Default)]
pub(crate) struct Limiter {
    entries: Mutex<HashMap<Key, Failures>>,
}

/// A hash: a name may be long, and a mistyped password in the place of a name is not to be kept.
type Key = [u8; 16];

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    since: Instant,
}

impl Limiter {
    /// May this address try this name? If not, how long to wait.
    pub(crate) fn wait(&self, address: IpAddr, name: &str, now: Instant) -> Option<Duration> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        limits(address, name)
            .into_iter()
            .filter_map(|(key, most)| {
                let failures = entries.get(&key)?;
                let left = FORGET_AFTER.checked_sub(now.duration_since(failures.since))?;
                (most <= failures.count).then_some(left)
            })
            .max()
    }

    /// This address failed with this name.
    pub(crate) fn failed(&self, address: IpAddr, name: &str, now: Instant) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, _) in limits(address, name) {
            make_room(&mut entries, key, now);
            let fresh = Failures { count: 0, since: now };
            let failures = entries.entry(key).or_insert(fresh);
            if FORGET_AFTER < now.duration_since(failures.since) {
                *failures = fresh;
            }
            failures.count += 1;
        }
    }
}

fn limits(address: IpAddr, name: &str) -> [(Key, u32); 2] {
    let network = network(address);
    let by_name = [network.as_slice(), b"/", name.to_lowercase().as_bytes()].concat();
    [(key(&by_name), PER_NAME), (key(&network), PER_ADDRESS)]
}

/// In IPv6 a household holds a /64.
fn network(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets()[..8].to_vec(),
    }
}

fn key(bytes: &[u8]) -> Key {
    let mut key = Key::default();
    key.copy_from_slice(&blake3::hash(bytes).as_bytes()[..16]);
    key
}

fn make_room(entries: &mut HashMap<Key, Failures>, key: Key, now: Instant) {
    if entries.len() < ENTRIES_MAX || entries.contains_key(&key) {
        return;
    }
    entries.retain(|_, failures| now.duration_since(failures.since) <= FORGET_AFTER);
    if entries.len() < ENTRIES_MAX {
        return;
    }
    if let Some(least) = entries.iter().min_by_key(|(_, f)| (f.count, f.since)).map(|(k, _)| *k) {
        entries.remove(&least);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn five_failures_and_the_name_waits_elsewhere_not() {
        let limiter = Limiter::default();
        let now = Instant::now();
        for _ in 0..PER_NAME {
            assert_eq!(limiter.wait(HERE, "hoa", now), None);
            limiter.failed(HERE, "hoa", now);
        }
        assert!(limiter.wait(HERE, "Hoa", now).is_some());
        assert_eq!(limiter.wait(HERE, "tu", now), None);
        assert_eq!(limiter.wait(IpAddr::V4(Ipv4Addr::BROADCAST), "hoa", now), None);
        let later = now + FORGET_AFTER + Duration::from_secs(1);
        assert_eq!(limiter.wait(HERE, "hoa", later), None);
    }

    #[test]
    fn a_flood_of_names_neither_grows_nor_washes_out() {
        let limiter = Limiter::default();
        let now = Instant::now();
        for _ in 0..PER_NAME {
            limiter.failed(HERE, "hoa", now);
        }
        for n in 0..ENTRIES_MAX + 50 {
            let address = IpAddr::from(u32::try_from(n).unwrap().to_be_bytes());
            limiter.failed(address, "x", now);
        }
        assert!(limiter.wait(HERE, "hoa", now).is_some());
        assert!(limiter.entries.lock().unwrap().len() <= ENTRIES_MAX);
    }
}
