//! One reading of a series, as the tests see it, and a flag that changed because of another reading.

use domain::{Flag, TestFlags, Timestamp};

/// One reading of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// When it was taken. A series has one reading at a time: of two the later to come wins, as in history.
    pub at: Timestamp,
    /// Its value in the parameter's unit; `None` when the sensor gave none.
    pub value: Option<f64>,
    /// What the sensor said of itself; [`Flag::NotEvaluated`] when it said nothing.
    pub said: Flag,
}

impl Point {
    /// A reading of which the sensor said nothing.
    #[must_use]
    pub const fn new(at: Timestamp, value: Option<f64>) -> Self {
        Self { at, value, said: Flag::NotEvaluated }
    }

    /// Its value, if it is a number.
    pub(super) fn number(self) -> Option<f64> {
        self.value.filter(|value| value.is_finite())
    }

    /// Did the sensor itself call it worthless, as in calibration?
    pub(super) const fn disowned(self) -> bool {
        matches!(self.said, Flag::Bad | Flag::Missing)
    }
}

/// All flags of a reading, new or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision {
    /// Which reading of the series.
    pub at: Timestamp,
    /// Its flags from now on.
    pub flags: TestFlags,
}
