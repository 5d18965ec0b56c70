//! What all changes come to: a pure fold. Recovery and compaction are both this fold, so a snapshot cannot mean
//! anything else than the log it replaces.
//!
//! The fold is total. A change that speaks of a session or a letter that is not there does nothing: a publish may be
//! written a moment after the end of a session it was queued for, and then there is nothing left to do.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use domain::Timestamp;

use super::change::{
    Addressed, Body, Change, LetterNo, MessageNo, Options, Published, Retain, SessionNo, Terms,
    Testament,
};

/// Everything that is remembered.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::mqtt) struct State {
    pub(in crate::mqtt) sessions: BTreeMap<SessionNo, KeptSession>,
    by_key: HashMap<Box<str>, SessionNo>,
    messages: HashMap<MessageNo, Held>,
    retained: BTreeMap<Box<str>, MessageNo>,
    pub(in crate::mqtt) wills: BTreeMap<Box<str>, KeptWill>,
    next_session: u64,
    next_message: u64,
}

/// A message and how many letters and topics hold it.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    body: Arc<Body>,
    uses: usize,
}

/// A session.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::mqtt) struct KeptSession {
    pub(in crate::mqtt) key: Box<str>,
    pub(in crate::mqtt) expiry_s: u32,
    /// Since when it has no connection. `None`: it had one when the log ended.
    pub(in crate::mqtt) detached_at: Option<Timestamp>,
    pub(in crate::mqtt) filters: BTreeMap<Box<str>, Options>,
    /// What it has not acknowledged, in the order of its queue.
    pub(in crate::mqtt) letters: BTreeMap<LetterNo, KeptLetter>,
    /// Packet ids of its own publishes (QoS 2) that it has not released.
    pub(in crate::mqtt) incoming: BTreeSet<u16>,
    /// The number of its next letter.
    pub(in crate::mqtt) next_letter: u64,
    ids: BTreeSet<u16>,
}

/// A letter.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::mqtt) struct KeptLetter {
    pub(in crate::mqtt) message: MessageNo,
    pub(in crate::mqtt) terms: Terms,
    pub(in crate::mqtt) stage: Stage,
}

/// How far a letter has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) enum Stage {
    /// It waits.
    Queued,
    /// It went out with this packet id.
    Sent(u16),
    /// The client holds it; the packet id is to be released.
    Received(u16),
}

/// A will.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::mqtt) struct KeptWill {
    pub(in crate::mqtt) will: Testament,
    /// When it is published. `None`: its client was connected when the log ended.
    pub(in crate::mqtt) due_at: Option<Timestamp>,
}

impl State {
    /// One change further.
    pub(in crate::mqtt) fn apply(&mut self, change: Change) {
        match change {
            Change::Opened { session, key, expiry_s, next_letter } => {
                self.open(session, key, expiry_s, next_letter);
            }
            Change::Attached { session, expiry_s } => {
                self.with(session, |it| (it.expiry_s, it.detached_at) = (expiry_s, None));
            }
            Change::Detached { session, expiry_s, at } => {
                self.with(session, |it| (it.expiry_s, it.detached_at) = (expiry_s, Some(at)));
            }
            Change::Ended { session } => self.end(session),
            Change::Subscribed { session, filter, options } => {
                self.with(session, |it| {
                    it.filters.insert(filter, options);
                });
            }
            Change::Unsubscribed { session, filter } => {
                self.with(session, |it| {
                    it.filters.remove(&filter);
                });
            }
            Change::Published(published) => self.publish(published),
            Change::Sent { session, letters } => self.with(session, |it| {
                letters.into_iter().for_each(|(letter, id)| it.send(letter, id));
            }),
            Change::Received { session, letter } => self.with(session, |it| it.receive(letter)),
            Change::Done { session, letters } => {
                letters.into_iter().for_each(|letter| self.finish(session, letter));
            }
            Change::Released { session, id } => {
                self.with(session, |it| {
                    it.incoming.remove(&id);
                });
            }
            Change::Cleared { topic } => self.clear(&topic),
            Change::WillMade { key, will } => {
                self.wills.insert(key, KeptWill { will, due_at: None });
            }
            Change::WillDue { key, at } => {
                if let Some(kept) = self.wills.get_mut(&key) {
                    kept.due_at = Some(at);
                }
            }
            Change::WillGone { key } => drop(self.wills.remove(&key)),
            Change::Numbers { session, message } => {
                self.next_session = self.next_session.max(session.0);
                self.next_message = self.next_message.max(message.0);
            }
        }
    }

