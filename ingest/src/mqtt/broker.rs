//! What all connections share: sessions, subscriptions, retained messages.
//!
//! Locks are taken in this order and never the other way round: the map of sessions, the tree, retained messages, one
//! session. A publish takes the tree for reading and one session at a time; where nobody subscribed it takes none.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::Config;
use super::attachment::{Attachment, Kick};
use super::counters::{Counters, dropped};
use super::message::{Letter, Message};
use super::retained::Retained;
use super::session::Session;
use super::topic;
use super::tree::Tree;
use super::wire::{Filter, RetainHandling, Will};

/// A subscription as the tree holds it.
#[derive(Debug, Clone)]
struct Subscriber {
    session: Arc<Session>,
    qos: u8,
    no_local: bool,
    keep_retain: bool,
}

/// See the module.
pub(super) struct Broker {
    sessions: Mutex<Sessions>,
    tree: RwLock<Tree<Subscriber>>,
    /// Subscriptions in the tree. Zero means that a publish need not look.
    subscriptions: AtomicUsize,
    retained: RwLock<Retained>,
    config: Arc<Config>,
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
}

/// A message on its way through the broker, still in its publisher's bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Published<'a> {
    pub(super) topic: &'a str,
    pub(super) payload: &'a [u8],
    pub(super) properties: &'a [u8],
    pub(super) qos: u8,
    pub(super) retain: bool,
}

impl Broker {
    pub(super) fn new(config: Arc<Config>) -> Self {
        let retained = Retained::new(config.retained_messages_max, config.retained_bytes_max);
        Self {
            sessions: Mutex::default(),
            tree: RwLock::default(),
            subscriptions: AtomicUsize::new(0),
            retained: RwLock::new(retained),
            config,
            counters: Counters::new(),
        }
    }

    /// Would anybody notice this message?
    pub(super) fn concerns_anybody(&self, retain: bool) -> bool {
        retain || self.subscriptions.load(Ordering::Relaxed) != 0
    }

    /// Keeps the message if it asks for it, and gives it to everybody who subscribed to its topic.
    pub(super) fn publish(&self, published: Published<'_>, from: Option<&Arc<Session>>) {
        if !self.concerns_anybody(published.retain) {
            return;
        }
        let Published { topic, payload, properties, qos, retain } = published;
        self.hand_out(&Arc::new(Message::new(topic, payload, properties, qos)), retain, from);
    }

    /// The same for a message that already owns its bytes.
    pub(super) fn hand_out(
        &self,
        message: &Arc<Message>,
        retain: bool,
        from: Option<&Arc<Session>>,
    ) {
        if retain {
            self.retain(message);
        }
        if self.subscriptions.load(Ordering::Relaxed) == 0 {
            return;
        }
        let tree = self.tree.read().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<&Subscriber> = Vec::new();
        tree.matching(&message.topic, &mut |subscriber| {
            let own = from.is_some_and(|from| Arc::ptr_eq(from, &subscriber.session));
            if !(own && subscriber.no_local) {
                found.push(subscriber);
            }
        });
        // One copy for each session, with the highest QoS of its filters that match.
        let place = |subscriber: &Subscriber| Arc::as_ptr(&subscriber.session).addr();
        found.sort_unstable_by_key(|&it| (place(it), u8::MAX - it.qos));
        found.dedup_by_key(|it| place(it));
        for subscriber in found {
            subscriber.session.deliver(Letter {
                message: Arc::clone(message),
                qos: message.qos.min(subscriber.qos),
                retain: retain && subscriber.keep_retain,
            });
        }
    }

    /// Publishes a will.
    pub(super) fn publish_will(&self, will: &Will) {
        let published = Published {
            topic: &will.topic,
            payload: &will.payload,
            properties: &will.properties,
            qos: will.qos.min(1),
            retain: will.retain,
        };
        self.publish(published, None);
    }

    /// Adds a subscription and delivers the retained messages it asks for.
    pub(super) fn subscribe(&self, session: &Arc<Session>, filter: &Filter) -> Subscribed {
        let qos = filter.qos.min(1);
        let subscriber = Subscriber {
            session: Arc::clone(session),
            qos,
            no_local: filter.no_local,
            keep_retain: filter.keep_retain,
        };
        let new = {
            let mut tree = self.tree.write().unwrap_or_else(PoisonError::into_inner);
            let mut state = session.state();
            if state.ended {
                return Subscribed::Granted(qos);
            }
            let new = !state.filters.contains(&*filter.path);
            if new && self.config.subscriptions_max <= state.filters.len() {
                return Subscribed::TooMany;
            }
            state.filters.insert(filter.path.as_str().into());
            let same = |old: &Subscriber| Arc::ptr_eq(&old.session, session);
            tree.insert(&filter.path, subscriber, same);
            if new {
                self.subscriptions.fetch_add(1, Ordering::Relaxed);
            }
            new
        };
        let wanted = match filter.retained {
            RetainHandling::Always => true,
            RetainHandling::WhenNew => new,
            RetainHandling::Never => false,
        };
        if wanted {
            self.deliver_retained(session, &filter.path, qos);
        }
        Subscribed::Granted(qos)
    }

