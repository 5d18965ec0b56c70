//! The loop: look at the table, send what it lacks, remember. A failure is counted and told, and the loop begins again
//! after a while; it ends with the engine alone.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use analytics::quality::Live;
use domain::Admitted;
use ingest::{Decoder, Record};
use journal::{Journal, Position};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::config::Config;
use super::http::Sql;
use super::lines::{Line, Lines};
use super::mark::{Mark, Marks};
use super::refill::{Refill, Went};
use super::standing::Standing;
use super::table::{Look, Table};
use super::trouble::Trouble;
use crate::behind::Behind;
use crate::follow::READ_BYTES;
use crate::judge::{Coming, SharedTests};

/// The first wait after a failure. It doubles up to `retry_max`.
const RETRY_MIN: Duration = Duration::from_secs(1);

/// How often it is written down how far QuestDB came: so much is sent again after a power cut.
const REMEMBER_EVERY: Duration = Duration::from_secs(5);

/// The longest sleep without news: how soon a table that went away is missed.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Where readings come from.
#[derive(Clone)]
pub struct Source {
    /// What is followed.
    pub journal: Journal,
    /// Where it says how far it is.
    pub behind: Behind,
    /// The data folder, with what is sealed for a table that lacks it.
    pub data: PathBuf,
    /// What flags readings, as it does for history.
    pub tests: SharedTests,
}

/// The journal's follower that keeps QuestDB.
pub struct Follower {
    config: Config,
    source: Source,
    standing: Arc<Standing>,
    marks: Marks,
    mark: Option<Mark>,
    /// The mark as it is on disk, and since when.
    remembered: (Option<Mark>, Instant),
    /// The table that was checked.
    settled: Option<String>,
    /// A transaction, and what can be queried when it can.
    pending: Option<(i64, Position)>,
    decoder: Decoder,
    /// What the tests know since the start: lines are sent with the flags that are known when they are sent.
    live: Live,
}

/// A connection.
struct Link {
    sql: Sql,
    lines: Lines,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// There is more to send.
    On,
    /// QuestDB has it all, or something is under way there.
    Gather,
}

impl Follower {
    /// A follower that goes on where it stood. Blocking.
    #[must_use]
    pub fn new(config: Config, source: Source, standing: Arc<Standing>) -> Self {
        let marks = Marks::new(&source.data);
        let mark = marks.read();
        Self {
            config,
            source,
            standing,
            marks,
            remembered: (mark.clone(), Instant::now()),
            mark,
            settled: None,
            pending: None,
            decoder: Decoder::default(),
            live: Live::default(),
        }
    }

    /// Follows until told to stop.
    pub fn run(mut self, runtime: &Handle, stop: &CancellationToken) {
        tracing::info!(config = ?self.config, "QuestDB follows");
        let (mut link, mut failures) = (None, 0_u32);
        let mut end = self.source.journal.watch();
        while !stop.is_cancelled() {
            end.borrow_and_update();
            let went = self.turn(&mut link, stop);
            self.remember(false);
            self.show();
            match went {
                Ok(Pace::On) => failures = 0,
                Ok(Pace::Gather) => {
                    failures = 0;
                    sleep(runtime, stop, self.config.batch_wait);
                    runtime.block_on(async {
                        tokio::select! {
                            _ = end.changed() => {}
                            () = tokio::time::sleep(LOOK_EVERY) => {}
                            () = stop.cancelled() => {}
                        }
                    });
                }
                Err(trouble) => {
                    // Nobody asks it until it was looked at again.
                    self.standing.set(0);
                    (link, self.settled, self.pending) = (None, None, None);
                    let wait = RETRY_MIN.saturating_mul(1 << failures.min(16));
                    let wait = wait.min(self.config.retry_max);
                    failures = failures.saturating_add(1);
                    self.failed(&trouble, wait);
                    sleep(runtime, stop, wait);
                }
            }
        }
        self.remember(true);
    }

