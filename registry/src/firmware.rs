//! The firmware images that may be rolled out, and what stations say they run. The bytes of an image are a file
//! elsewhere; here stands who vouches for it. That a signature is right is proved before an image comes here.

use domain::{
    Digest, FirmwareFault, FirmwareState, ModelCode, Release, StationCode, Timestamp, Version,
};
use serde_json::json;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::{Noun, Registry, RegistryError, audit, stations};

/// Images that are kept: three models with some thirty versions each. Old ones are removed by hand.
pub const IMAGES_MAX: i64 = 100;

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// For which model, which version, which bytes.
    pub release: Release,
    /// The id of the key that vouches for it.
    pub key: String,
    /// The signature, in hex.
    pub signature: String,
    /// When it was added.
    pub added_at: Timestamp,
    /// By whom.
    pub added_by: String,
}

/// What a station says of its firmware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirmwareSaid {
    /// Which hardware it is.
    pub model: Option<ModelCode>,
    /// What runs in it.
    pub version: Option<Version>,
    /// The image that it speaks of.
    pub digest: Option<Digest>,
    /// How far it has come with it.
    pub state: FirmwareState,
    /// Chunks that it has, of how many.
    pub progress: Option<(u32, u32)>,
    /// What went wrong.
    pub fault: Option<FirmwareFault>,
    /// When this came.
    pub at: Timestamp,
    /// Its place in the journal of what stations say.
    pub position: u64,
}

/// What is known of a station's firmware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StationFirmware {
    /// Which station.
    pub station: StationCode,
    /// Which hardware it is.
    pub model: Option<ModelCode>,
    /// What runs in it.
    pub version: Option<Version>,
    /// Since when it says so.
    pub running_since: Option<Timestamp>,
    /// The image that it was busy with last.
    pub digest: Option<Digest>,
    /// How far it has come with it.
    pub state: Option<FirmwareState>,
    /// Chunks that it has, of how many.
    pub progress: Option<(u32, u32)>,
    /// What went wrong.
    pub fault: Option<FirmwareFault>,
    /// When it said so.
    pub said_at: Timestamp,
    /// The place of that in the journal of what stations say.
    pub said_position: u64,
}

impl Registry {
    /// Adds an image whose signature was proved. Adding the same again changes nothing; returns whether it was new.
    ///
    /// # Errors
    /// [`RegistryError::AlreadyThere`] where the model has another image of this version, [`RegistryError::BadValue`]
    /// where there are too many.
    pub async fn add_image(
        &self,
        release: &Release,
        key: &str,
        signature: &str,
    ) -> Result<bool, RegistryError> {
        let mut change = self.change().await?;
        if find(change.sql(), &release.digest).await?.is_some_and(|held| held.release == *release) {
            return Ok(false);
        }
        let name = format!("{} {}", release.model, release.version);
        let same = "SELECT COUNT(*) FROM firmware_images \
                    WHERE digest = $1 OR (model = $2 AND version = $3)";
        let same = sqlx::query_scalar::<_, i64>(same).bind(release.digest.to_string());
        let same = same.bind(release.model.as_str()).bind(release.version.to_string());
        if 0 < same.fetch_one(change.sql()).await? {
            return Err(RegistryError::already(Noun::Image, name));
        }
        let count = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM firmware_images");
        if IMAGES_MAX <= count.fetch_one(change.sql()).await? {
            let why = format!("there are {IMAGES_MAX} images already; remove old ones");
            return Err(RegistryError::bad(Noun::Image, name, why));
        }
        let put = "INSERT INTO firmware_images \
                   (digest, model, version, size, key_id, signature, added_at, added_by) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let (at, who) = (change.at, change.who().to_owned());
        sqlx::query(put)
            .bind(release.digest.to_string())
            .bind(release.model.as_str())
            .bind(release.version.to_string())
            .bind(i64::try_from(release.size).unwrap_or(i64::MAX))
            .bind(key)
            .bind(signature)
            .bind(at.as_millis())
            .bind(&who)
            .execute(change.sql())
            .await?;
        note(change.sql(), at, &who, "firmware.add", release).await?;
        change.finish_quietly().await?;
        Ok(true)
    }

