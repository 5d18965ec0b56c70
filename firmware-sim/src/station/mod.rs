//! A measuring station as it stands on its pole: a sonde, a logger with a little flash, a modem, and bad luck.

mod sonde; // what the sensors make of the truth
mod fate; // links, power, clocks and sensors that fail, by the seed
mod flash; // what is kept, and what is still to be sent
mod orders; // what the engine tells it
mod firmware; // what runs in it, and what will
mod pace; // how fast the past may follow
mod life; // measuring, storing, sending, failing, coming back

pub use fate::{Dials, Fate, Fault, Span, Wakes};
pub use firmware::{Firmware, Updater, Word};
pub use flash::{Errand, FLASH_REPORTS, Flash, Stored};
pub use life::{Backlog, Life, Orders};
pub use orders::{Answer, Commands, Order};
pub use pace::Pace;
pub use sonde::{Sample, measure};
