//! The format on disk: a folder of sealed Parquet files and the manifest that says which of them count.
//!
//! # Constraints
//! - A file is written once, synced, renamed into its name, and never changed. Files are replaced only as wholes.
//! - Only files that the manifest names exist. A `.tmp` file or a Parquet file that it does not name is what a crash
//!   left, before the manifest or after it; [`History::open`](crate::History::open) deletes both.
//! - Every byte that is read is under a checksum. A damaged file is named in the error, and all others can be read.
//!
//! # `history/YYYY-MM-NNNNNN.parquet`
//! Rows taken in one month (UTC), with a serial number that the folder never gives twice. Version 3:
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `station` | UTF-8, dictionary | station code |
//! | `taken_at` | timestamp ms UTC, delta | when the row was taken |
//! | `received_at` | timestamp ms UTC, delta | when it reached us |
//! | `position` | unsigned 64 bits, delta | its place in the journal |
//! | `{parameter}.value` | DECIMAL(18, digits) in 64 bits, delta, or 64-bit float, dictionary; may be null | the value in the parameter's unit, exact to the bit |
//! | `{parameter}.flag` | unsigned 8 bits, dictionary, may be null | QARTOD number; null: the row has no such parameter |
//! | `{parameter}.tests` | unsigned 64 bits, dictionary, may be null | what each test said ([`domain::TestFlags`], 0: nothing); null: the usual word of its flag |
//!
//! Values are decimals where all values that the file has of the parameter are, with up to six digits behind the point
//! (`decimal`). The columns `.tests` stand behind those of all parameters, in the order of these, and only of parameters
//! that were tested; who does not ask for them does not read them. The key `saltline.tests` has the usual words: of each
//! such column, in their order and parted by a space, those of the flags 1, 2, 3, 4, 9, hexadecimal, parted by commas.
//!
//! A file says the least version that it is of: 3 where it has `.tests`, else 2, which is the same without them. Version 1
//! knows floats only. Files of all three are read, and a merge writes 2 or 3. A program from before reads files of
//! version 3 as of an unknown version: it says so and serves the rest. Tests have numbers for ever; one that is added
//! needs a version of its own, because its bits are damage to this program.
//!
//! A flag with a null value is a missing sensor; a null flag is a parameter that the report did not name. Rows are
//! sorted by station, time, position. A time may stand in several rows (a report in two parts, a correction); for each
//! parameter the row with the highest position counts. That keeps what was known before, for the asking.
//!
//! A row group holds 8,192 to 32,768 rows and ends with a station where it can, so a month of one station at 15
//! minutes (2,976 rows) lies in one or two. Its statistics of `station` and `taken_at` say whether to read it at all.
//! Compression is zstd, level 3. Key-value metadata: `saltline.history` is the version, and `saltline.crc32` the
//! checksum of every column chunk in hexadecimal, eight digits each, row group by row group. A reader that meets
//! another version says so and reads the rest; a reader ignores metadata keys that it does not know.
//!
//! Behind the row groups may lie what intervals of time come to, under the key `saltline.rollup`: `crate::rollup`.
//!
//! # `history/lock`
//! Empty; locked by the process that has the folder open.
//!
//! # `history/manifest`
//! Text, replaced as a whole: written beside itself, synced, renamed. One line each, fields parted by a space:
//! ```text
//! saltline-history 1                         magic and version
//! next 43                                    the next serial number
//! sealed 4711                                the journal position up to which all is sealed, or -
//! file 2026-03 42 ROWS READINGS BYTES FOOTER_BYTES FOOTER_CRC FIRST_TAKEN LAST_TAKEN
//! series STATION PARAMETER NEWEST_TAKEN      a series, and its newest value where it has one:
//! series STATION PARAMETER NEWEST_TAKEN TAKEN RECEIVED POSITION VALUE_BITS FLAG
//! end CRC                                    CRC-32 of all lines before, hexadecimal
//! ```
//! Times are milliseconds since 1970. Without its last line a manifest is damaged; that cannot come from a crash.

mod file; // reading one sealed file, with every byte checked
mod footer; // what it says of itself
mod decimal; // values as whole numbers of a digit
mod usual; // the words that take no room
mod rows; // what was decoded of it
mod scan; // all of it, in order
mod rolled; // what its intervals come to
mod chunks; // the checked bytes that a decoder works on
mod manifest; // which files count
mod write; // writing one

pub(crate) use decimal::Form;
pub(crate) use file::{Columns, SealedFile, Tests};
pub(crate) use footer::Footer;
pub(crate) use manifest::{
    FILE as MANIFEST, Manifest, series_lines, sync_dir, write as write_manifest,
};
pub(crate) use rolled::Rolled;
pub(crate) use rows::Rows;
pub(crate) use scan::Scan;
pub(crate) use usual::{Met, Usual};
pub(crate) use write::{SealedWriter, Written};

/// The newest version that can be read: with what each test said.
const VERSION: u32 = 3;
/// The same without.
const VERSION_UNTESTED: u32 = 2;
/// The oldest that can be read.
const VERSION_MIN: u32 = 1;
/// The metadata key of the version.
const VERSION_KEY: &str = "saltline.history";
/// The metadata key of the usual words.
const TESTS_KEY: &str = "saltline.tests";
/// The metadata key of the checksums.
const CRC_KEY: &str = "saltline.crc32";
/// Columns before the parameters' own.
const FIXED: [&str; 4] = ["station", "taken_at", "received_at", "position"];

fn value_column(parameter: &str) -> String {
    format!("{parameter}.value")
}

fn flag_column(parameter: &str) -> String {
    format!("{parameter}.flag")
}

/// The end of the name of a column of tests.
const TESTS: &str = ".tests";

fn tests_column(parameter: &str) -> String {
    format!("{parameter}{TESTS}")
}

/// What the manifest keeps of a file, so that the file need not be opened to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) month: crate::month::Month,
    pub(crate) serial: u64,
    pub(crate) rows: u64,
    pub(crate) readings: u64,
    pub(crate) bytes: u64,
    pub(crate) footer_bytes: u64,
    pub(crate) footer_crc: u32,
    /// First and last time taken.
    pub(crate) span: (i64, i64),
}

impl Facts {
    pub(crate) fn name(&self) -> String {
        file_name(self.month, self.serial)
    }
}

fn file_name(month: crate::month::Month, serial: u64) -> String {
    format!("{month}-{serial:06}.parquet")
}
