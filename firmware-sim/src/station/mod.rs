//! A measuring station as it stands on its pole: a sonde, a logger with a little flash, a modem, and bad luck.

mod sonde; // what the sensors make of the truth
mod fate; // links, power, clocks and sensors that fail, by the seed
mod flash; // what is kept until it is acknowledged
mod life; // measuring, storing, sending, failing, coming back

pub use fate::{Dials, Fate, Fault, Span, Wakes};
pub use flash::{FLASH_REPORTS, Flash, Stored};
pub use life::{Life, Orders};
pub use sonde::{Sample, measure};
