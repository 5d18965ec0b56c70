//! The log's laws: what is written reads back, every prefix is a state that holds together, a snapshot means what the
//! log meant, a cut takes whole changes from the end and nothing else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use domain::{Clock, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

use super::change::{
    Addressed, Body, Change, LetterNo, MessageNo, Options, Published, Retain, SessionNo, Terms,
    Testament,
};
use super::log::Limits;
use super::state::{Stage, State};
use super::{SessionLog, SessionLogError, codec, snapshot};

struct Held;

impl Clock for Held {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_773_266_400_000)
    }
}

fn open(dir: &std::path::Path, limits: Limits) -> SessionLog {
    SessionLog::open_with(dir, Arc::new(Held), limits).unwrap()
}

/// Small numbers, so that changes meet each other.
fn session() -> impl Strategy<Value = SessionNo> {
    (0..4_u64).prop_map(SessionNo)
}

fn letter() -> impl Strategy<Value = LetterNo> {
    (0..6_u64).prop_map(LetterNo)
}

fn message() -> impl Strategy<Value = MessageNo> {
    (0..8_u64).prop_map(MessageNo)
}

fn name() -> impl Strategy<Value = Box<str>> {
    prop_oneof!["a", "b", "stations/xuan-hoa/state", "độ mặn"].prop_map(Into::into)
}

fn time() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp::from_millis)
}

fn terms() -> impl Strategy<Value = Terms> {
    (1..=2_u8, any::<bool>(), vec(any::<u32>(), 0..3), proptest::option::of(name()))
        .prop_map(|(qos, retain, identifiers, share)| Terms { qos, retain, identifiers, share })
}

fn body() -> impl Strategy<Value = Arc<Body>> {
    let bytes = || vec(any::<u8>(), 0..8).prop_map(Bytes::from);
    (name(), bytes(), bytes(), 0..=2_u8, proptest::option::of(time())).prop_map(
        |(topic, payload, properties, qos, expires_at)| {
            Arc::new(Body { topic, payload, properties, qos, expires_at })
        },
    )
}

fn options() -> impl Strategy<Value = Options> {
    (0..=2_u8, any::<bool>(), any::<bool>(), proptest::option::of(any::<u32>())).prop_map(
        |(qos, no_local, keep_retain, identifier)| Options {
            qos,
            no_local,
            keep_retain,
            identifier,
        },
    )
}

fn published() -> impl Strategy<Value = Change> {
    let retain = prop_oneof![Just(Retain::Untouched), Just(Retain::Set), Just(Retain::Cleared)];
    let addressed = (session(), letter(), terms()).prop_map(|(session, letter, terms)| Addressed {
        session,
        letter,
        terms,
    });
    (
        proptest::option::weighted(0.9, (message(), body())),
        retain,
        proptest::option::of((session(), 0..4_u16)),
        proptest::option::weighted(0.2, (session(), letter())),
        vec(addressed, 0..4),
    )
        .prop_map(|(message, retain, from, moved, to)| {
            Change::Published(Published { message, retain, from, moved, to })
        })
}

fn session_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (session(), name(), any::<u32>()).prop_map(|(session, key, expiry_s)| Change::Opened {
            session,
            key,
            expiry_s,
            next_letter: LetterNo(0)
        }),
        (session(), any::<u32>())
            .prop_map(|(session, expiry_s)| Change::Attached { session, expiry_s }),
        (session(), any::<u32>(), time()).prop_map(|(session, expiry_s, at)| Change::Detached {
            session,
            expiry_s,
            at
        }),
        session().prop_map(|session| Change::Ended { session }),
        (session(), name(), options()).prop_map(|(session, filter, options)| {
            Change::Subscribed { session, filter, options }
        }),
        (session(), name()).prop_map(|(session, filter)| Change::Unsubscribed { session, filter }),
        (session(), 0..4_u16).prop_map(|(session, id)| Change::Released { session, id }),
    ]
}

fn letter_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (session(), vec((letter(), 0..4_u16), 0..4))
            .prop_map(|(session, letters)| Change::Sent { session, letters }),
        (session(), letter()).prop_map(|(session, letter)| Change::Received { session, letter }),
        (session(), vec(letter(), 0..4))
            .prop_map(|(session, letters)| Change::Done { session, letters }),
    ]
}

