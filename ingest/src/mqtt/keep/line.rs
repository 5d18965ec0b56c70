//! A session's line to the log. A session that ends with its connection has none, and costs nothing here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::Timestamp;
use journal::Position;

use crate::mqtt::attachment::Attachment;

use super::SessionLog;
use super::change::{Change, LetterNo, Options, SessionNo};

/// See the module.
#[derive(Debug)]
pub(in crate::mqtt) struct Line {
    log: SessionLog,
    session: SessionNo,
    ended: AtomicBool,
}

impl Line {
    /// The line of a session that begins.
    pub(in crate::mqtt) fn open(log: &SessionLog, key: &str, expiry_s: u32) -> Self {
        let session = log.new_session();
        let (key, next_letter) = (key.into(), LetterNo(0));
        log.note(&Change::Opened { session, key, expiry_s, next_letter });
        Self::again(log, session)
    }

    /// The line of a session that the log remembers.
    pub(in crate::mqtt) fn again(log: &SessionLog, session: SessionNo) -> Self {
        Self { log: log.clone(), session, ended: AtomicBool::new(false) }
    }

    /// The session's number.
    pub(in crate::mqtt) const fn session(&self) -> SessionNo {
        self.session
    }

    /// A connection serves it again.
    pub(in crate::mqtt) fn attached(&self, expiry_s: u32) {
        self.log.note(&Change::Attached { session: self.session, expiry_s });
    }

    /// Its connection is gone.
    pub(in crate::mqtt) fn detached(&self, expiry_s: u32) {
        let at: Timestamp = self.log.now();
        self.log.note(&Change::Detached { session: self.session, expiry_s, at });
    }

    /// It is over.
    pub(in crate::mqtt) fn ended(&self) {
        if !self.ended.swap(true, Ordering::Relaxed) {
            self.log.note(&Change::Ended { session: self.session });
        }
    }

    /// A subscription was made or changed.
    pub(in crate::mqtt) fn subscribed(&self, filter: &str, options: Options) -> Position {
        let session = self.session;
        self.log.write(&Change::Subscribed { session, filter: filter.into(), options })
    }

    /// A subscription was taken back.
    pub(in crate::mqtt) fn unsubscribed(&self, filter: &str) -> Position {
        self.log.write(&Change::Unsubscribed { session: self.session, filter: filter.into() })
    }

    /// Letters got packet ids, QoS 1 only: at worst they get others after a power cut, and are sent again.
    pub(in crate::mqtt) fn sent(&self, letters: Vec<(LetterNo, u16)>) {
        self.log.note(&Change::Sent { session: self.session, letters });
    }

    /// Letters got packet ids, QoS 2 among them. Those may go out when the position is on disk: with another id the
    /// client would take one for another message.
    pub(in crate::mqtt) fn sends_once(&self, letters: Vec<(LetterNo, u16)>) -> Position {
        self.log.write(&Change::Sent { session: self.session, letters })
    }

    /// The client holds a letter of QoS 2. PUBREL may go out when the position is on disk: after it the client has
    /// forgotten the packet id, and would take the letter for another message.
    pub(in crate::mqtt) fn received(&self, letter: LetterNo) -> Position {
        self.log.write(&Change::Received { session: self.session, letter })
    }

    /// Letters are over.
    pub(in crate::mqtt) fn done(&self, letters: Vec<LetterNo>) {
        if !letters.is_empty() {
            self.log.note(&Change::Done { session: self.session, letters });
        }
    }

    /// The client released the packet id of its own publish. PUBCOMP may go out when the position is on disk: after it
    /// the client may use the id for another message.
    pub(in crate::mqtt) fn released(&self, id: u16) -> Position {
        self.log.write(&Change::Released { session: self.session, id })
    }

    /// The position of everything that was decided until now.
    pub(in crate::mqtt) fn until_now(&self) -> Position {
        self.log.write_all()
    }

    /// Is everything below this position on disk?
    pub(in crate::mqtt) fn has_reached(&self, position: Position) -> bool {
        self.log.has_reached(position)
    }

    /// Has the connection look into its session again when this position is on disk.
    pub(in crate::mqtt) fn notify_at(&self, position: Position, attachment: &Arc<Attachment>) {
        self.log.notify_at(position, attachment);
    }
}
