//! Which folder is watched, whose files stand in it, and where each limit lies.

use std::path::PathBuf;
use std::time::Duration;

use domain::StationCode;

use domain::Format;

/// One watched folder.
#[derive(Debug, Clone)]
pub struct Config {
    /// What it is called in logs and metrics.
    pub name: String,
    /// The folder. `done` and `bad` are made in it.
    pub dir: PathBuf,
    /// What the files are; `None` where each file's ending says it.
    pub format: Option<Format>,
    /// Whose files they are; `None` where a file's name, its folder's, or a column of it says it.
    pub station: Option<StationCode>,
    /// Seconds that the loggers' clocks are ahead of UTC, where their times are naive.
    pub offset_s: Option<i32>,
    /// A file is whole when it has not changed for so long.
    pub settle: Duration,
    /// How often the folder is looked at.
    pub every: Duration,
    /// A larger file, packed or not, is bad.
    pub file_bytes_max: u64,
    /// Do loggers write on in their files? Then whole new lines are read, and the files stay.
    pub grows: bool,
    /// For how long files stay in `done`; `None` for ever.
    pub done_kept: Option<Duration>,
}
