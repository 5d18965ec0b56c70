//! Topic aliases of MQTT 5 (section 3.3.2.3.4): a number for a topic that was said once, each way for itself and for
//! one connection.

use std::collections::HashMap;
use std::sync::Arc;

use super::wire::Bad;

/// Aliases that we use towards one client, where it takes so many: the topics of a station with its 26 parameters
/// fit twice, and 64 topics of 40 bytes cost 5 KB.
pub(super) const OUTGOING_MAX: u16 = 64;

/// What a client's aliases stand for.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    topics: Vec<Option<Arc<str>>>,
}

impl Incoming {
    /// The topic of a publish with this alias: the one it says now, or the one it said before.
    pub(super) fn topic(&mut self, alias: u16, said: &str, max: u16) -> Result<Arc<str>, Bad> {
        if alias == 0 || max < alias {
            return Err(Bad::TopicAlias);
        }
        let at = usize::from(alias) - 1;
        if !said.is_empty() {
            if self.topics.len() <= at {
                self.topics.resize(at + 1, None);
            }
            self.topics[at] = Some(said.into());
        }
        let known = self.topics.get(at).cloned().flatten();
        known.ok_or(Bad::Protocol("an alias that stands for nothing yet"))
    }
}

/// What our aliases stand for. The first topics get one each: a client that takes aliases follows few topics.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    known: HashMap<Box<str>, u16>,
    max: u16,
}

impl Outgoing {
    pub(super) fn new(max: u16) -> Self {
        Self { known: HashMap::new(), max: max.min(OUTGOING_MAX) }
    }

    /// How a topic is written: itself, its alias, or both the first time.
    pub(super) fn written<'a>(&self, topic: &'a str) -> (&'a str, Option<u16>) {
        if self.max == 0 {
            return (topic, None);
        }
        match self.known.get(topic) {
            Some(&alias) => ("", Some(alias)),
            None if self.known.len() < usize::from(self.max) => (topic, Some(self.next())),
            None => (topic, None),
        }
    }

    /// It went out so.
    pub(super) fn wrote(&mut self, topic: &str, alias: u16) {
        if !self.known.contains_key(topic) {
            self.known.insert(topic.into(), alias);
        }
    }

    fn next(&self) -> u16 {
        u16::try_from(self.known.len() + 1).unwrap_or(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_stands_for_what_was_said_last() {
        let mut aliases = Incoming::default();
        assert!(matches!(aliases.topic(2, "", 4), Err(Bad::Protocol(_))));
        assert_eq!(&*aliases.topic(2, "a", 4).unwrap(), "a");
        assert_eq!(&*aliases.topic(2, "", 4).unwrap(), "a");
        assert_eq!(&*aliases.topic(2, "b", 4).unwrap(), "b");
        assert_eq!(&*aliases.topic(2, "", 4).unwrap(), "b");
        assert!(matches!(aliases.topic(1, "", 4), Err(Bad::Protocol(_))));
        assert_eq!(aliases.topic(0, "a", 4), Err(Bad::TopicAlias));
        assert_eq!(aliases.topic(5, "a", 4), Err(Bad::TopicAlias));
    }

    #[test]
    fn the_first_topics_get_an_alias_and_later_ones_none() {
        let mut aliases = Outgoing::new(1);
        assert_eq!(aliases.written("a"), ("a", Some(1)));
        // It did not go out, so it is said again.
        assert_eq!(aliases.written("a"), ("a", Some(1)));
        aliases.wrote("a", 1);
        assert_eq!(aliases.written("a"), ("", Some(1)));
        assert_eq!(aliases.written("b"), ("b", None));
        assert_eq!(Outgoing::new(0).written("a"), ("a", None));
    }
}
