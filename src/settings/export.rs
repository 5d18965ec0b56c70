//! Departments that get files: `[[export.circular10]]`, a list, so its keys are read entry by entry. What an entry does
//! not say it has from [`USUAL`].

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use domain::Timestamp;
use toml::Value;
use url::Url;

use super::entry::{Entry, entries};
use super::{Layers, SettingsError};
use crate::export::{Circular10, Ftp, LineEnd, Named, Sftp, Target};

const KEY: &str = "export.circular10";

/// Every key of an entry, with what holds where it is not said.
const USUAL: &str = r#"
name = ""
url = ""
password_file = ""
key_file = ""
known_hosts_file = ""
tls_ca_file = ""
stations = []
names = []
symbols = []
file = "{station}_{time}.txt"
dated_folders = false
every = "5m"
settle = "1m"
keep = "60d"
from = ""
line_end = "crlf"
retry_max = "5m"
patience = "30s"
"#;

/// A slot divides an hour, so that slots begin with the hour wherever the clock stands.
const HOUR: Duration = Duration::from_secs(3_600);

/// Letters that stand in a file's name on every server, and mean nothing else there.
fn plain(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 128
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// Reads every entry of the layer that set the list last.
pub(super) fn read(layers: &Layers) -> Result<Vec<Circular10>, SettingsError> {
    entries(layers, KEY, USUAL, |entry, before: &[Circular10]| {
        let config = entry.circular10()?;
        if before.iter().any(|other| other.name == config.name) {
            return Err(entry.bad("name", "another export has this name"));
        }
        Ok(config)
    })
}

impl Entry<'_> {
    fn circular10(&self) -> Result<Circular10, SettingsError> {
        let file = self.text("file");
        if !plain(&file.replace(['{', '}'], ""))
            || !file.contains("{station}")
            || !file.contains("{time}")
        {
            let wanted = "write a name with {station} and {time}, of letters, digits, -, _ and .";
            return Err(self.bad("file", wanted));
        }
        let every = self.duration("every")?;
        if every < Duration::from_secs(60)
            || every.subsec_nanos() != 0
            || !HOUR.as_secs().is_multiple_of(every.as_secs())
        {
            return Err(
                self.bad("every", "write 1m to 1h, so that slots fill an hour: 5m, 10m, 15m")
            );
        }
        Ok(Circular10 {
            name: self.name()?,
            target: self.target()?,
            stations: self.codes("stations")?,
            names: self.named("names", "stations and their names, as [\"xuan-hoa=XH01\"]")?,
            symbols: self
                .named("symbols", "parameters and their symbols, as [\"chlorophyll=Chla\"]")?,
            file: file.to_owned(),
            dated_folders: self.value("dated_folders").as_bool().unwrap_or_default(),
            every,
            settle: self.duration("settle")?,
            keep: self.duration("keep")?,
            from: self.since("from")?,
            line_end: match self.text("line_end") {
                "crlf" => LineEnd::CrLf,
                "lf" => LineEnd::Lf,
                _ => return Err(self.bad("line_end", "write \"crlf\" or \"lf\"")),
            },
            retry_max: self.duration("retry_max")?,
            patience: self.duration("patience")?,
        })
    }

    /// An instant, or the midnight in Vietnam that a day begins with.
    fn since(&self, key: &str) -> Result<Option<Timestamp>, SettingsError> {
        let Some(text) = self.optional(key) else { return Ok(None) };
        let midnight = match text.contains(['T', ' ']) {
            true => text.to_owned(),
            false => format!("{text}T00:00:00+07:00"),
        };
        let wanted =
            "write a day, as 2026-03-01, or a time with its offset, as 2026-03-01T06:00:00Z";
        Timestamp::parse_rfc3339(&midnight).map(Some).map_err(|_| self.bad(key, wanted))
    }

    fn target(&self) -> Result<Target, SettingsError> {
        let text = self.text("url");
        let wanted =
            "write a folder, sftp://user@host:22/folder, ftp://user@host:21/folder or ftps://…";
        if text.starts_with(['/', '.']) {
            self.only(&[], "a folder")?;
            return Ok(Target::Folder(PathBuf::from(text)));
        }
        let url = Url::parse(text).map_err(|_| self.bad("url", wanted))?;
        let (Some(host), user) = (url.host_str(), url.username()) else {
            return Err(self.bad("url", wanted));
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if user.is_empty() || user.starts_with('-') || host.is_empty() || host.starts_with('-') {
            return Err(self.bad("url", wanted));
        }
        if url.password().is_some() {
            return Err(self.bad("url", "a password stands in a file: password_file"));
        }
        let decoded = |text: &str| percent(text).ok_or_else(|| self.bad("url", wanted));
        let (user, folder) = (decoded(user)?, decoded(url.path())?);
        match url.scheme() {
            "sftp" => {
                self.only(&["key_file", "known_hosts_file"], "sftp://")?;
                let (port, key_file) = (url.port().unwrap_or(22), self.path("key_file"));
                let known_hosts_file = self.path("known_hosts_file");
                // `/in` is the server's own folder; `/~/in` is one below where we land.
                let folder = match folder.strip_prefix("/~") {
                    Some(below) => below.trim_start_matches('/').to_owned(),
                    None if folder == "/" => String::new(),
                    None => folder,
                };
                Ok(Target::Sftp(Sftp { host, port, user, folder, key_file, known_hosts_file }))
            }
            scheme @ ("ftp" | "ftps") => {
                let own: &[&str] = if scheme == "ftps" {
                    &["password_file", "tls_ca_file"]
                } else {
                    &["password_file"]
                };
                self.only(own, scheme)?;
                let tls =
                    ingest::upstream::Tls { authorities: self.path("tls_ca_file"), own: None };
                let folder = if folder == "/" { String::new() } else { folder };
                Ok(Target::Ftp(Ftp {
                    host,
                    port: url.port().unwrap_or(21),
                    user,
                    password: self.password()?,
                    folder,
                    tls: (scheme == "ftps").then_some(tls),
                }))
            }
            _ => Err(self.bad("url", wanted)),
        }
    }

    /// Of the keys that some targets have, only these may be set.
    fn only(&self, own: &[&str], of: &str) -> Result<(), SettingsError> {
        for key in ["password_file", "key_file", "known_hosts_file", "tls_ca_file"] {
            if self.optional(key).is_some() && !own.contains(&key) {
                return Err(self.bad(key, &format!("{of} has none")));
            }
        }
        Ok(())
    }

    fn password(&self) -> Result<String, SettingsError> {
        let Some(path) = self.optional("password_file") else { return Ok(String::new()) };
        let text = std::fs::read_to_string(path)
            .map_err(|source| SettingsError::Read { path: path.to_owned(), source })?;
        let password = text.trim().to_owned();
        // It would be another command to the server.
        if password.contains(['\r', '\n']) {
            return Err(self.bad("password_file", "a password is one line"));
        }
        Ok(password)
    }

    fn codes<T: FromStr<Err: std::fmt::Display>>(
        &self,
        key: &str,
    ) -> Result<Vec<T>, SettingsError> {
        let code = |value: &Value| {
            let text = value.as_str().ok_or_else(|| self.bad(key, "write a list of codes"))?;
            text.parse().map_err(|why: T::Err| self.bad(key, &why.to_string()))
        };
        self.value(key).as_array().into_iter().flatten().map(code).collect()
    }

    fn named<T: FromStr<Err: std::fmt::Display>>(
        &self,
        key: &str,
        wanted: &str,
    ) -> Result<Vec<Named<T>>, SettingsError> {
        let pair = |value: &Value| {
            let pair = value.as_str().and_then(|text| text.split_once('='));
            let (ours, theirs) = pair.ok_or_else(|| self.bad(key, wanted))?;
            let ours =
                ours.trim().parse().map_err(|why: T::Err| self.bad(key, &why.to_string()))?;
            let theirs = theirs.trim().to_owned();
            // `PM2,5` is a symbol of the circular.
            match plain(&theirs.replace(',', "")) {
                true => Ok(Named { ours, theirs }),
                false => Err(self.bad(key, "a name there is of letters, digits, -, _ and .")),
            }
        };
        self.value(key).as_array().into_iter().flatten().map(pair).collect()
    }
}

/// A part of a URL as it is meant; `None` where that would be two lines.
fn percent(text: &str) -> Option<String> {
    let text = percent_encoding::percent_decode_str(text).decode_utf8().ok()?;
    (!text.contains(|c: char| c.is_control())).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::entry::stand;
    use super::*;

    fn with(text: &str) -> Result<Vec<Circular10>, SettingsError> {
        read(&stand::layers(text)?)
    }

    const GOOD: &str = "[[export.circular10]]\nname = \"tg\"\nurl = \"/srv/a\"\n";

    #[test]
    fn what_is_not_said_is_usual() {
        assert!(with("").unwrap().is_empty());
        let [one] = &with(GOOD).unwrap()[..] else { panic!("one") };
        assert_eq!(one.target, Target::Folder("/srv/a".into()));
        assert_eq!(
            (one.every, one.keep),
            (Duration::from_secs(300), Duration::from_secs(60 * 86_400))
        );
        assert_eq!((one.line_end, one.from), (LineEnd::CrLf, None));
    }

    #[test]
    fn a_day_begins_in_vietnam() {
        let from = |text: &str| with(&format!("{GOOD}from = \"{text}\"\n")).unwrap()[0].from;
        assert_eq!(from("2026-03-01"), Timestamp::parse_rfc3339("2026-02-28T17:00:00Z").ok());
        assert_eq!(
            from("2026-03-01T06:00:00Z"),
            Timestamp::parse_rfc3339("2026-03-01T06:00:00Z").ok()
        );
    }

    #[test]
    fn a_url_says_where_files_go() {
        let target = |url: &str| {
            let text = GOOD.replace("/srv/a", url);
            with(&text).unwrap().remove(0).target
        };
        let Target::Sftp(sftp) = target("sftp://sl@dept.example.org/in/x") else { panic!("sftp") };
        assert_eq!((sftp.port, sftp.user.as_str(), sftp.folder.as_str()), (22, "sl", "/in/x"));
        let Target::Sftp(home) = target("sftp://sl@[::1]:2222/~/in") else { panic!("sftp") };
        assert_eq!((home.host.as_str(), home.port, home.folder.as_str()), ("::1", 2222, "in"));
        let Target::Ftp(ftp) = target("ftp://tram%2001@10.0.0.1/") else { panic!("ftp") };
        assert_eq!((ftp.port, ftp.user.as_str(), ftp.folder.as_str()), (21, "tram 01", ""));
        let Target::Ftp(ftps) = target("ftps://sl@h/in") else { panic!("ftps") };
        assert!(ftps.tls.is_some() && ftps.folder == "/in");
    }

    #[test]
    fn the_example_of_the_configuration_can_be_used() {
        let example = stand::example(KEY);
        let [one] = &with(&example).unwrap()[..] else { panic!("{example}") };
        assert_eq!(one.name, "department");
        stand::explains(super::super::DEFAULTS, USUAL);
    }

    #[test]
    fn a_wrong_entry_is_named_with_what_would_be_accepted() {
        for (line, part) in [
            ("nmae = \"x\"", "did you mean `name`?"),
            ("url = \"\"", "sftp://"),
            ("url = \"http://a@b/\"", "sftp://"),
            ("url = \"ftp://h/\"", "sftp://"),
            ("url = \"ftp://u:hunter2@h/\"", "password_file"),
            ("url = \"ftp://u%0d%0aDELE@h/\"", "sftp://"),
            ("url = \"sftp://-oProxyCommand=x@h/\"", "sftp://"),
            ("file = \"{time}.txt\"", "{station}"),
            ("file = \"a/{station}_{time}.txt\"", "letters"),
            ("every = \"7m\"", "fill an hour"),
            ("every = \"30s\"", "fill an hour"),
            ("stations = [\"Xuân Hòa\"]", "a-z"),
            ("names = [\"xuan-hoa\"]", "xuan-hoa=XH01"),
            ("names = [\"xuan-hoa=../x\"]", "letters"),
            ("line_end = \"cr\"", "lf"),
            ("key_file = \"x\"", "a folder has none"),
            ("from = \"1.3.2026\"", "2026-03-01"),
            ("from = \"2026-03-01T06:00\"", "with its offset"),
        ] {
            let key = line.split(' ').next().unwrap();
            let kept: Vec<_> = GOOD.lines().filter(|it| !it.starts_with(key)).collect();
            let text = with(&format!("{}\n{line}\n", kept.join("\n"))).unwrap_err().to_string();
            assert!(text.contains("export.circular10[0]") && text.contains(part), "{line}: {text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
        assert!(with(&format!("{GOOD}{GOOD}")).is_err());
    }
}
