//! What the outside sees: pages for people and an API for machines, over one HTTP listener. The portal shows and asks;
//! it never decides. All it knows it asks of history, registry and alerting, through one trait.

mod words; // two languages, numbers, ages, times
pub mod view; // what is asked of the other rooms
mod field; // what stands between us and the stations
mod state; // how a station stands: colour, shape and word
mod nearest; // the name that was meant
mod problem; // an error, as the API says it
mod query; // a query string, read strictly
mod limiter; // who guesses passwords waits
mod session; // who is asking
mod desk; // somebody answers an alert
mod events; // what happens, as it happens
mod assets; // the stylesheet and the scripts
mod headers; // what every answer carries
mod pages; // for people
mod api; // for machines
mod shown; // the newest values as people corrected them
mod water; // what the law's tables say of them
mod site; // every address, on one page
mod patience; // a reader who takes nothing is given up
mod serve; // from a listener to answers
mod rooms; // the view, answered by the real rooms

pub use desk::NOTE_CHARS_MAX;
pub use events::{EVENTS_KEPT, LISTENERS_MAX};
pub use field::{AskClock, AskGaps, ClockOff, Field, Gaps, Letter, Letters, LettersWanted};
pub use problem::Problem;
pub use rooms::{Portal, Rooms, bind, serve};
pub use serve::{CONNECTIONS_MAX, app, serve_view};
pub use session::{Peer, SESSION_LASTS, Transport};
pub use site::{Beside, LiveReading, Readiness, Settings};
