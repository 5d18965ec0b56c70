//! What the configuration means: addresses, durations, sizes and secrets, checked.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ingest::line::Place;
use toml::Value;

use super::{Layers, SettingsError, mqtt};

/// The whole configuration, every value ready for use.
#[derive(Debug, Clone)]
pub struct Config {
    /// Folder of everything that must survive.
    pub data_dir: PathBuf,
    /// The front door: where it listens, whom it lets in, its limits.
    pub mqtt: ingest::mqtt::Config,
    /// Brokers that we take from.
    pub upstreams: Vec<ingest::upstream::Config>,
    /// Folders that are watched.
    pub drops: Vec<ingest::drop::Config>,
    /// Lines that we ask on.
    pub modbus: Vec<ingest::modbus::Config>,
    /// Loggers that write lines of text.
    pub serial: Vec<ingest::serial::Config>,
    /// Buses of SDI-12 sensors.
    pub sdi12: Vec<ingest::sdi12::Config>,
    /// Departments that get files.
    pub exports: Vec<crate::export::Circular10>,
    /// When the disk is low or slow.
    pub disk: crate::disk::Config,
    /// Where pages and the API are served.
    pub http_listen: SocketAddr,
    /// The address that people reach the pages by.
    pub public_url: Option<String>,
    /// A journal segment is finished at this size, bytes.
    pub segment_bytes_max: u64,
    /// Segments younger than this stay.
    pub retain: Duration,
    /// Dead letters are kept up to this size, bytes.
    pub dead_letter_bytes_max: u64,
    /// Readings in memory before they become Parquet.
    pub tail_readings_max: usize,
    /// Age of the oldest reading in memory before they become Parquet.
    pub tail_age_max: Duration,
    /// Bytes a second that making one file of a month may read and write.
    pub settle_bytes_per_second: u64,
    /// Who answers questions about the past.
    pub reader: super::Reader,
    /// QuestDB beside history, if used.
    pub questdb: Option<crate::questdb::Config>,
    /// Buckets for backups.
    pub s3: super::S3,
    /// How often silence is judged.
    pub tick: Duration,
    /// After a start silence is not judged for this long.
    pub start_grace: Duration,
    /// A gap in a station's numbers is asked for when nothing filled it for so long.
    pub gap_settle: Duration,
    /// Firmware of stations: whose word counts, and how it goes out.
    pub firmware: super::Firmware,
    /// E-mail, if used.
    pub email: Option<Channel>,
    /// SMS, if used.
    pub sms: Option<Channel>,
    /// Log level or filter.
    pub log_level: String,
}

/// A channel to people. The URL holds a password: `Debug` does not show it.
#[derive(Clone)]
pub struct Channel {
    /// Scheme, credentials, host and port.
    pub url: String,
    /// The sender.
    pub from: String,
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel").field("from", &self.from).finish_non_exhaustive()
    }
}

impl Config {
    /// Reads the configuration of `file` (or only the defaults) under this environment.
    ///
    /// # Errors
    /// The first [`SettingsError`] found, naming file, key, what was found and what would be accepted.
    pub fn read(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        Self::new(&Layers::read(file, env)?)
    }

