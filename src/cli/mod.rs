//! What a person types. Data goes to stdout, talk to stderr; the exit code says what kind of end it was.

mod station; // add, list, show, remove, keys
mod command; // what a station is told
mod claim; // a word on paper
mod token; // add, list, revoke
mod user; // add, password, remove, list
mod rule; // list, remove
mod deadletter; // list, replay
mod edit; // corrections and approvals
mod quality; // what a station's water keeps to
mod firmware; // keys, images, roll-outs
mod store; // verify, stats
mod backup; // create, list, verify, restore, prune
mod import; // a province pack, readings of the past
mod export; // readings, in long form
mod output; // table, JSON, CSV
mod probe; // what is outside
mod serve; // run, demo

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use history::longform::LongformError;
use registry::RegistryError;

use crate::assembly::Fatal;
use crate::backup::BackupError;
use crate::catch_up::CatchUpError;
use crate::import::{ImportError, TablesError};
use crate::letters::LettersError;
use crate::readout::ReadoutError;
use crate::settings::{Config, DEFAULTS, SettingsError};
use crate::store::StoreError;

/// Turns the readings of a salt-threatened province into decisions, in time.
#[derive(Parser)]
#[command(name = "saltline", version, propagate_version = true)]
struct Saltline {
    #[command(subcommand)]
    command: Command,
}

/// Where the configuration and the data are.
#[derive(Args, Clone, Default)]
struct Place {
    /// Configuration file; conf.d/*.toml beside it is laid over it.
    #[arg(long, global = true, env = "SALTLINE_CONFIG")]
    config: Option<PathBuf>,
    /// Data folder, instead of the configured one.
    #[arg(long, global = true)]
    data: Option<PathBuf>,
}

impl Place {
    fn settings(&self) -> Result<Config, Trouble> {
        let mut config = Config::read(self.config.as_deref(), std::env::vars())?;
        if let Some(data) = &self.data {
            config.data_dir.clone_from(data);
        }
        Ok(config)
    }
}

#[derive(Subcommand)]
enum Command {
    /// Run the engine.
    Run(Place),
    /// Watch it work: the engine with the stations of an estuary twin, on this machine alone.
    Demo(serve::Demo),
    /// Print the configuration file with every key, its default and what it means.
    Configfile,
    /// Check a file without running anything.
    Check {
        #[command(subcommand)]
        what: Check,
    },
    /// The stations of the province.
    Station(station::Station),
    /// The packets that were refused: look at them, send them in again.
    Deadletter(deadletter::Deadletter),
    /// The tokens of people and services at the front door.
    Token(token::Token),
    /// The people who may log in.
    User(user::User),
    /// The rules of the province.
    Rule(rule::Rule),
    /// Correct and approve what was measured: the readings stay, edits stand beside them.
    Edit(edit::Edit),
    /// What the tests of the stream may ask of a station: learned from its history.
    Quality(quality::Quality),
    /// Firmware of stations: sign images, add them, roll them out.
    Firmware(firmware::Firmware),
    /// What is in the data folder.
    Store(store::Store),
    /// Copies of the data folder: make, look at, prove, bring back.
    Backup(backup::Backup),
    /// Look at what is outside: Modbus devices, serial ports, SDI-12 sensors, somebody else's broker.
    Probe(probe::Probe),
    /// Apply a province pack (stations, rivers, rules, roster), or import readings of the past. Doing it again changes
    /// nothing.
    Import(import::Import),
    /// Write readings in long form: CSV, JSON lines or Parquet, beside a running engine or without one.
    Export(export::Export),
    /// Print the version.
    Version,
}

