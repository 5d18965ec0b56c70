//! Brokers that we take from: `[[ingest.upstream]]`, a list, so its keys are read entry by entry. What an entry does not
//! say it has from [`USUAL`].

use ingest::Format;
use ingest::upstream::{Address, Config, Login, Template, Tls, Version};
use toml::Value;

use super::config::size;
use super::entry::{Entry, entries};
use super::{Layers, SettingsError};

const KEY: &str = "ingest.upstream";

/// Every key of an entry, with what holds where it is not said.
const USUAL: &str = r#"
name = ""
url = ""
topics = []
format = ""
user = ""
password_file = ""
tls_ca_file = ""
tls_cert_file = ""
tls_key_file = ""
version = "5"
client_id = ""
share = ""
workers = 1
packet_bytes_max = "256KiB"
session_expiry = "7d"
retry_max = "30s"
"#;

/// Workers of one upstream: with a shared subscription each takes its part, and two cores are busy with four.
const WORKERS_MAX: usize = 16;

/// Reads every entry of the layer that set the list last.
pub(super) fn read(layers: &Layers) -> Result<Vec<Config>, SettingsError> {
    entries(layers, KEY, USUAL, |entry, before: &[Config]| {
        let config = entry.upstream()?;
        let same =
            |other: &Config| other.name == config.name || other.client_id == config.client_id;
        if before.iter().any(same) {
            return Err(entry.bad("name", "another upstream has this name or client id"));
        }
        Ok(config)
    })
}

impl Entry<'_> {
    fn upstream(&self) -> Result<Config, SettingsError> {
        let name = self.name()?;
        let address = Address::parse(self.text("url"))
            .map_err(|error| self.bad("url", &error.to_string()))?;
        let share = self.optional("share");
        if share.is_some_and(|group| group.contains(['/', '+', '#'])) {
            return Err(self.bad("share", "a group's name has no /, + and #"));
        }
        Ok(Config {
            tls: self.tls(&address)?,
            address,
            login: self.login()?,
            version: match self.text("version") {
                "3.1.1" => Version::V311,
                "5" => Version::V5,
                _ => return Err(self.bad("version", "\"3.1.1\" and \"5\" are spoken")),
            },
            client_id: self.optional("client_id").map_or(format!("saltline-{name}"), str::to_owned),
            share: share.map(str::to_owned),
            workers: self.workers()?,
            topics: self.topics()?,
            format: self.format()?,
            packet_bytes_max: size(self.text("packet_bytes_max"), 1 << 10, 1 << 20)
                .map_err(|wanted| self.bad("packet_bytes_max", &wanted))?
                as usize,
            session_expiry: self.duration("session_expiry")?,
            retry_max: self.duration("retry_max")?,
            name,
        })
    }

    fn format(&self) -> Result<Option<Format>, SettingsError> {
        let Some(text) = self.optional("format") else { return Ok(None) };
        let names = || Format::ALL.map(Format::as_str).join(", ");
        let format = Format::parse(text);
        format.map(Some).ok_or_else(|| self.bad("format", &format!("there are {}", names())))
    }

    fn login(&self) -> Result<Option<Login>, SettingsError> {
        let file = self.optional("password_file");
        let Some(user) = self.optional("user") else {
            return match file {
                None => Ok(None),
                Some(_) => Err(self.bad("user", "a password needs its user")),
            };
        };
        let password = match file {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path)
                .map_err(|source| SettingsError::Read { path: path.to_owned(), source })?
                .trim()
                .to_owned(),
        };
        Ok(Some(Login { user: user.to_owned(), password }))
    }

    fn tls(&self, address: &Address) -> Result<Option<Tls>, SettingsError> {
        let own = match (self.path("tls_cert_file"), self.path("tls_key_file")) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (None, _) => return Err(self.bad("tls_cert_file", "a key needs its certificate")),
            (_, None) => return Err(self.bad("tls_key_file", "a certificate needs its key")),
        };
        let tls = Tls { authorities: self.path("tls_ca_file"), own };
        if !address.encrypted && (tls.own.is_some() || tls.authorities.is_some()) {
            return Err(
                self.bad("url", "mqtt:// is not encrypted; with certificates write mqtts://")
            );
        }
        Ok(address.encrypted.then_some(tls))
    }

    fn workers(&self) -> Result<usize, SettingsError> {
        let count = self.value("workers").as_integer().and_then(|n| usize::try_from(n).ok());
        count
            .filter(|n| (1..=WORKERS_MAX).contains(n))
            .ok_or_else(|| self.bad("workers", &format!("write 1 to {WORKERS_MAX}")))
    }

    fn topics(&self) -> Result<Vec<Template>, SettingsError> {
        let wanted = "write a list of topics, as [\"province/{station}/data\"]";
        let template = |value: &Value| {
            let text = value.as_str().ok_or_else(|| self.bad("topics", wanted))?;
            Template::parse(text).map_err(|error| self.bad("topics", &error.to_string()))
        };
        self.value("topics").as_array().into_iter().flatten().map(template).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::stand;
    use super::*;

    fn with(text: &str) -> Result<Vec<Config>, SettingsError> {
        read(&stand::layers(text)?)
    }

    const GOOD: &str = "[[ingest.upstream]]\nname = \"tg\"\nurl = \"mqtt://h\"\n\
                        topics = [\"a/{station}\"]\n";

    #[test]
    fn what_is_not_said_is_usual() {
        assert!(with("").unwrap().is_empty());
        let [one] = &with(GOOD).unwrap()[..] else { panic!("one") };
        assert_eq!((one.client_id.as_str(), one.workers), ("saltline-tg", 1));
        assert_eq!((one.version, one.format), (Version::V5, None));
        assert_eq!(one.topics[0].filter(), "a/+");
        assert!(one.tls.is_none() && one.login.is_none() && one.share.is_none());
    }

    #[test]
    fn the_example_of_the_configuration_can_be_used() {
        let example = stand::example(KEY);
        let lines = example.lines().filter(|line| !line.contains("_file"));
        let example: String = lines.map(|line| format!("{line}\n")).collect();
        let [one] = &with(&example).unwrap()[..] else { panic!("{example}") };
        assert_eq!(one.name, "province");
        assert!(one.tls.is_some());
        stand::explains(super::super::DEFAULTS, USUAL);
    }

    #[test]
    fn a_wrong_entry_is_named_with_what_would_be_accepted() {
        for (line, part) in [
            ("nmae = \"x\"", "did you mean `name`?"),
            ("workers = 0", "1 to 16"),
            ("version = \"4\"", "3.1.1"),
            ("url = \"http://h\"", "mqtts://"),
            ("format = \"xml\"", "sparkplug"),
            ("topics = [\"{station}/{station}\"]", "more than once"),
            ("topics = [7]", "list of topics"),
            ("password_file = \"x\"", "needs its user"),
            ("tls_ca_file = \"x\"", "mqtts://"),
            ("share = \"a/b\"", "has no /"),
            ("name = \"Tiền Giang\"", "a-z"),
        ] {
            let key = line.split(' ').next().unwrap();
            let kept: Vec<_> = GOOD.lines().filter(|it| !it.starts_with(key)).collect();
            let text = with(&format!("{}\n{line}\n", kept.join("\n"))).unwrap_err().to_string();
            assert!(text.contains("ingest.upstream[0]") && text.contains(part), "{line}: {text}");
        }
        let twice = with(&format!("{GOOD}{GOOD}")).unwrap_err().to_string();
        assert!(twice.contains("another upstream"), "{twice}");
    }
}
