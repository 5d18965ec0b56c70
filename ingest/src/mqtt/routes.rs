//! Who gets what: subscriptions, and the way of a message from its publisher to them.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use journal::Position;

use super::broker::Broker;
use super::crowd::Crowd;
use super::keep::Line;
use super::message::{Letter, Message, Published};
use super::posting::Origin;
use super::restore::kept_options;
use super::session::Session;
use super::share::{Kept, Share, Subscriber, ids, parts};
use super::tree::Tree;
use super::wire::{Filter, RetainHandling};

/// What stands at a filter's place in the tree.
#[derive(Debug)]
pub(super) enum Route {
    /// Every message goes to this subscriber.
    Own(Subscriber),
    /// Every message goes to one of this group.
    Shared(Arc<Share>),
}

/// What became of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subscribed {
    /// With this QoS.
    Granted(u8),
    /// The session has as many as it may.
    TooMany,
}

impl Broker {
    /// Would anybody notice this message?
    pub(super) fn concerns_anybody(&self, retain: bool) -> bool {
        retain || self.subscriptions.load(Ordering::Relaxed) != 0
    }

    /// Keeps the message if it asks for it, and gives it to everybody who subscribed to its topic.
    /// Returns the position that whoever acknowledges it has to wait for, where something of it is kept on disk.
    pub(super) fn publish(&self, published: Published<'_>, origin: Origin<'_>) -> Option<Position> {
        if !self.concerns_anybody(published.retain) && !origin.is_once() {
            return None;
        }
        self.hand_out(&Arc::new(Message::new(published)), published.retain, origin)
    }

    /// The same for a message that already owns its bytes.
    pub(super) fn hand_out(
        &self,
        message: &Arc<Message>,
        retain: bool,
        origin: Origin<'_>,
    ) -> Option<Position> {
        // Held to the end: a subscription that comes meanwhile finds the message among the retained ones.
        let tree = self.tree.read().unwrap_or_else(PoisonError::into_inner);
        let kept = match self.subscriptions.load(Ordering::Relaxed) {
            0 => Vec::new(),
            _ => self.deliver(&tree, message, retain, origin.session()),
        };
        self.keep(message, retain, origin, kept)
    }

    /// Adds a subscription and delivers the retained messages it asks for; none for a shared one (section 4.8.2).
    /// With the position that its answer has to wait for.
    pub(super) fn subscribe(
        &self,
        session: &Arc<Session>,
        filter: &Filter,
    ) -> (Subscribed, Option<Position>) {
        let options = filter.options;
        let granted = Subscribed::Granted(options.qos);
        let is_shared = parts(&filter.path).is_some();
        let (new, position) = {
            let mut tree = self.tree.write().unwrap_or_else(PoisonError::into_inner);
            let remembered = self.place(&mut tree, session, filter);
            if matches!(remembered, Remembered::TooMany | Remembered::Ended) {
                return (remembered.answer(granted), None);
            }
            // Under the tree's lock, so that the log has what comes and goes in its order.
            let subscribed = |line: &Line| line.subscribed(&filter.path, kept_options(options));
            (matches!(remembered, Remembered::New), session.line().map(subscribed))
        };
        let wanted = match filter.retained {
            RetainHandling::Always => true,
            RetainHandling::WhenNew => new,
            RetainHandling::Never => false,
        };
        if !wanted || is_shared {
            return (granted, position);
        }
        (granted, position.max(self.deliver_retained(session, filter)))
    }

    /// Puts back a subscription that the log remembers.
    pub(super) fn subscribe_again(&self, session: &Arc<Session>, filter: &Filter) {
        let mut tree = self.tree.write().unwrap_or_else(PoisonError::into_inner);
        self.place(&mut tree, session, filter);
    }