fn other_change() -> impl Strategy<Value = Change> {
    let will = (body(), any::<bool>(), any::<u32>(), proptest::option::of(any::<u32>())).prop_map(
        |(body, retain, delay_s, expiry_s)| Testament { body, retain, delay_s, expiry_s },
    );
    prop_oneof![
        name().prop_map(|topic| Change::Cleared { topic }),
        (name(), will).prop_map(|(key, will)| Change::WillMade { key, will }),
        (name(), time()).prop_map(|(key, at)| Change::WillDue { key, at }),
        name().prop_map(|key| Change::WillGone { key }),
        (session(), message()).prop_map(|(session, message)| Change::Numbers { session, message }),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![3 => published(), 3 => session_change(), 4 => letter_change(), 1 => other_change()]
}

fn folded<'a>(changes: impl IntoIterator<Item = &'a Change>) -> State {
    let mut state = State::default();
    changes.into_iter().for_each(|change| state.apply(change.clone()));
    state
}

proptest! {
    #[test]
    fn a_change_reads_back(change in change()) {
        let bytes = codec::encode(&change);
        prop_assert_eq!(codec::decode(bytes.clone()).unwrap(), change);
        for cut in 0..bytes.len() {
            prop_assert!(codec::decode(bytes.slice(..cut)).is_err(), "cut at {}", cut);
        }
    }

    #[test]
    fn any_bytes_are_a_change_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(change) = codec::decode(Bytes::from(bytes)) {
            prop_assert_eq!(codec::decode(codec::encode(&change)).unwrap(), change);
        }
    }

    #[test]
    fn every_prefix_of_the_log_holds_together(changes in vec(change(), 0..120)) {
        let mut state = State::default();
        for (at, change) in changes.into_iter().enumerate() {
            state.apply(change);
            prop_assert_eq!(state.contradiction(), None, "after change {}", at);
        }
    }

    #[test]
    fn a_snapshot_anywhere_changes_nothing(changes in vec(change(), 0..120), at in 0.0..1.0) {
        let at = (changes.len() as f64 * at) as usize;
        let (before, after) = changes.split_at(at);
        let snapshot: Vec<_> = folded(before).changes().collect();
        let mut state = folded(&snapshot);
        prop_assert_eq!(state.contradiction(), None);
        prop_assert_eq!(&state, &folded(before));
        after.iter().for_each(|change| state.apply(change.clone()));
        prop_assert_eq!(state, folded(&changes));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_on_disk_is_what_was_written_however_often_it_is_compacted(
        rounds in vec(vec(change(), 0..60), 1..5)
    ) {
        let dir = tempfile::tempdir().unwrap();
        let limits = Limits { segment_bytes_max: 256, compact_bytes_min: 200 };
        let mut all = Vec::new();
        for round in rounds {
            let log = open(dir.path(), limits);
            prop_assert_eq!(log.take_found(), folded(&all));
            for (n, change) in round.iter().enumerate() {
                if n % 3 == 0 {
                    log.write(change);
                } else {
                    log.note(change);
                }
            }
            all.extend(round);
        }
        prop_assert_eq!(open(dir.path(), limits).take_found(), folded(&all));
    }

    #[test]
    fn a_torn_tail_takes_whole_changes_from_the_end(
        changes in vec(change(), 1..40), keep in 0.0..1.0
    ) {
        let dir = tempfile::tempdir().unwrap();
        {
            let log = open(dir.path(), Limits::default());
            for change in &changes {
                log.write(change);
            }
        }
        let segment = dir.path().join("00000000000000000000.seg");
        let length = std::fs::metadata(&segment).unwrap().len();
        let file = std::fs::OpenOptions::new().write(true).open(&segment).unwrap();
        file.set_len((length as f64 * keep) as u64).unwrap();
        let log = open(dir.path(), Limits::default());
        let left = usize::try_from(log.journal().durable_end()).unwrap();
        prop_assert_eq!(log.take_found(), folded(&changes[..left]));
    }
}

fn opened(session: u64, key: &str) -> Change {
    let session = SessionNo(session);
    Change::Opened { session, key: key.into(), expiry_s: 60, next_letter: LetterNo(0) }
}

