//! What let somebody in is looked at again, what may be published is limited, and what is refused stays unheard.

use std::sync::Arc;
use std::time::Duration;

use ingest::mqtt::{Config, Grant, Keep, QueuePolicy, Rate};
use rumqttc::v5::mqttbytes::v5::{ConnectProperties, ConnectReturnCode as Code5};
use rumqttc::v5::mqttbytes::v5::{DisconnectReasonCode, Packet};
use rumqttc::v5::mqttbytes::v5::{PubAckReason, SubscribeReasonCode};

use super::stand::*;

pub async fn book() -> (registry::Registry, domain::StationCode, String, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let book = registry::Registry::open(&dir.path().join("registry.sqlite")).await.unwrap();
    let station = domain::Station::new(domain::StationCode::new("vam-kenh").unwrap());
    let key = book.add_station(&station).await.unwrap();
    (book, station.code, key.reveal().to_owned(), dir)
}

#[tokio::test]
async fn a_revoked_key_ends_its_connection_and_no_other() {
    let (book, code, key, _dir) = book().await;
    let grants = [registry::TokenGrant {
        verb: "read".to_owned(),
        filter: "latest/#".to_owned(),
        denies: false,
    }];
    let token = book.add_token("board", &grants, None).await.unwrap();
    let stand = stand_behind(config(), Arc::new(book.clone()));
    let mut station = stand.socket().await;
    let ack = station.hello5(&hello5("vam-kenh"), None, "vam-kenh", &key).await;
    assert_eq!(ack.code, Code5::Success);
    let mut board = stand.socket().await;
    assert_eq!(
        board.hello5(&hello5("board"), None, "board", token.reveal()).await.code,
        Code5::Success
    );
    assert_eq!(stand.reviewer.review().await.unwrap(), None);
    station.publish5("stations/vam-kenh/readings", 1, REPORT).await;
    assert_eq!(station.puback5().await.reason, PubAckReason::Success);

    book.rotate_key(&code).await.unwrap();
    stand.reviewer.review().await.unwrap();
    assert_eq!(station.disconnected5().await, DisconnectReasonCode::AdministrativeAction);
    board.send(&[0xC0, 0]).await;
    assert!(matches!(board.next5().await, Some(Packet::PingResp(_))));

    book.revoke_token("board").await.unwrap();
    stand.reviewer.review().await.unwrap();
    assert_eq!(board.disconnected5().await, DisconnectReasonCode::AdministrativeAction);
}

#[tokio::test]
async fn a_disabled_station_is_told_that_it_is_kept_out() {
    let (book, code, key, _dir) = book().await;
    let stand = stand_behind(config(), Arc::new(book.clone()));
    book.enable_station(&code, false).await.unwrap();
    let ack = stand.socket().await.hello5(&hello5("vam-kenh"), None, "vam-kenh", &key).await;
    assert_eq!(ack.code, Code5::Banned);
    let wrong = stand.socket().await.hello5(&hello5("vam-kenh"), None, "vam-kenh", "x").await;
    assert_eq!(wrong.code, Code5::BadUserNamePassword);
}

#[tokio::test]
async fn what_is_refused_is_neither_subscribed_to_nor_heard_through_a_wildcard() {
    let anonymous = vec![
        Grant::parse("readwrite:#").unwrap(),
        Grant::parse("read:test/nosubscribe").unwrap().denied(),
    ];
    let stand = stand_with(Config { anonymous, ..config() });
    let mut raw = stand.socket().await;
    raw.hello5(&hello5("suite"), None, "", "").await;
    let refused = raw.subscribe5("test/nosubscribe", Qos5::AtMostOnce).await;
    assert_eq!(refused, SubscribeReasonCode::NotAuthorized);
    let granted = raw.subscribe5("#", Qos5::AtMostOnce).await;
    assert_eq!(granted, SubscribeReasonCode::Success(Qos5::AtMostOnce));
    raw.publish5("test/nosubscribe", 0, "hidden").await;
    raw.publish5("test/other", 0, "seen").await;
    assert_eq!(raw.message5().await.topic, "test/other");
}

