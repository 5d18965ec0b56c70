//! How much of the tide a salinity shows: its swing beside the swing of the level in the same lunar day. A probe that
//! is fouled or buried shows less and less of it, while the water swings as ever.

use domain::Flag;
use serde::{Deserialize, Serialize};

use super::Witness;

/// What a clean probe shows of the tide.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TidalResponse {
    /// Swing of the value for each metre that the level swings, from the time when the probe was clean.
    pub per_metre: f64,
    /// Share of it below which the value is suspect; a quarter where nothing else is known.
    pub share_min: f64,
    /// Swing of the level in m below which a lunar day tells nothing.
    pub level_min_m: f64,
}

impl TidalResponse {
    /// The flag of a value whose swing and whose level's swing ([`super::Stream::swing`]) in the last lunar day were
    /// these: 3 where it shows too little of the tide, 2 where the level cannot be heard or hardly moved. Fresh water
    /// is not asked: the caller's stream says so with [`super::Limits::fresh_below`].
    #[must_use]
    pub fn judge(&self, swing: Option<f64>, level: Witness) -> Flag {
        let heard = level.heard().filter(|level| self.level_min_m <= *level);
        let Some((swing, level)) = swing.filter(|it| it.is_finite()).zip(heard) else {
            return Flag::NotEvaluated;
        };
        let expected = self.per_metre * level;
        if swing < self.share_min * expected { Flag::Suspect } else { Flag::Good }
    }
}
