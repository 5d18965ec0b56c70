//! Who may come in. The door asks; the registry (or a test) knows.

use std::sync::Arc;

use domain::{Station, StationCode};
use futures_util::future::BoxFuture;
use registry::{Login, Registry};

use super::topic;

/// Knows names and keys.
pub trait Gatekeeper: Send + Sync + 'static {
    /// Who is this? Takes the same time for an unknown name and for a wrong key.
    fn login<'a>(
        &'a self,
        user: &'a str,
        password: &'a [u8],
    ) -> BoxFuture<'a, Result<Entry, Denied>>;
}

/// Somebody who was let in.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A station: everything below `stations/{itself}/`, nothing else.
    Station(Arc<Station>),
    /// A person or a service: what is granted, nothing else.
    Guest {
        /// Its name in logs.
        name: String,
        /// Its rights.
        grants: Vec<Grant>,
    },
}

/// Somebody who was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// The name or the key is wrong; it is not said which.
    WrongKey,
    /// The book cannot be read now.
    Unavailable,
}

/// Stations as the province's book has them: the user name is the code, the password the key.
impl Gatekeeper for Registry {
    fn login<'a>(
        &'a self,
        user: &'a str,
        password: &'a [u8],
    ) -> BoxFuture<'a, Result<Entry, Denied>> {
        Box::pin(async move {
            let Ok(code) = StationCode::new(user) else { return Err(Denied::WrongKey) };
            let Ok(key) = std::str::from_utf8(password) else { return Err(Denied::WrongKey) };
            match Self::login(self, &code, key).await {
                Ok(Login::Welcome(station)) => Ok(Entry::Station(Arc::new(station))),
                Ok(Login::WrongKey | Login::UnknownStation) => Err(Denied::WrongKey),
                Err(error) => {
                    tracing::error!(%error, "the registry cannot be read");
                    Err(Denied::Unavailable)
                }
            }
        })
    }
}

/// A right on every topic that a filter matches, or its refusal. Of several that speak of a topic a refusal wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    filter: String,
    verb: Verb,
    denies: bool,
}

/// What a grant is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// To subscribe, and to get what is published.
    Read,
    /// To publish.
    Write,
    /// Both.
    ReadAndWrite,
}

/// The text of a grant cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadGrant {
    /// What stands after the verb is no topic filter.
    #[error("`{0}` is not a topic filter")]
    Filter(String),
    /// It does not begin with a verb.
    #[error("`{0}` does not begin with `read:`, `write:` or `readwrite:`")]
    Verb(String),
}

impl Verb {
    /// The verb as configuration and the command line write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::ReadAndWrite => "readwrite",
        }
    }

    /// The verb with this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Read, Self::Write, Self::ReadAndWrite].into_iter().find(|it| it.as_str() == text)
    }

    /// Does this verb speak of `asked`?
    const fn includes(self, asked: Self) -> bool {
        matches!(
            (self, asked),
            (Self::ReadAndWrite, _) | (Self::Read, Self::Read) | (Self::Write, Self::Write)
        )
    }
}

impl Grant {
    /// The right to do `verb` on what `filter` matches.
    ///
    /// # Errors
    /// [`BadGrant::Filter`] where `filter` is not one.
    pub fn new(filter: &str, verb: Verb) -> Result<Self, BadGrant> {
        if !topic::is_filter(filter) {
            return Err(BadGrant::Filter(filter.to_owned()));
        }
        Ok(Self { filter: filter.to_owned(), verb, denies: false })
    }

    /// The same, from a text such as `read:latest/#`.
    ///
    /// # Errors
    /// [`BadGrant`]: what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, BadGrant> {
        let bad = || BadGrant::Verb(text.to_owned());
        let (verb, filter) = text.split_once(':').ok_or_else(bad)?;
        Self::new(filter, Verb::parse(verb).ok_or_else(bad)?)
    }

    /// The refusal of what this would allow.
    #[must_use]
    pub fn denied(self) -> Self {
        Self { denies: true, ..self }
    }

    /// Its filter.
    #[must_use]
    pub fn filter(&self) -> &str {
        &self.filter
    }

    /// Its verb.
    #[must_use]
    pub const fn verb(&self) -> Verb {
        self.verb
    }

    fn speaks_of(&self, verb: Verb, topic: &str) -> bool {
        self.verb.includes(verb) && topic::covers(&self.filter, topic)
    }
}

/// May `verb` be done on this topic, or on all that this filter matches? A filter that only overlaps with a refusal
/// may be subscribed to; what is refused is then left out at delivery.
pub(super) fn may(grants: &[Grant], verb: Verb, topic: &str) -> bool {
    let mut allowed = false;
    for grant in grants {
        if grant.speaks_of(verb, topic) {
            if grant.denies {
                return false;
            }
            allowed = true;
        }
    }
    allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_wins_and_what_nobody_speaks_of_is_denied() {
        let grants = [
            Grant::parse("readwrite:#").unwrap(),
            Grant::parse("read:test/nosubscribe").unwrap().denied(),
        ];
        for filter in ["#", "test/#", "test/+", "a"] {
            assert!(may(&grants, Verb::Read, filter), "{filter}");
        }
        assert!(!may(&grants, Verb::Read, "test/nosubscribe"));
        assert!(may(&grants, Verb::Write, "test/nosubscribe"));
        assert!(!may(&grants, Verb::Read, "$SYS/x"));
        assert!(!may(&[], Verb::Read, "a"));
    }

    #[test]
    fn a_grant_says_what_is_wrong_with_it() {
        for (text, part) in
            [("latest/#", "`read:`"), ("reed:latest/#", "`read:`"), ("read:a/#/b", "topic filter")]
        {
            let why = Grant::parse(text).unwrap_err().to_string();
            assert!(why.contains(part), "{why}");
        }
    }
}
