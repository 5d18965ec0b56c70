//! Where it is measured: each station with its place, its rhythm, and the profile that maps its words to ours.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use domain::{EcReference, Format, Mapping, ParameterCode, Place, Profile, Station, StationCode};
use serde_json::json;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::store::Change;
use crate::{Noun, Registry, RegistryError, StationKey, derivations, keys, layouts, parameters};

/// A logger that reports more often than this is a stream, and one that reports more seldom is a letter; both are
/// more likely a unit mistaken in a configuration.
const INTERVALS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_hours(7 * 24);

/// Names are shown in tables and cut nowhere; the longest official station name found has 61 characters.
const NAME_CHARS_MAX: usize = 200;

/// A name that another system gives: a Sparkplug device below its group and node is the longest.
const KNOWN_AS_BYTES_MAX: usize = 256;

/// No clock is further from UTC than this, east or west (the widest in use is 14 hours).
const UTC_OFFSET_S_MAX: i32 = 14 * 3_600;

/// Other systems that know one station.
const KNOWN_AS_MAX: usize = 16;

impl Registry {
    /// Every station, by code.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn stations(&self) -> Result<Vec<Station>, RegistryError> {
        let mut tx = self.snapshot().await?;
        let rows = sqlx::query("SELECT * FROM stations ORDER BY code").fetch_all(&mut *tx).await?;
        let sql = "SELECT * FROM station_fields ORDER BY station, position";
        let mut profiles: HashMap<String, Profile> = HashMap::new();
        for row in sqlx::query(sql).fetch_all(&mut *tx).await? {
            let of: String = row.try_get("station")?;
            profiles.entry(of).or_default().fields.push(mapping(&row)?);
        }
        for (of, layout) in layouts::all(&mut tx).await? {
            profiles.entry(of).or_default().layout = layout;
        }
        for (of, derived) in derivations::all(&mut tx).await? {
            profiles.entry(of).or_default().derived = derived;
        }
        let mut names: HashMap<String, Vec<String>> = HashMap::new();
        let sql = "SELECT station, name FROM station_names ORDER BY station, position";
        for row in sqlx::query(sql).fetch_all(&mut *tx).await? {
            names.entry(row.try_get("station")?).or_default().push(row.try_get("name")?);
        }
        let mut known_as = |code: &str| names.remove(code).unwrap_or_default();
        rows.iter()
            .map(|row| {
                let station = station(row, |code| profiles.remove(code))?;
                Ok(Station { known_as: known_as(station.code.as_str()), ..station })
            })
            .collect()
    }

    /// The station with this code.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn station(&self, code: &StationCode) -> Result<Option<Station>, RegistryError> {
        find(&mut *self.snapshot().await?, code).await
    }

    /// Writes a new station and makes its key, which nobody can ask for again.
    ///
    /// # Errors
    /// [`RegistryError::AlreadyThere`] where the code is taken, [`RegistryError::BadValue`] or
    /// [`RegistryError::Dangling`] where the station cannot be kept.
    pub async fn add_station(&self, station: &Station) -> Result<StationKey, RegistryError> {
        let mut change = self.change().await?;
        if find(change.sql(), &station.code).await?.is_some() {
            return Err(RegistryError::already(Noun::Station, &station.code));
        }
        put(&mut change, station).await?;
        let key = keys::renew(&mut change, &station.code, Duration::ZERO).await?;
        change.finish().await?;
        Ok(key)
    }

    /// Writes a station, new or known; returns whether it is new. A new one has no key and cannot log in until
    /// [`Registry::rotate_key`] made one.
    ///
    /// # Errors
    /// [`RegistryError::BadValue`] or [`RegistryError::Dangling`] where the station cannot be kept.
    pub async fn put_station(&self, station: &Station) -> Result<bool, RegistryError> {
        let mut change = self.change().await?;
        let created = put(&mut change, station).await?;
        change.finish().await?;
        Ok(created)
    }
}

