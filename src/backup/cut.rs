//! The data folder, standing still. What is never changed again (sealed files, finished segments) is held by a hard link,
//! what is replaced or grows is copied, in an order in which everything that speaks of a position comes before what it
//! speaks of: cursors, history's manifest and the engine's state first, then the registry, then the ledger and the other
//! journals, the readings' journal last. So a start on the copy sees what a start after a power cut sees.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use registry::Registry;

use super::BackupError;

/// Looks at a folder in which files come and go. One is nearly always enough: a merge of history, or a pruned segment,
/// must fall between two readings of a folder.
const LOOKS: usize = 8;

/// The folder of the cut, below the data folder so that links are possible.
const CUT: &str = ".backup";
const LOCK: &str = "backup.lock";
const REGISTRY: &str = "registry.sqlite";
/// The readings' journal comes last, after all that speaks of it.
const LAST: &str = "journal";

/// A copy of the data folder that nobody writes to. Dropped, it is gone.
pub struct Cut {
    dir: PathBuf,
    /// Held while the cut lives: one backup of a data folder at a time.
    _lock: File,
}

/// How a file may be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Never changed again once it is there.
    Sealed,
    /// Grows at its end; all but the last of a folder are finished.
    Segment,
    /// Replaced as a whole.
    Small,
    /// Nobody needs it after a restart.
    Passing,
}

impl Cut {
    /// Makes the cut of `data`, beside a running engine or without one.
    ///
    /// # Errors
    /// [`BackupError`]: no data, another backup under way, or the disk.
    pub async fn of(data: &Path) -> Result<Self, BackupError> {
        if !data.join(REGISTRY).exists() {
            return Err(BackupError::NoData(data.to_owned()));
        }
        let lock = hold(&data.join(LOCK))?;
        let dir = data.join(CUT);
        clear(&dir)?;
        fs::create_dir(&dir).map_err(BackupError::disk("create", &dir))?;
        let cut = Self { dir, _lock: lock };
        cut.hold_sealed(data)?;
        cut.copy_small(data)?;
        let registry = Registry::open(&data.join(REGISTRY)).await?;
        registry.copy_to(&cut.dir.join(REGISTRY)).await?;
        registry.close().await;
        // What history's manifest names was there at the first look or was made since.
        cut.hold_sealed(data)?;
        cut.copy_segments(data)?;
        Ok(cut)
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Links what is sealed and what is finished, so that it stays although the engine may delete it.
    fn hold_sealed(&self, data: &Path) -> Result<(), BackupError> {
        for folder in folders(data)? {
            for name in settled(&folder)? {
                link(&folder.join(&name), &self.place(data, &folder)?.join(&name))?;
            }
        }
        Ok(())
    }

    fn copy_small(&self, data: &Path) -> Result<(), BackupError> {
        for folder in folders(data)? {
            for name in names(&folder)?.into_iter().filter(|name| kind(name) == Kind::Small) {
                copy(&folder.join(&name), &self.place(data, &folder)?.join(&name))?;
            }
        }
        Ok(())
    }

    fn copy_segments(&self, data: &Path) -> Result<(), BackupError> {
        let mut all = folders(data)?;
        all.sort_by_key(|folder| folder.file_name().is_some_and(|name| name == LAST));
        for folder in all {
            let place = self.place(data, &folder)?;
            // The last of them grows, and a new one may begin at any moment: look until the last is still the last.
            let mut held = None;
            for _ in 0..LOOKS {
                for name in settled(&folder)? {
                    link(&folder.join(&name), &place.join(&name))?;
                }
                let last = segments(&folder)?.pop();
                if let Some(name) = &last {
                    copy(&folder.join(name), &place.join(name))?;
                }
                if segments(&folder)?.pop() == last {
                    held = Some(());
                    break;
                }
            }
            held.ok_or(BackupError::Restless(folder))?;
        }
        Ok(())
    }

    /// The place of a folder in the cut.
    fn place(&self, data: &Path, folder: &Path) -> Result<PathBuf, BackupError> {
        let place = self.dir.join(folder.strip_prefix(data).unwrap_or(folder));
        fs::create_dir_all(&place).map_err(BackupError::disk("create", &place))?;
        Ok(place)
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        if let Err(error) = clear(&self.dir) {
            tracing::warn!(path = %self.dir.display(), %error, "the cut stays until the next backup");
        }
    }
}

fn hold(path: &Path) -> Result<File, BackupError> {
    let file = File::create(path).map_err(BackupError::disk("create", path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(BackupError::Busy(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(BackupError::disk("lock", path)(error)),
    }
}

fn clear(dir: &Path) -> Result<(), BackupError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(BackupError::disk("delete", dir)(error))
        }
        _ => Ok(()),
    }
}

fn kind(name: &str) -> Kind {
    let ends = |ending| name.ends_with(ending);
    match name {
        _ if name.starts_with(REGISTRY) || name.starts_with('.') => Kind::Passing,
        _ if name == "lock" || ends(".lock") || ends(".tmp") || ends(".new") => Kind::Passing,
        _ if ends(".parquet") => Kind::Sealed,
        _ if ends(".seg") => Kind::Segment,
        _ => Kind::Small,
    }
}

/// The data folder and every folder below it.
fn folders(data: &Path) -> Result<Vec<PathBuf>, BackupError> {
    let mut all = vec![data.to_owned()];
    let mut at = 0;
    while let Some(folder) = all.get(at).cloned() {
        for entry in fs::read_dir(&folder).map_err(BackupError::disk("list", &folder))? {
            let entry = entry.map_err(BackupError::disk("list", &folder))?;
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            if !hidden && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                all.push(entry.path());
            }
        }
        at += 1;
    }
    Ok(all)
}

fn names(folder: &Path) -> Result<Vec<String>, BackupError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(BackupError::disk("list", folder))? {
        let entry = entry.map_err(BackupError::disk("list", folder))?;
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// The segments of a folder, oldest first.
fn segments(folder: &Path) -> Result<Vec<String>, BackupError> {
    let mut names = names(folder)?;
    names.retain(|name| kind(name) == Kind::Segment);
    Ok(names)
}

/// What is never changed again: sealed files, and all segments but the last.
fn settled(folder: &Path) -> Result<Vec<String>, BackupError> {
    let mut settled = segments(folder)?;
    settled.pop();
    settled.extend(names(folder)?.into_iter().filter(|name| kind(name) == Kind::Sealed));
    Ok(settled)
}

/// A hard link, or a copy where the file system has none. A file that went away meanwhile is no loss: nothing that was
/// copied after this look speaks of it.
fn link(from: &Path, to: &Path) -> Result<(), BackupError> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            if same(from, to) {
                Ok(())
            } else {
                copy(from, to)
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(_) => copy(from, to),
        Ok(()) => Ok(()),
    }
}

/// Is it the file that was held before? The last segment of one look, copied, is a finished one at the next.
fn same(from: &Path, to: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (fs::metadata(from), fs::metadata(to)) {
        (Ok(a), Ok(b)) => a.ino() == b.ino(),
        // Gone since: what is held is what there is.
        _ => true,
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), BackupError> {
    // A link must not be written through to the file itself.
    match fs::remove_file(to) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(BackupError::disk("delete", to)(error));
        }
        _ => (),
    }
    match fs::copy(from, to) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done.map(drop).map_err(BackupError::disk("copy", from)),
    }
}
