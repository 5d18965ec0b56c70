//! What of a station is made of its other readings, in the book: a row for each declaration.

use std::collections::HashMap;
use std::time::Duration;

use domain::derived::{Derived, Method};
use domain::{ParameterCode, Station};
use serde_json::{Value, json};
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::stations::millis;
use crate::{Noun, RegistryError, parameters};

/// There are fewer formulas than that.
const DERIVED_MAX: usize = 32;

/// Every declaration of every station.
pub(crate) async fn all(
    sql: &mut SqliteConnection,
) -> Result<HashMap<String, Vec<Derived>>, RegistryError> {
    let query = "SELECT * FROM station_derived ORDER BY station, position";
    let mut found: HashMap<String, Vec<Derived>> = HashMap::new();
    for row in sqlx::query(query).fetch_all(sql).await? {
        found.entry(row.try_get("station")?).or_default().push(declaration(&row)?);
    }
    Ok(found)
}

/// The declarations of one station.
pub(crate) async fn of(
    sql: &mut SqliteConnection,
    station: &str,
) -> Result<Vec<Derived>, RegistryError> {
    let query = "SELECT * FROM station_derived WHERE station = $1 ORDER BY position";
    let rows = sqlx::query(query).bind(station).fetch_all(sql).await?;
    rows.iter().map(declaration).collect()
}

/// Writes the declarations of a station in place of those that it had.
pub(crate) async fn write(
    sql: &mut SqliteConnection,
    station: &Station,
) -> Result<(), RegistryError> {
    let code = station.code.as_str();
    let clear = "DELETE FROM station_derived WHERE station = $1";
    sqlx::query(clear).bind(code).execute(&mut *sql).await?;
    for (position, derived) in (0_i64..).zip(&station.profile.derived) {
        for parameter in derived.inputs().iter().chain([derived.parameter()]) {
            if !parameters::exists(sql, parameter).await? {
                return Err(RegistryError::Dangling {
                    what: Noun::Station,
                    key: code.to_owned(),
                    other: Noun::Parameter,
                    missing: parameter.to_string(),
                });
            }
        }
        let statement = "INSERT INTO station_derived \
                         (station, position, parameter, method, inputs, within_ms) \
                         VALUES ($1, $2, $3, $4, $5, $6)";
        sqlx::query(statement)
            .bind(code)
            .bind(position)
            .bind(derived.parameter().as_str())
            .bind(derived.method().to_string())
            .bind(inputs(derived))
            .bind(millis(derived.apart_max()))
            .execute(&mut *sql)
            .await?;
    }
    Ok(())
}

/// What is wrong with declarations that each alone would do.
pub(crate) fn check(all: &[Derived]) -> Result<(), String> {
    if DERIVED_MAX < all.len() {
        return Err(format!("derived: at most {DERIVED_MAX} parameters"));
    }
    for (at, derived) in all.iter().enumerate() {
        let made = derived.parameter();
        if all[..at].iter().any(|earlier| earlier.parameter() == made) {
            return Err(format!("derived: `{made}` is made twice"));
        }
        let later =
            |input: &&ParameterCode| all[at..].iter().any(|other| other.parameter() == *input);
        if let Some(input) = derived.inputs().iter().find(later) {
            return Err(format!("derived: `{made}` is made of `{input}`, which is made after it"));
        }
    }
    Ok(())
}

pub(crate) fn text(derived: &Derived) -> Value {
    json!({
        "parameter": derived.parameter().as_str(), "method": derived.method().to_string(),
        "inputs": inputs(derived), "within_ms": millis(derived.apart_max()),
    })
}

fn inputs(derived: &Derived) -> String {
    derived.inputs().iter().map(ParameterCode::as_str).collect::<Vec<_>>().join(",")
}

fn declaration(row: &SqliteRow) -> Result<Derived, RegistryError> {
    let station: String = row.try_get("station")?;
    let damaged = |why: String| RegistryError::damaged(Noun::Station, &station, why);
    let code = |text: &str| ParameterCode::new(text).map_err(|why| damaged(why.to_string()));
    let (parameter, method): (String, String) = (row.try_get("parameter")?, row.try_get("method")?);
    let (inputs, within_ms): (String, i64) = (row.try_get("inputs")?, row.try_get("within_ms")?);
    let method: Method =
        method.parse().map_err(|why: domain::derived::BadDerivation| damaged(why.to_string()))?;
    let inputs = inputs.split(',').map(code).collect::<Result<_, _>>()?;
    let within = Duration::from_millis(u64::try_from(within_ms).unwrap_or(0));
    let derived = Derived::new(code(&parameter)?, method, inputs);
    derived.and_then(|derived| derived.within(within)).map_err(|why| damaged(why.to_string()))
}
