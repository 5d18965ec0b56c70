//! What the product promises, told as stories on a clock that we hold, with everything real but the time.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod story; // the engine, a station and a clock

use std::time::{Duration, Instant};

use saltline::assembly::Fatal;
use story::Story;

/// The water rises over the limit and stays there for the ten minutes that the rule asks.
async fn rises(story: &mut Story) {
    story.reads("05:00", 3.0).await;
    story.reads("05:05", 4.3).await;
    story.reads("05:10", 4.5).await;
    story.reads("05:15", 4.6).await;
    story.expect_events(&["raised"]).await;
}

#[tokio::test]
async fn salt_rises_is_told_once_and_is_cleared_only_below_the_safe_level() {
    let mut story = Story::begin("05:00").await;
    story.reads("05:00", 3.0).await;
    story.reads("05:05", 4.3).await;
    story.reads("05:10", 4.5).await;
    story.expect_judged("05:10", "safe").await;
    assert_eq!(story.alerts(), 0, "it has not held for ten minutes");
    story.reads("05:15", 4.6).await;
    story.expect_events(&["raised"]).await;
    let text = story.notices()[0].notice.body.clone();
    assert!(text.contains("Cong Xuan Hoa 05:15 12/03 do 4,60 g/l, vuot nguong 4 g/l"), "{text}");
    // Between the safe level and the limit nothing is safe, for however long.
    for clock in ["05:20", "05:25", "05:30", "05:35"] {
        story.reads(clock, 3.7).await;
    }
    story.expect_judged("05:35", "exceed").await;
    story.reads("05:40", 3.5).await;
    story.reads("05:45", 3.4).await;
    story.expect_judged("05:45", "exceed").await;
    assert_eq!(story.told(), (1, 0));
    story.reads("05:50", 3.3).await;
    story.expect_events(&["raised", "cleared"]).await;
    assert_eq!(story.told(), (2, 0));
    story.stop().unwrap();
}

#[tokio::test]
async fn a_step_that_no_water_makes_does_not_count_also_behind_a_restart() {
    let mut story = Story::begin("05:00").await;
    let rate = "limits = { rate = { suspect_per_hour = 12.0, fail_per_hour = 24.0 } }";
    story.types_quality(&format!("[[series]]\nparameter = \"salinity\"\n{rate}")).await;
    story.stop().unwrap();
    story.start().await;
    story.reads("05:05", 3.0).await;
    story.expect_judged("05:05", "safe").await;
    // Only who remembers 05:05 sees the step.
    story.stop().unwrap();
    story.start().await;
    for clock in ["05:10", "05:15", "05:20"] {
        story.reads(clock, 9.0).await;
    }
    story.expect_judged("05:20", "safe").await;
    assert_eq!(story.alerts(), 0, "of three readings the first was a step");
    story.reads("05:25", 9.0).await;
    story.expect_events(&["raised"]).await;
    story.stop().unwrap();
}

#[tokio::test]
async fn a_station_that_falls_silent_is_unknown_and_never_safe() {
    let mut story = Story::begin("05:00").await;
    rises(&mut story).await;
    story.at_clock("05:26");
    story.expect_events(&["raised", "lost"]).await;
    story.expect_judged("05:15", "unknown").await;
    // Hours of silence say nothing more.
    story.at_clock("11:00");
    // It comes back below the limit and above the safe level, and the words say no more than that.
    story.reads("11:00", 3.8).await;
    story.expect_events(&["raised", "lost", "found"]).await;
    let found = story.notices()[0].notice.body.clone();
    assert!(found.contains("chua xuong duoi muc an toan 3,6 g/l"), "{found}");
    assert!(!found.contains("tren nguong"), "{found}");
    for (clock, value) in [("11:05", 3.0), ("11:10", 2.9), ("11:15", 2.8)] {
        story.reads(clock, value).await;
    }
    story.expect_events(&["raised", "lost", "found", "cleared"]).await;
    story.stop().unwrap();
}