pub(crate) async fn put(change: &mut Change, station: &Station) -> Result<bool, RegistryError> {
    check(station)?;
    let before = find(change.sql(), &station.code).await?;
    if before.as_ref() == Some(station) {
        return Ok(false);
    }
    write(change.sql(), station).await?;
    write_fields(change.sql(), station).await?;
    write_names(change.sql(), station).await?;
    layouts::write(change.sql(), station).await?;
    derivations::write(change.sql(), station).await?;
    let was = before.as_ref().map_or(String::new(), text);
    change.record("station.put", &was, &text(station)).await?;
    Ok(before.is_none())
}

async fn write(sql: &mut SqliteConnection, station: &Station) -> Result<(), RegistryError> {
    let statement = "INSERT INTO stations \
                     (code, name, lat, lon, river, km_from_mouth, interval_ms, utc_offset_s, format) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
                     ON CONFLICT (code) DO UPDATE SET name = excluded.name, \
                     lat = excluded.lat, lon = excluded.lon, river = excluded.river, \
                     km_from_mouth = excluded.km_from_mouth, interval_ms = excluded.interval_ms, \
                     utc_offset_s = excluded.utc_offset_s, format = excluded.format";
    sqlx::query(statement)
        .bind(station.code.as_str())
        .bind(&station.name)
        .bind(station.place.map(|place| place.lat))
        .bind(station.place.map(|place| place.lon))
        .bind(&station.river)
        .bind(station.km_from_mouth)
        .bind(millis(station.interval))
        .bind(station.profile.utc_offset_s.map(i64::from))
        .bind(station.profile.format.map(Format::as_str))
        .execute(sql)
        .await?;
    Ok(())
}

async fn write_fields(sql: &mut SqliteConnection, station: &Station) -> Result<(), RegistryError> {
    let code = station.code.as_str();
    let clear = "DELETE FROM station_fields WHERE station = $1";
    sqlx::query(clear).bind(code).execute(&mut *sql).await?;
    for (position, field) in (0_i64..).zip(&station.profile.fields) {
        if !parameters::exists(sql, &field.parameter).await? {
            return Err(RegistryError::Dangling {
                what: Noun::Station,
                key: code.to_owned(),
                other: Noun::Parameter,
                missing: field.parameter.to_string(),
            });
        }
        let statement = "INSERT INTO station_fields \
                         (station, position, name, parameter, scale, shift, ec) \
                         VALUES ($1, $2, $3, $4, $5, $6, $7)";
        sqlx::query(statement)
            .bind(code)
            .bind(position)
            .bind(&field.name)
            .bind(field.parameter.as_str())
            .bind(field.scale)
            .bind(field.offset)
            .bind(field.ec.map(EcReference::as_str))
            .execute(&mut *sql)
            .await?;
    }
    Ok(())
}

async fn write_names(sql: &mut SqliteConnection, station: &Station) -> Result<(), RegistryError> {
    let code = station.code.as_str();
    let clear = "DELETE FROM station_names WHERE station = $1";
    sqlx::query(clear).bind(code).execute(&mut *sql).await?;
    for (position, name) in (0_i64..).zip(&station.known_as) {
        let folded = name.to_lowercase();
        let whose =
            sqlx::query("SELECT station FROM station_names WHERE folded = $1").bind(&folded);
        if let Some(row) = whose.fetch_optional(&mut *sql).await? {
            let other: String = row.try_get("station")?;
            let why = format!("`{name}` is what `{other}` is known as");
            return Err(RegistryError::bad(Noun::Station, code, why));
        }
        let statement = "INSERT INTO station_names (folded, name, station, position) \
                         VALUES ($1, $2, $3, $4)";
        sqlx::query(statement)
            .bind(folded)
            .bind(name)
            .bind(code)
            .bind(position)
            .execute(&mut *sql)
            .await?;
    }
    Ok(())
}

/// Is there such a station? What names one asks here first, for an error in the province's words.
pub(crate) async fn exists(
    sql: &mut SqliteConnection,
    code: &StationCode,
) -> Result<bool, RegistryError> {
    let query = sqlx::query("SELECT code FROM stations WHERE code = $1").bind(code.as_str());
    Ok(query.fetch_optional(sql).await?.is_some())
}

/// Is the station kept from coming in?
pub(crate) async fn is_disabled(
    sql: &mut SqliteConnection,
    code: &StationCode,
) -> Result<bool, RegistryError> {
    let query = "SELECT code FROM stations WHERE code = $1 AND disabled_at IS NOT NULL";
    Ok(sqlx::query(query).bind(code.as_str()).fetch_optional(sql).await?.is_some())
}

