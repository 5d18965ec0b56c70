//! How much one client may publish. Above its rate a client is read more slowly: nothing is lost, TCP holds it back,
//! and nobody else pays. One that pushes against that for too long is sent away with 0x97. A publish costs a few
//! integer operations on state of its own connection; the clock is not asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::config::Rate;
use super::counters;

/// Budgets are times, in picoseconds: a byte at 8 MiB/s is 119,209 of them, and an `i64` holds 106 days.
const SECOND: i64 = 1_000_000_000_000;

/// A client over its rate is left alone for this long at least, so that it is not woken for each packet.
const NAP: Duration = Duration::from_millis(10);

/// Clients whose debt is remembered beyond their connection. One that is not remembered starts with a full budget:
/// at 100 bytes each this is 1 MiB, and more clients than there may be connections.
const DEBTORS_MAX: usize = 10_000;

/// What one client has left.
pub(super) struct Meter {
    costs: Option<Costs>,
    budget: Budget,
    slow_since: Option<Instant>,
    debts: Arc<Debts>,
    key: Box<str>,
}

/// What is left, as the time for which the rate would have to stand still to use it up.
#[derive(Debug, Clone, Copy)]
struct Budget {
    messages: i64,
    bytes: i64,
    at: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Costs {
    message: i64,
    byte: i64,
    full: i64,
    patience: Duration,
}

/// What clients that left still owe: a new connection is no new budget.
#[derive(Default)]
pub(super) struct Debts(Mutex<HashMap<Box<str>, Budget>>);

impl Costs {
    fn of(rate: Rate) -> Self {
        let each = |per_s: u64| SECOND / i64::try_from(per_s).unwrap_or(i64::MAX).max(1);
        let full = i64::try_from(rate.burst.as_millis()).unwrap_or(i64::MAX);
        Self {
            message: each(rate.messages_per_s),
            byte: each(rate.bytes_per_s),
            full: full.saturating_mul(SECOND / 1_000),
            patience: rate.patience,
        }
    }
}

impl Budget {
    const fn full(costs: Costs, now: Instant) -> Self {
        Self { messages: costs.full, bytes: costs.full, at: now }
    }

    fn refill(&mut self, costs: Costs, now: Instant) {
        if now <= self.at {
            return;
        }
        let passed = now.saturating_duration_since(self.at).as_nanos();
        let passed = i64::try_from(passed.saturating_mul(1_000)).unwrap_or(i64::MAX);
        self.messages = self.messages.saturating_add(passed).min(costs.full);
        self.bytes = self.bytes.saturating_add(passed).min(costs.full);
        self.at = now;
    }

    const fn least(&self) -> i64 {
        if self.messages < self.bytes { self.messages } else { self.bytes }
    }
}

impl Meter {
    /// The meter of the client with this session key, with what it owes from before.
    pub(super) fn new(rate: Option<Rate>, key: &str, debts: &Arc<Debts>, now: Instant) -> Self {
        let costs = rate.map(Costs::of);
        let nothing = Budget { messages: 1, bytes: 1, at: now };
        let budget =
            costs.map_or(nothing, |costs| debts.take(key).unwrap_or(Budget::full(costs, now)));
        Self { costs, budget, slow_since: None, debts: Arc::clone(debts), key: key.into() }
    }

    /// One publish of so many bytes was taken.
    pub(super) fn spend(&mut self, bytes: usize) {
        if let Some(costs) = self.costs {
            let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
            self.budget.messages = self.budget.messages.saturating_sub(costs.message);
            self.budget.bytes = self.budget.bytes.saturating_sub(costs.byte.saturating_mul(bytes));
        }
    }

    /// May another publish be taken?
    pub(super) const fn is_open(&self) -> bool {
        0 < self.budget.least()
    }

    /// Time has passed. Call before reading on.
    pub(super) fn refill(&mut self, now: Instant) {
        let Some(costs) = self.costs else { return };
        self.budget.refill(costs, now);
        // A client that is back at a quarter of its burst is not pushing any more.
        if costs.full / 4 < self.budget.least() {
            self.slow_since = None;
        }
    }

