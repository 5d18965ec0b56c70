//! One file after the other, station by station, each with its fate.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use domain::Timestamp;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::dice::Dice;

use super::dials::{Dials, Fate};
use super::form::Form;

/// A line that is no line of any form.
const NOISE: &str = "\u{fffd}\u{7f}\u{fffd}\n";

/// Loggers of one kind.
#[derive(Debug, Clone)]
pub struct Logger {
    /// The folder that is filled.
    pub dir: PathBuf,
    /// What the stations are called in the names of their files.
    pub stations: Vec<String>,
    /// How they write.
    pub form: Form,
    /// The time of the first record.
    pub first: Timestamp,
    /// Between two records: a whole number of minutes, or records could not be told apart.
    pub every: Duration,
    /// Records of a file.
    pub records: u32,
    /// Files of a station.
    pub files: u32,
    /// Between two files, and between the halves of a slow one.
    pub pause: Duration,
    /// Are the files packed with gzip?
    pub packed: bool,
    /// What goes wrong.
    pub dials: Dials,
    /// Where chance begins.
    pub seed: u64,
}

/// What was left in the folder.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// Files, those that came twice counted twice.
    pub files: u64,
    /// Records that stand whole in one of them.
    pub records: u64,
    /// How often each fate struck.
    pub injected: BTreeMap<&'static str, u64>,
}

impl Logger {
    /// Leaves all files, or until told to stop.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn run(&self, stop: &CancellationToken) -> io::Result<Dropped> {
        let (mut dropped, mut dice) = (Dropped::default(), Dice(self.seed));
        for number in 0..self.stations.len() {
            let mut held: Option<(String, Vec<u8>)> = None;
            for file in 0..self.files {
                if stop.is_cancelled() {
                    return Ok(dropped);
                }
                let fate = self.dials.fate(dice.share());
                let (name, text, whole) = self.file(number, file, fate, &mut dice);
                let bytes = self.pack(&text)?;
                *dropped.injected.entry(fate.as_str()).or_default() += 1;
                dropped.records += u64::from(whole);
                let before = held.take();
                match fate {
                    Fate::Late => held = Some((name, bytes)),
                    Fate::Slow => self.put_slowly(&name, &bytes).await?,
                    Fate::Twice => {
                        self.put(&name, &bytes)?;
                        sleep(self.pause).await;
                        self.put(&name, &bytes)?;
                        dropped.files += 1;
                    }
                    _ => self.put(&name, &bytes)?,
                }
                dropped.files += 1;
                if let Some((name, bytes)) = before {
                    self.put(&name, &bytes)?;
                }
                sleep(self.pause).await;
            }
            if let Some((name, bytes)) = held {
                self.put(&name, &bytes)?;
            }
        }
        Ok(dropped)
    }

    /// A file's name and text, and how many of its records are whole.
    fn file(&self, number: usize, file: u32, fate: Fate, dice: &mut Dice) -> (String, String, u32) {
        let at = |record: u32| self.first + self.every * (file * self.records + record);
        let records: Vec<Timestamp> = (0..self.records).map(at).collect();
        let station = self.stations[number].as_str();
        let last = records.last().copied().unwrap_or(self.first);
        let (mut text, mut whole) = (self.form.text(station, number, &records), self.records);
        match fate {
            Fate::Empty => (text, whole) = (String::new(), 0),
            Fate::Torn => {
                text.truncate(torn(&text, self.form.separator(), dice));
                whole -= 1;
            }
            Fate::Noise => {
                // Behind the first record; a header stands before it.
                let end = text.len() - last_line(&text).len();
                text.insert_str(end, NOISE);
            }
            Fate::Whole | Fate::Slow | Fate::Twice | Fate::Late => (),
        }
        let packed = if self.packed { ".gz" } else { "" };
        (self.form.name(station, last) + packed, text, whole)
    }

    fn pack(&self, text: &str) -> io::Result<Vec<u8>> {
        if !self.packed {
            return Ok(text.as_bytes().to_vec());
        }
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(text.as_bytes())?;
        packer.finish()
    }

    /// As an SFTP server does it that is told to: under another name first.
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let part = self.dir.join(format!("{name}.part"));
        std::fs::write(&part, bytes)?;
        std::fs::rename(&part, self.dir.join(name))
    }

    /// As most loggers do it.
    async fn put_slowly(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let (first, second) = bytes.split_at(bytes.len() / 2);
        let mut file = std::fs::File::create(self.dir.join(name))?;
        file.write_all(first)?;
        sleep(self.pause).await;
        file.write_all(second)
    }
}

/// The last line with its end.
fn last_line(text: &str) -> &str {
    text.split_inclusive('\n').next_back().unwrap_or_default()
}

/// Where in the last line a file ends that is torn: before its last word, so that nobody takes it for whole.
fn torn(text: &str, separator: char, dice: &mut Dice) -> usize {
    let last = last_line(text);
    let most = last.rfind(separator).unwrap_or(last.len());
    text.len() - last.len() + 1 + dice.below(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(dials: Dials, form: Form) -> (Dropped, Vec<(String, String)>) {
        let dir = tempfile::tempdir().unwrap();
        let logger = Logger {
            dir: dir.path().to_owned(),
            stations: vec!["XH01".to_owned(), "VG01".to_owned()],
            form,
            first: Timestamp::from_millis(1_773_266_400_000),
            every: Duration::from_secs(60),
            records: 3,
            files: 4,
            pause: Duration::ZERO,
            packed: false,
            dials,
            seed: 7,
        };
        let dropped = logger.run(&CancellationToken::new()).await.unwrap();
        let mut files: Vec<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                (name, std::fs::read_to_string(path).unwrap())
            })
            .collect();
        files.sort();
        (dropped, files)
    }

    #[tokio::test]
    async fn every_file_is_there_and_has_its_name() {
        let (dropped, files) = run(Dials { late: 1.0, ..Dials::default() }, Form::Circular10).await;
        assert_eq!((dropped.files, dropped.records, files.len()), (8, 24, 8));
        assert_eq!(dropped.injected["late"], 8);
        assert!(files[0].0.starts_with("TG_SL_VG01_2026031205"), "{}", files[0].0);
        assert!(files.iter().all(|(_, text)| text.lines().count() == 6));
    }

    #[tokio::test]
    async fn a_torn_file_has_no_whole_last_line() {
        for (_, form) in Form::ALL {
            let (dropped, files) = run(Dials { torn: 1.0, ..Dials::default() }, form).await;
            assert_eq!((dropped.records, dropped.injected["torn"]), (16, 8));
            for (name, text) in files {
                let last = last_line(&text);
                let whole = form.text("x", 0, &[Timestamp::default()]);
                let words = |line: &str| line.matches(form.separator()).count();
                assert!(
                    !text.ends_with('\n') && words(last) < words(last_line(&whole)),
                    "{name}: {text}"
                );
            }
        }
    }
}
