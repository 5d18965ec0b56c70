//! What people ask of a station, and what becomes of it.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use domain::{Clock, Station, StationCode, Timestamp};
use registry::{CommandState, Registry, RegistryError, ReplayState, ReplayWish, Wish, config_hash};
use serde_json::{Map, Value, json};

struct Held(AtomicI64);

impl Clock for Held {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

struct Book {
    registry: Registry,
    clock: Arc<Held>,
    _folder: tempfile::TempDir,
}

fn code() -> StationCode {
    StationCode::new("xuan-hoa").unwrap()
}

async fn book() -> Book {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::open(&folder.path().join("registry.sqlite")).await.unwrap();
    let clock = Arc::new(Held(AtomicI64::new(1_000)));
    let registry = registry.with_clock(clock.clone()).by("truc");
    registry.add_station(&Station::new(code())).await.unwrap();
    Book { registry, clock, _folder: folder }
}

fn object(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

fn wish(kind: &str, once: Option<&str>) -> Wish {
    Wish {
        station: code(),
        kind: kind.to_owned(),
        args: object(json!({ "n": 1 })),
        expires_in: Duration::from_secs(60),
        once: once.map(str::to_owned),
    }
}

#[tokio::test]
async fn a_command_goes_forward_only_and_every_step_is_in_the_audit() {
    let book = book().await;
    let made = book.registry.make_command(&wish("reboot", None)).await.unwrap();
    assert_eq!((made.state, made.made_by.as_str()), (CommandState::Made, "truc"));
    let step = async |next, why: &str| {
        let moved = book.registry.move_command(&code(), &made.id, next, why).await.unwrap();
        moved.map(|command| command.state)
    };
    assert_eq!(step(CommandState::Sent, "").await, Some(CommandState::Sent));
    assert_eq!(step(CommandState::Done, "up again").await, Some(CommandState::Done));
    assert_eq!(step(CommandState::Accepted, "").await, None, "a receipt that was overtaken");
    assert_eq!(step(CommandState::Failed, "").await, None, "done is done");
    let other = StationCode::new("my-tho").unwrap();
    let foreign = book.registry.move_command(&other, &made.id, CommandState::Done, "").await;
    assert_eq!(foreign.unwrap(), None, "another station's receipt moves nothing");
    let acts: Vec<String> =
        book.registry.audits(3).await.unwrap().into_iter().map(|line| line.act).collect();
    assert_eq!(acts, ["command.done", "command.sent", "command.made"]);
    let line = &book.registry.audits(1).await.unwrap()[0];
    assert!(line.before.contains("sent") && line.after.contains("up again"), "{line:?}");
}

#[tokio::test]
async fn a_command_without_a_receipt_is_late_and_a_late_receipt_still_counts() {
    let book = book().await;
    let made = book.registry.make_command(&wish("reboot", None)).await.unwrap();
    let at = |ms| Timestamp::from_millis(ms);
    assert_eq!(book.registry.give_up_commands(at(60_999)).await.unwrap(), []);
    book.clock.0.store(61_000, Ordering::Relaxed);
    let late = book.registry.give_up_commands(at(61_000)).await.unwrap();
    assert_eq!((late.len(), late[0].state), (1, CommandState::Late));
    let done = book.registry.move_command(&code(), &made.id, CommandState::Done, "").await;
    assert_eq!(done.unwrap().unwrap().state, CommandState::Done);
    let accepted = book.registry.make_command(&wish("reboot", None)).await.unwrap();
    let accept = CommandState::Accepted;
    book.registry.move_command(&code(), &accepted.id, accept, "").await.unwrap().unwrap();
    assert_eq!(book.registry.give_up_commands(at(i64::MAX)).await.unwrap(), []);
    assert_eq!(book.registry.forget_commands(at(i64::MAX)).await.unwrap(), 2);
}

#[tokio::test]
async fn the_same_key_is_the_same_command_and_never_another() {
    let book = book().await;
    let first = book.registry.make_command(&wish("reboot", Some("k"))).await.unwrap();
    let again = book.registry.make_command(&wish("reboot", Some("k"))).await.unwrap();
    assert_eq!(first, again);
    let other = book.registry.make_command(&wish("calibrate", Some("k"))).await;
    assert!(matches!(other, Err(RegistryError::BadValue { .. })), "{other:?}");
    let elsewhere = book.registry.by("sep").make_command(&wish("reboot", Some("k"))).await;
    assert_ne!(elsewhere.unwrap().id, first.id, "keys are each caller's own");
    assert_eq!(book.registry.commands(Some(&code()), 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_cannot_be_meant_is_no_command() {
    let book = book().await;
    let mut cases = vec![wish("", None), wish("Re boot", None), wish("reboot", Some(""))];
    cases.push(Wish { args: object(json!({ "id": "x" })), ..wish("reboot", None) });
    cases.push(Wish { args: object(json!({ "x": "y".repeat(5_000) })), ..wish("reboot", None) });
    cases.push(Wish { expires_in: Duration::ZERO, ..wish("reboot", None) });
    cases.push(Wish { expires_in: Duration::from_hours(15 * 24), ..wish("reboot", None) });
    for case in cases {
        let refused = book.registry.make_command(&case).await;
        assert!(matches!(refused, Err(RegistryError::BadValue { .. })), "{case:?}");
    }
    let nobody = Wish { station: StationCode::new("nobody").unwrap(), ..wish("reboot", None) };
    let refused = book.registry.make_command(&nobody).await;
    assert!(matches!(refused, Err(RegistryError::NotFound { .. })));
    for _ in 0..registry::COMMANDS_OPEN_MAX {
        book.registry.make_command(&wish("reboot", None)).await.unwrap();
    }
    let full = book.registry.make_command(&wish("reboot", None)).await.unwrap_err();
    assert!(full.to_string().contains("wait already"), "{full}");
}

#[tokio::test]
async fn a_configuration_differs_until_the_station_says_it_has_it() {
    let book = book().await;
    let (one, two) = (object(json!({ "interval_s": 300 })), object(json!({ "interval_s": 60 })));
    let version = book.registry.version().await.unwrap();
    let wanted = book.registry.configure(&code(), &one).await.unwrap();
    assert_eq!(wanted.in_sync(), Some(false));
    assert_eq!(wanted.differs_since, Some(Timestamp::from_millis(1_000)));
    assert_eq!(wanted.desired_by.as_deref(), Some("truc"));
    assert!(version < book.registry.version().await.unwrap(), "the engine looks again");
    let report = async |config: &Map<String, Value>, hash: Option<&str>, at| {
        let at = Timestamp::from_millis(at);
        book.registry.reported(&code(), config, hash, at).await.unwrap()
    };
    let hash = config_hash(&one);
    assert_eq!(report(&two, Some("stale"), 2_000).await.in_sync(), Some(false));
    assert_eq!(report(&one, Some(&hash), 3_000).await.differs_since, None);
    book.clock.0.store(5_000, Ordering::Relaxed);
    let changed = book.registry.configure(&code(), &two).await.unwrap();
    assert_eq!(changed.differs_since, Some(Timestamp::from_millis(5_000)));
    assert_eq!(report(&two, None, 6_000).await.in_sync(), Some(true), "the hash is ours to make");
    let huge = object(json!({ "x": "y".repeat(9_000) }));
    assert!(book.registry.configure(&code(), &huge).await.is_err());
    assert_eq!(book.registry.station_configs().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_letter_that_went_in_is_not_asked_for_again_and_one_that_failed_is() {
    let book = book().await;
    let came = Timestamp::from_millis(7);
    let ask = async |letters: &[(u64, Timestamp)]| {
        let wish = |&(letter, received_at)| ReplayWish { letter, received_at, shift_ms: Some(5) };
        let wishes: Vec<_> = letters.iter().map(wish).collect();
        let asked = book.registry.ask_replays(&wishes).await.unwrap();
        (asked.asked, asked.already)
    };
    assert_eq!(ask(&[(3, came), (4, came)]).await, (vec![3, 4], vec![]));
    let waiting = book.registry.replays_asked(10).await.unwrap();
    assert_eq!(waiting.iter().map(|it| it.shift_ms).collect::<Vec<_>>(), [Some(5), Some(5)]);
    let done = [
        (3, ReplayState::Replayed, String::new()),
        (4, ReplayState::Failed, "values.x: unknown parameter".to_owned()),
    ];
    book.registry.replays_done(&done).await.unwrap();
    assert_eq!(ask(&[(3, came), (4, came)]).await, (vec![4], vec![3]));
    // Another store of dead letters begins to count anew.
    assert_eq!(ask(&[(3, Timestamp::from_millis(9))]).await, (vec![3], vec![]));
    assert_eq!(book.registry.forget_replays(4).await.unwrap(), 1);
    assert_eq!(book.registry.replays(0, 100).await.unwrap().len(), 1);
    let many: Vec<_> = (0..10_001)
        .map(|letter| ReplayWish { letter, received_at: came, shift_ms: None })
        .collect();
    assert!(book.registry.ask_replays(&many).await.is_err());
}
