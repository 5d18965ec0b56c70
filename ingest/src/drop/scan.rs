//! Which files of a folder are whole: those that have not changed for a while. Folders in it are looked into, as some
//! departments ask for `yyyy/MM/dd`.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::name;

/// Folders below each other.
const DEPTH_MAX: usize = 5;

/// Files looked at in one round; the others are looked at when these are done.
const FILES_MAX: usize = 100_000;

/// Where files go that are done, or bad.
pub(super) const DONE: &str = "done";
pub(super) const BAD: &str = "bad";

/// What tells that a file has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    bytes: u64,
    modified: Option<SystemTime>,
}

/// A file that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Whole {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) mark: Mark,
}

/// What was seen in earlier rounds.
#[derive(Debug, Default)]
pub(super) struct Scan {
    seen: HashMap<PathBuf, (Mark, Instant)>,
    /// Files that are done with and could not be moved: not read again before they change.
    settled: HashMap<PathBuf, Mark>,
}

impl Scan {
    /// Looks at the folder; returns what is whole, by name, and how many files still wait. Blocking.
    ///
    /// # Errors
    /// Where the folder itself cannot be listed.
    pub(super) fn look(
        &mut self,
        dir: &Path,
        settle: Duration,
        now: Instant,
    ) -> io::Result<(Vec<Whole>, usize)> {
        let mut files = Vec::new();
        list(dir, 0, &mut files)?;
        files.sort_unstable();
        let mut seen = HashMap::with_capacity(files.len());
        let mut whole = Vec::new();
        for path in files {
            // Somebody took it away while we looked.
            let Ok(meta) = std::fs::metadata(&path) else { continue };
            let mark = Mark { bytes: meta.len(), modified: meta.modified().ok() };
            if self.settled.get(&path) == Some(&mark) {
                continue;
            }
            let since = match self.seen.get(&path) {
                Some((before, since)) if *before == mark => *since,
                _ => now,
            };
            if settle <= now.saturating_duration_since(since) {
                whole.push(Whole { path: path.clone(), bytes: mark.bytes, mark });
            }
            seen.insert(path, (mark, since));
        }
        self.settled.retain(|path, _| path.exists());
        let waiting = seen.len() - whole.len();
        self.seen = seen;
        Ok((whole, waiting))
    }

    /// This file is not read again before it changes.
    pub(super) fn settle(&mut self, file: &Whole) {
        self.settled.insert(file.path.clone(), file.mark);
    }
}

pub(super) fn list(dir: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            metrics::counter!("saltline_drop_errors_total", "what" => "name").increment(1);
            tracing::warn!(path = ?entry.path(), "a file's name is not UTF-8; it is left alone");
            continue;
        };
        let kind = entry.file_type()?;
        if kind.is_dir() {
            let ours = depth == 0 && (name == DONE || name == BAD);
            if !ours && depth < DEPTH_MAX && !name.starts_with('.') {
                list(&entry.path(), depth + 1, files)?;
            }
        } else if kind.is_file() && !name::is_unfinished(name) && files.len() < FILES_MAX {
            files.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLE: Duration = Duration::from_secs(5);

    #[test]
    fn a_file_is_whole_when_it_has_stopped_changing() {
        let dir = tempfile::tempdir().unwrap();
        let mut scan = Scan::default();
        let start = Instant::now();
        let look = |scan: &mut Scan, after: u64| {
            let (whole, waiting) =
                scan.look(dir.path(), SETTLE, start + Duration::from_secs(after)).unwrap();
            let names: Vec<String> = whole
                .iter()
                .map(|it| it.path.strip_prefix(dir.path()).unwrap().display().to_string())
                .collect();
            (names, waiting)
        };
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("b.txt", "1");
        write("a.txt.part", "1");
        write("done/x.txt", "1");
        write("2024/03/a.txt", "1");
        assert_eq!(look(&mut scan, 0), (vec![], 2));
        write("b.txt", "12");
        assert_eq!(look(&mut scan, 5), (vec!["2024/03/a.txt".to_owned()], 1));
        assert_eq!(look(&mut scan, 9).1, 1);
        assert_eq!(look(&mut scan, 10), (vec!["2024/03/a.txt".to_owned(), "b.txt".to_owned()], 0));
        let (whole, _) = scan.look(dir.path(), SETTLE, start + SETTLE * 3).unwrap();
        scan.settle(&whole[1]);
        assert_eq!(look(&mut scan, 20).0, ["2024/03/a.txt"]);
        write("b.txt", "123");
        look(&mut scan, 21);
        assert_eq!(look(&mut scan, 26).0.len(), 2);
    }
}
