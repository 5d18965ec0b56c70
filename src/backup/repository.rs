//! A folder of backups: contents by digest, each once, and backups by name.

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Backup, BackupError, FORMAT, Which, sync_dir};

const MARK: &str = "saltline-backups";
const OBJECTS: &str = "objects";
const BACKUPS: &str = "backups";
/// Level 3 is zstd's own default: segments shrink to a fifth of themselves at some hundred MB a second.
const LEVEL: i32 = 3;
/// Bytes moved at a time.
const CHUNK: usize = 256 << 10;

/// A folder of backups, held by this process.
#[derive(Debug)]
pub struct Repository {
    dir: PathBuf,
    _lock: File,
}

#[derive(Serialize, Deserialize)]
struct Mark {
    format: u32,
}

/// What pruning took away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Backups.
    pub backups: u64,
    /// Contents that no backup names any more.
    pub objects: u64,
    /// What they took on disk.
    pub bytes: u64,
}

impl Repository {
    /// Opens the folder, making it where there is none or an empty one. Only its owner may look into it: it holds whom
    /// to warn.
    ///
    /// # Errors
    /// [`BackupError::NotBackups`], [`BackupError::TooNew`], [`BackupError::Busy`], [`BackupError::Disk`].
    pub fn create(dir: &Path) -> Result<Self, BackupError> {
        let make = |dir: &Path| {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
            made.map_err(BackupError::disk("create", dir))
        };
        make(dir)?;
        let mark = dir.join(MARK);
        if !mark.exists() {
            let listed = fs::read_dir(dir).map_err(BackupError::disk("list", dir))?;
            if listed.flatten().any(|entry| entry.file_name() != "lock") {
                return Err(BackupError::NotBackups(dir.to_owned()));
            }
            let text = serde_json::to_vec(&Mark { format: FORMAT }).expect("a number is JSON");
            replace(&mark, &text)?;
        }
        make(&dir.join(OBJECTS))?;
        make(&dir.join(BACKUPS))?;
        Self::open(dir)
    }

