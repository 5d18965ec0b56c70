//! Replays, load, and the binary itself.
#![allow(clippy::unwrap_used, reason = "tests, their helpers included")]

#[allow(dead_code, reason = "each test file uses its part")]
mod broker;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;

use broker::{Answer, Broker};
use firmware_sim::clock::MachineClock;
use firmware_sim::load::Load;
use firmware_sim::mqtt::{Door, Login, Session, Version};
use firmware_sim::record::{self, Mapping};
use firmware_sim::replay::{Pace, REPLAY_WINDOW, Replay};
use tokio_util::sync::CancellationToken;

const CSV: &str = "time_utc,station,parameter,value,unit,source_flag\n";

fn replay(broker: &Broker, pace: Pace, version: Version) -> Replay {
    Replay {
        door: Door { address: broker.at.to_string(), tls: None },
        login: Login {
            code: "real".to_owned(),
            key: Some("k".to_owned()),
            version,
            session: Session::Fresh,
            window: REPLAY_WINDOW,
        },
        pace,
        shift_ms: 0,
    }
}

#[tokio::test]
async fn every_value_of_a_record_arrives_although_the_link_breaks() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("r.csv");
    let mut text = CSV.to_owned();
    for n in 0..500 {
        let time = format!("2024-03-{:02}T{:02}:{:02}:00Z", 1 + n / 96, n / 4 % 24, n % 4 * 15);
        text.push_str(&format!("{time},real,salinity,{}.{:02},psu,<0>\n", n / 100, n % 100));
        text.push_str(&format!("{time},real,do_sat,80,%,<0>\n"));
    }
    std::fs::write(&file, text).unwrap();
    let sorted = record::sort(&record::read(&file).unwrap(), &Mapping::default(), None, None);
    let mut script = vec![Answer::Ack; 120];
    script.push(Answer::Hangup);
    let broker = Broker::open(script).await;
    let replay = replay(&broker, Pace::FlatOut, Version::V5);
    let stop = CancellationToken::new();
    let done = replay.run(&sorted.reports, Arc::new(MachineClock), &stop, |_| {}).await.unwrap();
    assert_eq!((done.acked, done.refused, sorted.skipped["do_sat (%)"]), (500, 0, 500));
    assert!(done.again > 0, "the window was sent again");
    let mut got: Vec<(String, f64)> = broker
        .acked()
        .iter()
        .map(|s| {
            let json = s.json();
            assert_eq!(json["replay"], true);
            (
                json["time"].as_str().unwrap().to_owned(),
                json["values"]["salinity"].as_f64().unwrap(),
            )
        })
        .collect();
    got.sort_by(|a, b| a.0.cmp(&b.0));
    got.dedup();
    let wanted: Vec<(String, f64)> = sorted
        .reports
        .iter()
        .map(|r| (r.at.to_string(), *r.values.values().next().unwrap()))
        .collect();
    assert_eq!(got, wanted, "value by value");
}

#[tokio::test]
async fn a_replay_at_speed_keeps_the_records_rhythm_and_is_news() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("r.csv");
    let row = |minute: u32| format!("2024-03-01T00:{minute:02}:00Z,real,ph,7.1,1,\n");
    std::fs::write(&file, format!("{CSV}{}{}{}", row(0), row(1), row(2))).unwrap();
    let sorted = record::sort(&record::read(&file).unwrap(), &Mapping::default(), None, None);
    let broker = Broker::open([]).await;
    let begin = std::time::Instant::now();
    // A minute in a tenth of a second.
    let replay = replay(&broker, Pace::Speed(600.0), Version::V311);
    let stop = CancellationToken::new();
    let done = replay.run(&sorted.reports, Arc::new(MachineClock), &stop, |_| {}).await.unwrap();
    assert_eq!(done.acked, 3);
    assert!(begin.elapsed().as_millis() >= 190, "two minutes take two tenths of a second");
    assert!(broker.acked().iter().all(|s| s.json().get("replay").is_none()));
}

