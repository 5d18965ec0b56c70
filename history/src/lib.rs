//! Readings over time: a hot tail in memory over sealed Parquet on disk, fed from the journal, asked by the portal.
//!
//! One writer calls [`History::apply`] for each record of the journal, in the journal's order; what it applied can be
//! read at once. [`History::seal`] moves the tail into sealed files and remembers the journal position up to which
//! everything is on disk; after a crash the writer starts again behind [`History::position`], so nothing is lost and
//! nothing is doubled. Everything is synchronous: on an async runtime, read inside `spawn_blocking`, and give `seal`
//! a thread of its own, because it may also merge files.
//!
//! A reading is never overwritten. What is said again of the same time is a new row with a later journal position, and a
//! read gives the newest. The same holds of what the tests say of a reading when its neighbours are known
//! ([`History::apply_judged`]). What people correct and approve stands beside the readings ([`domain::Edits`]) and meets them
//! in a read.
//!
//! Counted: `saltline_history_applied_total{outcome="stored|duplicate|corrected|reflagged|revised|completed|unfounded"}`, `…_sealed_total` and
//! `…_merged_total` (readings), `…_seal_failed_total`, `…_merge_failed_total`, `…_lookup_failed_total`,
//! `…_windows_read_total`, `…_orphans_total`, `…_damaged_total`, `…_rollups_damaged_total`; measured: `…_seal_seconds`, `…_merge_seconds`; shown:
//! `…_sealed_files`, `…_sealed_bytes`, `…_tail_readings`.

mod config; // how much may wait in memory
mod query; // what is asked, what is answered
mod error; // what may go wrong, by what the caller does next
mod store; // the handle, and what all its clones share
mod apply; // from a journal record to the tail
mod seal; // from the tail to sealed files
mod merge; // from many small files to few
mod read; // ranges, buckets, latest
mod made; // what is made of corrected readings is made again
mod layers; // as people corrected and approved it
mod beside; // somebody else who keeps the same readings
mod rollup; // what intervals come to, kept beside the readings
mod tested; // what each test said, and what lies around it
mod spells; // how long beyond a limit
mod statistics; // how it is spread
mod availability; // how much of it is there
mod tail; // readings in memory, by station
mod series; // what is known of each series without looking
mod names; // codes as small numbers
mod month; // one file never holds two
mod sealed; // the format on disk
mod verify; // every row, without opening the store
mod look; // all readings at a moment, beside who has it open
mod compare; // are they what the journal says?
mod count; // how much of each series, in which bytes
pub mod longform; // readings as other programs keep them
mod cache; // what was read from disk and may be asked again
mod packed; // a month of one series in few bits

pub use availability::{Availability, Available, Gap, Rhythm};
pub use beside::{Beside, BesideRow, NotNow};
pub use compare::{Compared, Comparing, Differs};
pub use config::Config;
pub use count::{FileCount, SeriesCount};
pub use error::HistoryError;
pub use look::{Look, Wanted, WideRow};
pub use query::{Applied, At, Bucket, Latest, Point, Query, Stats};
pub use seal::SetAside;
pub use spells::{Beyond, Spells};
pub use statistics::{By, Group, Spread, VALUES_MAX};
pub use store::History;
pub use tested::{Tested, TestedSeries};
pub use verify::{Unverified, sealed_files};
