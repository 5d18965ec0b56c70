//! Keys in memory: what they answer without the file, and when they are no longer believed.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use domain::{Clock, Station, StationCode, Timestamp};
use registry::{Login, Registry};

/// A clock that stands until it is moved.
#[derive(Default)]
struct Held(AtomicI64);

impl Clock for Held {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_790_000_000_000 + self.0.load(Ordering::Relaxed))
    }
}

struct Book {
    /// The engine's.
    ours: Registry,
    clock: Arc<Held>,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Book {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("registry.sqlite");
        let clock = Arc::new(Held::default());
        let ours = Registry::open(&path).await.unwrap().with_clock(clock.clone());
        Self { ours, clock, path, _folder: folder }
    }

    /// The same file, as another process has it.
    async fn theirs(&self) -> Registry {
        Registry::open(&self.path).await.unwrap().with_clock(self.clock.clone())
    }

    async fn says(&self, key: &str) -> &'static str {
        self.ours.login(&code(), key).await.unwrap().as_str()
    }
}

fn code() -> StationCode {
    StationCode::new("xuan-hoa").unwrap()
}

fn station() -> Station {
    Station::new(code())
}

#[tokio::test]
async fn a_right_key_and_a_certificate_need_no_file() {
    let book = Book::new().await;
    let key = book.ours.add_station(&station()).await.unwrap();
    book.ours.refresh_keys().await.unwrap();
    book.ours.close().await;
    assert_eq!(book.says(key.reveal()).await, "welcome");
    let admitted = book.ours.admit_station(&code()).await.unwrap();
    assert_eq!(admitted, Login::Welcome(station()));
    assert!(book.ours.login(&code(), "wrong").await.is_err(), "a refusal asks the file");
    let nobody = StationCode::new("nobody").unwrap();
    assert!(book.ours.admit_station(&nobody).await.is_err());
}

#[tokio::test]
async fn what_another_process_made_opens_at_once_and_what_it_revoked_until_the_next_refresh() {
    let book = Book::new().await;
    let old = book.ours.add_station(&station()).await.unwrap();
    book.ours.refresh_keys().await.unwrap();
    let theirs = book.theirs().await;
    let new = theirs.rotate_key(&code()).await.unwrap();
    assert_eq!(book.says(new.reveal()).await, "welcome");
    assert_eq!(book.says(old.reveal()).await, "welcome");
    book.ours.refresh_keys().await.unwrap();
    assert_eq!(book.says(new.reveal()).await, "welcome");
    assert_eq!(book.says(old.reveal()).await, "wrong_key");
    theirs.enable_station(&code(), false).await.unwrap();
    book.ours.refresh_keys().await.unwrap();
    assert_eq!(book.says(new.reveal()).await, "disabled");
    assert_eq!(book.ours.admit_station(&code()).await.unwrap(), Login::Disabled);
}

#[tokio::test]
async fn what_this_process_changed_counts_at_once() {
    let book = Book::new().await;
    let old = book.ours.add_station(&station()).await.unwrap();
    book.ours.refresh_keys().await.unwrap();
    book.ours.by("cli").revoke_keys(&code()).await.unwrap();
    assert_eq!(book.says(old.reveal()).await, "wrong_key");
    book.ours.refresh_keys().await.unwrap();
    assert_eq!(book.says(old.reveal()).await, "wrong_key");
}

#[tokio::test]
async fn a_key_in_its_grace_ends_in_memory_too() {
    let book = Book::new().await;
    let old = book.ours.add_station(&station()).await.unwrap();
    let hour = Duration::from_hours(1);
    let new = book.ours.rotate_key_with_grace(&code(), hour).await.unwrap();
    book.ours.refresh_keys().await.unwrap();
    assert_eq!(book.says(old.reveal()).await, "welcome");
    book.clock.0.store(3_600_000, Ordering::Relaxed);
    assert_eq!(book.says(old.reveal()).await, "wrong_key");
    assert_eq!(book.says(new.reveal()).await, "welcome");
}

#[tokio::test]
async fn keys_that_cannot_be_read_again_are_not_believed_any_more() {
    let book = Book::new().await;
    let key = book.ours.add_station(&station()).await.unwrap();
    book.ours.refresh_keys().await.unwrap();
    book.ours.close().await;
    assert!(book.ours.refresh_keys().await.is_err());
    assert!(book.ours.login(&code(), key.reveal()).await.is_err());
}
