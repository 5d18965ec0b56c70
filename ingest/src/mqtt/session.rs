//! What is remembered of a client beyond its connection: its subscriptions, what waits for it, what it has not
//! acknowledged, which messages with QoS 2 of its own it has not released. Each change is one method here, so that each
//! can become a record on disk.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::BytesMut;

use super::aliases;
use super::attachment::Attachment;
use super::counters::dropped;
use super::flights::{Flights, Said, Stage, is_of};
use super::message::Letter;
use super::peer::Peer;
use super::share::Share;
use super::wire::{self, Answering, Extra, Outgoing, Version, code};
use super::wire::{publish, publish_bytes};

/// A client's session. Shared by the tree of subscriptions, the map of sessions and its connection.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) key: String,
    state: Mutex<State>,
    /// Packet ids in `State::received`, read on the path of every publish without the lock.
    received: AtomicUsize,
    queue_messages_max: usize,
    queue_bytes_max: usize,
}

/// What changes in a session.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Its connection, if it has one.
    pub(super) attached: Option<Arc<Attachment>>,
    /// Seconds it outlives its connection.
    pub(super) expiry_s: u32,
    /// When it is forgotten, while it has no connection.
    pub(super) expires_at: Option<Instant>,
    /// The will of its last connection, while it is waited whether the client comes back.
    pub(super) will: Option<WaitingWill>,
    /// It is over: nothing may be added.
    pub(super) ended: bool,
    /// Its subscriptions by their whole path, and the group of each that is shared.
    pub(super) filters: HashMap<Box<str>, Option<Arc<Share>>>,
    /// Retained messages that a subscription brought, which go out before the queue. Shared with the retained store,
    /// so they cost a pointer each; bounded by one whole set of them.
    retained: VecDeque<Letter>,
    queue: VecDeque<Letter>,
    queue_bytes: usize,
    /// Sent with QoS 1 and 2 and not done with.
    flights: Flights,
    /// Ids of messages with QoS 2 that came and were not released; each stands in a PUBREC, sent or to be sent. At most
    /// the receive maximum with MQTT 5, at most the 65,535 ids there are with 3.1.1.
    received: HashSet<u16>,
}

/// A will that waits (section 3.1.3.2.2).
#[derive(Debug)]
pub(super) struct WaitingWill {
    pub(super) will: wire::Will,
    /// Whose rights count when it is published.
    pub(super) peer: Arc<Peer>,
    pub(super) due: Instant,
}

/// What a connection can take.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) version: Version,
    /// Messages with QoS 1 and 2 that the client takes unacknowledged.
    pub(super) receive_max: usize,
    /// The largest packet that the client takes.
    pub(super) packet_bytes_max: usize,
    /// Bytes in the write buffer at which no more is put into it.
    pub(super) write_bytes_max: usize,
    /// What our topic aliases stand for.
    pub(super) aliases: aliases::Outgoing,
}

/// For whom of a group a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// Those who have a connection.
    Here,
    /// Those whose session waits for them.
    Away,
}

/// A message with QoS 2 came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    First,
    /// It came before: it is answered again and does nothing else.
    Repeated,
}

