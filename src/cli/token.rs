//! `saltline token …`: people and services at the front door.

use std::time::Duration;

use clap::{Args, Subcommand};
use domain::{Clock, Timestamp};
use ingest::mqtt::Grant;
use registry::TokenGrant;
use serde_json::json;

use super::output::{self, Format, Row};
use super::{Place, Trouble, station};
use crate::clock::SystemClock;
use crate::store::open_registry;

/// The tokens of people and services.
#[derive(Args)]
pub struct Token {
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
    /// Add a token and print it, once. Its name is the user name on MQTT, the token the password.
    Add {
        /// The name: 1 to 64 of a-z, 0-9, -, . and _.
        name: String,
        /// What it may do, as `read:latest/#`, `write:partners/x/#` or `readwrite:…`; as often as needed.
        #[arg(long = "grant", required = true)]
        grants: Vec<String>,
        /// What it must not do although a grant says so, as `read:latest/xuan-hoa/#`.
        #[arg(long)]
        deny: Vec<String>,
        /// When it ends by itself, as 90d; never, where it is left out.
        #[arg(long)]
        expires: Option<String>,
    },
    /// List the tokens, never their secrets.
    List,
    /// Revoke a token. Connections that it opened end within seconds.
    Revoke {
        /// Its name.
        name: String,
    },
}

impl Token {
    /// Does it.
    pub async fn run(self) -> Result<(), Trouble> {
        let registry = open_registry(&self.place.settings()?.data_dir).await?.by("cli");
        match self.act {
            Act::Add { name, grants, deny, expires } => {
                let allowed = grants.iter().map(|text| grant(text, false));
                let denied = deny.iter().map(|text| grant(text, true));
                let grants = allowed.chain(denied).collect::<Result<Vec<_>, _>>()?;
                let ends = expires.map(|text| duration(&text)).transpose()?;
                let ends = ends.map(|lasts| SystemClock.now() + lasts);
                let token = registry.add_token(&name, &grants, ends).await?;
                let row: Row = vec![("name", json!(name)), ("token", json!(token.reveal()))];
                output::one(self.output, &row)
            }
            Act::List => {
                let now = SystemClock.now();
                let tokens = registry.tokens().await?;
                let rows: Vec<Row> = tokens.iter().map(|token| row(token, now)).collect();
                output::rows(self.output, &rows)
            }
            Act::Revoke { name } => {
                let opened = registry.revoke_token(&name).await?;
                eprintln!("{name} {}", if opened { "is revoked" } else { "was revoked before" });
                Ok(())
            }
        }
    }
}

fn grant(text: &str, denies: bool) -> Result<TokenGrant, Trouble> {
    let grant = Grant::parse(text).map_err(|error| Trouble::Usage(error.to_string()))?;
    let (verb, filter) = (grant.verb().as_str().to_owned(), grant.filter().to_owned());
    Ok(TokenGrant { verb, filter, denies })
}

fn row(token: &registry::Token, now: Timestamp) -> Row {
    let grant = |grant: &TokenGrant| {
        let sign = if grant.denies { "!" } else { "" };
        format!("{sign}{}:{}", grant.verb, grant.filter)
    };
    let grants: Vec<String> = token.grants.iter().map(grant).collect();
    let state = match (token.revoked_at, token.opens(now)) {
        (Some(_), _) => "revoked",
        (None, true) => "opens",
        (None, false) => "expired",
    };
    vec![
        ("name", json!(token.name)),
        ("state", json!(state)),
        ("grants", json!(grants.join(" "))),
        ("since", json!(station::local(token.created_at))),
        ("until", json!(token.expires_at.map(station::local))),
    ]
}

/// A time span as people write it, above zero; a day has 24 hours.
pub fn duration(text: &str) -> Result<Duration, Trouble> {
    let wrong = |wanted: &str| Trouble::Usage(format!("`{text}` is no such time; {wanted}"));
    crate::settings::duration(text).map_err(|wanted| wrong(wanted))
}