    /// Over its rate, it is left alone until then; from here on it counts as slow.
    pub(super) fn closed_until(&mut self, now: Instant) -> Option<Instant> {
        self.costs?;
        if self.is_open() {
            return None;
        }
        if self.slow_since.is_none() {
            self.slow_since = Some(now);
            counters::slowed();
            tracing::warn!(client = %self.key.replace('\0', " "), "publishes above its rate; read slowly");
        }
        let owes = u64::try_from(self.budget.least().saturating_neg()).unwrap_or(0);
        Some(now + Duration::from_nanos(owes / 1_000).max(NAP))
    }

    /// Has it pushed against its rate for longer than we bear?
    pub(super) fn is_mad(&self, now: Instant) -> bool {
        let Some(costs) = self.costs else { return false };
        self.slow_since.is_some_and(|since| costs.patience <= now.saturating_duration_since(since))
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Some(costs) = self.costs
            && self.budget.least() < costs.full
        {
            self.debts.keep(std::mem::take(&mut self.key), self.budget, costs);
        }
    }
}

impl Debts {
    fn take(&self, key: &str) -> Option<Budget> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key)
    }

    fn keep(&self, key: Box<str>, budget: Budget, costs: Costs) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if DEBTORS_MAX <= held.len() {
            // Who would be back at a full budget by now owes nothing.
            held.retain(|_, other| {
                other.refill(costs, budget.at);
                other.least() < costs.full
            });
        }
        if held.len() < DEBTORS_MAX {
            held.insert(key, budget);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        messages_per_s: 10,
        bytes_per_s: 1_000,
        burst: Duration::from_secs(2),
        patience: Duration::from_secs(5),
    };

    fn meter(debts: &Arc<Debts>, now: Instant) -> Meter {
        Meter::new(Some(RATE), "station\0vam-kenh", debts, now)
    }

    /// Publishes as long as it may; how many went through?
    fn push(meter: &mut Meter, bytes: usize) -> usize {
        let mut taken = 0;
        while meter.is_open() && taken < 1_000 {
            meter.spend(bytes);
            taken += 1;
        }
        taken
    }

    #[tokio::test]
    async fn after_the_burst_the_rate_holds_in_messages_and_in_bytes() {
        let (debts, now) = (Arc::default(), Instant::now());
        let mut meter = meter(&debts, now);
        assert_eq!(push(&mut meter, 1), 20);
        let until = meter.closed_until(now).unwrap();
        assert_eq!(until, now + NAP);
        meter.refill(now + Duration::from_secs(1));
        assert_eq!(push(&mut meter, 1), 10);
        meter.refill(now + Duration::from_secs(100));
        assert_eq!(push(&mut meter, 500), 4);
        // A packet of 500 bytes is half a second: it may be begun while anything is left, and is owed then.
        assert!(!meter.is_open());
    }

    #[tokio::test]
    async fn who_pushes_on_is_mad_and_who_rests_is_not() {
        let (debts, start) = (Arc::default(), Instant::now());
        let mut meter = meter(&debts, start);
        for second in 0..6 {
            let now = start + Duration::from_secs(second);
            meter.refill(now);
            push(&mut meter, 1);
            meter.closed_until(now);
            assert_eq!(meter.is_mad(now), second == 5, "{second}");
        }
        meter.refill(start + Duration::from_secs(7));
        assert!(!meter.is_mad(start + Duration::from_secs(7)));
    }

    #[tokio::test]
    async fn a_new_connection_is_no_new_budget() {
        let (debts, now) = (Arc::default(), Instant::now());
        let mut first = meter(&debts, now);
        push(&mut first, 1);
        drop(first);
        assert!(!meter(&debts, now).is_open());
        let mut later = meter(&debts, now);
        later.refill(now + Duration::from_secs(1));
        assert_eq!(push(&mut later, 1), 10);
    }

    #[tokio::test]
    async fn without_a_rate_nothing_is_counted() {
        let mut meter = Meter::new(None, "x", &Arc::default(), Instant::now());
        assert_eq!(push(&mut meter, 1 << 20), 1_000);
        assert_eq!(meter.closed_until(Instant::now()), None);
    }
}
