//! QARTOD's neighbour test with the lag of the tide: the salt comes up the river, so a station further up is not
//! saltier than the one below it was when this water passed there.

use std::time::Duration;

use domain::{Flag, Timestamp};

use super::Witness;

/// A station and the one down the river.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// How long the tide takes from there to here (M2 from the coast to Xuân Hòa: 55°, 1.9 h).
    pub lag: Duration,
    /// How much saltier than there it may be here, in g/L.
    pub above_max: f64,
    /// How much fresher than there it may be here, in g/L; `None` where fresh water may come in between.
    pub below_max: Option<f64>,
    /// Readings there further apart than this tell nothing of the time between them.
    pub gap: Duration,
}

impl Neighbour {
    /// When this water was there.
    #[must_use]
    pub fn passed_at(&self, at: Timestamp) -> Timestamp {
        at - self.lag
    }

    /// The flag of a value here at `at`, beside the readings there around [`Neighbour::passed_at`], oldest first: 3
    /// where they disagree, 2 where nothing there may be heard, 9 without a value. A disagreement is never more than
    /// suspect: salt can come by another mouth (Phú Phong in 2020, from the Hàm Luông).
    #[must_use]
    pub fn judge(&self, at: Timestamp, value: Option<f64>, there: &[(Timestamp, Witness)]) -> Flag {
        let Some(value) = value.filter(|value| value.is_finite()) else { return Flag::Missing };
        let Some(then) = self.between(self.passed_at(at), there) else {
            return Flag::NotEvaluated;
        };
        let too_salty = self.above_max < value - then;
        let too_fresh = self.below_max.is_some_and(|most| most < then - value);
        if too_salty || too_fresh { Flag::Suspect } else { Flag::Good }
    }

    /// The value at a time, on the line between the readings around it.
    fn between(&self, at: Timestamp, there: &[(Timestamp, Witness)]) -> Option<f64> {
        let after = there.partition_point(|(time, _)| *time < at);
        let (later, then) = *there.get(after)?;
        let then = then.heard()?;
        if later == at {
            return Some(then);
        }
        let (earlier, before) = *there.get(after.checked_sub(1)?)?;
        let (before, width) = (before.heard()?, later.since(earlier));
        let share = at.since(earlier).as_secs_f64() / width.as_secs_f64();
        (width <= self.gap).then_some(before + share * (then - before))
    }
}
