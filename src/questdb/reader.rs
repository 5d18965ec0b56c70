//! Asks QuestDB for what history would read out of its files. Whoever asked does not wait for a QuestDB that is away: after
//! a failure it is left alone for a while.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::{Flag, Timestamp};
use history::{Beside, BesideRow, NotNow, Query};

use super::config::Config;
use super::http::{Sql, quoted};
use super::standing::Standing;
use super::trouble::Trouble;

/// After a failure nobody waits for QuestDB again for so long.
const PAUSE: Duration = Duration::from_secs(5);

/// Rows that are asked for at a time: about 1 MB on the way, and a year of quarter-hours in two questions.
const ROWS_MAX: usize = 20_000;

/// Times that QuestDB can compare, in milliseconds: 1970 to 9999.
const TIMES: (i64, i64) = (0, 253_402_300_800_000);

/// Asks QuestDB.
#[derive(Debug)]
pub struct Reader {
    sql: Sql,
    table: String,
    standing: Arc<Standing>,
    paused: Mutex<Option<Instant>>,
}

impl Reader {
    /// Asks what the follower of this standing keeps.
    ///
    /// # Errors
    /// [`Trouble`] where TLS cannot be prepared.
    pub fn new(config: &Config, standing: Arc<Standing>) -> Result<Self, Trouble> {
        let sql = Sql::new(config, config.read_timeout)?;
        Ok(Self { sql, table: config.table.clone(), standing, paused: Mutex::new(None) })
    }

    fn statement(&self, query: &Query, from: Timestamp, limit: usize) -> String {
        let micros = |at: Timestamp| at.as_millis().clamp(TIMES.0, TIMES.1) * 1_000;
        format!(
            "SELECT taken_at::long, received_at::long, position, value, flag FROM \"{}\" \
             WHERE station = {} AND parameter = {} AND taken_at >= {}::timestamp AND taken_at < {}::timestamp \
             ORDER BY taken_at LIMIT {limit}",
            self.table,
            quoted(query.station.as_str()),
            quoted(query.parameter.as_str()),
            micros(from),
            micros(query.to),
        )
    }
}

/// Times in microseconds; of other writers' rows anything may be missing.
type Row = (i64, Option<i64>, Option<u64>, Option<f64>, u8);

impl Beside for Reader {
    fn position(&self) -> Option<u64> {
        self.standing.next().checked_sub(1)
    }

    fn rows_max(&self) -> usize {
        ROWS_MAX
    }

    fn rows(&self, query: &Query, from: Timestamp, limit: usize) -> Result<Vec<BesideRow>, NotNow> {
        let mut paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        if paused.is_some_and(|until| Instant::now() < until) {
            return Err(NotNow("paused"));
        }
        *paused = None;
        drop(paused);
        let rows = self.sql.rows::<Row>(&self.statement(query, from, limit));
        let rows = rows.and_then(|rows| rows.into_iter().map(row).collect());
        rows.map_err(|trouble| {
            tracing::warn!(
                reason = trouble.reason(), error = %trouble,
                "QuestDB gave no answer; the embedded store answers"
            );
            *self.paused.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(Instant::now() + PAUSE);
            NotNow(trouble.reason())
        })
    }
}

fn row((taken, received, position, value, flag): Row) -> Result<BesideRow, Trouble> {
    let strange = || Trouble::Answer("a row that we did not write".to_owned());
    let millis =
        |micros: i64| (micros % 1_000 == 0).then(|| Timestamp::from_millis(micros / 1_000));
    Ok(BesideRow {
        taken_at: millis(taken).ok_or_else(strange)?,
        received_at: received.and_then(millis).ok_or_else(strange)?,
        position: position.ok_or_else(strange)?,
        value,
        flag: Flag::from_number(flag).ok_or_else(strange)?,
    })
}
