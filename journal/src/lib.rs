//! Bytes in order on disk, and the proof that they are there.
//!
//! A segmented append log with group commit: everything that waits while one `fdatasync` runs is written together and
//! synced once by the next. It knows nothing of water: readings, dead letters and the alert ledger are all journals.

mod error; // what the caller does next
mod frame; // one record as bytes
mod segment; // one file of records
mod recovery; // what a power cut left behind
mod cursor; // how far a follower has come
mod commit; // the one thread that writes
mod journal; // the handle
mod look; // reading beside the one who writes
pub mod verify; // every record, without opening it
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing; // what reads its files, for bytes that no disk should give

pub use cursor::cursors;
pub use error::JournalError;
pub use frame::RECORD_BYTES_MAX;
pub use journal::{Config, Durable, Journal, Position, State};
pub use look::{newest, since};
