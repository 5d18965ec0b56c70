//! What can go wrong with the book, cut by what the caller does next: use another name, correct the value, try later,
//! use another version, or restore a backup.

use std::fmt;
use std::path::PathBuf;

use domain::RuleError;

use crate::Misfit;

/// A kind of entry of the book, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noun {
    /// A parameter.
    Parameter,
    /// A station.
    Station,
    /// A river, canal or coast.
    River,
    /// A rule.
    Rule,
    /// The document of the tests.
    Quality,
    /// A person.
    Person,
    /// A duty.
    Duty,
    /// A user of the portal.
    User,
    /// A session of a user.
    Session,
    /// A command to a station.
    Command,
    /// A station's configuration.
    Config,
    /// A dead letter.
    Letter,
    /// A token of a person or a service.
    Token,
    /// A firmware image.
    Image,
    /// A roll-out of a firmware image.
    Rollout,
    /// A correction or an approval of readings.
    Edit,
    /// The end of one.
    Withdrawal,
}

impl fmt::Display for Noun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parameter => "parameter",
            Self::Station => "station",
            Self::River => "river",
            Self::Rule => "rule",
            Self::Quality => "tests",
            Self::Person => "person",
            Self::Duty => "duty",
            Self::User => "user",
            Self::Session => "session",
            Self::Command => "command",
            Self::Config => "configuration",
            Self::Letter => "dead letter",
            Self::Token => "token",
            Self::Image => "firmware image",
            Self::Rollout => "roll-out",
            Self::Edit => "edit",
            Self::Withdrawal => "withdrawal of edit",
        })
    }
}

/// Why the book could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Something of that name exists.
    #[error("{what} `{key}` is there already")]
    AlreadyThere {
        /// What.
        what: Noun,
        /// Its key.
        key: String,
    },
    /// Nothing of that name exists.
    #[error("there is no {what} `{key}`")]
    NotFound {
        /// What.
        what: Noun,
        /// The key that was asked for.
        key: String,
    },
    /// An entry names another that does not exist.
    #[error("{what} `{key}` names the {other} `{missing}`, which is not in the registry")]
    Dangling {
        /// What was to be written.
        what: Noun,
        /// Its key.
        key: String,
        /// What it names.
        other: Noun,
        /// The name that nothing has.
        missing: String,
    },
    /// The rule would lie.
    #[error("the rule cannot be kept")]
    BadRule(#[from] RuleError),
    /// The rule could not be computed.
    #[error(transparent)]
    Misfit(#[from] Box<Misfit>),
    /// A field does not mean anything, or not what it must.
    #[error("{what} `{key}`: {why}")]
    BadValue {
        /// What was to be written.
        what: Noun,
        /// Its key.
        key: String,
        /// What is wrong and what would be accepted.
        why: String,
    },
    /// The user name has other letters than a name may have.
    #[error("`{0}` is not a user name: use 1 to 64 of a-z, 0-9, -, . and _")]
    BadUserName(String),
    /// The password is too short to resist guessing, or too long to be hashed at reasonable cost.
    #[error("a password has {min} to {max} characters, this one has {found}")]
    BadPassword {
        /// The fewest.
        min: usize,
        /// The most.
        max: usize,
        /// As many as it had.
        found: usize,
    },
    /// Another process holds the file, or too many passwords are being hashed. Trying again helps.
    #[error("the registry is busy; try again")]
    Busy,
    /// The file was written by a newer program.
    #[error(
        "the registry `{path}` has schema {found}, this program knows up to {known}: \
         run the version that wrote it, or restore a backup"
    )]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema known here.
        known: i64,
    },
    /// The file cannot be opened as a registry.
    #[error("cannot open the registry `{path}`")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A row does not read back: somebody else wrote into the file.
    #[error("{what} `{key}` in the registry is damaged: {why}")]
    Damaged {
        /// What.
        what: Noun,
        /// Its key.
        key: String,
        /// What does not fit.
        why: String,
    },
    /// The operating system gives no random numbers, so no secret can be made.
    #[error("no random numbers from the operating system")]
    NoRandomness,
    /// The database refused; its own words are the source.
    #[error("the registry's database failed")]
    Store(#[source] sqlx::Error),
}

impl From<sqlx::Error> for RegistryError {
    fn from(source: sqlx::Error) -> Self {
        if is_busy(&source) { Self::Busy } else { Self::Store(source) }
    }
}

/// SQLite's codes 5 (busy) and 6 (locked), whatever their extension in the higher bytes, and a pool that is all used.
fn is_busy(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut => true,
        sqlx::Error::Database(database) => database
            .code()
            .and_then(|code| code.parse::<u32>().ok())
            .is_some_and(|code| matches!(code & 0xff, 5 | 6)),
        _ => false,
    }
}

impl RegistryError {
    pub(crate) fn already(what: Noun, key: impl fmt::Display) -> Self {
        Self::AlreadyThere { what, key: key.to_string() }
    }

    pub(crate) fn not_found(what: Noun, key: impl fmt::Display) -> Self {
        Self::NotFound { what, key: key.to_string() }
    }

    pub(crate) fn bad(what: Noun, key: impl fmt::Display, why: impl Into<String>) -> Self {
        Self::BadValue { what, key: key.to_string(), why: why.into() }
    }

    pub(crate) fn damaged(what: Noun, key: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self::Damaged { what, key: key.to_string(), why: why.to_string() }
    }
}
