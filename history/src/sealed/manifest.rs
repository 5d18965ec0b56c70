//! Which sealed files count, up to which journal position they reach, and what is known of each series. It is replaced
//! as a whole, so a crash leaves the old one or the new one.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::str::SplitAsciiWhitespace;

use domain::{Flag, ParameterCode, StationCode};

use super::Facts;
use crate::HistoryError;
use crate::month::Month;
use crate::names::Names;
use crate::series::{Cell, Series, SeriesTable, Version};

/// Its name in the folder.
pub(crate) const FILE: &str = "manifest";
const MAGIC: &str = "saltline-history";
const VERSION: u32 = 1;

/// The manifest's content.
#[derive(Debug, Default)]
pub(crate) struct Manifest {
    pub(crate) next: u64,
    pub(crate) sealed: Option<u64>,
    pub(crate) files: Vec<Facts>,
    pub(crate) stations: Names<StationCode>,
    pub(crate) parameters: Names<ParameterCode>,
    pub(crate) series: SeriesTable,
}

impl Manifest {
    /// Reads the manifest of a folder; `None` where there is none.
    pub(crate) fn read(dir: &Path) -> Result<Option<Self>, HistoryError> {
        let path = dir.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                return Err(HistoryError::damaged(&path, "it is not text"));
            }
            Err(error) => return Err(HistoryError::disk("read", &path, error)),
        };
        Self::parse(&path, &text).map(Some)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, HistoryError> {
        let mut first = text.lines().next().unwrap_or("").split(' ');
        match (first.next(), first.next()) {
            (Some(MAGIC), Some("1")) => {}
            (Some(MAGIC), Some(found)) => {
                let (path, found) = (path.to_owned(), found.to_owned());
                return Err(HistoryError::UnknownVersion { path, found, known: VERSION });
            }
            _ => return Err(HistoryError::damaged(path, "it does not begin as a manifest")),
        }
        let body = checked(text);
        let body = body.ok_or_else(|| HistoryError::damaged(path, "its checksum is wrong"))?;
        let mut manifest = Self::default();
        for (number, line) in body.lines().enumerate().skip(1) {
            let understood = manifest.line(line);
            understood.ok_or_else(|| {
                HistoryError::damaged(path, format!("line {} cannot be read", number + 1))
            })?;
        }
        Ok(manifest)
    }

    fn line(&mut self, line: &str) -> Option<()> {
        let mut words = line.split_ascii_whitespace();
        match words.next()? {
            "next" => self.next = number(&mut words)?,
            "sealed" => {
                let word = words.next()?;
                self.sealed = if word == "-" { None } else { Some(word.parse().ok()?) };
            }
            "file" => self.files.push(facts(&mut words)?),
            "series" => self.series(&mut words)?,
            _ => return None,
        }
        words.next().is_none().then_some(())
    }

    fn series(&mut self, words: &mut SplitAsciiWhitespace<'_>) -> Option<()> {
        let station = self.stations.number(&StationCode::new(words.next()?).ok()?);
        let parameter = self.parameters.number(&ParameterCode::new(words.next()?).ok()?);
        let newest = number(words)?;
        let latest = match words.next() {
            None => None,
            Some(taken) => Some(version(taken.parse().ok()?, words)?),
        };
        let series = Series { parameter, newest, newest_sealed: Some(newest), latest };
        self.series.put(station, series);
        Some(())
    }
}

/// The lines of all series, kept by the sealer between two seals because a merge writes them again unchanged.
pub(crate) fn series_lines(
    stations: &[StationCode],
    parameters: &[ParameterCode],
    table: &SeriesTable,
) -> String {
    let mut text = String::new();
    for (station, series) in table.iter() {
        let station = &stations[station as usize];
        let parameter = &parameters[series.parameter as usize];
        let mut line = format!("series {station} {parameter} {}", series.newest);
        let latest = series.latest.and_then(|latest| latest.cell.value.map(|v| (latest, v)));
        if let Some((Version { taken, received, position, cell }, value)) = latest {
            let (bits, flag) = (value.to_bits(), cell.flag.number());
            line.push_str(&format!(" {taken} {received} {position} {bits:x} {flag}"));
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// Replaces the folder's manifest: beside it, synced, renamed, the folder synced.
pub(crate) fn write(
    dir: &Path,
    next: u64,
    sealed: Option<u64>,
    files: impl Iterator<Item = Facts>,
    series: &str,
) -> Result<(), HistoryError> {
    let sealed = sealed.map_or_else(|| "-".to_owned(), |position| position.to_string());
    let mut text = format!("{MAGIC} {VERSION}\nnext {next}\nsealed {sealed}\n");
    for f in files {
        let (month, (first, last)) = (f.month, f.span);
        writeln!(
            text,
            "file {month} {} {} {} {} {} {:x} {first} {last}",
            f.serial, f.rows, f.readings, f.bytes, f.footer_bytes, f.footer_crc
        )
        .expect("a String takes every text");
    }
    text.push_str(series);
    let crc = crc32fast::hash(text.as_bytes());
    text.push_str(&format!("end {crc:08x}\n"));
    replace(dir, &text)
}

fn replace(dir: &Path, text: &str) -> Result<(), HistoryError> {
    let (temporary, path) = (dir.join("manifest.tmp"), dir.join(FILE));
    let mut file =
        File::create(&temporary).map_err(|e| HistoryError::disk("create", &temporary, e))?;
    file.write_all(text.as_bytes()).map_err(|e| HistoryError::disk("write", &temporary, e))?;
    file.sync_all().map_err(|e| HistoryError::disk("sync", &temporary, e))?;
    fs::rename(&temporary, &path).map_err(|e| HistoryError::disk("replace", &path, e))?;
    sync_dir(dir)
}

/// Makes the names in a folder durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), HistoryError> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|e| HistoryError::disk("sync", dir, e))
}

/// The text before its last line, where that line's checksum is right.
fn checked(text: &str) -> Option<&str> {
    let (body, end) = text.strip_suffix('\n')?.rsplit_once('\n')?;
    let body = &text[..body.len() + 1];
    let crc = u32::from_str_radix(end.strip_prefix("end ")?, 16).ok()?;
    (crc32fast::hash(body.as_bytes()) == crc).then_some(body)
}

fn number<N: std::str::FromStr>(words: &mut SplitAsciiWhitespace<'_>) -> Option<N> {
    words.next()?.parse().ok()
}

fn facts(words: &mut SplitAsciiWhitespace<'_>) -> Option<Facts> {
    let name = words.next()?;
    let (serial, rows, readings) = (number(words)?, number(words)?, number(words)?);
    let (bytes, footer_bytes) = (number(words)?, number(words)?);
    let footer_crc = u32::from_str_radix(words.next()?, 16).ok()?;
    let span: (i64, i64) = (number(words)?, number(words)?);
    let month = Month::of(span.0);
    let sound = month.to_string() == name && 8 < footer_bytes && footer_bytes < bytes;
    sound.then_some(Facts { month, serial, rows, readings, bytes, footer_bytes, footer_crc, span })
}

fn version(taken: i64, words: &mut SplitAsciiWhitespace<'_>) -> Option<Version> {
    let (received, position) = (number(words)?, number(words)?);
    let value = f64::from_bits(u64::from_str_radix(words.next()?, 16).ok()?);
    let flag = Flag::from_number(number(words)?)?;
    Some(Version { taken, received, position, cell: Cell::untested(Some(value), flag) })
}
