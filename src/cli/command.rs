//! `saltline station command|commands|configure|gaps …`: what a station is told, and what it said to that.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use domain::StationCode;
use registry::{Command, CommandState, Held, Registry, StationConfig, Wish};
use serde_json::{Map, Value, json};

use super::output::{self, Format, Row};
use super::{Trouble, station};

/// How often the registry is asked how far a command has come.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Tell a station to do something.
#[derive(Args)]
pub struct Tell {
    /// Its code.
    code: String,
    /// What, as reboot or resend: what the station's firmware knows.
    kind: String,
    /// With what, as from_seq=10; a value that is JSON is taken as such.
    #[arg(long = "arg", value_name = "NAME=VALUE")]
    args: Vec<String>,
    /// After this it is not to be begun, and without a receipt it is late.
    #[arg(long, default_value = "10m", value_parser = super::span_arg)]
    expires: Duration,
    /// Wait for the station's last word, or until it is late.
    #[arg(long)]
    wait: bool,
}

impl Tell {
    /// Makes the command; the running engine sends it within a second.
    pub async fn run(self, registry: &Registry, format: Format) -> Result<(), Trouble> {
        let wish = Wish {
            station: station::parse(&self.code)?,
            kind: self.kind,
            args: pairs(&self.args)?,
            expires_in: self.expires,
            once: None,
        };
        let mut command = registry.make_command(&wish).await?;
        if !self.wait {
            return output::one(format, &row(&command));
        }
        let until = tokio::time::Instant::now() + self.expires + Duration::from_secs(5);
        while !command.state.is_over() && tokio::time::Instant::now() < until {
            tokio::time::sleep(LOOK_EVERY).await;
            command = registry.command(&command.id).await?.unwrap_or(command);
        }
        output::one(format, &row(&command))?;
        match command.state {
            CommandState::Done => Ok(()),
            CommandState::Failed => Err(Trouble::No(format!("failed: {}", command.why))),
            CommandState::Late => Err(Trouble::No("late: no receipt came".to_owned())),
            state => Err(Trouble::Later(format!("it is {}: does the engine run?", state.as_str()))),
        }
    }
}

/// Lists a station's commands, newest first.
pub async fn list(
    registry: &Registry,
    code: &str,
    limit: u32,
    format: Format,
) -> Result<(), Trouble> {
    let commands = registry.commands(Some(&known(registry, code).await?), limit).await?;
    output::rows(format, &commands.iter().map(row).collect::<Vec<_>>())
}

/// Say how a station is to be set, or ask how it is.
#[derive(Args)]
pub struct Configure {
    /// Its code.
    code: String,
    /// A file (JSON or TOML) with the whole configuration, or names and values as interval_s=300 that change what is
    /// wanted now; `name=` takes a name away. Without any: shows what is wanted and what the station has.
    #[arg(value_name = "FILE|NAME=VALUE")]
    what: Vec<String>,
}

impl Configure {
    /// Does it; the running engine tells the station.
    pub async fn run(self, registry: &Registry, format: Format) -> Result<(), Trouble> {
        let code = known(registry, &self.code).await?;
        let before = registry.station_config(&code).await?;
        let after = match self.what.as_slice() {
            [] => before,
            [file] if !file.contains('=') => {
                Some(registry.configure(&code, &file_of(Path::new(file))?).await?)
            }
            words => {
                let desired = before.and_then(|config| config.desired);
                let mut wanted = desired.map_or_else(Map::new, |held| held.config);
                for (name, value) in pairs(words)? {
                    match value {
                        Value::Null => drop(wanted.remove(&name)),
                        value => drop(wanted.insert(name, value)),
                    }
                }
                Some(registry.configure(&code, &wanted).await?)
            }
        };
        output::one(format, &config_row(&code, after.as_ref()))
    }
}

async fn known(registry: &Registry, code: &str) -> Result<StationCode, Trouble> {
    let code = station::parse(code)?;
    match registry.station(&code).await? {
        Some(_) => Ok(code),
        None => Err(Trouble::No(format!("there is no station `{code}`"))),
    }
}

fn file_of(path: &Path) -> Result<Map<String, Value>, Trouble> {
    let bad = |why: String| Trouble::Usage(format!("`{}`: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    let value: Value = match path.extension().is_some_and(|kind| kind == "toml") {
        true => toml::from_str(&text).map_err(|error| bad(error.to_string()))?,
        false => serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?,
    };
    match value {
        Value::Object(config) => Ok(config),
        _ => Err(bad("a configuration is an object of names and values".to_owned())),
    }
}

/// `name=value` pairs; a value that reads as JSON is that, any other is a text, and none is null.
fn pairs(words: &[String]) -> Result<Map<String, Value>, Trouble> {
    let pair = |word: &String| match word.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value_of(value))),
        _ => Err(Trouble::Usage(format!("`{word}`: write NAME=VALUE"))),
    };
    words.iter().map(pair).collect()
}

fn value_of(text: &str) -> Value {
    match text {
        "" => Value::Null,
        text => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
    }
}

fn row(command: &Command) -> Row {
    vec![
        ("id", json!(command.id)),
        ("station", json!(command.station.as_str())),
        ("kind", json!(command.kind)),
        ("args", json!(command.args)),
        ("state", json!(command.state.as_str())),
        ("why", json!(command.why)),
        ("made_at", json!(command.made_at.to_string())),
        ("made_by", json!(command.made_by)),
        ("expires", json!(command.expires_at.to_string())),
        ("state_at", json!(command.state_at.to_string())),
    ]
}

fn config_row(code: &StationCode, config: Option<&StationConfig>) -> Row {
    let of = |held: Option<&Held>| held.map(|held| Value::Object(held.config.clone()));
    let desired = config.and_then(|config| config.desired.as_ref());
    let reported = config.and_then(|config| config.reported.as_ref());
    vec![
        ("station", json!(code.as_str())),
        ("in_sync", json!(config.and_then(StationConfig::in_sync))),
        (
            "differs_since",
            json!(config.and_then(|config| config.differs_since).map(|at| at.to_string())),
        ),
        ("desired", json!(of(desired))),
        ("desired_hash", json!(desired.map(|held| &held.hash))),
        ("reported", json!(of(reported))),
        ("reported_hash", json!(reported.map(|held| &held.hash))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_json_where_it_reads_as_such() {
        let words = ["n=5", "on=true", "name=Vàm Kênh", "list=[1]", "gone=", "eq=a=b"];
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let read = Value::Object(pairs(&words).ok().unwrap());
        let wanted = json!({
            "n": 5, "on": true, "name": "Vàm Kênh", "list": [1], "gone": null, "eq": "a=b"
        });
        assert_eq!(read, wanted);
        assert!(pairs(&["novalue".to_owned()]).is_err() && pairs(&["=1".to_owned()]).is_err());
    }
}
