//! How far an import came, by the name that the digest of its file and tables gives it: a line of text in the folder,
//! replaced as a whole, written after the records are on disk and never before. A mark that does not read back is none:
//! then records go in once more, and history stores them once.

use std::path::{Path, PathBuf};

use super::ImportError;

/// How far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Records that are on disk.
    pub records: u64,
    /// Is it all of them?
    pub done: bool,
}

impl Mark {
    /// Nothing yet.
    pub const NONE: Self = Self { records: 0, done: false };

    /// What stands in the folder for this name.
    pub fn read(dir: &Path, name: &str) -> Self {
        let text = std::fs::read_to_string(path(dir, name)).unwrap_or_default();
        let mark = |text: &str| {
            let (word, number) = text.strip_suffix('\n')?.split_once(' ')?;
            let done = match word {
                "done" => true,
                "records" => false,
                _ => return None,
            };
            Some(Self { records: number.parse().ok()?, done })
        };
        mark(&text).unwrap_or(Self::NONE)
    }

    /// Writes it down.
    pub fn write(self, dir: &Path, name: &str) -> Result<(), ImportError> {
        let path = path(dir, name);
        let beside = path.with_extension("new");
        let word = if self.done { "done" } else { "records" };
        std::fs::write(&beside, format!("{word} {}\n", self.records))
            .and_then(|()| std::fs::rename(&beside, &path))
            .map_err(ImportError::disk("write", &path))
    }
}

fn path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.mark"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_back_and_a_torn_one_is_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Mark::read(dir.path(), "a"), Mark::NONE);
        for mark in [Mark { records: 7, done: false }, Mark { records: 9, done: true }] {
            mark.write(dir.path(), "a").unwrap();
            assert_eq!(Mark::read(dir.path(), "a"), mark);
        }
        for torn in ["", "done 9", "done x\n", "records\n"] {
            std::fs::write(path(dir.path(), "a"), torn).unwrap();
            assert_eq!(Mark::read(dir.path(), "a"), Mark::NONE, "{torn:?}");
        }
    }
}