/// The code of every station.
pub(crate) async fn codes(sql: &mut SqliteConnection) -> Result<Vec<StationCode>, RegistryError> {
    let codes = sqlx::query_scalar("SELECT code FROM stations ORDER BY code");
    let codes: Vec<String> = codes.fetch_all(sql).await?;
    let read = |code: &String| {
        StationCode::new(code).map_err(|why| RegistryError::damaged(Noun::Station, code, why))
    };
    codes.iter().map(read).collect()
}

pub(crate) async fn find(
    sql: &mut SqliteConnection,
    code: &StationCode,
) -> Result<Option<Station>, RegistryError> {
    let one = sqlx::query("SELECT * FROM stations WHERE code = $1").bind(code.as_str());
    let Some(row) = one.fetch_optional(&mut *sql).await? else { return Ok(None) };
    let fields = "SELECT * FROM station_fields WHERE station = $1 ORDER BY position";
    let rows = sqlx::query(fields).bind(code.as_str()).fetch_all(&mut *sql).await?;
    let fields = rows.iter().map(mapping).collect::<Result<_, _>>()?;
    let names = "SELECT name FROM station_names WHERE station = $1 ORDER BY position";
    let rows = sqlx::query(names).bind(code.as_str()).fetch_all(&mut *sql).await?;
    let known_as = rows.iter().map(|row| row.try_get("name")).collect::<Result<_, _>>()?;
    let layout = layouts::of(sql, code.as_str()).await?;
    let derived = derivations::of(sql, code.as_str()).await?;
    let profile = Profile { fields, layout, derived, ..Profile::default() };
    let station = station(&row, |_| Some(profile))?;
    Ok(Some(Station { known_as, ..station }))
}

fn station(
    row: &SqliteRow,
    profile: impl FnOnce(&str) -> Option<Profile>,
) -> Result<Station, RegistryError> {
    let code: String = row.try_get("code")?;
    let place = |lat: Option<f64>, lon: Option<f64>| Some(Place { lat: lat?, lon: lon? });
    let interval_ms: i64 = row.try_get("interval_ms")?;
    let utc_offset_s: Option<i64> = row.try_get("utc_offset_s")?;
    let utc_offset_s = utc_offset_s.and_then(|seconds| i32::try_from(seconds).ok());
    let format: Option<String> = row.try_get("format")?;
    let unknown =
        |it: &String| RegistryError::damaged(Noun::Station, &code, format!("format `{it}`"));
    let format = format.map(|it| Format::parse(&it).ok_or_else(|| unknown(&it))).transpose()?;
    Ok(Station {
        name: row.try_get("name")?,
        place: place(row.try_get("lat")?, row.try_get("lon")?),
        river: row.try_get("river")?,
        km_from_mouth: row.try_get("km_from_mouth")?,
        interval: Duration::from_millis(u64::try_from(interval_ms).unwrap_or(0)),
        profile: Profile { utc_offset_s, format, ..profile(&code).unwrap_or_default() },
        known_as: Vec::new(),
        code: StationCode::new(&code)
            .map_err(|why| RegistryError::damaged(Noun::Station, &code, why))?,
    })
}

fn mapping(row: &SqliteRow) -> Result<Mapping, RegistryError> {
    let (station, parameter): (String, String) =
        (row.try_get("station")?, row.try_get("parameter")?);
    let ec: Option<String> = row.try_get("ec")?;
    let unknown =
        |ec: &String| RegistryError::damaged(Noun::Station, &station, format!("ec `{ec}`"));
    let ec = ec.map(|ec| EcReference::parse(&ec).ok_or_else(|| unknown(&ec))).transpose()?;
    Ok(Mapping {
        name: row.try_get("name")?,
        parameter: ParameterCode::new(&parameter)
            .map_err(|why| RegistryError::damaged(Noun::Station, station, why))?,
        scale: row.try_get("scale")?,
        offset: row.try_get("shift")?,
        ec,
    })
}

