//! History is slower than the journal: the follower waits, and nothing is lost by it.

use std::path::Path;
use std::sync::RwLock;

use domain::{Flag, Timestamp};
use ingest::mqtt::Door;
use ingest::{ADMIT, Intake, ParameterTable};

use super::*;

/// Readings that the tail may hold here; twice that is full.
const TAIL_MAX: usize = 10;

struct Held;

impl Clock for Held {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_773_266_400_000)
    }
}

fn report(n: u32) -> Admitted {
    let taken_at = Timestamp::from_millis(1_773_000_000_000 + i64::from(n) * 60_000);
    let salinity = domain::ParameterCode::new("salinity").unwrap();
    Admitted {
        station: StationCode::new("xuan-hoa").unwrap(),
        taken_at,
        received_at: taken_at,
        seq: None,
        replay: false,
        values: vec![Measured {
            parameter: salinity,
            value: Some(f64::from(n)),
            flag: Flag::NotEvaluated,
        }],
    }
}

fn sealer(dir: &Path) -> Sealer {
    let journal = Journal::open(&dir.join("journal"), &journal::Config::default()).unwrap();
    let tail = history::Config { tail_readings_max: TAIL_MAX, ..history::Config::default() };
    let history = History::open(&dir.join("history"), tail).unwrap();
    let memory = Memory::open(dir, history.position(), true);
    Sealer { history, memory, journal, clock: Arc::new(Held) }
}

/// A follower of so many reports, and nobody who seals but itself.
async fn follower(dir: &Path, reports: u32) -> Follower {
    let sealer = sealer(dir);
    let records = (0..reports).map(|n| Record::encode_admitted(&report(n))).collect();
    sealer.journal.append(records).await.unwrap();
    let letters = Journal::open(&dir.join("deadletter"), &journal::Config::default()).unwrap();
    let table = ParameterTable::new(&domain::standard_parameters());
    let intake = Intake::new(sealer.journal.clone(), letters, table, ADMIT, Arc::new(Held));
    let registry = registry::Registry::open(&dir.join("registry.sqlite")).await.unwrap();
    let config = ingest::mqtt::Config {
        listen: ([127, 0, 0, 1], 0).into(),
        ..ingest::mqtt::Config::default()
    };
    let door = Door::bind(config, intake, Arc::new(registry)).unwrap();
    Follower {
        journal: sealer.journal.clone(),
        behind: Behind::new(sealer.journal.clone()),
        history: sealer.history.clone(),
        sealer,
        tests: Arc::new(RwLock::new(Arc::new(Tests::gross_range(
            &domain::standard_parameters(),
            &[],
        )))),
        live: broadcast::channel(16).0,
        outlet: Outlet::new(door.publisher()),
        tally: Arc::default(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_journal_is_never_held_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let follower = follower(dir.path(), 200).await;
    let (history, tally) = (follower.history.clone(), follower.tally.clone());
    let stop = CancellationToken::new();
    let (stopped, runtime) = (stop.clone(), Handle::current());
    let run = tokio::task::spawn_blocking(move || follower.run(&runtime, &stopped));
    while tally.next.load(Ordering::Acquire) < 200 {
        let held = history.stats().tail_readings;
        assert!(held <= 2 * TAIL_MAX as u64, "{held} readings in memory");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stop.cancel();
    run.await.unwrap().unwrap();
    let stats = history.stats();
    assert!(stats.tail_readings <= 2 * TAIL_MAX as u64, "{stats:?}");
    assert_eq!(stats.tail_readings + stats.sealed_readings, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_history_cannot_be_written_the_rest_stays_in_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let follower = follower(dir.path(), 200).await;
    let (history, tally) = (follower.history.clone(), follower.tally.clone());
    // No file can be made where there is no folder, whoever runs the test.
    std::fs::remove_dir_all(dir.path().join("history")).unwrap();
    let stop = CancellationToken::new();
    let (stopped, runtime) = (stop.clone(), Handle::current());
    let run = tokio::task::spawn_blocking(move || follower.run(&runtime, &stopped));
    while !history.is_full() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stop.cancel();
    run.await.unwrap().unwrap();
    assert_eq!(history.stats().tail_readings, 2 * TAIL_MAX as u64);
    assert_eq!(tally.next.load(Ordering::Acquire), 2 * TAIL_MAX as u64, "the rest is to be read");
}

mod judged; // the tests of the province, through kills
