//! What all connections share: sessions, subscriptions, retained messages.
//!
//! Locks are taken in this order and never the other way round: the map of sessions, the tree, retained messages, one
//! group, one session. A publish takes the tree for reading and one session at a time; where nobody subscribed it
//! takes none.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::Config;
use super::attachment::{Attachment, Kick};
use super::counters::{Counters, dropped};
use super::crowd::Crowd;
use super::keep::{Body, Change, Line, SessionLog, Testament};
use super::message::Published;
use super::peer::{Destination, Peer};
use super::posting::Origin;
use super::retained::Retained;
use super::routes::Route;
use super::session::{Session, WaitingWill};
use super::strays::Strays;
use super::tree::Tree;
use super::wire::Will;

/// See the module.
pub(super) struct Broker {
    sessions: Mutex<Sessions>,
    pub(super) tree: RwLock<Tree<Route>>,
    /// Subscriptions in the tree. Zero means that a publish need not look.
    pub(super) subscriptions: AtomicUsize,
    pub(super) retained: RwLock<Retained>,
    /// Wills that wait for their time, or more: zero means that nobody need look for one.
    pub(super) waiting_wills: AtomicUsize,
    /// What nobody of a group could take.
    pub(super) strays: Strays,
    /// Whom one message concerns beside many others.
    pub(super) crowd: Arc<Crowd>,
    /// What is remembered on disk; `None` keeps everything in memory.
    pub(super) log: Option<SessionLog>,
    pub(super) config: Arc<Config>,
    pub(super) counters: Counters,
}

#[derive(Default)]
struct Sessions {
    by_key: HashMap<String, Arc<Session>>,
    closing: bool,
}

/// Why a client gets no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoSession {
    /// The engine stops.
    ShuttingDown,
    /// As many sessions as we remember are there.
    TooMany,
    /// The disk is full or far behind: nothing more can be remembered.
    StorageBusy,
}

/// What a new connection is given.
pub(super) struct Attached {
    pub(super) session: Arc<Session>,
    /// It is the one that was remembered.
    pub(super) present: bool,
    /// The connection that it took the session from. What that one has on its way to the disk is to be answered for
    /// before the new one is served.
    pub(super) older: Option<Arc<Attachment>>,
}

impl Broker {
    pub(super) fn new(config: Arc<Config>, log: Option<SessionLog>) -> Self {
        let retained = Retained::new(config.retained_messages_max, config.retained_bytes_max);
        let broker = Self {
            sessions: Mutex::default(),
            tree: RwLock::default(),
            subscriptions: AtomicUsize::new(0),
            retained: RwLock::new(retained),
            waiting_wills: AtomicUsize::new(0),
            strays: Strays::new(&config),
            crowd: Arc::default(),
            log,
            config,
            counters: Counters::new(),
        };
        if let Some(log) = &broker.log {
            broker.restore(log);
        }
        broker
    }

    /// A session that nobody knows yet.
    pub(super) fn new_session(&self, key: &str, line: Option<Line>) -> Session {
        Session::new(key.to_owned(), line, &self.config)
    }

    /// Makes a session known.
    pub(super) fn add_session(&self, session: Arc<Session>) {
        let mut sessions = self.lock_sessions();
        sessions.by_key.insert(session.key.clone(), session);
        self.counters.sessions.set(sessions.by_key.len() as f64);
    }

    /// The session of this key, or the one that is made for it.
    pub(super) fn session_or(&self, key: &str, new: impl FnOnce() -> Arc<Session>) -> Arc<Session> {
        if let Some(known) = self.lock_sessions().by_key.get(key) {
            return Arc::clone(known);
        }
        let session = new();
        self.add_session(Arc::clone(&session));
        session
    }

    /// Publishes a will, if its client may still publish on its topic.
    fn publish_will(&self, will: &Will, peer: &Peer) {
        if peer.destination(&will.topic) != Destination::Subscribers {
            tracing::warn!(
                name = peer.name(),
                topic = will.topic,
                "the will is not allowed any more"
            );
            return dropped("will_not_allowed");
        }
        let published = Published {
            topic: &will.topic,
            payload: &will.payload,
            properties: &will.properties,
            expiry_s: will.expiry_s,
            qos: will.qos,
            retain: will.retain,
        };
        self.publish(published, Origin::Will);
    }

