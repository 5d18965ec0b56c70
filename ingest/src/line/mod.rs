//! What every line has that we ask or listen on, whatever is spoken over it: a port that may be pulled out, whose turn
//! it is, whom to leave alone for how long, what is on its way to the disk, and devices whose words a profile explains.

mod serial; // how characters go over a line
mod place; // where it is
mod port; // a socket or a serial port
mod wire; // bytes both ways over a port that comes and goes
mod breaker; // whom to leave alone, for how long
mod cadence; // when whose turn is
mod commits; // what is on its way to the disk
mod watched; // a line begins anew after a bug
mod keys; // a profile's text, key by key
mod shelf; // the profiles there are
mod said; // values as lines of text
mod ports; // the serial ports of this machine
mod crc16; // the check that most devices use

pub use keys::ProfileError;
pub use place::{BadPlace, Place};
pub use ports::{FoundPort, ports};
pub use serial::{Parity, Serial};
pub use shelf::{OfText, Shelf, ShelfError};

pub(crate) use breaker::Breaker;
pub(crate) use cadence::{Cadence, shift_of};
pub(crate) use commits::Commits;
pub(crate) use crc16::arc;
pub(crate) use keys::{Bad, Keys, read};
pub(crate) use said::{decode, is_name, put_time, put_values};
pub(crate) use watched::watched;
pub(crate) use wire::{Broken, Told, Wire};
