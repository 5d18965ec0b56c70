//! What the trusted readings mean: threshold rules with hysteresis and hold, in the stations' own time, with three
//! answers. What is promised:
//!
//! - Only a reading with flag [`domain::Flag::Good`] speaks. A suspect, bad or missing one neither raises nor clears nor
//!   interrupts a hold; it is as if the station had said nothing, so a sensor that is only ever bad becomes unknown. A
//!   parameter without any range is never good: a rule on it stays unknown.
//! - A level is reached at `limit` and above, and left below `clear`; each change must hold for `rule.hold` of event
//!   time, carried by good readings without a contrary one.
//! - Silence never clears: it makes the water unknown, and the level that was known is remembered. The first reading
//!   after it must say *safe* for the whole hold before the water is safe again.
//! - What arrives late or as a backlog never raises as if it were now and never clears; an exceedance in it is told
//!   once for each level it reaches, as found in a backlog. Such a verdict carries the level of then as its `water`; the
//!   state of now is its `before`, and does not change.

mod track; // which level a run of values stands at
mod past; // exceedances that arrive too late
mod watch; // one rule at one station
mod analyzer; // all rules at all stations
mod snapshot; // the analyzer's memory across a restart

#[cfg(test)]
mod tests;

pub use analyzer::{Analyzer, INTERVAL_UNTOLD, Standing};
pub use past::EPISODES_MAX;
pub use snapshot::{ForeignVersion, Restored, Snapshot};
pub use watch::{BACKLOG_AFTER, SILENT_INTERVALS};
