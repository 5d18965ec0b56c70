//! Stations with weather: the estuary twin of Tiền Giang, its measuring stations with their faults, the load generator,
//! the replay of real records, and the other side of the phone. It writes the wire of `docs/wire.md` by itself and
//! shares no decoder with the engine, so that a mistake on one side shows on the other.

pub mod estuary; // what is true of the water
pub mod clock; // what time it is there
pub mod keys; // who may knock
mod backoff; // when to knock again
pub mod mqtt; // the wire, from the station's end
pub mod station; // what a station makes of the truth
pub mod record; // what real stations measured
pub mod replay; // published as if it were a station
pub mod load; // as many reports as the door takes
pub mod carrier; // the other side of the phone
mod dice; // chance
mod pty; // a serial line that is not there
pub mod modbus; // stations that are asked
pub mod serial; // loggers that write lines of text
pub mod sdi12; // sensors on a bus of their own
pub mod files; // loggers that leave files
mod tally; // what became of the reports
pub mod fleet; // all stations at once

pub use tally::{Tally, Totals};
