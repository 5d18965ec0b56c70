//! What counts as too much. A rule that could not be computed or cleared is refused, and so is one that would leave
//! a duty pointing at a level that no longer exists.

use std::time::Duration;

use domain::{Level, ParameterCode, Rule, RuleCode, StationCode};
use serde_json::json;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::stations::millis;
use crate::store::Change;
use crate::{Noun, Registry, RegistryError, misfits, parameters, stations};

/// A change that must hold longer than a day before it counts is not a warning.
const HOLD_MAX: Duration = Duration::from_hours(24);

/// Levels are numbered in a byte, and nobody can tell more than a few apart.
const LEVELS_MAX: usize = 16;

impl Registry {
    /// Every rule, by code.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn rules(&self) -> Result<Vec<Rule>, RegistryError> {
        let mut tx = self.snapshot().await?;
        let rows = sqlx::query("SELECT * FROM rules ORDER BY code").fetch_all(&mut *tx).await?;
        let mut all = Vec::with_capacity(rows.len());
        for row in &rows {
            all.push(whole(&mut tx, row).await?);
        }
        Ok(all)
    }

    /// Writes a rule, new or known; returns whether it is new.
    ///
    /// # Errors
    /// [`RegistryError::BadRule`] where it would lie, [`RegistryError::Misfit`] where it names a parameter or station
    /// that is not there or a limit that no good reading reaches, [`RegistryError::BadValue`] where a field is out of bounds.
    pub async fn put_rule(&self, rule: &Rule) -> Result<bool, RegistryError> {
        let mut change = self.change().await?;
        let created = put(&mut change, rule).await?;
        change.finish().await?;
        Ok(created)
    }

    /// Takes a rule away, with the duties that name it.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] where there is no such rule.
    pub async fn drop_rule(&self, code: &RuleCode) -> Result<(), RegistryError> {
        let mut change = self.change().await?;
        let Some(before) = find(change.sql(), code).await? else {
            return Err(RegistryError::not_found(Noun::Rule, code));
        };
        let sql = "DELETE FROM rules WHERE code = $1";
        sqlx::query(sql).bind(code.as_str()).execute(change.sql()).await?;
        change.record("rule.drop", &text(&before), "").await?;
        change.finish().await?;
        Ok(())
    }
}

pub(crate) async fn put(change: &mut Change, rule: &Rule) -> Result<bool, RegistryError> {
    check(rule)?;
    // Also where the rule is the same as before: the parameter's range may not be.
    check_fit(change.sql(), rule).await?;
    let before = find(change.sql(), &rule.code).await?;
    if before.as_ref() == Some(rule) {
        return Ok(false);
    }
    check_duties(change.sql(), rule).await?;
    write(change.sql(), rule).await?;
    write_levels(change.sql(), rule).await?;
    write_stations(change.sql(), rule).await?;
    let was = before.as_ref().map_or(String::new(), text);
    change.record("rule.put", &was, &text(rule)).await?;
    Ok(before.is_none())
}

async fn write(sql: &mut SqliteConnection, rule: &Rule) -> Result<(), RegistryError> {
    let statement = "INSERT INTO rules (code, name, parameter, hold_ms) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT (code) DO UPDATE SET name = excluded.name, \
                     parameter = excluded.parameter, hold_ms = excluded.hold_ms";
    sqlx::query(statement)
        .bind(rule.code.as_str())
        .bind(&rule.name)
        .bind(rule.parameter.as_str())
        .bind(millis(rule.hold))
        .execute(sql)
        .await?;
    Ok(())
}

async fn write_levels(sql: &mut SqliteConnection, rule: &Rule) -> Result<(), RegistryError> {
    let code = rule.code.as_str();
    sqlx::query("DELETE FROM rule_levels WHERE rule = $1").bind(code).execute(&mut *sql).await?;
    for (position, level) in (0_i64..).zip(&rule.levels) {
        let statement = "INSERT INTO rule_levels (rule, position, limit_from, clear_below) \
                         VALUES ($1, $2, $3, $4)";
        let query = sqlx::query(statement).bind(code).bind(position);
        query.bind(level.limit).bind(level.clear).execute(&mut *sql).await?;
    }
    Ok(())
}

