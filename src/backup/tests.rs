use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bytes::Bytes;
use domain::Timestamp;
use journal::Journal;
use registry::Registry;
use tempfile::TempDir;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_773_266_400_000);

/// A data folder with a registry, two journals of small segments, and things beside them.
async fn data() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    Registry::open(&dir.path().join("registry.sqlite")).await.unwrap().close().await;
    fs::write(dir.path().join("engine.json"), b"{}").unwrap();
    fs::write(dir.path().join("station-keys.json"), b"secret").unwrap();
    fs::set_permissions(dir.path().join("station-keys.json"), PermissionsExt::from_mode(0o600))
        .unwrap();
    fs::create_dir(dir.path().join("history")).unwrap();
    fs::write(dir.path().join("history/2026-03-000000.parquet"), b"sealed").unwrap();
    fs::write(dir.path().join("history/lock"), b"").unwrap();
    dir
}

fn journal(dir: &Path) -> Journal {
    let config = journal::Config { segment_bytes_max: 4 << 10, ..journal::Config::default() };
    Journal::open(&dir.join("journal"), &config).unwrap()
}

async fn append(journal: &Journal, records: usize) {
    for n in 0..records {
        journal.append(vec![Bytes::from(vec![n as u8; 200])]).await.unwrap();
    }
}

async fn made(data: &Path, repository: &Repository, seconds: u64) -> Created {
    let now = NOW + std::time::Duration::from_secs(seconds);
    create(data, repository, now, |_, _| ()).await.unwrap()
}

#[tokio::test]
async fn what_is_restored_is_what_was_there_byte_by_byte() {
    let (data, to) = (data().await, tempfile::tempdir().unwrap());
    let open = journal(data.path());
    append(&open, 100).await;
    let repository = Repository::create(&to.path().join("backups")).unwrap();
    let created = made(data.path(), &repository, 0).await;
    assert_eq!(created.backup.journal_end, 100);
    assert!(!data.path().join(".backup").exists(), "the cut is gone");
    append(&open, 50).await; // What comes later is not in it.
    let restored = to.path().join("data");
    restore(&repository, &created.backup, &restored, |_, _| ()).unwrap();
    assert_eq!(journal(&restored).durable_end(), 100);
    for same in ["engine.json", "station-keys.json", "history/2026-03-000000.parquet"] {
        assert_eq!(
            fs::read(restored.join(same)).unwrap(),
            fs::read(data.path().join(same)).unwrap()
        );
    }
    let mode = fs::metadata(restored.join("station-keys.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!restored.join("history/lock").exists() && restored.join("registry.sqlite").exists());
    let again = restore(&repository, &created.backup, &restored, |_, _| ());
    assert!(matches!(again, Err(BackupError::NotEmpty(_))), "{again:?}");
}

#[tokio::test]
async fn the_second_backup_costs_what_is_new_and_the_first_stays_whole() {
    let (data, to) = (data().await, tempfile::tempdir().unwrap());
    let open = journal(data.path());
    append(&open, 200).await;
    let repository = Repository::create(to.path()).unwrap();
    let first = made(data.path(), &repository, 0).await;
    let unchanged = made(data.path(), &repository, 1).await;
    assert_eq!(unchanged.new_objects, 0, "nothing is new");
    append(&open, 30).await;
    fs::remove_file(data.path().join("history/2026-03-000000.parquet")).unwrap();
    let third = made(data.path(), &repository, 2).await;
    assert!(third.new_objects < first.new_objects / 2, "{} new", third.new_objects);
    let find = |which| repository.find(&which).unwrap().name;
    assert_eq!(find(Which::Newest), third.backup.name);
    assert_eq!(find(Which::Before(229)), unchanged.backup.name);
    assert_eq!(find(Which::Named(first.backup.name.clone())), first.backup.name);
    assert!(matches!(repository.find(&Which::Before(199)), Err(BackupError::None(_))));

    // What only the forgotten ones held is gone, what the last one needs is not.
    let pruned = repository.prune(1).unwrap();
    assert_eq!((pruned.backups, 0 < pruned.objects), (2, true));
    let restored = to.path().join("data");
    restore(&repository, &third.backup, &restored, |_, _| ()).unwrap();
    assert!(!restored.join("history/2026-03-000000.parquet").exists());
    assert_eq!(journal(&restored).durable_end(), 230);
}

#[tokio::test]
async fn a_flipped_byte_and_a_missing_content_are_named_and_nothing_is_left_behind() {
    let (data, to) = (data().await, tempfile::tempdir().unwrap());
    let repository = Repository::create(&to.path().join("backups")).unwrap();
    let created = made(data.path(), &repository, 0).await;
    let sealed = created.backup.files.iter().find(|file| file.path.ends_with("parquet")).unwrap();
    let object = repository.object(&sealed.digest);
    let good = fs::read(&object).unwrap();
    let restored = to.path().join("data");
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&object, bad).unwrap();
        // zstd has bits that mean nothing; whatever comes out is the content or an error with its name.
        match restore(&repository, &created.backup, &restored, |_, _| ()) {
            Err(BackupError::Damaged { path, .. }) => assert_eq!(path, sealed.path),
            other => {
                other.unwrap();
                assert_eq!(fs::read(restored.join(&sealed.path)).unwrap(), b"sealed");
                fs::remove_dir_all(&restored).unwrap();
            }
        }
        assert!(!restored.exists(), "byte {at}");
    }
    fs::remove_file(&object).unwrap();
    let missing = restore(&repository, &created.backup, &restored, |_, _| ());
    assert!(missing.unwrap_err().to_string().contains("missing"));
}

