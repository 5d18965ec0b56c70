//! What is made of what. A declaration that would lie is not made; a value is made only of readings of one time.

use std::time::Duration;

use super::Method;
use crate::{Flag, ParameterCode, Timestamp};

/// How far apart readings of one time may be. A logger asks its sensors one after another, which takes up to a minute; the
/// tide moves salinity by 0.02 g/L in it.
const WITHIN: Duration = Duration::from_secs(60);
/// Readings farther apart than this are of two waters, whatever a declaration says: a quarter of the shortest half tide.
const WITHIN_MAX: Duration = Duration::from_secs(3_600);

/// A reading that something is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Input {
    /// When it was taken.
    pub at: Timestamp,
    /// Its value in the unit that the method wants; `None` when the sensor is missing.
    pub value: Option<f64>,
    /// How far it can be trusted.
    pub flag: Flag,
}

/// A declared quantity.
#[derive(Debug, Clone, PartialEq)]
pub struct Derived {
    parameter: ParameterCode,
    method: Method,
    inputs: Vec<ParameterCode>,
    within: Duration,
}

/// A declaration that would lie.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BadDerived {
    /// The method is made of another number of things.
    #[error("`{parameter}` by {method} is made of {wanted} parameters, not {given}")]
    Inputs {
        /// What it would have made.
        parameter: ParameterCode,
        /// By which method.
        method: Method,
        /// How many it needs.
        wanted: usize,
        /// How many there were.
        given: usize,
    },
    /// It is made of itself, which never ends.
    #[error("`{0}` is made of itself")]
    OfItself(ParameterCode),
    /// One parameter stands for two.
    #[error("`{parameter}` is made of `{input}` twice")]
    Twice {
        /// What it would have made.
        parameter: ParameterCode,
        /// What stands there twice.
        input: ParameterCode,
    },
    /// Readings so far apart are of two waters.
    #[error("`{0}`: readings more than an hour apart are not of one time")]
    Apart(ParameterCode),
}

impl Derived {
    /// A parameter that is made of others by a method, in the order of [`Method::inputs`], of readings within a minute.
    ///
    /// # Errors
    /// [`BadDerived`] where their number is not the method's, one stands twice, or it is made of itself.
    pub fn new(
        parameter: ParameterCode,
        method: Method,
        inputs: Vec<ParameterCode>,
    ) -> Result<Self, BadDerived> {
        let (wanted, given) = (method.inputs().len(), inputs.len());
        if wanted != given {
            return Err(BadDerived::Inputs { parameter, method, wanted, given });
        }
        if inputs.contains(&parameter) {
            return Err(BadDerived::OfItself(parameter));
        }
        let twice = inputs.iter().enumerate().find(|(at, input)| inputs[..*at].contains(input));
        if let Some(input) = twice.map(|(_, input)| input.clone()) {
            return Err(BadDerived::Twice { parameter, input });
        }
        Ok(Self { parameter, method, inputs, within: WITHIN })
    }

    /// The same of readings that are no farther apart than this.
    ///
    /// # Errors
    /// [`BadDerived::Apart`] for more than an hour.
    pub fn within(self, within: Duration) -> Result<Self, BadDerived> {
        if WITHIN_MAX < within {
            return Err(BadDerived::Apart(self.parameter));
        }
        Ok(Self { within, ..self })
    }

    /// What is made.
    #[must_use]
    pub const fn parameter(&self) -> &ParameterCode {
        &self.parameter
    }

    /// How: its name stands beside every value.
    #[must_use]
    pub const fn method(&self) -> Method {
        self.method
    }

    /// What it is made of, in the order of [`Method::inputs`].
    #[must_use]
    pub fn inputs(&self) -> &[ParameterCode] {
        &self.inputs
    }

    /// How far apart its readings may be.
    #[must_use]
    pub const fn apart_max(&self) -> Duration {
        self.within
    }

    /// The value and its flag, of one reading of each input in their order, as they are now: corrected or not.
    ///
    /// The flag is the worst of the inputs' ([`Flag::composed`]), and suspect at best where the formula was not fitted. `None`
    /// where a reading is missing (a depth mean lives with one missing depth), where those that are there are farther apart
    /// than the declaration allows, where the formula does not hold, and for another number of readings.
    #[must_use]
    pub fn compute(&self, inputs: &[Input]) -> Option<(f64, Flag)> {
        if inputs.len() != self.inputs.len() || self.within < spread(inputs) {
            return None;
        }
        self.method.apply(inputs)
    }
}

/// How far apart the readings are that have a value.
fn spread(inputs: &[Input]) -> Duration {
    let times = || inputs.iter().filter(|input| input.value.is_some()).map(|input| input.at);
    match (times().min(), times().max()) {
        (Some(first), Some(last)) => last.since(first),
        _ => Duration::ZERO,
    }
}
