//! Where QuestDB is, and how much goes at a time.

use std::path::PathBuf;
use std::time::Duration;

/// The whole of `[history.questdb]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    /// Name or address.
    pub host: String,
    /// Its HTTP port.
    pub port: u16,
    /// TLS, and whom it trusts.
    pub tls: Option<Tls>,
    /// Who we are there.
    pub login: Login,
    /// The table.
    pub table: String,
    /// Readings of one batch, at most about so many.
    pub batch_readings: usize,
    /// How long readings gather while there is no hurry.
    pub batch_wait: Duration,
    /// One request may take so long.
    pub timeout: Duration,
    /// A page's request may take so long before the embedded store answers instead.
    pub read_timeout: Duration,
    /// The longest wait between two tries.
    pub retry_max: Duration,
}

/// Whom TLS trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// A PEM file of authorities; those of the system where none is named.
    pub authorities: Option<PathBuf>,
}

/// Who we are. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// Nobody asks.
    Open,
    /// HTTP's basic authentication.
    Password {
        /// Who.
        user: String,
        /// The secret.
        password: String,
    },
    /// A bearer token.
    Token(String),
}

impl Config {
    /// Scheme, host and port, as in a URL.
    #[must_use]
    pub fn origin(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        match self.host.contains(':') {
            true => format!("{scheme}://[{}]:{}", self.host, self.port),
            false => format!("{scheme}://{}:{}", self.host, self.port),
        }
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Password { .. } => "password",
            Self::Token(_) => "token",
        })
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QuestDb")
            .field("at", &self.origin())
            .field("table", &self.table)
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}
