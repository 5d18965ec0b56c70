//! Images, what stations say they run, and roll-outs, as the book keeps them.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use domain::{
    Clock, Digest, FirmwareFault, FirmwareState, ModelCode, Release, Station, StationCode,
    Timestamp, Version,
};
use registry::{
    FirmwareSaid, NAMED_MAX, Registry, RegistryError, RolloutState, RolloutStation, RolloutTerms,
    Steer,
};

const TERMS: RolloutTerms = RolloutTerms {
    soak: Duration::from_secs(60),
    silent_after: Duration::from_secs(90),
    silent_intervals: 3,
    healthy_percent: 95,
};

struct Held(AtomicI64);

impl Clock for Held {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

struct Book {
    registry: Registry,
    clock: Arc<Held>,
    folder: tempfile::TempDir,
}

fn code(text: &str) -> StationCode {
    StationCode::new(text).unwrap()
}

fn release(version: &str, mark: u8) -> Release {
    Release {
        model: ModelCode::new("sl-200").unwrap(),
        version: version.parse::<Version>().unwrap(),
        size: 1_000,
        digest: Digest([mark; 32]),
    }
}

async fn book() -> Book {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::open(&folder.path().join("registry.sqlite")).await.unwrap();
    let clock = Arc::new(Held(AtomicI64::new(1_000)));
    let registry = registry.with_clock(clock.clone()).by("truc");
    for station in ["a", "b", "c"] {
        registry.add_station(&Station::new(code(station))).await.unwrap();
    }
    registry.add_image(&release("1.1.0", 1), "key", "00").await.unwrap();
    Book { registry, clock, folder }
}

impl Book {
    /// A second passes, and the station says this.
    async fn says(&self, station: &str, state: FirmwareState, image: Option<u8>, version: &str) {
        let at = self.clock.0.fetch_add(1_000, Ordering::Relaxed) + 1_000;
        self.says_at(station, state, image, version, (at, at.unsigned_abs())).await;
    }

    async fn says_at(
        &self,
        station: &str,
        state: FirmwareState,
        image: Option<u8>,
        version: &str,
        (at, position): (i64, u64),
    ) {
        let said = FirmwareSaid {
            model: Some(ModelCode::new("sl-200").unwrap()),
            version: version.parse().ok(),
            digest: image.map(|mark| Digest([mark; 32])),
            state,
            progress: Some((3, 9)),
            fault: (state == FirmwareState::Failed).then_some(FirmwareFault::BadDigest),
            at: Timestamp::from_millis(at),
            position,
        };
        self.registry.firmware_said(&code(station), &said).await.unwrap();
    }

    /// A roll-out that goes, with `a` in its first ring and `b` and `c` in its second; `a` is offered the image.
    async fn going(&self) -> String {
        let rollout = self.registry.start_rollout(&Digest([1; 32]), &[], &TERMS).await.unwrap();
        let seats = [(code("a"), 0), (code("b"), 1), (code("c"), 1)];
        self.registry.seat_rollout(&rollout.id, &seats).await.unwrap();
        self.registry.offer_image(&rollout.id, &[code("a")]).await.unwrap();
        rollout.id
    }

    async fn station(&self, id: &str, station: &str) -> RolloutStation {
        let all = self.registry.rollout_stations(id).await.unwrap();
        all.into_iter().find(|one| one.station == code(station)).unwrap()
    }

    async fn state(&self, id: &str) -> RolloutState {
        self.registry.rollout(id).await.unwrap().unwrap().state
    }

