//! How much one station may push: a bucket of bytes that fills again with time, so that one that went mad costs no other
//! its answer. A month of a station's readings in CSV is about a megabyte.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::StationCode;
use rustc_hash::FxHashMap;

/// What a bucket holds: two of the largest bodies.
const BUCKET_BYTES: f64 = 8.0 * 1024.0 * 1024.0;

/// What flows into it a second: a 2G link brings a twentieth, and a season is in within minutes.
const BYTES_PER_SECOND: f64 = 256.0 * 1024.0;

/// What a push costs beside its bytes: at most 64 pushes a second for long.
const PUSH_BYTES: usize = 4 * 1024;

/// The buckets, one a station that has pushed; stations are few and bounded by the book.
#[derive(Default)]
pub struct Pace {
    buckets: Mutex<FxHashMap<StationCode, Bucket>>,
}

struct Bucket {
    left: f64,
    at: Instant,
}

impl Pace {
    /// Takes a body out of its station's bucket, or says how long to wait.
    pub fn spend(&self, station: &StationCode, bytes: usize, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let full = Bucket { left: BUCKET_BYTES, at: now };
        let bucket = buckets.entry(station.clone()).or_insert(full);
        let flown = now.saturating_duration_since(bucket.at).as_secs_f64() * BYTES_PER_SECOND;
        bucket.left = (bucket.left + flown).min(BUCKET_BYTES);
        bucket.at = now;
        let cost = (bytes + PUSH_BYTES) as f64;
        if bucket.left < cost {
            return Err(Duration::from_secs_f64((cost - bucket.left) / BYTES_PER_SECOND));
        }
        bucket.left -= cost;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mad_station_waits_and_another_does_not() {
        let pace = Pace::default();
        let (mad, good) = (StationCode::new("mad").unwrap(), StationCode::new("good").unwrap());
        let now = Instant::now();
        let pushes = (0..10_000).take_while(|_| pace.spend(&mad, 1_000, now).is_ok()).count();
        assert!((1_500..2_500).contains(&pushes), "{pushes}");
        let wait = pace.spend(&mad, 1_000, now).unwrap_err();
        assert!(wait < Duration::from_secs(1));
        assert!(pace.spend(&good, 1_000, now).is_ok());
        assert!(pace.spend(&mad, 1_000, now + wait + Duration::from_millis(1)).is_ok());
    }
}
