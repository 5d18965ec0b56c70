//! Loggers that are asked in turn: each record once, a dead one costs the others nothing, a port comes and goes, and
//! nothing of a disturbed line is believed.

use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, Reason, Timestamp, VIETNAM_OFFSET_S};
use firmware_sim::serial::{Dials, Line, PROOF_STEP, proof_of, serve};
use saltline::clock::SystemClock;
use tokio_util::sync::CancellationToken;

use super::stand::{Stand, line, shipped, value};

/// Records begin an hour ago.
fn first() -> Timestamp {
    (SystemClock.now() - Duration::from_secs(3_600)).floor(Duration::from_secs(1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_record_is_stored_once_and_only_then_is_the_logger_told_to_go_on() {
    let mut stand = Stand::new();
    let there = Arc::new(Line::asked(&["1", "22"], first()));
    let (port, path) = stand.port("by-id");
    let (sim, stop, profile) = (there.clone(), stand.stop.clone(), shipped("saltline-sim"));
    stand.spawn(async move { serve(&sim, port, stop).await.unwrap() });
    let loggers = [("one", &profile, "1"), ("two", &profile, "22")];
    stand.run(vec![line("bus", path, &loggers, Some(Duration::from_millis(100)))]);
    stand.until("records", || 10 <= there.kept("1") && 10 <= there.kept("22")).await;
    let told = there.kept("1");
    assert!(told <= stand.stored(Some("one")).len() as u64, "told before it was on disk");
    stand.stopped().await;
    for (station, address) in [("one", "1"), ("two", "22")] {
        let stored = stand.stored(Some(station));
        for (number, reading) in stored.iter().enumerate() {
            let at = there.first.as_millis() + number as i64 * PROOF_STEP;
            assert_eq!(reading.taken_at.as_millis(), at, "{station}: its own clock, each once");
            assert_eq!(reading.values.len(), 5);
            assert_eq!(value(reading, "salinity"), Some(proof_of(reading.taken_at)));
            let ec = value(reading, "conductivity_25").unwrap();
            assert!((ec - (proof_of(reading.taken_at) * 1.7)).abs() < 0.001, "µS/cm to mS/cm");
            assert!((0.9..1.6).contains(&value(reading, "water_level").unwrap()), "mm to m");
        }
        assert!(stored.len() as u64 - there.kept(address) <= 1);
    }
    assert_eq!(stand.refused(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_logger_costs_one_timeout_a_back_off_and_the_others_no_sample() {
    let mut stand = Stand::new();
    let mut there = Line::asked(&["1", "2", "3"], first());
    there.dead = vec!["2".to_owned()];
    let there = Arc::new(there);
    let (port, path) = stand.port("by-id");
    let (sim, stop, profile) = (there.clone(), stand.stop.clone(), shipped("saltline-sim"));
    stand.spawn(async move { serve(&sim, port, stop).await.unwrap() });
    let loggers = [("one", &profile, "1"), ("dead", &profile, "2"), ("three", &profile, "3")];
    let mut config = line("bus", path, &loggers, Some(Duration::from_millis(500)));
    (config.late_max, config.back_off_max) = (Duration::from_secs(1), Duration::from_secs(4));
    stand.run(vec![config]);
    stand.until("records", || 16 <= there.kept("1") && 16 <= there.kept("3")).await;
    let asked = there.injected()["nobody"];
    stand.stopped().await;
    // 8 s: at once, after 1, 3 and 7 s.
    assert!((2..=5).contains(&asked), "the dead one was asked {asked} times");
    assert!(stand.stored(Some("dead")).is_empty());
    for station in ["one", "three"] {
        let times: Vec<i64> =
            stand.stored(Some(station)).iter().map(|one| one.received_at.as_millis()).collect();
        let mean = (times[times.len() - 1] - times[0]) as f64 / (times.len() - 1) as f64;
        assert!((mean / 500.0 - 1.0).abs() < 0.05, "{station}: {times:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_pulled_out_and_put_in_again_is_found() {
    let mut stand = Stand::new();
    let there = Arc::new(Line::asked(&["1"], first()));
    let (path, profile) = (stand.path("by-id"), shipped("saltline-sim"));
    let loggers = [("one", &profile, "1")];
    let mut config = line("bus", path.clone(), &loggers, Some(Duration::from_millis(100)));
    // What is wrong with the line is not held against the logger.
    config.back_off_max = Duration::from_secs(3_600);
    stand.run(vec![config]);
    for round in 1..=3 {
        let (port, _) = stand.port("by-id");
        let before = there.kept("1");
        tokio::select! {
            _ = serve(&there, port, CancellationToken::new()) => panic!("round {round}: it broke"),
            () = stand.until("records again", || before + 5 <= there.kept("1")) => {}
        }
    }
    stand.stopped().await;
}

/// 4 in 10 answers are late, doubled, old, cut, damaged or drowned: what is stored is what was measured.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_wrong_is_stored_of_a_disturbed_line() {
    let mut stand = Stand::new();
    let seed = u64::try_from(SystemClock.now().as_millis()).unwrap();
    println!("seed {seed}");
    let mut lines = Vec::new();
    let mut sims = Vec::new();
    for number in 0..12 {
        let mut there = Line::asked(&["1", "2"], first());
        there.seed = seed + number;
        there.dials = Dials {
            late: 0.03,
            duplicate: 0.04,
            stale: 0.05,
            half: 0.04,
            headless: 0.04,
            corrupted: 0.08,
            wrong_check: 0.04,
            short_count: 0.02,
            noise: 0.04,
            endless: 0.02,
            silence: 0.02,
            delay: Duration::from_millis(3),
            late_by: (Duration::from_millis(160), Duration::from_millis(350)),
        };
        let there = Arc::new(there);
        let (port, path) = stand.port(&format!("line-{number}"));
        let (sim, stop) = (there.clone(), stand.stop.clone());
        stand.spawn(async move { serve(&sim, port, stop).await.unwrap() });
        let names = [format!("l{number}-1"), format!("l{number}-2")];
        let profile = shipped("saltline-sim");
        let loggers = [(names[0].as_str(), &profile, "1"), (names[1].as_str(), &profile, "2")];
        let every = Some(Duration::from_millis(100));
        let mut config = line(&format!("line-{number}"), path, &loggers, every);
        config.back_off_max = config.late_max;
        lines.push(config);
        sims.push((there, names));
    }
    stand.run(lines);
    let asked = || {
        sims.iter()
            .map(|(sim, _)| sim.injected().get("questions").copied().unwrap_or(0))
            .sum::<u64>()
    };
    stand.until("questions", || 2_000 <= asked()).await;
    stand.stopped().await;
    let mut injected = firmware_sim::serial::Injected::new();
    for (sim, names) in &sims {
        for (dial, struck) in sim.injected() {
            *injected.entry(dial).or_default() += struck;
        }
        for (name, address) in names.iter().zip(["1", "2"]) {
            let mut kept: Vec<i64> = Vec::new();
            for reading in stand.stored(Some(name)) {
                assert_eq!(value(&reading, "salinity"), Some(proof_of(reading.taken_at)), "{name}");
                kept.push((reading.taken_at.as_millis() - sim.first.as_millis()) / PROOF_STEP);
            }
            // A record that is whole and cannot be read is a letter, and the logger goes on.
            let letters = stand.letters().into_iter();
            let unread = letters.filter(|it| it.station == *name && it.reason == Reason::BadCount);
            kept.extend(unread.filter_map(|letter| {
                let text = String::from_utf8(letter.payload.to_vec()).unwrap();
                let at = Timestamp::parse_local(text.split(',').nth(1)?, VIETNAM_OFFSET_S).ok()?;
                Some((at.as_millis() - sim.first.as_millis()) / PROOF_STEP)
            }));
            kept.sort_unstable();
            kept.dedup();
            // What the logger was told to be kept is on disk, without a gap.
            let told = i64::try_from(sim.kept(address)).unwrap();
            assert!(
                told <= kept.len() as i64 && kept.iter().copied().take(told as usize).eq(0..told),
                "{name}: {told} of {kept:?}"
            );
        }
    }
    println!("{injected:?}, {} letters", stand.dead.durable_end());
    for dial in [
        "late",
        "duplicate",
        "stale",
        "half",
        "headless",
        "corrupted",
        "wrong_check",
        "short_count",
        "noise",
        "endless",
        "silence",
    ] {
        assert!(0 < injected[dial], "{dial} never struck: {injected:?}");
    }
    let refused = stand.refused();
    for reason in ["bad_checksum", "malformed", "bad_count", "too_large"] {
        assert!(refused.iter().any(|letter| letter.starts_with(reason)), "no letter says {reason}");
    }
}
