//! What is wrong with a pack: the file, the key, what was found there and what would be accepted. The chain of
//! sources, printed once by the rim, reads `stations.toml: station[xuan-hoa].intervall: unknown key; did you mean …`.

use std::path::PathBuf;

use domain::BadCode;

use crate::RegistryError;

/// Why a pack was not read or not applied.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A key of a file is wrong.
    #[error("{file}: {key}")]
    At {
        /// The file.
        file: &'static str,
        /// The key, with the code of the entry it is in, as `station[xuan-hoa].interval`.
        key: String,
        /// What is wrong.
        source: Problem,
    },
    /// A file is not TOML or not GeoJSON at all.
    #[error("{file} cannot be parsed")]
    Syntax {
        /// The file.
        file: &'static str,
        /// Where and why, in the parser's words.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file or the folder cannot be read.
    #[error("cannot read `{path}`")]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no file of a pack here.
    #[error(
        "no province pack here: none of stations.toml, rivers.geojson, rules.toml, roster.toml, quality.toml"
    )]
    NotAPack,
    /// The book could not be opened for the change, or not finish it.
    #[error("the pack was not applied")]
    Registry(#[from] RegistryError),
}

/// What is wrong with one key.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// Nobody reads it.
    #[error("unknown key; did you mean `{nearest}`? (known: {known})")]
    Unknown {
        /// The known key that is spelt most like it.
        nearest: &'static str,
        /// All that are known here.
        known: String,
    },
    /// It must be there.
    #[error("missing; write {wanted}")]
    Missing {
        /// What would be accepted.
        wanted: &'static str,
    },
    /// It is something else.
    #[error("found {found}; write {wanted}")]
    Wrong {
        /// What is there.
        found: String,
        /// What would be accepted.
        wanted: String,
    },
    /// A code has other letters than a code may have.
    #[error("not a code")]
    NotACode(#[source] BadCode),
    /// Another entry of the file has this key.
    #[error("is there twice")]
    Twice,
    /// The book refuses the entry; the source says why.
    #[error("refused")]
    Refused(#[source] RegistryError),
}

impl Problem {
    /// Something else than what is wanted was found.
    pub(super) fn wrong(found: impl Into<String>, wanted: impl Into<String>) -> Self {
        Self::Wrong { found: found.into(), wanted: wanted.into() }
    }
}
