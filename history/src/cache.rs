//! What was read from disk and may be asked again: the least recently used goes first, bounded by bytes.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

struct Entry<V> {
    value: Arc<V>,
    bytes: usize,
    used: u64,
}

/// A cache bounded by bytes. Eviction looks through all entries, of which there are thousands at most, and takes an eighth of
/// them at a time.
pub(crate) struct Cache<K, V> {
    bytes_max: usize,
    bytes: usize,
    ticks: u64,
    entries: HashMap<K, Entry<V>>,
}

impl<K: Eq + Hash + Copy, V> Cache<K, V> {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, bytes: 0, ticks: 0, entries: HashMap::new() }
    }

    pub(crate) fn get(&mut self, key: K) -> Option<Arc<V>> {
        self.ticks += 1;
        let entry = self.entries.get_mut(&key)?;
        entry.used = self.ticks;
        Some(Arc::clone(&entry.value))
    }

    pub(crate) fn put(&mut self, key: K, value: Arc<V>, bytes: usize) {
        self.remove(key);
        self.ticks += 1;
        self.bytes += bytes;
        self.entries.insert(key, Entry { value, bytes, used: self.ticks });
        if self.bytes_max < self.bytes {
            self.evict();
        }
    }

    /// The least recently used go, down to seven eighths of the bound, and never the newest.
    fn evict(&mut self) {
        let mut by_use: Vec<(u64, K)> =
            self.entries.iter().map(|(&key, entry)| (entry.used, key)).collect();
        by_use.sort_unstable_by_key(|(used, _)| *used);
        by_use.pop();
        for (_, key) in by_use {
            if self.bytes <= self.bytes_max - self.bytes_max / 8 {
                break;
            }
            self.remove(key);
        }
    }

    pub(crate) fn remove(&mut self, key: K) {
        if let Some(entry) = self.entries.remove(&key) {
            self.bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut cache = Cache::new(10);
        cache.put(1, Arc::new("one"), 4);
        cache.put(2, Arc::new("two"), 4);
        assert!(cache.get(1).is_some());
        cache.put(3, Arc::new("three"), 4);
        assert!(cache.get(1).is_some() && cache.get(2).is_none() && cache.get(3).is_some());
    }
}