    /// Opens a folder that holds backups already.
    ///
    /// # Errors
    /// As [`create`](Self::create), and [`BackupError::None`] where there is none.
    pub fn open(dir: &Path) -> Result<Self, BackupError> {
        let mark = dir.join(MARK);
        let text = match fs::read(&mark) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(BackupError::None(dir.to_owned()));
            }
            read => read.map_err(BackupError::disk("read", &mark))?,
        };
        let Mark { format } = serde_json::from_slice(&text)
            .map_err(|error| BackupError::damaged(MARK, error.to_string()))?;
        if FORMAT < format {
            return Err(BackupError::TooNew { path: mark, found: format });
        }
        let path = dir.join("lock");
        let lock = File::create(&path).map_err(BackupError::disk("create", &path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir: dir.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(BackupError::Busy(dir.to_owned())),
            Err(TryLockError::Error(error)) => Err(BackupError::disk("lock", &path)(error)),
        }
    }

    /// All backups, oldest first.
    ///
    /// # Errors
    /// [`BackupError::Damaged`] names one that does not read; [`BackupError::Disk`].
    pub fn backups(&self) -> Result<Vec<Backup>, BackupError> {
        let dir = self.dir.join(BACKUPS);
        let mut backups = Vec::new();
        for entry in fs::read_dir(&dir).map_err(BackupError::disk("list", &dir))? {
            let path = entry.map_err(BackupError::disk("list", &dir))?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let text = fs::read(&path).map_err(BackupError::disk("read", &path))?;
            let backup: Backup = serde_json::from_slice(&text).map_err(|error| {
                BackupError::damaged(path.display().to_string(), error.to_string())
            })?;
            if FORMAT < backup.format {
                return Err(BackupError::TooNew { path, found: backup.format });
            }
            backups.push(backup);
        }
        backups.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(backups)
    }

    /// One of them.
    ///
    /// # Errors
    /// [`BackupError::None`] where there is no such backup.
    pub fn find(&self, which: &Which) -> Result<Backup, BackupError> {
        let wanted = |backup: &Backup| match which {
            Which::Newest => true,
            Which::Named(name) => backup.name == *name,
            Which::Before(position) => backup.journal_end <= *position,
        };
        let newest = self.backups()?.into_iter().rev().find(wanted);
        newest.ok_or_else(|| BackupError::None(self.dir.clone()))
    }

    /// Where a content is or would be.
    pub(super) fn object(&self, digest: &str) -> PathBuf {
        let start = digest.get(..2).unwrap_or("00");
        self.dir.join(OBJECTS).join(start).join(digest)
    }

    /// Keeps a file's content: its digest, and the bytes it takes where nobody had it. `read` is told of progress.
    pub(super) fn keep(
        &self,
        path: &Path,
        mut read: impl FnMut(u64),
    ) -> Result<(String, u64, Option<u64>), BackupError> {
        let mut from = File::open(path).map_err(BackupError::disk("open", path))?;
        let beside = self.dir.join(OBJECTS).join("unfinished.tmp");
        let out = private(&beside).map_err(BackupError::disk("create", &beside))?;
        let (mut hasher, mut bytes) = (blake3::Hasher::new(), 0_u64);
        let mut packed =
            zstd::Encoder::new(out, LEVEL).map_err(BackupError::disk("write", &beside))?;
        let mut chunk = vec![0; CHUNK];
        loop {
            let got = from.read(&mut chunk).map_err(BackupError::disk("read", path))?;
            if got == 0 {
                break;
            }
            hasher.update(&chunk[..got]);
            packed.write_all(&chunk[..got]).map_err(BackupError::disk("write", &beside))?;
            bytes += got as u64;
            read(got as u64);
        }
        let out = packed.finish().map_err(BackupError::disk("write", &beside))?;
        let digest = hasher.finalize().to_hex().to_string();
        let object = self.object(&digest);
        if object.exists() {
            fs::remove_file(&beside).map_err(BackupError::disk("delete", &beside))?;
            return Ok((digest, bytes, None));
        }
        out.sync_all().map_err(BackupError::disk("sync", &beside))?;
        let taken = out.metadata().map_or(0, |meta| meta.len());
        let folder = object.parent().unwrap_or(&self.dir);
        if !folder.exists() {
            fs::create_dir(folder).map_err(BackupError::disk("create", folder))?;
            sync_dir(&self.dir.join(OBJECTS))?;
        }
        fs::rename(&beside, &object).map_err(BackupError::disk("rename", &beside))?;
        sync_dir(folder)?;
        Ok((digest, bytes, Some(taken)))
    }

    /// Makes the backup count: everything it names is on disk.
    pub(super) fn add(&self, backup: &Backup) -> Result<(), BackupError> {
        let text = serde_json::to_vec_pretty(backup).expect("texts and numbers are JSON");
        replace(&self.dir.join(BACKUPS).join(format!("{}.json", backup.name)), &text)
    }

    /// Unpacks a content into `to` and compares it with its name.
    pub(super) fn unpack(
        &self,
        kept: &super::Kept,
        to: &mut impl Write,
        mut wrote: impl FnMut(u64),
    ) -> Result<(), BackupError> {
        let damaged = |what: String| BackupError::damaged(&*kept.path, what);
        let object = self.object(&kept.digest);
        let from = match File::open(&object) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(damaged("its content is missing".to_owned()));
            }
            opened => opened.map_err(BackupError::disk("open", &object))?,
        };
        let unreadable = |error: io::Error| damaged(format!("it does not unpack: {error}"));
        let mut packed = zstd::Decoder::new(from).map_err(unreadable)?;
        let (mut hasher, mut bytes) = (blake3::Hasher::new(), 0_u64);
        let mut chunk = vec![0; CHUNK];
        loop {
            let got = packed.read(&mut chunk).map_err(unreadable)?;
            if got == 0 {
                break;
            }
            bytes += got as u64;
            // A content that unpacks without end must not fill the disk.
            if kept.bytes < bytes {
                return Err(damaged("it is longer than it was".to_owned()));
            }
            hasher.update(&chunk[..got]);
            to.write_all(&chunk[..got])
                .map_err(BackupError::disk("write", Path::new(&kept.path)))?;
            wrote(got as u64);
        }
        if bytes != kept.bytes || hasher.finalize().to_hex().as_str() != kept.digest {
            return Err(damaged("its digest differs".to_owned()));
        }
        Ok(())
    }

    /// Forgets all backups but the newest `keep`, then every content that none of those left names.
    ///
    /// # Errors
    /// [`BackupError::Damaged`] where a backup does not read: what it needs is not known then, so nothing goes.
    pub fn prune(&self, keep: usize) -> Result<Pruned, BackupError> {
        let backups = self.backups()?;
        let (old, left) = backups.split_at(backups.len().saturating_sub(keep));
        let mut pruned = Pruned::default();
        let dir = self.dir.join(BACKUPS);
        for backup in old {
            let path = dir.join(format!("{}.json", backup.name));
            fs::remove_file(&path).map_err(BackupError::disk("delete", &path))?;
            pruned.backups += 1;
        }
        // A content must not be gone before the last backup that names it surely is.
        sync_dir(&dir)?;
        let needed: HashSet<&str> =
            left.iter().flat_map(|backup| &backup.files).map(|kept| kept.digest.as_str()).collect();
        let objects = self.dir.join(OBJECTS);
        for folder in fs::read_dir(&objects).map_err(BackupError::disk("list", &objects))?.flatten()
        {
            let Ok(inside) = fs::read_dir(folder.path()) else { continue };
            for object in inside.flatten() {
                if !needed.contains(object.file_name().to_string_lossy().as_ref()) {
                    let path = object.path();
                    pruned.bytes += object.metadata().map_or(0, |meta| meta.len());
                    fs::remove_file(&path).map_err(BackupError::disk("delete", &path))?;
                    pruned.objects += 1;
                }
            }
        }
        Ok(pruned)
    }
}

/// A new file that only its owner reads.
fn private(path: &Path) -> io::Result<File> {
    File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Puts a file in place as a whole, durably.
fn replace(path: &Path, content: &[u8]) -> Result<(), BackupError> {
    let beside = path.with_extension("tmp");
    let written = private(&beside).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    written.map_err(BackupError::disk("write", &beside))?;
    fs::rename(&beside, path).map_err(BackupError::disk("rename", &beside))?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))
}
