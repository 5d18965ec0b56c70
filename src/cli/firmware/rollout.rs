//! `saltline firmware roll-out …`: who gets an image, ring by ring; the running engine does it.

use std::time::Duration;

use ::firmware::Terms;
use clap::{Args, Subcommand};
use registry::{Registry, Rollout, RolloutState, RolloutStation, RolloutTerms, Steer};
use serde_json::json;

use super::super::output::{self, Format, Row};
use super::super::{Trouble, span_arg, station};

/// Roll-outs that are listed.
const LISTED: u32 = 50;

/// Bring an image to the stations, ring by ring: one of a hundred, one of ten, all.
#[derive(Args)]
pub struct RollOut {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Begin. The stations of the model that run something older get it.
    Start(Start),
    /// Offer it to nobody else for now; who was offered it goes on.
    Pause {
        /// The roll-out: its id, or its beginning.
        id: String,
    },
    /// Go on after a pause, or after a halt, then without the stations that were bad.
    Resume {
        /// The roll-out: its id, or its beginning.
        id: String,
    },
    /// Offer it to nobody else, and take it back from those who have not begun to install it.
    Halt {
        /// The roll-out: its id, or its beginning.
        id: String,
        /// Why, for the audit.
        #[arg(long, default_value = "halted by hand")]
        why: String,
    },
    /// How far roll-outs have come; with an id, station by station.
    Status {
        /// The roll-out: its id, or its beginning.
        id: Option<String>,
    },
}

#[derive(Args)]
struct Start {
    /// MODEL@VERSION, or the beginning of its sha-256.
    image: String,
    /// Stations that are to be in the first ring.
    #[arg(long, value_delimiter = ',', value_name = "CODE")]
    first: Vec<String>,
    /// A station runs it for so long before it counts as healthy; firmware.soak where it is left out.
    #[arg(long, value_parser = span_arg)]
    soak: Option<Duration>,
    /// Without a reading for so long after the install began a station is silent; firmware.silent_after where it is
    /// left out.
    #[arg(long, value_parser = span_arg)]
    silent_after: Option<Duration>,
    /// Out of a hundred stations of a ring so many have to be healthy; firmware.healthy_percent where it is left out.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=100))]
    healthy: Option<u8>,
}

impl RollOut {
    /// Does it.
    pub async fn run(
        self,
        registry: &Registry,
        usual: Terms,
        format: Format,
    ) -> Result<(), Trouble> {
        let (id, steer, why) = match self.act {
            Act::Start(start) => return start.run(registry, usual, format).await,
            Act::Status { id } => return status(registry, id.as_deref(), format).await,
            Act::Pause { id } => (id, Steer::Pause, String::new()),
            Act::Resume { id } => (id, Steer::Resume, String::new()),
            Act::Halt { id, why } => (id, Steer::Halt, why),
        };
        let id = meant(registry, &id).await?.id;
        output::one(format, &row(&registry.steer_rollout(&id, steer, &why).await?))
    }
}

impl Start {
    async fn run(self, registry: &Registry, usual: Terms, format: Format) -> Result<(), Trouble> {
        let image = super::meant(registry, &self.image).await?;
        let named = self.first.iter().map(|code| station::parse(code));
        let named = named.collect::<Result<Vec<_>, _>>()?;
        let terms = RolloutTerms {
            soak: self.soak.unwrap_or(usual.soak),
            silent_after: self.silent_after.unwrap_or(usual.silent_after),
            silent_intervals: usual.silent_intervals,
            healthy_percent: self.healthy.unwrap_or(usual.healthy_percent),
        };
        let rollout = registry.start_rollout(&image.release.digest, &named, &terms).await?;
        output::one(format, &row(&rollout))
    }
}

async fn status(registry: &Registry, id: Option<&str>, format: Format) -> Result<(), Trouble> {
    let Some(id) = id else {
        let all = registry.rollouts(LISTED).await?;
        return output::rows(format, &all.iter().map(row).collect::<Vec<_>>());
    };
    let rollout = meant(registry, id).await?;
    let (number, of) = (rollout.ring.map_or(0, |(ring, _)| ring + 1), 3);
    eprintln!(
        "{} {}: {}, ring {number} of {of}{}{}",
        rollout.release.model,
        rollout.release.version,
        rollout.state.as_str(),
        if rollout.why.is_empty() { "" } else { ": " },
        rollout.why
    );
    let stations = registry.rollout_stations(&rollout.id).await?;
    output::rows(format, &stations.iter().map(station_row).collect::<Vec<_>>())
}

async fn meant(registry: &Registry, text: &str) -> Result<Rollout, Trouble> {
    let all = registry.rollouts(LISTED).await?;
    let mut found = all.into_iter().filter(|rollout| rollout.id.starts_with(text));
    match (found.next(), found.next()) {
        (Some(rollout), None) => Ok(rollout),
        (None, _) => Err(Trouble::No(format!("there is no roll-out `{text}`"))),
        (Some(_), Some(_)) => Err(Trouble::Usage(format!("`{text}` is more than one roll-out"))),
    }
}

fn row(rollout: &Rollout) -> Row {
    let first: Vec<&str> = rollout.named.iter().map(domain::StationCode::as_str).collect();
    let ring = rollout.ring.filter(|_| rollout.state != RolloutState::Made);
    vec![
        ("id", json!(rollout.id)),
        ("model", json!(rollout.release.model.as_str())),
        ("version", json!(rollout.release.version.to_string())),
        ("state", json!(rollout.state.as_str())),
        ("ring", json!(ring.map(|(ring, _)| ring + 1))),
        ("since", json!(station::local(rollout.state_at))),
        ("why", json!(rollout.why)),
        ("first", json!(first.join(","))),
        ("soak_s", json!(rollout.terms.soak.as_secs())),
        ("silent_after_s", json!(rollout.terms.silent_after.as_secs())),
        ("healthy_percent", json!(rollout.terms.healthy_percent)),
        ("made_by", json!(rollout.made_by)),
    ]
}

fn station_row(one: &RolloutStation) -> Row {
    let at = |at: Option<domain::Timestamp>| json!(at.map(station::local));
    vec![
        ("station", json!(one.station.as_str())),
        ("ring", json!(one.ring + 1)),
        ("state", json!(one.standing())),
        ("why", json!(one.bad.as_deref().or(one.failed.map(|(_, fault)| fault.as_str())))),
        ("offered_at", at(one.offered_at)),
        ("installing_at", at(one.installing_at)),
        ("running_at", at(one.running_at)),
    ]
}
