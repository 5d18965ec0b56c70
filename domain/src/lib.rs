//! The nouns of the product: what a station says, what we believe of it, what that means for the water, and who is
//! told. No I/O, no tasks, no clock, no wire format: every other room speaks in these words and converts at its rim.

mod time; // one instant, one clock, one local time
mod code; // names that are also keys
mod flag; // how far a number can be trusted
mod test_flags; // and what each test said of it
mod composed; // and what is made of several
mod every; // how time is cut
mod parameter; // what is measured, in which one unit
mod aggregation; // and how many of it become one
pub mod unit; // what turns other units into it
mod conductivity; // which temperature it is referred to
mod format; // what a payload can be
pub mod raw; // what a device gives before scale and offset
mod layout; // how bare bytes lie
mod station; // where it is measured, by whom, how often
mod report; // what a station said
mod refusal; // why we do not believe it
mod reading; // what we believe
mod edit; // and what people changed of it
mod rule; // what counts as too much
mod verdict; // what the readings mean for the water
mod person; // who has to know
mod alert; // one event of the water, told to people
mod notice; // one message to one person over one channel
mod firmware; // what runs in a station
pub mod seawater; // from conductivity to salt
pub mod weather; // air, sun and rain
pub mod level; // how high the water stands, and when it turned
pub mod water_quality; // what the law and the index say of it
pub mod derived; // what is made of what, by which formula

pub use aggregation::{Aggregation, Directions, NoAggregation};
pub use alert::{Alert, AlertEvent, AlertId, AlertState, EventKind};
pub use code::{BadCode, ModelCode, ParameterCode, PersonId, RuleCode, StationCode};
pub use conductivity::EcReference;
pub use edit::{Act, BadEdit, Edit, Edits, Layer, Moment, Showing, Shown, Withdrawn};
pub use every::Every;
pub use firmware::{BadRelease, Digest, FirmwareFault, FirmwareState, Release, Version};
pub use flag::Flag;
pub use format::Format;
pub use layout::LayoutField;
pub use notice::{ChannelKind, Notice, NoticeId};
pub use parameter::{Parameter, Range, standard_parameters};
pub use person::{Duty, Language, Person};
pub use reading::{Admitted, Measured, Reading};
pub use refusal::{Reason, Refusal};
pub use report::{Report, Said, Stated, Status};
pub use rule::{LEVELS_MAX, Level, Rule, RuleError};
pub use station::{Mapping, Place, Profile, Station};
pub use test_flags::{NotTestFlags, QualityTest, Revised, TestFlags};
pub use time::{BadTime, Clock, Timestamp, VIETNAM_OFFSET_S, parse_utc_offset};
pub use verdict::{Verdict, Water, Why};
