//! What a visit to the sonde tells of the days before it. When a fouled probe is cleaned or swapped, its readings jump by
//! what it had lost; the water does not. Seen without anybody's word for it where the jump is far beyond nature, lasts for
//! half a tidal day and no temperature jumps with it; and at every entry in the maintenance log.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Limits;
use super::hours::{HOUR_MS, HOURS_KEPT, Hours, hour_of};
use super::onset::{HALF_DAY_H, ramp};
use super::trace::Jump;
use super::words::{Reason, Sense};

/// Steps of one sensor that are remembered, to find the other end of a wrong calibration.
const STEPS_KEPT: usize = 16;

/// Jumps closer than this are one jump: the largest.
const ONE_JUMP_MS: i64 = 6 * HOUR_MS;

/// After it a jump has lasted: two tidal days and the hour of the visit itself.
const LASTS_MS: i64 = (LONG_H + 2) * HOUR_MS;

/// A visit changes what is read within this time of its entry.
const VISIT_LASTS_MS: i64 = 2 * HOUR_MS;

/// After it the change at a visit can be told from the tide.
const VISIT_SEEN_MS: i64 = (HALF_DAY_H + 5) * HOUR_MS;

/// Two tidal days.
const LONG_H: i64 = 50;

/// Jumps that may wait at once: one every six hours.
const WAITING_KEPT: usize = 10;

/// A jump that waits until it is seen whether it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Waiting {
    jump: Jump,
    /// The largest jump of a temperature near it, in natural ones.
    heat: f64,
}

/// The jumps of one sensor.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Service {
    waiting: VecDeque<Waiting>,
    steps: VecDeque<Jump>,
    visit: Option<Visit>,
    /// The visit before, milliseconds.
    visited_ms: Option<i64>,
}

/// An entry in the log, until it is seen what it changed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Visit {
    at_ms: i64,
    largest: Option<Jump>,
}

/// What a lasting jump says of the time before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Past {
    pub from_ms: i64,
    pub to_ms: i64,
    pub reason: Reason,
    /// What the readings had lost: at the first instant, at the last.
    pub lost: (f64, f64),
}

impl Service {
    /// The log says that the sensor was cleaned, calibrated or swapped at this time.
    pub fn visit(&mut self, at_ms: i64) {
        self.visit = Some(Visit { at_ms, largest: None });
    }

    /// What the last entry in the log changed, half a tidal day after it: the whole time since the entry before drifted in
    /// a straight line by what the readings jumped (USGS T&M 1-D3).
    pub fn visited(&mut self, now_ms: i64, hours: &Hours, limits: &Limits) -> Option<Past> {
        let visit = self.visit.filter(|it| VISIT_SEEN_MS <= now_ms - it.at_ms)?;
        self.visit = None;
        let oldest = visit.at_ms - HOURS_KEPT as i64 * HOUR_MS;
        let from_ms = self.visited_ms.replace(visit.at_ms).map_or(oldest, |last| last.max(oldest));
        let jump = visit.largest?;
        let hour = hour_of(jump.at_ms);
        let before = hours.mean(hour - 1 - HALF_DAY_H, HALF_DAY_H)?;
        let after = hours.mean(hour + 2, HALF_DAY_H)?;
        let lasts = limits.lasts_low <= (after - before) / jump.size;
        let matters = limits.share * after.abs() <= jump.size.abs();
        let lost = (0.0, jump.size);
        (lasts && matters).then_some(Past {
            from_ms,
            to_ms: jump.at_ms,
            reason: Reason::Drift,
            lost,
        })
    }

    /// Takes the jump around the newest readings, if it is a large one, and how much a temperature jumped lately.
    pub fn see(&mut self, jump: Option<Jump>, heat: f64, limits: &Limits) {
        if let (Some(visit), Some(jump)) = (&mut self.visit, jump)
            && (jump.at_ms - visit.at_ms).abs() <= VISIT_LASTS_MS
            && visit.largest.is_none_or(|largest| largest.size.abs() < jump.size.abs())
        {
            visit.largest = Some(jump);
        }
        if let Some(waiting) = self.waiting.back_mut()
            && jump.is_some_and(|jump| jump.at_ms - waiting.jump.at_ms <= HOUR_MS)
        {
            waiting.heat = waiting.heat.max(heat);
        }
        let Some(jump) = jump.filter(|jump| limits.pair_times <= jump.times) else { return };
        match self.waiting.back_mut() {
            Some(waiting) if jump.at_ms - waiting.jump.at_ms <= ONE_JUMP_MS => {
                if waiting.jump.times < jump.times {
                    *waiting = Waiting { jump, heat };
                }
            }
            _ => self.waiting.push_back(Waiting { jump, heat }),
        }
        if WAITING_KEPT < self.waiting.len() {
            self.waiting.pop_front();
        }
    }

