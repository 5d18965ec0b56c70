//! What is remembered of a client beyond its connection: its subscriptions, what waits for it, and what it has not
//! acknowledged. In memory for now; the shape is that of a record per change, so that it can go to disk.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::BytesMut;

use super::attachment::Attachment;
use super::counters::dropped;
use super::message::Letter;
use super::wire::{Outgoing, Version, publish, publish_bytes};

/// A client's session. Shared by the tree of subscriptions, the map of sessions and its connection.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) key: String,
    state: Mutex<State>,
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
    /// It is over: nothing may be added.
    pub(super) ended: bool,
    /// Its subscriptions.
    pub(super) filters: HashSet<Box<str>>,
    /// Retained messages that a subscription brought, which go out before the queue. Shared with the retained store,
    /// so they cost a pointer each; bounded by one whole set of them.
    retained: VecDeque<Letter>,
    queue: VecDeque<Letter>,
    queue_bytes: usize,
    /// Sent with QoS 1 and not acknowledged, oldest first.
    unacked: VecDeque<(u16, Letter)>,
    /// How many of `unacked` this connection has been sent.
    sent: usize,
    last_id: u16,
}

/// What a connection can take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) version: Version,
    /// Messages with QoS 1 that the client takes unacknowledged.
    pub(super) receive_max: usize,
    /// The largest packet that the client takes.
    pub(super) packet_bytes_max: usize,
    /// Bytes in the write buffer at which no more is put into it.
    pub(super) write_bytes_max: usize,
}

impl Session {
    pub(super) fn new(key: String, queue_messages_max: usize, queue_bytes_max: usize) -> Self {
        Self { key, state: Mutex::default(), queue_messages_max, queue_bytes_max }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a letter into the queue. Over the bound the newest is dropped: an older state of the water that did arrive
    /// is better than a hole at an unknown place.
    pub(super) fn deliver(&self, letter: Letter) {
        let mut state = self.state();
        if state.ended || (state.attached.is_none() && (letter.qos == 0 || state.expiry_s == 0)) {
            return;
        }
        let bytes = letter.message.bytes();
        if self.queue_messages_max <= state.queue.len()
            || self.queue_bytes_max < state.queue_bytes + bytes
        {
            let reason = if letter.qos == 0 { "slow_subscriber" } else { "queue_full" };
            tracing::debug!(session = %self.key, topic = %letter.message.topic, reason, "dropped");
            dropped(reason);
            return;
        }
        state.queue_bytes += bytes;
        state.queue.push_back(letter);
        if let Some(attached) = &state.attached {
            attached.notify();
        }
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
    pub(super) fn fetch(&self, me: &Arc<Attachment>, room: Room, to: &mut BytesMut) {
        let mut state = self.state();
        if !state.attached.as_ref().is_some_and(|attached| Arc::ptr_eq(attached, me)) {
            return;
        }
        state.send_again(room, to);
        while to.len() < room.write_bytes_max && state.sent == state.unacked.len() {
            let full = room.receive_max <= state.unacked.len();
            let Some(letter) = state.next(full) else { return };
            state.send(letter, room, to);
        }
    }

    /// The client has it.
    pub(super) fn acknowledged(&self, id: u16) {
        let mut state = self.state();
        // Clients acknowledge in order, so this looks at the first.
        if let Some(at) = state.unacked.iter().position(|(held, _)| *held == id) {
            state.unacked.remove(at);
            state.sent -= usize::from(at < state.sent);
        }
    }
}

impl State {
    /// Another connection serves the session: what is not acknowledged goes out again.
    pub(super) fn attach(&mut self, attachment: Arc<Attachment>, expiry_s: u32) {
        attachment.notify();
        self.attached = Some(attachment);
        self.expiry_s = expiry_s;
        self.expires_at = None;
        self.sent = 0;
    }

    /// Section 4.4: the same packet ids, marked as sent before.
    fn send_again(&mut self, room: Room, to: &mut BytesMut) {
        while self.sent < self.unacked.len().min(room.receive_max)
            && to.len() < room.write_bytes_max
        {
            let (id, letter) = &self.unacked[self.sent];
            write(letter, *id, true, room, to);
            self.sent += 1;
        }
    }

    /// The letter whose turn it is. One with QoS 1 waits while the client holds all it takes, and with it what is behind.
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

    fn send(&mut self, letter: Letter, room: Room, to: &mut BytesMut) {
        if letter.qos == 0 {
            write(&letter, 0, false, room, to);
            return;
        }
        let id = self.free_id();
        if write(&letter, id, false, room, to) == Written::Yes {
            self.unacked.push_back((id, letter));
            self.sent += 1;
        }
    }

    /// The next packet id that is not in use; there are 65,535, of which at most `receive_max` are taken.
    fn free_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.wrapping_add(1).max(1);
            let id = self.last_id;
            if self.unacked.iter().all(|(held, _)| *held != id) {
                return id;
            }
        }
    }
}

#[derive(PartialEq)]
enum Written {
    Yes,
    No,
}

fn write(letter: &Letter, id: u16, again: bool, room: Room, to: &mut BytesMut) -> Written {
    let message = Outgoing {
        topic: &letter.message.topic,
        payload: &letter.message.payload,
        properties: &letter.message.properties,
        retain: letter.retain,
        again,
        id,
    };
    if room.packet_bytes_max < publish_bytes(room.version, message) {
        dropped("too_large_for_client");
        return Written::No;
    }
    publish(to, room.version, message);
    Written::Yes
}
