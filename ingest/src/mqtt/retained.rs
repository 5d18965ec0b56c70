//! The last message of each topic that asked to be kept, for those who come later. What clients retain is in the
//! session log too; the engine publishes its own again when it starts.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Instant;

use super::message::Message;
use super::topic;

/// Retained messages, bounded in number and bytes.
#[derive(Debug)]
pub(super) struct Retained {
    /// Sorted, so that a filter looks only at the topics that share its part before the first wildcard.
    by_topic: BTreeMap<Box<str>, Arc<Message>>,
    bytes: usize,
    messages_max: usize,
    bytes_max: usize,
}

/// There is no room for another retained message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

impl Retained {
    pub(super) const fn new(messages_max: usize, bytes_max: usize) -> Self {
        Self { by_topic: BTreeMap::new(), bytes: 0, messages_max, bytes_max }
    }

    /// Keeps the message in place of its topic's last one; an empty payload only forgets.
    pub(super) fn put(&mut self, message: &Arc<Message>) -> Result<(), Full> {
        if let Some(old) = self.by_topic.remove(&*message.topic) {
            self.bytes -= old.bytes();
        }
        if message.payload.is_empty() {
            return Ok(());
        }
        if self.messages_max <= self.by_topic.len() || self.bytes_max < self.bytes + message.bytes()
        {
            return Err(Full);
        }
        self.bytes += message.bytes();
        self.by_topic.insert(message.topic.clone(), Arc::clone(message));
        Ok(())
    }

    /// Every retained message that the filter matches and that is still worth something.
    pub(super) fn matching<'a>(
        &'a self,
        filter: &'a str,
        now: Instant,
    ) -> impl Iterator<Item = &'a Arc<Message>> + 'a {
        // `a/#` also matches `a`: the common part ends before the last slash.
        let common = &filter[..filter.find(['+', '#']).unwrap_or(filter.len())];
        let common = if filter.ends_with("/#") && common.len() + 1 == filter.len() {
            &common[..common.len() - 1]
        } else {
            common
        };
        self.by_topic
            .range::<str, _>((Bound::Included(common), Bound::Unbounded))
            .take_while(move |(name, _)| name.starts_with(common))
            .filter(move |(name, message)| topic::covers(filter, name) && !message.is_expired(now))
            .map(|(_, message)| message)
    }

    /// Forgets what is worth nothing any more, and returns it.
    pub(super) fn forget_expired(&mut self, now: Instant) -> Vec<Arc<Message>> {
        let mut gone = Vec::new();
        let bytes = &mut self.bytes;
        self.by_topic.retain(|_, message| {
            let expired = message.is_expired(now);
            if expired {
                *bytes -= message.bytes();
                gone.push(Arc::clone(message));
            }
            !expired
        });
        gone
    }

    /// The retained message of a topic.
    pub(super) fn get(&self, topic: &str) -> Option<&Arc<Message>> {
        self.by_topic.get(topic)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_topic.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::message::Published;
    use super::*;

    fn put(retained: &mut Retained, topic: &str, payload: &'static str) -> Result<(), Full> {
        put_for(retained, topic, payload, None)
    }

    fn put_for(
        retained: &mut Retained,
        topic: &str,
        payload: &'static str,
        expiry_s: Option<u32>,
    ) -> Result<(), Full> {
        let payload = payload.as_bytes();
        let published =
            Published { topic, payload, properties: &[], expiry_s, qos: 1, retain: true };
        retained.put(&Arc::new(Message::new(published)))
    }

    #[test]
    fn what_is_worth_nothing_any_more_is_not_found_and_then_forgotten() {
        let mut retained = Retained::new(10, 10_000);
        put_for(&mut retained, "a/short", "1", Some(1)).unwrap();
        put_for(&mut retained, "a/long", "1", Some(100)).unwrap();
        let later = Instant::now() + Duration::from_secs(2);
        let topics: Vec<&str> = retained.matching("#", later).map(|it| &*it.topic).collect();
        assert_eq!(topics, ["a/long"]);
        assert_eq!((retained.forget_expired(later).len(), retained.len()), (1, 1));
        put(&mut retained, "a/long", "").unwrap();
        assert_eq!(retained.bytes, 0);
    }

    fn found(retained: &Retained, filter: &str) -> Vec<String> {
        let now = Instant::now();
        retained.matching(filter, now).map(|message| message.topic.to_string()).collect()
    }

    #[test]
    fn a_filter_finds_what_it_matches_and_an_empty_payload_forgets() {
        let mut retained = Retained::new(10, 10_000);
        for topic in ["a", "a/b", "a/b/c", "ab", "$x/a", "b"] {
            put(&mut retained, topic, "1").unwrap();
        }
        assert_eq!(found(&retained, "a/#"), ["a", "a/b", "a/b/c"]);
        assert_eq!(found(&retained, "a/+"), ["a/b"]);
        assert_eq!(found(&retained, "a/b"), ["a/b"]);
        assert_eq!(found(&retained, "#"), ["a", "a/b", "a/b/c", "ab", "b"]);
        assert_eq!(found(&retained, "+/b/#"), ["a/b", "a/b/c"]);
        put(&mut retained, "a/b", "").unwrap();
        assert_eq!(found(&retained, "a/#"), ["a", "a/b/c"]);
    }

    #[test]
    fn what_does_not_fit_is_refused_and_room_comes_back() {
        let mut retained = Retained::new(2, 10_000);
        put(&mut retained, "a", "1").unwrap();
        put(&mut retained, "b", "1").unwrap();
        assert_eq!(put(&mut retained, "c", "1"), Err(Full));
        put(&mut retained, "b", "2").unwrap();
        put(&mut retained, "b", "").unwrap();
        put(&mut retained, "c", "1").unwrap();
        for topic in ["a", "c"] {
            put(&mut retained, topic, "").unwrap();
        }
        assert_eq!((retained.len(), retained.bytes), (0, 0));
    }
}