    /// What the waiting jump says, once it can be seen whether it lasts.
    pub fn settle(
        &mut self,
        now_ms: i64,
        hours: &Hours,
        sense: Sense,
        limits: &Limits,
    ) -> Option<Past> {
        let settled = self.waiting.front().is_some_and(|it| LASTS_MS <= now_ms - it.jump.at_ms);
        let waiting = if settled { self.waiting.pop_front()? } else { return None };
        let jump = waiting.jump;
        let hour = hour_of(jump.at_ms);
        let before = hours.mean(hour - 1 - HALF_DAY_H, HALF_DAY_H)?;
        let after = hours.mean(hour + 2, HALF_DAY_H)?;
        let lasts = (after - before) / jump.size;
        if !(limits.lasts_low..=limits.lasts_high).contains(&lasts)
            || limits.heat_times < waiting.heat
        {
            return None;
        }
        let before = hours.mean(hour - 1 - LONG_H, LONG_H)?;
        let after = hours.mean(hour + 2, LONG_H)?;
        let long = (after - before) / jump.size;
        if long < limits.long_low || limits.long_high < long {
            return None;
        }
        let past = self.past(jump, lasts, hours, sense, limits);
        self.steps.push_back(jump);
        if self.steps.len() > STEPS_KEPT {
            self.steps.pop_front();
        }
        past
    }

    /// What a jump that lasted says of the time before it.
    fn past(
        &self,
        jump: Jump,
        lasts: f64,
        hours: &Hours,
        sense: Sense,
        limits: &Limits,
    ) -> Option<Past> {
        let oldest = jump.at_ms - HOURS_KEPT as i64 * HOUR_MS;
        let level = hours.mean(hour_of(jump.at_ms) + 2, HALF_DAY_H).map_or(0.0, f64::abs);
        let opposite = |last: &&Jump| {
            let ratio = -last.size / jump.size;
            let apart = (jump.at_ms - last.at_ms) as f64 / HOUR_MS as f64;
            let clock = (apart / 24.0 - (apart / 24.0).round()).abs() * 24.0;
            (1.0 / limits.pair_ratio..=limits.pair_ratio).contains(&ratio)
                && limits.pair_days * 24.0 <= apart
                && clock <= limits.pair_clock_h
                && (limits.share * level..=limits.share_max * level)
                    .contains(&(0.5 * (jump.size.abs() + last.size.abs())))
        };
        let fouls_so = sense != Sense::Salt || 0.0 < jump.size;
        if !fouls_so || jump.size.abs() < limits.share * level {
            return None;
        }
        let pair = self.steps.iter().rev().filter(|it| oldest < it.at_ms).find(opposite);
        if let Some(first) = pair {
            let lost = (jump.size, jump.size);
            return Some(Past {
                from_ms: first.at_ms,
                to_ms: jump.at_ms,
                reason: Reason::Offset,
                lost,
            });
        }
        if jump.times < limits.drift_times
            || !(limits.drift_low..=limits.drift_high).contains(&lasts)
        {
            return None;
        }
        let last = self.steps.iter().rev().find(|it| limits.bound_times <= it.times);
        let bound = last
            .map_or(oldest, |last| last.at_ms)
            .max(jump.at_ms - limits.drift_days * 24 * HOUR_MS);
        let (start, full) = ramp(hours, bound, jump.at_ms, jump.size, limits.onset_share);
        let from_ms = start + ((full - start) as f64 * limits.drift_share) as i64;
        Some(Past { from_ms, to_ms: jump.at_ms, reason: Reason::Drift, lost: (0.0, jump.size) })
    }
}
