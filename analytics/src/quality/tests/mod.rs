//! The tests of the tests: stories, a second and slower writing of each definition, and what must hold for any record.

mod gross;
mod story; // a record as a line of text
mod single; // each test by itself
mod bad_input; // what nobody would send
mod plans; // limits that contradict
mod plain; // the definitions again, as slowly as they read
mod any_order; // stream, record, late readings and restarts agree
mod others; // tests over several series
mod learning; // a climatology from history
mod pace; // limits of single readings from history
mod table; // what a province types
mod live; // all series as they come, settled in the end
