//! `saltline store verify`: reads everything in the data folder through, beside a running engine or on a copy, and
//! compares history with its journal. `saltline store stats`: how much there is.

use std::path::{Path, PathBuf};

use analytics::quality::Quality;
use clap::{Args, Subcommand};
use history::{HistoryError, Look};
use indicatif::{ProgressBar, ProgressStyle};
use ingest::mqtt::{SessionLog, SessionLogError};
use ingest::{Decoder, Record};
use journal::{JournalError, verify};
use serde_json::json;

use super::output::{self, Format, Row};
use super::{Place, Trouble, import};
use crate::readout;
use crate::store::{StoreError, open_registry};

mod stats; // how much there is

/// The journals of a data folder.
const JOURNALS: [&str; 5] = ["journal", "ledger", "deadletter", "said", SESSIONS];
const SESSIONS: &str = "sessions";

/// What is in the data folder.
#[derive(Args)]
pub struct Store {
    #[command(flatten)]
    place: Place,
    /// How rows are written.
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table)]
    output: Format,
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Read every segment and every sealed file through and say what does not read back; then look up each record of the
    /// journal in history. Changes nothing.
    Verify,
    /// How much there is of each series, in which files, and how far each follower of the journal is.
    Stats,
}

/// What became of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    path: PathBuf,
    /// Records of a journal, rows of a sealed file.
    records: u64,
    state: State,
    detail: String,
    offset: Option<u64>,
    lost: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    /// The next start cuts it off and keeps it aside: it was never acknowledged.
    TornTail,
    Damaged,
    /// History has not what the journal says.
    Differs,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::TornTail => "torn tail",
            Self::Damaged => "damaged",
            Self::Differs => "differs",
        }
    }
}

impl Store {
    /// Does it.
    pub async fn run(self) -> Result<(), Trouble> {
        let dir = self.place.settings()?.data_dir;
        if !dir.is_dir() {
            return Err(Trouble::No(format!("there is no data folder `{}`", dir.display())));
        }
        match self.act {
            Act::Verify => self.verify(&dir).await,
            Act::Stats => stats::run(&dir, self.output).await,
        }
    }

    async fn verify(&self, dir: &Path) -> Result<(), Trouble> {
        let mut lines = verified(dir)?;
        let is_whole = |name: &str| {
            let of = dir.join(name);
            let damaged = |line: &&Line| line.state == State::Damaged && line.path.starts_with(&of);
            !lines.iter().any(|line| damaged(&line))
        };
        let unchecked = |why: &dyn std::fmt::Display| {
            eprintln!("not checked: whether history is what the journal says: {why}");
        };
        // Nothing is made here: a folder without a book is a part of a copy.
        if !dir.join("registry.sqlite").exists() || !dir.join("history").exists() {
            unchecked(&"registry or history are not there");
        } else if !is_whole("history") || !is_whole("journal") {
            unchecked(&"what is damaged stands in the way");
        } else {
            match readout::sealed(dir) {
                Ok(look) => lines.push(compared(dir, &look).await?),
                Err(error) => unchecked(&error),
            }
        }
        output::rows(self.output, &lines.iter().map(row).collect::<Vec<_>>())?;
        let damaged = lines.iter().filter(|line| line.state == State::Damaged).count();
        let differs = lines.iter().any(|line| line.state == State::Differs);
        match (damaged, differs) {
            (0, false) => Ok(()),
            (0, true) => Err(Trouble::No("history is not what the journal says".to_owned())),
            (n, _) => Err(Trouble::No(format!("{n} of {} files are damaged", lines.len()))),
        }
    }
}

/// Looks up in the sealed files what the journal has at or below the sealed position.
async fn compared(dir: &Path, look: &Look) -> Result<Line, Trouble> {
    let registry = open_registry(dir).await?;
    let quality = Quality::new(&registry.parameters().await?);
    let mut comparing = look.compare();
    let (mut decoder, mut failed, mut unsealed) = (Decoder::default(), None, 0_u64);
    let bar = import::bar("history against the journal");
    let sealed = look.position();
    bar.set_length(sealed.map_or(0, |position| position + 1));
    let oldest = journal::since(&dir.join("journal"), 0, |position, bytes| {
        if sealed.is_none_or(|sealed| sealed < position) {
            unsealed += 1;
            return true;
        }
        let record = decoder.decode(bytes);
        if let Ok(Record::Admitted(mut admitted) | Record::Imported(mut admitted)) = record {
            quality.judge(&mut admitted);
            failed = comparing.record(position, &admitted).err();
            decoder.reuse(admitted);
        }
        if position.is_multiple_of(10_000) {
            bar.set_position(position);
        }
        failed.is_none()
    })
    .map_err(StoreError::from)?;
    let found = match failed {
        Some(error) => Err(error),
        None => comparing.finish(),
    };
    bar.finish_and_clear();
    let found = found.map_err(StoreError::from)?;
    let oldest = oldest.unwrap_or(0);
    eprintln!(
        "not checked against the journal: {unsealed} records that are not sealed yet, and what came before record {oldest}, the oldest that is kept"
    );
    if 0 < found.other_flags {
        eprintln!(
            "{} values have another flag than they would get today: the range of their parameter was changed",
            found.other_flags
        );
    }
    for one in &found.differ {
        let there = match one.history {
            None => "nothing".to_owned(),
            Some(value) => format!("{value:?}"),
        };
        eprintln!(
            "record {}: {} {} at {}: the journal says {:?}, history {there}",
            one.position, one.station, one.parameter, one.taken_at, one.journal
        );
    }
    let (state, detail) = match found.differing {
        0 => (State::Good, String::new()),
        n => (State::Differs, format!("{n} of {} values differ", found.values)),
    };
    let path = PathBuf::from("history against the journal");
    Ok(Line { path, records: found.values, state, detail, offset: None, lost: found.differing })
}

