//! Where backups are: contents by digest, each once, and backups by name. A folder, or a place below a bucket.

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::bucket::{Bucket, BucketConfig, named, object};
use super::{Backup, BackupError, FORMAT, Which, sync_dir};

pub(super) const MARK: &str = "saltline-backups";
pub(super) const OBJECTS: &str = "objects";
pub(super) const BACKUPS: &str = "backups";
/// Level 3 is zstd's own default: segments shrink to a fifth of themselves at some hundred MB a second.
const LEVEL: i32 = 3;
/// Bytes moved at a time.
const CHUNK: usize = 256 << 10;

/// A folder of backups, held by this process, or a place below a bucket.
#[derive(Debug)]
pub struct Repository {
    dir: PathBuf,
    /// Where it is no folder.
    bucket: Option<Bucket>,
    _lock: Option<File>,
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
    /// Opens the place `s3://bucket/prefix`, making a repository of it where nothing is below it.
    ///
    /// # Errors
    /// [`BackupError::NotBackups`], [`BackupError::TooNew`], [`BackupError::Key`], [`BackupError::Bucket`].
    pub fn create_in_bucket(url: &str, config: &BucketConfig) -> Result<Self, BackupError> {
        let bucket = Bucket::new(url, config)?;
        if bucket.get(MARK)?.is_none() {
            if !bucket.is_empty()? {
                return Err(BackupError::NotBackups(url.into()));
            }
            bucket.put(MARK, mark())?;
        }
        Self::open_in_bucket(url, config)
    }