    fn place(&self, tree: &mut Tree<Route>, session: &Arc<Session>, filter: &Filter) -> Remembered {
        let shared = parts(&filter.path).and_then(Result::ok).map(|(_, inner)| inner);
        let subscriber = Subscriber { session: Arc::clone(session), options: filter.options };
        let share = shared.map(|inner| find_or_add_share(tree, inner, &filter.path));
        let remembered = self.remember(session, filter, share.clone());
        match remembered {
            Remembered::TooMany | Remembered::Ended => {
                if let (Some(inner), Some(share)) = (shared, share) {
                    leave(tree, inner, &share, session);
                }
            }
            Remembered::New => {
                self.subscriptions.fetch_add(1, Ordering::Relaxed);
                enter(tree, &filter.path, share.as_ref(), subscriber);
            }
            Remembered::Changed => enter(tree, &filter.path, share.as_ref(), subscriber),
        }
        remembered
    }

    /// Takes a subscription out. Was it there? With the position that its answer has to wait for.
    pub(super) fn unsubscribe(
        &self,
        session: &Arc<Session>,
        path: &str,
    ) -> (bool, Option<Position>) {
        let mut tree = self.tree.write().unwrap_or_else(PoisonError::into_inner);
        let removed = session.state().filters.remove(path);
        let Some(share) = removed else { return (false, None) };
        take_out(&mut tree, path, share.as_ref(), session);
        self.subscriptions.fetch_sub(1, Ordering::Relaxed);
        (true, session.line().map(|line| line.unsubscribed(path)))
    }

    /// Takes everything of a session that is over out of the tree, and gives what its groups had given it to others.
    pub(super) fn forget_subscriptions(&self, session: &Arc<Session>) {
        let mut tree = self.tree.write().unwrap_or_else(PoisonError::into_inner);
        let filters = {
            let mut state = session.state();
            state.ended = true;
            std::mem::take(&mut state.filters)
        };
        for (path, share) in &filters {
            take_out(&mut tree, path, share.as_ref(), session);
        }
        self.subscriptions.fetch_sub(filters.len(), Ordering::Relaxed);
        drop(tree);
        for letter in session.give_all_back() {
            if let Err(letter) = self.pass_letter_on(letter, Some(session)) {
                self.strays.keep(letter);
            }
        }
    }

    /// A client is gone and may come back: what its groups gave it goes to others who are here, as far as they have
    /// room. The rest stays where it is.
    pub(super) fn pass_on(&self, session: &Arc<Session>) {
        let shares: Vec<Arc<Share>> = session.state().filters.values().flatten().cloned().collect();
        for share in shares {
            if share.has_others_here(session) {
                for letter in session.give_back(&share, share.room_elsewhere(session)) {
                    if let Err(letter) = self.pass_letter_on(letter, Some(session)) {
                        self.strays.keep(letter);
                    }
                }
            }
        }
    }

    fn remember(
        &self,
        session: &Session,
        filter: &Filter,
        share: Option<Arc<Share>>,
    ) -> Remembered {
        let mut state = session.state();
        if state.ended {
            return Remembered::Ended;
        }
        let new = !state.filters.contains_key(&*filter.path);
        if new && self.config.subscriptions_max <= state.filters.len() {
            return Remembered::TooMany;
        }
        state.filters.insert(filter.path.as_str().into(), share);
        if new { Remembered::New } else { Remembered::Changed }
    }

    fn deliver_retained(&self, session: &Arc<Session>, filter: &Filter) -> Option<Position> {
        let retained = self.retained.read().unwrap_or_else(PoisonError::into_inner);
        let letters = retained.matching(&filter.path, Instant::now()).map(|message| Letter {
            message: Arc::clone(message),
            qos: message.qos.min(filter.options.qos),
            retain: true,
            ids: ids(&filter.options),
            share: None,
            no: None,
        });
        let write = |message: &Message, addressed| self.keep_retained(message, addressed);
        session.deliver_retained(letters, self.config.retained_messages_max, write)
    }

