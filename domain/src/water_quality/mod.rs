//! Is this water fit for what it is used for? Vietnam's index and its limits, as tables with their source and their dates;
//! and pollution as time over a limit, not as a spike.

mod analyte; // what a laboratory or a probe measures of it
pub mod vn_wqi; // one number for people, or what it lacks
pub mod limits; // what the law says, and when it said so
mod exceedance; // how long, and how much of the time
mod first_flush; // what the first rain washes in

pub use analyte::{Analyte, Sample};
pub use exceedance::{Exceedance, ExceedanceRule, OverLimit, Pollution, exceedance};
pub use first_flush::{FirstFlush, FirstFlushRule, first_flushes};
