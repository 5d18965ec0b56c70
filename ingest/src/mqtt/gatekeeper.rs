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

/// A right on every topic that a filter matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    filter: String,
    verb: Verb,
}

/// What a grant allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// To subscribe.
    Read,
    /// To publish.
    Write,
    /// Both.
    ReadAndWrite,
}

/// The text of a grant is not a topic filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a topic filter")]
pub struct BadFilter(String);

impl Grant {
    /// The right to do `verb` on what `filter` matches.
    ///
    /// # Errors
    /// [`BadFilter`] where `filter` is not one.
    pub fn new(filter: &str, verb: Verb) -> Result<Self, BadFilter> {
        if !topic::is_filter(filter) {
            return Err(BadFilter(filter.to_owned()));
        }
        Ok(Self { filter: filter.to_owned(), verb })
    }

    /// May this filter (or topic) be subscribed to?
    pub(super) fn reads(&self, filter: &str) -> bool {
        self.verb != Verb::Write && topic::covers(&self.filter, filter)
    }

    /// Does it name the first level of its topics, and leave no wildcard there?
    pub(super) fn names_first_level(&self) -> bool {
        !self.filter.starts_with(['+', '#'])
    }

    /// May this topic be published on?
    pub(super) fn writes(&self, topic: &str) -> bool {
        self.verb != Verb::Read && topic::covers(&self.filter, topic)
    }
}
