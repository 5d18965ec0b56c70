//! Quantities that nobody measures: made of readings of the same time by a named formula. A declaration says what is made of
//! what and how; whoever reads evaluates it on the readings as they are then, so that a corrected conductivity gives a
//! corrected salinity without anything being stored twice.
//!
//! What needs a window (evapotranspiration of a day, sums of rain, turns of the tide, pollution) is not here: see
//! [`crate::weather`], [`crate::level`] and [`crate::water_quality`].

mod method; // which formula
mod words; // and what it is called
mod declaration; // what is made of what

pub use declaration::{BadDerived, Derived, Input};
pub use method::Method;
pub use words::BadDerivation;

#[cfg(test)]
mod tests;
