//! What the last tidal day came to: its smallest and largest value, how many there were, and their standard deviation.
//!
//! The window is cut into at most [`SLOTS_MAX`] slots at fixed places of the clock, so that memory and work have a
//! bound whatever the window, and the same readings give the same slots in whichever order they came. A slot leaves
//! when its newest reading is older than the period: a window of more readings than slots may hold readings that are
//! older than the period by up to one slot. Up to 50 readings in the period each has a slot of its own, and the window
//! is exact. Sums are of integers (values at 2⁻²⁴), so that adding and taking away again leaves no trace.

use std::collections::VecDeque;

use super::limits::Check;
use super::saved::{Number, in_order};

/// A lunar day in 50 slots is half an hour each, of readings every 5 or 15 minutes: with 24 bytes a slot 1.2 KiB, of
/// the 2 KiB that a series may take.
const SLOTS_MAX: i64 = 50;

/// How a window is cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) period_ms: i64,
    pub(super) slot_ms: i64,
    expected: usize,
    check: Check,
}

impl Span {
    pub(super) fn new(period_ms: i64, interval_ms: i64, check: Check) -> Self {
        let of_period = (period_ms + interval_ms - 1) / interval_ms;
        let together = (of_period + SLOTS_MAX - 1) / SLOTS_MAX;
        // One each: readings may jitter and still have a slot of their own.
        let slot_ms = if together <= 1 { (interval_ms / 4).max(1) } else { together * interval_ms };
        let expected = usize::try_from(of_period / together.max(1) + 2).unwrap_or(0);
        Self { period_ms, slot_ms, expected, check }
    }
}

/// Readings of one slot.
#[derive(Debug, Clone, Copy)]
struct Slot {
    min: f64,
    max: f64,
    /// The newest of them: the low 32 bits of its milliseconds, enough for 49 days.
    newest: u32,
    values: u16,
    missing: u16,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    values: i128,
    squares: i128,
}

/// Beside each slot, and of all of them.
#[derive(Debug, Clone, Default)]
struct SlotSums {
    slots: VecDeque<Sums>,
    total: Sums,
}

/// The readings of the last period.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    slots: VecDeque<Slot>,
    /// Kept for the standard deviation only.
    sums: Option<Box<SlotSums>>,
    min: f64,
    max: f64,
    values: u32,
    missing: u32,
    newest: i64,
}

in_order!(Slot { min: Number, max: Number, newest: u32, values: u16, missing: u16 });
in_order!(Sums { values: i128, squares: i128 });
in_order!(SlotSums { slots: VecDeque<Sums>, total: Sums });
in_order!(Window {
    slots: VecDeque<Slot>,
    sums: Option<Box<SlotSums>>,
    min: Number,
    max: Number,
    values: u32,
    missing: u32,
    newest: i64,
});

impl Window {
    /// Takes a value in, or a place where one is missing, and lets go what is older than the period.
    pub(super) fn step(&mut self, span: &Span, at: i64, value: Option<f64>) {
        self.leave(span, at);
        self.enter(span, at, value);
        self.newest = at;
    }

    /// Largest less smallest; `None` without a value.
    pub(super) fn range(&self) -> Option<f64> {
        (0 < self.values).then_some(self.max - self.min)
    }

    /// The largest; `None` without a value.
    pub(super) fn max(&self) -> Option<f64> {
        (0 < self.values).then_some(self.max)
    }

    pub(super) const fn values(&self) -> u32 {
        self.values
    }

    pub(super) const fn missing(&self) -> u32 {
        self.missing
    }

    /// The standard deviation of the population; `None` without a value.
    pub(super) fn std(&self) -> Option<f64> {
        let (n, total) = (i128::from(self.values), self.sums.as_ref()?.total);
        let spread = n * total.squares - total.values * total.values;
        (0 < n).then(|| (spread as f64).sqrt() / (n as f64 * SCALE))
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let sums = self
            .sums
            .as_ref()
            .map_or(0, |it| size_of::<SlotSums>() + it.slots.capacity() * size_of::<Sums>());
        self.slots.capacity() * size_of::<Slot>() + sums
    }

    fn enter(&mut self, span: &Span, at: i64, value: Option<f64>) {
        let together = self.newest.div_euclid(span.slot_ms) == at.div_euclid(span.slot_ms);
        if !together || self.slots.is_empty() {
            self.open(span);
        }
        if let Some(slot) = self.slots.back_mut() {
            slot.newest = low_bits(at);
            match value {
                None => slot.missing = slot.missing.saturating_add(1),
                Some(value) => {
                    slot.values = slot.values.saturating_add(1);
                    slot.min = slot.min.min(value);
                    slot.max = slot.max.max(value);
                }
            }
        }
        match value {
            None => self.missing += 1,
            Some(value) => self.count(span, value),
        }
    }

    fn open(&mut self, span: &Span) {
        if self.slots.capacity() == 0 {
            self.slots.reserve_exact(span.expected);
        }
        let (min, max) = (f64::INFINITY, f64::NEG_INFINITY);
        self.slots.push_back(Slot { min, max, newest: 0, values: 0, missing: 0 });
        if span.check == Check::Std {
            self.sums.get_or_insert_default().slots.push_back(Sums::default());
        }
    }

    fn count(&mut self, span: &Span, value: f64) {
        if self.values == 0 {
            (self.min, self.max) = (value, value);
        }
        self.values += 1;
        (self.min, self.max) = (self.min.min(value), self.max.max(value));
        if let (Check::Std, Some(sums)) = (span.check, &mut self.sums) {
            let fixed = fixed(value);
            for sums in sums.slots.back_mut().into_iter().chain([&mut sums.total]) {
                sums.values += fixed;
                sums.squares += fixed * fixed;
            }
        }
    }

    fn leave(&mut self, span: &Span, at: i64) {
        if span.period_ms + span.slot_ms < at - self.newest {
            return self.empty();
        }
        let mut was_extreme = false;
        while let Some(slot) = self.slots.front() {
            let age = i64::from(low_bits(at).wrapping_sub(slot.newest));
            if age < span.period_ms {
                break;
            }
            was_extreme |= slot.min <= self.min || self.max <= slot.max;
            self.values -= u32::from(slot.values);
            self.missing -= u32::from(slot.missing);
            self.slots.pop_front();
            self.sums.iter_mut().for_each(|sums| sums.leave());
        }
        if was_extreme {
            self.look_again();
        }
    }

    fn look_again(&mut self) {
        let (min, max) = (f64::INFINITY, f64::NEG_INFINITY);
        let ends = |(min, max): (f64, f64), slot: &Slot| (min.min(slot.min), max.max(slot.max));
        (self.min, self.max) = self.slots.iter().fold((min, max), ends);
    }

    fn empty(&mut self) {
        self.slots.clear();
        self.sums = None;
        (self.values, self.missing) = (0, 0);
    }
}

impl SlotSums {
    fn leave(&mut self) {
        if let Some(sums) = self.slots.pop_front() {
            self.total.values -= sums.values;
            self.total.squares -= sums.squares;
        }
    }
}

/// Values are kept at 2⁻²⁴, 6e-8 of their unit. With 8,192 readings in a window and values up to 2²⁶ units, what is
/// multiplied stays below 2¹²⁷.
const SCALE: f64 = 16_777_216.0;
const LARGEST: f64 = 67_108_864.0;

fn fixed(value: f64) -> i128 {
    (value.clamp(-LARGEST, LARGEST) * SCALE).round() as i128
}

const fn low_bits(ms: i64) -> u32 {
    ms as u32
}
