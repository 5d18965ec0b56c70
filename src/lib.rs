//! Settings, assembly, event loop, shutdown and command line: the only place that starts and stops parts.

pub mod cli; // what a person types
pub mod settings; // what a person configured
pub mod clock; // what time it is, or what a demo says it is
pub mod store; // the data folder, opened
pub mod disk; // how much room it has, how long it takes
pub mod judge; // how far readings can be trusted, for all that follow the journal
mod behind; // how far those are that follow the journal
mod follow; // history follows the journal
pub mod engine; // the analyzer follows the journal; verdicts go to the desk
pub mod snapshot; // where the engine stood, so that a start is short
pub mod rules; // what can be computed, and what became of the rest
pub mod publish; // what MQTT subscribers get from us
pub mod letters; // refused packets, looked at
pub mod field; // both, as the portal shows them
pub mod errands; // what is asked of stations, carried out
pub mod firmware; // images on their way to stations
pub mod export; // readings for a department
pub mod questdb; // the same readings in a database that follows
pub mod import; // readings of the past, out of files
pub mod catch_up; // history brought up to its journal without an engine
pub mod readout; // all readings at a moment
pub mod front; // what the front door answers on the HTTP port
pub mod push; // stations that push over HTTP
pub mod backup; // a copy that belongs together, made beside a running engine
pub mod book; // the registry, read again when somebody changed it
pub mod assembly; // all parts, put together
pub mod running; // all parts, watched and stopped in order
pub mod threads; // those of the front door
pub mod demo; // everything on one machine, with the estuary twin
pub mod telemetry; // logs and metrics