impl Session {
    pub(super) fn new(key: String, queue_messages_max: usize, queue_bytes_max: usize) -> Self {
        let received = AtomicUsize::new(0);
        Self { key, state: Mutex::default(), received, queue_messages_max, queue_bytes_max }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has it a connection?
    pub(super) fn is_attached(&self) -> bool {
        self.state().attached.is_some()
    }

    /// Puts a letter into the queue. Over the bound the newest is dropped: an older state of the water that did arrive
    /// is better than a hole at an unknown place.
    pub(super) fn deliver(&self, letter: Letter) {
        let mut state = self.state();
        if state.ended || (state.attached.is_none() && (letter.qos == 0 || state.expiry_s == 0)) {
            return;
        }
        if !self.has_room(&state, &letter) {
            let reason = if letter.qos == 0 { "slow_subscriber" } else { "queue_full" };
            tracing::debug!(session = %self.key, topic = %letter.message.topic, reason, "dropped");
            dropped(reason);
            return;
        }
        state.enqueue(letter);
    }

    /// The same for a member of a group; an error where another one has to take it.
    pub(super) fn offer(&self, letter: Letter, presence: Presence) -> Result<(), Letter> {
        let mut state = self.state();
        let fits = match presence {
            Presence::Here => state.attached.is_some(),
            Presence::Away => state.attached.is_none() && letter.qos != 0 && state.expiry_s != 0,
        };
        if state.ended || !fits || !self.has_room(&state, &letter) {
            return Err(letter);
        }
        state.enqueue(letter);
        Ok(())
    }

    /// Puts retained messages before everything else that waits, up to `retained_max` of them.
    pub(super) fn deliver_retained(
        &self,
        letters: impl Iterator<Item = Letter>,
        retained_max: usize,
    ) {
        let mut state = self.state();
        for letter in letters {
            if retained_max <= state.retained.len() {
                dropped("slow_subscriber");
            } else {
                state.retained.push_back(letter);
            }
        }
        if let Some(attached) = &state.attached {
            attached.notify();
        }
    }

    /// Writes what waits into `to`, as far as there is room. Nothing for a connection that was taken over.
    pub(super) fn fetch(&self, me: &Arc<Attachment>, room: &mut Room, to: &mut BytesMut) {
        let mut state = self.state();
        if !state.attached.as_ref().is_some_and(|attached| Arc::ptr_eq(attached, me)) {
            return;
        }
        let now = Instant::now();
        state.send_flights(room, now, &me.peer, to);
        while to.len() < room.write_bytes_max && state.flights.all_sent() {
            let full = room.receive_max <= state.flights.len()
                || (self.queue_bytes_max <= state.flights.bytes());
            let Some(letter) = state.next(full) else { return };
            state.send(letter, room, now, &me.peer, to);
        }
    }

    /// PUBACK: the client has it.
    pub(super) fn acknowledged(&self, id: u16) -> Said {
        self.state().flights.acknowledged(id)
    }

    /// PUBREC: the client has it, or wants no more of it.
    pub(super) fn received(&self, id: u16, refused: bool) -> Said {
        self.state().flights.received(id, refused)
    }

    /// PUBCOMP: the client has released it.
    pub(super) fn completed(&self, id: u16) -> Said {
        self.state().flights.completed(id)
    }

    /// A message of the client's with QoS 2 came, and will be answered with PUBREC.
    pub(super) fn arrived(&self, id: u16) -> Arrival {
        let mut state = self.state();
        let first = state.received.insert(id);
        self.received.store(state.received.len(), Ordering::Relaxed);
        if first { Arrival::First } else { Arrival::Repeated }
    }

    /// PUBREL, or an answer that is none: the id may stand for another message. Did it stand for one?
    pub(super) fn released(&self, id: u16) -> bool {
        let mut state = self.state();
        let known = state.received.remove(&id);
        self.received.store(state.received.len(), Ordering::Relaxed);
        known
    }

    /// Messages with QoS 2 of the client's that it has not released.
    pub(super) fn unreleased(&self) -> usize {
        self.received.load(Ordering::Relaxed)
    }

    /// Takes out what one group's other members can have: the client is gone, and may or may not come back.
    pub(super) fn give_back(&self, share: &Arc<Share>) -> Vec<Letter> {
        self.state().give_back(is_of(share))
    }

    /// The same for all groups, from a session that is over.
    pub(super) fn give_all_back(&self) -> Vec<Letter> {
        self.state().give_back(|_| true)
    }

    fn has_room(&self, state: &State, letter: &Letter) -> bool {
        state.queue.len() < self.queue_messages_max
            && state.queue_bytes + letter.message.bytes() <= self.queue_bytes_max
    }
}

impl State {
    /// Another connection serves the session: what is not acknowledged goes out again.
    pub(super) fn attach(&mut self, attachment: Arc<Attachment>, expiry_s: u32) {
        attachment.notify();
        self.attached = Some(attachment);
        self.expiry_s = expiry_s;
        self.expires_at = None;
        self.flights.restart();
    }