#[derive(Subcommand)]
enum Check {
    /// The configuration file and its conf.d.
    Config(Place),
}

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// The answer is no.
    #[error("{0}")]
    No(String),
    /// The question was wrong.
    #[error("{0}")]
    Usage(String),
    #[error("configuration cannot be used")]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Fatal(#[from] Fatal),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Letters(#[from] LettersError),
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error("table cannot be used")]
    Tables(#[from] TablesError),
    #[error("history is behind its journal")]
    CatchUp(#[from] CatchUpError),
    #[error("readings cannot be exported")]
    Export(#[from] ReadoutError),
    #[error("province pack cannot be applied")]
    Pack(#[from] registry::pack::PackError),
    /// The tests of a pack do not hold.
    #[error("province pack cannot be applied")]
    Tests(#[from] crate::judge::BadPack),
    #[error("{0}")]
    Later(String),
}

impl Trouble {
    /// Exit codes: 1 the answer is no, 2 wrong use, 74 storage fault, 75 try later, 78 bad configuration.
    fn code(&self) -> u8 {
        match self {
            Self::No(_) => 1,
            Self::Backup(
                BackupError::Busy(_)
                | BackupError::Bucket { .. }
                | BackupError::Pruned(_)
                | BackupError::Registry(RegistryError::Busy),
            )
            | Self::Registry(RegistryError::Busy)
            | Self::Letters(LettersError::Registry(RegistryError::Busy)) => 75,
            Self::Registry(error) if is_no(error) => 1,
            Self::Tables(_)
            | Self::Import(
                ImportError::Row { .. }
                | ImportError::File(LongformError::NotLongform { .. } | LongformError::Broken { .. }),
            )
            | Self::Export(ReadoutError::There(_)) => 1,
            Self::Import(
                ImportError::Busy(_) | ImportError::Stalled(_) | ImportError::Aside(_),
            )
            | Self::Import(ImportError::Registry(RegistryError::Busy))
            | Self::Export(ReadoutError::Behind(_) | ReadoutError::Busy(_)) => 75,
            Self::Import(ImportError::Registry(error)) if is_no(error) => 1,
            Self::Pack(_)
            | Self::Tests(_)
            | Self::Backup(
                BackupError::None(_)
                | BackupError::NoData(_)
                | BackupError::NotEmpty(_)
                | BackupError::NotBackups(_)
                | BackupError::Key { .. }
                | BackupError::Damaged { .. }
                | BackupError::Store(_),
            ) => 1,
            Self::Usage(_) => 2,
            Self::Settings(_) | Self::Fatal(Fatal::Channel { .. } | Fatal::Rule(_)) => 78,
            Self::Fatal(Fatal::Listen { .. } | Fatal::Door(_)) | Self::Later(_) => 75,
            Self::Fatal(_)
            | Self::Store(_)
            | Self::Backup(_)
            | Self::Registry(_)
            | Self::Import(_)
            | Self::CatchUp(_)
            | Self::Export(_)
            | Self::Letters(_) => 74,
        }
    }
}

/// The registry understood, and said no.
fn is_no(error: &RegistryError) -> bool {
    use RegistryError::{Busy, Damaged, NoRandomness, Open, Store, TooNew};
    !matches!(error, Busy | TooNew { .. } | Open { .. } | Damaged { .. } | NoRandomness | Store(_))
}

/// Runs what was typed.
#[must_use]
pub fn main() -> ExitCode {
    let Saltline { command } = Saltline::parse();
    match execute(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("saltline: {}", chain(&trouble));
            ExitCode::from(trouble.code())
        }
    }
}

/// An error with its causes, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let part = cause.to_string();
        if !text.ends_with(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        source = cause.source();
    }
    text
}

fn execute(command: Command) -> Result<(), Trouble> {
    match command {
        Command::Run(place) => serve::run(&place),
        Command::Demo(demo) => serve::demo(demo),
        Command::Configfile => output::print(DEFAULTS),
        Command::Check { what: Check::Config(place) } => {
            place.settings()?;
            eprintln!("configuration is good");
            Ok(())
        }
        Command::Station(station) => with_runtime(station.run()),
        Command::Deadletter(deadletter) => with_runtime(deadletter.run()),
        Command::Token(token) => with_runtime(token.run()),
        Command::User(user) => with_runtime(user.run()),
        Command::Rule(rule) => with_runtime(rule.run()),
        Command::Edit(edit) => with_runtime(edit.run()),
        Command::Quality(quality) => with_runtime(quality.run()),
        Command::Firmware(firmware) => with_runtime(firmware.run()),
        Command::Store(store) => with_runtime(store.run()),
        Command::Backup(backup) => with_runtime(backup.run()),
        Command::Probe(probe) => with_runtime(probe.run()),
        Command::Import(import) => with_runtime(import.run()),
        Command::Export(export) => with_runtime(export.run()),
        Command::Version => output::print(concat!(env!("CARGO_PKG_VERSION"), "\n")),
    }
}

/// A duration as people type it: 10m, 2d, 1h 30m.
fn span(text: &str) -> Option<Duration> {
    let span: jiff::Span = text.parse().ok()?;
    let long = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(long).ok().filter(|long| !long.is_zero())
}

/// The same, for an argument.
fn span_arg(text: &str) -> Result<Duration, String> {
    span(text).ok_or_else(|| "write a duration above zero, as 10m or 2d".to_owned())
}

fn with_runtime<T>(work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Trouble::Later(format!("cannot start: {error}")))?;
    runtime.block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_can_be_typed() {
        <Saltline as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn a_failed_sync_ends_the_process_with_74() {
        let failed = journal::JournalError::Failed("input/output error".into());
        let trouble = Trouble::from(Fatal::from(failed));
        assert_eq!(trouble.code(), 74);
        assert!(chain(&trouble).contains("input/output error"), "{}", chain(&trouble));
    }
}
