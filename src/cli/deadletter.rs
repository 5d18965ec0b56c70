//! `saltline deadletter …`: the packets that were refused, looked at beside a running engine, and sent in again by it.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::{Args, Subcommand};
use domain::{Reason, Timestamp};
use registry::{Registry, Replay, ReplayState, ReplayWish};
use serde_json::{Value, json};

use super::output::{self, Format, Row};
use super::{Place, Trouble, station};
use crate::letters::{self, Kept, LETTERS_MAX, Wanted};
use crate::store::{DEAD_LETTERS, open_registry};

/// How long an engine that runs may take to send letters in: it looks each second, and takes 500 at a look.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// How often the registry is asked whether the engine is done.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Bytes of a payload shown in a table.
const PREVIEW_CHARS: usize = 60;

/// The packets that were refused, byte for byte.
#[derive(Args)]
pub struct Deadletter {
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
    /// List refused packets, newest first.
    List {
        #[command(flatten)]
        choice: Choice,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Send refused packets in again, after the profile is mended. The running engine does it; what went in once is
    /// not sent in again, and what is still refused says why.
    Replay {
        #[command(flatten)]
        choice: Choice,
        /// Every letter there is, where nothing else is chosen.
        #[arg(long)]
        all: bool,
        /// Move the times that could not be believed: by so much, as 5m or -7h or 20524d3h, or auto: each station's so
        /// that its last letter was taken when it came. Letters refused as too_old or in_future, unless --reason says
        /// another.
        #[arg(long, allow_hyphen_values = true, value_parser = shift)]
        shift: Option<Shift>,
        /// Ask, and do not wait for the engine.
        #[arg(long)]
        no_wait: bool,
    },
}

/// By how much times are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shift {
    /// By so many milliseconds.
    By(i64),
    /// As each station's last letter says.
    Auto,
}