    fn enqueue(&mut self, letter: Letter) {
        self.queue_bytes += letter.message.bytes();
        self.queue.push_back(letter);
        if let Some(attached) = &self.attached {
            attached.notify();
        }
    }

    /// Writes the flights that this connection has not been sent (section 4.4: the same packet ids, and marked where
    /// they were sent before).
    fn send_flights(&mut self, room: &mut Room, now: Instant, peer: &Peer, to: &mut BytesMut) {
        while to.len() < room.write_bytes_max {
            let Some(flight) = self.flights.next() else { return };
            let written = match &flight.stage {
                Stage::Sent(letter) => write(letter, flight.id, flight.again, room, now, peer, to),
                Stage::Received => {
                    let told = (code::SUCCESS, "");
                    wire::answer(to, room.version, Answering::Rel, flight.id, told);
                    Written::Yes
                }
            };
            match written {
                Written::Yes => self.flights.next_is_sent(),
                Written::No => self.flights.drop_next(),
            }
        }
    }

    /// The letter whose turn it is. One with QoS 1 or 2 waits while the client holds all it takes, and with it what is
    /// behind.
    fn next(&mut self, full: bool) -> Option<Letter> {
        let fits = |letter: &Letter| letter.qos == 0 || !full;
        if let Some(first) = self.retained.front() {
            return if fits(first) { self.retained.pop_front() } else { None };
        }
        if !self.queue.front().is_some_and(fits) {
            return None;
        }
        let letter = self.queue.pop_front()?;
        self.queue_bytes -= letter.message.bytes();
        Some(letter)
    }

    fn send(
        &mut self,
        letter: Letter,
        room: &mut Room,
        now: Instant,
        peer: &Peer,
        to: &mut BytesMut,
    ) {
        if letter.message.is_expired(now) {
            dropped("message_expired");
        } else if letter.qos == 0 {
            write(&letter, 0, false, room, now, peer, to);
        } else {
            self.flights.take_off(letter);
            self.send_flights(room, now, peer, to);
        }
    }

    fn give_back(&mut self, of: impl Fn(&Share) -> bool) -> Vec<Letter> {
        let mut given = self.flights.give_back(&of);
        let goes = |letter: &Letter| letter.qos != 0 && letter.share.as_deref().is_some_and(&of);
        let (waiting, kept): (VecDeque<Letter>, VecDeque<Letter>) =
            std::mem::take(&mut self.queue).into_iter().partition(goes);
        self.queue = kept;
        self.queue_bytes -= waiting.iter().map(|letter| letter.message.bytes()).sum::<usize>();
        given.extend(waiting);
        given
    }
}

#[derive(PartialEq)]
enum Written {
    Yes,
    No,
}

/// Writes a letter, unless it is not for this client's eyes (its rights may have shrunk while the letter waited) or
/// too large for it.
fn write(
    letter: &Letter,
    id: u16,
    again: bool,
    room: &mut Room,
    now: Instant,
    peer: &Peer,
    to: &mut BytesMut,
) -> Written {
    let topic = &*letter.message.topic;
    if !peer.may_hear(topic) {
        tracing::warn!(name = peer.name(), topic, reason = "not_readable", "not delivered");
        dropped("not_readable");
        return Written::No;
    }
    let (said, alias) = room.aliases.written(topic);
    let message = Outgoing {
        topic: said,
        payload: &letter.message.payload,
        extra: Extra {
            passed_on: &letter.message.properties,
            expiry_s: letter.message.expiry_left_s(now),
            ids: &letter.ids,
            alias,
        },
        qos: letter.qos,
        retain: letter.retain,
        again,
        id,
    };
    if room.packet_bytes_max < publish_bytes(room.version, message) {
        dropped("too_large_for_client");
        return Written::No;
    }
    publish(to, room.version, message);
    if let Some(alias) = alias {
        room.aliases.wrote(topic, alias);
    }
    Written::Yes
}
