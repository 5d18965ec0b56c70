//! `saltline import FOLDER`: applies a province pack. `saltline import FILE…`: readings of the past, in long form.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use clap::Args;
use history::History;
use history::longform::{Form, Known, Opening};
use indicatif::{ProgressBar, ProgressStyle};
use registry::Registry;
use registry::pack::Count;
use serde_json::json;

use super::output::{self, Format, Row};
use super::{Place, Trouble, station};
use crate::catch_up::catch_up;
use crate::import::{Done, Job, Sink, Tables};
use crate::judge::{self, Tests};
use crate::settings::Config;
use crate::store::{StoreError, history_config, journal_config, open_registry};

/// Apply a province pack, or import readings of the past.
#[derive(Args)]
pub struct Import {
    #[command(flatten)]
    place: Place,
    /// How rows are written.
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    output: Format,
    /// A pack's folder, as configs/tien-giang; or files of readings in long form (CSV, JSON lines, each also .gz, or
    /// Parquet).
    #[arg(required = true, value_name = "FOLDER|FILE")]
    from: Vec<PathBuf>,
    #[command(flatten)]
    readings: Readings,
}

/// How files of readings are read.
#[derive(Args)]
struct Readings {
    /// Make stations that nobody knows, and parameters that a table of --parameters brings.
    #[arg(long)]
    create: bool,
    /// What the source's flags mean: TOML as configs/import/flags.toml, laid over that.
    #[arg(long, value_name = "FILE.toml")]
    flags: Vec<PathBuf>,
    /// What the source calls our parameters: TOML as configs/import/parameters.toml, laid over that.
    #[arg(long, value_name = "FILE.toml")]
    parameters: Vec<PathBuf>,
    /// The station of files that have no such column.
    #[arg(long, value_name = "CODE")]
    station: Option<String>,
    /// How far the clock of times without an offset is ahead of UTC, as +07:00 or Z.
    #[arg(long, value_name = "OFFSET", allow_hyphen_values = true)]
    utc_offset: Option<String>,
    /// What the files are, whatever their endings.
    #[arg(long, value_enum)]
    format: Option<FileForm>,
    /// Leave out rows that are not believed, and write them beside the file as FILE.refused.csv.
    #[arg(long)]
    skip_bad: bool,
    /// Read and judge every row, and store nothing.
    #[arg(long)]
    check: bool,
    /// Import a file once more that was imported before; what is there already is stored once.
    #[arg(long)]
    again: bool,
    /// Bytes that a file may have unpacked.
    #[arg(long, default_value = "8GiB")]
    unpacked_max: ByteSize,
}

/// The forms that files of readings have.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum FileForm {
    /// A table with a header.
    Csv,
    /// A JSON object on each line.
    Jsonl,
    /// Apache Parquet.
    Parquet,
}

impl FileForm {
    pub(crate) fn form(self) -> Form {
        match self {
            Self::Csv => Form::Csv,
            Self::Jsonl => Form::JsonLines,
            Self::Parquet => Form::Parquet,
        }
    }
}

impl Import {
    /// Does it.
    pub async fn run(self) -> Result<(), Trouble> {
        let folders = self.from.iter().filter(|path| path.is_dir()).count();
        match (folders, self.from.len()) {
            (1, 1) => pack(&self.from[0], &self.place, self.output).await,
            (0, _) => {
                let config = self.place.settings()?;
                self.readings.import(&self.from, &config, self.output).await
            }
            _ => Err(Trouble::Usage("one pack's folder, or files of readings".to_owned())),
        }
    }
}

async fn pack(folder: &Path, place: &Place, format: Format) -> Result<(), Trouble> {
    let pack = registry::pack::read_dir(folder)?;
    let registry = open_registry(&place.settings()?.data_dir).await?.by("cli");
    judge::check(&pack, &registry).await?;
    let applied = pack.apply(&registry).await?;
    let row = |what: &'static str, count: Count| -> Row {
        vec![
            ("what", json!(what)),
            ("created", json!(count.created)),
            ("changed", json!(count.changed)),
            ("unchanged", json!(count.unchanged)),
        ]
    };
    let rows = [
        row("rivers", applied.rivers),
        row("stations", applied.stations),
        row("rules", applied.rules),
        row("people", applied.people),
        row("duties", applied.duties),
        row("tests", applied.quality),
    ];
    output::rows(format, &rows)?;
    let keyless = registry.keyless().await?;
    if !keyless.is_empty() {
        let codes: Vec<_> = keyless.iter().map(domain::StationCode::as_str).collect();
        eprintln!("without a key (saltline station rotate-key CODE): {}", codes.join(", "));
    }
    Ok(())
}

