//! Messages with QoS 1 and 2 between being sent and being done with (section 4.3): a QoS 1 message is done with its
//! PUBACK; one with QoS 2 becomes a mere packet id with its PUBREC, and is done with its PUBCOMP.

use std::collections::VecDeque;
use std::sync::Arc;

use journal::Position;
use rustc_hash::FxHashSet;

use super::keep::LetterNo;
use super::message::Letter;
use super::share::Share;

/// What is on its way to a client, in the order in which it was first sent.
#[derive(Debug, Default)]
pub(super) struct Flights {
    all: VecDeque<Flight>,
    /// How many of them this connection has been sent.
    sent: usize,
    last_id: u16,
    /// The ids of all of them: a client that acknowledges nothing must not make each next one look at all before it.
    taken: FxHashSet<u16>,
    /// Of the letters among them.
    bytes: usize,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) id: u16,
    pub(super) stage: Stage,
    /// It went out before, perhaps on another connection: this time it is marked as sent again.
    pub(super) again: bool,
    /// Its letter's number in the log.
    pub(super) no: Option<LetterNo>,
    /// It waits for this position of the log to be on disk; 0 where it waits for nothing.
    pub(super) gate: Position,
}

/// What the client has to say next.
#[derive(Debug)]
pub(super) enum Stage {
    /// PUBACK or PUBREC.
    Sent(Letter),
    /// PUBCOMP.
    Received,
}

/// What a client's PUBACK, PUBREC or PUBCOMP was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// What was waited for.
    Expected,
    /// Nothing of this id waits for it: an answer that came twice.
    Unknown,
    /// The id stands for a message of the other QoS.
    Wrong,
}

impl Flights {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Everything goes out again, to the next connection.
    pub(super) fn restart(&mut self) {
        self.sent = 0;
    }

    /// How many of them this connection has been sent.
    pub(super) const fn sent(&self) -> usize {
        self.sent
    }

    /// Has this connection been sent all of them?
    pub(super) fn all_sent(&self) -> bool {
        self.sent == self.all.len()
    }

    /// Gives a letter an id; it is the next to send once all before it are sent.
    pub(super) fn take_off(&mut self, letter: Letter) -> u16 {
        let id = self.free_id();
        self.bytes += letter.message.bytes();
        let no = letter.no;
        self.taken.insert(id);
        self.all.push_back(Flight { id, stage: Stage::Sent(letter), again: false, no, gate: 0 });
        id
    }

    /// The last `count` of them go out when this position of the log is on disk, as far as they have QoS 2.
    pub(super) fn hold_back(&mut self, count: usize, gate: Position) {
        for flight in self.all.iter_mut().rev().take(count) {
            if matches!(&flight.stage, Stage::Sent(letter) if letter.qos == 2) {
                flight.gate = gate;
            }
        }
    }

    /// One that was on its way when the log ended.
    pub(super) fn restore(&mut self, id: u16, no: LetterNo, stage: Stage) {
        let flight = Flight { id, stage, again: true, no: Some(no), gate: 0 };
        self.taken.insert(id);
        self.bytes += flight.bytes();
        self.all.push_back(flight);
    }

    /// The one with this id.
    pub(super) fn with_id(&mut self, id: u16) -> Option<&mut Flight> {
        let at = self.find(id)?;
        self.all.get_mut(at)
    }

    /// The first that this connection has not been sent.
    pub(super) fn next(&self) -> Option<&Flight> {
        self.all.get(self.sent)
    }

    /// It has been written.
    pub(super) fn next_is_sent(&mut self) {
        if let Some(flight) = self.all.get_mut(self.sent) {
            flight.again = true;
            self.sent += 1;
        }
    }

    /// It will never be written: its letter is too large for the client, or not for its eyes any more.
    pub(super) fn drop_next(&mut self) -> Option<Flight> {
        self.remove(self.sent)
    }

    /// PUBACK.
    pub(super) fn acknowledged(&mut self, id: u16) -> Said {
        match self.find(id) {
            None => Said::Unknown,
            Some(at) if self.qos(at) != 1 => Said::Wrong,
            Some(at) => {
                self.remove(at);
                Said::Expected
            }
        }
    }

    /// PUBREC; `refused` where the client wants no more of it. A second PUBREC gets a second PUBREL.
    pub(super) fn received(&mut self, id: u16, refused: bool) -> Said {
        match self.find(id) {
            None => Said::Unknown,
            Some(at) if self.qos(at) == 1 => Said::Wrong,
            Some(at) if refused => {
                self.remove(at);
                Said::Expected
            }
            Some(at) => {
                self.bytes -= self.all[at].bytes();
                self.all[at].stage = Stage::Received;
                Said::Expected
            }
        }
    }

    /// PUBCOMP.
    pub(super) fn completed(&mut self, id: u16) -> Said {
        match self.find(id) {
            None => Said::Unknown,
            Some(at) if self.qos(at) != 0 => Said::Wrong,
            Some(at) => {
                self.remove(at);
                Said::Expected
            }
        }
    }

