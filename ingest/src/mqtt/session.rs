//! What is remembered of a client beyond its connection: its subscriptions, what waits for it, what it has not
//! acknowledged, which messages with QoS 2 of its own it has not released. A session that outlives its connection has a
//! line to the log, and what changes in it is written there under the session's lock, so in the order in which it
//! happens.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::BytesMut;
use journal::Position;

use super::aliases;
use super::attachment::{Attachment, Kick};
use super::config::{Config, QueuePolicy};
use super::counters::dropped;
use super::flights::{Flights, Said, Stage, is_of};
use super::keep::{self, Addressed, KeptSession, LetterNo, Line};
use super::message::{Letter, Message};
use super::peer::Peer;
use super::share::Share;
use super::wire::{self, Answering, Extra, Outgoing, Version, code};
use super::wire::{publish, publish_bytes};

/// A client's session. Shared by the tree of subscriptions, the map of sessions and its connection.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) key: String,
    /// To the log, where the session is kept on disk.
    line: Option<Line>,
    state: Mutex<State>,
    /// Packet ids in `State::received`, read on the path of every publish without the lock.
    received: AtomicUsize,
    queue_messages_max: usize,
    queue_bytes_max: usize,
    queue_policy: QueuePolicy,
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
    /// It lost messages under the policy that says so: it is not resumed, and nothing more waits in it.
    pub(super) overflowed: bool,
    /// Its subscriptions by their whole path, and the group of each that is shared.
    pub(super) filters: HashMap<Box<str>, Option<Arc<Share>>>,
    /// Retained messages that a subscription brought, which go out before the queue. Shared with the retained store,
    /// so they cost a pointer each; bounded by one whole set of them.
    retained: VecDeque<Letter>,
    /// They wait for the answer to their subscription, which waits for the log.
    retained_wait: bool,
    queue: VecDeque<Letter>,
    queue_bytes: usize,
    /// Sent with QoS 1 and 2 and not done with.
    flights: Flights,
    /// Ids of messages with QoS 2 that came and were not released; each stands in a PUBREC, sent or to be sent. At most
    /// the receive maximum with MQTT 5, at most the 65,535 ids there are with 3.1.1.
    received: HashSet<u16>,
    /// The number of the next letter that is kept.
    next_letter: u64,
}

/// A will that waits (section 3.1.3.2.2).
#[derive(Debug)]
pub(super) struct WaitingWill {
    pub(super) will: wire::Will,
    /// Whose rights count when it is published.
    pub(super) peer: Arc<Peer>,
    pub(super) due: Instant,
    /// The log knows it.
    pub(super) kept: bool,
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
    pub(super) fn new(key: String, line: Option<Line>, config: &Config) -> Self {
        let Config { queue_messages_max, queue_bytes_max, queue_policy, .. } = *config;
        let (state, received) = (Mutex::default(), AtomicUsize::new(0));
        Self { key, line, state, received, queue_messages_max, queue_bytes_max, queue_policy }
    }

    /// Its line to the log, where it is kept on disk.
    pub(super) fn line(&self) -> Option<&Line> {
        self.line.as_ref()
    }

    /// Takes up what the log remembers, before anybody else knows the session but its groups.
    pub(super) fn restore(
        &self,
        kept: &KeptSession,
        mut message: impl FnMut(keep::MessageNo) -> Option<Arc<Message>>,
    ) {
        let mut state = self.state();
        state.next_letter = kept.next_letter;
        state.expiry_s = kept.expiry_s;
        state.received = kept.incoming.iter().copied().collect();
        self.received.store(state.received.len(), Ordering::Relaxed);
        for (&no, it) in &kept.letters {
            let Some(message) = message(it.message) else { continue };
            let (qos, retain) = (it.terms.qos, it.terms.retain);
            let ids = it.terms.identifiers.clone();
            // One whose subscription is gone is its own.
            let path = it.terms.share.as_deref();
            let share = path.and_then(|path| state.filters.get(path).cloned().flatten());
            let letter = Letter { message, qos, retain, ids, share, no: Some(no) };
            match it.stage {
                keep::Stage::Queued => state.enqueue(letter),
                keep::Stage::Sent(id) => state.flights.restore(id, no, Stage::Sent(letter)),
                keep::Stage::Received(id) => state.flights.restore(id, no, Stage::Received),
            }
        }
    }

