//! What the intervals of time come to, kept beside the readings: least, greatest, first, last, sum, count, worst flag. A
//! question over years reads these and not the readings, and gets the same answer to the bit.
//!
//! That holds because what is kept of two stretches of time gives what the whole gives: sums are exact ([`Sum`]), and
//! all else is order. What must not be put together (readings of two files that lie between each other, so that one may
//! correct the other) is computed from the readings; [`pieces`] decides that.
//!
//! # In a sealed file
//! Behind the last row group, where readers of Parquet do not look, there are pages and a directory. A page holds the
//! blocks of one station: `varint` of the parameter's place, one byte of the level's number, `varint` of the bytes, the
//! block ([`block`]). The directory holds of each station, in order: one byte of length, the code, `varint` of the
//! page's bytes, CRC-32 of the page, little-endian; pages stand in the directory's order. The metadata key
//! `saltline.rollup` says `1 OFFSET PAGES_BYTES DIRECTORY_BYTES DIRECTORY_CRC`, all decimal but the last. So they come
//! and go with the file that they are of: a crash, a merge, a backup cannot part them. A file without the key, an
//! unknown version of it, or a station, parameter and level of which there is no block is read row by row, as everything
//! was before. A block that is damaged is counted, logged, and computed from the rows; the next merge writes it anew.

mod sum; // sums that are the same in every order
mod state; // one interval, and two of them put together
mod level; // which intervals are kept
mod pack; // whole numbers in few bits
mod block; // the intervals of one series
mod gather; // from rows to pages
mod pages; // from a file to blocks
mod pieces; // of a question, what is answered from which

pub(crate) use block::Block;
pub(crate) use gather::Gather;
pub(crate) use level::Level;
pub(crate) use pages::{Directory, KEY, Page, Place};
pub(crate) use pieces::{Asked, Kept, Piece};
pub(crate) use state::{Amount, Counted, State, counted};
pub(crate) use sum::{Sum, millionths, of_millionths};