async fn write_stations(sql: &mut SqliteConnection, rule: &Rule) -> Result<(), RegistryError> {
    let code = rule.code.as_str();
    sqlx::query("DELETE FROM rule_stations WHERE rule = $1").bind(code).execute(&mut *sql).await?;
    for (position, station) in (0_i64..).zip(&rule.stations) {
        let statement = "INSERT INTO rule_stations (rule, position, station) VALUES ($1, $2, $3)";
        let query = sqlx::query(statement).bind(code).bind(position);
        query.bind(station.as_str()).execute(&mut *sql).await?;
    }
    Ok(())
}

pub(crate) async fn find(
    sql: &mut SqliteConnection,
    code: &RuleCode,
) -> Result<Option<Rule>, RegistryError> {
    let query = sqlx::query("SELECT * FROM rules WHERE code = $1").bind(code.as_str());
    match query.fetch_optional(&mut *sql).await? {
        Some(row) => whole(sql, &row).await.map(Some),
        None => Ok(None),
    }
}

async fn whole(sql: &mut SqliteConnection, row: &SqliteRow) -> Result<Rule, RegistryError> {
    let (code, parameter): (String, String) = (row.try_get("code")?, row.try_get("parameter")?);
    let damaged = |why: domain::BadCode| RegistryError::damaged(Noun::Rule, &code, why);
    let levels: Vec<(f64, f64)> = sqlx::query_as(
        "SELECT limit_from, clear_below FROM rule_levels WHERE rule = $1 ORDER BY position",
    )
    .bind(&code)
    .fetch_all(&mut *sql)
    .await?;
    let stations: Vec<String> =
        sqlx::query_scalar("SELECT station FROM rule_stations WHERE rule = $1 ORDER BY position")
            .bind(&code)
            .fetch_all(sql)
            .await?;
    let hold_ms: i64 = row.try_get("hold_ms")?;
    Ok(Rule {
        code: RuleCode::new(&code).map_err(damaged)?,
        name: row.try_get("name")?,
        parameter: ParameterCode::new(&parameter).map_err(damaged)?,
        stations: stations
            .iter()
            .map(|station| StationCode::new(station).map_err(damaged))
            .collect::<Result<_, _>>()?,
        levels: levels.into_iter().map(|(limit, clear)| Level { limit, clear }).collect(),
        hold: Duration::from_millis(u64::try_from(hold_ms).unwrap_or(0)),
    })
}

fn check(rule: &Rule) -> Result<(), RegistryError> {
    rule.check()?;
    let bad = |why: &str| Err(RegistryError::bad(Noun::Rule, &rule.code, why));
    if rule.name.trim().is_empty() {
        return bad("the name is empty");
    }
    if LEVELS_MAX < rule.levels.len() {
        return bad("a rule has at most 16 levels");
    }
    if HOLD_MAX < rule.hold || !rule.hold.subsec_nanos().is_multiple_of(1_000_000) {
        return bad("hold is 0s to 24h, in whole milliseconds");
    }
    let twice = |n: usize, code: &StationCode| rule.stations[..n].contains(code);
    if rule.stations.iter().enumerate().any(|(n, code)| twice(n, code)) {
        return bad("it names a station twice");
    }
    Ok(())
}

async fn check_fit(sql: &mut SqliteConnection, rule: &Rule) -> Result<(), RegistryError> {
    let parameters = parameters::all(sql).await?;
    let stations = stations::codes(sql).await?;
    match misfits(rule, &parameters, &stations).into_iter().next() {
        Some(misfit) => Err(Box::new(misfit).into()),
        None => Ok(()),
    }
}

/// A duty from level 3 up of a rule that has two levels would never be called on.
async fn check_duties(sql: &mut SqliteConnection, rule: &Rule) -> Result<(), RegistryError> {
    let highest = "SELECT MAX(from_level) FROM duties WHERE rule = $1";
    let highest: Option<i64> =
        sqlx::query_scalar(highest).bind(rule.code.as_str()).fetch_one(sql).await?;
    let levels = i64::try_from(rule.levels.len()).unwrap_or(i64::MAX);
    if highest.is_some_and(|highest| levels <= highest) {
        let why = "somebody's duty begins at a level that it would no longer have";
        return Err(RegistryError::bad(Noun::Rule, &rule.code, why));
    }
    Ok(())
}

fn text(rule: &Rule) -> String {
    let levels: Vec<_> = rule.levels.iter().map(|level| [level.limit, level.clear]).collect();
    let stations: Vec<_> = rule.stations.iter().map(StationCode::as_str).collect();
    json!({
        "code": rule.code.as_str(), "name": rule.name, "parameter": rule.parameter.as_str(),
        "stations": stations, "levels": levels, "hold_ms": millis(rule.hold),
    })
    .to_string()
}
