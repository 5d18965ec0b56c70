//! QuestDB beside history: a follower of the journal that brings every reading there too, and a reader that asks it.
//!
//! The embedded store stays what counts. QuestDB may be away for days: it is brought up to date from the journal, and
//! from history where the journal does not go back far enough or where the table was lost (decision 0050).
//!
//! The follower has a thread of its own and never ends the engine: whatever goes wrong has a [`Trouble`], is counted,
//! and is tried again.

mod config; // where it is, and how much goes at a time
mod trouble; // what may go wrong
mod http; // SQL over HTTP
mod table; // the one table: made, checked, looked at
mod lines; // readings on their way
mod mark; // how far it came, on disk
mod standing; // how far it came, for the reader
mod refill; // everything that history has
mod follower; // the loop
mod reader; // asked instead of the sealed files

pub use config::{Config, Login, Tls};
pub use follower::{Follower, Source};
pub(crate) use http::system_trust;
pub use reader::Reader;
pub use standing::Standing;
pub use trouble::Trouble;
