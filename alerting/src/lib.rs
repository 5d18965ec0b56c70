//! From a verdict about water to a message in somebody's hand: decided once, told once, remembered.
//!
//! The water's side hands in [`domain::Verdict`]s; [`desk::decide`] turns each into a decision with its reason, the
//! [`Roster`] says who has to know, the wording says it, and one ledger record makes all of it durable before the
//! first message leaves. What happened to every message is a record too, so the state after a power cut is the
//! state of a minute before.

pub mod desk; // a verdict and an open alert become a decision
pub mod roster; // who has to know, and how
pub mod wording; // what they read
mod ledger; // what was decided and who was told, as durable records
mod book; // the fold of those records
mod outbox; // what is due, and when to try again
pub mod channels; // e-mail, SMS
mod draft; // what a decision writes down
mod alerting; // decide, word, record
mod deliver; // send what is due, record the receipt

#[cfg(test)]
mod testing; // what the tests of several files need

pub use alerting::{Alerting, AlertingError, Decided};
pub use book::{GaveUp, NoticeState, NoticeView};
pub use channels::{Channels, email::EmailConfig, sms::SmsConfig};
pub use ledger::LedgerError;
pub use roster::Roster;
