//! What happened to how many reports: the simulator's side of received = stored + refused + duplicate.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Counters of a fleet.
#[derive(Debug, Default)]
pub struct Tally {
    measured: AtomicU64,
    sent: AtomicU64,
    acked: AtomicU64,
    refused: AtomicU64,
    dropped: AtomicU64,
    resent: AtomicU64,
    connected: AtomicU64,
    power_cuts: AtomicU64,
    queued: Mutex<BTreeMap<&'static str, usize>>,
}

/// The counters at one moment. `measured = acked + refused + dropped + queued`, once nothing moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Totals {
    /// Reports measured.
    pub measured: u64,
    /// Publishes written, repetitions included.
    pub sent: u64,
    /// Reports acknowledged.
    pub acked: u64,
    /// Reports that the engine refused for good (MQTT 5 only).
    pub refused: u64,
    /// Reports lost to a full store.
    pub dropped: u64,
    /// Acknowledged reports that the engine asked for again, and got.
    pub resent: u64,
    /// Reports that still wait.
    pub queued: u64,
    /// Connections made.
    pub connected: u64,
    /// Power cuts suffered.
    pub power_cuts: u64,
}

impl Tally {
    pub(crate) fn measured(&self, reports: u64) {
        self.measured.fetch_add(reports, Relaxed);
    }

    pub(crate) fn sent(&self, publishes: u64) {
        self.sent.fetch_add(publishes, Relaxed);
    }

    pub(crate) fn acked(&self) {
        self.acked.fetch_add(1, Relaxed);
    }

    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    pub(crate) fn dropped(&self, reports: u64) {
        self.dropped.fetch_add(reports, Relaxed);
    }

    pub(crate) fn resent(&self) {
        self.resent.fetch_add(1, Relaxed);
    }

    pub(crate) fn connected(&self) {
        self.connected.fetch_add(1, Relaxed);
    }

    pub(crate) fn power_cut(&self) {
        self.power_cuts.fetch_add(1, Relaxed);
    }

    pub(crate) fn queued(&self, station: &'static str, reports: usize) {
        self.queued.lock().unwrap_or_else(PoisonError::into_inner).insert(station, reports);
    }

    /// The counters now.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let queued = self.queued.lock().unwrap_or_else(PoisonError::into_inner);
        Totals {
            measured: self.measured.load(Relaxed),
            sent: self.sent.load(Relaxed),
            acked: self.acked.load(Relaxed),
            refused: self.refused.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            resent: self.resent.load(Relaxed),
            queued: queued.values().map(|n| *n as u64).sum(),
            connected: self.connected.load(Relaxed),
            power_cuts: self.power_cuts.load(Relaxed),
        }
    }
}
