//! Buckets of S3-compatible stores, for backups: `[backup.s3]`. Secrets come out of files or the environment, and are read
//! when a bucket is used: a start needs none.

use super::config::Key;
use super::{Layers, SettingsError};
use crate::backup::BucketConfig;

/// The whole of `[backup.s3]`, its secrets not read yet.
#[derive(Debug, Clone)]
pub struct S3 {
    endpoint: Option<String>,
    region: String,
    allow_http: bool,
    /// Files with the key's id, its secret, and the token of a temporary key.
    files: [Option<String>; 3],
    /// The same, where the environment says it and no file does.
    environment: Secrets,
}

/// What an environment says. `Debug` does not show it.
#[derive(Clone, Default)]
struct Secrets([Option<String>; 3]);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not shown")
    }
}

const FILES: [&str; 3] = [
    "backup.s3.access_key_id_file",
    "backup.s3.secret_access_key_file",
    "backup.s3.session_token_file",
];

/// As every program that speaks S3 calls them.
const VARIABLES: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

pub(super) fn read(layers: &Layers) -> Result<S3, SettingsError> {
    let at = |key| Key { layers, key };
    let endpoint = at("backup.s3.endpoint");
    let allow_http = at("backup.s3.allow_http").yes_or_no()?;
    if let Some(text) = endpoint.optional() {
        let known = text.starts_with("https://") || text.starts_with("http://");
        if !known || text.contains('@') {
            return Err(endpoint.hidden("write https://host, without user and password"));
        }
        if text.starts_with("http://") && !allow_http {
            let wanted =
                "without TLS everybody reads along; allow_http = true where nobody else is";
            return Err(endpoint.bad(wanted));
        }
    }
    Ok(S3 {
        endpoint: endpoint.optional(),
        region: at("backup.s3.region").filled()?,
        allow_http,
        files: FILES.map(|key| at(key).optional()),
        environment: Secrets(VARIABLES.map(|name| std::env::var(name).ok())),
    })
}

impl S3 {
    /// Where the bucket is and who we are, secrets read.
    ///
    /// # Errors
    /// [`SettingsError`] where there is no key, or its file cannot be read.
    pub fn key(&self) -> Result<BucketConfig, SettingsError> {
        let [id, secret, token] = [0, 1, 2].map(|at| self.secret(at));
        let needed = |at: usize, found: Option<String>| {
            found.ok_or_else(|| SettingsError::BadValue {
                origin: "configuration".to_owned(),
                key: FILES[at].to_owned(),
                found: "empty".to_owned(),
                wanted: format!("a bucket needs a key: set it, or {}", VARIABLES[at]),
            })
        };
        Ok(BucketConfig {
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            allow_http: self.allow_http,
            access_key_id: needed(0, id?)?,
            secret_access_key: needed(1, secret?)?,
            session_token: token?,
        })
    }

    fn secret(&self, at: usize) -> Result<Option<String>, SettingsError> {
        let Some(path) = &self.files[at] else { return Ok(self.environment.0[at].clone()) };
        let text = std::fs::read_to_string(path)
            .map_err(|source| SettingsError::Read { path: path.clone(), source })?;
        Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, SettingsError};

    fn with(text: &str) -> Result<Config, SettingsError> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("saltline.toml");
        std::fs::write(&file, text).unwrap();
        Config::read(Some(&file), [])
    }

    #[test]
    fn a_key_comes_from_files_and_is_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        std::fs::write(&file, "hunter2\n").unwrap();
        let file = file.to_str().unwrap();
        let text = format!(
            "[backup.s3]\nendpoint = \"https://s3.example.org\"\naccess_key_id_file = {file:?}\nsecret_access_key_file = {file:?}"
        );
        let config = with(&text).unwrap();
        let key = config.s3.key().unwrap();
        assert_eq!((key.access_key_id.as_str(), key.region.as_str()), ("hunter2", "us-east-1"));
        assert!(!format!("{config:?} {key:?}").contains("hunter2"));
    }

    #[test]
    fn a_wrong_value_says_what_would_be_accepted() {
        for (text, part) in [
            ("endpoint = \"s3.example.org\"", "https://host"),
            ("endpoint = \"https://id:hunter2@h\"", "without user"),
            ("endpoint = \"http://h:9000\"", "allow_http"),
            ("region = \"\"", "must not be empty"),
            ("secret = \"hunter2\"", "unknown key"),
        ] {
            let text = with(&format!("[backup.s3]\n{text}")).unwrap_err().to_string();
            assert!(text.contains(part) && !text.contains("hunter2"), "{text}");
        }
        let nothing = "[backup.s3]\naccess_key_id_file = \"/nowhere/at/all\"";
        assert!(with(nothing).unwrap().s3.key().is_err());
    }
}