    /// Gives a new connection its session: the old one where it is remembered and wanted, else a new one. An older
    /// connection of the same client is sent away and its will published before this returns, so that what the newer
    /// one says stands last; a will with a delay is for clients that do not come back.
    pub(super) fn attach(
        &self,
        key: &str,
        clean_start: bool,
        expiry_s: u32,
        attachment: &Arc<Attachment>,
    ) -> Result<Attached, NoSession> {
        let mut sessions = self.lock_sessions();
        if sessions.closing {
            return Err(NoSession::ShuttingDown);
        }
        if expiry_s != 0 && self.log.as_ref().is_some_and(SessionLog::is_behind) {
            return Err(NoSession::StorageBusy);
        }
        let old = sessions.by_key.get(key).cloned();
        let older = old.as_ref().and_then(|old| self.take_over(old));
        if let Some(old) = old {
            if !clean_start && self.resume(&old, attachment, expiry_s) {
                self.keep_will(&old, attachment);
                return Ok(Attached { session: old, present: true, older });
            }
            self.end(&old);
            sessions.by_key.remove(key);
        }
        let sessions_max = self.config.sessions_max + self.config.connections_max;
        if sessions_max <= sessions.by_key.len() {
            return Err(NoSession::TooMany);
        }
        // One that ends with its connection is not worth a byte on disk.
        let lasting = self.log.as_ref().filter(|_| expiry_s != 0);
        let line = lasting.map(|log| Line::open(log, key, expiry_s));
        let session = Arc::new(self.new_session(key, line));
        session.state().attach(Arc::clone(attachment), expiry_s);
        self.keep_will(&session, attachment);
        sessions.by_key.insert(key.to_owned(), Arc::clone(&session));
        self.counters.sessions.set(sessions.by_key.len() as f64);
        Ok(Attached { session, present: false, older })
    }

    /// The connection is gone: the session waits or ends, and with it the will, if there is one to publish.
    pub(super) fn detach(
        &self,
        session: &Arc<Session>,
        attachment: &Arc<Attachment>,
        will: Option<Will>,
    ) {
        let mut sessions = self.lock_sessions();
        let expiry_s = {
            let mut state = session.state();
            let mine = |held: &Arc<Attachment>| Arc::ptr_eq(held, attachment);
            if !state.attached.as_ref().is_some_and(mine) {
                return;
            }
            state.attached = None;
            let expiry = Duration::from_secs(u64::from(state.expiry_s));
            state.expires_at = Some(Instant::now() + expiry.min(self.config.session_expiry_max));
            state.expiry_s
        };
        match will {
            Some(will) => self.publish_or_wait(session, will, attachment),
            None if attachment.take_will_kept() => self.will_is_gone(&session.key),
            None => (),
        }
        if expiry_s == 0 {
            self.end(session);
            sessions.by_key.remove(&session.key);
            self.counters.sessions.set(sessions.by_key.len() as f64);
        } else {
            if let Some(line) = session.line() {
                line.detached(expiry_s);
            }
            drop(sessions);
            self.pass_on(session);
        }
    }

    /// Publishes wills that waited long enough, and forgets sessions and retained messages whose time is over.
    pub(super) fn forget_expired(&self, now: Instant) {
        let mut sessions = self.lock_sessions();
        sessions.by_key.retain(|_, session| {
            let over = session.state().expires_at.is_some_and(|at| at <= now);
            if over {
                dropped("session_expired");
                self.end(session);
            }
            !over
        });
        self.counters.sessions.set(sessions.by_key.len() as f64);
        drop(sessions);
        let mut retained = self.retained.write().unwrap_or_else(PoisonError::into_inner);
        for message in retained.forget_expired(now) {
            dropped("retained_expired");
            if let Some(log) = self.log.as_ref().filter(|_| message.is_in_log()) {
                log.note(&Change::Cleared { topic: message.topic.clone() });
            }
        }
        self.counters.retained.set(retained.len() as f64);
    }

    /// Publishes the wills whose delay is over.
    pub(super) fn publish_due_wills(&self, now: Instant) {
        if self.waiting_wills.load(Ordering::Relaxed) == 0 {
            return;
        }
        // The lock is held to the end: a client that comes back now finds its will published, and not on its way.
        let sessions = self.lock_sessions();
        for session in sessions.by_key.values() {
            let due = session.state().will.take_if(|waiting| waiting.due <= now);
            if let Some(waiting) = due {
                self.publish_waiting(session, &waiting);
            }
        }
    }