fn said(number: u64, payload: Vec<u8>, to: &[(u64, u64)]) -> Change {
    let terms = Terms { qos: 1, retain: false, identifiers: vec![], share: None };
    let addressed = |&(session, letter): &(u64, u64)| Addressed {
        session: SessionNo(session),
        letter: LetterNo(letter),
        terms: terms.clone(),
    };
    let body = Body {
        topic: "a".into(),
        payload: payload.into(),
        properties: Bytes::new(),
        qos: 1,
        expires_at: None,
    };
    Change::Published(Published {
        message: Some((MessageNo(number), Arc::new(body))),
        retain: Retain::Untouched,
        from: Some((SessionNo(0), 7)),
        moved: None,
        to: to.iter().map(addressed).collect(),
    })
}

#[test]
fn what_is_over_leaves_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { segment_bytes_max: 64 << 10, compact_bytes_min: 128 << 10 };
    let log = open(dir.path(), limits);
    log.write(&opened(0, "station"));
    for n in 0..2_000 {
        log.write(&said(n, vec![7; 1_000], &[(0, n)]));
        log.note(&Change::Done { session: SessionNo(0), letters: vec![LetterNo(n)] });
    }
    let patience = Instant::now() + Duration::from_secs(20);
    let written = || log.journal().durable_end() == 4_001;
    while !written() || 400 << 10 < log.journal().disk_bytes() {
        assert!(Instant::now() < patience, "2 MB were written and none is let go");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(dir.path().join("snapshot").exists());
    drop(log);
    let log = open(dir.path(), limits);
    let found = log.take_found();
    let session = &found.sessions[&SessionNo(0)];
    assert_eq!((session.letters.len(), session.next_letter), (0, 2_000));
    assert_eq!((log.new_session(), log.new_message()), (SessionNo(1), MessageNo(2_000)));
}

#[test]
fn a_publish_to_more_sessions_than_a_record_holds_reaches_them_all() {
    let dir = tempfile::tempdir().unwrap();
    {
        let log = open(dir.path(), Limits::default());
        for session in 0..30_000 {
            log.note(&opened(session, &format!("guest {session}")));
        }
        let to: Vec<_> = (0..30_000).map(|session| (session, 0)).collect();
        log.write(&said(0, vec![7; 1 << 20], &to));
    }
    let found = open(dir.path(), Limits::default()).take_found();
    assert!(found.sessions.values().all(|session| session.letters.len() == 1));
    assert!(found.sessions[&SessionNo(0)].incoming.contains(&7));
    assert_eq!(found.contradiction(), None);
}

#[test]
fn a_letter_keeps_its_packet_id_through_a_snapshot() {
    let (session, letter) = (SessionNo(0), LetterNo(0));
    let log = [
        opened(0, "station"),
        said(0, vec![1], &[(0, 0), (0, 1)]),
        Change::Sent { session, letters: vec![(letter, 9), (LetterNo(1), 9)] },
        Change::Received { session, letter },
    ];
    let snapshot: Vec<_> = folded(&log).changes().collect();
    let state = folded(&snapshot);
    let letters = &state.sessions[&session].letters;
    assert_eq!(letters[&letter].stage, Stage::Received(9));
    assert_eq!(letters[&LetterNo(1)].stage, Stage::Queued, "an id is on one letter at a time");
}

#[test]
fn a_damaged_snapshot_is_an_error_and_not_an_empty_state() {
    let dir = tempfile::tempdir().unwrap();
    let state = folded(&[opened(0, "station")]);
    snapshot::save(dir.path(), 0, &state).unwrap();
    let path = dir.path().join("snapshot");
    let whole = std::fs::read(&path).unwrap();
    for bit in 0..whole.len() * 8 {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, &damaged).unwrap();
        assert!(snapshot::load(dir.path()).is_err(), "bit {bit}");
    }
    for cut in 0..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        assert!(snapshot::load(dir.path()).is_err(), "cut at {cut}");
    }
}

#[test]
fn a_snapshot_of_another_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), Limits::default()));
    snapshot::save(dir.path(), 5, &State::default()).unwrap();
    let refused = SessionLog::open(dir.path(), Arc::new(Held)).err().unwrap();
    assert!(matches!(refused, SessionLogError::Foreign { snapshot: 5, end: 0 }), "{refused}");
}
