//! What people changed of what was measured: corrections and approvals, each with who, when and why. The table only
//! grows (the database itself refuses all else); an edit that was wrong is ended by a withdrawal, which is a row too.

use std::time::Duration;

use domain::{Act, Edit, ParameterCode, StationCode, Timestamp, Withdrawn};
use serde_json::json;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::{Noun, Registry, RegistryError, parameters, stations};

/// Edits of one series: thirty years of a correction a week. A reader goes through those of his range at every reading.
pub const EDITS_MAX: u32 = 1_560;

/// The word of the row that ends another.
const WITHDRAW: &str = "withdraw";

/// An edit to be.
#[derive(Debug, Clone, PartialEq)]
pub struct EditWish {
    /// Where.
    pub station: StationCode,
    /// Of what.
    pub parameter: ParameterCode,
    /// First instant, included.
    pub from: Timestamp,
    /// Last instant, not included.
    pub to: Timestamp,
    /// What it does.
    pub act: Act,
    /// Why, in words.
    pub reason: String,
}

impl Registry {
    /// Makes an edit, in the name of whoever holds the book.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] where there is no such station or parameter, [`RegistryError::BadValue`] where the
    /// edit means nothing, approves what has not been yet, or the series has too many.
    pub async fn make_edit(&self, wish: &EditWish) -> Result<Edit, RegistryError> {
        let mut change = self.change().await?;
        if !stations::exists(change.sql(), &wish.station).await? {
            return Err(RegistryError::not_found(Noun::Station, &wish.station));
        }
        if !parameters::exists(change.sql(), &wish.parameter).await? {
            return Err(RegistryError::not_found(Noun::Parameter, &wish.parameter));
        }
        let edit = Edit {
            id: next(change.sql()).await?,
            station: wish.station.clone(),
            parameter: wish.parameter.clone(),
            from: wish.from,
            to: wish.to,
            act: wish.act,
            at: change.at,
            by: change.who().to_owned(),
            reason: wish.reason.trim().to_owned(),
            withdrawn: None,
        };
        let bad = |why: String| RegistryError::bad(Noun::Edit, series(&edit), why);
        edit.check().map_err(|why| bad(why.to_string()))?;
        if edit.act == Act::Approve && edit.at < edit.to {
            return Err(bad("what is still to come cannot be approved".to_owned()));
        }
        if i64::from(EDITS_MAX) <= of_series(change.sql(), &edit).await? {
            return Err(bad(format!("this series has {EDITS_MAX} edits, which is the most")));
        }
        write(change.sql(), &edit).await?;
        change.record("edit.make", "", &text(&edit)).await?;
        change.finish().await?;
        Ok(edit)
    }

    /// Ends an edit: from now on nothing is shown of it, and who asks what was known before still sees it.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] where there is none with this number, [`RegistryError::AlreadyThere`] where it ended
    /// before, [`RegistryError::BadValue`] where the reason says nothing.
    pub async fn withdraw_edit(&self, id: u64, reason: &str) -> Result<Edit, RegistryError> {
        let mut change = self.change().await?;
        let found = read(change.sql(), Some(id)).await?.pop();
        let Some(edit) = found else { return Err(RegistryError::not_found(Noun::Edit, id)) };
        if edit.withdrawn.is_some() {
            return Err(RegistryError::already(Noun::Withdrawal, id));
        }
        let (at, by, reason) = (change.at, change.who().to_owned(), reason.trim().to_owned());
        let ended = Edit { withdrawn: Some(Withdrawn { at, by, reason }), ..edit.clone() };
        let said = Edit { reason: reason_of(&ended), ..edit.clone() };
        said.check().map_err(|why| RegistryError::bad(Noun::Withdrawal, id, why.to_string()))?;
        write_end(change.sql(), &ended).await?;
        change.record("edit.withdraw", &text(&edit), &text(&ended)).await?;
        change.finish().await?;
        Ok(ended)
    }

    /// Every edit, by number.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn edits(&self) -> Result<Vec<Edit>, RegistryError> {
        read(&mut *self.snapshot().await?, None).await
    }
}

fn series(edit: &Edit) -> String {
    format!("{}/{}", edit.station, edit.parameter)
}

fn reason_of(edit: &Edit) -> String {
    edit.withdrawn.as_ref().map(|end| end.reason.clone()).unwrap_or_default()
}

async fn next(sql: &mut SqliteConnection) -> Result<u64, RegistryError> {
    let next = "SELECT COALESCE(MAX(id), 0) + 1 FROM edits";
    let id: i64 = sqlx::query_scalar(next).fetch_one(sql).await?;
    Ok(id.cast_unsigned())
}

async fn of_series(sql: &mut SqliteConnection, edit: &Edit) -> Result<i64, RegistryError> {
    let count =
        "SELECT COUNT(*) FROM edits WHERE station = $1 AND parameter = $2 AND withdraws IS NULL";
    let count = sqlx::query_scalar(count).bind(edit.station.as_str());
    Ok(count.bind(edit.parameter.as_str()).fetch_one(sql).await?)
}

/// The numbers of an act, as they stand in a row.
fn numbers(act: &Act) -> (Option<f64>, Option<f64>, Option<i64>) {
    match *act {
        Act::Offset { by } => (Some(by), None, None),
        Act::Drift { start, end } => (Some(start), Some(end), None),
        Act::Interpolate { start, end, every } => {
            let step = every.map(|every| i64::try_from(every.as_millis()).unwrap_or(i64::MAX));
            (Some(start), Some(end), step)
        }
        Act::Remove | Act::Approve => (None, None, None),
    }
}

