//! The lines of the map: river branches and canals from the mouth up, and the coast they end at.

use domain::Place;
use serde_json::json;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::store::Change;
use crate::{Noun, Registry, RegistryError};

/// A line needs two ends, and the map of a province is drawn on the server for every visitor: a branch traced at
/// every 100 m over 400 km has 4,000 points.
const POINTS: std::ops::RangeInclusive<usize> = 2..=4_096;

/// What a line of the map is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RiverKind {
    /// A river or one of its branches.
    River,
    /// A canal.
    Canal,
    /// The line of the coast.
    Coast,
}

impl RiverKind {
    /// Every kind there is.
    pub const ALL: [Self; 3] = [Self::River, Self::Canal, Self::Coast];

    /// The kind as the pack and the store write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::River => "river",
            Self::Canal => "canal",
            Self::Coast => "coast",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A line of the map.
#[derive(Debug, Clone, PartialEq)]
pub struct River {
    /// Its key, which a station names as its river.
    pub code: String,
    /// What it is.
    pub kind: RiverKind,
    /// Its name in Vietnamese.
    pub name: String,
    /// Its name in English.
    pub name_en: String,
    /// Drawn by hand through known points, not surveyed: the page must say so.
    pub schematic: bool,
    /// Its course, from the mouth up.
    pub line: Vec<Place>,
}

impl Registry {
    /// Every river and canal, by code.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn rivers(&self) -> Result<Vec<River>, RegistryError> {
        let sql = "SELECT * FROM rivers WHERE kind <> 'coast' ORDER BY code";
        sqlx::query(sql).fetch_all(&self.pool).await?.iter().map(river).collect()
    }

    /// Every line of the coast, by code.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn coast(&self) -> Result<Vec<River>, RegistryError> {
        let sql = "SELECT * FROM rivers WHERE kind = 'coast' ORDER BY code";
        sqlx::query(sql).fetch_all(&self.pool).await?.iter().map(river).collect()
    }

    /// Writes a river, canal or coast, new or known; returns whether it is new.
    ///
    /// # Errors
    /// [`RegistryError::BadValue`] where it cannot be drawn.
    pub async fn put_river(&self, river: &River) -> Result<bool, RegistryError> {
        let mut change = self.change().await?;
        let created = put(&mut change, river).await?;
        change.finish().await?;
        Ok(created)
    }
}

pub(crate) async fn put(change: &mut Change, river: &River) -> Result<bool, RegistryError> {
    check(river)?;
    let before = find(change.sql(), &river.code).await?;
    if before.as_ref() == Some(river) {
        return Ok(false);
    }
    let sql = "INSERT INTO rivers (code, kind, name, name_en, schematic, line) \
               VALUES ($1, $2, $3, $4, $5, $6) \
               ON CONFLICT (code) DO UPDATE SET kind = excluded.kind, name = excluded.name, \
               name_en = excluded.name_en, schematic = excluded.schematic, line = excluded.line";
    sqlx::query(sql)
        .bind(&river.code)
        .bind(river.kind.as_str())
        .bind(&river.name)
        .bind(&river.name_en)
        .bind(i64::from(river.schematic))
        .bind(line_text(&river.line))
        .execute(change.sql())
        .await?;
    let was = before.as_ref().map_or(String::new(), text);
    change.record("river.put", &was, &text(river)).await?;
    Ok(before.is_none())
}

async fn find(sql: &mut SqliteConnection, code: &str) -> Result<Option<River>, RegistryError> {
    let query = sqlx::query("SELECT * FROM rivers WHERE code = $1").bind(code);
    query.fetch_optional(sql).await?.as_ref().map(river).transpose()
}

fn check(river: &River) -> Result<(), RegistryError> {
    let bad = |why: &str| Err(RegistryError::bad(Noun::River, &river.code, why));
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !(1..=64).contains(&river.code.len()) || !river.code.bytes().all(fits) {
        return bad("the code is 1 to 64 of a-z, 0-9 and -");
    }
    if river.name.trim().is_empty() {
        return bad("the name is empty");
    }
    if !POINTS.contains(&river.line.len()) {
        return bad("the line has 2 to 4096 points");
    }
    if !river.line.iter().all(|p| p.lat.abs() <= 90.0 && p.lon.abs() <= 180.0) {
        return bad("a point is [lon, lat] in degrees, lon -180 to 180 and lat -90 to 90");
    }
    Ok(())
}

fn river(row: &SqliteRow) -> Result<River, RegistryError> {
    let (code, kind, line): (String, String, String) =
        (row.try_get("code")?, row.try_get("kind")?, row.try_get("line")?);
    let damaged = |why: &str| RegistryError::damaged(Noun::River, &code, why);
    let points: Vec<(f64, f64)> =
        serde_json::from_str(&line).map_err(|_| damaged("its line is not a list of points"))?;
    Ok(River {
        kind: RiverKind::parse(&kind).ok_or_else(|| damaged("its kind is unknown"))?,
        name: row.try_get("name")?,
        name_en: row.try_get("name_en")?,
        schematic: row.try_get::<i64, _>("schematic")? != 0,
        line: points.into_iter().map(|(lon, lat)| Place { lat, lon }).collect(),
        code,
    })
}

fn line_text(line: &[Place]) -> String {
    json!(line.iter().map(|place| [place.lon, place.lat]).collect::<Vec<_>>()).to_string()
}

fn text(river: &River) -> String {
    json!({
        "code": river.code, "kind": river.kind.as_str(), "name": river.name,
        "name_en": river.name_en, "schematic": river.schematic, "points": river.line.len(),
    })
    .to_string()
}
