//! Why a connection ends, how that is told, and whether the will is published.

use std::io;

use journal::JournalError;
use rumqttc::v5::mqttbytes::v5::DisconnectReasonCode as Code;

use super::attachment::Kick;
use super::wire::Bad;

/// The end of a connection.
#[derive(Debug)]
pub(super) enum End {
    /// The client said goodbye.
    Goodbye,
    /// The client said goodbye and asked for its will to be published.
    GoodbyeWithWill,
    /// The client closed without a word.
    Closed,
    /// The network broke.
    Broken(io::Error),
    /// The client said something it must not.
    Bad(Bad),
    /// The client was silent for one and a half times its keep-alive.
    Silent,
    /// The client took not a byte for too long.
    Stalled,
    /// The client published above its rate for too long.
    OverRate,
    /// The client did not prove again who it is.
    NotProved,
    /// We end it.
    Kicked(Kick),
    /// The disk failed: nothing more is acknowledged.
    Storage(JournalError),
}

impl End {
    /// The end as counters and logs write it.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::Goodbye => "goodbye",
            Self::GoodbyeWithWill => "goodbye_with_will",
            Self::Closed => "closed",
            Self::Broken(_) => "broken",
            Self::Bad(bad) => bad.as_str(),
            Self::Silent => "keep_alive",
            Self::Stalled => "write_stalled",
            Self::OverRate => "over_rate",
            Self::NotProved => "not_proved",
            Self::Kicked(kick) => kick.as_str(),
            Self::Storage(_) => "storage_failed",
        }
    }

    /// What an MQTT 5 client is told.
    pub(super) const fn code(&self) -> Option<Code> {
        match self {
            Self::Goodbye | Self::GoodbyeWithWill | Self::Closed | Self::Broken(_) => None,
            Self::Stalled => None,
            Self::Bad(bad) => Some(bad.code()),
            Self::Silent => Some(Code::KeepAliveTimeout),
            Self::OverRate => Some(Code::QuotaExceeded),
            Self::NotProved => Some(Code::NotAuthorized),
            Self::Kicked(kick) => Some(kick.code()),
            Self::Storage(_) => Some(Code::ImplementationSpecificError),
        }
    }

    /// In words.
    pub(super) fn why(&self) -> String {
        match self {
            Self::Bad(bad) => bad.to_string(),
            Self::Silent => "silent for one and a half times the keep-alive".to_owned(),
            Self::Kicked(Kick::TakenOver) => "the same client id connected again".to_owned(),
            Self::OverRate => {
                "above the rate of publishes for too long; send more slowly".to_owned()
            }
            Self::NotProved => "the proof of the new key is wrong".to_owned(),
            Self::Kicked(Kick::Revoked) => "what let this client in was revoked".to_owned(),
            Self::Kicked(Kick::Overflowed) => {
                "more messages waited than may; the session begins anew".to_owned()
            }
            Self::Kicked(Kick::ShuttingDown) => "the server stops; connect again".to_owned(),
            Self::Storage(_) => "the server cannot write to its disk".to_owned(),
            Self::Broken(error) => error.to_string(),
            other => other.as_str().to_owned(),
        }
    }
}

impl From<Bad> for End {
    fn from(bad: Bad) -> Self {
        Self::Bad(bad)
    }
}
