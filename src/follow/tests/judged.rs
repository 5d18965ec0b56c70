//! A follower that is killed at any place has in the end the flags of one that never was.

use std::collections::BTreeMap;

use domain::TestFlags;
use domain::{ParameterCode, Station};

use super::*;

const DOCUMENT: &str = r#"
stuck_clock = { suspect = 3, fail = 5 }
[[series]]
parameter = "salinity"
[series.limits]
gap_s = 900
spike_differential = { suspect = 1.0, fail = 3.0 }
rate = { suspect_per_hour = 30.0, fail_per_hour = 90.0 }
flat = { suspect_h = 0.2, fail_h = 0.5, tolerance = 0.01 }
"#;

const BEGIN: i64 = 1_773_000_000_000;

/// Water that rises and falls, with spikes, an hour that stands, a clock that stands, gaps, and readings that come late
/// or twice.
fn journal(seed: u64, reports: i64) -> Vec<Admitted> {
    let mut state = seed;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % below
    };
    let at = |minutes: i64| Timestamp::from_millis(BEGIN + minutes * 60_000);
    let mut all: Vec<Admitted> = Vec::new();
    for n in 0..reports {
        let water = match n {
            _ if random(40) == 0 => 9.0 + random(4) as f64,
            60..90 => 2.0,
            _ => 2.0 + (n as f64 / 9.0).sin() + random(10) as f64 / 100.0,
        };
        let minutes = if (140..147).contains(&n) { 140 * 5 } else { n * 5 };
        let mut one = report(0);
        (one.taken_at, one.values[0].value) = (at(minutes), Some(water));
        all.push(one);
    }
    for _ in 0..reports / 8 {
        let from = random(all.len() as u64) as usize;
        let to = (from + random(60) as usize).min(all.len() - 1);
        let late = all.remove(from);
        all.insert(to, late);
        let again = all[random(all.len() as u64) as usize].clone();
        all.insert(random(all.len() as u64) as usize, again);
    }
    for (n, one) in (0..).zip(&mut all) {
        one.received_at = at(n * 5);
    }
    all
}

async fn follower(dir: &Path, tail: usize) -> Follower {
    let mut follower = super::follower(dir, 0).await;
    let history = history::Config { tail_readings_max: tail, ..history::Config::default() };
    let sealed = follower.sealer.history.clone();
    drop((follower.history, follower.sealer.history));
    drop(sealed);
    let history = History::open(&dir.join("history"), history).unwrap();
    let mut station = Station::new(StationCode::new("xuan-hoa").unwrap());
    station.interval = Duration::from_mins(5);
    let tests = Tests::new(&domain::standard_parameters(), &[station], Some(DOCUMENT)).unwrap();
    follower.sealer.memory = Memory::open(dir, history.position(), true);
    follower.sealer.history = history.clone();
    Follower { history, tests: Arc::new(RwLock::new(Arc::new(tests))), ..follower }
}

/// Follows what the journal has and `more`, until all is read, or also settled.
async fn follow(dir: &Path, tail: usize, more: &[Admitted], settled: bool) -> Flags {
    let follower = follower(dir, tail).await;
    let (journal, history) = (follower.journal.clone(), follower.history.clone());
    let (memory, tally) = (follower.sealer.memory.clone(), follower.tally.clone());
    let stop = CancellationToken::new();
    let (stopped, runtime) = (stop.clone(), Handle::current());
    let run = tokio::task::spawn_blocking(move || follower.run(&runtime, &stopped));
    for some in more.chunks(7) {
        journal.append(some.iter().map(Record::encode_admitted).collect()).await.unwrap();
    }
    let end = journal.durable_end();
    let waits = || {
        let read = end <= tally.next.load(Ordering::Acquire);
        !read || settled && Memory::of(&memory).live.unsettled().next().is_some()
    };
    while waits() {
        // As the clockwork and the keeper do.
        journal.append(vec![Record::encode_clock(report(0).received_at)]).await.unwrap();
        judge::seal(&history, &memory, report(0).received_at, false).unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.cancel();
    run.await.unwrap().unwrap();
    flags(&history)
}

type Flags = BTreeMap<Timestamp, (Option<u64>, Flag, TestFlags)>;

fn flags(history: &History) -> Flags {
    let whole = (Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX));
    let salinity = ParameterCode::new("salinity").unwrap();
    let station = StationCode::new("xuan-hoa").unwrap();
    let read = history.test_flags(&station, &salinity, whole, None).unwrap();
    read.iter().map(|it| (it.taken_at, (it.value.map(f64::to_bits), it.flag, it.tests))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_place_the_flags_are_those_of_a_follower_that_never_was() {
    for seed in 1..4 {
        let reports = journal(seed, 260);
        let whole = tempfile::tempdir().unwrap();
        let right = follow(whole.path(), 1_000_000, &reports, true).await;
        let said = |flag: Flag| right.values().filter(|it| it.1 == flag).count();
        let all = [Flag::Bad, Flag::Suspect, Flag::Good].map(said);
        assert!(3 < all[0] && 2 < all[1] && 100 < all[2], "{all:?}");
        let killed = tempfile::tempdir().unwrap();
        let mut from = 0;
        for part in [3, 40, 41, 100, 101, 102, 150, 220, reports.len()] {
            let last = part == reports.len();
            // Every second life ends before what came late is settled.
            let found =
                follow(killed.path(), 37, &reports[from..part], last || part % 2 == 0).await;
            from = part;
            if last {
                assert_eq!(found, right, "seed {seed}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_state_it_settles_what_is_stored_and_says_the_same_of_the_record() {
    let reports: Vec<_> = journal(9, 200)
        .into_iter()
        .filter(|one| one.taken_at.as_millis() < BEGIN + 600 * 60_000)
        .collect();
    let (whole, lost) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let right = follow(whole.path(), 1_000_000, &reports, true).await;
    follow(lost.path(), 20, &reports[..70], false).await;
    std::fs::remove_dir_all(lost.path().join("tests")).unwrap();
    let found = follow(lost.path(), 20, &reports[70..], true).await;
    assert_eq!(found, right);
}