    /// Opens a place `s3://bucket/prefix` that holds backups already.
    ///
    /// # Errors
    /// As [`create_in_bucket`](Self::create_in_bucket), and [`BackupError::None`] where there is none.
    pub fn open_in_bucket(url: &str, config: &BucketConfig) -> Result<Self, BackupError> {
        let bucket = Bucket::new(url, config)?;
        let text = bucket.get(MARK)?.ok_or_else(|| BackupError::None(url.into()))?;
        known(Path::new(url), &text)?;
        Ok(Self { dir: url.into(), bucket: Some(bucket), _lock: None })
    }

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
            replace(&mark, &self::mark())?;
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
        known(&mark, &text)?;
        let path = dir.join("lock");
        let lock = File::create(&path).map_err(BackupError::disk("create", &path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir: dir.to_owned(), bucket: None, _lock: Some(lock) }),
            Err(TryLockError::WouldBlock) => Err(BackupError::Busy(dir.to_owned())),
            Err(TryLockError::Error(error)) => Err(BackupError::disk("lock", &path)(error)),
        }
    }

    /// All backups, oldest first.
    ///
    /// # Errors
    /// [`BackupError::Damaged`] names one that does not read; [`BackupError::Disk`].
    pub fn backups(&self) -> Result<Vec<Backup>, BackupError> {
        let mut backups = Vec::new();
        for (path, text) in self.lists()? {
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

    /// The texts of all backups, in no order.
    fn lists(&self) -> Result<Vec<(PathBuf, Vec<u8>)>, BackupError> {
        let mut lists = Vec::new();
        if let Some(bucket) = &self.bucket {
            for (name, ..) in bucket.list(BACKUPS)? {
                let path = format!("{BACKUPS}/{name}");
                if name.ends_with(".json")
                    && let Some(text) = bucket.get(&path)?
                {
                    lists.push((path.into(), text.into()));
                }
            }
            return Ok(lists);
        }
        let dir = self.dir.join(BACKUPS);
        for entry in fs::read_dir(&dir).map_err(BackupError::disk("list", &dir))? {
            let path = entry.map_err(BackupError::disk("list", &dir))?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let text = fs::read(&path).map_err(BackupError::disk("read", &path))?;
                lists.push((path, text));
            }
        }
        Ok(lists)
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

    /// Where a content is or would be, in a folder.
    pub(super) fn object(&self, digest: &str) -> PathBuf {
        self.dir.join(object(digest))
    }

    /// Is the content there?
    pub(super) fn has(&self, digest: &str) -> Result<bool, BackupError> {
        match &self.bucket {
            Some(bucket) => bucket.has(digest),
            None => Ok(self.object(digest).exists()),
        }
    }

    /// Keeps a file's content: its digest, and the bytes it takes where nobody had it. `read` is told of progress.
    pub(super) fn keep(
        &self,
        path: &Path,
        read: impl FnMut(u64),
    ) -> Result<(String, u64, Option<u64>), BackupError> {
        if let Some(bucket) = &self.bucket {
            let room = std::env::temp_dir();
            let out = tempfile::tempfile().map_err(BackupError::disk("create a file in", &room))?;
            let (digest, bytes, mut out) = pack(path, out, &room, read)?;
            if bucket.has(&digest)? {
                return Ok((digest, bytes, None));
            }
            let taken = out.metadata().map_or(0, |meta| meta.len());
            bucket.keep(&digest, &mut out)?;
            return Ok((digest, bytes, Some(taken)));
        }
        let beside = self.dir.join(OBJECTS).join("unfinished.tmp");
        let out = private(&beside).map_err(BackupError::disk("create", &beside))?;
        let (digest, bytes, out) = pack(path, out, &beside, read)?;
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
        if let Some(bucket) = &self.bucket {
            bucket.put(&named(&backup.name), text)?;
            let digests = backup.files.iter().map(|kept| kept.digest.as_str());
            return match bucket.missing(digests)? {
                None => Ok(()),
                Some(_) => {
                    bucket.delete(&named(&backup.name))?;
                    Err(BackupError::Pruned(self.dir.clone()))
                }
            };
        }
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
        let from = self.packed(kept)?;
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

    /// The packed content of a file.
    fn packed(&self, kept: &super::Kept) -> Result<Box<dyn Read>, BackupError> {
        let missing = || BackupError::damaged(&*kept.path, "its content is missing");
        if let Some(bucket) = &self.bucket {
            let content = bucket.get(&object(&kept.digest))?.ok_or_else(missing)?;
            return Ok(Box::new(io::Cursor::new(content)));
        }
        let object = self.object(&kept.digest);
        match File::open(&object) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing()),
            Err(error) => Err(BackupError::disk("open", &object)(error)),
            Ok(file) => Ok(Box::new(file)),
        }
    }

    /// Forgets all backups but the newest `keep`, then every content that none of those left names.
    ///
    /// # Errors
    /// [`BackupError::Damaged`] where a backup does not read: what it needs is not known then, so nothing goes.
    pub fn prune(&self, keep: usize) -> Result<Pruned, BackupError> {
        let backups = self.backups()?;
        let (old, left) = backups.split_at(backups.len().saturating_sub(keep));
        let mut pruned = Pruned::default();
        let needed: HashSet<&str> =
            left.iter().flat_map(|backup| &backup.files).map(|kept| kept.digest.as_str()).collect();
        if let Some(bucket) = &self.bucket {
            for backup in old {
                bucket.delete(&named(&backup.name))?;
                pruned.backups += 1;
            }
            bucket.sweep(&needed, &mut pruned)?;
            return Ok(pruned);
        }
        let dir = self.dir.join(BACKUPS);
        for backup in old {
            let path = dir.join(format!("{}.json", backup.name));
            fs::remove_file(&path).map_err(BackupError::disk("delete", &path))?;
            pruned.backups += 1;
        }
        // A content must not be gone before the last backup that names it surely is.
        sync_dir(&dir)?;
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

/// What says that this is a repository.
fn mark() -> Vec<u8> {
    serde_json::to_vec(&Mark { format: FORMAT }).expect("a number is JSON")
}

/// Is it one that this program knows?
fn known(path: &Path, text: &[u8]) -> Result<(), BackupError> {
    let Mark { format } = serde_json::from_slice(text)
        .map_err(|error| BackupError::damaged(MARK, error.to_string()))?;
    match FORMAT < format {
        true => Err(BackupError::TooNew { path: path.to_owned(), found: format }),
        false => Ok(()),
    }
}

/// Packs a file into another: its digest, its length, and the other. `read` is told of progress.
fn pack(
    path: &Path,
    out: File,
    beside: &Path,
    mut read: impl FnMut(u64),
) -> Result<(String, u64, File), BackupError> {
    let mut from = File::open(path).map_err(BackupError::disk("open", path))?;
    let (mut hasher, mut bytes) = (blake3::Hasher::new(), 0_u64);
    let mut packed = zstd::Encoder::new(out, LEVEL).map_err(BackupError::disk("write", beside))?;
    let mut chunk = vec![0; CHUNK];
    loop {
        let got = from.read(&mut chunk).map_err(BackupError::disk("read", path))?;
        if got == 0 {
            break;
        }
        hasher.update(&chunk[..got]);
        packed.write_all(&chunk[..got]).map_err(BackupError::disk("write", beside))?;
        bytes += got as u64;
        read(got as u64);
    }
    let out = packed.finish().map_err(BackupError::disk("write", beside))?;
    Ok((hasher.finalize().to_hex().to_string(), bytes, out))
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
