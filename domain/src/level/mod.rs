//! Water levels as formulas: above which zero, how much higher outside of a gate than inside, and when the tide turned.

mod datum; // above which zero
mod turning; // high and low waters, and how far apart
mod smooth; // what of a curve is not the tide

pub use datum::{Datum, Height, head_difference};
pub use turning::{TidalRange, Turn, TurningRule, TurningWater, tidal_ranges, turning_waters};

#[cfg(test)]
mod tests;
