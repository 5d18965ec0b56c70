//! Ways to reach a person. Every channel is the same four files: what was configured, how to try it out, how a
//! notice leaves, and the tests. A channel knows nothing of alerts or ledgers: it is given a notice and says what
//! the other side said.

mod url; // what all channel URLs have in common
pub mod email; // SMTP
pub mod sms; // SMPP 3.4

use std::fmt;

pub use url::BadUrl;

/// The channels that are configured.
#[derive(Debug, Clone, Default)]
pub struct Channels {
    /// E-mail over SMTP.
    pub email: Option<email::EmailConfig>,
    /// SMS over SMPP.
    pub sms: Option<sms::SmsConfig>,
}

/// The other side took the notice, under these names (one per part of an SMS).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// What the other side calls it.
    pub references: Vec<String>,
}

/// The other side did not take the notice; the variants are cut by what comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotSent {
    /// Another attempt may do.
    Later {
        /// What stands in the way.
        cause: Setback,
        /// In the other side's words.
        detail: String,
    },
    /// No attempt will ever do.
    Never {
        /// In the other side's words.
        detail: String,
    },
}

/// What stands in the way of a notice for now, from a closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Setback {
    /// The other side cannot be reached, or does not let us in: nothing on this channel can leave.
    Away,
    /// The other side asks for less: nothing on this channel should leave for a while.
    Throttled,
    /// The other side cannot take this notice now; others may pass.
    Busy,
}

impl Setback {
    /// The cause as logs, counters and the ledger write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Away => "away",
            Self::Throttled => "throttled",
            Self::Busy => "busy",
        }
    }

    /// Does it stand in the way of the whole channel?
    #[must_use]
    pub const fn stops_the_channel(self) -> bool {
        matches!(self, Self::Away | Self::Throttled)
    }
}

impl NotSent {
    fn later(cause: Setback, detail: impl fmt::Display) -> Self {
        Self::Later { cause, detail: detail.to_string() }
    }

    fn never(detail: impl fmt::Display) -> Self {
        Self::Never { detail: detail.to_string() }
    }
}

/// A word that is not for logs: its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps the word.
    #[must_use]
    pub const fn new(word: String) -> Self {
        Self(word)
    }

    /// The word itself, for the wire.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