    /// Its connection has something to fetch.
    pub(super) fn notify(&self) {
        if let Some(attached) = &self.state().attached {
            attached.notify();
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has it a connection?
    pub(super) fn is_attached(&self) -> bool {
        self.state().attached.is_some()
    }

    /// Puts a letter into the queue. Over the bound the policy says what is dropped. Where the session is kept, returns
    /// what the log has to know of it; until it does, the letter waits. A connection that has mail now is woken, or
    /// joins the others of a `crowd`.
    pub(super) fn deliver(
        &self,
        letter: Letter,
        crowd: Option<&mut Vec<Arc<Attachment>>>,
    ) -> Option<Addressed> {
        let mut state = self.state();
        if state.ended
            || state.overflowed
            || (state.attached.is_none() && (letter.qos == 0 || state.expiry_s == 0))
        {
            return None;
        }
        if !self.has_room(&state, &letter) && !self.make_room(&mut state, &letter) {
            let reason = if letter.qos == 0 { "slow_subscriber" } else { "queue_full" };
            tracing::debug!(session = %self.key, topic = %letter.message.topic, reason, "dropped");
            dropped(reason);
            return None;
        }
        self.take_in(&mut state, letter, crowd)
    }

    /// What the policy does about a letter that does not fit. Does it fit now? What may be lost on its way anyway (QoS 0)
    /// makes nobody else give way.
    fn make_room(&self, state: &mut State, letter: &Letter) -> bool {
        match self.queue_policy {
            _ if letter.qos == 0 => false,
            QueuePolicy::DropNewest => false,
            QueuePolicy::DropOldest => {
                while !self.has_room(state, letter) {
                    // One whose publish is not in the log yet cannot be taken out of it.
                    if !state.queue.front().is_some_and(Letter::is_ready) {
                        return false;
                    }
                    let Some(oldest) = state.queue.pop_front() else { return false };
                    state.queue_bytes -= oldest.message.bytes();
                    dropped("queue_full_oldest");
                    if let Some(line) = &self.line {
                        line.done(oldest.no.into_iter().collect());
                    }
                }
                true
            }
            QueuePolicy::Disconnect => {
                state.overflowed = true;
                state.queue.clear();
                state.queue_bytes = 0;
                dropped("queue_overflowed");
                // It is not resumed after a restart either.
                if let Some(line) = &self.line {
                    line.ended();
                }
                if let Some(attached) = &state.attached {
                    attached.kick(Kick::Overflowed);
                }
                false
            }
        }
    }

    /// The same for a member of a group; an error where another one has to take it.
    pub(super) fn offer(
        &self,
        letter: Letter,
        presence: Presence,
    ) -> Result<Option<Addressed>, Letter> {
        let mut state = self.state();
        let fits = match presence {
            Presence::Here => state.attached.is_some(),
            Presence::Away => state.attached.is_none() && letter.qos != 0 && state.expiry_s != 0,
        };
        if state.ended || state.overflowed || !fits || !self.has_room(&state, &letter) {
            return Err(letter);
        }
        Ok(self.take_in(&mut state, letter, None))
    }

    fn take_in(
        &self,
        state: &mut State,
        mut letter: Letter,
        crowd: Option<&mut Vec<Arc<Attachment>>>,
    ) -> Option<Addressed> {
        let addressed = self.line.as_ref().and_then(|line| state.number(&mut letter, line));
        let ready = letter.is_ready();
        state.enqueue(letter);
        match (state.attached.as_ref().filter(|_| ready), crowd) {
            (Some(attached), Some(crowd)) if attached.mark() => crowd.push(Arc::clone(attached)),
            (Some(attached), None) => attached.notify(),
            (Some(_) | None, _) => (),
        }
        addressed
    }

    /// Puts retained messages before everything else that waits, up to `retained_max` of them. Where the session is
    /// kept, `write` puts each into the log as a message of its own; with the position after them.
    pub(super) fn deliver_retained(
        &self,
        letters: impl Iterator<Item = Letter>,
        retained_max: usize,
        write: impl Fn(&Message, Addressed),
    ) -> Option<Position> {
        let mut state = self.state();
        for mut letter in letters {
            if retained_max <= state.retained.len() {
                dropped("slow_subscriber");
                continue;
            }
            if let Some(line) = &self.line
                && let Some(addressed) = state.number(&mut letter, line)
            {
                let message = letter.message.copy();
                write(&message, addressed);
                message.enter_log();
                letter.message = Arc::new(message);
            }
            state.retained.push_back(letter);
        }
        let position = self.line.as_ref().map(Line::until_now);
        state.retained_wait = position.is_some();
        if let Some(attached) = &state.attached {
            attached.notify();
        }
        position
    }

    /// Writes what waits into `to`, as far as there is room. Nothing for a connection that was taken over.
    pub(super) fn fetch(&self, me: &Arc<Attachment>, room: &mut Room, to: &mut BytesMut) {
        let mut state = self.state();
        if !state.attached.as_ref().is_some_and(|attached| Arc::ptr_eq(attached, me)) {
            return;
        }
        let now = Instant::now();
        loop {
            state.send_flights(self.line.as_ref(), room, now, me, to);
            if room.write_bytes_max <= to.len() || !state.flights.all_sent() {
                return;
            }
            if !self.take_off(&mut state, room, now, &me.peer, to) {
                return;
            }
        }
    }

    /// The subscription that brought retained messages is answered: they may follow.
    pub(super) fn subscription_answered(&self) {
        self.state().retained_wait = false;
    }

    /// Takes the letters whose turn it is: one, or for the log all that may go out together, so that they wait for one
    /// sync. Were there any?
    fn take_off(
        &self,
        state: &mut State,
        room: &mut Room,
        now: Instant,
        peer: &Peer,
        to: &mut BytesMut,
    ) -> bool {
        if state.retained_wait {
            return false;
        }
        let (mut sent, mut done, mut once, mut any) = (Vec::new(), Vec::new(), false, false);
        loop {
            let full = room.receive_max <= state.flights.len()
                || (self.queue_bytes_max <= state.flights.bytes());
            // What has QoS 0 does not overtake.
            if !sent.is_empty() && state.front().is_some_and(|letter| letter.qos == 0) {
                break;
            }
            let Some(letter) = state.next(full) else { break };
            any = true;
            if letter.message.is_expired(now) {
                dropped("message_expired");
                done.extend(letter.no);
            } else if letter.qos == 0 {
                write(&letter, 0, false, room, now, peer, to);
                break;
            } else {
                let (no, qos) = (letter.no, letter.qos);
                let id = state.flights.take_off(letter);
                let Some(no) = no else { break };
                sent.push((no, id));
                once |= qos == 2;
            }
        }
        if let Some(line) = &self.line {
            line.done(done);
            let count = sent.len();
            match once {
                true => state.flights.hold_back(count, line.sends_once(sent)),
                false if count != 0 => line.sent(sent),
                false => (),
            }
        }
        any
    }

    /// PUBACK: the client has it.
    pub(super) fn acknowledged(&self, id: u16) -> Said {
        self.finished(id, |flights| flights.acknowledged(id))
    }

    /// PUBREC: the client has it, or wants no more of it. With the position that PUBREL waits for.
    pub(super) fn received(&self, id: u16, refused: bool) -> (Said, Option<Position>) {
        if refused {
            return (self.finished(id, |flights| flights.received(id, true)), None);
        }
        let mut state = self.state();
        let said = state.flights.received(id, false);
        let flight = state.flights.with_id(id).filter(|_| said == Said::Expected);
        let (Some(line), Some(flight)) = (&self.line, flight) else { return (said, None) };
        let position = flight.no.map(|no| line.received(no));
        flight.gate = position.unwrap_or(0);
        (said, position)
    }

    /// PUBCOMP: the client has released it.
    pub(super) fn completed(&self, id: u16) -> Said {
        self.finished(id, |flights| flights.completed(id))
    }

    /// What a client says last of a letter.
    fn finished(&self, id: u16, change: impl FnOnce(&mut Flights) -> Said) -> Said {
        let mut state = self.state();
        let no = match self.line {
            Some(_) => state.flights.with_id(id).and_then(|flight| flight.no),
            None => None,
        };
        let said = change(&mut state.flights);
        if let (Some(line), Some(no), Said::Expected) = (&self.line, no, said) {
            line.done(vec![no]);
        }
        said
    }

    /// A message of the client's with QoS 2 came, and will be answered with PUBREC.
    pub(super) fn arrived(&self, id: u16) -> Arrival {
        let mut state = self.state();
        let first = state.received.insert(id);
        self.received.store(state.received.len(), Ordering::Relaxed);
        if first { Arrival::First } else { Arrival::Repeated }
    }

    /// PUBREL: the id may stand for another message. Did it stand for one? With the position that PUBCOMP waits for.
    pub(super) fn released(&self, id: u16) -> (bool, Option<Position>) {
        let mut state = self.state();
        let known = state.received.remove(&id);
        self.received.store(state.received.len(), Ordering::Relaxed);
        let position = self.line.as_ref().filter(|_| known).map(|line| line.released(id));
        (known, position)
    }

    /// An arrival that was refused, or will never be answered for: its id stands for nothing, and the log never knew it.
    pub(super) fn unheard(&self, id: u16) {
        let mut state = self.state();
        state.received.remove(&id);
        self.received.store(state.received.len(), Ordering::Relaxed);
    }

    /// Is this one of them?
    pub(super) fn is_unreleased(&self, id: u16) -> bool {
        self.state().received.contains(&id)
    }

    /// Messages with QoS 2 of the client's that it has not released.
    pub(super) fn unreleased(&self) -> usize {
        self.received.load(Ordering::Relaxed)
    }

    /// Takes out what one group's other members can have, at most so many: the client is gone, and may come back.
    pub(super) fn give_back(&self, share: &Arc<Share>, most: usize) -> Vec<Letter> {
        self.state().give_back(is_of(share), most)
    }

    /// The same for all groups, from a session that is over.
    pub(super) fn give_all_back(&self) -> Vec<Letter> {
        self.state().give_back(|_| true, usize::MAX)
    }

    /// How many letters of a group it would take now, by their number.
    pub(super) fn room(&self) -> usize {
        let state = self.state();
        let away = state.attached.is_none() && state.expiry_s == 0;
        match state.ended || state.overflowed || away {
            true => 0,
            false => self.queue_messages_max.saturating_sub(state.queue.len()),
        }
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
        self.retained_wait = false;
        self.flights.restart();
    }

    fn enqueue(&mut self, letter: Letter) {
        self.queue_bytes += letter.message.bytes();
        self.queue.push_back(letter);
    }

    /// Gives a letter its number in the log; none to QoS 0, which is not kept.
    fn number(&mut self, letter: &mut Letter, line: &Line) -> Option<Addressed> {
        if letter.qos == 0 {
            return None;
        }
        let no = LetterNo(self.next_letter);
        self.next_letter += 1;
        letter.no = Some(no);
        Some(letter.addressed(line.session(), no))
    }

    /// The letter that is next.
    fn front(&self) -> Option<&Letter> {
        self.retained.front().or_else(|| self.queue.front())
    }

    /// Writes the flights that this connection has not been sent (section 4.4: the same packet ids, and marked where
    /// they were sent before), up to one that the disk holds back.
    fn send_flights(
        &mut self,
        line: Option<&Line>,
        room: &mut Room,
        now: Instant,
        me: &Arc<Attachment>,
        to: &mut BytesMut,
    ) {
        let peer = &*me.peer;
        // A client that came back may take less than it took before.
        while to.len() < room.write_bytes_max && self.flights.sent() < room.receive_max {
            let Some(flight) = self.flights.next() else { return };
            if let Some(line) = line
                && flight.gate != 0
                && !line.has_reached(flight.gate)
            {
                return line.notify_at(flight.gate, me);
            }
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
                Written::No => {
                    let dropped = self.flights.drop_next().and_then(|flight| flight.no);
                    if let Some(line) = line {
                        line.done(dropped.into_iter().collect());
                    }
                }
            }
        }
    }

    /// The letter whose turn it is. One with QoS 1 or 2 waits while the client holds all it takes, and with it what is
    /// behind.
    fn next(&mut self, full: bool) -> Option<Letter> {
        let fits = |letter: &Letter| letter.is_ready() && (letter.qos == 0 || !full);
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

    fn give_back(&mut self, of: impl Fn(&Share) -> bool, most: usize) -> Vec<Letter> {
        let mut given = self.flights.give_back(&of, most);
        let mut left = most - given.len();
        let goes = |letter: &Letter| {
            let goes = 0 < left && letter.qos != 0 && letter.share.as_deref().is_some_and(&of);
            left -= usize::from(goes);
            goes
        };
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
