//! Roll-outs of firmware: what somebody wants, how far it has come, and what is known of each station. Who is next is
//! decided elsewhere; here it becomes true, in one change with its line of the audit.

use std::time::Duration;

use domain::{Digest, FirmwareFault, Release, StationCode, Timestamp};
use serde_json::{Value, json};
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::store::Change;
use crate::{Noun, Registry, RegistryError, audit, secret, stations};

/// Stations that somebody may want in the first ring: more is not a first ring.
pub const NAMED_MAX: usize = 100;

/// How far a roll-out has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolloutState {
    /// Somebody wants it; the engine gives out the seats within a second.
    Made,
    /// It goes on by itself.
    Going,
    /// Nobody else is offered the image until somebody lets it go on.
    Paused,
    /// Nobody else is offered it, and who has not begun to install it no longer is.
    Halted,
    /// Every ring is healthy.
    Done,
}

impl RolloutState {
    const ALL: [Self; 5] = [Self::Made, Self::Going, Self::Paused, Self::Halted, Self::Done];

    /// The state as the book and the API write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Going => "going",
            Self::Paused => "paused",
            Self::Halted => "halted",
            Self::Done => "done",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Has it an end that only somebody changes?
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Halted | Self::Done)
    }
}

/// What a roll-out asks of its rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RolloutTerms {
    /// A station runs the new version for so long before it counts as healthy.
    pub soak: Duration,
    /// A station is silent when it was not heard for so long after it began to install …
    pub silent_after: Duration,
    /// … and for so many of its own intervals.
    pub silent_intervals: u32,
    /// So many of a hundred stations of a ring have to be healthy: 1 to 100.
    pub healthy_percent: u8,
}

/// A roll-out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// Its name: 32 letters.
    pub id: String,
    /// The image.
    pub release: Release,
    /// How far it has come.
    pub state: RolloutState,
    /// Why it stands there.
    pub why: String,
    /// Since when.
    pub state_at: Timestamp,
    /// The ring that began last, from 0, and when; `None` before the seats are given out.
    pub ring: Option<(u8, Timestamp)>,
    /// What it asks of its rings.
    pub terms: RolloutTerms,
    /// Who is wanted in the first ring.
    pub named: Vec<StationCode>,
    /// When it was made.
    pub made_at: Timestamp,
    /// By whom.
    pub made_by: String,
}

/// A station of a roll-out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutStation {
    /// Which.
    pub station: StationCode,
    /// Its ring, from 0.
    pub ring: u8,
    /// When it was offered the image.
    pub offered_at: Option<Timestamp>,
    /// When it said that it will install it.
    pub installing_at: Option<Timestamp>,
    /// When it said that it runs it.
    pub running_at: Option<Timestamp>,
    /// When it said that it will not, and why.
    pub failed: Option<(Timestamp, FirmwareFault)>,
    /// When the offer was taken back.
    pub withdrawn_at: Option<Timestamp>,
    /// What the halt found wrong with it.
    pub bad: Option<String>,
    /// Since when it is left out of account.
    pub excused_at: Option<Timestamp>,
}

impl RolloutStation {
    /// How far it has come, in a word.
    #[must_use]
    pub const fn standing(&self) -> &'static str {
        match self {
            Self { excused_at: Some(_), .. } => "excused",
            Self { failed: Some(_), .. } => "failed",
            Self { bad: Some(_), .. } => "silent",
            Self { running_at: Some(_), .. } => "running",
            Self { installing_at: Some(_), .. } => "installing",
            Self { withdrawn_at: Some(_), .. } => "withdrawn",
            Self { offered_at: Some(_), .. } => "offered",
            _ => "waiting",
        }
    }
}

/// What somebody does with a roll-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steer {
    /// Nobody else is offered the image for now.
    Pause,
    /// It goes on. After a halt: without the stations that were bad.
    Resume,
    /// It is over, for now.
    Halt,
}

