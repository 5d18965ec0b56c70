//! What people change of what was measured: it is written down with a reason, and never rubbed out.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use domain::{Act, Clock, Edit, ParameterCode, Station, StationCode, Timestamp};
use registry::{EDITS_MAX, EditWish, Registry, RegistryError};

struct Held(AtomicI64);

impl Clock for Held {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

struct Book {
    registry: Registry,
    clock: Arc<Held>,
    path: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

async fn book() -> Book {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.sqlite");
    let clock = Arc::new(Held(AtomicI64::new(5_000)));
    let registry = Registry::open(&path).await.unwrap().with_clock(clock.clone()).by("lan");
    registry.add_station(&Station::new(station("xuan-hoa"))).await.unwrap();
    Book { registry, clock, path, _folder: folder }
}

fn station(code: &str) -> StationCode {
    StationCode::new(code).unwrap()
}

fn wish(act: Act) -> EditWish {
    EditWish {
        station: station("xuan-hoa"),
        parameter: ParameterCode::new("salinity").unwrap(),
        from: Timestamp::from_millis(1_000),
        to: Timestamp::from_millis(2_000),
        act,
        reason: " fouled; cleaned at noon ".to_owned(),
    }
}

fn every_act() -> [Act; 6] {
    let every = Some(Duration::from_mins(15));
    [
        Act::Offset { by: -0.25 },
        Act::Drift { start: 0.0, end: 0.4 },
        Act::Remove,
        Act::Interpolate { start: 1.0, end: 2.0, every: None },
        Act::Interpolate { start: 1.0, end: 2.0, every },
        Act::Approve,
    ]
}

#[tokio::test]
async fn every_act_reads_back_as_it_was_made_also_after_a_restart() {
    let book = book().await;
    let before = book.registry.version().await.unwrap();
    let mut made = Vec::new();
    for act in every_act() {
        made.push(book.registry.make_edit(&wish(act)).await.unwrap());
    }
    assert_eq!(made.iter().map(|edit| edit.id).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    let first = &made[0];
    assert_eq!((first.by.as_str(), first.reason.as_str()), ("lan", "fouled; cleaned at noon"));
    assert_eq!(first.at.as_millis(), 5_000);
    assert_eq!(book.registry.edits().await.unwrap(), made);
    assert!(before < book.registry.version().await.unwrap(), "who has a copy must look again");
    let audit = book.registry.audits(1).await.unwrap().remove(0);
    assert_eq!((audit.act.as_str(), audit.who.as_str()), ("edit.make", "lan"));
    book.registry.close().await;
    let again = Registry::open(&book.path).await.unwrap();
    assert_eq!(again.edits().await.unwrap(), made);
}

#[tokio::test]
async fn an_edit_is_withdrawn_once_with_a_reason_and_stays_in_the_book() {
    let book = book().await;
    let made = book.registry.make_edit(&wish(Act::Offset { by: 1.0 })).await.unwrap();
    book.clock.0.store(9_000, Ordering::Relaxed);
    let other = book.registry.by("truc");
    let wordless = other.withdraw_edit(made.id, " ").await.unwrap_err();
    assert!(matches!(wordless, RegistryError::BadValue { .. }), "{wordless}");
    let ended = other.withdraw_edit(made.id, "wrong range").await.unwrap();
    let end = ended.withdrawn.clone().unwrap();
    assert_eq!((end.at.as_millis(), end.by.as_str()), (9_000, "truc"));
    assert_eq!(book.registry.edits().await.unwrap(), [ended]);
    let twice = other.withdraw_edit(made.id, "wrong range").await.unwrap_err();
    assert_eq!(twice.to_string(), "withdrawal of edit `1` is there already");
    for unknown in [2, 99] {
        let error = other.withdraw_edit(unknown, "wrong range").await.unwrap_err();
        assert!(matches!(error, RegistryError::NotFound { .. }), "{unknown}: {error}");
    }
    let next = book.registry.make_edit(&wish(Act::Remove)).await.unwrap();
    assert_eq!(next.id, 3, "the withdrawal has a number of its own");
}

#[tokio::test]
async fn what_means_nothing_is_refused_and_leaves_nothing() {
    let book = book().await;
    let good = wish(Act::Remove);
    let nowhere = EditWish { station: station("hue"), ..good.clone() };
    let nothing = EditWish { parameter: ParameterCode::new("taste").unwrap(), ..good.clone() };
    let turned = EditWish { to: Timestamp::from_millis(1_000), ..good.clone() };
    let future = EditWish { to: Timestamp::from_millis(5_001), act: Act::Approve, ..good.clone() };
    for (wish, said) in [
        (nowhere, "there is no station `hue`"),
        (nothing, "there is no parameter `taste`"),
        (turned, "edit `xuan-hoa/salinity`: `from` is not before `to`"),
        (future, "edit `xuan-hoa/salinity`: what is still to come cannot be approved"),
    ] {
        let error = book.registry.make_edit(&wish).await.unwrap_err();
        assert_eq!(error.to_string(), said);
    }
    assert_eq!(book.registry.edits().await.unwrap(), Vec::<Edit>::new());
}

#[tokio::test]
async fn a_series_has_a_most_of_edits() {
    let book = book().await;
    let pool = sqlx::SqlitePool::connect(book.path.to_str().unwrap()).await.unwrap();
    let row = "INSERT INTO edits (station, parameter, from_at, to_at, act, made_at, made_by, reason) \
               VALUES ('xuan-hoa', 'salinity', 1, 2, 'remove', 1, 'lan', 'fouled')";
    for _ in 0..EDITS_MAX {
        sqlx::query(row).execute(&pool).await.unwrap();
    }
    let full = book.registry.make_edit(&wish(Act::Remove)).await.unwrap_err();
    assert!(full.to_string().contains("which is the most"), "{full}");
    let mut other = wish(Act::Remove);
    other.parameter = ParameterCode::new("ph").unwrap();
    book.registry.make_edit(&other).await.unwrap();
}

#[tokio::test]
async fn the_database_itself_refuses_to_rub_out() {
    let book = book().await;
    book.registry.make_edit(&wish(Act::Remove)).await.unwrap();
    let pool = sqlx::SqlitePool::connect(book.path.to_str().unwrap()).await.unwrap();
    for (sql, said) in [
        ("UPDATE edits SET reason = 'nothing'", "an edit is not changed"),
        ("DELETE FROM edits", "an edit is not deleted"),
    ] {
        let error = sqlx::query(sql).execute(&pool).await.unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
    sqlx::query("DROP TRIGGER edits_stay").execute(&pool).await.unwrap();
    sqlx::query("UPDATE edits SET act = 'wish'").execute(&pool).await.unwrap();
    let damaged = book.registry.edits().await.unwrap_err();
    assert!(matches!(damaged, RegistryError::Damaged { .. }), "{damaged}");
}