    /// The changes that lead to this state from nothing: what a snapshot holds.
    pub(in crate::mqtt) fn changes(&self) -> impl Iterator<Item = Change> + '_ {
        let numbers = Change::Numbers {
            session: SessionNo(self.next_session),
            message: MessageNo(self.next_message),
        };
        let sessions = self.sessions.iter().flat_map(|(&no, session)| session.changes(no));
        std::iter::once(numbers)
            .chain(sessions)
            .chain(self.message_changes())
            .chain(self.sessions.iter().flat_map(|(&no, session)| session.stages(no)))
            .chain(self.wills.iter().flat_map(|(key, kept)| kept.changes(key)))
    }

    /// A message's bytes.
    pub(in crate::mqtt) fn body(&self, message: MessageNo) -> Option<&Arc<Body>> {
        self.messages.get(&message).map(|held| &held.body)
    }

    /// The retained messages.
    pub(in crate::mqtt) fn retained(&self) -> impl Iterator<Item = &Arc<Body>> {
        self.retained.values().filter_map(|&number| self.body(number))
    }

    /// The number of the next session.
    pub(in crate::mqtt) fn next_session(&self) -> u64 {
        self.next_session
    }

    /// The number of the next message.
    pub(in crate::mqtt) fn next_message(&self) -> u64 {
        self.next_message
    }

    fn with(&mut self, session: SessionNo, change: impl FnOnce(&mut KeptSession)) {
        if let Some(session) = self.sessions.get_mut(&session) {
            change(session);
        }
    }

    fn open(&mut self, session: SessionNo, key: Box<str>, expiry_s: u32, next_letter: LetterNo) {
        // One client, one session: the older ends, whether or not its end was written.
        if let Some(&older) = self.by_key.get(&key) {
            self.end(older);
        }
        self.end(session);
        self.next_session = self.next_session.max(session.0.saturating_add(1));
        self.by_key.insert(key.clone(), session);
        self.sessions.insert(session, KeptSession::new(key, expiry_s, next_letter.0));
    }

    fn end(&mut self, session: SessionNo) {
        let Some(ended) = self.sessions.remove(&session) else { return };
        self.by_key.remove(&ended.key);
        for letter in ended.letters.into_values() {
            self.let_go(letter.message);
        }
    }

    fn publish(&mut self, published: Published) {
        let Published { message, retain, from, moved, to } = published;
        if let Some((session, id)) = from {
            self.with(session, |it| {
                it.incoming.insert(id);
            });
        }
        if let Some((number, body)) = message {
            self.next_message = self.next_message.max(number.0.saturating_add(1));
            // Held once by this function, so that it cannot vanish before its letters are written.
            let held = self.messages.entry(number).or_insert(Held { body, uses: 0 });
            held.uses += 1;
            let topic = held.body.topic.clone();
            self.retain(number, topic, retain);
            to.into_iter().for_each(|addressed| self.queue(number, addressed));
            self.let_go(number);
        }
        if let Some((session, letter)) = moved {
            self.finish(session, letter);
        }
    }

    fn retain(&mut self, number: MessageNo, topic: Box<str>, retain: Retain) {
        match retain {
            Retain::Untouched => (),
            Retain::Cleared => self.clear(&topic),
            Retain::Set => {
                self.clear(&topic);
                self.hold(number);
                self.retained.insert(topic, number);
            }
        }
    }

    fn queue(&mut self, message: MessageNo, addressed: Addressed) {
        let Addressed { session, letter, terms } = addressed;
        let Some(session) = self.sessions.get_mut(&session) else { return };
        let Some(held) = self.messages.get_mut(&message) else { return };
        session.next_letter = session.next_letter.max(letter.0.saturating_add(1));
        if let std::collections::btree_map::Entry::Vacant(place) = session.letters.entry(letter) {
            held.uses += 1;
            place.insert(KeptLetter { message, terms, stage: Stage::Queued });
        }
    }

    fn finish(&mut self, session: SessionNo, letter: LetterNo) {
        let Some(session) = self.sessions.get_mut(&session) else { return };
        let Some(done) = session.letters.remove(&letter) else { return };
        if let Stage::Sent(id) | Stage::Received(id) = done.stage {
            session.ids.remove(&id);
        }
        self.let_go(done.message);
    }

    fn clear(&mut self, topic: &str) {
        if let Some(number) = self.retained.remove(topic) {
            self.let_go(number);
        }
    }

    fn hold(&mut self, number: MessageNo) {
        if let Some(held) = self.messages.get_mut(&number) {
            held.uses += 1;
        }
    }

    fn let_go(&mut self, number: MessageNo) {
        if let Some(held) = self.messages.get_mut(&number) {
            held.uses -= 1;
            if held.uses == 0 {
                self.messages.remove(&number);
            }
        }
    }

    /// Each message once, with everybody who waits for it.
    fn message_changes(&self) -> impl Iterator<Item = Change> + '_ {
        let mut letters: HashMap<MessageNo, Vec<Addressed>> = HashMap::new();
        for (&session, kept) in &self.sessions {
            for (&letter, it) in &kept.letters {
                let terms = it.terms.clone();
                letters.entry(it.message).or_default().push(Addressed { session, letter, terms });
            }
        }
        self.messages.iter().map(move |(&number, held)| {
            let kept = self.retained.get(&held.body.topic) == Some(&number);
            Change::Published(Published {
                message: Some((number, Arc::clone(&held.body))),
                retain: if kept { Retain::Set } else { Retain::Untouched },
                from: None,
                moved: None,
                to: letters.remove(&number).unwrap_or_default(),
            })
        })
    }
}

