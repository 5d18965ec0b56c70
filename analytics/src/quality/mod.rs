//! How far a number can be trusted: the QARTOD tests of IOOS, and what they lack for a tidal river. Each test gives a
//! flag of its own, and the worst of them is the reading's.
//!
//! A [`TestPlan`] (made of [`Limits`], which are typed) says what is tested. A [`Stream`] judges one series reading by
//! reading with bounded work and memory; [`judge`] judges a record; [`rejudge`] says which flags change because of a
//! reading that came late. All three are one fold, so they agree to the bit. What needs more than one series is a pure
//! function over [`Witness`]es: [`Consistency`], [`Swapped`], [`Exposure`], [`TidalResponse`],
//! [`Neighbour`].

mod saved; // how a state is written down
mod point; // one reading of a series, and a flag that changed
mod limits; // what is typed
mod plan; // what it means
mod defaults; // what holds where nothing is typed
mod gross; // what the sensor can measure, what the water has been
mod climatology; // what this water is in this month and tide
mod learned; // and how that is learned from history
mod steps; // from one reading to the next: rate of change, spikes
mod flat; // a line that does not move
mod window; // what the last tidal day came to
mod slip; // a unit that changed on the way
mod stream; // one series, reading by reading
mod record; // a record at once, and late readings
mod witness; // what another series says
mod consistency; // conductivity, temperature and salinity
mod swapped; // two columns that changed places
mod exposure; // a probe in the air
mod response; // a probe that hardly feels the tide
mod neighbour; // the water down the river
mod location; // a station that moved
mod clock; // a clock that stands
mod table; // what a province types
mod pace; // what of it a station's own history teaches
mod sound; // whether it can be believed
mod together; // what a station measured at one time
mod plans; // and what it means for each station
mod station; // one station as it reports
mod live; // all series, as they come
mod settled; // what late readings change
#[cfg(test)]
mod tests;

pub use climatology::tide_phase;
pub use clock::{ClockWatch, StuckClock};
pub use consistency::Consistency;
pub use defaults::{SiteClass, defaults};
pub use domain::Revised;
pub use exposure::Exposure;
pub use gross::{Quality, gross_range};
pub use learned::{Learned, Learning, TooLittle, Usual};
pub use limits::{
    Attenuated, Check, Flat, Gaps, Gross, Levels, Limits, Period, Rate, Season, UnitSlip,
};
pub use live::{Judged, Live};
pub use location::{Located, Whereabouts};
pub use neighbour::Neighbour;
pub use pace::{NoPace, Pace, PaceAsked, Unbearable};
pub use plan::{BadPlan, Reach, TestPlan};
pub use plans::Plans;
pub use point::{Point, Revision};
pub use record::{judge, rejudge, settle};
pub use response::TidalResponse;
pub use settled::{Kept, Unsettled, settled};
pub use sound::BadTable;
pub use stream::{Pushed, Stream};
pub use swapped::Swapped;
pub use table::{Off, SeriesEntry, SiteEntry, Table, TypedLimits};
pub use witness::Witness;