    /// Sends everybody away, now and from now on.
    pub(super) fn close(&self) {
        let mut sessions = self.lock_sessions();
        sessions.closing = true;
        for session in sessions.by_key.values() {
            if let Some(attached) = &session.state().attached {
                attached.kick(Kick::ShuttingDown);
            }
        }
    }

    fn lock_sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the connection that has the session away, and publishes its will or lets it wait.
    fn take_over(&self, old: &Arc<Session>) -> Option<Arc<Attachment>> {
        let attached = old.state().attached.take()?;
        if let Some(will) = attached.take_will() {
            self.publish_or_wait(old, will, &attached);
        }
        attached.kick(Kick::TakenOver);
        Some(attached)
    }

    /// A will without a delay is published; another one waits for its time, or for the end of its session.
    fn publish_or_wait(&self, session: &Session, will: Will, attachment: &Attachment) {
        let kept = attachment.take_will_kept();
        if will.delay_s == 0 {
            self.publish_will(&will, &attachment.peer);
            if kept {
                self.will_is_gone(&session.key);
            }
            return;
        }
        let delay = Duration::from_secs(u64::from(will.delay_s));
        if let Some(log) = self.log.as_ref().filter(|_| kept) {
            let key = session.key.as_str().into();
            log.write(&Change::WillDue { key, at: log.now() + delay });
        }
        let due = Instant::now() + Duration::from_secs(u64::from(will.delay_s));
        let peer = Arc::clone(&attachment.peer);
        session.state().will = Some(WaitingWill { will, peer, due, kept });
        self.waiting_wills.fetch_add(1, Ordering::Relaxed);
    }

    fn publish_waiting(&self, session: &Session, waiting: &WaitingWill) {
        self.waiting_wills.fetch_sub(1, Ordering::Relaxed);
        self.publish_will(&waiting.will, &waiting.peer);
        if waiting.kept {
            self.will_is_gone(&session.key);
        }
    }

    /// Puts a new connection's will into the log, where it can outlive the engine: that of a session that is kept, and
    /// one that is retained, because what it corrects is kept.
    fn keep_will(&self, session: &Session, attachment: &Attachment) {
        let Some(log) = &self.log else { return };
        attachment.keep_will(|will| {
            let lasting = session.line().is_some() || will.retain;
            if lasting {
                let (key, will) = (session.key.as_str().into(), testament(will));
                log.note(&Change::WillMade { key, will });
            }
            lasting
        });
    }

    fn will_is_gone(&self, key: &str) {
        if let Some(log) = &self.log {
            log.note(&Change::WillGone { key: key.into() });
        }
    }

    /// Goes on with a remembered session; not with one that ended with its connection.
    fn resume(&self, old: &Session, attachment: &Arc<Attachment>, expiry_s: u32) -> bool {
        let mut state = old.state();
        let alive = state.expires_at.is_none_or(|at| Instant::now() < at);
        let remembered = state.expiry_s != 0 && alive && !state.overflowed;
        if remembered {
            // The client came back in time: its will is not published (section 3.1.3.2.2).
            if let Some(waiting) = state.will.take() {
                self.waiting_wills.fetch_sub(1, Ordering::Relaxed);
                if waiting.kept {
                    self.will_is_gone(&old.key);
                }
            }
            state.attach(Arc::clone(attachment), expiry_s);
            if let Some(line) = old.line() {
                line.attached(expiry_s);
            }
        }
        remembered
    }

    /// A session is over, and a will waits no longer than its session.
    fn end(&self, session: &Arc<Session>) {
        let waiting = session.state().will.take();
        if let Some(waiting) = waiting {
            self.publish_waiting(session, &waiting);
        }
        self.forget_subscriptions(session);
        if let Some(line) = session.line() {
            line.ended();
        }
    }
}

/// A will as the log has it.
fn testament(will: &Will) -> Testament {
    let &Will { qos, retain, delay_s, expiry_s, .. } = will;
    let body = Body {
        topic: will.topic.as_str().into(),
        payload: will.payload.clone(),
        properties: will.properties.clone(),
        qos,
        expires_at: None,
    };
    Testament { body: Arc::new(body), retain, delay_s, expiry_s }
}