#[tokio::test]
async fn an_exceedance_in_a_backlog_is_reported_as_found_and_rings_no_phone() {
    let mut story = Story::begin("06:00").await;
    story.reads("06:00", 0.3).await;
    let night = [("03:00", 5.0), ("03:05", 5.1), ("03:10", 5.2), ("03:15", 5.0), ("03:20", 3.0)];
    story.sends_backlog(&night).await;
    story.expect_events(&["backlog"]).await;
    assert_eq!(story.told(), (0, 1), "in writing, and no phone");
    story.reads("06:05", 0.3).await;
    story.expect_judged("06:05", "safe").await;
    // The same memory again, as a station sends it that missed its acknowledgement.
    story.sends_backlog(&night).await;
    story.reads("06:10", 0.3).await;
    story.expect_judged("06:10", "safe").await;
    assert_eq!((story.alerts(), story.told()), (1, (0, 1)));
    story.stop().unwrap();
}

#[tokio::test]
async fn a_restart_in_the_middle_of_an_alert_neither_forgets_nor_rings_again() {
    let mut story = Story::begin("05:00").await;
    rises(&mut story).await;
    for forgets_its_state in [false, true] {
        story.stop().unwrap();
        if forgets_its_state {
            story.forget_state();
        }
        story.start().await;
        let clock = if forgets_its_state { "05:25" } else { "05:20" };
        story.reads(clock, 4.6).await;
        story.expect_judged(clock, "exceed").await;
        story.expect_events(&["raised"]).await;
        assert_eq!((story.alerts(), story.told()), (1, (1, 0)));
    }
    for (clock, value) in [("05:30", 3.0), ("05:35", 2.9), ("05:40", 2.8)] {
        story.reads(clock, value).await;
    }
    story.expect_events(&["raised", "cleared"]).await;
    assert_eq!((story.alerts(), story.told()), (1, (2, 0)));
    story.stop().unwrap();
}

#[tokio::test]
async fn a_damaged_reading_neither_raises_nor_clears() {
    let mut story = Story::begin("04:30").await;
    story.reads("04:30", 3.0).await;
    // 55 g/L is saltier than the sea: the sensor is broken.
    for clock in ["04:35", "04:40", "04:45", "04:50"] {
        story.says(clock, "{\"salinity\": 55.0}", "").await;
    }
    story.expect_judged("04:30", "unknown").await;
    story.reads("04:55", 3.0).await;
    story.expect_judged("04:55", "safe").await;
    assert_eq!(story.alerts(), 0);
    rises(&mut story).await;
    // A sensor in calibration says so itself, and a negative salinity is none.
    let calibrating = "{\"salinity\": {\"value\": 0.1, \"status\": \"calibrating\"}}";
    story.says("05:18", calibrating, "").await;
    story.says("05:19", "{\"salinity\": -3.0}", "").await;
    story.reads("05:20", 4.1).await;
    story.expect_judged("05:20", "exceed").await;
    story.expect_events(&["raised"]).await;
    assert_eq!(story.told(), (1, 0));
    story.stop().unwrap();
}

#[tokio::test]
async fn a_rule_that_is_removed_withdraws_its_alert_and_says_that_it_is_no_all_clear() {
    let mut story = Story::begin("05:00").await;
    rises(&mut story).await;
    story.remove_rule().await;
    story.expect_events(&["raised", "withdrawn"]).await;
    assert_eq!(
        story.told(),
        (2, 0),
        "who was warned hears of it, though the duty went with the rule"
    );
    let text = story.notices()[0].notice.body.clone();
    assert!(text.contains("RUT CANH BAO") && text.contains("Chua chac da an toan"), "{text}");
    story.stop().unwrap();
    story.start().await;
    story.expect_events(&["raised", "withdrawn"]).await;
    assert_eq!(story.told(), (2, 0));
    story.stop().unwrap();
}

#[tokio::test]
async fn after_a_failed_sync_nobody_is_acknowledged_and_the_process_ends_saying_so() {
    let mut story = Story::begin("05:00").await;
    story.reads("05:00", 3.0).await;
    assert_eq!(story.get("/-/ready").0, 200);
    story.break_disk();
    let begun = Instant::now();
    let lost = "{\"time\": \"2026-03-12T05:05:00+07:00\", \"values\": {\"salinity\": 4.3}}";
    assert!(!story.publish(lost).await, "an acknowledgement after a failed sync is a lie");
    // It stops by itself; until the last part has stopped it says that it is not ready.
    let (status, why) = story.get("/-/ready");
    assert!(matches!(status, 0 | 503), "{status} {why}");
    let ended = story.stop().unwrap_err();
    assert!(matches!(ended, Fatal::Journal(journal::JournalError::Failed(_))), "{ended:?}");
    assert!(begun.elapsed() < Duration::from_secs(15), "a stop after it does not hang");
}
