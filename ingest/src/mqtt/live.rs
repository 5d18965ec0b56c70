//! Who is here, and what let them in: so that a key, a token or a certificate that no longer opens also ends the
//! connections it opened.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::attachment::{Attachment, Kick};
use super::gatekeeper::Credential;
use super::tls::ClientCertificate;

/// Every connection that is logged in.
#[derive(Default)]
pub(super) struct Live {
    held: Mutex<HashMap<u64, Held>>,
    next: AtomicU64,
    /// Grows with every review, so that a login which saw the book before it is looked at again.
    reviews: AtomicU64,
}

struct Held {
    credential: Credential,
    certificate: Option<Arc<ClientCertificate>>,
    attachment: Arc<Attachment>,
}

/// One connection's place among them, until it is dropped.
pub(super) struct Presence {
    live: Arc<Live>,
    id: u64,
}

impl Live {
    /// How many reviews have begun.
    pub(super) fn reviews(&self) -> u64 {
        self.reviews.load(Ordering::Acquire)
    }

    /// Counts a connection in.
    pub(super) fn enter(
        self: &Arc<Self>,
        credential: Credential,
        certificate: Option<Arc<ClientCertificate>>,
        attachment: &Arc<Attachment>,
    ) -> Presence {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let attachment = Arc::clone(attachment);
        self.lock().insert(id, Held { credential, certificate, attachment });
        Presence { live: Arc::clone(self), id }
    }

    /// What let everybody in, by connection. A review begins.
    pub(super) fn credentials(&self) -> Vec<(u64, Credential)> {
        self.reviews.fetch_add(1, Ordering::AcqRel);
        self.lock().iter().map(|(id, held)| (*id, held.credential.clone())).collect()
    }

    /// Sends these away.
    pub(super) fn dismiss(&self, ids: impl Iterator<Item = u64>) {
        let held = self.lock();
        for id in ids {
            if let Some(held) = held.get(&id) {
                held.attachment.kick(Kick::Revoked);
            }
        }
    }

    /// Sends away whose certificate is not good any more.
    pub(super) fn dismiss_certificates(&self, is_good: impl Fn(&ClientCertificate) -> bool) {
        let bad = |held: &&Held| held.certificate.as_ref().is_some_and(|one| !is_good(one));
        for held in self.lock().values().filter(bad) {
            held.attachment.kick(Kick::Revoked);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Presence {
    /// It proved itself again, with something else.
    pub(super) fn renew(&self, credential: Credential) {
        if let Some(held) = self.live.lock().get_mut(&self.id) {
            held.credential = credential;
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.live.lock().remove(&self.id);
    }
}
