use bytes::BytesMut;
use domain::Reason;
use ingest::DeadLetter;
use rumqttc::v5::mqttbytes::v5::PubAckReason;

use super::stand::*;

const READINGS: &str = "stations/vam-kenh/readings";

#[tokio::test]
async fn an_acknowledged_report_is_on_disk() {
    let stand = stand();
    let mut client = stand.v4("vam-kenh").await;
    for id in 1..=20 {
        client.publish4(READINGS, id, REPORT).await;
        assert_eq!(client.puback4().await, id);
        assert_eq!(stand.journal.durable_end(), u64::from(id));
    }
    let mut client = stand.v5("xuan-hoa").await;
    client.publish5("stations/xuan-hoa/readings", 7, REPORT).await;
    let ack = client.puback5().await;
    assert_eq!((ack.pkid, ack.reason, ack.properties), (7, PubAckReason::Success, None));
    assert_eq!(stand.journal.durable_end(), 21);
}

#[tokio::test]
async fn acknowledgements_come_in_the_order_of_the_publishes() {
    let stand = stand();
    let mut client = stand.v4("vam-kenh").await;
    let mut burst = BytesMut::new();
    for id in 1..=2_000 {
        burst.extend(publish4(READINGS, id, REPORT, false));
    }
    client.send(&burst).await;
    for id in 1..=2_000 {
        assert_eq!(client.puback4().await, id);
    }
    assert_eq!(stand.journal.durable_end(), 2_000);
}

#[tokio::test]
async fn a_report_with_qos_0_is_kept_too_even_when_its_sender_leaves_at_once() {
    let stand = stand();
    let mut board = stand.v4("board").await;
    board.subscribe4("stations/+/readings").await;
    let mut client = stand.v4("vam-kenh").await;
    let mut last_words = publish4(READINGS, 0, REPORT, false);
    last_words.extend_from_slice(&[0xE0, 0]);
    client.send(&last_words).await;
    assert_eq!(board.message4().await.payload, REPORT);
    assert_eq!(stand.journal.durable_end(), 1);
}

#[tokio::test]
async fn what_cannot_be_read_is_answered_with_a_reason_and_kept() {
    let stand = stand();
    let mut client = stand.v5("vam-kenh").await;
    for (id, payload) in [
        (1, "not json"),
        (2, r#"{"values":{"ph":NaN}}"#),
        (3, r#"{"time":0,"values":{"ph":7}}"#),
        (4, r#"{"time":"2099-01-01T00:00:00Z","values":{"ph":7}}"#),
        (5, r#"{"time":"2026-03-12T05:00:00","values":{"ph":7}}"#),
        (6, r#"{"values":{"salinty":7}}"#),
    ] {
        client.publish5(READINGS, id, payload).await;
        let ack = client.puback5().await;
        assert_eq!((ack.pkid, ack.reason), (id, PubAckReason::PayloadFormatInvalid), "{payload}");
        let why = ack.properties.unwrap().reason_string.unwrap();
        assert!(!why.is_empty(), "{payload}");
        assert_eq!(stand.dead.durable_end(), u64::from(id));
    }
    // A part that is believed is stored, and the rest is told.
    client.publish5(READINGS, 7, r#"{"values":{"ph":7,"salinty":7}}"#).await;
    let ack = client.puback5().await;
    assert_eq!(ack.reason, PubAckReason::Success);
    assert!(ack.properties.unwrap().reason_string.unwrap().contains("salinty"));
    assert_eq!((stand.journal.durable_end(), stand.dead.durable_end()), (1, 7));
}

#[tokio::test]
async fn another_stations_topic_is_refused_kept_and_never_passed_on() {
    let stand = stand();
    let mut board = stand.v4("board").await;
    board.subscribe4("stations/#").await;
    let foreign = "stations/xuan-hoa/readings";
    let mut five = stand.v5("vam-kenh").await;
    five.publish5(foreign, 3, REPORT).await;
    assert_eq!(five.puback5().await.reason, PubAckReason::NotAuthorized);
    // 3.1.1 has no word for it: acknowledged once it is with the dead letters.
    let mut four = stand.v4("vam-kenh").await;
    four.publish4(foreign, 4, REPORT).await;
    assert_eq!(four.puback4().await, 4);
    assert_eq!((stand.journal.durable_end(), stand.dead.durable_end()), (0, 2));
    let (_, bytes) = &stand.dead.read(0, 1 << 20).unwrap()[1];
    let letter = DeadLetter::decode(bytes).unwrap();
    assert_eq!(letter.reason, Reason::ForeignTopic);
    assert_eq!((letter.topic.as_ref(), letter.payload.as_ref()), (foreign, REPORT.as_bytes()));
    board.nothing_before_ping4().await;
}

#[tokio::test]
async fn readings_reach_subscribers_once_they_are_on_disk() {
    let stand = stand();
    let mut board = stand.v5("board").await;
    board.subscribe5("stations/+/readings", Qos5::AtLeastOnce).await;
    let mut client = stand.v4("vam-kenh").await;
    client.publish4(READINGS, 1, REPORT).await;
    let message = board.message5().await;
    assert_eq!(stand.journal.durable_end(), 1);
    assert_eq!((message.payload.as_ref(), message.pkid), (REPORT.as_bytes(), 1));
}

#[tokio::test]
async fn stopping_acknowledges_what_is_on_its_way_and_says_why() {
    let mut stand = stand();
    let mut five = stand.v5("xuan-hoa").await;
    let mut client = stand.v4("vam-kenh").await;
    client.publish4(READINGS, 1, REPORT).await;
    assert_eq!(client.puback4().await, 1);
    stand.stop.cancel();
    assert_eq!(
        five.disconnected5().await,
        rumqttc::v5::mqttbytes::v5::DisconnectReasonCode::ServerShuttingDown
    );
    assert_eq!(client.next4().await, None);
    tokio::time::timeout(PATIENCE, stand.running.join_next()).await.unwrap().unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(stand.addresses.plain).await.is_err());
}
