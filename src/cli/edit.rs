//! `saltline edit …`: what people change of what was measured, on the data folder of a running engine or without one.

use clap::{Args, Subcommand};
use domain::{Act as Does, ParameterCode, Timestamp};
use registry::{EditWish, Registry};
use serde_json::json;

use super::output::{self, Format, Row};
use super::{Place, Trouble, station};
use crate::store::open_registry;

/// Correct and approve what was measured.
#[derive(Args)]
pub struct Edit {
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
    /// Make an edit. A reading stays as it came; what is shown of it changes, for whoever does not ask for `layer=raw`.
    Add(Box<Add>),
    /// List the edits in the order they apply, the withdrawn ones too.
    List {
        /// Of this station alone.
        station: Option<String>,
    },
    /// End an edit. It stays in the book, and who asks what was known before still sees it.
    Withdraw {
        /// Its number.
        id: u64,
        /// Why, in words.
        #[arg(long)]
        reason: String,
    },
}

/// Make an edit.
#[derive(Args)]
struct Add {
    /// The station's code.
    station: String,
    /// The parameter's code.
    parameter: String,
    /// First instant, RFC 3339.
    #[arg(long, value_name = "TIME")]
    from: String,
    /// Last instant, RFC 3339, not included.
    #[arg(long, value_name = "TIME")]
    to: String,
    #[command(flatten)]
    what: What,
    /// With --interpolate: also where there is no reading, at these steps, as 15m.
    #[arg(long, value_parser = super::span_arg, requires = "interpolate")]
    every: Option<std::time::Duration>,
    /// Why, in words.
    #[arg(long)]
    reason: String,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct What {
    /// Add a number to each reading, in the parameter's unit.
    #[arg(long, value_name = "BY", allow_hyphen_values = true)]
    offset: Option<f64>,
    /// Add a number that grows in a straight line from the first to the second, as 0..-0.4.
    #[arg(long, value_name = "START..END", value_parser = line, allow_hyphen_values = true)]
    drift: Option<(f64, f64)>,
    /// Take the values away.
    #[arg(long)]
    remove: bool,
    /// Put a straight line in their place, as 1.2..0.8.
    #[arg(long, value_name = "START..END", value_parser = line, allow_hyphen_values = true)]
    interpolate: Option<(f64, f64)>,
    /// Approve what is shown now: later readings and edits do not change it any more.
    #[arg(long)]
    approve: bool,
}

impl Edit {
    /// Does it.
    pub async fn run(self) -> Result<(), Trouble> {
        let dir = self.place.settings()?.data_dir;
        let registry = open_registry(&dir).await?.by("cli");
        match self.act {
            Act::Add(add) => output::one(self.output, &row(&add.make(&registry).await?)),
            Act::Withdraw { id, reason } => {
                output::one(self.output, &row(&registry.withdraw_edit(id, &reason).await?))
            }
            Act::List { station } => {
                let station = station.as_deref().map(station::parse).transpose()?;
                let edits = registry.edits().await?;
                let own =
                    |edit: &&domain::Edit| station.as_ref().is_none_or(|s| *s == edit.station);
                output::rows(self.output, &edits.iter().filter(own).map(row).collect::<Vec<_>>())
            }
        }
    }
}

impl Add {
    async fn make(&self, registry: &Registry) -> Result<domain::Edit, Trouble> {
        let parameter = ParameterCode::new(&self.parameter)
            .map_err(|error| Trouble::Usage(format!("`{}`: {error}", self.parameter)))?;
        let wish = EditWish {
            station: station::parse(&self.station)?,
            parameter,
            from: time(&self.from)?,
            to: time(&self.to)?,
            act: self.does(),
            reason: self.reason.clone(),
        };
        Ok(registry.make_edit(&wish).await?)
    }

    fn does(&self) -> Does {
        let What { offset, drift, remove, interpolate, .. } = &self.what;
        match (*offset, *drift, *interpolate) {
            (Some(by), ..) => Does::Offset { by },
            (_, Some((start, end)), _) => Does::Drift { start, end },
            (.., Some((start, end))) => Does::Interpolate { start, end, every: self.every },
            _ if *remove => Does::Remove,
            _ => Does::Approve,
        }
    }
}

fn time(text: &str) -> Result<Timestamp, Trouble> {
    Timestamp::parse_rfc3339(text).map_err(|error| Trouble::Usage(format!("`{text}`: {error}")))
}

/// `START..END`.
fn line(text: &str) -> Result<(f64, f64), String> {
    let numbers = text
        .split_once("..")
        .and_then(|(start, end)| Some((start.trim().parse().ok()?, end.trim().parse().ok()?)));
    numbers.ok_or_else(|| "write two numbers, as 0..-0.4".to_owned())
}

fn row(edit: &domain::Edit) -> Row {
    let numbers = match edit.act {
        Does::Offset { by } => format!("{by}"),
        Does::Drift { start, end } | Does::Interpolate { start, end, .. } => {
            format!("{start}..{end}")
        }
        Does::Remove | Does::Approve => String::new(),
    };
    let every = match edit.act {
        Does::Interpolate { every, .. } => every.map(|every| every.as_secs()),
        _ => None,
    };
    let end = edit.withdrawn.as_ref();
    vec![
        ("id", json!(edit.id)),
        ("station", json!(edit.station.as_str())),
        ("parameter", json!(edit.parameter.as_str())),
        ("from", json!(edit.from.to_string())),
        ("to", json!(edit.to.to_string())),
        ("act", json!(edit.act.as_str())),
        ("numbers", json!(numbers)),
        ("every_s", json!(every)),
        ("made_at", json!(edit.at.to_string())),
        ("made_by", json!(edit.by)),
        ("reason", json!(edit.reason)),
        ("withdrawn_at", json!(end.map(|end| end.at.to_string()))),
        ("withdrawn_by", json!(end.map(|end| end.by.clone()))),
        ("why_withdrawn", json!(end.map(|end| end.reason.clone()))),
    ]
}
