//! Which port, which loggers on it, and where each limit lies.

use std::sync::Arc;
use std::time::Duration;

use domain::StationCode;

use super::profile::Profile;
use crate::line::{Place, Serial};

/// One line.
#[derive(Debug, Clone)]
pub struct Config {
    /// What it is called in logs and metrics.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// How the port is set.
    pub serial: Serial,
    /// How long an answer is waited for, beside the time that its characters take; and how long a line may pause in its
    /// middle before what came of it is half a line.
    pub answer_within: Duration,
    /// Silence before a question: an RS-485 line is turned around, and its loggers may be slow to listen again.
    pub pause: Duration,
    /// Silence that says that nothing more comes, and that what comes next is a beginning.
    pub quiet: Duration,
    /// How late an answer can be. A logger that left a question unanswered is not asked before.
    pub late_max: Duration,
    /// The longest that a silent logger is left alone.
    pub back_off_max: Duration,
    /// The longest wait between two tries to open the port.
    pub retry_max: Duration,
    /// A port on which nothing streams for so long is opened anew.
    pub silent_after: Duration,
    /// One that streams, or some that are asked.
    pub loggers: Vec<LoggerConfig>,
}

/// One logger.
#[derive(Debug, Clone)]
pub struct LoggerConfig {
    /// Whose readings these are.
    pub station: StationCode,
    /// How its lines are to be read.
    pub profile: Arc<Profile>,
    /// What the profile's `{address}` stands for.
    pub address: String,
    /// How often it is asked. Of one that streams, one line of each sentence is taken in each such period; all of them
    /// where it is `None`.
    pub every: Option<Duration>,
}
