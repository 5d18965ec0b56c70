//! The one table. Every reading is a row; of one station, parameter and time the row that came last stands:
//!
//! ```text
//! station SYMBOL, parameter SYMBOL   codes
//! value DOUBLE                       in the parameter's unit; null where the sensor was missing
//! flag BYTE                          QARTOD: 1 good, 2 not evaluated, 3 suspect, 4 bad, 9 missing
//! received_at TIMESTAMP              when it reached us
//! position LONG                      its record in the journal
//! taken_at TIMESTAMP                 the station's clock, settled; the designated timestamp
//! ```
//!
//! WAL, because deduplication needs it; a partition a month, because one a day costs 13 kB a reading on sparse data.

use super::http::{Sql, quoted};
use super::trouble::Trouble;

/// Name, type, designated timestamp, part of the key.
const COLUMNS: [(&str, &str, bool, bool); 7] = [
    ("station", "SYMBOL", false, true),
    ("parameter", "SYMBOL", false, true),
    ("value", "DOUBLE", false, false),
    ("flag", "BYTE", false, false),
    ("received_at", "TIMESTAMP", false, false),
    ("position", "LONG", false, false),
    ("taken_at", "TIMESTAMP", true, true),
];

/// What is looked at before each batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Look {
    /// Which table it is: another one of the same name has another.
    pub(super) id: String,
    /// Transactions that were taken.
    pub(super) taken: i64,
    /// Transactions that can be queried.
    pub(super) visible: i64,
}

/// The table in QuestDB.
#[derive(Debug)]
pub(super) struct Table<'a> {
    pub(super) sql: &'a Sql,
    pub(super) name: &'a str,
}

impl Table<'_> {
    /// Makes the table where there is none, and makes sure that it is the right one.
    ///
    /// # Errors
    /// [`Trouble::Table`] where it is not; it is left as it is.
    pub(super) fn stand(&self) -> Result<Look, Trouble> {
        self.sql.done(&self.statement())?;
        self.check()?;
        let gone = || self.wrong("it went away while it was looked at");
        self.look()?.ok_or_else(gone)
    }

    /// How it stands; `None` where there is no such table.
    ///
    /// # Errors
    /// [`Trouble::Suspended`] where QuestDB does not go on with it; otherwise as [`Sql::rows`].
    pub(super) fn look(&self) -> Result<Option<Look>, Trouble> {
        let sql = format!(
            "SELECT t.id, t.directoryName, w.suspended, w.writerTxn, w.sequencerTxn, w.errorMessage \
             FROM tables() t JOIN wal_tables() w ON t.table_name = w.name WHERE t.table_name = {}",
            quoted(self.name)
        );
        type Row = (i64, String, bool, i64, i64, Option<String>);
        let Some((id, dir, suspended, visible, taken, what)) = self.sql.rows::<Row>(&sql)?.pop()
        else {
            return Ok(None);
        };
        if suspended {
            let (table, what) = (self.name.to_owned(), what.unwrap_or_default());
            return Err(Trouble::Suspended { table, what });
        }
        Ok(Some(Look { id: format!("{id}:{dir}"), taken, visible }))
    }

    /// Is there any row?
    ///
    /// # Errors
    /// As [`Sql::rows`].
    pub(super) fn is_empty(&self) -> Result<bool, Trouble> {
        let rows = self.sql.rows::<(i64,)>(&format!("SELECT count() FROM \"{}\"", self.name))?;
        Ok(rows.first().is_none_or(|(count,)| *count == 0))
    }

    /// The highest position of any row.
    ///
    /// # Errors
    /// As [`Sql::rows`].
    pub(super) fn newest(&self) -> Result<Option<u64>, Trouble> {
        let sql = format!("SELECT max(position) FROM \"{}\"", self.name);
        let rows = self.sql.rows::<(Option<u64>,)>(&sql)?;
        Ok(rows.first().and_then(|(position,)| *position))
    }

    fn statement(&self) -> String {
        let columns: Vec<_> =
            COLUMNS.iter().map(|(name, kind, ..)| format!("{name} {kind}")).collect();
        format!(
            "CREATE TABLE IF NOT EXISTS \"{}\" ({}) TIMESTAMP(taken_at) PARTITION BY MONTH WAL \
             DEDUP UPSERT KEYS(taken_at, station, parameter)",
            self.name,
            columns.join(", ")
        )
    }

    fn check(&self) -> Result<(), Trouble> {
        let sql = format!(
            "SELECT walEnabled, dedup FROM tables() WHERE table_name = {}",
            quoted(self.name)
        );
        match self.sql.rows::<(bool, bool)>(&sql)?[..] {
            [(true, true)] => {}
            [(false, _)] => return Err(self.wrong("it has no WAL (ALTER TABLE … SET TYPE WAL)")),
            [(true, false)] => {
                let what = "it does not deduplicate \
                            (ALTER TABLE … DEDUP ENABLE UPSERT KEYS(taken_at, station, parameter))";
                return Err(self.wrong(what));
            }
            _ => return Err(self.wrong("it is no table")),
        }
        let sql = format!(
            "SELECT \"column\", type, designated, upsertKey FROM table_columns({})",
            quoted(self.name)
        );
        let found = self.sql.rows::<(String, String, bool, bool)>(&sql)?;
        for (name, kind, designated, key) in COLUMNS {
            let column = found.iter().find(|column| column.0.eq_ignore_ascii_case(name));
            let Some(column) = column else {
                return Err(self.wrong(&format!("column `{name}` {kind} is missing")));
            };
            if column.1 != kind {
                return Err(self.wrong(&format!("column `{name}` is {}, not {kind}", column.1)));
            }
            if column.2 != designated {
                return Err(self.wrong("`taken_at` is not its designated timestamp"));
            }
            if column.3 != key {
                return Err(self.wrong(KEYS));
            }
        }
        let ours = |name: &str| COLUMNS.iter().any(|column| name.eq_ignore_ascii_case(column.0));
        match found.iter().any(|column| column.3 && !ours(&column.0)) {
            true => Err(self.wrong(KEYS)),
            false => Ok(()),
        }
    }

    fn wrong(&self, what: &str) -> Trouble {
        Trouble::Table { table: self.name.to_owned(), what: what.to_owned() }
    }
}

const KEYS: &str = "its upsert keys are not taken_at, station and parameter";