fn shift(text: &str) -> Result<Shift, String> {
    if text == "auto" {
        return Ok(Shift::Auto);
    }
    let (sign, long) = match text.strip_prefix('-') {
        Some(long) => (-1, long),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let wanted = "write a duration, as 5m, -7h or 20524d3h, or auto";
    let long = super::span(long).ok_or(wanted)?;
    let millis = i64::try_from(long.as_millis()).map_err(|_| wanted)?;
    Ok(Shift::By(sign * millis))
}

/// Which letters.
#[derive(Args)]
struct Choice {
    /// The letter with this number.
    #[arg(long)]
    id: Option<u64>,
    /// Letters of this station.
    #[arg(long)]
    station: Option<String>,
    /// Letters refused for this reason, as unknown_parameter.
    #[arg(long)]
    reason: Option<String>,
    /// Letters since this time (RFC 3339), or since so long ago, as 2d.
    #[arg(long)]
    since: Option<String>,
}

impl Choice {
    fn wanted(self, now: Timestamp) -> Result<Wanted, Trouble> {
        let reason = self.reason.as_deref().map(reason).transpose()?;
        let since = self.since.as_deref().map(|text| since(text, now)).transpose()?;
        Ok(Wanted { id: self.id, station: self.station, reason, since, before: None })
    }

    fn is_empty(&self) -> bool {
        self.id.is_none() && self.station.is_none() && self.reason.is_none() && self.since.is_none()
    }
}

fn reason(text: &str) -> Result<Reason, Trouble> {
    Reason::parse(text).ok_or_else(|| {
        let all: Vec<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        Trouble::Usage(format!("`{text}` is not one of {}", all.join(", ")))
    })
}

/// An instant, or how long before `now`.
fn since(text: &str, now: Timestamp) -> Result<Timestamp, Trouble> {
    if let Ok(at) = Timestamp::parse_rfc3339(text) {
        return Ok(at);
    }
    let long = super::span(text)
        .ok_or_else(|| Trouble::Usage("--since is a time with an offset, or as 2d".to_owned()))?;
    Ok(now - long)
}

impl Deadletter {
    /// Does it.
    pub async fn run(self) -> Result<(), Trouble> {
        let dir = self.place.settings()?.data_dir;
        let registry = open_registry(&dir).await?.by("cli");
        let now = domain::Clock::now(&crate::clock::SystemClock);
        match self.act {
            Act::List { choice, limit } => {
                let found = letters::newest(&dir.join(DEAD_LETTERS), &choice.wanted(now)?, limit)?;
                let found = letters::with_replays(found, &registry).await?;
                let row = |kept: &Kept| row(kept, self.output);
                output::rows(self.output, &found.iter().map(row).collect::<Vec<_>>())
            }
            Act::Replay { choice, all, shift, no_wait } => {
                if choice.is_empty() && !all {
                    let why =
                        "choose letters by --id, --station, --reason or --since, or say --all";
                    return Err(Trouble::Usage(why.to_owned()));
                }
                let any_reason = shift.is_none() || choice.reason.is_some() || choice.id.is_some();
                let wanted = choice.wanted(now)?;
                let mut found = letters::newest(&dir.join(DEAD_LETTERS), &wanted, LETTERS_MAX)?;
                found.retain(|kept| any_reason || is_of_time(kept.letter.reason));
                let stations = registry.stations().await?.into_iter();
                let profiles = stations.map(|it| (it.code.to_string(), it.profile)).collect();
                let wishes = wishes(found, shift, &profiles);
                replay(&registry, &wishes, no_wait, self.output).await
            }
        }
    }
}

fn is_of_time(reason: Reason) -> bool {
    matches!(reason, Reason::TooOld | Reason::InFuture)
}

/// The letters with what is to be done to their times.
fn wishes(
    mut found: Vec<Kept>,
    shift: Option<Shift>,
    profiles: &BTreeMap<String, domain::Profile>,
) -> Vec<ReplayWish> {
    found.sort_unstable_by_key(|kept| kept.id);
    let letters: Vec<_> = found.into_iter().map(|kept| (kept.id, kept.letter)).collect();
    let auto = match shift {
        Some(Shift::Auto) => ingest::auto_shifts(&letters, &ingest::ADMIT, profiles),
        Some(Shift::By(_)) | None => BTreeMap::new(),
    };
    let wish = |(letter, kept): &(u64, ingest::DeadLetter)| ReplayWish {
        letter: *letter,
        received_at: kept.received_at,
        shift_ms: match shift {
            Some(Shift::By(millis)) => Some(millis),
            Some(Shift::Auto) => auto.get(letter).copied(),
            None => None,
        },
    };
    letters.iter().map(wish).collect()
}

async fn replay(
    registry: &Registry,
    wishes: &[ReplayWish],
    no_wait: bool,
    format: Format,
) -> Result<(), Trouble> {
    if wishes.is_empty() {
        return Err(Trouble::No("no letter is kept that fits".to_owned()));
    }
    let asked = registry.ask_replays(wishes).await?;
    if !asked.already.is_empty() {
        eprintln!(
            "{} of {} went in before and stay as they are",
            asked.already.len(),
            wishes.len()
        );
    }
    let ids = (asked.asked.iter().min().copied(), asked.asked.iter().max().copied());
    let (Some(first), Some(last)) = ids else {
        return Err(Trouble::No("all of these letters went in before".to_owned()));
    };
    if no_wait {
        eprintln!("{} asked for; the running engine sends them in", asked.asked.len());
        return Ok(());
    }
    let done = wait(registry, (first, last), &asked.asked).await?;
    output::rows(format, &done.iter().map(done_row).collect::<Vec<_>>())?;
    let refused = done.iter().filter(|replay| replay.state != ReplayState::Replayed).count();
    match refused {
        0 => Ok(()),
        _ => Err(Trouble::No(format!("{refused} of {} are still refused", done.len()))),
    }
}

/// Waits until the engine has done all that was asked.
async fn wait(
    registry: &Registry,
    (first, last): (u64, u64),
    asked: &[u64],
) -> Result<Vec<Replay>, Trouble> {
    let begun = tokio::time::Instant::now();
    loop {
        let mut replays = registry.replays(first, last).await?;
        replays.retain(|replay| asked.binary_search(&replay.letter).is_ok());
        if replays.iter().all(|replay| replay.state != ReplayState::Asked) {
            return Ok(replays);
        }
        if WAIT_MAX < begun.elapsed() {
            let left = replays.iter().filter(|r| r.state == ReplayState::Asked).count();
            let why = format!("{left} letters wait for the engine: does it run on this folder?");
            return Err(Trouble::Later(why));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn done_row(replay: &Replay) -> Row {
    vec![
        ("id", json!(replay.letter)),
        ("outcome", json!(replay.state.as_str())),
        ("shift_s", json!(replay.shift_ms.map(|millis| millis as f64 / 1e3))),
        ("why", json!(replay.why)),
    ]
}

fn row(kept: &Kept, format: Format) -> Row {
    let letter = &kept.letter;
    let payload = String::from_utf8_lossy(&letter.payload);
    let shown = match format {
        Format::Table => payload.chars().take(PREVIEW_CHARS).map(visible).collect(),
        Format::Json | Format::Csv => payload.into_owned(),
    };
    let time = match format {
        Format::Table => station::local(letter.received_at),
        Format::Json | Format::Csv => letter.received_at.to_string(),
    };
    let mut row: Row = vec![
        ("id", json!(kept.id)),
        ("time", json!(time)),
        ("station", json!(letter.station)),
        ("topic", json!(letter.topic)),
        ("reason", json!(letter.reason.as_str())),
        ("detail", json!(letter.detail)),
        ("replay", json!(kept.replay.as_ref().map(|replay| replay.state.as_str()))),
        ("why", kept.replay.as_ref().map_or(Value::Null, |replay| json!(replay.why))),
        ("bytes", json!(letter.payload.len())),
    ];
    if matches!(format, Format::Table) {
        row.retain(|(name, _)| !matches!(*name, "topic" | "why"));
    }
    row.push(("payload", json!(shown)));
    row
}

/// A line stays a line.
fn visible(letter: char) -> char {
    if letter.is_control() { '·' } else { letter }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_goes_both_ways_or_finds_itself() {
        for (text, wanted) in [
            ("auto", Some(Shift::Auto)),
            ("5m", Some(Shift::By(300_000))),
            ("+5m", Some(Shift::By(300_000))),
            ("-7h", Some(Shift::By(-25_200_000))),
            ("20524d 3h", Some(Shift::By(1_773_284_400_000))),
            ("20524d3h", Some(Shift::By(1_773_284_400_000))),
            ("--5m", None),
            ("0s", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(shift(text).ok(), wanted, "{text}");
        }
    }
}
