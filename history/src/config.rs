//! How much may wait in memory before it is sealed.

use std::time::Duration;

/// When the hot tail is sealed.
///
/// Memory: a row of the tail (one report) costs 16 bytes of received time and position, about 24 of index, and 9 for
/// each value; a six-value report 94 bytes, 16 a reading. Vectors double, so up to half of that may be spare: 1,000,000
/// readings are 16 to 24 MiB. What the tests said takes 12 bytes where it is not what they said of the reading before: of
/// one in a hundred a quarter of a byte a reading. While they are written, the next tail grows beside them. The caches add at most
/// 24 MiB of footers (as many as there are months: a year of 200 stations has 1.2 MiB), 16 MiB of windows and 6 MiB of row groups, the last two only while late readings come; a merge of
/// eight files adds about 10 MiB while it runs. Measured with `cargo bench -p history --bench history`: the whole process of 2,000
/// stations with six values every 10 s stays at 45 MiB, seals and merges included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Seal when the tail holds this many readings. The default is 1,000,000: 2,000 stations with six values every
    /// 10 s bring them in 14 minutes.
    pub tail_readings_max: usize,
    /// Seal when the oldest unsealed record is this old by its time of arrival. The default is one hour, so a start
    /// reads at most one hour of the journal again, and a month of a quiet province begins as 720 small files, of
    /// which seven of each size exist at most.
    pub tail_age_max: Duration,
    /// What an interval comes to is kept where it stands for so many readings or more on average: it takes about as many
    /// bytes as 16 readings do. The default is 24, so days are kept of readings every hour and hours of readings every
    /// two minutes; see `docs/decisions/0041-roll-ups-lie-in-the-sealed-files.md`.
    pub rollup_readings_min: usize,
    /// Once a month is over and two weeks more have gone by, its files become one. That may read and write so many
    /// bytes a second on average, months one after the other; what waits for people goes by other ways. The default is
    /// 16 MiB/s: a year of 200 stations every 15 minutes (42 M readings) takes six seconds of it, and a disk of a field
    /// PC does not notice.
    pub settle_bytes_per_second: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            tail_readings_max: 1_000_000,
            tail_age_max: Duration::from_hours(1),
            rollup_readings_min: 24,
            settle_bytes_per_second: 16 << 20,
        }
    }
}
