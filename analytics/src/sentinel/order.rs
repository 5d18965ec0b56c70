//! A work order: somebody has to go to the sonde. It opens once, stays open until somebody was there, and says since when,
//! why, how sure and how soon.

use domain::Timestamp;
use serde::{Deserialize, Serialize};

use super::Reason;
use super::hours::HOUR_MS;
use super::response::LAGS_H;

/// An order that nobody followed lapses after two weeks, and is given anew if the fault still shows.
const LAPSES_MS: i64 = 14 * 24 * HOUR_MS;

/// Hours in a row that a loss must be beyond the envelope: a quarter of a tidal day.
const HOLDS_H: u32 = 6;

/// How far beyond the largest natural loss.
const BEYOND: f64 = 1.1;

/// No envelope is believed to be tighter, as a fall of logarithms: a loss of 10 %.
const LEAST: f64 = 0.105;

/// What a cell may lose before its readings are beyond correction: 30 %, as a fall of logarithms (USGS T&M 1-D3, maximum allowable limits).
const LOST: f64 = 0.357;

/// A work order.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// When the fault began, as far as can be seen.
    pub since: Timestamp,
    /// When the order was opened.
    pub at: Timestamp,
    /// Why somebody has to go.
    pub reason: Reason,
    /// From 0 to 1: how far beyond what this sonde ever did while it was clean.
    pub confidence: f64,
    /// Days until the readings are beyond correction, at the present pace; 0 when they are.
    pub days_to_clean: f64,
}

/// Is somebody called?
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Desk {
    /// When the open order was opened, milliseconds.
    open: Option<i64>,
    held: [u32; LAGS_H.len()],
}

impl Desk {
    /// Somebody was there.
    pub fn close(&mut self) {
        *self = Self::default();
    }

    fn is_open(&self, now_ms: i64) -> bool {
        self.open.is_some_and(|open| now_ms - open < LAPSES_MS)
    }

    /// Opens an order for a fault that is certain, unless one is open.
    pub fn call(&mut self, reason: Reason, since_ms: i64, now_ms: i64) -> Option<Order> {
        if self.is_open(now_ms) {
            return None;
        }
        self.open = Some(now_ms);
        let (since, at) = (Timestamp::from_millis(since_ms), Timestamp::from_millis(now_ms));
        Some(Order { since, at, reason, confidence: 1.0, days_to_clean: 0.0 })
    }

    /// Weighs the losses of one hour against the largest natural ones.
    pub fn weigh(
        &mut self,
        now_ms: i64,
        losses: [Option<f64>; LAGS_H.len()],
        natural: [f64; LAGS_H.len()],
    ) -> Option<Order> {
        let open = self.is_open(now_ms);
        for (place, lag) in LAGS_H.into_iter().enumerate() {
            let needed = (BEYOND * natural[place]).max(LEAST);
            let loss = losses[place].filter(|loss| needed < *loss);
            self.held[place] = if loss.is_some() { self.held[place] + 1 } else { 0 };
            let Some(loss) = loss.filter(|_| !open && HOLDS_H <= self.held[place]) else {
                continue;
            };
            self.open = Some(now_ms);
            let per_day = loss / (lag as f64 / 24.0);
            return Some(Order {
                since: Timestamp::from_millis(now_ms - lag * HOUR_MS),
                at: Timestamp::from_millis(now_ms),
                reason: Reason::Fouled,
                confidence: 1.0 - needed / loss,
                days_to_clean: ((LOST - loss) / per_day).max(0.0),
            });
        }
        None
    }
}
