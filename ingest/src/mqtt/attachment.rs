//! The string between a session and the connection that serves it now: mail has come, or it is over.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::task::AtomicWaker;
use rumqttc::v5::mqttbytes::v5::DisconnectReasonCode as Code;
use std::task::Context;
use tokio::sync::Notify;

use super::peer::Peer;
use super::wire::Will;

/// Why we end a connection that did nothing wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kick {
    /// The same client connected again.
    TakenOver,
    /// The engine stops.
    ShuttingDown,
    /// What let it in does not open any more.
    Revoked,
    /// More waited for it than may, and the policy is to say so.
    Overflowed,
}

impl Kick {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::TakenOver => "taken_over",
            Self::ShuttingDown => "shutting_down",
            Self::Revoked => "revoked",
            Self::Overflowed => "queue_overflowed",
        }
    }

    pub(super) const fn code(self) -> Code {
        match self {
            Self::TakenOver => Code::SessionTakenOver,
            Self::ShuttingDown => Code::ServerShuttingDown,
            // Not 0x87, which answers a request: nothing was asked here, an administrator acted.
            Self::Revoked => Code::AdministrativeAction,
            Self::Overflowed => Code::QuotaExceeded,
        }
    }
}

/// One connection, as its session and the door see it.
#[derive(Debug)]
pub(super) struct Attachment {
    /// Who it is, with their rights: asked again for every message that is delivered.
    pub(super) peer: Arc<Peer>,
    waker: AtomicWaker,
    mail: AtomicBool,
    kick: AtomicU8,
    will: Mutex<Option<Will>>,
    /// The log knows the will.
    will_kept: AtomicBool,
    settled: AtomicBool,
    settling: Notify,
}

impl Attachment {
    pub(super) fn new(peer: Arc<Peer>, will: Option<Will>) -> Self {
        Self {
            peer,
            waker: AtomicWaker::new(),
            mail: AtomicBool::new(false),
            kick: AtomicU8::new(0),
            will: Mutex::new(will),
            will_kept: AtomicBool::new(false),
            settled: AtomicBool::new(false),
            settling: Notify::new(),
        }
    }

    /// What the connection had on its way to the disk is answered for.
    pub(super) fn settle(&self) {
        self.settled.store(true, Ordering::Release);
        self.settling.notify_waiters();
    }

    /// Waits for that.
    pub(super) async fn settled(&self) {
        // Made before the look, so that no settling between the two is missed.
        let settling = self.settling.notified();
        if !self.settled.load(Ordering::Acquire) {
            settling.await;
        }
    }

    /// Something waits in the session.
    pub(super) fn notify(&self) {
        if self.mark() {
            self.wake();
        }
    }

    /// The same, but whoever calls it wakes the connection too, where it says so: it does not know of its mail yet.
    #[must_use]
    pub(super) fn mark(&self) -> bool {
        !self.mail.swap(true, Ordering::AcqRel)
    }

    /// Has the connection look.
    pub(super) fn wake(&self) {
        self.waker.wake();
    }

    /// It is over. The first reason stands.
    pub(super) fn kick(&self, why: Kick) {
        let mark = match why {
            Kick::TakenOver => 1,
            Kick::ShuttingDown => 2,
            Kick::Revoked => 3,
            Kick::Overflowed => 4,
        };
        // Whether it was the first does not matter to the one who kicks.
        self.kick.compare_exchange(0, mark, Ordering::AcqRel, Ordering::Acquire).ok();
        self.waker.wake();
    }

    /// The connection's task wants to know. Call before looking.
    pub(super) fn register(&self, cx: &Context<'_>) {
        self.waker.register(cx.waker());
    }

    /// Was there mail since the last look?
    pub(super) fn take_mail(&self) -> bool {
        self.mail.load(Ordering::Acquire) && self.mail.swap(false, Ordering::AcqRel)
    }

    /// Is it over?
    pub(super) fn kicked(&self) -> Option<Kick> {
        match self.kick.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Kick::TakenOver),
            2 => Some(Kick::ShuttingDown),
            3 => Some(Kick::Revoked),
            _ => Some(Kick::Overflowed),
        }
    }

    /// Has `keep` look at the will, if there is one, and say whether the log knows it now.
    pub(super) fn keep_will(&self, keep: impl FnOnce(&Will) -> bool) {
        let will = self.will.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(will) = &*will {
            self.will_kept.store(keep(will), Ordering::Release);
        }
    }

    /// Does the log know the will? Only the first who asks hears yes, and has to tell the log what becomes of it.
    pub(super) fn take_will_kept(&self) -> bool {
        self.will_kept.swap(false, Ordering::AcqRel)
    }

    /// The will, which whoever takes it publishes: once, or never after a goodbye.
    pub(super) fn take_will(&self) -> Option<Will> {
        self.will.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