    /// Takes an image out of the book. Its roll-outs go with it; one that is not over keeps it.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`]; [`RegistryError::BadValue`] while a roll-out needs it.
    pub async fn drop_image(&self, digest: &Digest) -> Result<Image, RegistryError> {
        let mut change = self.change().await?;
        let image = find(change.sql(), digest).await?;
        let image = image.ok_or_else(|| RegistryError::not_found(Noun::Image, digest))?;
        let open = "SELECT COUNT(*) FROM rollouts \
                    WHERE digest = $1 AND state IN ('made', 'going', 'paused')";
        let open = sqlx::query_scalar::<_, i64>(open).bind(digest.to_string());
        if 0 < open.fetch_one(change.sql()).await? {
            let why = "a roll-out of it is not over; halt it first";
            return Err(RegistryError::bad(Noun::Image, digest, why));
        }
        for sql in [
            "DELETE FROM rollout_stations WHERE rollout IN (SELECT id FROM rollouts WHERE digest = $1)",
            "DELETE FROM rollouts WHERE digest = $1",
            "DELETE FROM firmware_images WHERE digest = $1",
        ] {
            sqlx::query(sql).bind(digest.to_string()).execute(change.sql()).await?;
        }
        let (at, who) = (change.at, change.who().to_owned());
        note(change.sql(), at, &who, "firmware.remove", &image.release).await?;
        change.finish_quietly().await?;
        Ok(image)
    }

    /// Every image, by model, the newest first.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn images(&self) -> Result<Vec<Image>, RegistryError> {
        let rows = sqlx::query("SELECT * FROM firmware_images").fetch_all(&self.pool).await?;
        let mut images = rows.iter().map(image).collect::<Result<Vec<_>, _>>()?;
        images.sort_by(|a, b| {
            let (a, b) = (&a.release, &b.release);
            (&a.model, b.version).cmp(&(&b.model, a.version))
        });
        Ok(images)
    }

    /// The image with this digest.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn image(&self, digest: &Digest) -> Result<Option<Image>, RegistryError> {
        find(&mut *self.snapshot().await?, digest).await
    }

    /// Writes down what a station says of its firmware, also in the roll-outs of the image that it speaks of. What
    /// runs is a fact of every roll-out of that image, told by its version. Returns whether it was news.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] where there is no such station.
    pub async fn firmware_said(
        &self,
        station: &StationCode,
        said: &FirmwareSaid,
    ) -> Result<bool, RegistryError> {
        let mut change = self.change().await?;
        if !stations::exists(change.sql(), station).await? {
            return Err(RegistryError::not_found(Noun::Station, station));
        }
        let before = station_of(change.sql(), station).await?;
        // Heard again after a restart: what it said since still stands. A clock that was set back does not make it old,
        // nor does a journal that begins anew.
        let known = |before: &StationFirmware| {
            said.position <= before.said_position && said.at <= before.said_at
        };
        if before.as_ref().is_some_and(known) {
            return Ok(false);
        }
        put_said(change.sql(), station, before.as_ref(), said).await?;
        let moved = move_members(change.sql(), station, said).await?;
        let state = |held: &StationFirmware| (held.digest, held.state, held.fault);
        let ran = before.as_ref().and_then(|before| before.version);
        let told = before.as_ref().map(state) == Some((said.digest, Some(said.state), said.fault));
        // A station says what it runs at each connection: news is only what is another.
        let news = match said.state {
            FirmwareState::Running => moved || (said.version.is_some() && said.version != ran),
            _ => moved || !told,
        };
        let progress = said.state == FirmwareState::Downloading;
        if news && !progress {
            let after = json!({
                "station": station.as_str(),
                "model": said.model.as_ref().map(ModelCode::as_str),
                "version": said.version.map(|version| version.to_string()),
                "image": said.digest.map(|digest| digest.to_string()),
                "why": said.fault.map(FirmwareFault::as_str),
            });
            let act = format!("firmware.{}", said.state.as_str());
            audit::write(change.sql(), said.at, station.as_str(), &act, "", &after.to_string())
                .await?;
        }
        change.finish_quietly().await?;
        Ok(news)
    }

    /// What is known of every station's firmware, by code.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn station_firmwares(&self) -> Result<Vec<StationFirmware>, RegistryError> {
        let sql = "SELECT * FROM station_firmware ORDER BY station";
        sqlx::query(sql).fetch_all(&self.pool).await?.iter().map(station_firmware).collect()
    }
}