#[tokio::test]
async fn a_list_that_leads_out_of_the_folder_is_refused() {
    let (data, to) = (data().await, tempfile::tempdir().unwrap());
    let repository = Repository::create(&to.path().join("backups")).unwrap();
    let backup = made(data.path(), &repository, 0).await.backup;
    for path in ["../evil", "/etc/evil", "a/../../evil", "", "./evil"] {
        let mut evil = backup.clone();
        evil.files[0].path = path.to_owned();
        let done = restore(&repository, &evil, &to.path().join("data"), |_, _| ());
        assert!(matches!(done, Err(BackupError::Damaged { .. })), "{path}");
        assert!(!to.path().join("data").exists() && !to.path().join("evil").exists());
    }
}

#[tokio::test]
async fn folders_of_others_no_data_and_two_at_once_are_refused() {
    let (data, to) = (data().await, tempfile::tempdir().unwrap());
    fs::write(to.path().join("letter.txt"), b"mine").unwrap();
    assert!(matches!(Repository::create(to.path()), Err(BackupError::NotBackups(_))));
    assert!(matches!(Repository::open(to.path()), Err(BackupError::None(_))));
    let dir = to.path().join("backups");
    let repository = Repository::create(&dir).unwrap();
    assert!(matches!(Repository::open(&dir), Err(BackupError::Busy(_))));
    let nothing = create(to.path(), &repository, NOW, |_, _| ()).await;
    assert!(matches!(nothing, Err(BackupError::NoData(_))));
    let cut = super::cut::Cut::of(data.path()).await.unwrap();
    let second = create(data.path(), &repository, NOW, |_, _| ()).await;
    assert!(matches!(second, Err(BackupError::Busy(_))));
    drop(cut);
    // What a killed backup left does not stop the next one.
    fs::create_dir(data.path().join(".backup")).unwrap();
    fs::write(data.path().join(".backup/half"), b"x").unwrap();
    let created = made(data.path(), &repository, 0).await;
    assert!(created.backup.files.iter().all(|file| file.path != "half"));
    drop(repository);
    fs::write(dir.join("saltline-backups"), br#"{"format":2}"#).unwrap();
    assert!(matches!(Repository::open(&dir), Err(BackupError::TooNew { found: 2, .. })));
}