    async fn acts(&self) -> Vec<String> {
        let mut lines = self.registry.audits(100).await.unwrap();
        lines.reverse();
        let lines = lines.into_iter().filter(|line| !line.act.starts_with("station."));
        let lines = lines.filter(|line| !line.act.starts_with("parameter."));
        lines.map(|line| format!("{} {}", line.who, line.act)).collect()
    }
}

#[tokio::test]
async fn a_version_of_a_model_is_one_image_for_ever() {
    let book = book().await;
    let registry = &book.registry;
    assert!(!registry.add_image(&release("1.1.0", 1), "key", "00").await.unwrap());
    for other in [release("1.1.0", 2), release("1.2.0", 1)] {
        let refused = registry.add_image(&other, "key", "00").await.unwrap_err();
        assert!(matches!(refused, RegistryError::AlreadyThere { .. }), "{refused}");
    }
    assert!(registry.add_image(&release("1.10.0", 3), "key", "00").await.unwrap());
    let versions = registry.images().await.unwrap();
    let versions: Vec<String> = versions.iter().map(|i| i.release.version.to_string()).collect();
    assert_eq!(versions, ["1.10.0", "1.1.0"]);
}

#[tokio::test]
async fn a_roll_out_needs_an_image_stations_that_are_there_and_a_model_that_is_free() {
    let book = book().await;
    let registry = &book.registry;
    let start = async |mark, first: &[StationCode], terms| {
        registry.start_rollout(&Digest([mark; 32]), first, terms).await.unwrap_err()
    };
    assert!(matches!(start(9, &[], &TERMS).await, RegistryError::NotFound { .. }));
    assert!(matches!(start(1, &[code("hue")], &TERMS).await, RegistryError::NotFound { .. }));
    let many = vec![code("a"); NAMED_MAX + 1];
    assert!(matches!(start(1, &many, &TERMS).await, RegistryError::BadValue { .. }));
    let none = RolloutTerms { healthy_percent: 0, ..TERMS };
    assert!(matches!(start(1, &[], &none).await, RegistryError::BadValue { .. }));
    let id = book.going().await;
    registry.add_image(&release("1.2.0", 2), "key", "00").await.unwrap();
    assert!(start(2, &[], &TERMS).await.to_string().contains(&id));
    let refused = registry.drop_image(&Digest([1; 32])).await.unwrap_err();
    assert!(refused.to_string().contains("halt it first"), "{refused}");
    // Halted, it makes room for another; and may not go on beside that.
    registry.steer_rollout(&id, Steer::Halt, "why").await.unwrap();
    registry.start_rollout(&Digest([2; 32]), &[], &TERMS).await.unwrap();
    let refused = registry.steer_rollout(&id, Steer::Resume, "").await.unwrap_err();
    assert!(refused.to_string().contains("not over"), "{refused}");
    registry.drop_image(&Digest([1; 32])).await.unwrap();
    assert_eq!(registry.rollout(&id).await.unwrap(), None);
}

#[tokio::test]
async fn what_a_station_says_is_a_fact_of_its_roll_out_once_and_only_where_it_was_offered() {
    let book = book().await;
    let id = book.going().await;
    use FirmwareState::{Downloading, Installed, Running, Verified};
    book.says("a", Running, None, "1.0.0").await;
    book.says("a", Downloading, Some(1), "").await;
    assert_eq!(book.station(&id, "a").await.installing_at, None);
    book.says("a", Verified, Some(2), "").await;
    assert_eq!(book.station(&id, "a").await.installing_at, None, "it speaks of another image");
    book.says("b", Verified, Some(1), "").await;
    assert_eq!(book.station(&id, "b").await.installing_at, None, "it was not offered it");
    book.says("a", Verified, Some(1), "").await;
    let installing = book.station(&id, "a").await.installing_at;
    assert!(installing.is_some());
    book.says("a", Installed, Some(1), "").await;
    book.says("a", Running, None, "1.1.0").await;
    let one = book.station(&id, "a").await;
    assert_eq!((one.installing_at, one.running_at.is_some()), (installing, true));
    assert_eq!(book.registry.offered_stations(&id).await.unwrap(), []);
    // It says so again at each connection: that is no news.
    let lines = book.acts().await.len();
    book.says("a", Running, None, "1.1.0").await;
    assert_eq!(book.acts().await.len(), lines);
    let all = book.registry.station_firmwares().await.unwrap();
    assert_eq!(all[0].version, Some("1.1.0".parse().unwrap()));
}

#[tokio::test]
async fn a_station_that_starts_into_the_old_version_has_rolled_back() {
    let book = book().await;
    let id = book.going().await;
    book.says("a", FirmwareState::Running, None, "1.0.0").await;
    assert_eq!(book.station(&id, "a").await.failed, None, "it has not begun");
    book.says("a", FirmwareState::Verified, Some(1), "").await;
    book.says("a", FirmwareState::Running, None, "1.0.0").await;
    let failed = book.station(&id, "a").await.failed.unwrap();
    assert_eq!(failed.1, FirmwareFault::RolledBack);
}

#[tokio::test]
async fn what_is_heard_again_after_a_restart_takes_nothing_back_and_a_clock_set_back_loses_nothing()
{
    let book = book().await;
    let id = book.going().await;
    let story = async || {
        book.says_at("a", FirmwareState::Running, None, "1.0.0", (10_000, 1)).await;
        book.says_at("a", FirmwareState::Verified, Some(1), "", (11_000, 2)).await;
        book.says_at("a", FirmwareState::Running, None, "1.1.0", (12_000, 3)).await;
    };
    story().await;
    let before = book.station(&id, "a").await;
    story().await;
    assert_eq!(book.station(&id, "a").await, before, "1.0.0 was before the install");
    assert!(before.running_at.is_some() && before.failed.is_none());
    // The clock is an hour behind now; and then the journal begins anew.
    book.says_at("a", FirmwareState::Running, None, "1.2.0", (-3_588_000, 4)).await;
    let version = async || book.registry.station_firmwares().await.unwrap()[0].version;
    assert_eq!(version().await, "1.2.0".parse().ok());
    book.says_at("a", FirmwareState::Running, None, "1.3.0", (20_000, 0)).await;
    assert_eq!(version().await, "1.3.0".parse().ok());
}

#[tokio::test]
async fn a_halt_takes_the_offer_back_from_who_has_not_begun_and_a_resume_excuses_the_bad() {
    let book = book().await;
    let id = book.going().await;
    let registry = book.registry.by("engine");
    registry.next_ring(&id, 1).await.unwrap();
    registry.offer_image(&id, &[code("b"), code("c")]).await.unwrap();
    book.says("a", FirmwareState::Verified, Some(1), "").await;
    book.says("b", FirmwareState::Failed, Some(1), "").await;
    registry.halt_rollout(&id, "ring 1: a silent", &[(code("a"), "silent")]).await.unwrap();
    let standing = async || {
        let all = book.registry.rollout_stations(&id).await.unwrap();
        all.iter().map(RolloutStation::standing).collect::<Vec<_>>()
    };
    assert_eq!(standing().await, ["silent", "failed", "withdrawn"]);
    // The offers of those who have not begun are gone.
    assert_eq!(registry.offered_stations(&id).await.unwrap(), [code("a")]);
    // A halt that comes twice, or an offer that comes late, changes nothing.
    registry.halt_rollout(&id, "again", &[]).await.unwrap();
    registry.offer_image(&id, &[code("c")]).await.unwrap();
    registry.next_ring(&id, 2).await.unwrap();
    let halted = book.registry.rollout(&id).await.unwrap().unwrap();
    assert_eq!((halted.why.as_str(), halted.ring.unwrap().0), ("ring 1: a silent", 1));
    assert_eq!(standing().await, ["silent", "failed", "withdrawn"]);
    book.registry.steer_rollout(&id, Steer::Resume, "").await.unwrap();
    assert_eq!(standing().await, ["excused", "excused", "waiting"]);
    let wanted = [
        "truc firmware.add",
        "truc rollout.made",
        "truc rollout.going",
        "truc rollout.offer",
        "engine rollout.ring",
        "engine rollout.offer",
        "a firmware.verified",
        "b firmware.failed",
        "engine rollout.halted",
        "truc rollout.going",
    ];
    assert_eq!(book.acts().await, wanted);
}

#[tokio::test]
async fn a_pause_and_a_halt_go_where_they_may() {
    let book = book().await;
    let steer = async |id: &str, steer| book.registry.steer_rollout(id, steer, "").await;
    let made = book.registry.start_rollout(&Digest([1; 32]), &[], &TERMS).await.unwrap().id;
    assert_eq!(steer(&made, Steer::Pause).await.unwrap().state, RolloutState::Paused);
    book.registry.seat_rollout(&made, &[(code("a"), 0)]).await.unwrap();
    assert_eq!(book.state(&made).await, RolloutState::Paused, "no seats while it is paused");
    assert_eq!(steer(&made, Steer::Resume).await.unwrap().state, RolloutState::Made);
    book.registry.seat_rollout(&made, &[(code("a"), 0)]).await.unwrap();
    assert_eq!(steer(&made, Steer::Resume).await.unwrap().state, RolloutState::Going);
    book.registry.finish_rollout(&made).await.unwrap();
    for no in [Steer::Pause, Steer::Resume] {
        let refused = steer(&made, no).await.unwrap_err();
        assert!(matches!(refused, RegistryError::BadValue { .. }), "{refused}");
    }
    assert_eq!(steer(&made, Steer::Halt).await.unwrap().state, RolloutState::Halted);
    assert!(matches!(steer("none", Steer::Halt).await, Err(RegistryError::NotFound { .. })));
}

#[tokio::test]
async fn a_roll_out_is_the_same_after_a_restart_and_forgotten_when_it_is_old() {
    let book = book().await;
    let id = book.going().await;
    let before = (
        book.registry.rollout(&id).await.unwrap(),
        book.registry.rollout_stations(&id).await.unwrap(),
    );
    book.registry.close().await;
    let again = Registry::open(&book.folder.path().join("registry.sqlite")).await.unwrap();
    let after = (again.rollout(&id).await.unwrap(), again.rollout_stations(&id).await.unwrap());
    assert_eq!(before, after);
    let late = Timestamp::from_millis(i64::MAX);
    assert_eq!(again.forget_rollouts(late).await.unwrap(), 0, "it is not over");
    again.steer_rollout(&id, Steer::Halt, "").await.unwrap();
    assert_eq!(again.forget_rollouts(late).await.unwrap(), 1);
    // A station that leaves the book leaves its roll-outs.
    again.drop_station(&code("a")).await.unwrap();
}