impl Readings {
    async fn import(
        &self,
        files: &[PathBuf],
        config: &Config,
        format: Format,
    ) -> Result<(), Trouble> {
        if let Some(missing) = files.iter().find(|path| !path.exists()) {
            return Err(Trouble::No(format!("there is no `{}`", missing.display())));
        }
        let tables = Tables::read(self.parameters.iter().chain(&self.flags).map(PathBuf::as_path))?;
        let registry = open_registry(&config.data_dir).await?.by("import");
        let job = self.job(&tables, &registry).await?;
        let sink = match self.check {
            true => None,
            false => Some(Sink::open(&config.data_dir, &journal_config(config)).await?),
        };
        let mut rows = Vec::new();
        let (mut refused, mut outcome) = (0, Ok(()));
        for path in files {
            let bar = bar(&path.display().to_string());
            let done = job
                .import(path, &registry, sink.as_ref(), |read, whole| {
                    bar.set_length(whole);
                    bar.set_position(read);
                })
                .await;
            bar.finish_and_clear();
            match done {
                Ok(done) => {
                    talk(path, &done);
                    refused += done.refused;
                    rows.push(row(path, &done));
                }
                // What went in before it is told all the same, and history follows it.
                Err(error) => {
                    outcome = Err(Trouble::from(error));
                    break;
                }
            }
        }
        output::rows(format, &rows)?;
        if let Some(journal) = sink.as_ref().and_then(Sink::journal) {
            let history = History::open(&config.data_dir.join("history"), history_config(config));
            let history = history.map_err(StoreError::from)?;
            let bar = bar("history");
            let tests = Tests::of(&registry).await?;
            let caught = catch_up(journal, &history, (&tests, &config.data_dir), |at, end| {
                bar.set_length(end);
                bar.set_position(at);
            });
            bar.finish_and_clear();
            caught?;
        }
        outcome?;
        match refused {
            0 => Ok(()),
            n => Err(Trouble::No(format!("{n} rows are refused"))),
        }
    }

    async fn job(&self, tables: &Tables, registry: &Registry) -> Result<Job, Trouble> {
        let mut parameters = registry.parameters().await?;
        if self.create {
            for new in tables.new_parameters() {
                if !parameters.iter().any(|known| known.code == new.code) {
                    if !self.check {
                        registry.put_parameter(new).await?;
                    }
                    parameters.push(new.clone());
                }
            }
        }
        let (mut stations, mut known_as) = (HashMap::new(), HashMap::new());
        for one in registry.stations().await? {
            for name in &one.known_as {
                known_as.insert(name.to_lowercase(), one.code.clone());
            }
            stations.insert(one.code.to_string(), one.code);
        }
        let given = self.station.as_deref().map(station::parse).transpose()?;
        if let Some(code) = given.as_ref().filter(|code| !stations.contains_key(code.as_str())) {
            if !self.create {
                return Err(Trouble::No(format!(
                    "there is no station `{code}`; --create makes it"
                )));
            }
            if !self.check {
                registry.put_station(&domain::Station::new(code.clone())).await?;
            }
        }
        let offset = |text: &str| {
            domain::parse_utc_offset(text)
                .ok_or_else(|| Trouble::Usage(format!("`{text}`: write +07:00 or Z")))
        };
        let offset_s = self.utc_offset.as_deref().map(offset).transpose()?;
        Ok(Job {
            opening: Opening {
                form: self.format.map(FileForm::form),
                has_station: given.is_some(),
                has_units: tables.says_units(),
                unpacked_bytes_max: self.unpacked_max.as_u64(),
            },
            known: Known {
                parameters,
                names: tables.names.clone(),
                flags: tables.flags.clone(),
                station: given,
                stations,
                known_as,
                create: self.create,
                offset_s,
            },
            skip_bad: self.skip_bad,
            check: self.check,
            again: self.again,
        })
    }
}

/// A bar on a terminal, and nothing elsewhere.
pub(crate) fn bar(what: &str) -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {percent}% {eta} {msg}") {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar
}

fn talk(path: &Path, done: &Done) {
    let path = path.display();
    if done.known {
        eprintln!("{path}: imported before; --again reads it once more");
    }
    if !done.extra.is_empty() {
        eprintln!("{path}: columns that mean nothing here: {}", done.extra.join(", "));
    }
    if 0 < done.before && !done.known {
        eprintln!("{path}: went on behind {} reports of an earlier run", done.before);
    }
    if !done.created.is_empty() {
        eprintln!("{path}: new stations: {}", done.created.join(", "));
    }
    if let Some(refused) = &done.refused_to {
        eprintln!("{path}: refused rows are in {}", refused.display());
    }
}

fn row(path: &Path, done: &Done) -> Row {
    vec![
        ("file", json!(path.display().to_string())),
        ("rows", json!(done.rows)),
        ("readings", json!(done.readings)),
        ("reports", json!(done.records)),
        ("before", json!(done.before)),
        ("repeated", json!(done.repeated)),
        ("left_out", json!(done.left_out)),
        ("refused", json!(done.refused)),
    ]
}
