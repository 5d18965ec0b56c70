//! Who may come in. The door asks; the registry (or a test) knows.

use std::sync::Arc;

use domain::{Station, StationCode, Timestamp};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use registry::{StationKey, Verifier};

use super::topic;

/// Knows names, keys, tokens and certificates. Only the first question has to be answered; whoever knows nothing of
/// the others lets nobody in by them.
pub trait Gatekeeper: Send + Sync + 'static {
    /// Who is this? Takes the same time for an unknown name and for a wrong key.
    fn login<'a>(
        &'a self,
        user: &'a str,
        password: &'a [u8],
    ) -> BoxFuture<'a, Result<Admission, Denied>>;

    /// What verifies this name's key without its being sent; `None` where nobody can come in by it that way.
    fn provable<'a>(&'a self, _user: &'a str) -> BoxFuture<'a, Result<Option<Provable>, Denied>> {
        ready(Ok(None)).boxed()
    }

    /// Whose certificate is this? Its chain was verified, and `name` is its common name.
    fn certified<'a>(&'a self, _name: &'a str) -> BoxFuture<'a, Result<Admission, Denied>> {
        ready(Err(Denied::WrongKey)).boxed()
    }

    /// May this claim code be exchanged for the key of the station `user`?
    fn may_claim<'a>(
        &'a self,
        _user: &'a str,
        _code: &'a str,
    ) -> BoxFuture<'a, Result<bool, Denied>> {
        ready(Ok(false)).boxed()
    }

    /// Exchanges a claim code, once: the station's new key, or nothing.
    fn claim<'a>(&'a self, _code: &'a str) -> BoxFuture<'a, Result<Option<StationKey>, Denied>> {
        ready(Ok(None)).boxed()
    }

    /// Which of these do not open any more?
    fn review(&self, _held: Vec<Credential>) -> BoxFuture<'_, Result<Review, Denied>> {
        ready(Ok(Review::default())).boxed()
    }
}

/// Somebody who was let in, and by what.
#[derive(Debug, Clone)]
pub struct Admission {
    /// Who.
    pub entry: Entry,
    /// By what: looked at again while the connection stands.
    pub credential: Credential,
}

impl From<Entry> for Admission {
    fn from(entry: Entry) -> Self {
        Self { entry, credential: Credential::Standing }
    }
}

/// What lets somebody in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// The configuration: it does not end while the engine runs.
    Standing,
    /// A station's key, by its hash.
    Key {
        /// Whose.
        station: StationCode,
        /// The key's hash, as the book has it.
        hash: [u8; 32],
    },
    /// A token, by its hash.
    Token {
        /// The token's hash, as the book has it.
        hash: [u8; 32],
    },
    /// A station's certificate. Whether it is revoked is known to the door itself.
    Certificate {
        /// Whose.
        station: StationCode,
    },
}

/// Somebody who has a key, and what verifies each key that is theirs.
#[derive(Debug, Clone)]
pub struct Provable {
    /// Who.
    pub entry: Entry,
    /// What lets them in, and its verifier. All have one salt and one number of rounds.
    pub keys: Vec<(Credential, Verifier)>,
}

/// What a look at the book found.
#[derive(Debug, Clone, Default)]
pub struct Review {
    /// Places in the list of those that do not open any more.
    pub gone: Vec<usize>,
    /// When the next key or token ends by itself.
    pub next_end: Option<Timestamp>,
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
    /// The key is right, and its owner is kept out.
    Disabled,
    /// The book cannot be read now.
    Unavailable,
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

    /// Does it allow this topic to be published on, and name its first level without a wildcard?
    pub(super) fn names(&self, topic: &str) -> bool {
        !self.denies && !self.filter.starts_with(['+', '#']) && self.speaks_of(Verb::Write, topic)
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
