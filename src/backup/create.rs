//! From the cut to the repository.

use std::collections::{HashMap, HashSet};
use std::fs::{self, Metadata};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

use domain::Timestamp;

use super::cut::Cut;
use super::{Backup, BackupError, Created, FORMAT, Kept, Repository};

/// Makes a backup of `data`. `progress` is told the bytes that are looked at and how many there are.
///
/// # Errors
/// [`BackupError`]; then there is no new backup, and what was stored of it serves the next one.
pub async fn create(
    data: &Path,
    repository: &Repository,
    now: Timestamp,
    mut progress: impl FnMut(u64, u64),
) -> Result<Created, BackupError> {
    let cut = Cut::of(data).await?;
    let earlier = repository.backups()?;
    let known = known(&earlier);
    let mut paths = Vec::new();
    list(cut.dir(), cut.dir(), &mut paths)?;
    paths.sort_by(|(a, _), (b, _)| a.cmp(b));
    let whole = paths.iter().map(|(_, meta)| meta.len()).sum();
    let (mut files, mut new_objects, mut new_bytes, mut looked) = (Vec::new(), 0, 0, 0_u64);
    let growing = growing(paths.iter().map(|(path, _)| path.as_str()));
    for (path, meta) in paths {
        let settled = path.ends_with(".parquet") || path.ends_with(".seg");
        let settled = settled && !growing.contains(&path);
        let modified_ns = settled.then(|| modified(&meta)).flatten();
        let mode = meta.permissions().mode() & 0o777;
        let before = modified_ns.and_then(|at| known.get(&(path.as_str(), meta.len(), at)));
        let before = match before {
            Some(digest) if repository.has(digest)? => Some(digest),
            _ => None,
        };
        let (digest, bytes) = match before {
            Some(digest) => {
                looked += meta.len();
                progress(looked, whole);
                ((*digest).to_owned(), meta.len())
            }
            None => {
                let (digest, bytes, taken) = repository.keep(&cut.dir().join(&path), |read| {
                    looked += read;
                    progress(looked, whole);
                })?;
                if let Some(taken) = taken {
                    new_objects += 1;
                    new_bytes += taken;
                }
                (digest, bytes)
            }
        };
        files.push(Kept { path, bytes, digest, mode, modified_ns });
    }
    let backup = Backup {
        format: FORMAT,
        name: name(now),
        created_at: now.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        journal_end: end(&cut.dir().join("journal"))?,
        files,
    };
    repository.add(&backup)?;
    Ok(Created { backup, new_objects, new_bytes })
}

/// Sorts as time does, and is a file's name everywhere.
fn name(now: Timestamp) -> String {
    now.to_string().replace(':', "")
}

type Known<'a> = HashMap<(&'a str, u64, u64), &'a str>;

/// What earlier backups know of files that are never changed again.
fn known(backups: &[Backup]) -> Known<'_> {
    let files = backups.iter().flat_map(|backup| &backup.files);
    files
        .filter_map(|kept| {
            Some(((kept.path.as_str(), kept.bytes, kept.modified_ns?), kept.digest.as_str()))
        })
        .collect()
}

/// The last segment of each journal, of paths in order. Sealed files and finished segments are known by their length and
/// time; but into the last one the engine may write again within the same tick of the file system's clock.
fn growing<'a>(paths: impl Iterator<Item = &'a str>) -> HashSet<String> {
    let segments = paths.filter(|path| path.ends_with(".seg"));
    let folder = |path: &'a str| path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let last: HashMap<&str, &str> = segments.map(|path| (folder(path), path)).collect();
    last.into_values().map(str::to_owned).collect()
}

fn modified(meta: &Metadata) -> Option<u64> {
    let since = meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_nanos()).ok()
}

fn list(root: &Path, dir: &Path, out: &mut Vec<(String, Metadata)>) -> Result<(), BackupError> {
    for entry in fs::read_dir(dir).map_err(BackupError::disk("list", dir))? {
        let path = entry.map_err(BackupError::disk("list", dir))?.path();
        let meta = fs::metadata(&path).map_err(BackupError::disk("look at", &path))?;
        if meta.is_dir() {
            list(root, &path, out)?;
        } else {
            let below = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            out.push((below, meta));
        }
    }
    Ok(())
}

/// The position behind the last whole record.
fn end(journal: &Path) -> Result<u64, BackupError> {
    let Some(last) = journal::verify::segments(journal)?.pop() else { return Ok(0) };
    let first = last.path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
    Ok(first.unwrap_or(0) + last.verify(|_| ())?.records)
}