    /// One look at the table, and one batch.
    fn turn(&mut self, link: &mut Option<Link>, stop: &CancellationToken) -> Result<Pace, Trouble> {
        let link = match link {
            Some(link) => link,
            None => link.insert(self.connect()?),
        };
        metrics::gauge!("saltline_questdb_up").set(1.0);
        link.lines.clear();
        let name = self.config.table.clone();
        let table = Table { sql: &link.sql, name: &name };
        let look = match table.look()? {
            Some(look) if self.settled.as_ref() == Some(&look.id) => look,
            _ => {
                let look = table.stand()?;
                // QuestDB keeps a writer for each connection; one for a table that was dropped takes rows for nobody.
                link.lines = Lines::connect(&self.config)?;
                look
            }
        };
        if !self.settle(&table, &look)? {
            return Ok(Pace::Gather);
        }
        self.confirm(&look);
        if self.mark.as_ref().is_some_and(|mark| mark.refill.is_some()) {
            self.refill(&mut link.lines, stop)?;
            return Ok(Pace::On);
        }
        self.follow(&mut link.lines)
    }

    fn connect(&self) -> Result<Link, Trouble> {
        let sql = Sql::new(&self.config, self.config.timeout)?;
        // Its refusals are clearer than those of the client for lines.
        sql.done("SELECT 1")?;
        Ok(Link { sql, lines: Lines::connect(&self.config)? })
    }

    /// Is it the table that the mark speaks of, with all that it says? If not, it is filled from the beginning. False
    /// while that cannot be told.
    fn settle(&mut self, table: &Table<'_>, look: &Look) -> Result<bool, Trouble> {
        let known = self.settled.as_ref() == Some(&look.id);
        let (oldest, end) = (self.source.journal.oldest(), self.source.journal.durable_end());
        let to = format!("{} {}", self.config.origin(), self.config.table);
        let all_visible = look.taken <= look.visible;
        let mut newest = None;
        if !known {
            // What it has can be told only when all of it can be queried.
            if !all_visible {
                return Ok(false);
            }
            newest = table.newest()?;
            if let Some(newest) = newest.filter(|newest| end <= *newest) {
                let what = format!(
                    "it has record {newest} of a journal, and ours ends at {end}: drop it, or name another"
                );
                return Err(Trouble::Table { table: self.config.table.clone(), what });
            }
        }
        let why = match &self.mark {
            None => Some("first"),
            Some(mark) if mark.to != to => Some("elsewhere"),
            Some(mark) if mark.table != look.id => Some("lost"),
            Some(mark) if mark.next.is_some_and(|next| next < oldest) => Some("journal"),
            Some(mark) if mark.next.is_some_and(|next| end < next) => Some("restored"),
            Some(mark) if mark.last.is_none() || !all_visible => None,
            Some(_) if table.is_empty()? => Some("emptied"),
            Some(mark) if !known && newest < mark.last => Some("short"),
            Some(_) => None,
        };
        if let Some(why) = why {
            metrics::counter!("saltline_questdb_refills_total", "why" => why).increment(1);
            tracing::info!(why, table = %self.config.table, "QuestDB gets everything that history has");
            self.standing.set(0);
            self.pending = None;
            let (refill, next, last) = (Some(i64::MIN), None, None);
            self.mark = Some(Mark { to, table: look.id.clone(), refill, next, last });
            self.remember(true);
        }
        self.settled = Some(look.id.clone());
        Ok(true)
    }

    /// Tells the reader what can be queried.
    fn confirm(&mut self, look: &Look) {
        let follows = |mark: &&Mark| mark.refill.is_none();
        let Some(next) = self.mark.as_ref().filter(follows).and_then(|mark| mark.next) else {
            return;
        };
        let (taken, visible_next) = self.pending.unwrap_or((look.taken, next));
        if taken <= look.visible {
            self.standing.set(visible_next);
            self.pending = None;
        } else {
            self.pending = Some((taken, visible_next));
        }
    }

