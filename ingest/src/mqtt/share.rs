//! Shared subscriptions (section 4.8.2): `$share/{group}/{filter}`, where each message goes to one of the group. MQTT
//! 3.1.1 clients may join too.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::counters::dropped;
use super::keep::Addressed;
use super::message::{Letter, Message};
use super::session::{Presence, Session};
use super::topic;
use super::wire::Options;

/// A subscription as the tree and the groups hold it.
#[derive(Debug, Clone)]
pub(super) struct Subscriber {
    pub(super) session: Arc<Session>,
    pub(super) options: Options,
}

/// A letter that waits for its place in the log before its session may speak of it.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) session: Arc<Session>,
    pub(super) addressed: Addressed,
}

/// Nobody of the group is there, or has room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NobodyCan;

/// One group on one filter.
#[derive(Debug)]
pub(super) struct Share {
    /// The whole path, as it was subscribed to.
    pub(super) path: Box<str>,
    members: Mutex<Members>,
}

#[derive(Debug, Default)]
struct Members {
    all: Vec<Subscriber>,
    /// Whose turn it is.
    next: usize,
}

/// The group's name and the filter of a shared subscription's path. `None` where it is no such path at all; an error
/// where it should be one.
pub(super) fn parts(path: &str) -> Option<Result<(&str, &str), NotShared>> {
    let rest = path.strip_prefix("$share/")?;
    let parts = rest.split_once('/').filter(|(group, filter)| {
        !group.is_empty() && !group.contains(['+', '#']) && topic::is_filter(filter)
    });
    Some(parts.ok_or(NotShared))
}

/// A path that begins with `$share/` and goes on wrongly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotShared;

impl Share {
    pub(super) fn new(path: &str) -> Self {
        Self { path: path.into(), members: Mutex::default() }
    }

    /// Its subscription's whole path.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Adds a member, or changes how it is served.
    pub(super) fn join(&self, subscriber: Subscriber) {
        let mut members = self.members();
        let same = |old: &&mut Subscriber| Arc::ptr_eq(&old.session, &subscriber.session);
        match members.all.iter_mut().find(same) {
            Some(old) => *old = subscriber,
            None => members.all.push(subscriber),
        }
    }

    /// Takes a member out. Is nobody left?
    pub(super) fn leave(&self, session: &Arc<Session>) -> bool {
        let mut members = self.members();
        members.all.retain(|member| !Arc::ptr_eq(&member.session, session));
        members.all.is_empty()
    }

    /// Gives a message to one of the group: to those who are here in turn, then to those who will come back.
    pub(super) fn deliver(self: &Arc<Self>, message: &Arc<Message>, retain: bool) -> Option<Kept> {
        self.give(message, |options| retain && options.keep_retain, None).unwrap_or_else(|_| {
            tracing::debug!(path = %self.path, topic = %message.topic, "nobody of the group can take it");
            dropped("no_shared_subscriber");
            None
        })
    }

    /// Gives a letter that `left` had to another one. It goes with the other's own options.
    pub(super) fn deliver_again(
        self: &Arc<Self>,
        letter: &Letter,
        left: Option<&Arc<Session>>,
    ) -> Result<Option<Kept>, NobodyCan> {
        self.give(&letter.message, |options| letter.retain && options.keep_retain, left)
    }

    /// Is nobody in it any more?
    pub(super) fn is_empty(&self) -> bool {
        self.members().all.is_empty()
    }

    /// How many letters the others would take now, by their number.
    pub(super) fn room_elsewhere(&self, than: &Arc<Session>) -> usize {
        let members = self.members();
        let others = members.all.iter().filter(|member| !Arc::ptr_eq(&member.session, than));
        others.map(|member| member.session.room()).sum()
    }

    /// Is anybody but this one here?
    pub(super) fn has_others_here(&self, than: &Arc<Session>) -> bool {
        let members = self.members();
        let others = members.all.iter().filter(|member| !Arc::ptr_eq(&member.session, than));
        others.into_iter().any(|member| member.session.is_attached())
    }

    fn give(
        self: &Arc<Self>,
        message: &Arc<Message>,
        retain: impl Fn(&Options) -> bool,
        not_to: Option<&Arc<Session>>,
    ) -> Result<Option<Kept>, NobodyCan> {
        let mut members = self.members();
        let start = members.next;
        members.next = start.wrapping_add(1);
        let count = members.all.len();
        for presence in [Presence::Here, Presence::Away] {
            for at in 0..count {
                let Subscriber { session, options } = &members.all[start.wrapping_add(at) % count];
                if not_to.is_some_and(|left| Arc::ptr_eq(left, session)) {
                    continue;
                }
                let letter = Letter {
                    message: Arc::clone(message),
                    qos: message.qos.min(options.qos),
                    retain: retain(options),
                    ids: ids(options),
                    share: Some(Arc::clone(self)),
                    no: None,
                };
                if let Ok(addressed) = session.offer(letter, presence) {
                    let session = Arc::clone(session);
                    return Ok(addressed.map(|addressed| Kept { session, addressed }));
                }
            }
        }
        Err(NobodyCan)
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one identifier of a subscription, if it has one.
pub(super) fn ids(options: &Options) -> Vec<u32> {
    if options.id == 0 { Vec::new() } else { vec![options.id] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_a_name_without_wildcards_and_a_filter() {
        assert_eq!(parts("latest/#"), None);
        assert_eq!(parts("$shared/g/a"), None);
        assert_eq!(parts("$share/g/a/#"), Some(Ok(("g", "a/#"))));
        assert_eq!(parts("$share/g//a"), Some(Ok(("g", "/a"))));
        for bad in ["$share/", "$share/g", "$share/g/", "$share//a", "$share/g+/a", "$share/#/a"] {
            assert_eq!(parts(bad), Some(Err(NotShared)), "{bad}");
        }
        assert_eq!(parts("$share/g/a/#/b"), Some(Err(NotShared)));
    }
}