async fn put_said(
    sql: &mut SqliteConnection,
    station: &StationCode,
    before: Option<&StationFirmware>,
    said: &FirmwareSaid,
) -> Result<(), RegistryError> {
    let ran = before.and_then(|before| before.version);
    let since = before.and_then(|before| before.running_since);
    let since = match said.version {
        Some(version) if Some(version) != ran => Some(said.at),
        _ => since,
    };
    let put = "INSERT INTO station_firmware \
               (station, model, version, running_since, digest, state, have, chunks, why, said_at, \
               said_position) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
               ON CONFLICT (station) DO UPDATE SET model = coalesce(excluded.model, model), \
               version = coalesce(excluded.version, version), running_since = $4, \
               digest = excluded.digest, state = excluded.state, have = excluded.have, \
               chunks = excluded.chunks, why = excluded.why, said_at = excluded.said_at, \
               said_position = excluded.said_position";
    sqlx::query(put)
        .bind(station.as_str())
        .bind(said.model.as_ref().map(ModelCode::as_str))
        .bind(said.version.map(|version| version.to_string()))
        .bind(since.map(Timestamp::as_millis))
        .bind(said.digest.map(|digest| digest.to_string()))
        .bind(said.state.as_str())
        .bind(said.progress.map(|(have, _)| i64::from(have)))
        .bind(said.progress.map(|(_, chunks)| i64::from(chunks)))
        .bind(said.fault.map(FirmwareFault::as_str))
        .bind(said.at.as_millis())
        .bind(i64::try_from(said.position).unwrap_or(i64::MAX))
        .execute(sql)
        .await?;
    Ok(())
}

/// What it says is a fact of the roll-outs in which it was offered this image. Facts come once and stay; only a station
/// that starts with an older version after it had installed takes its word back: it has rolled back.
async fn move_members(
    sql: &mut SqliteConnection,
    station: &StationCode,
    said: &FirmwareSaid,
) -> Result<bool, RegistryError> {
    let (code, at) = (station.as_str(), said.at.as_millis());
    let mut moved = 0;
    let fault = said.fault.unwrap_or(FirmwareFault::Unspecified).as_str();
    let fact = match said.state {
        FirmwareState::Verified | FirmwareState::Installed => {
            "UPDATE rollout_stations SET installing_at = $3 \
             WHERE station = $1 AND offered_at IS NOT NULL AND installing_at IS NULL AND $4 <> '' \
             AND rollout IN (SELECT id FROM rollouts WHERE digest = $2)"
        }
        FirmwareState::Failed => {
            "UPDATE rollout_stations SET failed_at = $3, fault = $4 \
             WHERE station = $1 AND offered_at IS NOT NULL AND failed_at IS NULL \
             AND rollout IN (SELECT id FROM rollouts WHERE digest = $2)"
        }
        FirmwareState::Downloading | FirmwareState::Running => "",
    };
    if let Some(digest) = said.digest.filter(|_| !fact.is_empty()) {
        let query = sqlx::query(fact).bind(code).bind(digest.to_string()).bind(at).bind(fault);
        moved += query.execute(&mut *sql).await?.rows_affected();
    }
    if let (FirmwareState::Running, Some(version)) = (said.state, said.version) {
        moved += runs(sql, station, version, said).await?;
    }
    Ok(0 < moved)
}

/// It runs this version: of each roll-out it is in, either the one that was meant, or what it had before.
async fn runs(
    sql: &mut SqliteConnection,
    station: &StationCode,
    version: Version,
    said: &FirmwareSaid,
) -> Result<u64, RegistryError> {
    let of = "SELECT s.rollout, s.installing_at, s.running_at, s.failed_at, i.version, i.model \
              FROM rollout_stations s JOIN rollouts r ON r.id = s.rollout \
              JOIN firmware_images i ON i.digest = r.digest \
              WHERE s.station = $1 AND s.offered_at IS NOT NULL AND s.withdrawn_at IS NULL";
    let rows = sqlx::query(of).bind(station.as_str()).fetch_all(&mut *sql).await?;
    let mut moved = 0;
    for row in &rows {
        let rollout: String = row.try_get("rollout")?;
        let wanted: String = row.try_get("version")?;
        let model: String = row.try_get("model")?;
        if said.model.as_ref().is_some_and(|is| is.as_str() != model) {
            continue;
        }
        let has = |column| row.try_get::<Option<i64>, _>(column).map(|at| at.is_some());
        let began = has("installing_at")? || has("running_at")?;
        let older = wanted.parse().is_ok_and(|wanted: Version| version < wanted);
        let set = match (wanted == version.to_string(), older && began && !has("failed_at")?) {
            (true, _) if !has("running_at")? => {
                "UPDATE rollout_stations SET running_at = $3 WHERE rollout = $1 AND station = $2"
            }
            (_, true) => {
                "UPDATE rollout_stations SET failed_at = $3, fault = 'rolled_back' \
                 WHERE rollout = $1 AND station = $2"
            }
            _ => continue,
        };
        let query = sqlx::query(set).bind(&rollout).bind(station.as_str());
        moved += query.bind(said.at.as_millis()).execute(&mut *sql).await?.rows_affected();
    }
    Ok(moved)
}