    /// Takes a subscription out. Was it there?
    pub(super) fn unsubscribe(&self, session: &Arc<Session>, path: &str) -> bool {
        let mut tree = self.tree.write().unwrap_or_else(PoisonError::into_inner);
        let existed = session.state().filters.remove(path);
        if existed {
            tree.remove(path, |old| Arc::ptr_eq(&old.session, session));
            self.subscriptions.fetch_sub(1, Ordering::Relaxed);
        }
        existed
    }

    /// Gives a new connection its session: the old one where it is remembered and wanted, else a new one. An older
    /// connection of the same client is sent away and its will published before this returns, so that what the newer
    /// one says stands last.
    pub(super) fn attach(
        &self,
        key: &str,
        clean_start: bool,
        expiry_s: u32,
        attachment: &Arc<Attachment>,
    ) -> Result<(Arc<Session>, bool), NoSession> {
        let mut sessions = self.lock_sessions();
        if sessions.closing {
            return Err(NoSession::ShuttingDown);
        }
        let old = sessions.by_key.get(key).cloned();
        if let Some(old) = &old {
            self.take_over(old);
            if !clean_start && self.resume(old, attachment, expiry_s) {
                return Ok((Arc::clone(old), true));
            }
            self.end(old);
            sessions.by_key.remove(key);
        }
        let sessions_max = self.config.sessions_max + self.config.connections_max;
        if sessions_max <= sessions.by_key.len() {
            return Err(NoSession::TooMany);
        }
        let Config { queue_messages_max, queue_bytes_max, .. } = *self.config;
        let session = Arc::new(Session::new(key.to_owned(), queue_messages_max, queue_bytes_max));
        session.state().attach(Arc::clone(attachment), expiry_s);
        sessions.by_key.insert(key.to_owned(), Arc::clone(&session));
        self.counters.sessions.set(sessions.by_key.len() as f64);
        Ok((session, false))
    }

    /// The connection is gone: the session waits or ends.
    pub(super) fn detach(&self, session: &Arc<Session>, attachment: &Arc<Attachment>) {
        let mut sessions = self.lock_sessions();
        {
            let mut state = session.state();
            let mine = |held: &Arc<Attachment>| Arc::ptr_eq(held, attachment);
            if !state.attached.as_ref().is_some_and(mine) {
                return;
            }
            state.attached = None;
            if state.expiry_s != 0 {
                let expiry = Duration::from_secs(u64::from(state.expiry_s));
                state.expires_at =
                    Some(Instant::now() + expiry.min(self.config.session_expiry_max));
                return;
            }
        }
        self.end(session);
        sessions.by_key.remove(&session.key);
        self.counters.sessions.set(sessions.by_key.len() as f64);
    }

    /// Forgets sessions whose time is over.
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

    fn lock_sessions(&self) -> std::sync::MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_over(&self, old: &Arc<Session>) {
        let attached = old.state().attached.take();
        if let Some(attached) = attached {
            if let Some(will) = attached.take_will() {
                self.publish_will(&will);
            }
            attached.kick(Kick::TakenOver);
        }
    }

    /// Goes on with a remembered session; not with one that ended with its connection.
    fn resume(&self, old: &Session, attachment: &Arc<Attachment>, expiry_s: u32) -> bool {
        let mut state = old.state();
        let alive = state.expires_at.is_none_or(|at| Instant::now() < at);
        let remembered = state.expiry_s != 0 && alive;
        if remembered {
            state.attach(Arc::clone(attachment), expiry_s);
        }
        remembered
    }

    /// Takes everything of a session out of the tree.
    fn end(&self, session: &Arc<Session>) {
        let mut tree = self.tree.write().unwrap_or_else(PoisonError::into_inner);
        let filters = {
            let mut state = session.state();
            state.ended = true;
            std::mem::take(&mut state.filters)
        };
        for filter in &filters {
            tree.remove(filter, |old| Arc::ptr_eq(&old.session, session));
        }
        self.subscriptions.fetch_sub(filters.len(), Ordering::Relaxed);
    }

    fn retain(&self, message: &Arc<Message>) {
        let mut retained = self.retained.write().unwrap_or_else(PoisonError::into_inner);
        if retained.put(message).is_err() {
            tracing::warn!(topic = %message.topic, reason = "retained_full", "not retained");
            dropped("retained_full");
        }
        self.counters.retained.set(retained.len() as f64);
    }

    fn deliver_retained(&self, session: &Arc<Session>, filter: &str, qos: u8) {
        debug_assert!(topic::is_filter(filter), "filters are checked before they come here");
        let retained = self.retained.read().unwrap_or_else(PoisonError::into_inner);
        let letters = retained.matching(filter).map(|message| Letter {
            message: Arc::clone(message),
            qos: message.qos.min(qos),
            retain: true,
        });
        session.deliver_retained(letters, self.config.retained_messages_max);
    }
}

/// What became of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subscribed {
    /// With this QoS.
    Granted(u8),
    /// The session has as many as it may.
    TooMany,
}
