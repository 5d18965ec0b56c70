//! What becomes of what was heard: readings, letters, counts. A line that has no time of its own was measured when it was
//! heard, and no two at one instant.

use std::time::Duration;

use bytes::Bytes;
use domain::{Reason, Refusal, Report, Stated, Timestamp};
use tokio::time::Instant;

use crate::intake::{Answer, Batch, Intake, Pass};
use crate::line::Commits;

use super::config::LoggerConfig;
use super::counters::Counters;
use super::fault::Unread;
use super::spoken::topic;

/// Letters of broken bytes (halves, noise, endless lines) that one line may write in [`BROKEN_PER`]. With 4 kB each that
/// is 58 MB a day at the worst, a fifth of what the dead letters keep: a wire that only hums does not push out the lines
/// of others. What is over is counted and said, not kept.
const BROKEN_MAX: u32 = 10;

/// See [`BROKEN_MAX`].
const BROKEN_PER: Duration = Duration::from_secs(60);

/// See the module.
pub(super) struct Scribe {
    name: String,
    intake: Intake,
    pub(super) commits: Commits,
    pub(super) counters: Counters,
    /// The last instant that a line was given.
    last: Timestamp,
    /// Since when letters of broken bytes are counted, and how many there were.
    broken: (Instant, u32),
}

impl Scribe {
    pub(super) fn new(name: &str, intake: &Intake, counters: Counters) -> Self {
        Self {
            name: name.to_owned(),
            commits: Commits::new(name, intake).in_order(),
            intake: intake.clone(),
            counters,
            last: Timestamp::default(),
            broken: (Instant::now(), 0),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.intake.now()
    }

    /// The station of a logger, where the book has it.
    pub(super) fn pass(&self, logger: &LoggerConfig) -> Option<Pass> {
        self.intake.stations().get(logger.station.as_str()).map(|station| Pass { station })
    }

    /// From now on refused lines of this logger can be read again.
    pub(super) fn learn(&self, logger: &LoggerConfig) {
        self.intake.spoken().learn(&self.name, &logger.address, &logger.profile);
    }

    /// Adds what a line said to the batch; is anything of it believed?
    pub(super) fn take(
        &mut self,
        logger: &LoggerConfig,
        line: &[u8],
        mut report: Report<'static>,
        batch: &mut Batch,
    ) -> bool {
        let Some(pass) = self.pass(logger) else {
            let detail = format!("`{}` is no station of the book", logger.station);
            let refusal = Refusal { reason: Reason::UnknownStation, detail };
            self.refuse(logger, Unread::new("unknown_station", line, refusal), batch);
            return false;
        };
        if report.taken == Stated::OnArrival {
            self.last = self.now().max(self.last + Duration::from_millis(1));
            report.taken = Stated::At(self.last);
        }
        let (topic, payload) = (topic(&self.name, &logger.address), as_heard(logger, line));
        let took = self.intake.take_reports(&pass, &topic, &payload, &[report], batch);
        // What is stored is counted when it is on disk.
        match took {
            Answer::Stored { .. } => true,
            Answer::Refused(_) => {
                self.counters.line("refused");
                false
            }
        }
    }

    /// Adds what was refused to the batch.
    pub(super) fn refuse(&mut self, logger: &LoggerConfig, unread: Unread, batch: &mut Batch) {
        self.counters.line(unread.label);
        if unread.is_broken() && !self.may_keep() {
            tracing::debug!(line = self.name, what = unread.label, "refused, not kept");
            return;
        }
        let (topic, pass) = (topic(&self.name, &logger.address), self.pass(logger));
        let bytes = match unread.is_broken() {
            true => Bytes::from(unread.bytes),
            false => as_heard(logger, &unread.bytes),
        };
        self.intake.refuse(pass.as_ref(), &topic, &bytes, &unread.refusal, batch);
    }

    fn may_keep(&mut self) -> bool {
        if BROKEN_PER <= self.broken.0.elapsed() {
            self.broken = (Instant::now(), 0);
        }
        self.broken.1 += 1;
        if self.broken.1 == BROKEN_MAX + 1 {
            tracing::warn!(
                line = self.name,
                "so much of the line is broken that not all of it is kept"
            );
        }
        self.broken.1 <= BROKEN_MAX
    }

    /// Counts lines when they are on disk.
    pub(super) fn taken(&self, lines: usize) -> impl FnOnce() + Send + 'static {
        let counters = self.counters.clone();
        move || (0..lines).for_each(|_| counters.line("taken"))
    }
}

/// The line with what it begins with, as it came.
fn as_heard(logger: &LoggerConfig, line: &[u8]) -> Bytes {
    logger.profile.begins.into_iter().chain(line.iter().copied()).collect()
}
