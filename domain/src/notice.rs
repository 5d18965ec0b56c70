//! One message to one person over one channel.

use std::fmt;

use crate::{AlertId, PersonId, Timestamp};

/// A way to reach a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChannelKind {
    /// E-mail over SMTP.
    Email,
    /// SMS over SMPP.
    Sms,
}

impl ChannelKind {
    /// The channel as configuration, counters and stores write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
        }
    }

    /// The channel with this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Email, Self::Sms].into_iter().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for ChannelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A notice's id: the alert, its event's number, the person and the channel, so that the same message found again
/// after a restart is the same message.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NoticeId(String);

impl NoticeId {
    /// The id of the message about event `event` of `alert` to `person` over `channel`.
    #[must_use]
    pub fn new(alert: &AlertId, event: usize, person: &PersonId, channel: ChannelKind) -> Self {
        Self(format!("{alert}.{event}.{person}.{channel}"))
    }

    /// An id read back from a store.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NoticeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One message to one person over one channel, worded and ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The same message always has the same id.
    pub id: NoticeId,
    /// The alert it tells of.
    pub alert: AlertId,
    /// To whom.
    pub person: PersonId,
    /// Over which channel.
    pub channel: ChannelKind,
    /// The phone number or e-mail address, as it was when the notice was made.
    pub address: String,
    /// The subject, where the channel has one.
    pub subject: String,
    /// The text.
    pub body: String,
    /// When it was made.
    pub made_at: Timestamp,
}
