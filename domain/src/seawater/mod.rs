//! The salt of the water as formulas: from conductivity to practical salinity and back, from there to mass, density and
//! oxygen. Pure functions of bare numbers with their unit last in the name; `None` where a formula does not hold.
//!
//! Temperatures are in situ on ITS-90, pressures are sea pressure (0 at the surface, about 1 dbar a metre).
//! `docs/formulas.md` names each source, range, vector and tolerance.

mod polynomial; // sums of powers, as every one of the formulas is written
mod range; // where they hold
mod practical; // PSS-78, and its inverse
mod hill; // what it needs below 2
mod method; // which of the salinities a number is, by name
mod compensation; // one water, one conductivity at 25 °C
mod absolute; // grams of salt in a kilogram
mod temperature; // heat content as a temperature
mod density; // and what a litre weighs
mod oxygen; // what salt water can hold of it
mod depth; // three depths, one number

pub use absolute::{Anomaly, absolute_salinity, reference_salinity};
pub use compensation::{conductivity_25, conductivity_from_25};
pub use density::{density, mass_concentration};
pub use depth::{Depth, DepthMean, depth_mean};
pub use method::{BadMethod, SalinityMethod, chloride, salinity_from_chloride};
pub use oxygen::{oxygen_saturation, oxygen_solubility, oxygen_solubility_umol_kg};
pub use practical::{conductivity, practical_salinity};
pub use range::{Computed, Validity};
pub use temperature::conservative_temperature;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod vectors;
