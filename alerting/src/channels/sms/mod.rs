//! SMS over SMPP 3.4: one bound connection that is kept and mended, a bounded window of unanswered messages, long
//! texts in parts, and the receipts that come back. The SMPP client is touched in this folder only.

mod config; // what was typed, and what it means
mod segments; // a text becomes one or more parts
mod receipt; // what the SMSC says became of a message
mod link; // the bound connection, kept and mended
mod probe; // does the SMSC let us in?
mod send; // a notice becomes an SMS

pub use config::{Concatenation, SmsConfig, Source};
pub(crate) use link::Handled;
pub use link::LinkError;
pub use probe::probe;
pub use receipt::{Fate, Receipt};
pub use segments::{Alphabet, PARTS_MAX, segments};
pub(crate) use send::Sms;

#[cfg(test)]
mod tests;
