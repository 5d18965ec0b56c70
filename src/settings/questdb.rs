//! QuestDB's part of the configuration: `[history.questdb]`. Without a URL there is none.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::config::Key;
use super::{Layers, SettingsError};
use crate::questdb::{Config, Login, Tls};

/// Who answers questions about the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Our own store.
    Embedded,
    /// QuestDB, where it can; our own store where it cannot.
    QuestDb,
}

/// One request may take so long at most: a stop waits for it, and has 30 s.
const TIMEOUT_MAX: Duration = Duration::from_secs(20);

/// Readings of one batch: some 100 bytes each, so at most 20 MB.
const BATCH_MAX: usize = 200_000;

pub(super) fn read(layers: &Layers) -> Result<Option<Config>, SettingsError> {
    let at = |key| Key { layers, key };
    let url = at("history.questdb.url");
    let Some(text) = url.optional() else {
        for key in ["user", "password_file", "token_file", "tls_ca_file"].map(of) {
            if at(key).optional().is_some() {
                return Err(at(key).bad("it is of no use without history.questdb.url"));
            }
        }
        return Ok(None);
    };
    let wanted = "write http://host:9000 or https://host:9000, without a path";
    let parsed = Url::parse(&text).map_err(|_| url.hidden(wanted))?;
    let tls = match parsed.scheme() {
        "http" => false,
        "https" => true,
        _ => return Err(url.hidden(wanted)),
    };
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(url.hidden("user and password stand in keys of their own: user, password_file"));
    }
    let bare = matches!(parsed.path(), "" | "/") && parsed.query().is_none();
    let Some(host) = parsed.host_str().filter(|_| bare && parsed.fragment().is_none()) else {
        return Err(url.hidden(wanted));
    };
    let authorities = at("history.questdb.tls_ca_file").optional().map(PathBuf::from);
    if authorities.is_some() && !tls {
        return Err(at("history.questdb.tls_ca_file").bad("an http:// URL has no TLS"));
    }
    Ok(Some(Config {
        host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
        port: parsed.port().unwrap_or(9_000),
        tls: tls.then_some(Tls { authorities }),
        login: login(layers)?,
        table: table(&at("history.questdb.table"))?,
        batch_readings: counted(&at("history.questdb.batch_readings"))?,
        batch_wait: at("history.questdb.batch_wait").duration()?,
        timeout: timeout(&at("history.questdb.timeout"))?,
        read_timeout: timeout(&at("history.questdb.read_timeout"))?,
        retry_max: at("history.questdb.retry_max").duration()?,
    }))
}

pub(super) fn reader(layers: &Layers, questdb: bool) -> Result<Reader, SettingsError> {
    let key = Key { layers, key: "history.reader" };
    match key.optional().as_deref() {
        Some("embedded") => Ok(Reader::Embedded),
        Some("questdb") if questdb => Ok(Reader::QuestDb),
        Some("questdb") => Err(key.bad("history.questdb.url has to say where it is")),
        _ => Err(key.bad("write \"embedded\" or \"questdb\"")),
    }
}

fn of(name: &str) -> &'static str {
    match name {
        "user" => "history.questdb.user",
        "password_file" => "history.questdb.password_file",
        "token_file" => "history.questdb.token_file",
        _ => "history.questdb.tls_ca_file",
    }
}

fn login(layers: &Layers) -> Result<Login, SettingsError> {
    let at = |key| Key { layers, key };
    let user = at("history.questdb.user");
    let (password, token) = (at("history.questdb.password_file"), at("history.questdb.token_file"));
    match (user.optional(), password.optional(), token.optional()) {
        (None, None, None) => Ok(Login::Open),
        (Some(user), Some(_), None) => Ok(Login::Password { user, password: secret(&password)? }),
        (None, None, Some(_)) => Ok(Login::Token(secret(&token)?)),
        (Some(_), None, None) => Err(user.bad("a user needs password_file")),
        (None, Some(_), _) => Err(password.bad("a password needs its user")),
        (Some(_), _, Some(_)) => Err(token.bad("set it or user and password_file, not both")),
    }
}

fn secret(key: &Key<'_>) -> Result<String, SettingsError> {
    let path = key.filled()?;
    let text = std::fs::read_to_string(&path)
        .map_err(|source| SettingsError::Read { path, source })?
        .trim()
        .to_owned();
    match text.is_empty() || text.contains(|c: char| c.is_control()) {
        true => Err(key.bad("the file holds one line")),
        false => Ok(text),
    }
}

