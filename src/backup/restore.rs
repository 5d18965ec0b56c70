//! From the repository to a data folder, every byte compared with what was backed up.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::{Backup, BackupError, Repository, sync_dir};
use crate::clock::SystemClock;
use crate::settings::Config;
use crate::store::Store;

/// Restores a backup as the folder `to`, which must not be there or be empty. The folder appears when all of it is on
/// disk: a restore that was cut short leaves `to` as it was.
///
/// # Errors
/// [`BackupError::NotEmpty`], [`BackupError::Damaged`], [`BackupError::Disk`].
pub fn restore(
    repository: &Repository,
    backup: &Backup,
    to: &Path,
    progress: impl FnMut(u64, u64),
) -> Result<(), BackupError> {
    let empty = match fs::read_dir(to) {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => !to.exists(),
    };
    if !empty {
        return Err(BackupError::NotEmpty(to.to_owned()));
    }
    let beside = beside(to);
    if beside.exists() {
        fs::remove_dir_all(&beside).map_err(BackupError::disk("delete", &beside))?;
    }
    let unpacked = unpack(repository, backup, &beside, progress);
    if unpacked.is_err() {
        fs::remove_dir_all(&beside).map_err(BackupError::disk("delete", &beside))?;
    }
    unpacked?;
    // Takes the place of an empty folder too.
    fs::rename(&beside, to).map_err(BackupError::disk("rename", &beside))?;
    sync_dir(parent(to))
}

/// Restores a backup as the folder that `config` names, which is one for the time being, and opens it as a start would.
///
/// # Errors
/// As [`restore`], and [`BackupError::Store`] where its parts do not belong together.
pub async fn verify(
    repository: &Repository,
    backup: &Backup,
    config: &Config,
    progress: impl FnMut(u64, u64),
) -> Result<(), BackupError> {
    restore(repository, backup, &config.data_dir, progress)?;
    let store = Store::open(config, Arc::new(SystemClock)).await?;
    let end = store.journal.durable_end();
    store.registry.close().await;
    if end != backup.journal_end {
        let what = format!("it ends at {end} and not at {}", backup.journal_end);
        return Err(BackupError::damaged("journal", what));
    }
    Ok(())
}

fn unpack(
    repository: &Repository,
    backup: &Backup,
    dir: &Path,
    mut progress: impl FnMut(u64, u64),
) -> Result<(), BackupError> {
    make(dir)?;
    let (whole, mut done) = (backup.bytes(), 0);
    for kept in &backup.files {
        let path = dir.join(below(&kept.path)?);
        make(parent(&path))?;
        let mut options = File::options();
        let file = options.write(true).create_new(true).mode(kept.mode | 0o600).open(&path);
        let mut file = file.map_err(BackupError::disk("create", &path))?;
        repository.unpack(kept, &mut file, |wrote| {
            done += wrote;
            progress(done, whole);
        })?;
        file.flush().and_then(|()| file.sync_all()).map_err(BackupError::disk("sync", &path))?;
    }
    sync_all(dir)
}

/// A path that stays below the folder, whoever wrote the backup's list.
fn below(path: &str) -> Result<&Path, BackupError> {
    let inside = Path::new(path);
    let plain = inside.components().all(|part| matches!(part, Component::Normal(_)));
    if plain && !path.is_empty() {
        Ok(inside)
    } else {
        Err(BackupError::damaged(path, "its path leads out of the data folder"))
    }
}

fn make(dir: &Path) -> Result<(), BackupError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(BackupError::disk("create", dir))
}

fn sync_all(dir: &Path) -> Result<(), BackupError> {
    for entry in fs::read_dir(dir).map_err(BackupError::disk("list", dir))? {
        let entry = entry.map_err(BackupError::disk("list", dir))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            sync_all(&entry.path())?;
        }
    }
    sync_dir(dir)
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn beside(to: &Path) -> PathBuf {
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    parent(to).join(format!(".{name}.restoring"))
}
