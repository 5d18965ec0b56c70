//! The keys that `saltline station add -o json` printed, one for each station.

use std::io::Read;

use domain::StationCode;

/// A station's code and its key.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// The station's code.
    pub code: String,
    /// Its key.
    pub key: String,
}

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file cannot be read.
    #[error("cannot read the keys from `{path}`")]
    Read {
        /// Which file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not the expected JSON.
    #[error("keys have to be a list like [{{\"code\": \"xuan-hoa\", \"key\": \"…\"}}]")]
    Malformed(#[from] serde_json::Error),
    /// A code is none.
    #[error(transparent)]
    Code(#[from] domain::BadCode),
    /// No keys at all.
    #[error("the list of keys is empty")]
    Empty,
}

/// Reads keys from a file, or from stdin where the path is `-`. From stdin one JSON list is read and no more, so that a
/// parent may hold stdin open to say that it lives.
///
/// # Errors
/// [`KeysError`] says what is wrong with them.
pub fn read(path: &str) -> Result<Vec<Key>, KeysError> {
    if path == "-" {
        return parse(std::io::stdin().lock());
    }
    let unreadable = |source| KeysError::Read { path: path.to_owned(), source };
    let text = std::fs::read(path).map_err(unreadable)?;
    parse(text.as_slice())
}

fn parse(text: impl Read) -> Result<Vec<Key>, KeysError> {
    let first = serde_json::Deserializer::from_reader(text).into_iter::<Vec<Key>>().next();
    let keys = first.unwrap_or(Ok(Vec::new()))?;
    for key in &keys {
        StationCode::new(&key.code)?;
    }
    if keys.is_empty() { Err(KeysError::Empty) } else { Ok(keys) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_list_of_codes_and_keys_is_taken() {
        assert_eq!(
            parse(&br#"[{"code": "xuan-hoa", "key": "k"}] and more"#[..]).unwrap()[0].key,
            "k"
        );
        for bad in [
            "",
            "{}",
            "[]",
            r#"[{"code": "xuan-hoa"}]"#,
            r#"[{"code": "Xuân Hòa", "key": "k"}]"#,
            r#"[{"code": "a", "key": "k", "admin": true}]"#,
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