    /// Takes out letters with QoS 1 that a shared subscription brought, at most so many: the client may have them, and
    /// may not. A QoS 2 letter that went out is its client's for ever.
    pub(super) fn give_back(&mut self, of: impl Fn(&Share) -> bool, most: usize) -> Vec<Letter> {
        let mut given = Vec::new();
        let mut at = 0;
        while let Some(flight) = self.all.get(at).filter(|_| given.len() < most) {
            let goes = match &flight.stage {
                Stage::Sent(letter) => letter.qos == 1 && letter.share.as_deref().is_some_and(&of),
                Stage::Received => false,
            };
            match (goes, goes.then(|| self.remove(at)).flatten()) {
                (true, Some(Flight { stage: Stage::Sent(letter), .. })) => given.push(letter),
                _ => at += 1,
            }
        }
        given
    }

    /// Clients answer in order, so this mostly looks at the first.
    fn find(&self, id: u16) -> Option<usize> {
        self.all.iter().position(|flight| flight.id == id)
    }

    /// 0 for one of which only the id is left.
    fn qos(&self, at: usize) -> u8 {
        match &self.all[at].stage {
            Stage::Sent(letter) => letter.qos,
            Stage::Received => 0,
        }
    }

    fn remove(&mut self, at: usize) -> Option<Flight> {
        let flight = self.all.remove(at)?;
        self.sent -= usize::from(at < self.sent);
        self.bytes -= flight.bytes();
        self.taken.remove(&flight.id);
        Some(flight)
    }

    /// The next packet id that is not in use; there are 65,535, of which at most the receive maximum are taken.
    fn free_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.wrapping_add(1).max(1);
            let id = self.last_id;
            if !self.taken.contains(&id) {
                return id;
            }
        }
    }
}

impl Flight {
    fn bytes(&self) -> usize {
        match &self.stage {
            Stage::Sent(letter) => letter.message.bytes(),
            Stage::Received => 0,
        }
    }
}

/// A share as a letter holds it, compared by place.
pub(super) fn is_of(share: &Arc<Share>) -> impl Fn(&Share) -> bool {
    let share = Arc::clone(share);
    move |other| std::ptr::eq(Arc::as_ptr(&share), other)
}

#[cfg(test)]
mod tests {
    use super::super::message::{Message, Published};
    use super::*;

    fn letter(qos: u8) -> Letter {
        let (topic, payload, properties) = ("t", &b"1"[..], &[][..]);
        let published =
            Published { topic, payload, properties, expiry_s: None, qos, retain: false };
        let message = Arc::new(Message::new(published));
        Letter { message, qos, retain: false, ids: Vec::new(), share: None, no: None }
    }

    fn sent(qos: &[u8]) -> Flights {
        let mut flights = Flights::default();
        for &qos in qos {
            flights.take_off(letter(qos));
            flights.next_is_sent();
        }
        flights
    }

    #[test]
    fn each_qos_has_its_own_answers() {
        let mut flights = sent(&[1, 2]);
        assert_eq!(flights.received(1, false), Said::Wrong);
        assert_eq!(flights.acknowledged(2), Said::Wrong);
        assert_eq!(flights.completed(2), Said::Wrong);
        assert_eq!(flights.acknowledged(1), Said::Expected);
        assert_eq!(flights.acknowledged(1), Said::Unknown);
        assert_eq!(flights.received(2, false), Said::Expected);
        assert_eq!(flights.received(2, false), Said::Expected);
        assert_eq!(flights.completed(2), Said::Expected);
        assert_eq!((flights.len(), flights.bytes(), flights.sent), (0, 0, 0));
    }

    #[test]
    fn a_client_that_wants_no_more_of_it_is_done_with_it() {
        let mut flights = sent(&[2]);
        assert_eq!(flights.received(1, true), Said::Expected);
        assert_eq!((flights.len(), flights.bytes()), (0, 0));
    }

    #[test]
    fn after_a_reconnect_a_message_goes_again_and_a_received_one_only_by_its_id() {
        let mut flights = sent(&[1, 2, 2]);
        flights.received(2, false);
        flights.restart();
        let mut seen = Vec::new();
        while let Some(flight) = flights.next() {
            seen.push((flight.id, matches!(flight.stage, Stage::Sent(_)), flight.again));
            flights.next_is_sent();
        }
        assert_eq!(seen, [(1, true, true), (2, false, true), (3, true, true)]);
    }

    #[test]
    fn ids_are_used_again_only_when_they_are_free() {
        let mut flights = sent(&[1, 1]);
        flights.acknowledged(1);
        flights.last_id = u16::MAX;
        flights.take_off(letter(1));
        flights.take_off(letter(1));
        let ids: Vec<u16> = flights.all.iter().map(|flight| flight.id).collect();
        assert_eq!(ids, [2, 1, 3]);
    }
}
