//! What most weeks keep to. A week with garbage in it is one week; a season that is a tenth of the year is more.

use std::collections::BTreeMap;

use super::super::learned::quantile;
use super::super::steps::Taken;
use super::NoPace;
use super::moved::{spikes, steps};
use super::readings::Readings;
use super::stood::Stand;

pub(super) const WEEK_MS: i64 = 7 * 86_400_000;
/// Two readings in a thousand of a week, one every 15 minutes, are one.
const WITHIN: f64 = 0.998;
/// One week in ten may be wrong.
const ACROSS: f64 = 0.9;

/// Weeks of a history.
pub(super) struct Weeks {
    full: usize,
    salt: Vec<Week>,
}

/// What one week did.
#[derive(Default)]
struct Week {
    readings: i64,
    highest: Option<f64>,
    /// From one quiet reading to the next, in units an interval.
    steps: Vec<f64>,
    /// There and back, in units.
    spikes: Vec<f64>,
    /// The longest standstill that was not fresh, in milliseconds.
    stood_ms: i64,
}

impl Weeks {
    pub(super) fn new(readings: &Readings, stands: &[Stand], fresh_below: Option<f64>) -> Self {
        let mut weeks = BTreeMap::<i64, Week>::new();
        let mut of = |at: i64, learn: &mut dyn FnMut(&mut Week)| {
            learn(weeks.entry(at.div_euclid(WEEK_MS)).or_default());
        };
        for piece in &readings.pieces {
            piece.quiet.iter().for_each(|it| of(it.at, &mut |week| week.saw(*it)));
            for (at, step) in steps(&piece.quiet, readings.interval_ms()) {
                of(at, &mut |week| week.steps.push(step));
            }
            spikes(&piece.raw).for_each(|(at, it)| of(at, &mut |week| week.spikes.push(it)));
        }
        for stand in stands.iter().filter(|stand| !stand.is_fresh(fresh_below)) {
            of(stand.at, &mut |week| week.stood_ms = week.stood_ms.max(stand.length_ms));
        }
        let full = |week: &Week| WEEK_MS / 2 < week.readings * readings.interval_ms();
        let full: Vec<Week> = weeks.into_values().filter(full).collect();
        let count = full.len();
        let salt =
            |week: &Week| fresh_below.is_none_or(|it| week.highest.is_some_and(|top| it < top));
        Self { full: count, salt: full.into_iter().filter(salt).collect() }
    }

    pub(super) const fn salt(&self) -> usize {
        self.salt.len()
    }

    pub(super) fn enough(&self, needed: usize) -> Result<(), NoPace> {
        let (full, salt) = (self.full, self.salt.len());
        if needed.max(1) <= salt { Ok(()) } else { Err(NoPace::Weeks { full, salt, needed }) }
    }

    /// The step of an interval, in units.
    pub(super) fn step(&self) -> f64 {
        self.most(|week| large(&week.steps))
    }

    /// There and back, in units.
    pub(super) fn spike(&self) -> f64 {
        self.most(|week| large(&week.spikes))
    }

    /// The longest standstill, in hours.
    pub(super) fn stood_h(&self) -> f64 {
        self.most(|week| week.stood_ms as f64 / 3_600_000.0)
    }

    fn most(&self, of: impl Fn(&Week) -> f64) -> f64 {
        let mut values: Vec<f64> = self.salt.iter().map(of).collect();
        values.sort_unstable_by(f64::total_cmp);
        quantile(&values, ACROSS)
    }
}

impl Week {
    fn saw(&mut self, taken: Taken) {
        self.readings += 1;
        self.highest = Some(self.highest.map_or(taken.value, |top| top.max(taken.value)));
    }
}

fn large(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    if values.is_empty() { 0.0 } else { quantile(&values, WITHIN) }
}