impl Registry {
    /// Begins a roll-out; the engine gives out the seats within a second.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] for an image or a station that is not in the book, [`RegistryError::BadValue`] where
    /// the terms cannot be meant or the model has a roll-out that is not over.
    pub async fn start_rollout(
        &self,
        digest: &Digest,
        named: &[StationCode],
        terms: &RolloutTerms,
    ) -> Result<Rollout, RegistryError> {
        let bad = |why: String| RegistryError::bad(Noun::Rollout, digest, why);
        if !(1..=100).contains(&terms.healthy_percent) {
            return Err(bad("1 to 100 of a hundred stations have to be healthy".to_owned()));
        }
        if NAMED_MAX < named.len() {
            return Err(bad(format!("at most {NAMED_MAX} stations are named for the first ring")));
        }
        let mut change = self.change().await?;
        let release = image(change.sql(), digest).await?;
        for station in named {
            if !stations::exists(change.sql(), station).await? {
                return Err(RegistryError::not_found(Noun::Station, station));
            }
        }
        if let Some(other) = open_of(change.sql(), release.model.as_str(), "").await? {
            return Err(bad(format!("the roll-out {other} of this model is not over")));
        }
        let id = secret::token()?;
        let (at, who) = (change.at, change.who().to_owned());
        let codes: Vec<&str> = named.iter().map(StationCode::as_str).collect();
        let put = "INSERT INTO rollouts (id, digest, state, why, state_at, soak_ms, silent_after_ms, \
                   silent_intervals, healthy_percent, named, made_at, made_by) \
                   VALUES ($1, $2, 'made', '', $3, $4, $5, $6, $7, $8, $3, $9)";
        sqlx::query(put)
            .bind(&id)
            .bind(digest.to_string())
            .bind(at.as_millis())
            .bind(millis(terms.soak))
            .bind(millis(terms.silent_after))
            .bind(i64::from(terms.silent_intervals))
            .bind(i64::from(terms.healthy_percent))
            .bind(json!(codes).to_string())
            .bind(&who)
            .execute(change.sql())
            .await?;
        let rollout = found(change.sql(), &id).await?;
        note(&mut change, "rollout.made", &rollout, &json!({ "first": codes })).await?;
        change.finish_quietly().await?;
        Ok(rollout)
    }

    /// Pauses, resumes or halts a roll-out. What it does already changes nothing.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`]; [`RegistryError::BadValue`] where it cannot be done from where it stands.
    pub async fn steer_rollout(
        &self,
        id: &str,
        steer: Steer,
        why: &str,
    ) -> Result<Rollout, RegistryError> {
        use RolloutState::{Done, Going, Halted, Made, Paused};
        let mut change = self.change().await?;
        let rollout = found(change.sql(), id).await?;
        let bad = |why: &str| Err(RegistryError::bad(Noun::Rollout, id, why));
        let next = match (steer, rollout.state) {
            (Steer::Pause, Paused) | (Steer::Resume, Made | Going) | (Steer::Halt, Halted) => {
                return Ok(rollout);
            }
            (Steer::Pause | Steer::Resume, Done) => return bad("it is done"),
            (Steer::Pause, Halted) => return bad("it is halted: that is more than a pause"),
            (Steer::Pause, Made | Going) => Paused,
            (Steer::Resume, Paused | Halted) if rollout.ring.is_none() => Made,
            (Steer::Resume, Paused | Halted) => Going,
            (Steer::Halt, Made | Going | Paused | Done) => Halted,
        };
        if steer == Steer::Resume {
            let model = rollout.release.model.as_str();
            if let Some(other) = open_of(change.sql(), model, id).await? {
                return bad(&format!("the roll-out {other} of this model is not over"));
            }
            if rollout.state == Halted {
                forgive(&mut change, id).await?;
            }
        }
        if next == Halted {
            withdraw(&mut change, id).await?;
        }
        let rollout = stands(&mut change, id, next, why).await?;
        change.finish_quietly().await?;
        Ok(rollout)
    }

