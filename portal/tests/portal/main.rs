//! The portal as readers meet it: the real router, asked without a socket or over one.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod fixture; // a province in memory
mod ask; // one question, one answer
mod pages; // for people
mod api; // for machines
mod people; // who may what
mod live; // what happens, as it happens
mod rooms; // the real history, registry and alerting behind it
