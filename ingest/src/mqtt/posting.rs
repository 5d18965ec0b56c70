//! The part of a publish that is kept on disk: one record for whom it was queued for, what it retained and which
//! packet id it came with. Where none of that is to be kept, nothing here is done.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use journal::Position;

use super::broker::Broker;
use super::counters::dropped;
use super::keep::{Addressed, Change, Line, Published, Retain, SessionLog, SessionNo};
use super::message::{Letter, Message};
use super::session::Session;
use super::share::Kept;

/// Who says a message.
#[derive(Debug, Clone, Copy)]
pub(super) enum Origin<'a> {
    /// The engine: what it retains it says again after a restart, so that is not kept.
    Engine,
    /// A client that is gone.
    Will,
    /// A client, with its packet id where the message has QoS 2.
    Client(&'a Arc<Session>, Option<u16>),
}

impl<'a> Origin<'a> {
    /// The client's session.
    pub(super) const fn session(self) -> Option<&'a Arc<Session>> {
        match self {
            Self::Client(session, _) => Some(session),
            Self::Engine | Self::Will => None,
        }
    }

    /// Must it not do this twice, whoever hears it?
    pub(super) fn is_once(self) -> bool {
        matches!(self, Self::Client(session, Some(_)) if session.line().is_some())
    }

    /// What must not do this twice: the packet id of a session that is kept.
    fn arrival(self) -> Option<(SessionNo, u16)> {
        let Self::Client(session, Some(id)) = self else { return None };
        let line = session.line()?;
        session.is_unreleased(id).then(|| (line.session(), id))
    }
}

impl Broker {
    /// Retains the message if it asks for it, and puts into the log what is to be kept of it. Returns the position that
    /// whoever acknowledges it has to wait for.
    pub(super) fn keep(
        &self,
        message: &Arc<Message>,
        retain: bool,
        origin: Origin<'_>,
        kept: Vec<Kept>,
    ) -> Option<Position> {
        let Some(log) = &self.log else {
            if retain {
                self.retain(message);
            }
            return None;
        };
        let arrival = origin.arrival();
        let lasting = retain && !matches!(origin, Origin::Engine);
        if kept.is_empty() && arrival.is_none() && !lasting {
            if retain {
                self.retain(message);
            }
            return None;
        }
        let (sessions, to): (Vec<_>, Vec<_>) =
            kept.into_iter().map(|kept| (kept.session, kept.addressed)).unzip();
        let write = |outcome| {
            let published = posted(log, message, outcome, arrival, to);
            write(log, message.qos, &Change::Published(published))
        };
        // The log has retained messages in the order in which they replaced each other: so under their lock.
        let position = if retain {
            self.retain_with(message, lasting, write)
        } else {
            write(Retain::Untouched)
        };
        message.enter_log();
        sessions.iter().for_each(|session| session.notify());
        position
    }

    /// Retains a message that is not kept.
    fn retain(&self, message: &Arc<Message>) {
        self.retain_with(message, false, |_| ());
    }

    /// Retains a message and says what that comes to for the log: nothing, where it is not to last.
    fn retain_with<T>(
        &self,
        message: &Arc<Message>,
        lasting: bool,
        and: impl FnOnce(Retain) -> T,
    ) -> T {
        let mut retained = self.retained.write().unwrap_or_else(PoisonError::into_inner);
        let older = retained.get(&message.topic).is_some_and(|older| older.is_in_log());
        let outcome = match retained.put(message) {
            Ok(()) if !message.payload.is_empty() => Retain::Set,
            Ok(()) => Retain::Cleared,
            Err(_) => {
                tracing::warn!(topic = %message.topic, reason = "retained_full", "not retained");
                dropped("retained_full");
                Retain::Cleared
            }
        };
        self.counters.retained.set(retained.len() as f64);
        if lasting {
            return and(outcome);
        }
        if let Some(log) = self.log.as_ref().filter(|_| older) {
            log.note(&Change::Cleared { topic: message.topic.clone() });
        }
        and(Retain::Untouched)
    }

    /// Gives a letter of a group's member who is gone to another one; an error with the letter where nobody can take it.
    pub(super) fn pass_letter_on(
        &self,
        letter: Letter,
        left: Option<&Arc<Session>>,
    ) -> Result<(), Letter> {
        let Some(share) = letter.share.clone() else { return Ok(()) };
        let Some(log) = &self.log else {
            return share.deliver_again(&letter, left).map(drop).map_err(|_| letter);
        };
        // A message of its own: the one it was may go from the log with its last letter.
        let moved = left.and_then(|left| left.line()).map(Line::session).zip(letter.no);
        let message = Arc::new(letter.message.copy());
        let fresh = Letter { message: Arc::clone(&message), no: None, ..letter.clone() };
        match (share.deliver_again(&fresh, left), moved) {
            (Ok(Some(Kept { session, addressed })), moved) => {
                let published = posted(log, &message, Retain::Untouched, None, vec![addressed]);
                log.note(&Change::Published(Published { moved, ..published }));
                message.enter_log();
                session.notify();
            }
            (Ok(None), Some((session, letter))) => {
                log.note(&Change::Done { session, letters: vec![letter] });
            }
            (Ok(None), None) => (),
            (Err(_), _) => return Err(letter),
        }
        Ok(())
    }

    /// Looks again for somebody who can take what nobody could.
    pub(super) fn pass_strays_on(&self, now: Instant) {
        for letter in self.strays.take() {
            if letter.message.is_expired(now) {
                dropped("message_expired");
            } else if letter.share.as_ref().is_none_or(|share| share.is_empty()) {
                dropped("no_shared_subscriber");
            } else if let Err(letter) = self.pass_letter_on(letter, None) {
                self.strays.keep(letter);
            }
        }
    }

    /// Puts a retained message that a subscription brings into the log, as a message of its own.
    pub(super) fn keep_retained(&self, message: &Message, addressed: Addressed) {
        if let Some(log) = &self.log {
            let published = posted(log, message, Retain::Untouched, None, vec![addressed]);
            log.note(&Change::Published(published));
        }
    }
}

fn posted(
    log: &SessionLog,
    message: &Message,
    retain: Retain,
    from: Option<(SessionNo, u16)>,
    to: Vec<Addressed>,
) -> Published {
    let lives = !to.is_empty() || retain != Retain::Untouched;
    let message =
        lives.then(|| (log.new_message(), Arc::new(message.body(log.now(), Instant::now()))));
    Published { message, retain, from, moved: None, to }
}

/// Nobody waits to hear of a message with QoS 0.
fn write(log: &SessionLog, qos: u8, change: &Change) -> Option<Position> {
    if qos == 0 {
        log.note(change);
        return None;
    }
    Some(log.write(change))
}