fn table(key: &Key<'_>) -> Result<String, SettingsError> {
    let name = key.filled()?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    match name.chars().all(plain)
        && name.len() <= 64
        && !name.starts_with(|c: char| c.is_ascii_digit())
    {
        true => Ok(name),
        false => Err(key.bad("a table's name is of a-z, 0-9 and _, and begins with a letter")),
    }
}

fn counted(key: &Key<'_>) -> Result<usize, SettingsError> {
    match key.count()? {
        count @ 1..=BATCH_MAX => Ok(count),
        _ => Err(key.bad(&format!("write a whole number from 1 to {BATCH_MAX}"))),
    }
}

fn timeout(key: &Key<'_>) -> Result<Duration, SettingsError> {
    let time = key.duration()?;
    match time <= TIMEOUT_MAX {
        true => Ok(time),
        false => Err(key.bad("write at most 20s: a stop waits for it")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, SettingsError};
    use super::Reader;

    fn with(text: &str) -> Result<Config, SettingsError> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("saltline.toml");
        std::fs::write(&file, text).unwrap();
        Config::read(Some(&file), [])
    }

    const AT: &str = "[history.questdb]\nurl = \"http://127.0.0.1:9000\"\n";

    #[test]
    fn without_a_url_nobody_follows() {
        let config = with("").unwrap();
        assert!(config.questdb.is_none() && config.reader == Reader::Embedded);
        let config = with(AT).unwrap();
        let questdb = config.questdb.unwrap();
        assert_eq!(questdb.origin(), "http://127.0.0.1:9000");
        assert_eq!((questdb.table.as_str(), config.reader), ("readings", Reader::Embedded));
        let both = format!("[history]\nreader = \"questdb\"\n{AT}");
        assert_eq!(with(&both).unwrap().reader, Reader::QuestDb);
    }

    #[test]
    fn a_host_without_a_port_and_an_address_of_version_6_are_meant() {
        let origin = |url: &str| {
            with(&format!("[history.questdb]\nurl = {url:?}")).unwrap().questdb.unwrap().origin()
        };
        assert_eq!(origin("http://[::1]/"), "http://[::1]:9000");
        assert_eq!(origin("https://db.example.org"), "https://db.example.org:9000");
    }

    #[test]
    fn a_secret_comes_from_a_file_and_is_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        std::fs::write(&file, "hunter2\n").unwrap();
        let file = file.to_str().unwrap();
        for login in
            [format!("user = \"sl\"\npassword_file = {file:?}"), format!("token_file = {file:?}")]
        {
            let config = with(&format!("{AT}{login}")).unwrap();
            assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
        }
    }

    #[test]
    fn a_wrong_value_says_what_would_be_accepted() {
        for (text, part) in [
            ("[history]\nreader = \"questdb\"", "history.questdb.url"),
            ("[history]\nreader = \"influx\"", "\"embedded\" or \"questdb\""),
            ("[history.questdb]\nuser = \"sl\"", "without history.questdb.url"),
            ("[history.questdb]\nurl = \"tcp://h:9009\"", "http://host:9000"),
            ("[history.questdb]\nurl = \"http://h:9000/exec\"", "without a path"),
            ("[history.questdb]\nurl = \"http://sl:hunter2@h:9000\"", "password_file"),
            ("[history.questdb]\nurl = \"http://h\"\ntls_ca_file = \"x\"", "no TLS"),
            ("[history.questdb]\nurl = \"http://h\"\nuser = \"x\"", "password_file"),
            ("[history.questdb]\nurl = \"http://h\"\npassword_file = \"x\"", "its user"),
            ("[history.questdb]\nurl = \"http://h\"\ntable = \"a-b\"", "a-z, 0-9 and _"),
            ("[history.questdb]\nurl = \"http://h\"\nbatch_readings = 300000", "200000"),
            ("[history.questdb]\nurl = \"http://h\"\ntimeout = \"1m\"", "at most 20s"),
            ("[history.questdb]\nurl = \"http://h\"\nread_timeout = \"1m\"", "at most 20s"),
            ("[history.questdb]\nuri = \"http://h\"", "did you mean `url`?"),
        ] {
            let text = with(text).unwrap_err().to_string();
            assert!(text.contains(part), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
}
