//! What was sent, on disk: a log in the data folder, `export/NAME.log`, written behind each batch and synced.
//!
//! ```text
//! saltline-export 1
//! at 4711                                  the first record of the journal that is still needed
//! sent 1773266400000 xuan-hoa 0f3a…16 hex  a slot's end (Unix milliseconds), its station, a digest of its file
//! ```
//! The last `at` holds, and the last `sent` of a slot. A torn last line is cut off. A slot that comes up again with the
//! same file is not sent again, as long as it is remembered.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use domain::{StationCode, Timestamp};

use super::slots::Slot;

const HEAD: &str = "saltline-export 1\n";

/// Slots that are remembered, the newest: a day of 200 stations is 57,600.
const SENT_MAX: usize = 65_536;

/// What was sent.
#[derive(Debug)]
pub(super) struct Sent {
    path: PathBuf,
    file: File,
    at: u64,
    digests: BTreeMap<Slot, String>,
    /// Lines in the file.
    lines: usize,
}

/// A digest of a file's text that is short enough for a line.
pub(super) fn digest(text: &str) -> String {
    let whole = blake3::hash(text.as_bytes()).to_hex();
    whole.chars().take(16).collect()
}

impl Sent {
    /// Reads the log; where there is none, one begins at `from`. Blocking.
    ///
    /// # Errors
    /// What the disk says, or that the file is not a log.
    pub(super) fn open(dir: &Path, name: &str, from: u64) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let path = dir.join(format!("{name}.log"));
        let (at, digests) = match std::fs::read_to_string(&path) {
            Ok(text) => read(&text).ok_or_else(|| {
                let why = format!("`{}` is no log of an export", path.display());
                io::Error::new(io::ErrorKind::InvalidData, why)
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => (from, BTreeMap::new()),
            Err(error) => return Err(error),
        };
        let file = rewrite(&path, at, &digests)?;
        Ok(Self { path, file, at, lines: digests.len(), digests })
    }

    /// The first record of the journal that is still needed.
    pub(super) const fn at(&self) -> u64 {
        self.at
    }

    /// Was this very file sent for the slot?
    pub(super) fn holds(&self, slot: &Slot, digest: &str) -> bool {
        self.digests.get(slot).is_some_and(|sent| sent == digest)
    }

    /// These slots were sent with these files, and records before `at` are not needed any more. Blocking; on disk when
    /// it returns.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn add(&mut self, sent: Vec<(Slot, String)>, at: u64) -> io::Result<()> {
        let mut text = String::new();
        for (slot, digest) in sent {
            text += &line(&slot, &digest);
            self.lines += 1;
            self.digests.insert(slot, digest);
        }
        if at != self.at {
            text += &format!("at {at}\n");
            self.lines += 1;
            self.at = at;
        }
        while SENT_MAX < self.digests.len() {
            self.digests.pop_first();
        }
        if 2 * SENT_MAX < self.lines {
            self.file = rewrite(&self.path, self.at, &self.digests)?;
            self.lines = self.digests.len();
            return Ok(());
        }
        self.file.write_all(text.as_bytes())?;
        self.file.sync_data()
    }
}

fn line(slot: &Slot, digest: &str) -> String {
    format!("sent {} {} {digest}\n", slot.end.as_millis(), slot.station)
}

fn read(text: &str) -> Option<(u64, BTreeMap<Slot, String>)> {
    let whole = text.rfind('\n').map_or("", |last| &text[..=last]);
    let (mut at, mut digests) = (None, BTreeMap::new());
    for line in whole.strip_prefix(HEAD)?.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["at", position] => at = Some(position.parse().ok()?),
            ["sent", end, station, digest] => {
                let end = Timestamp::from_millis(end.parse().ok()?);
                let station = StationCode::new(station).ok()?;
                digests.insert(Slot { end, station }, digest.to_owned());
            }
            _ => return None,
        }
    }
    Some((at?, digests))
}

fn rewrite(path: &Path, at: u64, digests: &BTreeMap<Slot, String>) -> io::Result<File> {
    let fresh = path.with_extension("log.new");
    let mut text = format!("{HEAD}at {at}\n");
    text.extend(digests.iter().map(|(slot, digest)| line(slot, digest)));
    let mut file = File::create(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_data()?;
    std::fs::rename(&fresh, path)?;
    if let Some(dir) = path.parent() {
        File::open(dir)?.sync_all()?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(n: i64) -> Slot {
        let station = StationCode::new("xuan-hoa").unwrap();
        Slot { end: Timestamp::from_millis(n * 300_000), station }
    }

    #[test]
    fn what_was_sent_is_known_after_a_cut_anywhere() {
        let dir = tempfile::tempdir().unwrap();
        let mut sent = Sent::open(dir.path(), "tg", 7).unwrap();
        assert_eq!(sent.at(), 7);
        sent.add(vec![(slot(1), digest("a")), (slot(2), digest("b"))], 9).unwrap();
        sent.add(vec![(slot(1), digest("c"))], 9).unwrap();
        drop(sent);
        let path = dir.path().join("tg.log");
        let whole = std::fs::read(&path).unwrap();
        let again = Sent::open(dir.path(), "tg", 0).unwrap();
        assert!(again.holds(&slot(1), &digest("c")) && !again.holds(&slot(1), &digest("a")));
        assert!(again.holds(&slot(2), &digest("b")) && again.at() == 9);
        for cut in HEAD.len() + "at 7\n".len()..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let cut = Sent::open(dir.path(), "tg", 0).unwrap();
            assert!(matches!(cut.at(), 7 | 9));
        }
        std::fs::write(&path, "something else\n").unwrap();
        assert!(Sent::open(dir.path(), "tg", 0).is_err());
    }

    #[test]
    fn it_stays_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let mut sent = Sent::open(dir.path(), "tg", 0).unwrap();
        for round in 0..3 {
            let many = (0..SENT_MAX as i64).map(|n| (slot(round * 100 + n), digest("x"))).collect();
            sent.add(many, 1).unwrap();
        }
        assert!(sent.digests.len() <= SENT_MAX && sent.lines <= 2 * SENT_MAX);
        assert!(
            Sent::open(dir.path(), "tg", 0).unwrap().holds(&slot(SENT_MAX as i64), &digest("x"))
        );
    }
}
