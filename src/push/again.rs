//! A push that comes twice with one `Idempotency-Key`: the first answer is given again, and nothing is stored.
//!
//! Remembered in memory. After a restart a repeated push is read again, and its readings are known by station,
//! parameter, time and value; only one without a time of its own would then stand twice.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use domain::StationCode;
use portal::Problem;
use rustc_hash::FxHashMap;

use super::Said;

/// Keys remembered; with their answers below 4 MB.
const KEYS_MAX: usize = 10_000;

/// For how long.
const REMEMBERED_FOR: Duration = Duration::from_secs(24 * 3_600);

/// The longest key; a UUID has 36 letters.
const KEY_CHARS_MAX: usize = 255;

/// An answer, and whether it was given before.
pub struct Remembered {
    pub said: Said,
    pub again: bool,
}

/// What is known of a key.
pub enum Found {
    /// It was answered so.
    Before(Remembered),
    /// Nobody used it.
    First(Place),
}

#[derive(Default)]
pub struct Again {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    answers: FxHashMap<u64, Entry>,
    /// In the order in which they came.
    order: VecDeque<(Instant, u64)>,
}

struct Entry {
    body: u64,
    /// `None` while it is under way.
    said: Option<Said>,
}

/// The place of a push that is under way; let go without an answer, the key is free again.
pub struct Place {
    kept: Arc<Mutex<Kept>>,
    key: u64,
    answered: bool,
}

impl Again {
    /// Looks a key up, and takes its place where it is new.
    pub fn begin(
        &self,
        station: &StationCode,
        key: &str,
        body: &[u8],
        now: Instant,
    ) -> Result<Found, Problem> {
        if key.is_empty() || KEY_CHARS_MAX < key.len() {
            return Err(Problem::bad_query("an Idempotency-Key has 1 to 255 letters"));
        }
        let (key, body) = (hash(&(station, key)), hash(&body));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.forget(now);
        match kept.answers.get(&key) {
            Some(entry) if entry.body != body => {
                let title = "this key came with another body";
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                let detail = "use a new Idempotency-Key for each push";
                Err(Problem::new(status, "idempotency-key", title, detail))
            }
            Some(Entry { said: Some(said), .. }) => {
                Ok(Found::Before(Remembered { said: said.clone(), again: true }))
            }
            Some(Entry { said: None, .. }) => {
                Err(Problem::later(StatusCode::CONFLICT, "this push is under way", 1))
            }
            None => {
                kept.answers.insert(key, Entry { body, said: None });
                kept.order.push_back((now, key));
                let kept = Arc::clone(&self.kept);
                Ok(Found::First(Place { kept, key, answered: false }))
            }
        }
    }
}

impl Kept {
    fn forget(&mut self, now: Instant) {
        while let Some(&(at, key)) = self.order.front() {
            let old = REMEMBERED_FOR < now.saturating_duration_since(at);
            if !old && self.order.len() < KEYS_MAX {
                return;
            }
            self.order.pop_front();
            self.answers.remove(&key);
        }
    }
}

impl Place {
    /// The answer of this push from now on.
    pub fn remember(mut self, said: Said) {
        self.answered = true;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = kept.answers.get_mut(&self.key) {
            entry.said = Some(said);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.answered {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.answers.remove(&self.key);
            kept.order.retain(|(_, key)| *key != self.key);
        }
    }
}

fn hash(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(stored: u64) -> Said {
        Said { stored, refused: Vec::new(), more_refused: 0 }
    }

    #[test]
    fn a_key_is_answered_once_more_and_its_body_must_be_the_same() {
        let (again, now) = (Again::default(), Instant::now());
        let station = StationCode::new("xuan-hoa").unwrap();
        let begin = |key: &str, body: &[u8], now| again.begin(&station, key, body, now);
        let Ok(Found::First(place)) = begin("a", b"1", now) else { panic!("it is new") };
        assert_eq!(begin("a", b"1", now).err().unwrap().status(), StatusCode::CONFLICT);
        place.remember(said(3));
        let Ok(Found::Before(before)) = begin("a", b"1", now) else { panic!("it was answered") };
        assert!(before.again && before.said.stored == 3);
        let other = begin("a", b"2", now).err().unwrap();
        assert_eq!(other.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let late = now + REMEMBERED_FOR + Duration::from_secs(1);
        assert!(matches!(begin("a", b"2", late), Ok(Found::First(_))));
    }

    #[test]
    fn a_push_that_failed_frees_its_key_and_keys_are_bounded() {
        let (again, now) = (Again::default(), Instant::now());
        let station = StationCode::new("xuan-hoa").unwrap();
        drop(again.begin(&station, "a", b"1", now));
        for n in 0..KEYS_MAX + 10 {
            match again.begin(&station, &n.to_string(), b"1", now) {
                Ok(Found::First(place)) => place.remember(said(1)),
                _ => panic!("{n} is new"),
            }
        }
        let kept = again.kept.lock().unwrap();
        assert!(kept.answers.len() <= KEYS_MAX && kept.order.len() == kept.answers.len());
    }
}