impl KeptSession {
    fn new(key: Box<str>, expiry_s: u32, next_letter: u64) -> Self {
        Self {
            key,
            expiry_s,
            detached_at: None,
            filters: BTreeMap::new(),
            letters: BTreeMap::new(),
            incoming: BTreeSet::new(),
            next_letter,
            ids: BTreeSet::new(),
        }
    }

    /// A packet id belongs to one letter at a time, and a letter keeps the one it has.
    fn send(&mut self, letter: LetterNo, id: u16) {
        if let Some(letter) = self.letters.get_mut(&letter)
            && letter.stage == Stage::Queued
            && id != 0
            && self.ids.insert(id)
        {
            letter.stage = Stage::Sent(id);
        }
    }

    fn receive(&mut self, letter: LetterNo) {
        if let Some(letter) = self.letters.get_mut(&letter)
            && let Stage::Sent(id) = letter.stage
        {
            letter.stage = Stage::Received(id);
        }
    }

    /// What there is before its letters.
    fn changes(&self, session: SessionNo) -> impl Iterator<Item = Change> + '_ {
        let &Self { expiry_s, detached_at, next_letter, .. } = self;
        let next_letter = LetterNo(next_letter);
        let opened = Change::Opened { session, key: self.key.clone(), expiry_s, next_letter };
        let detached = detached_at.map(|at| Change::Detached { session, expiry_s, at });
        let subscribed = self.filters.iter().map(move |(filter, &options)| Change::Subscribed {
            session,
            filter: filter.clone(),
            options,
        });
        let incoming = self.incoming.iter().map(move |&id| {
            let from = Some((session, id));
            let (message, moved, to) = (None, None, Vec::new());
            Change::Published(Published { message, retain: Retain::Untouched, from, moved, to })
        });
        std::iter::once(opened).chain(detached).chain(subscribed).chain(incoming)
    }

    /// How far its letters have come.
    fn stages(&self, session: SessionNo) -> impl Iterator<Item = Change> + '_ {
        let ids = self.letters.iter().filter_map(|(&letter, it)| match it.stage {
            Stage::Queued => None,
            Stage::Sent(id) | Stage::Received(id) => Some((letter, id)),
        });
        let sent: Vec<_> = ids.collect();
        let sent = (!sent.is_empty()).then_some(Change::Sent { session, letters: sent });
        let received = self.letters.iter().filter_map(move |(&letter, it)| {
            let received = matches!(it.stage, Stage::Received(_));
            received.then_some(Change::Received { session, letter })
        });
        sent.into_iter().chain(received)
    }
}

impl KeptWill {
    fn changes(&self, key: &str) -> impl Iterator<Item = Change> + '_ {
        let made = Change::WillMade { key: key.into(), will: self.will.clone() };
        let due = self.due_at.map(|at| Change::WillDue { key: key.into(), at });
        std::iter::once(made).chain(due)
    }
}

#[cfg(any(test, fuzzing))]
impl State {
    /// Says what does not hold together.
    pub(super) fn contradiction(&self) -> Option<String> {
        let mut uses: HashMap<MessageNo, usize> = HashMap::new();
        for (no, session) in &self.sessions {
            if self.by_key.get(&session.key) != Some(no) {
                return Some(format!("{no:?} is not found by its key"));
            }
            let mut ids = BTreeSet::new();
            for (letter, it) in &session.letters {
                *uses.entry(it.message).or_default() += 1;
                if session.next_letter <= letter.0 && letter.0 != u64::MAX {
                    return Some(format!("{letter:?} of {no:?} would be given again"));
                }
                if let Stage::Sent(id) | Stage::Received(id) = it.stage
                    && !ids.insert(id)
                {
                    return Some(format!("packet id {id} of {no:?} is on two letters"));
                }
            }
            let numbered = no.0 < self.next_session || no.0 == u64::MAX;
            if ids != session.ids || !numbered {
                return Some(format!("ids or number of {no:?}"));
            }
        }
        for number in self.retained.values() {
            *uses.entry(*number).or_default() += 1;
        }
        let held = self.messages.iter().map(|(&number, held)| (number, held.uses));
        let held: HashMap<MessageNo, usize> = held.collect();
        (held != uses || self.by_key.len() != self.sessions.len())
            .then(|| format!("messages {held:?}, used {uses:?}"))
    }
}