    fn new(layers: &Layers) -> Result<Self, SettingsError> {
        let at = |key| Key { layers, key };
        let modbus = super::modbus::read(layers)?;
        // A port has one line. Through a gateway's several may go.
        let ports = modbus.iter().map(|line| line.at.place());
        let mut ports: Vec<Place> = ports.filter(|at| matches!(at, Place::Serial(_))).collect();
        let serial = super::serial::read(layers, &ports)?;
        ports.extend(serial.iter().map(|line| line.place.clone()));
        let questdb = super::questdb::read(layers)?;
        let sdi12 = super::sdi12::read(layers, &ports)?;
        Ok(Self {
            data_dir: PathBuf::from(at("data.dir").filled()?),
            mqtt: mqtt::read(layers)?,
            upstreams: super::upstream::read(layers)?,
            drops: super::drop::read(layers)?,
            modbus,
            serial,
            sdi12,
            exports: super::export::read(layers)?,
            disk: crate::disk::Config {
                low: at("data.low").size(0, 1 << 50)?,
                slow: at("data.slow").duration()?,
            },
            http_listen: at("http.listen").address()?,
            public_url: at("http.public_url").optional(),
            segment_bytes_max: at("journal.segment").size(1 << 16, 1 << 32)?,
            retain: at("journal.retain").duration()?,
            dead_letter_bytes_max: at("journal.dead_letters").size(1 << 20, 1 << 50)?,
            tail_readings_max: at("history.tail_readings_max").count()?,
            tail_age_max: at("history.tail_age_max").duration()?,
            settle_bytes_per_second: at("history.settle_bytes_per_second")
                .size(1 << 10, 1 << 40)?,
            reader: super::questdb::reader(layers, questdb.is_some())?,
            questdb,
            s3: super::s3::read(layers)?,
            tick: at("engine.tick").duration()?,
            start_grace: at("engine.start_grace").duration()?,
            gap_settle: at("engine.gap_settle").duration()?,
            firmware: super::firmware::read(layers)?,
            email: channel(
                layers,
                "channels.email.url",
                "channels.email.url_file",
                "channels.email.from",
            )?,
            sms: channel(layers, "channels.sms.url", "channels.sms.url_file", "channels.sms.from")?,
            log_level: at("log.level").filled()?,
        })
    }
}

fn channel(
    layers: &Layers,
    url: &'static str,
    file: &'static str,
    from: &'static str,
) -> Result<Option<Channel>, SettingsError> {
    let at = |key| Key { layers, key };
    let url = match (at(url).optional(), at(file).optional()) {
        (Some(_), Some(_)) => return Err(at(file).bad("set it or the url itself, not both")),
        (Some(url), None) => url,
        (None, None) => return Ok(None),
        (None, Some(path)) => std::fs::read_to_string(&path)
            .map_err(|source| SettingsError::Read { path, source })?
            .trim()
            .to_owned(),
    };
    Ok(Some(Channel { url, from: at(from).filled()? }))
}

/// One key and how it is read.
pub(super) struct Key<'a> {
    pub(super) layers: &'a Layers,
    pub(super) key: &'static str,
}

impl Key<'_> {
    pub(super) fn value(&self) -> &Value {
        self.layers.get(self.key).1
    }

    pub(super) fn origin(&self) -> &str {
        self.layers.get(self.key).0
    }

    pub(super) fn yes_or_no(&self) -> Result<bool, SettingsError> {
        self.value().as_bool().ok_or_else(|| self.bad("write true or false"))
    }

    pub(super) fn count_to(&self, most: u16) -> Result<u16, SettingsError> {
        let wanted = format!("write a whole number from 1 to {most}");
        let count = u16::try_from(self.count()?).ok().filter(|&count| count <= most);
        count.ok_or_else(|| self.bad(&wanted))
    }

    fn text(&self) -> &str {
        self.layers.get(self.key).1.as_str().unwrap_or_default()
    }

    pub(super) fn optional(&self) -> Option<String> {
        Some(self.text().to_owned()).filter(|text| !text.is_empty())
    }

    pub(super) fn filled(&self) -> Result<String, SettingsError> {
        self.optional().ok_or_else(|| self.bad("it must not be empty"))
    }

    pub(super) fn address(&self) -> Result<SocketAddr, SettingsError> {
        self.text().parse().map_err(|_| self.bad("write an address and port, as 127.0.0.1:1883"))
    }

    pub(super) fn duration(&self) -> Result<Duration, SettingsError> {
        duration(self.text()).map_err(|wanted| self.bad(wanted))
    }

    pub(super) fn size(&self, least: u64, most: u64) -> Result<u64, SettingsError> {
        size(self.text(), least, most).map_err(|wanted| self.bad(&wanted))
    }

    pub(super) fn count(&self) -> Result<usize, SettingsError> {
        let (_, value) = self.layers.get(self.key);
        let count = value.as_integer().and_then(|n| usize::try_from(n).ok());
        count.filter(|&n| 0 < n).ok_or_else(|| self.bad("write a whole number above zero"))
    }

    /// As [`bad`](Self::bad), for a value that may hold a secret.
    pub(super) fn hidden(&self, wanted: &str) -> SettingsError {
        let (origin, _) = self.layers.get(self.key);
        SettingsError::BadValue {
            origin: origin.to_owned(),
            key: self.key.to_owned(),
            found: "not shown".to_owned(),
            wanted: wanted.to_owned(),
        }
    }

    pub(super) fn bad(&self, wanted: &str) -> SettingsError {
        let (origin, value) = self.layers.get(self.key);
        let found = match value {
            Value::String(_) if self.key.starts_with("channels.") && self.key.ends_with("url") => {
                "not shown".to_owned()
            }
            value => format!("`{value}`"),
        };
        SettingsError::BadValue {
            origin: origin.to_owned(),
            key: self.key.to_owned(),
            found,
            wanted: wanted.to_owned(),
        }
    }
}