/// Durations are kept in whole milliseconds.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Would the station read back as it is, and mean something?
fn check(station: &Station) -> Result<(), RegistryError> {
    let bad = |why: &str| Err(RegistryError::bad(Noun::Station, &station.code, why));
    if !(1..=NAME_CHARS_MAX).contains(&station.name.trim().chars().count()) {
        return bad("the name has 1 to 200 characters");
    }
    let on_earth = |p: Place| p.lat.abs() <= 90.0 && p.lon.abs() <= 180.0;
    if !station.place.is_none_or(on_earth) {
        return bad("lat is -90 to 90 degrees, lon is -180 to 180 degrees");
    }
    if !station.km_from_mouth.is_none_or(|km| (0.0..=10_000.0).contains(&km)) {
        return bad("km_from_mouth is 0 or more, in kilometres");
    }
    if !INTERVALS.contains(&station.interval)
        || !station.interval.subsec_nanos().is_multiple_of(1_000_000)
    {
        return bad("the interval is 1s to 7d, in whole milliseconds");
    }
    let nameless = |name: &String| name.trim().is_empty() || KNOWN_AS_BYTES_MAX < name.len();
    if KNOWN_AS_MAX < station.known_as.len() || station.known_as.iter().any(nameless) {
        return bad("known_as is up to 16 names of 1 to 256 bytes");
    }
    let mut names = HashSet::new();
    for field in &station.profile.fields {
        if field.name.trim().is_empty() || !names.insert(&field.name) {
            return bad("a field of the profile has no name, or the name of another");
        }
        if !field.scale.is_finite() || field.scale == 0.0 || !field.offset.is_finite() {
            return bad("scale and offset are numbers, and scale is not 0");
        }
        if let Some(why) = unreferred(field) {
            return bad(&why);
        }
    }
    if station.profile.utc_offset_s.is_some_and(|it| UTC_OFFSET_S_MAX < it.abs()) {
        return bad("utc_offset is -14:00 to +14:00");
    }
    if station.profile.format.is_some_and(|format| !format.needs_no_topic()) {
        return bad("format: chirpstack and sparkplug are told by their topics, not by a profile");
    }
    if let Err(why) = layouts::check(&station.profile.layout) {
        return bad(&why);
    }
    if let Err(why) = derivations::check(&station.profile.derived) {
        return bad(&why);
    }
    if station.profile.format == Some(Format::Bytes) && station.profile.layout.is_empty() {
        return bad("format: bytes need a layout");
    }
    Ok(())
}

/// Why it is not known, or not believed, what a field's conductivity is referred to.
fn unreferred(field: &Mapping) -> Option<String> {
    let (name, parameter) = (&field.name, &field.parameter);
    match (field.ec, EcReference::of(parameter), EcReference::told_by(name)) {
        (Some(_), None, _) => {
            Some(format!("`ec` is for conductivities, and `{name}` is {parameter}"))
        }
        (None, Some(ours), Some(told)) if ours != told => {
            let likely = match told {
                EcReference::Raw => "as measured",
                EcReference::At25 => "referred to 25 °C",
                EcReference::At20 => "referred to 20 °C",
            };
            Some(format!(
                "`{name}` is likely {likely}, and {parameter} is not: say which with \
                 ec = \"raw\", \"25\" or \"20\""
            ))
        }
        _ => None,
    }
}

pub(crate) fn text(station: &Station) -> String {
    let field = |m: &Mapping| {
        json!({ "name": m.name, "parameter": m.parameter.as_str(),
                "scale": m.scale, "offset": m.offset, "ec": m.ec.map(EcReference::as_str) })
    };
    json!({
        "code": station.code.as_str(), "name": station.name,
        "lat": station.place.map(|p| p.lat), "lon": station.place.map(|p| p.lon),
        "river": station.river, "km_from_mouth": station.km_from_mouth,
        "interval_ms": millis(station.interval),
        "known_as": station.known_as, "utc_offset_s": station.profile.utc_offset_s,
        "format": station.profile.format.map(Format::as_str),
        "layout": station.profile.layout.iter().map(layouts::text).collect::<Vec<_>>(),
        "derived": station.profile.derived.iter().map(derivations::text).collect::<Vec<_>>(),
        "fields": station.profile.fields.iter().map(field).collect::<Vec<_>>(),
    })
    .to_string()
}
