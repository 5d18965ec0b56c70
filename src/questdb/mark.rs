//! How far QuestDB came, on disk: the file `questdb/mark` of the data folder, replaced as a whole.
//!
//! ```text
//! saltline-questdb 1
//! to http://127.0.0.1:9000 readings     where readings go
//! table 5:readings~5                    which table it is there
//! refill 1735689600000                  only while history is sent: from when on (Unix milliseconds)
//! next 4711                             the first record of the journal to send; behind a refill, where that is known
//! last 4710                             the last record that was sent and has readings, if any
//! ```
//! A file that cannot be read is as good as none: everything is sent again, which changes nothing where it is there.
//! What was sent and not yet written here is sent again too.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const HEAD: &str = "saltline-questdb 1";

/// What is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    /// Address and table.
    pub(super) to: String,
    /// Which table it was.
    pub(super) table: String,
    /// While history is sent: from when on, in milliseconds.
    pub(super) refill: Option<i64>,
    /// The first record of the journal to send; `None` until a refill has looked.
    pub(super) next: Option<u64>,
    /// The last record that was sent and has readings.
    pub(super) last: Option<u64>,
}

/// Where marks are kept.
#[derive(Debug)]
pub(super) struct Marks {
    dir: PathBuf,
}

impl Marks {
    pub(super) fn new(data: &Path) -> Self {
        Self { dir: data.join("questdb") }
    }

    /// What was remembered, if it can be read.
    pub(super) fn read(&self) -> Option<Mark> {
        match fs::read_to_string(self.path()) {
            Ok(text) => {
                let mark = parse(&text);
                if mark.is_none() {
                    tracing::warn!(path = %self.path().display(), "cannot be read; all is sent again");
                }
                mark
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(path = %self.path().display(), %error, "all is sent again");
                None
            }
        }
    }

    /// Remembers, durably.
    ///
    /// # Errors
    /// What the disk says; what was remembered before stays.
    pub(super) fn write(&self, mark: &Mark) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        let new = self.dir.join("mark.tmp");
        let mut file = File::create(&new)?;
        file.write_all(text(mark).as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, self.path())
    }

    fn path(&self) -> PathBuf {
        self.dir.join("mark")
    }
}

fn text(mark: &Mark) -> String {
    let mut text = format!("{HEAD}\nto {}\ntable {}\n", mark.to, mark.table);
    let numbers = [("next", mark.next), ("last", mark.last)];
    if let Some(from) = mark.refill {
        text += &format!("refill {from}\n");
    }
    for (name, number) in numbers {
        if let Some(number) = number {
            text += &format!("{name} {number}\n");
        }
    }
    text
}

fn parse(text: &str) -> Option<Mark> {
    let body = text.strip_prefix(HEAD)?.strip_prefix('\n')?;
    let of = |name: &str| {
        body.lines()
            .find_map(|line| line.strip_prefix(name).and_then(|rest| rest.strip_prefix(' ')))
    };
    let number = |name: &str| of(name).map(str::parse::<u64>).transpose().ok();
    let mark = Mark {
        to: of("to")?.to_owned(),
        table: of("table")?.to_owned(),
        refill: of("refill").map(str::parse).transpose().ok()?,
        next: number("next")?,
        last: number("last")?,
    };
    // A torn file may have lost its numbers.
    (mark.next.is_some() || mark.refill.is_some()).then_some(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark() -> Mark {
        let (to, table) = ("http://[::1]:9000 readings".to_owned(), "5:readings~5".to_owned());
        Mark { to, table, refill: None, next: Some(4711), last: Some(4709) }
    }

    #[test]
    fn what_was_remembered_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let marks = Marks::new(dir.path());
        assert_eq!(marks.read(), None);
        for mark in [
            mark(),
            Mark { refill: Some(-7), next: None, last: None, ..mark() },
            Mark { refill: Some(i64::MIN), ..mark() },
        ] {
            marks.write(&mark).unwrap();
            assert_eq!(marks.read(), Some(mark));
        }
    }

    #[test]
    fn a_damaged_mark_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let marks = Marks::new(dir.path());
        marks.write(&mark()).unwrap();
        let whole = fs::read_to_string(marks.path()).unwrap();
        for bad in [
            String::new(),
            whole[..40].to_owned(),
            whole.replace("questdb 1", "questdb 2"),
            whole.replace("4711", "many"),
            whole.replace("next", "nxet"),
        ] {
            fs::write(marks.path(), bad).unwrap();
            assert_eq!(marks.read(), None);
        }
    }
}
