//! Where a file goes when it is done with, and what is written beside it.

use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use domain::Refusal;

use super::scan::{BAD, DONE};

/// Refused lines that the note beside a file names.
const NAMED_MAX: usize = 1_000;

/// What became of a file.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Reports of which readings were stored.
    pub(super) stored: u64,
    /// Why something was not: the file in an archive, the line, the refusal.
    pub(super) refused: Vec<(String, Option<i64>, Refusal)>,
    /// More of them than are held.
    pub(super) more_refused: u64,
}

impl Outcome {
    /// Takes note of something that was refused.
    pub(super) fn refuse(&mut self, file: &str, line: Option<i64>, refusal: Refusal) {
        if self.refused.len() < NAMED_MAX {
            self.refused.push((file.to_owned(), line, refusal));
        } else {
            self.more_refused += 1;
        }
    }

    /// Its name in counters.
    pub(super) const fn as_str(&self) -> &'static str {
        match (self.stored, self.refused.is_empty()) {
            (_, true) => "done",
            (0, false) => "bad",
            (_, false) => "partly",
        }
    }

    fn note(&self) -> String {
        let mut text = format!("{} reports stored.\n", self.stored);
        for (file, line, refusal) in &self.refused {
            let at = line.map_or_else(String::new, |line| format!(", line {line}"));
            writeln!(text, "{file}{at}: {}: {}", refusal.reason, refusal.detail)
                .expect("writing to a string does not fail");
        }
        if 0 < self.more_refused {
            writeln!(text, "… and {} more", self.more_refused)
                .expect("writing to a string does not fail");
        }
        text
    }
}

/// Moves a file out of the watched folder, with a note beside it where anything of it was refused. Returns where it
/// stands now. Blocking.
///
/// # Errors
/// Where the folder does not let it go.
pub(super) fn put_away(dir: &Path, file: &Path, outcome: &Outcome) -> io::Result<PathBuf> {
    let below = file.strip_prefix(dir).unwrap_or(file);
    let kind = if outcome.as_str() == "bad" { BAD } else { DONE };
    let to = free(&dir.join(kind).join(below));
    let folder = to.parent().unwrap_or(dir);
    std::fs::create_dir_all(folder)?;
    if !outcome.refused.is_empty() {
        let mut note = to.clone().into_os_string();
        note.push(".reason.txt");
        std::fs::write(note, outcome.note())?;
    }
    std::fs::rename(file, &to)?;
    for folder in [Some(folder), file.parent()].into_iter().flatten() {
        File::open(folder)?.sync_all()?;
    }
    Ok(to)
}

/// The path, or the first with a number that nothing stands at.
fn free(path: &Path) -> PathBuf {
    let numbered = |n: u32| {
        let mut path = path.as_os_str().to_owned();
        path.push(format!(".{n}"));
        PathBuf::from(path)
    };
    match path.exists() {
        false => path.to_owned(),
        true => (1..).map(numbered).find(|path| !path.exists()).unwrap_or_else(|| path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use domain::Reason;

    use super::*;

    #[test]
    fn nothing_is_written_over_and_the_reason_stands_beside() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("2024/a.txt");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let mut bad = Outcome::default();
        bad.refuse(
            "a.txt",
            Some(3),
            Refusal { reason: Reason::Malformed, detail: "no tabs".into() },
        );
        let good = Outcome { stored: 2, ..Outcome::default() };
        let mut went = Vec::new();
        for outcome in [&good, &good, &bad] {
            std::fs::write(&file, "x").unwrap();
            let to = put_away(dir.path(), &file, outcome).unwrap();
            assert!(!file.exists() && to.exists());
            went.push(to.strip_prefix(dir.path()).unwrap().display().to_string());
        }
        assert_eq!(went, ["done/2024/a.txt", "done/2024/a.txt.1", "bad/2024/a.txt"]);
        let note = std::fs::read_to_string(dir.path().join("bad/2024/a.txt.reason.txt")).unwrap();
        assert_eq!(note, "0 reports stored.\na.txt, line 3: malformed: no tabs\n");
    }
}