async fn find(sql: &mut SqliteConnection, digest: &Digest) -> Result<Option<Image>, RegistryError> {
    let one = "SELECT * FROM firmware_images WHERE digest = $1";
    let row = sqlx::query(one).bind(digest.to_string()).fetch_optional(sql).await?;
    row.as_ref().map(image).transpose()
}

async fn station_of(
    sql: &mut SqliteConnection,
    station: &StationCode,
) -> Result<Option<StationFirmware>, RegistryError> {
    let one = "SELECT * FROM station_firmware WHERE station = $1";
    let row = sqlx::query(one).bind(station.as_str()).fetch_optional(sql).await?;
    row.as_ref().map(station_firmware).transpose()
}

async fn note(
    sql: &mut SqliteConnection,
    at: Timestamp,
    who: &str,
    act: &str,
    release: &Release,
) -> Result<(), RegistryError> {
    let after = json!({
        "model": release.model.as_str(), "version": release.version.to_string(),
        "size": release.size, "sha256": release.digest.to_string(),
    });
    audit::write(sql, at, who, act, "", &after.to_string()).await
}

fn image(row: &SqliteRow) -> Result<Image, RegistryError> {
    let digest: String = row.try_get("digest")?;
    let damaged = |why: &str| RegistryError::damaged(Noun::Image, &digest, why);
    let (model, version): (String, String) = (row.try_get("model")?, row.try_get("version")?);
    let size: i64 = row.try_get("size")?;
    Ok(Image {
        release: Release {
            model: ModelCode::new(&model).map_err(|_| damaged("its model is no code"))?,
            version: version.parse().map_err(|_| damaged("its version is none"))?,
            size: u64::try_from(size).map_err(|_| damaged("its size is below zero"))?,
            digest: digest.parse().map_err(|_| damaged("its digest is none"))?,
        },
        key: row.try_get("key_id")?,
        signature: row.try_get("signature")?,
        added_at: Timestamp::from_millis(row.try_get("added_at")?),
        added_by: row.try_get("added_by")?,
    })
}

fn station_firmware(row: &SqliteRow) -> Result<StationFirmware, RegistryError> {
    let station: String = row.try_get("station")?;
    let damaged = |why: &str| RegistryError::damaged(Noun::Image, &station, why);
    let text = |column| row.try_get::<Option<String>, _>(column);
    let number = |column| {
        let number = row.try_get::<Option<i64>, _>(column)?;
        Ok::<_, sqlx::Error>(number.and_then(|number| u32::try_from(number).ok()))
    };
    let model = text("model")?.map(|model| ModelCode::new(&model)).transpose();
    let version = text("version")?.map(|version| version.parse()).transpose();
    let digest = text("digest")?.map(|digest| digest.parse()).transpose();
    Ok(StationFirmware {
        model: model.map_err(|_| damaged("its model is no code"))?,
        version: version.map_err(|_| damaged("its version is none"))?,
        running_since: row.try_get::<Option<i64>, _>("running_since")?.map(Timestamp::from_millis),
        digest: digest.map_err(|_| damaged("its digest is none"))?,
        state: text("state")?.as_deref().and_then(FirmwareState::parse),
        progress: number("have")?.zip(number("chunks")?),
        fault: text("why")?.as_deref().map(FirmwareFault::parse),
        said_at: Timestamp::from_millis(row.try_get("said_at")?),
        said_position: u64::try_from(row.try_get::<i64, _>("said_position")?).unwrap_or(0),
        station: StationCode::new(&station).map_err(|_| damaged("its code is none"))?,
    })
}