fn rate(patience: Duration) -> Config {
    let burst = Duration::from_secs(1);
    let rate = Rate { messages_per_s: 20, bytes_per_s: 1 << 20, burst, patience };
    Config { rate: Some(rate), ..config() }
}

#[tokio::test]
async fn above_its_rate_a_client_is_slowed_and_nothing_is_lost() {
    let stand = stand_with(rate(Duration::from_secs(60)));
    let mut raw = stand.v4("vam-kenh").await;
    let began = tokio::time::Instant::now();
    for id in 1..=40 {
        raw.publish4("stations/vam-kenh/readings", id, REPORT).await;
    }
    for id in 1..=40 {
        assert_eq!(raw.puback4().await, id);
    }
    assert!(Duration::from_millis(900) < began.elapsed(), "{:?}", began.elapsed());
    assert_eq!(stand.journal.durable_end(), 40);
}

#[tokio::test]
async fn who_pushes_against_its_rate_for_too_long_is_sent_away_with_0x97() {
    let stand = stand_with(rate(Duration::from_millis(500)));
    let mut raw = stand.v5("vam-kenh").await;
    for id in 1..=200 {
        raw.publish5("stations/vam-kenh/readings", id, REPORT).await;
    }
    assert_eq!(raw.disconnected5().await, DisconnectReasonCode::QuotaExceeded);
    // A new connection is no new budget.
    let mut again = stand.v5("vam-kenh").await;
    let began = tokio::time::Instant::now();
    for id in 1..=10 {
        again.publish5("stations/vam-kenh/readings", id, REPORT).await;
    }
    for _ in 1..=10 {
        again.puback5().await;
    }
    // Ten at 20 a second: a fresh budget would have taken them all at once.
    assert!(Duration::from_millis(300) < began.elapsed(), "{:?}", began.elapsed());
}

/// What a reader who was away finds of five messages, where three may wait.
async fn found_after_absence(queue_policy: QueuePolicy) -> (bool, Vec<String>) {
    let stand = stand_with(Config { queue_messages_max: 3, queue_policy, ..config() });
    let mut hello = hello5("board");
    hello.clean_start = false;
    let expiry = Some(1_000);
    hello.properties =
        Some(ConnectProperties { session_expiry_interval: expiry, ..ConnectProperties::new() });
    let mut raw = stand.socket().await;
    raw.hello5(&hello, None, "board", KEY).await;
    raw.subscribe5("latest/#", Qos5::AtLeastOnce).await;
    raw.send(&[0xE0, 0]).await;
    assert_eq!(raw.next5().await, None);
    for n in 1..=5 {
        stand.publisher.publish("latest/a/ph", n.to_string().as_bytes(), Keep::Passing);
    }
    let mut raw = stand.socket().await;
    let ack = raw.hello5(&hello, None, "board", KEY).await;
    raw.send(&[0xC0, 0]).await;
    let mut found = Vec::new();
    let mut ping = false;
    while !ping || (ack.session_present && found.len() < 3) {
        match raw.next5().await {
            Some(Packet::Publish(message)) => {
                found.push(String::from_utf8(message.payload.to_vec()).unwrap());
            }
            Some(Packet::PingResp(_)) => ping = true,
            other => panic!("{other:?}"),
        }
    }
    (ack.session_present, found)
}

#[tokio::test]
async fn a_full_queue_drops_what_its_policy_says() {
    let texts = |all: &[&str]| all.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    for (policy, present, found) in [
        (QueuePolicy::DropNewest, true, texts(&["1", "2", "3"])),
        (QueuePolicy::DropOldest, true, texts(&["3", "4", "5"])),
        (QueuePolicy::Disconnect, false, texts(&[])),
    ] {
        assert_eq!(found_after_absence(policy).await, (present, found), "{}", policy.as_str());
    }
}
