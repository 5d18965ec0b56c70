//! `saltline export`: readings in long form, beside a running engine or without one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use analytics::Quality;
use clap::Args;
use domain::{Edit, Edits, Parameter, ParameterCode, Shown, StationCode, Timestamp};
use history::longform::{Form, Writer};
use history::{History, Look, Wanted, WideRow};
use journal::Journal;
use rustc_hash::FxHashMap;
use serde_json::json;

use super::import::{FileForm, bar};
use super::output::{self, Format, Row};
use super::{Place, Trouble, station};
use crate::catch_up::catch_up;
use crate::readout::{self, ReadoutError};
use crate::settings::Config;
use crate::store::{history_config, journal_config, open_registry};

/// Write readings in long form. All that was acknowledged when it begins is in it, sealed or not.
#[derive(Args)]
pub struct Export {
    #[command(flatten)]
    place: Place,
    /// How it is told what was written, on stderr's side of things.
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    output: Format,
    /// A station; may be said several times. All, where none is said.
    #[arg(long, value_name = "CODE")]
    station: Vec<String>,
    /// A parameter; may be said several times. All, where none is said.
    #[arg(long, value_name = "CODE")]
    parameter: Vec<String>,
    /// First instant, RFC 3339.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Last instant, RFC 3339, not included.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// What is written of readings that people changed: best (approved, otherwise corrected, otherwise as it came), raw,
    /// corrected, or approved alone.
    #[arg(long, default_value = "best", value_parser = shown)]
    layer: Shown,
    /// What was known then, RFC 3339: without what reached us or was edited later.
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,
    /// What is written; else the ending of the file says it.
    #[arg(long, value_enum)]
    format: Option<FileForm>,
    /// The file, or - for stdout. One that is there is not written over.
    #[arg(short = 'O', long = "out", value_name = "FILE")]
    out: PathBuf,
}

/// What was written.
struct Counted {
    readings: u64,
    changed: usize,
    stations: usize,
}

impl Export {
    /// Does it.
    pub async fn run(self) -> Result<(), Trouble> {
        let to_stdout = self.out.as_os_str() == "-";
        let named = Form::of(&self.out).filter(|(_, packed)| !packed).map(|(form, _)| form);
        let form = self.format.map(FileForm::form).or(named).ok_or_else(|| {
            let why = "say --format csv, jsonl or parquet, or end the file's name so";
            Trouble::Usage(why.to_owned())
        })?;
        if !to_stdout && self.out.exists() {
            return Err(ReadoutError::There(self.out).into());
        }
        let config = self.place.settings()?;
        if !config.data_dir.is_dir() {
            let dir = config.data_dir.display();
            return Err(Trouble::No(format!("there is no data folder `{dir}`")));
        }
        let registry = open_registry(&config.data_dir).await?;
        let parameters = registry.parameters().await?;
        let known = registry.stations().await?;
        let mut wanted = self.wanted(&parameters)?;
        wanted.edits = edits(registry.edits().await?, self.layer);
        wanted.unedited = self.layer;
        for code in &wanted.stations {
            if !known.iter().any(|station| station.code == *code) {
                return Err(Trouble::No(format!("there is no station `{code}`")));
            }
        }
        let quality = Quality::new(&parameters).with_derived(&known);
        let (look, next) = look(&config, &quality)?;
        let counted = match to_stdout {
            true => {
                let out = BufWriter::new(std::io::stdout());
                write(&look, &wanted, &parameters, form, out, Path::new("-"))?.0
            }
            false => {
                beside(&self.out, |out| write(&look, &wanted, &parameters, form, out, &self.out))?
            }
        };
        let row: Row = vec![
            ("file", json!(self.out.display().to_string())),
            ("readings", json!(counted.readings)),
            ("changed", json!(counted.changed)),
            ("stations", json!(counted.stations)),
            ("journal_end", json!(next)),
        ];
        match to_stdout {
            true => eprintln!(
                "{} readings of {} stations, {} of them as people corrected or approved them, up to record {next} of \
                 the journal",
                counted.readings, counted.stations, counted.changed
            ),
            false => output::one(self.output, &row)?,
        }
        Ok(())
    }

    fn wanted(&self, parameters: &[Parameter]) -> Result<Wanted, Trouble> {
        let mut wanted = Wanted::all();
        for code in &self.station {
            wanted.stations.insert(station::parse(code)?);
        }
        for code in &self.parameter {
            let found = parameters.iter().find(|parameter| parameter.code.as_str() == code);
            let found =
                found.ok_or_else(|| Trouble::No(format!("there is no parameter `{code}`")))?;
            wanted.parameters.insert(found.code.clone());
        }
        let time = |text: &String| {
            Timestamp::parse_rfc3339(text)
                .map_err(|error| Trouble::Usage(format!("`{text}`: {error}")))
        };
        if let Some(from) = self.from.as_ref().map(time).transpose()? {
            wanted.from = from;
        }
        if let Some(to) = self.to.as_ref().map(time).transpose()? {
            wanted.to = to;
        }
        wanted.as_of = self.as_of.as_ref().map(time).transpose()?;
        if wanted.to <= wanted.from {
            return Err(Trouble::Usage("--to is after --from".to_owned()));
        }
        Ok(wanted)
    }
}

