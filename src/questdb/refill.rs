//! Everything that history has, into a table that lacks it: sealed files, month by month, from where the mark says. What
//! is not sealed follows from the journal.

use std::ops::ControlFlow;
use std::path::PathBuf;

use domain::Timestamp;
use history::{Look, Wanted, WideRow};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;

use super::lines::{Line, Lines};
use super::trouble::Trouble;

/// Where the links to sealed files are, below the data folder. Backups pass over hidden folders.
const HOLD: &str = ".questdb";

/// What is sent, and where it comes from.
pub(super) struct Refill<'a> {
    pub(super) data: PathBuf,
    pub(super) lines: &'a mut Lines,
    pub(super) batch_readings: usize,
    pub(super) stop: &'a CancellationToken,
}

/// How a refill went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Went {
    /// All is there.
    Through,
    /// It was told to stop.
    Stopped,
}

impl Refill<'_> {
    /// Looks at what is sealed.
    ///
    /// # Errors
    /// [`Trouble::History`].
    pub(super) fn look(&self) -> Result<Look, Trouble> {
        Ok(Look::open(&self.data.join("history"), &self.data.join(HOLD))?)
    }

    /// Sends what `look` has from `from` on. `month` is told each month that begins, when all before it is sent.
    ///
    /// # Errors
    /// [`Trouble`]: what was told to `month` stays sent.
    pub(super) fn send(
        &mut self,
        look: &Look,
        from: i64,
        mut month: impl FnMut(i64),
    ) -> Result<Went, Trouble> {
        let wanted = Wanted { from: Timestamp::from_millis(from), ..Wanted::all() };
        let mut next = from;
        let flow = look.each(
            &wanted,
            |row| {
                if self.stop.is_cancelled() {
                    return ControlFlow::Break(Ok(Went::Stopped));
                }
                match self.row(&row, &mut next) {
                    Ok(begun) => {
                        begun.into_iter().for_each(&mut month);
                        ControlFlow::Continue(())
                    }
                    Err(trouble) => ControlFlow::Break(Err(trouble)),
                }
            },
            |_| (),
        )?;
        match flow {
            ControlFlow::Break(ended) => ended,
            ControlFlow::Continue(()) => {
                self.lines.send()?;
                Ok(Went::Through)
            }
        }
    }

    /// Adds a row; returns the start of its month where all before that is sent.
    fn row(&mut self, row: &WideRow, next: &mut i64) -> Result<Option<i64>, Trouble> {
        let taken = row.taken_at.as_millis();
        let begun = *next <= taken;
        let mut start = None;
        if begun {
            self.lines.send()?;
            let (first, after) = month_of(taken);
            *next = after;
            start = Some(first);
        }
        for (parameter, value, flag) in &row.cells {
            self.lines.add(&Line {
                station: row.station.as_str(),
                parameter: parameter.as_str(),
                taken_at: row.taken_at,
                received_at: row.received_at,
                position: row.position,
                value: *value,
                flag: *flag,
            })?;
        }
        if self.batch_readings <= self.lines.len() {
            self.lines.send()?;
        }
        Ok(start)
    }
}

/// The start of a time's month in UTC, as history's files have it, and of the next, in milliseconds.
fn month_of(millis: i64) -> (i64, i64) {
    let start = |date: Date| {
        let zoned = date.to_zoned(TimeZone::UTC);
        zoned.map_or(i64::MAX, |zoned| zoned.timestamp().as_millisecond())
    };
    let Ok(at) = jiff::Timestamp::from_millisecond(millis) else { return (millis, i64::MAX) };
    let first = at.to_zoned(TimeZone::UTC).date().first_of_month();
    let after = first.checked_add(jiff::Span::new().months(1));
    (start(first), after.map_or(i64::MAX, start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_begins_with_its_first_instant_in_utc() {
        let at = |text: &str| Timestamp::parse_rfc3339(text).unwrap().as_millis();
        let march = (at("2026-03-01T00:00:00Z"), at("2026-04-01T00:00:00Z"));
        assert_eq!(month_of(at("2026-03-01T00:00:00Z")), march);
        assert_eq!(month_of(at("2026-04-01T06:59:59+07:00")), march);
        assert_eq!(month_of(at("2025-12-31T23:59:59Z")).1, at("2026-01-01T00:00:00Z"));
    }
}
