//! `saltline import FOLDER`: applies a province pack.

use std::path::PathBuf;

use clap::Args;
use registry::pack::Count;
use serde_json::json;

use super::output::{self, Format, Row};
use super::{Place, Trouble};
use crate::store::open_registry;

/// Apply a province pack.
#[derive(Args)]
pub struct Import {
    #[command(flatten)]
    place: Place,
    /// How rows are written.
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    output: Format,
    /// The pack's folder, as configs/tien-giang.
    pack: PathBuf,
}

impl Import {
    /// Does it.
    pub async fn run(self) -> Result<(), Trouble> {
        let pack = registry::pack::read_dir(&self.pack)?;
        let registry = open_registry(&self.place.settings()?.data_dir).await?.by("cli");
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
        ];
        output::rows(self.output, &rows)?;
        let keyless = registry.keyless().await?;
        if !keyless.is_empty() {
            let codes: Vec<_> = keyless.iter().map(domain::StationCode::as_str).collect();
            eprintln!("without a key (saltline station rotate-key CODE): {}", codes.join(", "));
        }
        Ok(())
    }
}