async fn write(sql: &mut SqliteConnection, edit: &Edit) -> Result<(), RegistryError> {
    let (begins, ends, step) = numbers(&edit.act);
    row(sql, edit, edit.id, edit.act.as_str(), (begins, ends, step), (edit.at, &edit.by))
        .await
        .map(drop)
}

async fn write_end(sql: &mut SqliteConnection, edit: &Edit) -> Result<(), RegistryError> {
    let Some(end) = &edit.withdrawn else { return Ok(()) };
    let id = next(&mut *sql).await?;
    let said = Edit { reason: end.reason.clone(), ..edit.clone() };
    row(&mut *sql, &said, id, WITHDRAW, (None, None, None), (end.at, &end.by)).await
}

/// A row; one that withdraws has another number than the edit it names.
async fn row(
    sql: &mut SqliteConnection,
    edit: &Edit,
    id: u64,
    act: &str,
    (begins, ends, step): (Option<f64>, Option<f64>, Option<i64>),
    (at, by): (Timestamp, &str),
) -> Result<(), RegistryError> {
    let withdraws = (id != edit.id).then_some(edit.id.cast_signed());
    let insert = "INSERT INTO edits (id, station, parameter, from_at, to_at, act, begins, ends, \
                  step_ms, made_at, made_by, reason, withdraws) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    sqlx::query(insert)
        .bind(id.cast_signed())
        .bind(edit.station.as_str())
        .bind(edit.parameter.as_str())
        .bind(edit.from.as_millis())
        .bind(edit.to.as_millis())
        .bind(act)
        .bind(begins)
        .bind(ends)
        .bind(step)
        .bind(at.as_millis())
        .bind(by)
        .bind(&edit.reason)
        .bind(withdraws)
        .execute(sql)
        .await?;
    Ok(())
}

async fn read(sql: &mut SqliteConnection, id: Option<u64>) -> Result<Vec<Edit>, RegistryError> {
    let all = "SELECT e.*, w.made_at AS ended_at, w.made_by AS ended_by, w.reason AS ended_why \
               FROM edits e LEFT JOIN edits w ON w.withdraws = e.id \
               WHERE e.withdraws IS NULL AND ($1 IS NULL OR e.id = $1) ORDER BY e.id";
    let rows = sqlx::query(all).bind(id.map(u64::cast_signed)).fetch_all(sql).await?;
    rows.iter().map(edit).collect()
}

fn edit(row: &SqliteRow) -> Result<Edit, RegistryError> {
    let id = row.try_get::<i64, _>("id")?.cast_unsigned();
    let damaged = |why: String| RegistryError::damaged(Noun::Edit, id, why);
    let station = StationCode::new(row.try_get::<&str, _>("station")?);
    let parameter = ParameterCode::new(row.try_get::<&str, _>("parameter")?);
    let ended: Option<i64> = row.try_get("ended_at")?;
    let withdrawn = match ended {
        None => None,
        Some(at) => Some(Withdrawn {
            at: Timestamp::from_millis(at),
            by: row.try_get("ended_by")?,
            reason: row.try_get("ended_why")?,
        }),
    };
    Ok(Edit {
        id,
        station: station.map_err(|bad| damaged(bad.to_string()))?,
        parameter: parameter.map_err(|bad| damaged(bad.to_string()))?,
        from: Timestamp::from_millis(row.try_get("from_at")?),
        to: Timestamp::from_millis(row.try_get("to_at")?),
        act: act(row)?.ok_or_else(|| damaged("its act or its numbers mean nothing".to_owned()))?,
        at: Timestamp::from_millis(row.try_get("made_at")?),
        by: row.try_get("made_by")?,
        reason: row.try_get("reason")?,
        withdrawn,
    })
}

fn act(row: &SqliteRow) -> Result<Option<Act>, RegistryError> {
    let (begins, ends): (Option<f64>, Option<f64>) = (row.try_get("begins")?, row.try_get("ends")?);
    let step: Option<i64> = row.try_get("step_ms")?;
    Ok(match (row.try_get("act")?, begins, ends) {
        ("offset", Some(by), _) => Some(Act::Offset { by }),
        ("drift", Some(start), Some(end)) => Some(Act::Drift { start, end }),
        ("remove", ..) => Some(Act::Remove),
        ("interpolate", Some(start), Some(end)) => {
            let every = step.map(|step| Duration::from_millis(u64::try_from(step).unwrap_or(0)));
            Some(Act::Interpolate { start, end, every })
        }
        ("approve", ..) => Some(Act::Approve),
        _ => None,
    })
}

/// An edit as the audit keeps it.
fn text(edit: &Edit) -> String {
    let (begins, ends, step_ms) = numbers(&edit.act);
    let mut said = json!({
        "id": edit.id,
        "station": edit.station.as_str(),
        "parameter": edit.parameter.as_str(),
        "from": edit.from.to_string(),
        "to": edit.to.to_string(),
        "act": edit.act.as_str(),
        "reason": edit.reason,
    });
    for (name, number) in [("begins", begins), ("ends", ends)] {
        if let Some(number) = number {
            said[name] = json!(number);
        }
    }
    if let Some(step_ms) = step_ms {
        said["step_ms"] = json!(step_ms);
    }
    if let Some(end) = &edit.withdrawn {
        said["withdrawn"] = json!({ "by": end.by, "reason": end.reason });
    }
    said.to_string()
}
