//! Stations that leave files, as an SFTP or FTP server fills a folder: each file is read when it is whole, stored, and
//! moved to `done/` after its readings are on disk, or to `bad/` with the reason beside it.
//!
//! A power cut between the two leaves the file where it was: it is read again, and what is in history already is not
//! stored twice. So is a file that somebody sends a second time.

mod config; // which folder, whose files
mod name; // what a file's name tells
mod unpack; // gzip and zip
mod pieces; // a large file, a commit at a time
mod scan; // which files are whole
mod outcome; // where a file goes, and what is written beside it
mod header; // a table whose columns changed
mod grow; // files that a logger writes on
mod worker; // look, read, commit, move, wait

pub use config::Config;
pub use worker::Drop;
