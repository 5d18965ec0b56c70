//! Loggers that leave files in a folder, as an SFTP server fills it for them. Each record says by its salinity whose it is and
//! of which minute, so that whoever reads it can be told from whoever guesses.

mod form; // what a file says
mod dials; // what goes wrong
mod logger; // one file after the other

pub use dials::Dials;
pub use form::{Form, salinity};
pub use logger::{Dropped, Logger};