/// Reads a duration; the error is what would be accepted.
pub(crate) fn duration(text: &str) -> Result<Duration, &'static str> {
    let wanted = "write a duration above zero, as 15m, 1h 30m or 60d";
    let span: jiff::Span = text.parse().map_err(|_| wanted)?;
    // A day of a duration is 24 hours: nothing here follows a calendar.
    let days = jiff::SpanRelativeTo::days_are_24_hours();
    let duration = span.to_duration(days).map_err(|_| wanted)?;
    Duration::try_from(duration).ok().filter(|duration| !duration.is_zero()).ok_or(wanted)
}

/// Reads a size in bytes; the error is what would be accepted.
pub(super) fn size(text: &str, least: u64, most: u64) -> Result<u64, String> {
    let show = |bytes| bytesize::ByteSize(bytes).display().iec().to_string();
    let wanted = || format!("write a size from {} to {}", show(least), show(most));
    let size = text.parse::<bytesize::ByteSize>().map_err(|_| wanted())?.as_u64();
    if (least..=most).contains(&size) { Ok(size) } else { Err(wanted()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Result<Config, SettingsError> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("saltline.toml");
        std::fs::write(&file, text).unwrap();
        Config::read(Some(&file), [])
    }

    fn message(text: &str) -> String {
        with(text).unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_are_safe_and_complete() {
        let config = Config::read(None, []).unwrap();
        assert!(config.mqtt.listen.ip().is_loopback() && config.http_listen.ip().is_loopback());
        assert!(config.mqtt.tls.is_none() && config.email.is_none() && config.sms.is_none());
        assert!(config.mqtt.anonymous.is_empty() && !config.mqtt.anonymous_websocket);
        assert!(!config.mqtt.anonymous_named && config.mqtt.topic_alias_max == 16);
        assert_eq!(config.retain, Duration::from_hours(60 * 24));
        assert_eq!(config.mqtt.packet_bytes_max, 256 << 10);
    }

    #[test]
    fn a_wrong_key_is_named_with_its_file_and_the_nearest_right_one() {
        let text = message("[mqtt]\nlissten = \"127.0.0.1:1\"");
        assert!(text.contains("saltline.toml") && text.contains("`mqtt.lissten`"), "{text}");
        assert!(text.contains("did you mean `listen`?"), "{text}");
        assert!(message("[mqqt]\nlisten = \"x\"").contains("did you mean `mqtt`?"));
    }

    #[test]
    fn a_wrong_value_says_what_would_be_accepted() {
        for (text, part) in [
            ("[mqtt]\nlisten = \"1883\"", "127.0.0.1:1883"),
            ("[mqtt]\nlisten = 1883", "a string is wanted"),
            ("[mqtt.limits]\nconnections = 0", "whole number above zero"),
            ("[mqtt.limits]\nin_flight = 70000", "from 1 to 65535"),
            ("[mqtt.limits]\ntopic_aliases = 70000", "from 1 to 65535"),
            ("[mqtt.limits]\nqueue_policy = \"drop\"", "drop-newest, drop-oldest or disconnect"),
            ("[mqtt]\nkeep_alive_max = \"20h\"", "65535s"),
            ("[mqtt]\ntls_crl_file = \"x\"", "tls_client_ca_file"),
            ("[journal]\nretain = \"two moons\"", "write a duration"),
            ("[journal]\nretain = \"0s\"", "above zero"),
            ("[journal]\nsegment = \"1B\"", "64.0 KiB"),
            ("[data]\ndir = \"\"", "must not be empty"),
            ("[mqtt]\ntls_listen = \"127.0.0.1:0\"", "tls_cert_file"),
            ("[firmware]\nkeys = \"9d61\"", "array is wanted"),
            ("[firmware]\nkeys = [\"9d61\"]", "64 of 0-9 and a-f"),
            ("[firmware]\nchunk = \"1MiB\"", "32.0 KiB"),
            ("[firmware]\nhealthy_percent = 101", "from 1 to 100"),
            ("[channels.email]\nurl = \"smtp://a\"\nurl_file = \"b\"", "not both"),
        ] {
            let text = message(text);
            assert!(text.contains(part), "{text}");
        }
        assert!(matches!(with("[mqtt"), Err(SettingsError::Syntax { .. })));
    }

    #[test]
    fn anonymous_access_stays_on_loopback_and_says_what_it_means() {
        let entry = "[[mqtt.anonymous]]\ngrants = [\"readwrite:#\"]\ndeny = [\"read:a\"]\n";
        assert_eq!(with(entry).unwrap().mqtt.anonymous.len(), 2);
        let open = message(&format!("[mqtt]\nlisten = \"0.0.0.0:1883\"\n{entry}"));
        assert!(open.contains("mqtt.listen") && open.contains("loopback"), "{open}");
        for (text, part) in [
            ("[[mqtt.anonymous]]\ngrant = [\"read:#\"]", "`mqtt.anonymous.grant`"),
            ("[[mqtt.anonymous]]\ngrants = [\"reed:#\"]", "`read:`"),
            ("[[mqtt.anonymous]]\ngrants = [\"read:a#\"]", "topic filter"),
            ("[[mqtt.anonymous]]\ngrants = \"read:a\"", "a list such as"),
            ("[mqtt]\nanonymous = [1]", "[[mqtt.anonymous]]"),
            (
                "[mqtt]\nanonymous_websocket = true\n[http]\npublic_url = \"https://x.vn\"",
                "no http.public_url",
            ),
        ] {
            let text = message(text);
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn conformance_suites_run_against_a_configuration_of_ours() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/conformance.toml");
        let config = Config::read(Some(&file), []).unwrap().mqtt;
        assert_eq!((config.anonymous.len(), config.keep_alive_s_max), (2, Some(60)));
        assert!(config.anonymous_named && config.anonymous_websocket);
    }

    #[test]
    fn drop_ins_and_the_environment_lie_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("saltline.toml");
        std::fs::write(&file, "[mqtt]\nlisten = \"127.0.0.1:1\"\n[data]\ndir = \"a\"").unwrap();
        std::fs::create_dir(dir.path().join("conf.d")).unwrap();
        std::fs::write(dir.path().join("conf.d/10-x.toml"), "[data]\ndir = \"b\"").unwrap();
        let env = [("SALTLINE__MQTT__LIMITS__CONNECTIONS".to_owned(), "7".to_owned())];
        let config = Config::read(Some(&file), env).unwrap();
        assert_eq!(config.mqtt.listen.port(), 1);
        assert_eq!((config.data_dir, config.mqtt.connections_max), (PathBuf::from("b"), 7));
        let env = [("SALTLINE__MQTT__LISSTEN".to_owned(), "7".to_owned())];
        let text = Config::read(Some(&file), env).unwrap_err().to_string();
        assert!(text.contains("SALTLINE__MQTT__LISSTEN"), "{text}");
    }

    #[test]
    fn a_secret_comes_from_a_file_and_is_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let secret = dir.path().join("smtp");
        std::fs::write(&secret, "smtp://u:hunter2@127.0.0.1:25\n").unwrap();
        let config = with(&format!("[channels.email]\nurl_file = {:?}", secret.to_str().unwrap()));
        let email = config.unwrap().email.unwrap();
        assert_eq!(email.url, "smtp://u:hunter2@127.0.0.1:25");
        assert!(!format!("{email:?}").contains("hunter2"));
    }
}