    fn refill(&mut self, lines: &mut Lines, stop: &CancellationToken) -> Result<(), Trouble> {
        let data = self.source.data.clone();
        let mut refill = Refill { data, lines, batch_readings: self.config.batch_readings, stop };
        let look = refill.look()?;
        let Some(mark) = &mut self.mark else { return Ok(()) };
        // What was not sealed at the first look comes from the journal, whatever later looks have of it.
        let behind = look.position().map_or(0, |position| position + 1);
        mark.next.get_or_insert(behind.max(self.source.journal.oldest()));
        let from = mark.refill.unwrap_or(i64::MIN);
        let went = refill.send(&look, from, |month| {
            if let Some(mark) = &mut self.mark {
                (mark.refill, mark.last) = (Some(month), Some(0));
            }
            self.remember(false);
        })?;
        if let (Went::Through, Some(mark)) = (went, &mut self.mark) {
            mark.refill = None;
        }
        self.remember(true);
        Ok(())
    }

    /// Sends a batch of what the journal has.
    fn follow(&mut self, lines: &mut Lines) -> Result<Pace, Trouble> {
        let Some(Mark { next: Some(mut next), mut last, .. }) = self.mark.clone() else {
            return Ok(Pace::Gather);
        };
        let tests = self.source.tests.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut pace = Pace::On;
        while lines.len() < self.config.batch_readings {
            let records = self.source.journal.read(next, READ_BYTES)?;
            if records.is_empty() {
                pace = Pace::Gather;
                break;
            }
            for (position, bytes) in records {
                next = position + 1;
                let (coming, mut admitted) = match self.decoder.decode(&bytes)? {
                    Record::Admitted(admitted) => (Coming::Live, admitted),
                    Record::Imported(admitted) => (Coming::Imported, admitted),
                    Record::Clock(_) => continue,
                };
                tests.judge(&mut self.live, coming, &mut admitted);
                if add(lines, position, &admitted)? {
                    last = Some(position);
                }
                self.decoder.reuse(admitted);
            }
        }
        lines.send()?;
        if let Some(mark) = &mut self.mark {
            (mark.next, mark.last) = (Some(next), last);
        }
        Ok(pace)
    }

    /// Writes down how far it came. Where that fails, more is sent again after a restart, and nothing is lost.
    fn remember(&mut self, now: bool) {
        let (on_disk, since) = &self.remembered;
        let Some(mark) = &self.mark else { return };
        if on_disk.as_ref() == Some(mark) || !now && since.elapsed() < REMEMBER_EVERY {
            return;
        }
        let kept = match self.marks.write(mark) {
            Ok(()) => self.mark.clone(),
            Err(error) => {
                metrics::counter!("saltline_questdb_failed_total", "reason" => "remember")
                    .increment(1);
                tracing::error!(%error, "cannot write down how far QuestDB is");
                None
            }
        };
        self.remembered = (kept, Instant::now());
    }

    fn failed(&self, trouble: &Trouble, wait: Duration) {
        let reason = trouble.reason();
        metrics::counter!("saltline_questdb_failed_total", "reason" => reason).increment(1);
        metrics::gauge!("saltline_questdb_up").set(0.0);
        tracing::error!(
            reason,
            error = trouble as &dyn std::error::Error,
            again_in_s = wait.as_secs(),
            "QuestDB does not follow; readings stay in the journal and in history"
        );
    }

    fn show(&self) {
        let following = self.mark.as_ref().filter(|mark| mark.refill.is_none());
        let next = following.and_then(|mark| mark.next).unwrap_or(0);
        self.source.behind.reached("questdb", next);
        let refilling = self.mark.as_ref().is_some_and(|mark| mark.refill.is_some());
        metrics::gauge!("saltline_questdb_refilling").set(f64::from(u8::from(refilling)));
    }
}

/// Adds what a record says; true where any of it goes.
fn add(lines: &mut Lines, position: Position, admitted: &Admitted) -> Result<bool, Trouble> {
    let mut any = false;
    for measured in &admitted.values {
        any |= lines.add(&Line {
            station: admitted.station.as_str(),
            parameter: measured.parameter.as_str(),
            taken_at: admitted.taken_at,
            received_at: admitted.received_at,
            position,
            value: measured.value,
            flag: measured.flag,
        })?;
    }
    Ok(any)
}

fn sleep(runtime: &Handle, stop: &CancellationToken, time: Duration) {
    runtime.block_on(async {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = stop.cancelled() => {}
        }
    });
}
