//! The file: opened twice, opened at once, opened by an older program, and opened when it is something else.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::path::Path;
use std::time::Duration;

use domain::{Station, StationCode};
use registry::{Login, Registry, RegistryError};
use sqlx::{Connection, SqliteConnection};

fn numbered(n: usize) -> Station {
    Station::new(StationCode::new(&format!("s-{n}")).unwrap())
}

async fn raw(path: &Path) -> SqliteConnection {
    SqliteConnection::connect(path.to_str().unwrap()).await.unwrap()
}

#[tokio::test]
async fn the_command_line_works_while_the_engine_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.sqlite");
    let engine = Registry::open(&path).await.unwrap();
    let before = engine.version().await.unwrap();
    let cli = Registry::open(&path).await.unwrap().by("cli");
    assert_eq!(engine.version().await.unwrap(), before, "opening changes nothing");
    let key = cli.add_station(&numbered(1)).await.unwrap();
    assert!(before < engine.version().await.unwrap());
    let login = engine.login(&numbered(1).code, key.reveal()).await.unwrap();
    assert_eq!(login, Login::Welcome(numbered(1)));
}

#[tokio::test]
async fn two_who_write_at_once_both_get_through() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.sqlite");
    let (one, other) = tokio::try_join!(Registry::open(&path), Registry::open(&path)).unwrap();
    let write = async |registry: &Registry, from: usize| {
        for n in from..from + 25 {
            registry.add_station(&numbered(n)).await?;
        }
        Ok::<_, RegistryError>(())
    };
    tokio::try_join!(write(&one, 0), write(&other, 100)).unwrap();
    assert_eq!(one.stations().await.unwrap().len(), 50);
    let lines = one.audits(1_000).await.unwrap();
    assert!(lines.windows(2).all(|pair| pair[0].seq == pair[1].seq + 1));
    assert_eq!(lines.last().unwrap().seq, 1);
}

#[tokio::test]
async fn opening_again_migrates_nothing_and_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.sqlite");
    let first = Registry::open(&path).await.unwrap();
    first.put_station(&numbered(1)).await.unwrap();
    let version = first.version().await.unwrap();
    first.close().await;
    for _ in 0..3 {
        let again = Registry::open(&path).await.unwrap();
        assert_eq!(again.version().await.unwrap(), version);
        assert_eq!(again.stations().await.unwrap(), [numbered(1)]);
        again.close().await;
    }
}

#[tokio::test]
async fn a_file_of_a_newer_program_is_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.sqlite");
    Registry::open(&path).await.unwrap().close().await;
    let newer = "INSERT INTO _sqlx_migrations \
                 (version, description, success, checksum, execution_time) \
                 VALUES (9999, 'of tomorrow', TRUE, x'00', 0)";
    sqlx::query(newer).execute(&mut raw(&path).await).await.unwrap();
    let error = Registry::open(&path).await.unwrap_err();
    let newest = matches!(error, RegistryError::TooNew { found: 9999, known, .. } if known < 9999);
    assert!(newest, "{error}");
    assert!(error.to_string().contains("run the version that wrote it"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_registry_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.sqlite");
    let letter = "Dear keeper, this is not a database. ".repeat(100);
    std::fs::write(&path, &letter).unwrap();
    let error = Registry::open(&path).await.unwrap_err();
    assert!(matches!(error, RegistryError::Open { .. }), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), letter);
    let missing = Registry::open(&folder.path().join("no/such/folder.sqlite")).await.unwrap_err();
    assert!(matches!(missing, RegistryError::Open { .. }), "{missing}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::open(&folder.path().join("registry.sqlite")).await.unwrap();
    registry.put_station(&numbered(1)).await.unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?} has mode {mode:o}", entry.path());
    }
}

#[tokio::test]
async fn a_damaged_row_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.sqlite");
    let registry = Registry::open(&path).await.unwrap();
    registry.put_station(&numbered(1)).await.unwrap();
    let spoil = "UPDATE stations SET code = 'Not A Code'";
    sqlx::query(spoil).execute(&mut raw(&path).await).await.unwrap();
    let error = registry.stations().await.unwrap_err();
    assert!(error.to_string().contains("`Not A Code`"), "{error}");
}

#[tokio::test]
async fn a_writer_that_never_ends_makes_others_busy_not_stuck() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.sqlite");
    let registry = Registry::open(&path).await.unwrap();
    let mut hog = raw(&path).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut hog).await.unwrap();
    let station = numbered(1);
    let write = registry.put_station(&station);
    let error = tokio::time::timeout(Duration::from_secs(30), write).await.unwrap().unwrap_err();
    assert!(matches!(error, RegistryError::Busy), "{error}");
    assert_eq!(registry.stations().await.unwrap(), [], "readers do not wait");
    sqlx::query("ROLLBACK").execute(&mut hog).await.unwrap();
    registry.put_station(&numbered(1)).await.unwrap();
}
