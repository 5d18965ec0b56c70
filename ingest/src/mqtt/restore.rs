//! What the log remembers, put back in its place when the door opens: sessions with their subscriptions, letters and
//! packet ids, retained messages, wills.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use domain::{Station, StationCode, Timestamp};

use super::broker::Broker;
use super::gatekeeper::{Entry, Grant, Verb};
use super::keep::{KeptSession, KeptWill, Line, Options, SessionLog, SessionNo, State, Testament};
use super::message::Message;
use super::peer::Peer;
use super::session::{Session, WaitingWill};
use super::wire::{self, Filter, RetainHandling, Will};

/// How long the will of a client that was connected when the engine ended waits at least. The client did nothing
/// wrong; a province of stations is back within a minute, and then its wills would only have told lies.
const WILL_GRACE: Duration = Duration::from_secs(60);

impl Broker {
    /// Takes up what the log found. Called once, before anybody is served.
    pub(super) fn restore(&self, log: &SessionLog) {
        let state = log.take_found();
        let (now, instant) = (log.now(), Instant::now());
        self.restore_retained(&state, now, instant);
        let mut messages = HashMap::new();
        for (&no, kept) in &state.sessions {
            let session = self.restore_session(log, no, kept, now, instant);
            // The subscriptions first: what a shared one brought finds its group.
            self.restore_filters(&session, kept);
            session.restore(kept, |number| {
                let body = state.body(number)?;
                let message = messages
                    .entry(number)
                    .or_insert_with(|| Arc::new(Message::from_log(body, now, instant)));
                Some(Arc::clone(message))
            });
            self.add_session(session);
        }
        for (key, kept) in &state.wills {
            self.restore_will(key, kept, now, instant);
        }
    }

    fn restore_retained(&self, state: &State, now: Timestamp, instant: Instant) {
        let mut retained = self.retained.write().unwrap_or_else(PoisonError::into_inner);
        for body in state.retained() {
            // What does not fit any more was retained under larger limits: counted like every other.
            if retained.put(&Arc::new(Message::from_log(body, now, instant))).is_err() {
                super::counters::dropped("retained_full");
            }
        }
        self.counters.retained.set(retained.len() as f64);
    }

    fn restore_session(
        &self,
        log: &SessionLog,
        no: SessionNo,
        kept: &KeptSession,
        now: Timestamp,
        instant: Instant,
    ) -> Arc<Session> {
        let session = self.new_session(&kept.key, Some(Line::again(log, no)));
        let expiry = Duration::from_secs(u64::from(kept.expiry_s));
        let left = expiry.min(self.config.session_expiry_max);
        // One that was connected when the log ended is without a connection since now.
        let passed = kept.detached_at.map_or(Duration::ZERO, |at| now.since(at));
        session.state().expires_at = Some(instant + left.saturating_sub(passed));
        Arc::new(session)
    }

    fn restore_filters(&self, session: &Arc<Session>, kept: &KeptSession) {
        for (path, options) in &kept.filters {
            let filter = Filter {
                path: path.to_string(),
                options: wire::Options {
                    qos: options.qos,
                    no_local: options.no_local,
                    keep_retain: options.keep_retain,
                    id: options.identifier.unwrap_or(0),
                },
                retained: RetainHandling::Never,
            };
            self.subscribe_again(session, &filter);
        }
    }

    fn restore_will(&self, key: &str, kept: &KeptWill, now: Timestamp, instant: Instant) {
        let Some(peer) = peer_of(key, &kept.will) else {
            tracing::warn!(key, "a will of nobody known");
            return super::counters::dropped("will_not_allowed");
        };
        let delay = Duration::from_secs(u64::from(kept.will.delay_s));
        let wait = kept.due_at.map_or(delay.max(WILL_GRACE), |at| at.since(now));
        let due = instant + wait;
        let waiting = WaitingWill { will: will(&kept.will), peer: Arc::new(peer), due, kept: true };
        let session = self.session_or(key, || {
            // Its session ended with its connection; the will waits in the place of one.
            let session = Arc::new(self.new_session(key, None));
            session.state().expires_at = Some(due);
            session
        });
        session.state().will = Some(waiting);
        self.waiting_wills.fetch_add(1, Ordering::Relaxed);
    }
}

/// Who may publish a will: a station below its own name; a guest what it was granted when it logged in, which was
/// looked at then.
fn peer_of(key: &str, will: &Testament) -> Option<Peer> {
    let mut parts = key.split('\0');
    let (kind, name) = (parts.next()?, parts.next()?);
    let entry = match kind {
        "station" => Entry::Station(Arc::new(Station::new(StationCode::new(name).ok()?))),
        _ => Entry::Guest {
            name: name.to_owned(),
            grants: vec![Grant::new(&will.body.topic, Verb::Write).ok()?],
        },
    };
    Some(Peer::new(entry))
}

fn will(kept: &Testament) -> Will {
    Will {
        topic: kept.body.topic.to_string(),
        payload: kept.body.payload.clone(),
        qos: kept.body.qos,
        retain: kept.retain,
        delay_s: kept.delay_s,
        expiry_s: kept.expiry_s,
        properties: kept.body.properties.clone(),
    }
}

/// A subscription's options as the log has them.
pub(super) const fn kept_options(options: wire::Options) -> Options {
    let wire::Options { qos, no_local, keep_retain, id } = options;
    let identifier = if id == 0 { None } else { Some(id) };
    Options { qos, no_local, keep_retain, identifier }
}