#[tokio::test]
async fn load_is_acknowledged_to_the_last_report_and_none_repeats_another() {
    let broker = Broker::open([]).await;
    let load = Load {
        address: broker.at.to_string(),
        logins: (0..4).map(|n| (format!("load-{n}"), None)).collect(),
        in_flight: 10,
        reports: 200,
        rate: None,
        newest: domain::Timestamp::from_millis(1_773_000_000_000),
    };
    let loaded = load.clone().run().await;
    assert_eq!((loaded.messages, loaded.refused, loaded.connections), (800, 0, 4));
    assert!(0 < loaded.p50_us && loaded.p50_us <= loaded.p99_us && loaded.p99_us <= loaded.max_us);
    let mut times: Vec<(String, i64)> = broker
        .acked()
        .iter()
        .map(|s| (s.client.clone(), s.json()["time"].as_i64().unwrap()))
        .collect();
    assert_eq!(broker.acked()[0].json()["values"].as_object().unwrap().len(), 6);
    assert!(times.iter().all(|(_, t)| *t < 1_773_000_000_000));
    times.sort();
    times.dedup();
    assert_eq!(times.len(), 800);

    let limited = Load { reports: 20, rate: Some(200.0), ..load }.run().await;
    assert!((0.3..2.0).contains(&limited.seconds), "80 at 200 a second: {}", limited.seconds);
}

#[tokio::test]
async fn load_counts_connections_that_are_refused() {
    let broker = Broker::open([]).await;
    broker.book.lock().unwrap().key = "right".to_owned();
    let load = Load {
        address: broker.at.to_string(),
        logins: vec![("a".to_owned(), None), ("b".to_owned(), Some("right".to_owned()))],
        in_flight: 1,
        reports: 5,
        rate: None,
        newest: domain::Timestamp::from_millis(1_773_000_000_000),
    };
    let loaded = load.run().await;
    assert_eq!((loaded.messages, loaded.refused, loaded.connections), (5, 1, 1));
}

fn binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_firmware-sim"))
}

#[test]
fn the_carrier_says_where_it_serves_and_leaves_with_its_parent() {
    let mut child = binary()
        .args(["carrier", "--smtp", "127.0.0.1:0", "--smpp", "127.0.0.1:0", "--with-parent"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(ready["ready"], true);
    let smtp = ready["smtp"].as_str().unwrap();
    let mut client = std::net::TcpStream::connect(smtp).unwrap();
    client
        .write_all(
            b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n\
              Subject: =?utf-8?b?TeG6t24=?=\r\n\r\nhi\r\n.\r\n",
        )
        .unwrap();
    let heard: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!((&heard["kind"], &heard["subject"]), (&"email".into(), &"Mặn".into()));
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[tokio::test]
async fn the_binary_runs_stations_with_keys_from_its_parent() {
    let broker = Broker::open([]).await;
    let at = broker.at.to_string();
    let mut child = binary()
        .args(["estuary", "--mqtt", &at, "--keys", "-", "--with-parent"])
        .args(["--speed", "6000", "--start", "2026-03-12T05:00:00+07:00", "--stations", "my-tho"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(br#"[{"code":"xuan-hoa","key":"k"},{"code":"my-tho","key":"k"}]"#).unwrap();
    stdin.flush().unwrap();
    broker.until(|b| 5 <= b.acked().len()).await;
    assert!(broker.acked().iter().all(|s| s.client == "my-tho"));
    drop(stdin);
    let output = tokio::task::spawn_blocking(|| child.wait_with_output()).await.unwrap().unwrap();
    assert!(output.status.success());
    let totals: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        totals["measured"],
        totals["acked"].as_u64().unwrap() + totals["queued"].as_u64().unwrap()
    );
}

#[test]
fn wrong_use_is_told_by_the_exit_code() {
    let code = |args: &[&str]| {
        binary().args(args).stdin(Stdio::null()).output().unwrap().status.code().unwrap()
    };
    assert_eq!(code(&["stations"]), 0);
    assert_eq!(code(&["demo-start", "--seed", "1"]), 0);
    assert_eq!(code(&["estuary"]), 2);
    assert_eq!(code(&["estuary", "--mqtt", "x:1", "--keys", "/nowhere"]), 2);
    assert_eq!(code(&["replay", "/nowhere.csv", "--mqtt", "x:1", "--station", "a"]), 2);
    assert_eq!(code(&["replay", "/nowhere.csv", "--mqtt", "x:1", "--station", "Ạ"]), 2);
    assert_eq!(code(&["carrier", "--smtp", "nowhere"]), 2);
}
