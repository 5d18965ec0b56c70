//! `saltline backup …`: beside a running engine, into a folder on another disk or a bucket.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use domain::Clock;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::json;

use super::output::{self, Format, Row};
use super::store::verified_sound;
use super::{Place, Trouble};
use crate::backup::{self, Repository, Which};
use crate::clock::SystemClock;
use crate::settings::Config;

/// Copies of the data folder: make, look at, prove, bring back.
#[derive(Args)]
pub struct Backup {
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
    /// Copy what is new since the last backup, beside a running engine.
    Create {
        /// Folder of backups, best on another disk, or s3://bucket/prefix; it is made where there is none.
        #[arg(long, value_name = "FOLDER|S3")]
        to: PathBuf,
    },
    /// The backups in a folder, oldest first.
    List {
        /// Folder of backups, or s3://bucket/prefix.
        from: PathBuf,
    },
    /// Restore a backup for the time being, compare every byte, read every record and open it as a start would.
    Verify {
        /// Folder of backups, or s3://bucket/prefix.
        from: PathBuf,
        #[command(flatten)]
        which: Wanted,
        /// Where there is room for the time being, instead of the system's temporary folder.
        #[arg(long, value_name = "FOLDER")]
        scratch: Option<PathBuf>,
    },
    /// Restore a backup as a data folder that does not exist yet, or is empty.
    Restore {
        /// Folder of backups, or s3://bucket/prefix.
        from: PathBuf,
        /// The new data folder.
        #[arg(long, value_name = "FOLDER")]
        to: PathBuf,
        #[command(flatten)]
        which: Wanted,
    },
    /// Forget all backups but the newest ones, and what only they held.
    Prune {
        /// Folder of backups, or s3://bucket/prefix.
        from: PathBuf,
        /// How many stay.
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
        keep: u16,
    },
}

/// The newest, unless one is named.
#[derive(Args)]
struct Wanted {
    /// The backup of this name.
    #[arg(long, value_name = "NAME")]
    backup: Option<String>,
    /// The newest backup that ends before this position of the journal.
    #[arg(long, value_name = "POSITION", conflicts_with = "backup")]
    before: Option<u64>,
}

impl Wanted {
    fn which(self) -> Which {
        match (self.backup, self.before) {
            (Some(name), _) => Which::Named(name),
            (None, Some(position)) => Which::Before(position),
            (None, None) => Which::Newest,
        }
    }
}

impl Backup {
    /// Does it.
    pub async fn run(self) -> Result<(), Trouble> {
        let Self { place, output, act } = self;
        match act {
            Act::Create { to } => {
                let data = place.settings()?.data_dir;
                let repository = match bucket(&to) {
                    Some(url) => Repository::create_in_bucket(url, &place.settings()?.s3.key()?)?,
                    None => Repository::create(&to)?,
                };
                let bar = bar();
                let done =
                    backup::create(&data, &repository, SystemClock.now(), shown(&bar)).await?;
                bar.finish_and_clear();
                let mut row = row(&done.backup);
                row.push(("new_objects", json!(done.new_objects)));
                row.push(("new_bytes", json!(done.new_bytes)));
                output::one(output, &row)
            }
            Act::List { from } => {
                let backups = open(&from, &place)?.backups()?;
                output::rows(output, &backups.iter().map(row).collect::<Vec<_>>())
            }
            Act::Verify { from, which, scratch } => {
                let repository = open(&from, &place)?;
                let backup = repository.find(&which.which())?;
                let parent = scratch.unwrap_or_else(std::env::temp_dir);
                let room = tempfile::Builder::new().prefix("saltline-verify-").tempdir_in(parent);
                let room = room
                    .map_err(|error| Trouble::Later(format!("no room to restore into: {error}")))?;
                let config = Config { data_dir: room.path().join("data"), ..place.settings()? };
                let bar = bar();
                backup::verify(&repository, &backup, &config, shown(&bar)).await?;
                bar.finish_and_clear();
                let files = verified_sound(&config.data_dir)?;
                eprintln!(
                    "{}: {} in {} files, each byte as it was; {files} files of records read through",
                    backup.name,
                    HumanBytes(backup.bytes()),
                    backup.files.len(),
                );
                output::one(output, &row(&backup))
            }
            Act::Restore { from, to, which } => {
                let repository = open(&from, &place)?;
                let backup = repository.find(&which.which())?;
                let bar = bar();
                backup::restore(&repository, &backup, &to, shown(&bar))?;
                bar.finish_and_clear();
                output::one(output, &row(&backup))
            }
            Act::Prune { from, keep } => {
                let pruned = open(&from, &place)?.prune(usize::from(keep))?;
                let row: Row = vec![
                    ("backups", json!(pruned.backups)),
                    ("objects", json!(pruned.objects)),
                    ("bytes", json!(pruned.bytes)),
                ];
                output::one(output, &row)
            }
        }
    }
}

/// The place, if it is one below a bucket.
fn bucket(place: &Path) -> Option<&str> {
    place.to_str().filter(|text| text.starts_with("s3://"))
}

fn open(from: &Path, place: &Place) -> Result<Repository, Trouble> {
    Ok(match bucket(from) {
        Some(url) => Repository::open_in_bucket(url, &place.settings()?.s3.key()?)?,
        None => Repository::open(from)?,
    })
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta}") {
        bar.set_style(style);
    }
    bar
}

fn shown(bar: &ProgressBar) -> impl FnMut(u64, u64) {
    |done, whole| {
        bar.set_length(whole);
        bar.set_position(done);
    }
}

fn row(backup: &backup::Backup) -> Row {
    vec![
        ("backup", json!(backup.name)),
        ("files", json!(backup.files.len())),
        ("bytes", json!(backup.bytes())),
        ("journal_end", json!(backup.journal_end)),
        ("version", json!(backup.version)),
    ]
}
