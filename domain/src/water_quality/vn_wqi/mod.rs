//! VN_WQI: Vietnam's water quality index of Decision 1460/QĐ-TCMT of 12 November 2019. One number from 0 to 100, made of
//! groups; of too little it is not made at all, but says what is missing.
//!
//! How sure this is: breakpoints of pH, DO, BOD5, COD, NH4, PO4 and coliform are the same in two open implementations; those
//! of nitrate differ between them, and the fuller one is followed; the exponents of the aggregate and the rule for
//! publishing are from general knowledge of the Decision and not read in it. Group II (pesticides) is left out: its
//! breakpoints were not found, and no number is guessed; an absent group counts with the factor 1.

mod breakpoints; // from an amount to a sub-index
mod index; // from sub-indices to the index
mod label; // and to a word and a colour

pub use breakpoints::{oxygen_saturation_1460, sub_index};
pub use index::{Computability, Group, Index, Missing, vn_wqi};
pub use label::Label;

#[cfg(test)]
mod tests;
