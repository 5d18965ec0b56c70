//! `saltline station …`: works on the data folder, beside a running engine.

use clap::{Args, Subcommand};
use domain::derived::{BadDerivation, Derived, Method};
use domain::{ParameterCode, StationCode, Timestamp, parse_utc_offset};
use ingest::Clocks;
use serde_json::json;

use super::output::{self, Format, Row};
use super::{Place, Trouble, claim, command, token};
use crate::snapshot;
use crate::store::open_registry;

/// The stations of the province.
#[derive(Args)]
pub struct Station {
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
    /// Add a station and print its key, once.
    Add(Add),
    /// List the stations.
    List,
    /// Show one station.
    Show {
        /// Its code.
        code: String,
    },
    /// Tell a station to do something.
    Command(command::Tell),
    /// List what a station was told, newest first.
    Commands {
        /// Its code.
        code: String,
        /// At most so many.
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Say how a station is to be set, or ask how it is.
    Configure(command::Configure),
    /// Say what is made of a station's readings, and how, in place of what was said before. From now on: what was stored
    /// stays.
    Derive {
        /// Its code.
        code: String,
        /// As salinity=salinity:pss-78, one made of another behind it; none: nothing is made.
        #[arg(value_name = "PARAMETER=METHOD")]
        what: Vec<String>,
    },
    /// Take a station away: its key no longer opens a connection, its duties end, its readings stay.
    Remove {
        /// Its code.
        code: String,
        /// Yes, this station.
        #[arg(long)]
        yes: bool,
    },
    /// Give a station a new key and print it, once. The old one no longer opens a connection.
    RotateKey {
        /// Its code.
        code: String,
        /// How long the old key opens beside the new one, as 24h, at most 90d.
        #[arg(long)]
        grace: Option<String>,
    },
    /// Revoke every key of a station. Connections that they opened end within seconds.
    RevokeKey {
        /// Its code.
        code: String,
    },
    /// Keep a station out, and end its connection. Its keys stay.
    Disable {
        /// Its code.
        code: String,
    },
    /// Let a station in again.
    Enable {
        /// Its code.
        code: String,
    },
    /// Print a code that exchanges for the station's key, once; as a QR code for a label.
    ClaimCode(claim::Claim),
}

#[derive(Args)]
struct Add {
    /// Its code: 1 to 32 of a-z, 0-9 and -. Also its user name and client id on MQTT.
    code: String,
    /// Its name as people say it.
    #[arg(long)]
    name: Option<String>,
    /// Degrees north, WGS 84.
    #[arg(long, requires = "lon", allow_negative_numbers = true)]
    lat: Option<f64>,
    /// Degrees east, WGS 84.
    #[arg(long, requires = "lat", allow_negative_numbers = true)]
    lon: Option<f64>,
    /// The river or branch it stands on.
    #[arg(long)]
    river: Option<String>,
    /// Kilometres up that river from the mouth.
    #[arg(long)]
    km: Option<f64>,
    /// Time between two reports, as 5m. After two without a good reading the water is unknown.
    #[arg(long, default_value = "15m")]
    interval: jiff::SignedDuration,
    /// What a gateway or another broker calls it, as a LoRaWAN DevEUI; may be said several times.
    #[arg(long = "known-as", value_name = "NAME")]
    known_as: Vec<String>,
    /// How far its clock is ahead of UTC, as +07:00, where it writes times without an offset. They are refused else.
    #[arg(long, allow_hyphen_values = true)]
    utc_offset: Option<String>,
    /// What its payloads are where nothing else says it: json, table, senml-json, circular-10, bytes, …
    #[arg(long)]
    format: Option<String>,
    /// A file with [[layout]]: how its bytes lie, where it sends bare bytes.
    #[arg(long, value_name = "FILE")]
    layout: Option<std::path::PathBuf>,
    /// What nobody measures there and how it is made, as salinity=salinity:pss-78; may be said several times, one made of
    /// another behind it.
    #[arg(long, value_name = "PARAMETER=METHOD")]
    derive: Vec<String>,
}

impl Station {
    /// Does it.
    pub async fn run(self) -> Result<(), Trouble> {
        let settings = self.place.settings()?;
        let registry = open_registry(&settings.data_dir).await?.by("cli");
        match self.act {
            Act::Add(add) => {
                let station = add.station()?;
                let key = registry.add_station(&station).await?;
                output::one(self.output, &keyed(&station.code, key.reveal()))
            }
            Act::RotateKey { code, grace } => {
                let code = parse(&code)?;
                let grace = grace.map(|text| token::duration(&text)).transpose()?;
                let key = registry.rotate_key_with_grace(&code, grace.unwrap_or_default()).await?;
                output::one(self.output, &keyed(&code, key.reveal()))
            }
            Act::Command(tell) => tell.run(&registry, self.output).await,
            Act::Commands { code, limit } => {
                command::list(&registry, &code, limit, self.output).await
            }
            Act::Configure(configure) => configure.run(&registry, self.output).await,
            Act::RevokeKey { code } => {
                let opened = registry.revoke_keys(&parse(&code)?).await?;
                eprintln!("{code} {}", if opened { "has no key now" } else { "had no key" });
                Ok(())
            }
            Act::Derive { code, what } => {
                let Some(mut station) = registry.station(&parse(&code)?).await? else {
                    return Err(Trouble::No(format!("there is no station `{code}`")));
                };
                let all = what.iter().map(|text| derived(text));
                station.profile.derived = all.collect::<Result<_, _>>()?;
                registry.put_station(&station).await?;
                output::one(self.output, &row(&station))
            }
            Act::Disable { code } => {
                let changed = registry.enable_station(&parse(&code)?, false).await?;
                eprintln!("{code} {}", if changed { "is kept out" } else { "was kept out before" });
                Ok(())
            }
            Act::Enable { code } => {
                let changed = registry.enable_station(&parse(&code)?, true).await?;
                eprintln!(
                    "{code} {}",
                    if changed { "may come in" } else { "could come in before" }
                );
                Ok(())
            }
            Act::ClaimCode(claim) => {
                claim.run(&registry, self.output, settings.public_url.as_deref()).await
            }
            Act::Remove { code, yes } => {
                let code = parse(&code)?;
                if !yes {
                    return Err(Trouble::Usage(format!(
                        "`{code}` would lose its key and its duties (readings stay); add --yes to do it"
                    )));
                }
                registry.drop_station(&code).await?;
                eprintln!("{code} is removed; its readings stay");
                Ok(())
            }
            Act::List => {
                let all = registry.stations().await?;
                output::rows(self.output, &all.iter().map(row).collect::<Vec<_>>())
            }
            Act::Show { code } => match registry.station(&parse(&code)?).await? {
                Some(station) => {
                    let mut row = row(&station);
                    row.extend(clock(&settings.data_dir, &station.code));
                    output::one(self.output, &row)
                }
                None => Err(Trouble::No(format!("there is no station `{code}`"))),
            },
        }
    }
}

impl Add {
    fn station(self) -> Result<domain::Station, Trouble> {
        let mut station = domain::Station::new(parse(&self.code)?);
        if let Some(name) = self.name {
            station.name = name;
        }
        station.place = match (self.lat, self.lon) {
            (Some(lat), Some(lon)) if lat.abs() <= 90.0 && lon.abs() <= 180.0 => {
                Some(domain::Place { lat, lon })
            }
            (None, None) => None,
            _ => return Err(Trouble::Usage("--lat and --lon are degrees".to_owned())),
        };
        station.known_as = self.known_as;
        station.profile.utc_offset_s = match self.utc_offset.as_deref() {
            Some(text) => Some(parse_utc_offset(text).ok_or_else(|| {
                Trouble::Usage("--utc-offset is the station's clock, as +07:00 or Z".to_owned())
            })?),
            None => None,
        };
        station.profile.format = self.format.as_deref().map(format).transpose()?;
        if let Some(file) = &self.layout {
            let text = std::fs::read_to_string(file)
                .map_err(|error| Trouble::Usage(format!("--layout {}: {error}", file.display())))?;
            station.profile.layout = registry::pack::read_layout(&text)?;
        }
        station.profile.derived =
            self.derive.iter().map(|text| derived(text)).collect::<Result<_, _>>()?;
        station.river = self.river;
        station.km_from_mouth = self.km;
        station.interval = std::time::Duration::try_from(self.interval)
            .ok()
            .filter(|interval| !interval.is_zero())
            .ok_or_else(|| Trouble::Usage("--interval is above zero, as 5m".to_owned()))?;
        Ok(station)
    }
}

/// `salinity=salinity:pss-78`: made of what the method is usually made of.
fn derived(text: &str) -> Result<Derived, Trouble> {
    let wrong = |why: String| Trouble::Usage(format!("`{text}`: {why}"));
    let Some((parameter, method)) = text.split_once('=') else {
        return Err(wrong("write PARAMETER=METHOD, as salinity=salinity:pss-78".to_owned()));
    };
    let parameter = ParameterCode::new(parameter).map_err(|why| wrong(why.to_string()))?;
    let method: Method = method.parse().map_err(|why: BadDerivation| wrong(why.to_string()))?;
    let inputs = method.inputs().iter().filter_map(|code| ParameterCode::new(code).ok());
    Derived::new(parameter, method, inputs.collect()).map_err(|why| wrong(why.to_string()))
}

fn declared(station: &domain::Station) -> String {
    let one = |it: &Derived| format!("{}={}", it.parameter(), it.method());
    station.profile.derived.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn format(text: &str) -> Result<domain::Format, Trouble> {
    domain::Format::parse(text).ok_or_else(|| {
        let names = domain::Format::ALL.map(domain::Format::as_str).join(", ");
        Trouble::Usage(format!("--format is one of {names}"))
    })
}

/// A station's code, or why it is none.
pub fn parse(code: &str) -> Result<StationCode, Trouble> {
    StationCode::new(code).map_err(|error| Trouble::Usage(error.to_string()))
}

fn keyed(code: &StationCode, key: &str) -> Row {
    vec![("code", json!(code.as_str())), ("key", json!(key))]
}

fn row(station: &domain::Station) -> Row {
    let interval_s = station.interval.as_secs();
    vec![
        ("code", json!(station.code.as_str())),
        ("name", json!(station.name)),
        ("lat", json!(station.place.map(|place| place.lat))),
        ("lon", json!(station.place.map(|place| place.lon))),
        ("river", json!(station.river)),
        ("km", json!(station.km_from_mouth)),
        ("interval_s", json!(interval_s)),
        ("known_as", json!(station.known_as.join(", "))),
        ("utc_offset_s", json!(station.profile.utc_offset_s)),
        ("format", json!(station.profile.format.map(domain::Format::as_str))),
        ("layout_fields", json!(station.profile.layout.len())),
        ("derived", json!(declared(station))),
    ]
}

/// How far its clock is from ours, as the engine saved it last (every half minute, and when it stops).
fn clock(dir: &std::path::Path, code: &StationCode) -> Row {
    let clocks = Clocks::default();
    clocks.restore(snapshot::load(dir).map(|saved| saved.clocks).unwrap_or_default());
    let found = clocks.offset(code);
    vec![
        ("clock_offset_s", json!(found.as_ref().map(|it| it.ahead_ms as f64 / 1e3))),
        ("clock_seen_at", json!(found.map(|it| it.at.to_string()))),
    ]
}

/// The machine's time, for rows that carry one.
pub fn local(at: Timestamp) -> String {
    at.to_local_rfc3339()
}