/// Reads the folder through and says how many files it was, or that some are damaged.
pub(crate) fn verified_sound(dir: &Path) -> Result<usize, Trouble> {
    let lines = verified(dir)?;
    match lines.iter().find(|line| line.state == State::Damaged) {
        None => Ok(lines.len()),
        Some(line) => Err(Trouble::No(format!("`{}`: {}", line.path.display(), line.detail))),
    }
}

/// Every file of the folder, read through, with a bar on a terminal.
pub(crate) fn verified(dir: &Path) -> Result<Vec<Line>, Trouble> {
    let mut segments = Vec::new();
    for name in JOURNALS {
        segments.extend(verify::segments(&dir.join(name)).map_err(journal)?);
    }
    let sealed = history::sealed_files(&dir.join("history")).map_err(StoreError::from)?;
    let all = segments.iter().map(|s| s.bytes).chain(sealed.iter().map(|s| s.bytes)).sum();
    let bar = ProgressBar::new(all);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta} {msg}") {
        bar.set_style(style);
    }
    let mut lines = Vec::new();
    let mut done = 0;
    for segment in segments {
        bar.set_message(segment.path.display().to_string());
        let found = segment.verify(|read| bar.set_position(done + read)).map_err(journal)?;
        done += segment.bytes;
        lines.push(of_segment(segment.path, &found));
    }
    for file in sealed {
        bar.set_message(file.path.display().to_string());
        lines.extend(of_sealed(file.path.clone(), file.verify())?);
        done += file.bytes;
        bar.set_position(done);
    }
    lines.extend(of_snapshot(SessionLog::verify_snapshot(&dir.join(SESSIONS)))?);
    bar.finish_and_clear();
    Ok(lines)
}

fn journal(error: JournalError) -> Trouble {
    StoreError::from(error).into()
}

fn of_segment(path: PathBuf, found: &verify::Verified) -> Line {
    let (state, detail) = match found.damage {
        Some(damage) => {
            let detail = format!("{} at record {}", damage.what, damage.position);
            (State::Damaged, detail)
        }
        None if 0 < found.torn_bytes => (State::TornTail, format!("{} bytes", found.torn_bytes)),
        None => (State::Good, String::new()),
    };
    let offset = found.damage.map(|damage| damage.offset);
    Line { path, records: found.records, state, detail, offset, lost: found.lost }
}

fn of_snapshot(
    read: Result<Option<(PathBuf, u64)>, SessionLogError>,
) -> Result<Option<Line>, Trouble> {
    let (path, records, state, detail) = match read {
        Ok(None) => return Ok(None),
        Ok(Some((path, changes))) => (path, changes, State::Good, String::new()),
        Err(SessionLogError::Snapshot { path, source }) => {
            (path, 0, State::Damaged, source.to_string())
        }
        Err(error) => return Err(StoreError::from(error).into()),
    };
    Ok(Some(Line { path, records, state, detail, offset: None, lost: 0 }))
}

fn of_sealed(
    path: PathBuf,
    rows: Result<Option<u64>, HistoryError>,
) -> Result<Option<Line>, Trouble> {
    let line =
        |records, state, detail| Line { path, records, state, detail, offset: None, lost: 0 };
    match rows {
        Ok(Some(rows)) => Ok(Some(line(rows, State::Good, String::new()))),
        Ok(None) => Ok(None),
        Err(HistoryError::Damaged { what, .. }) => Ok(Some(line(0, State::Damaged, what))),
        Err(error) => Err(StoreError::from(error).into()),
    }
}

fn row(line: &Line) -> Row {
    vec![
        ("file", json!(line.path.display().to_string())),
        ("records", json!(line.records)),
        ("state", json!(line.state.as_str())),
        ("lost", json!(line.lost)),
        ("offset", json!(line.offset)),
        ("detail", json!(line.detail)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_byte_is_named_with_its_file_its_offset_and_its_record() {
        let dir = tempfile::tempdir().unwrap();
        let config = journal::Config::default();
        let ledger = journal::Journal::open(&dir.path().join("ledger"), &config).unwrap();
        for text in ["one", "two", "three"] {
            ledger.append_blocking(vec![bytes::Bytes::from(text)]).unwrap();
        }
        drop(ledger);
        let state = || verified(dir.path()).unwrap().pop().unwrap();
        assert_eq!((state().records, state().state), (3, State::Good));
        let path = state().path;
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[24 + 8] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let found = state();
        assert_eq!((found.state, found.offset, found.lost), (State::Damaged, Some(24), 1));
        assert_eq!(found.detail, "checksum differs at record 0");
        std::fs::create_dir(dir.path().join("sessions")).unwrap();
        std::fs::write(dir.path().join("sessions/snapshot"), b"SLTSES01 and no more").unwrap();
        assert_eq!((state().state, state().records), (State::Damaged, 0));
    }
}
