//! `saltline export`: readings in long form, beside a running engine or without one.

mod begun; // what an interrupted one left

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::Args;
use domain::{Clock, Edit, Edits, Parameter, ParameterCode, Shown, StationCode, Timestamp};
use history::longform::{Form, Writer};
use history::{History, Look, Wanted, WideRow};
use indicatif::ProgressBar;
use journal::Journal;
use rustc_hash::FxHashMap;
use serde_json::json;

use self::begun::{Begun, Note};
use super::import::{FileForm, bar};
use super::output::{self, Format, Row};
use super::{Place, Trouble, station};
use crate::catch_up::catch_up;
use crate::clock::SystemClock;
use crate::judge::Tests;
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
    /// The file, or - for stdout. One that is there is not written over; an export to a file that was interrupted goes on
    /// after its last whole month when it is asked again.
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
        let (look, next) = look(&config, &Tests::of(&registry).await?)?;
        let counted = match to_stdout {
            true => {
                let out = BufWriter::new(std::io::stdout());
                to_stdout_whole(&look, &wanted, &parameters, form, out)?
            }
            false => self.by_months(&look, &mut wanted, &parameters, form)?,
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

    /// Writes month by month beside the file, and gives it its name when it is whole and on disk. One that was interrupted
    /// goes on after its last whole month.
    fn by_months(
        &self,
        look: &Look,
        wanted: &mut Wanted,
        parameters: &[Parameter],
        form: Form,
    ) -> Result<Counted, Trouble> {
        let failed = |source| ReadoutError::Write { path: self.out.clone(), source };
        let now = SystemClock.now();
        let mut begun =
            Begun::open(&self.out, form, &self.asked(form), now.as_millis()).map_err(failed)?;
        if begun.other {
            eprintln!(
                "an export to this file was interrupted that asked for something else: this one begins anew"
            );
        }
        if begun.again {
            wanted.as_of.get_or_insert(Timestamp::from_millis(begun.note.began));
            eprintln!(
                "goes on with the export that was interrupted: {} readings are there",
                begun.note.readings
            );
        }
        let until = Timestamp::from_millis(begun.note.until.unwrap_or(i64::MIN));
        let months = look.months(wanted).into_iter().filter(|&(from, _)| until <= from);
        let mut pen = Pen::new(parameters, look.rows(wanted));
        for (from, to) in months {
            (wanted.from, wanted.to) = (from, to);
            let mut writer = begun.month().map_err(failed)?;
            if let ControlFlow::Break(error) = pen.write(look, wanted, &mut writer)? {
                return Err(failed(error).into());
            }
            begun.note.readings += std::mem::take(&mut pen.readings);
            begun.note.changed += std::mem::take(&mut pen.changed);
            begun.whole(to.as_millis(), writer, &pen.stations).map_err(failed)?;
        }
        if begun.note.until.is_none() {
            // Nothing is wanted: a file that says so.
            let writer = begun.month().map_err(failed)?;
            begun.whole(i64::MAX, writer, &pen.stations).map_err(failed)?;
        }
        pen.bar.finish_and_clear();
        let Note { readings, changed, ref stations, .. } = begun.note;
        let counted = Counted { readings, changed, stations: stations.len() };
        begun.finish(&self.out).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => ReadoutError::There(self.out.clone()),
            _ => failed(error),
        })?;
        Ok(counted)
    }

    /// All that decides what is in the file.
    fn asked(&self, form: Form) -> String {
        let Self { station, parameter, from, to, layer, as_of, .. } = self;
        json!({
            "form": format!("{form:?}"), "stations": station, "parameters": parameter, "from": from, "to": to,
            "layer": layer.as_str(), "as_of": as_of,
        })
        .to_string()
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
pub(crate) fn look(config: &Config, tests: &Tests) -> Result<(Look, u64), Trouble> {
    match readout::look(&config.data_dir, tests) {
        Err(ReadoutError::Behind(readings)) => {
            let open = Journal::open(&config.data_dir.join("journal"), &journal_config(config));
            let Ok(journal) = open else { return Err(ReadoutError::Behind(readings).into()) };
            let history = History::open(&config.data_dir.join("history"), history_config(config));
            let history = history.map_err(ReadoutError::from)?;
            let bar = bar("history");
            catch_up(&journal, &history, (tests, &config.data_dir), |at, end| {
                bar.set_length(end);
                bar.set_position(at);
            })?;
            bar.finish_and_clear();
            drop((history, journal));
            Ok(readout::look(&config.data_dir, tests)?)
        }
        looked => Ok(looked?),
    }
}

/// What is written where.
struct Pen<'a> {
    units: FxHashMap<&'a ParameterCode, &'a str>,
    stations: BTreeSet<StationCode>,
    readings: u64,
    changed: usize,
    bar: ProgressBar,
}

impl<'a> Pen<'a> {
    fn new(parameters: &'a [Parameter], rows: u64) -> Self {
        let unit = |parameter: &'a Parameter| (&parameter.code, parameter.unit.as_str());
        let units = parameters.iter().map(unit).collect();
        let bar = bar("export");
        bar.set_length(rows);
        Self { units, stations: BTreeSet::new(), readings: 0, changed: 0, bar }
    }

    /// Writes all that is wanted; breaks where the disk, or who reads, takes no more.
    fn write<W: Write + Send>(
        &mut self,
        look: &Look,
        wanted: &Wanted,
        writer: &mut Writer<W>,
    ) -> Result<ControlFlow<io::Error>, Trouble> {
        let (bar, before) = (self.bar.clone(), self.bar.position());
        let take = |row: WideRow| match self.row(&row, writer) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        };
        let went = |rows| bar.set_position(before + rows);
        Ok(look.each(wanted, take, went).map_err(ReadoutError::from)?)
    }

    fn row<W: Write + Send>(&mut self, row: &WideRow, writer: &mut Writer<W>) -> io::Result<()> {
        if !self.stations.contains(&row.station) {
            self.stations.insert(row.station.clone());
        }
        self.changed += row.changed;
        for (code, value, flag) in &row.cells {
            let unit = self.units.get(code).copied().unwrap_or("");
            writer.write((&row.station, code, unit), row.taken_at, *value, *flag)?;
            self.readings += 1;
        }
        Ok(())
    }
}

fn to_stdout_whole<W: Write + Send>(
    look: &Look,
    wanted: &Wanted,
    parameters: &[Parameter],
    form: Form,
    out: W,
) -> Result<Counted, Trouble> {
    let failed = |source| ReadoutError::Write { path: PathBuf::from("-"), source };
    let mut pen = Pen::new(parameters, look.rows(wanted));
    let mut writer = Writer::begin(form, out).map_err(failed)?;
    let out = match pen.write(look, wanted, &mut writer)? {
        ControlFlow::Continue(()) => writer.finish().map(drop),
        ControlFlow::Break(error) => Err(error),
    };
    pen.bar.finish_and_clear();
    match out {
        // `saltline export -O - | head` has seen enough: that is no fault.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(failed(error).into()),
        _ => Ok(Counted {
            readings: pen.readings,
            changed: pen.changed,
            stations: pen.stations.len(),
        }),
    }
}
