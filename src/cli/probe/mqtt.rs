//! `saltline probe mqtt URL …`: listens at somebody else's broker, shows what comes and what our formats make of it, and
//! writes the `[[ingest.upstream]]` and the stations that would take it.

mod level; // where in a topic the station stands
mod meaning; // what a name may mean
mod told; // what was heard, topic by topic
mod write; // what would take it

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use domain::Clock;
use ingest::upstream::{Address, Login, Sounding, Template, Tls, Unsounded, Version, sound};

use crate::cli::output::{self, Format};
use crate::cli::{Trouble, chain, span_arg};
use crate::clock::SystemClock;

use told::Told;

/// Somebody else's broker. Nothing is published, acknowledged or left behind there.
#[derive(Args)]
pub struct Mqtt {
    /// Where: mqtt://host:1883 or mqtts://host:8883.
    url: String,
    /// What is listened to, more than once; {station} fills the level that is the station's.
    #[arg(long = "topic", value_name = "FILTER", default_value = "#", value_parser = template)]
    topics: Vec<Template>,
    /// A station that is known, to find the level where it stands; more than once.
    #[arg(long = "station", value_name = "CODE")]
    stations: Vec<String>,
    /// Who we are there.
    #[arg(long)]
    user: Option<String>,
    /// A file that holds the password.
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// PEM file with the authorities that may have signed the broker's certificate; the system's where none is named.
    #[arg(long, value_name = "FILE")]
    tls_ca_file: Option<PathBuf>,
    /// PEM file with our own certificate, where the broker asks for one.
    #[arg(long, value_name = "FILE", requires = "tls_key_file")]
    tls_cert_file: Option<PathBuf>,
    /// PEM file with its key.
    #[arg(long, value_name = "FILE", requires = "tls_cert_file")]
    tls_key_file: Option<PathBuf>,
    /// Which MQTT is spoken: 5 or 3.1.1.
    #[arg(long, default_value = "5", value_parser = version)]
    mqtt_version: Version,
    /// For how long it is listened to.
    #[arg(long = "for", default_value = "10s", value_parser = span_arg)]
    long: Duration,
    /// Messages that are enough.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    messages: u16,
    /// Write the [[ingest.upstream]] that would take this into a file for conf.d/.
    #[arg(long, value_name = "FILE")]
    upstream: Option<PathBuf>,
    /// Write the stations with their fields into this file, for the stations.toml of a pack.
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
}

impl Mqtt {
    /// Does it.
    pub async fn run(self, format: Format) -> Result<(), Trouble> {
        let sounding = self.sounding()?;
        let heard = sound(&sounding).await.map_err(|unsounded| self.trouble(&unsounded))?;
        let told = Told::of(&heard, &self.topics, &self.stations, SystemClock.now());
        let rows = match format {
            Format::Table => told::filled(told.rows()),
            Format::Json | Format::Csv => told.rows(),
        };
        output::rows(format, &rows)?;
        if heard.is_empty() {
            let topics = self.topics.iter().map(|topic| format!("`{}`", topic.filter()));
            let topics = topics.collect::<Vec<_>>().join(", ");
            let (seconds, why) =
                (self.long.as_secs_f64(), "try a longer --for, or another --topic");
            return Err(Trouble::No(format!("nothing came on {topics} within {seconds} s; {why}")));
        }
        told.shapes().iter().for_each(|shape| eprintln!("{shape}"));
        if told.shapes().is_empty() {
            return Err(Trouble::No("none of our formats reads what came".to_owned()));
        }
        if let Some(file) = &self.upstream {
            write::upstream(file, &self, &told)?;
        }
        match &self.profile {
            Some(file) => write::stations(file, &self.url, &told),
            None => Ok(()),
        }
    }

    fn sounding(&self) -> Result<Sounding, Trouble> {
        let address =
            Address::parse(&self.url).map_err(|error| Trouble::Usage(error.to_string()))?;
        let files = self.tls_ca_file.is_some() || self.tls_cert_file.is_some();
        if files && !address.encrypted {
            let why = "mqtt:// is not encrypted; with certificates write mqtts://";
            return Err(Trouble::Usage(why.to_owned()));
        }
        let own = self.tls_cert_file.clone().zip(self.tls_key_file.clone());
        let tls = Tls { authorities: self.tls_ca_file.clone(), own };
        let random = RandomState::new().hash_one(std::process::id()) >> 32;
        Ok(Sounding {
            tls: address.encrypted.then_some(tls),
            address,
            login: self.login()?,
            version: self.mqtt_version,
            // 23 letters, which every broker has to take.
            client_id: format!("saltline-probe-{random:08x}"),
            topics: self.topics.clone(),
            long: self.long,
            messages: self.messages.into(),
        })
    }

    fn login(&self) -> Result<Option<Login>, Trouble> {
        let Some(user) = self.user.clone() else { return Ok(None) };
        let password = match &self.password_file {
            None => String::new(),
            Some(file) => std::fs::read_to_string(file)
                .map_err(|error| {
                    Trouble::Usage(format!("cannot read {}: {error}", file.display()))
                })?
                .trim()
                .to_owned(),
        };
        Ok(Some(Login { user, password }))
    }

    fn trouble(&self, unsounded: &Unsounded) -> Trouble {
        let why = format!("{}: {}", self.url, chain(unsounded));
        if unsounded.is_passing() { Trouble::Later(why) } else { Trouble::No(why) }
    }
}

fn template(text: &str) -> Result<Template, String> {
    Template::parse(text).map_err(|error| error.to_string())
}

fn version(text: &str) -> Result<Version, String> {
    match text {
        "5" => Ok(Version::V5),
        "3.1.1" => Ok(Version::V311),
        _ => Err("5 and 3.1.1 are spoken".to_owned()),
    }
}
