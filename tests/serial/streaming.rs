//! A weather station that streams: every line is taken, none is believed that is not whole.

use std::sync::Arc;
use std::time::Duration;

use domain::Admitted;
use firmware_sim::serial::{Dials, Line, serve};
use tokio_util::sync::CancellationToken;

use super::stand::{Stand, line, shipped, value};

/// Is it what the station says in some second?
fn is_of_a_second(reading: &Admitted) -> bool {
    let near =
        |name: &str, wanted: f64| value(reading, name).is_none_or(|it| (it - wanted).abs() < 1e-6);
    (0..20_000_u64).any(|second| {
        near("wind_direction", (second * 7 % 360) as f64)
            && near("wind_speed", (second % 90) as f64 / 10.0 + 0.5)
            && near("air_temperature", 24.0 + (second % 70) as f64 / 10.0)
            && near("humidity", (60 + second % 30) as f64)
            && near("air_pressure", 1_012.1)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_line_of_a_weather_station_is_on_disk_and_no_two_at_one_instant() {
    let mut stand = Stand::new();
    let there = Arc::new(Line::streaming(Duration::from_millis(20)));
    let (port, path) = stand.port("by-id");
    let (sim, stop, profile) = (there.clone(), stand.stop.clone(), shipped("nmea-weather"));
    stand.spawn(async move { serve(&sim, port, stop).await.unwrap() });
    stand.run(vec![line("roof", path, &[("roof", &profile, "")], None)]);
    stand.until("lines", || 200 <= stand.journal.durable_end()).await;
    stand.stopped().await;
    let stored = stand.stored(Some("roof"));
    assert!(stored.iter().all(is_of_a_second));
    assert!(
        stored.iter().any(|one| one.values.len() == 2)
            && stored.iter().any(|one| one.values.len() == 6)
    );
    let times: Vec<_> = stored.iter().map(|one| one.taken_at.as_millis()).collect();
    assert!(times.windows(2).all(|two| two[0] < two[1]), "{times:?}");
    assert_eq!(stand.refused(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_line_that_is_thinned_one_of_each_kind_is_taken_in_a_period() {
    let mut stand = Stand::new();
    let there = Arc::new(Line::streaming(Duration::from_millis(10)));
    let (port, path) = stand.port("by-id");
    let (sim, stop, profile) = (there.clone(), stand.stop.clone(), shipped("nmea-weather"));
    stand.spawn(async move { serve(&sim, port, stop).await.unwrap() });
    let every = Some(Duration::from_millis(500));
    stand.run(vec![line("roof", path, &[("roof", &profile, "")], every)]);
    stand.until("lines", || 8 <= stand.journal.durable_end()).await;
    stand.stopped().await;
    let stored = stand.stored(Some("roof"));
    for kind in [2, 6] {
        let periods: Vec<i64> = stored
            .iter()
            .filter(|one| one.values.len() == kind)
            .map(|one| one.taken_at.as_millis() / 500)
            .collect();
        assert!(periods.windows(2).all(|two| two[0] < two[1]), "{kind}: {periods:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_pulled_out_in_the_middle_of_a_line_is_found_again() {
    use tokio::io::AsyncWriteExt;
    let mut stand = Stand::new();
    let (path, profile) = (stand.path("by-id"), shipped("nmea-weather"));
    stand.run(vec![line("roof", path.clone(), &[("roof", &profile, "")], None)]);
    for round in 1..=3 {
        let (mut port, _) = stand.port("by-id");
        let before = stand.journal.durable_end();
        // Whoever opens a port throws away what was written before.
        let write = async {
            loop {
                port.write_all(b"$WIMWV,084.0,R,10.4,M,A*19\r\n").await.unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            () = write => {}
            () = stand.until("lines", || before < stand.journal.durable_end()) => {}
        }
        port.write_all(b"$WIMWV,084.0,R,10").await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(port);
        stand.until("the half", || round <= stand.dead.durable_end()).await;
    }
    stand.stopped().await;
    assert_eq!(stand.refused(), ["malformed $WIMWV,084.0,R,10"; 3]);
    assert!(stand.stored(None).iter().all(|one| value(one, "wind_speed") == Some(10.4)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_wrong_is_stored_of_a_disturbed_stream() {
    let mut stand = Stand::new();
    let mut there = Line::streaming(Duration::from_millis(4));
    there.seed = 11;
    there.dials = Dials {
        duplicate: 0.03,
        half: 0.05,
        headless: 0.05,
        corrupted: 0.1,
        wrong_check: 0.05,
        short_count: 0.03,
        noise: 0.05,
        endless: 0.01,
        silence: 0.02,
        ..Dials::default()
    };
    let there = Arc::new(there);
    let (port, path) = stand.port("by-id");
    let (sim, stop, profile) = (there.clone(), stand.stop.clone(), shipped("nmea-weather"));
    stand.spawn(async move { serve(&sim, port, stop).await.unwrap() });
    stand.run(vec![line("roof", path, &[("roof", &profile, "")], None)]);
    stand.until("lines", || 1_500 <= stand.journal.durable_end()).await;
    stand.stopped().await;
    let stored = stand.stored(None);
    let wrong: Vec<_> = stored.iter().filter(|one| !is_of_a_second(one)).collect();
    assert!(wrong.is_empty(), "{wrong:?} after {:?}", there.injected());
    let refused = stand.refused();
    for reason in ["bad_checksum", "bad_count", "malformed"] {
        assert!(refused.iter().any(|letter| letter.starts_with(reason)), "no letter says {reason}");
    }
}

/// A port that hangs says nothing and does not close: it is opened anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_on_which_nothing_comes_is_opened_anew() {
    let mut stand = Stand::new();
    let profile = shipped("nmea-weather");
    let (dumb, path) = stand.port("by-id");
    let mut config = line("roof", path.clone(), &[("roof", &profile, "")], None);
    config.silent_after = Duration::from_millis(300);
    stand.run(vec![config]);
    tokio::time::sleep(Duration::from_millis(100)).await;
    // The link leads to another port now, as when an adapter is replaced; the old one stays open.
    let there = Line::streaming(Duration::from_millis(20));
    let (port, _) = stand.port("by-id");
    tokio::select! {
        _ = serve(&there, port, CancellationToken::new()) => panic!("it broke"),
        () = stand.until("lines", || 5 <= stand.journal.durable_end()) => {}
    }
    stand.stopped().await;
    drop(dumb);
}