    /// Gives the message to everybody who subscribed to its topic, and says whose letters the log has to know first.
    fn deliver(
        &self,
        tree: &Tree<Route>,
        message: &Arc<Message>,
        retain: bool,
        from: Option<&Arc<Session>>,
    ) -> Vec<Kept> {
        let mut kept = Vec::new();
        let mut found: Vec<&Subscriber> = Vec::new();
        tree.matching(&message.topic, &mut |route| match route {
            Route::Shared(share) => kept.extend(share.deliver(message, retain)),
            Route::Own(subscriber) => {
                let own = from.is_some_and(|from| Arc::ptr_eq(from, &subscriber.session));
                if !(own && subscriber.options.no_local) {
                    found.push(subscriber);
                }
            }
        });
        // One copy for each session, with the highest QoS of its filters that match, and all their identifiers.
        let place = |subscriber: &Subscriber| Arc::as_ptr(&subscriber.session).addr();
        found.sort_unstable_by_key(|&it| (place(it), u8::MAX - it.options.qos));
        let mut crowd = Crowd::is_one(found.len()).then(Vec::new);
        for filters in found.chunk_by(|&one, &other| place(one) == place(other)) {
            let session = &filters[0].session;
            let letter = Letter {
                message: Arc::clone(message),
                qos: message.qos.min(filters[0].options.qos),
                retain: retain && filters.iter().any(|it| it.options.keep_retain),
                ids: filters.iter().map(|it| it.options.id).filter(|&id| id != 0).collect(),
                share: None,
                no: None,
            };
            let addressed = session.deliver(letter, crowd.as_mut());
            let kept_one = |addressed| Kept { session: Arc::clone(session), addressed };
            kept.extend(addressed.map(kept_one));
        }
        self.crowd.wake(crowd.unwrap_or_default());
        kept
    }
}

/// What a session made of a filter.
enum Remembered {
    New,
    Changed,
    TooMany,
    Ended,
}

impl Remembered {
    /// A session that is over is told what it would have been: nobody hears it.
    const fn answer(&self, granted: Subscribed) -> Subscribed {
        match self {
            Self::TooMany => Subscribed::TooMany,
            _ => granted,
        }
    }
}

/// The group at the filter's place, perhaps without a member yet.
fn find_or_add_share(tree: &mut Tree<Route>, inner: &str, path: &str) -> Arc<Share> {
    let place = tree.place(inner);
    let known = place.iter().find_map(|route| match route {
        Route::Shared(share) if &*share.path == path => Some(Arc::clone(share)),
        _ => None,
    });
    known.unwrap_or_else(|| {
        let share = Arc::new(Share::new(path));
        place.push(Route::Shared(Arc::clone(&share)));
        share
    })
}

/// Puts a subscriber into its group, or into the tree in place of what it was.
fn enter(tree: &mut Tree<Route>, path: &str, share: Option<&Arc<Share>>, subscriber: Subscriber) {
    if let Some(share) = share {
        return share.join(subscriber);
    }
    let place = tree.place(path);
    let same = |route: &&mut Route| match route {
        Route::Own(old) => Arc::ptr_eq(&old.session, &subscriber.session),
        Route::Shared(_) => false,
    };
    match place.iter_mut().find(same) {
        Some(old) => *old = Route::Own(subscriber),
        None => place.push(Route::Own(subscriber)),
    }
}

fn take_out(
    tree: &mut Tree<Route>,
    path: &str,
    share: Option<&Arc<Share>>,
    session: &Arc<Session>,
) {
    match (share, parts(path).and_then(Result::ok)) {
        (Some(share), Some((_, inner))) => leave(tree, inner, share, session),
        _ => tree.retain(path, |route| match route {
            Route::Own(old) => !Arc::ptr_eq(&old.session, session),
            Route::Shared(_) => true,
        }),
    }
}

/// Takes a member out of its group, and the group out of the tree with its last member.
fn leave(tree: &mut Tree<Route>, inner: &str, share: &Arc<Share>, session: &Arc<Session>) {
    if share.leave(session) {
        tree.retain(inner, |route| match route {
            Route::Shared(other) => !Arc::ptr_eq(other, share),
            Route::Own(_) => true,
        });
    }
}
