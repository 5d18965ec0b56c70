//! `saltline rule …`: what counts as too much. Rules are written in a pack's `rules.toml` and applied with `import`.

use clap::{Args, Subcommand};
use domain::{Rule as Known, RuleCode, StationCode};
use registry::misfits;
use serde_json::json;

use super::output::{self, Format, Row};
use super::{Place, Trouble};
use crate::store::open_registry;

/// The rules of the province.
#[derive(Args)]
pub struct Rule {
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
    /// List the rules; the last column says why one cannot be computed.
    List,
    /// Take a rule away, with the duties that name it. Alerts that are open under it are withdrawn, which is no
    /// all-clear.
    Remove {
        /// Its code.
        code: String,
    },
}

impl Rule {
    /// Does it.
    pub async fn run(self) -> Result<(), Trouble> {
        let registry = open_registry(&self.place.settings()?.data_dir).await?.by("cli");
        match self.act {
            Act::List => {
                let parameters = registry.parameters().await?;
                let stations = registry.stations().await?;
                let codes: Vec<_> = stations.into_iter().map(|station| station.code).collect();
                let row = |rule: &Known| {
                    let misfits = misfits(rule, &parameters, &codes);
                    let trouble: Vec<_> = misfits.iter().map(ToString::to_string).collect();
                    row(rule, &trouble.join("; "))
                };
                let rules = registry.rules().await?;
                output::rows(self.output, &rules.iter().map(row).collect::<Vec<_>>())
            }
            Act::Remove { code } => {
                let code =
                    RuleCode::new(&code).map_err(|error| Trouble::Usage(error.to_string()))?;
                registry.drop_rule(&code).await?;
                eprintln!("{code} is removed; alerts open under it are withdrawn");
                Ok(())
            }
        }
    }
}

fn row(rule: &Known, trouble: &str) -> Row {
    let levels: Vec<_> =
        rule.levels.iter().map(|l| format!("{} (clear {})", l.limit, l.clear)).collect();
    let stations: Vec<_> = rule.stations.iter().map(StationCode::as_str).collect();
    let everywhere = stations.is_empty();
    vec![
        ("code", json!(rule.code.as_str())),
        ("name", json!(rule.name)),
        ("parameter", json!(rule.parameter.as_str())),
        ("levels", json!(levels.join(", "))),
        ("hold_s", json!(rule.hold.as_secs())),
        ("stations", json!(if everywhere { "all".to_owned() } else { stations.join(", ") })),
        ("trouble", json!(trouble)),
    ]
}