fn shown(word: &str) -> Result<Shown, String> {
    let all = Shown::ALL.map(|(word, _)| word).join(", ");
    Shown::from_word(word).ok_or_else(|| format!("one of {all}"))
}

/// What people changed, for whoever wants these layers.
fn edits(all: Vec<Edit>, layer: Shown) -> BTreeMap<StationCode, Vec<(ParameterCode, Edits)>> {
    let mut series: BTreeMap<(StationCode, ParameterCode), Vec<Edit>> = BTreeMap::new();
    for edit in all.into_iter().filter(|_| layer != Shown::Raw) {
        series.entry((edit.station.clone(), edit.parameter.clone())).or_default().push(edit);
    }
    let mut stations: BTreeMap<StationCode, Vec<(ParameterCode, Edits)>> = BTreeMap::new();
    for ((station, parameter), edits) in series {
        stations.entry(station).or_default().push((parameter, Edits::new(edits, layer)));
    }
    stations
}

/// All readings; where no engine runs and history is far behind its journal, it is brought up first.
pub(crate) fn look(config: &Config, quality: &Quality) -> Result<(Look, u64), Trouble> {
    match readout::look(&config.data_dir, quality) {
        Err(ReadoutError::Behind(readings)) => {
            let open = Journal::open(&config.data_dir.join("journal"), &journal_config(config));
            let Ok(journal) = open else { return Err(ReadoutError::Behind(readings).into()) };
            let history = History::open(&config.data_dir.join("history"), history_config(config));
            let history = history.map_err(ReadoutError::from)?;
            let bar = bar("history");
            catch_up(&journal, &history, quality, |at, end| {
                bar.set_length(end);
                bar.set_position(at);
            })?;
            bar.finish_and_clear();
            drop((history, journal));
            Ok(readout::look(&config.data_dir, quality)?)
        }
        looked => Ok(looked?),
    }
}

/// Writes beside the file, and gives it its name when it is whole and on disk.
fn beside(
    path: &Path,
    write: impl FnOnce(BufWriter<File>) -> Result<(Counted, Option<BufWriter<File>>), Trouble>,
) -> Result<Counted, Trouble> {
    let failed = |source| ReadoutError::Write { path: path.to_owned(), source };
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let written = File::create(&part).map_err(failed).map_err(Trouble::from).and_then(|file| {
        let (counted, out) = write(BufWriter::with_capacity(1 << 18, file))?;
        let file = out.expect("only stdout is closed by its reader").into_inner();
        file.map_err(|error| failed(error.into_error()))?.sync_all().map_err(failed)?;
        // A link fails where the name is taken; a rename would write over it.
        std::fs::hard_link(&part, path).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => ReadoutError::There(path.to_owned()),
            _ => failed(error),
        })?;
        Ok(counted)
    });
    let removed = std::fs::remove_file(&part);
    let counted = written?;
    removed.map_err(failed)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(counted)
}

fn write<W: Write + Send>(
    look: &Look,
    wanted: &Wanted,
    parameters: &[Parameter],
    form: Form,
    out: W,
    path: &Path,
) -> Result<(Counted, Option<W>), Trouble> {
    let failed = |source| ReadoutError::Write { path: path.to_owned(), source };
    let units: FxHashMap<&ParameterCode, &str> =
        parameters.iter().map(|parameter| (&parameter.code, parameter.unit.as_str())).collect();
    let mut writer = Writer::begin(form, out).map_err(failed)?;
    let (mut readings, mut changed) = (0, 0);
    let mut stations = std::collections::BTreeSet::new();
    let bar = bar("export");
    bar.set_length(look.rows(wanted));
    let mut put = |row: &WideRow| {
        if !stations.contains(&row.station) {
            stations.insert(row.station.clone());
        }
        changed += row.changed;
        for (code, value, flag) in &row.cells {
            let unit = units.get(code).copied().unwrap_or("");
            writer.write((&row.station, code, unit), row.taken_at, *value, *flag)?;
            readings += 1;
        }
        Ok(())
    };
    let take = |row: WideRow| match put(&row) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    };
    let went =
        look.each(wanted, take, |rows| bar.set_position(rows)).map_err(ReadoutError::from)?;
    bar.finish_and_clear();
    let out = match went {
        ControlFlow::Continue(()) => writer.finish(),
        ControlFlow::Break(error) => Err(error),
    };
    match out {
        Ok(out) => Ok((Counted { readings, changed, stations: stations.len() }, Some(out))),
        // `saltline export -O - | head` has seen enough: that is no fault.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe && path == Path::new("-") => {
            Ok((Counted { readings, changed, stations: stations.len() }, None))
        }
        Err(error) => Err(failed(error).into()),
    }
}
