//! What counts as too much: a threshold rule as data. Each level has the limit that raises it and the lower limit
//! that clears it, so that a value trembling at the line rings once.

use std::time::Duration;

use crate::{ParameterCode, RuleCode, StationCode};

/// Levels that one rule may have. The ladder of the province has five (0.3, 0.5, 1, 2, 4 g/L); sixteen leaves room for
/// a finer one, and a level stays a small index everywhere.
pub const LEVELS_MAX: usize = 16;

/// One level of a threshold rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// At or above it the level is reached, in the parameter's unit.
    pub limit: f64,
    /// Below it the level is left, in the parameter's unit.
    pub clear: f64,
}

/// A threshold rule on one parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its key.
    pub code: RuleCode,
    /// Its name as people say it, in Vietnamese.
    pub name: String,
    /// What it watches.
    pub parameter: ParameterCode,
    /// Where: these stations, or every station when empty.
    pub stations: Vec<StationCode>,
    /// The levels, lowest first.
    pub levels: Vec<Level>,
    /// How long, in the stations' own time, a change must hold before it counts.
    pub hold: Duration,
}

/// A rule that would lie is not loaded.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RuleError {
    /// It has no level.
    #[error("rule `{0}` has no level")]
    NoLevel(RuleCode),
    /// A clear level is not below its limit.
    #[error("rule `{0}`: clear {2} must be below its limit {1}")]
    ClearNotBelow(RuleCode, f64, f64),
    /// Limits or clear levels do not rise.
    #[error("rule `{0}`: levels must rise, lowest first")]
    NotRising(RuleCode),
    /// A number is not finite.
    #[error("rule `{0}`: a level is not a number")]
    NotANumber(RuleCode),
    /// It has more levels than a rule may have.
    #[error("rule `{0}` has more than {LEVELS_MAX} levels")]
    TooManyLevels(RuleCode),
    /// Two rules have one code: nobody could say whose alert it is.
    #[error("rule `{0}` is there twice")]
    Repeated(RuleCode),
}

impl Rule {
    /// Is the rule one that can be computed and cleared?
    ///
    /// # Errors
    /// The first [`RuleError`] found.
    pub fn check(&self) -> Result<(), RuleError> {
        if self.levels.is_empty() {
            return Err(RuleError::NoLevel(self.code.clone()));
        }
        if LEVELS_MAX < self.levels.len() {
            return Err(RuleError::TooManyLevels(self.code.clone()));
        }
        for level in &self.levels {
            if !level.limit.is_finite() || !level.clear.is_finite() {
                return Err(RuleError::NotANumber(self.code.clone()));
            }
            if level.limit <= level.clear {
                return Err(RuleError::ClearNotBelow(self.code.clone(), level.limit, level.clear));
            }
        }
        let rises = |w: &[Level]| w[0].limit < w[1].limit && w[0].clear < w[1].clear;
        if !self.levels.windows(2).all(rises) {
            return Err(RuleError::NotRising(self.code.clone()));
        }
        Ok(())
    }

    /// Does the rule watch this station?
    #[must_use]
    pub fn watches(&self, station: &StationCode) -> bool {
        self.stations.is_empty() || self.stations.contains(station)
    }
}