    /// Halts a roll-out because stations are bad, and writes down which, and what is wrong with each.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`].
    pub async fn halt_rollout(
        &self,
        id: &str,
        why: &str,
        bad: &[(StationCode, &'static str)],
    ) -> Result<Rollout, RegistryError> {
        let mut change = self.change().await?;
        if found(change.sql(), id).await?.state.is_over() {
            // Somebody was faster.
            return found(change.sql(), id).await;
        }
        for (station, what) in bad {
            let mark = "UPDATE rollout_stations SET bad = $3 WHERE rollout = $1 AND station = $2";
            let query = sqlx::query(mark).bind(id).bind(station.as_str()).bind(what);
            query.execute(change.sql()).await?;
        }
        withdraw(&mut change, id).await?;
        let rollout = stands(&mut change, id, RolloutState::Halted, why).await?;
        change.finish_quietly().await?;
        Ok(rollout)
    }

    /// Gives out the seats: stations with their ring, in the order in which they get the image.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`].
    pub async fn seat_rollout(
        &self,
        id: &str,
        seats: &[(StationCode, u8)],
    ) -> Result<(), RegistryError> {
        let mut change = self.change().await?;
        let rollout = found(change.sql(), id).await?;
        if rollout.state != RolloutState::Made {
            return Ok(());
        }
        for (place, (station, ring)) in (0_i64..).zip(seats) {
            let put = "INSERT INTO rollout_stations (rollout, station, place, ring) \
                       SELECT $1, code, $3, $4 FROM stations WHERE code = $2";
            let query = sqlx::query(put).bind(id).bind(station.as_str()).bind(place);
            query.bind(i64::from(*ring)).execute(change.sql()).await?;
        }
        begin_ring(&mut change, id, 0).await?;
        stands(&mut change, id, RolloutState::Going, "").await?;
        change.finish_quietly().await?;
        Ok(())
    }

    /// The next ring begins.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`].
    pub async fn next_ring(&self, id: &str, ring: u8) -> Result<(), RegistryError> {
        let mut change = self.change().await?;
        let rollout = found(change.sql(), id).await?;
        if rollout.state != RolloutState::Going {
            // Somebody stopped it meanwhile.
            return Ok(());
        }
        begin_ring(&mut change, id, ring).await?;
        note(&mut change, "rollout.ring", &rollout, &json!({ "ring": ring + 1 })).await?;
        change.finish_quietly().await?;
        Ok(())
    }

    /// Every ring is healthy.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`].
    pub async fn finish_rollout(&self, id: &str) -> Result<(), RegistryError> {
        let mut change = self.change().await?;
        if found(change.sql(), id).await?.state == RolloutState::Going {
            stands(&mut change, id, RolloutState::Done, "every ring is healthy").await?;
        }
        change.finish_quietly().await?;
        Ok(())
    }

    /// These stations are offered the image from now on.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`].
    pub async fn offer_image(&self, id: &str, to: &[StationCode]) -> Result<(), RegistryError> {
        let mut change = self.change().await?;
        let rollout = found(change.sql(), id).await?;
        if rollout.state != RolloutState::Going {
            return Ok(());
        }
        let at = change.at.as_millis();
        for station in to {
            let put = "UPDATE rollout_stations SET offered_at = $3, withdrawn_at = NULL \
                       WHERE rollout = $1 AND station = $2 AND offered_at IS NULL";
            let query = sqlx::query(put).bind(id).bind(station.as_str()).bind(at);
            query.execute(change.sql()).await?;
        }
        let codes: Vec<&str> = to.iter().map(StationCode::as_str).collect();
        note(&mut change, "rollout.offer", &rollout, &json!({ "stations": codes })).await?;
        change.finish_quietly().await?;
        Ok(())
    }

    /// The newest roll-outs, newest first.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn rollouts(&self, newest: u32) -> Result<Vec<Rollout>, RegistryError> {
        let sql = "SELECT r.*, i.model, i.version, i.size FROM rollouts r \
                   JOIN firmware_images i ON i.digest = r.digest \
                   ORDER BY r.made_at DESC, r.id LIMIT $1";
        let query = sqlx::query(sql).bind(i64::from(newest));
        query.fetch_all(&self.pool).await?.iter().map(rollout).collect()
    }

    /// The roll-out with this id.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn rollout(&self, id: &str) -> Result<Option<Rollout>, RegistryError> {
        match found(&mut *self.snapshot().await?, id).await {
            Ok(rollout) => Ok(Some(rollout)),
            Err(RegistryError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The stations of a roll-out, in the order in which they get the image.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn rollout_stations(&self, id: &str) -> Result<Vec<RolloutStation>, RegistryError> {
        let sql = "SELECT * FROM rollout_stations WHERE rollout = $1 ORDER BY place";
        let rows = sqlx::query(sql).bind(id).fetch_all(&self.pool).await?;
        rows.iter().map(|row| rollout_station(row, id)).collect()
    }

    /// The stations of a roll-out whose offer stands: they may fetch the image, and have not answered for good.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn offered_stations(&self, id: &str) -> Result<Vec<StationCode>, RegistryError> {
        let sql = "SELECT station FROM rollout_stations WHERE rollout = $1 \
                   AND offered_at IS NOT NULL AND withdrawn_at IS NULL \
                   AND running_at IS NULL AND failed_at IS NULL";
        let codes: Vec<String> = sqlx::query_scalar(sql).bind(id).fetch_all(&self.pool).await?;
        let damaged = |_| RegistryError::damaged(Noun::Rollout, id, "a station is no code");
        codes.iter().map(|code| StationCode::new(code).map_err(damaged)).collect()
    }

    /// Forgets roll-outs that were made before `before` and are over; the audit keeps their story. Returns how many.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub async fn forget_rollouts(&self, before: Timestamp) -> Result<u64, RegistryError> {
        let sql = "DELETE FROM rollouts WHERE made_at < $1 AND state IN ('halted', 'done')";
        Ok(sqlx::query(sql).bind(before.as_millis()).execute(&self.pool).await?.rows_affected())
    }
}

async fn found(sql: &mut SqliteConnection, id: &str) -> Result<Rollout, RegistryError> {
    let one = "SELECT r.*, i.model, i.version, i.size FROM rollouts r \
               JOIN firmware_images i ON i.digest = r.digest WHERE r.id = $1";
    let row = sqlx::query(one).bind(id).fetch_optional(sql).await?;
    row.as_ref()
        .map(rollout)
        .transpose()?
        .ok_or_else(|| RegistryError::not_found(Noun::Rollout, id))
}

async fn image(sql: &mut SqliteConnection, digest: &Digest) -> Result<Release, RegistryError> {
    let one = "SELECT model, version, size, digest FROM firmware_images WHERE digest = $1";
    let row = sqlx::query(one).bind(digest.to_string()).fetch_optional(sql).await?;
    let row = row.ok_or_else(|| RegistryError::not_found(Noun::Image, digest))?;
    release(&row)
}

/// A roll-out of this model, but not this one, that is not over.
async fn open_of(
    sql: &mut SqliteConnection,
    model: &str,
    but: &str,
) -> Result<Option<String>, RegistryError> {
    let one = "SELECT r.id FROM rollouts r JOIN firmware_images i ON i.digest = r.digest \
               WHERE i.model = $1 AND r.id <> $2 AND r.state IN ('made', 'going', 'paused')";
    Ok(sqlx::query_scalar(one).bind(model).bind(but).fetch_optional(sql).await?)
}

async fn begin_ring(change: &mut Change, id: &str, ring: u8) -> Result<(), RegistryError> {
    let at = change.at.as_millis();
    let sql = "UPDATE rollouts SET ring = $2, ring_at = $3 WHERE id = $1";
    let query = sqlx::query(sql).bind(id).bind(i64::from(ring)).bind(at);
    query.execute(change.sql()).await?;
    Ok(())
}

/// Takes back the offers of those who have not begun to install.
async fn withdraw(change: &mut Change, id: &str) -> Result<(), RegistryError> {
    let at = change.at.as_millis();
    let sql = "UPDATE rollout_stations SET withdrawn_at = $2 WHERE rollout = $1 \
               AND offered_at IS NOT NULL AND installing_at IS NULL AND running_at IS NULL \
               AND failed_at IS NULL AND withdrawn_at IS NULL";
    sqlx::query(sql).bind(id).bind(at).execute(change.sql()).await?;
    Ok(())
}

/// Who was bad is left out of account, and whose offer was taken back may be offered it again.
async fn forgive(change: &mut Change, id: &str) -> Result<(), RegistryError> {
    let at = change.at.as_millis();
    let bad = "UPDATE rollout_stations SET excused_at = $2 WHERE rollout = $1 \
               AND (bad IS NOT NULL OR failed_at IS NOT NULL) AND excused_at IS NULL";
    sqlx::query(bad).bind(id).bind(at).execute(change.sql()).await?;
    let again = "UPDATE rollout_stations SET offered_at = NULL, withdrawn_at = NULL \
                 WHERE rollout = $1 AND withdrawn_at IS NOT NULL";
    sqlx::query(again).bind(id).execute(change.sql()).await?;
    Ok(())
}

async fn stands(
    change: &mut Change,
    id: &str,
    state: RolloutState,
    why: &str,
) -> Result<Rollout, RegistryError> {
    let at = change.at.as_millis();
    let why: String = why.chars().take(500).collect();
    let sql = "UPDATE rollouts SET state = $2, why = $3, state_at = $4 WHERE id = $1";
    let query = sqlx::query(sql).bind(id).bind(state.as_str()).bind(&why).bind(at);
    query.execute(change.sql()).await?;
    let rollout = found(change.sql(), id).await?;
    note(change, &format!("rollout.{}", state.as_str()), &rollout, &json!({ "why": why })).await?;
    Ok(rollout)
}

async fn note(
    change: &mut Change,
    act: &str,
    rollout: &Rollout,
    more: &Value,
) -> Result<(), RegistryError> {
    let mut after = json!({
        "rollout": rollout.id, "model": rollout.release.model.as_str(),
        "version": rollout.release.version.to_string(),
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        after[name] = value.clone();
    }
    let (at, who) = (change.at, change.who().to_owned());
    audit::write(change.sql(), at, &who, act, "", &after.to_string()).await
}

fn millis(long: Duration) -> i64 {
    i64::try_from(long.as_millis()).unwrap_or(i64::MAX)
}

fn release(row: &SqliteRow) -> Result<Release, RegistryError> {
    let digest: String = row.try_get("digest")?;
    let damaged = |why: &str| RegistryError::damaged(Noun::Image, &digest, why);
    let (model, version): (String, String) = (row.try_get("model")?, row.try_get("version")?);
    Ok(Release {
        model: model.parse().map_err(|_| damaged("its model is no code"))?,
        version: version.parse().map_err(|_| damaged("its version is none"))?,
        size: row.try_get::<i64, _>("size")?.unsigned_abs(),
        digest: digest.parse().map_err(|_| damaged("its digest is none"))?,
    })
}

fn rollout(row: &SqliteRow) -> Result<Rollout, RegistryError> {
    let id: String = row.try_get("id")?;
    let damaged = |why: &str| RegistryError::damaged(Noun::Rollout, &id, why);
    let at = |column| row.try_get(column).map(Timestamp::from_millis);
    let number = |column| row.try_get::<i64, _>(column);
    let long = |column| number(column).map(|ms| Duration::from_millis(ms.unsigned_abs()));
    let small = |number: i64| u8::try_from(number).map_err(|_| damaged("a number does not fit"));
    let (state, named): (String, String) = (row.try_get("state")?, row.try_get("named")?);
    let named: Vec<String> =
        serde_json::from_str(&named).map_err(|_| damaged("its first stations are no list"))?;
    let named = named.iter().map(|code| StationCode::new(code)).collect::<Result<_, _>>();
    let ring =
        match (row.try_get::<Option<i64>, _>("ring")?, row.try_get::<Option<i64>, _>("ring_at")?) {
            (Some(ring), Some(at)) => Some((small(ring)?, Timestamp::from_millis(at))),
            _ => None,
        };
    Ok(Rollout {
        release: release(row)?,
        state: RolloutState::parse(&state).ok_or_else(|| damaged("its state is unknown"))?,
        why: row.try_get("why")?,
        state_at: at("state_at")?,
        ring,
        terms: RolloutTerms {
            soak: long("soak_ms")?,
            silent_after: long("silent_after_ms")?,
            silent_intervals: u32::try_from(number("silent_intervals")?).unwrap_or(u32::MAX),
            healthy_percent: small(number("healthy_percent")?)?,
        },
        named: named.map_err(|_| damaged("a first station is no code"))?,
        made_at: at("made_at")?,
        made_by: row.try_get("made_by")?,
        id,
    })
}

fn rollout_station(row: &SqliteRow, id: &str) -> Result<RolloutStation, RegistryError> {
    let station: String = row.try_get("station")?;
    let damaged = |why: &str| RegistryError::damaged(Noun::Rollout, id, why);
    let at =
        |column| row.try_get::<Option<i64>, _>(column).map(|at| at.map(Timestamp::from_millis));
    let fault: Option<String> = row.try_get("fault")?;
    let fault = fault.as_deref().map_or(FirmwareFault::Unspecified, FirmwareFault::parse);
    Ok(RolloutStation {
        station: StationCode::new(&station).map_err(|_| damaged("a station is no code"))?,
        ring: u8::try_from(row.try_get::<i64, _>("ring")?).map_err(|_| damaged("no such ring"))?,
        offered_at: at("offered_at")?,
        installing_at: at("installing_at")?,
        running_at: at("running_at")?,
        failed: at("failed_at")?.map(|at| (at, fault)),
        withdrawn_at: at("withdrawn_at")?,
        bad: row.try_get("bad")?,
        excused_at: at("excused_at")?,
    })
}
