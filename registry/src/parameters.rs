//! What is measured. The standard parameters are seeded when the book is opened; one that was edited stays edited.

use domain::{Parameter, ParameterCode, Range, standard_parameters};
use serde_json::json;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::store::Change;
use crate::{Noun, Registry, RegistryError};

impl Registry {
    /// Every parameter, by code.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn parameters(&self) -> Result<Vec<Parameter>, RegistryError> {
        all(&mut *self.snapshot().await?).await
    }

    /// Writes a parameter, new or known; returns whether it is new.
    ///
    /// # Errors
    /// [`RegistryError::BadValue`] where a range is empty or not a number.
    pub async fn put_parameter(&self, parameter: &Parameter) -> Result<bool, RegistryError> {
        let mut change = self.change().await?;
        let created = put(&mut change, parameter).await?;
        change.finish().await?;
        Ok(created)
    }
}

pub(crate) async fn seed(registry: &Registry) -> Result<(), RegistryError> {
    let there: Vec<String> =
        sqlx::query_scalar("SELECT code FROM parameters").fetch_all(&registry.pool).await?;
    let mut missing = standard_parameters();
    missing.retain(|parameter| !there.iter().any(|code| code == parameter.code.as_str()));
    if missing.is_empty() {
        return Ok(());
    }
    let mut change = registry.change().await?;
    for parameter in &missing {
        // Somebody else may have opened the new file in between.
        if find(change.sql(), &parameter.code).await?.is_none() {
            put(&mut change, parameter).await?;
        }
    }
    change.finish().await?;
    Ok(())
}

async fn put(change: &mut Change, parameter: &Parameter) -> Result<bool, RegistryError> {
    check(parameter)?;
    let before = find(change.sql(), &parameter.code).await?;
    if before.as_ref() == Some(parameter) {
        return Ok(false);
    }
    let sql = "INSERT INTO parameters (code, unit, ucum, name_vi, name_en, decimals, \
               fail_low, fail_high, suspect_low, suspect_high, aggregation) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
               ON CONFLICT (code) DO UPDATE SET unit = excluded.unit, ucum = excluded.ucum, \
               name_vi = excluded.name_vi, name_en = excluded.name_en, \
               decimals = excluded.decimals, \
               fail_low = excluded.fail_low, fail_high = excluded.fail_high, \
               suspect_low = excluded.suspect_low, suspect_high = excluded.suspect_high, \
               aggregation = excluded.aggregation";
    sqlx::query(sql)
        .bind(parameter.code.as_str())
        .bind(&parameter.unit)
        .bind(&parameter.ucum)
        .bind(&parameter.name_vi)
        .bind(&parameter.name_en)
        .bind(i64::from(parameter.decimals))
        .bind(parameter.fail.map(|range| range.low))
        .bind(parameter.fail.map(|range| range.high))
        .bind(parameter.suspect.map(|range| range.low))
        .bind(parameter.suspect.map(|range| range.high))
        .bind(parameter.aggregation.as_str())
        .execute(change.sql())
        .await?;
    let was = before.as_ref().map_or(String::new(), text);
    change.record("parameter.put", &was, &text(parameter)).await?;
    Ok(before.is_none())
}

/// Is there such a parameter? What names one asks here first, for an error in the province's words.
pub(crate) async fn exists(
    sql: &mut SqliteConnection,
    code: &ParameterCode,
) -> Result<bool, RegistryError> {
    Ok(find(sql, code).await?.is_some())
}

pub(crate) async fn all(sql: &mut SqliteConnection) -> Result<Vec<Parameter>, RegistryError> {
    let rows = sqlx::query("SELECT * FROM parameters ORDER BY code").fetch_all(sql).await?;
    rows.iter().map(parameter).collect()
}

async fn find(
    sql: &mut SqliteConnection,
    code: &ParameterCode,
) -> Result<Option<Parameter>, RegistryError> {
    let query = sqlx::query("SELECT * FROM parameters WHERE code = $1").bind(code.as_str());
    query.fetch_optional(sql).await?.as_ref().map(parameter).transpose()
}

fn check(parameter: &Parameter) -> Result<(), RegistryError> {
    let sound =
        |range: Range| range.low.is_finite() && range.high.is_finite() && range.low <= range.high;
    if [parameter.fail, parameter.suspect].into_iter().flatten().all(sound) {
        return Ok(());
    }
    let why = "a range goes from a number to one that is not smaller";
    Err(RegistryError::bad(Noun::Parameter, &parameter.code, why))
}

fn parameter(row: &SqliteRow) -> Result<Parameter, RegistryError> {
    let code: String = row.try_get("code")?;
    let range = |low: Option<f64>, high: Option<f64>| Some(Range { low: low?, high: high? });
    let decimals: i64 = row.try_get("decimals")?;
    let aggregation: String = row.try_get("aggregation")?;
    Ok(Parameter {
        unit: row.try_get("unit")?,
        ucum: row.try_get("ucum")?,
        name_vi: row.try_get("name_vi")?,
        name_en: row.try_get("name_en")?,
        decimals: u8::try_from(decimals)
            .map_err(|why| RegistryError::damaged(Noun::Parameter, &code, why))?,
        fail: range(row.try_get("fail_low")?, row.try_get("fail_high")?),
        suspect: range(row.try_get("suspect_low")?, row.try_get("suspect_high")?),
        aggregation: aggregation
            .parse()
            .map_err(|why| RegistryError::damaged(Noun::Parameter, &code, why))?,
        code: ParameterCode::new(&code)
            .map_err(|why| RegistryError::damaged(Noun::Parameter, &code, why))?,
    })
}

fn text(parameter: &Parameter) -> String {
    let range = |range: Range| json!([range.low, range.high]);
    json!({
        "code": parameter.code.as_str(), "unit": parameter.unit, "ucum": parameter.ucum,
        "name_vi": parameter.name_vi, "name_en": parameter.name_en,
        "decimals": parameter.decimals,
        "fail": parameter.fail.map(range), "suspect": parameter.suspect.map(range),
        "aggregation": parameter.aggregation.as_str(),
    })
    .to_string()
}
