//! The store through its public face: what is applied is read, whatever happens in between.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod words; // records and questions in short form
mod reading; // ranges, buckets, latest
mod repeated; // duplicates, corrections, backlogs
mod crash; // between each two steps of a seal or a merge
mod damage; // bytes that are not what was sealed
mod together; // readers beside a seal
mod beside; // somebody else who keeps the same
mod spells; // how long beyond a limit
mod rolled; // what intervals come to, kept beside the readings
mod model; // random histories against a plain map
mod judged; // what each test said, and says later
mod looks; // all of it at a moment, and beside its journal
mod longform; // in and out as other programs keep it
mod bench; // the bench runs once, small
