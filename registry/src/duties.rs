//! Who is told of what, over which channel, from which level up. A duty that could never be carried out is refused.

use domain::{ChannelKind, Duty, PersonId, RuleCode, StationCode};
use serde_json::json;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::store::Change;
use crate::{Noun, Registry, RegistryError, people, rules, stations};

/// A rule has at most 16 levels.
const FROM_LEVEL_MAX: u8 = 15;

impl Registry {
    /// Every duty, by person.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn duties(&self) -> Result<Vec<Duty>, RegistryError> {
        let sql = "SELECT * FROM duties \
                   ORDER BY person, COALESCE(rule, ''), COALESCE(station, ''), channel";
        sqlx::query(sql).fetch_all(&self.pool).await?.iter().map(duty).collect()
    }

    /// Writes a duty. There is one for a person, rule, station and channel: written again, it changes its level.
    /// Returns whether it is new.
    ///
    /// # Errors
    /// [`RegistryError::Dangling`] where it names what is not there, [`RegistryError::BadValue`] where the person
    /// cannot be reached over the channel or the rule has no such level.
    pub async fn put_duty(&self, duty: &Duty) -> Result<bool, RegistryError> {
        let mut change = self.change().await?;
        let created = put(&mut change, duty).await?;
        change.finish().await?;
        Ok(created)
    }

    /// Ends a duty (its level does not matter).
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] where there is no such duty.
    pub async fn drop_duty(&self, duty: &Duty) -> Result<(), RegistryError> {
        let mut change = self.change().await?;
        let Some(before) = find(change.sql(), duty).await? else {
            return Err(RegistryError::not_found(Noun::Duty, key(duty)));
        };
        let sql = "DELETE FROM duties WHERE person = $1 AND COALESCE(rule, '') = $2 \
                   AND COALESCE(station, '') = $3 AND channel = $4";
        bind_key(sqlx::query(sql), duty).execute(change.sql()).await?;
        change.record("duty.drop", &text(&before), "").await?;
        change.finish().await?;
        Ok(())
    }
}

pub(crate) async fn put(change: &mut Change, duty: &Duty) -> Result<bool, RegistryError> {
    let before = find(change.sql(), duty).await?;
    if before.as_ref() == Some(duty) {
        return Ok(false);
    }
    check(change.sql(), duty).await?;
    let update = "UPDATE duties SET from_level = $5 WHERE person = $1 AND COALESCE(rule, '') = $2 \
                  AND COALESCE(station, '') = $3 AND channel = $4";
    let insert = "INSERT INTO duties (person, rule, station, channel, from_level) \
                  VALUES ($1, NULLIF($2, ''), NULLIF($3, ''), $4, $5)";
    let sql = if before.is_some() { update } else { insert };
    let query = bind_key(sqlx::query(sql), duty).bind(i64::from(duty.from_level));
    query.execute(change.sql()).await?;
    let was = before.as_ref().map_or(String::new(), text);
    change.record("duty.put", &was, &text(duty)).await?;
    Ok(before.is_none())
}

async fn check(sql: &mut SqliteConnection, duty: &Duty) -> Result<(), RegistryError> {
    let dangling = |other: Noun, missing: &str| RegistryError::Dangling {
        what: Noun::Duty,
        key: key(duty),
        other,
        missing: missing.to_owned(),
    };
    let bad = |why: &str| Err(RegistryError::bad(Noun::Duty, key(duty), why));
    let Some(person) = people::find(sql, &duty.person).await? else {
        return Err(dangling(Noun::Person, duty.person.as_str()));
    };
    if !people::reaches(&person, duty.channel) {
        return bad("the person has no phone or address for this channel");
    }
    if let Some(station) = &duty.station
        && !stations::exists(sql, station).await?
    {
        return Err(dangling(Noun::Station, station.as_str()));
    }
    if FROM_LEVEL_MAX < duty.from_level {
        return bad("from_level is 0 to 15");
    }
    let Some(code) = &duty.rule else { return Ok(()) };
    match rules::find(sql, code).await? {
        None => Err(dangling(Noun::Rule, code.as_str())),
        Some(rule) if rule.levels.len() <= usize::from(duty.from_level) => {
            bad("the rule has no such level; from_level counts from 0, the lowest")
        }
        Some(_) => Ok(()),
    }
}

async fn find(sql: &mut SqliteConnection, duty: &Duty) -> Result<Option<Duty>, RegistryError> {
    let statement = "SELECT * FROM duties WHERE person = $1 AND COALESCE(rule, '') = $2 \
                     AND COALESCE(station, '') = $3 AND channel = $4";
    let row = bind_key(sqlx::query(statement), duty).fetch_optional(sql).await?;
    row.as_ref().map(self::duty).transpose()
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

fn bind_key<'q>(query: Query<'q>, duty: &'q Duty) -> Query<'q> {
    query
        .bind(duty.person.as_str())
        .bind(duty.rule.as_ref().map_or("", RuleCode::as_str))
        .bind(duty.station.as_ref().map_or("", StationCode::as_str))
        .bind(duty.channel.as_str())
}

fn duty(row: &SqliteRow) -> Result<Duty, RegistryError> {
    let person: String = row.try_get("person")?;
    let rule: Option<String> = row.try_get("rule")?;
    let station: Option<String> = row.try_get("station")?;
    let channel: String = row.try_get("channel")?;
    let from_level: i64 = row.try_get("from_level")?;
    let damaged = |why: String| RegistryError::damaged(Noun::Duty, &person, why);
    Ok(Duty {
        person: PersonId::new(&person).map_err(|why| damaged(why.to_string()))?,
        rule: rule
            .map(|code| RuleCode::new(&code).map_err(|why| damaged(why.to_string())))
            .transpose()?,
        station: station
            .map(|code| StationCode::new(&code).map_err(|why| damaged(why.to_string())))
            .transpose()?,
        channel: ChannelKind::parse(&channel)
            .ok_or_else(|| damaged(format!("there is no channel `{channel}`")))?,
        from_level: u8::try_from(from_level).map_err(|why| damaged(why.to_string()))?,
    })
}

/// A duty in one line, for messages.
fn key(duty: &Duty) -> String {
    let rule = duty.rule.as_ref().map_or("*", RuleCode::as_str);
    let station = duty.station.as_ref().map_or("*", StationCode::as_str);
    format!("{}/{rule}/{station}/{}", duty.person, duty.channel)
}

fn text(duty: &Duty) -> String {
    json!({
        "person": duty.person.as_str(), "rule": duty.rule.as_ref().map(RuleCode::as_str),
        "station": duty.station.as_ref().map(StationCode::as_str),
        "channel": duty.channel.as_str(), "from_level": duty.from_level,
    })
    .to_string()
}
