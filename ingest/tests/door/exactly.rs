//! QoS 2, both ways.

use ingest::mqtt::{Config, Keep};
use rumqttc::v5::mqttbytes::v5::{self, PubRecReason};

use super::stand::*;

const READINGS: &str = "stations/vam-kenh/readings";

#[tokio::test]
async fn a_report_with_qos_2_is_on_disk_before_its_pubrec_and_once_however_often_it_comes() {
    let stand = stand();
    let mut board = stand.v4("board").await;
    board.subscribe4("stations/+/readings").await;
    let mut client = stand.v5("vam-kenh").await;
    for _ in 0..3 {
        client.send(&publish_once5(READINGS, 7, REPORT)).await;
        assert_eq!(client.pubrec5().await, (7, PubRecReason::Success));
        assert_eq!(stand.journal.durable_end(), 1);
    }
    client.send(&[0x62, 2, 0, 7]).await;
    assert_eq!(client.pubcomp5().await, (7, v5::PubCompReason::Success));
    // The id is free: the same again is another message.
    client.send(&publish_once5(READINGS, 7, REPORT)).await;
    client.pubrec5().await;
    assert_eq!(stand.journal.durable_end(), 2);
    for _ in 0..2 {
        assert_eq!(board.message4().await.payload, REPORT);
    }
    board.nothing_before_ping4().await;
}

#[tokio::test]
async fn repeated_before_the_disk_answered_it_is_still_one() {
    let stand = stand();
    let mut client = stand.v5("vam-kenh").await;
    let burst = [publish_once5(READINGS, 7, REPORT), publish_once5(READINGS, 7, REPORT)];
    client.send(&burst.concat()).await;
    client.pubrec5().await;
    client.pubrec5().await;
    assert_eq!(stand.journal.durable_end(), 1);
}

#[tokio::test]
async fn a_report_that_is_sent_again_on_another_connection_is_still_one() {
    let stand = stand();
    let mut hello = hello4("vam-kenh");
    hello.clean_session = false;
    let mut first = stand.socket().await;
    first.hello4(&hello).await;
    first.send(&publish_once4(READINGS, 9, REPORT)).await;
    assert_eq!(first.pubrec4().await, 9);
    // No PUBREL: the first is taken over.
    let mut second = stand.socket().await;
    assert!(second.hello4(&hello).await.session_present);
    second.send(&publish_once4(READINGS, 9, REPORT)).await;
    assert_eq!(second.pubrec4().await, 9);
    second.send(&[0x62, 2, 0, 9]).await;
    assert_eq!(second.pubcomp4().await, 9);
    assert_eq!(stand.journal.durable_end(), 1);
    // A clean session knows nothing of it.
    let mut third = stand.v4("vam-kenh").await;
    third.send(&publish_once4(READINGS, 9, REPORT)).await;
    third.pubrec4().await;
    assert_eq!(stand.journal.durable_end(), 2);
}

/// Two connections of one client, the second while the first's report is on its way to the disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_take_over_in_the_middle_doubles_nothing() {
    let stand = stand();
    let mut hello = hello4("vam-kenh");
    hello.clean_session = false;
    stand.socket().await.hello4(&hello).await;
    for id in 1..=50 {
        let mut first = stand.socket().await;
        first.hello4(&hello).await;
        first.send(&publish_once4(READINGS, id, REPORT)).await;
        let mut second = stand.socket().await;
        second.hello4(&hello).await;
        second.send(&publish_once4(READINGS, id, REPORT)).await;
        assert_eq!(second.pubrec4().await, id);
        assert_eq!(stand.journal.durable_end(), u64::from(id));
    }
}

#[tokio::test]
async fn what_cannot_be_believed_ends_with_its_pubrec_in_5_0_and_goes_on_in_3_1_1() {
    let stand = stand();
    let mut five = stand.v5("vam-kenh").await;
    five.send(&publish_once5(READINGS, 1, "not json")).await;
    assert_eq!(five.pubrec5().await, (1, PubRecReason::PayloadFormatInvalid));
    five.send(&publish_once5("stations/xuan-hoa/readings", 1, REPORT)).await;
    assert_eq!(five.pubrec5().await, (1, PubRecReason::NotAuthorized));
    five.send(&[0x62, 2, 0, 1]).await;
    assert_eq!(five.pubcomp5().await, (1, v5::PubCompReason::PacketIdentifierNotFound));
    let mut four = stand.v4("xuan-hoa").await;
    four.send(&publish_once4("stations/xuan-hoa/readings", 1, "not json")).await;
    assert_eq!(four.pubrec4().await, 1);
    four.send(&[0x62, 2, 0, 1]).await;
    assert_eq!(four.pubcomp4().await, 1);
    assert_eq!((stand.journal.durable_end(), stand.dead.durable_end()), (0, 3));
}

#[tokio::test]
async fn a_flood_without_pubrel_ends_at_the_receive_maximum() {
    let stand = stand_with(Config { in_flight_max: 8, ..config() });
    let mut flood = stand.v5("all").await;
    for id in 1..=8 {
        flood.send(&publish_once5("t", id, "x")).await;
        flood.pubrec5().await;
    }
    // A repeated one is no ninth.
    flood.send(&publish_once5("t", 8, "x")).await;
    flood.pubrec5().await;
    flood.send(&publish_once5("t", 9, "x")).await;
    assert_eq!(flood.disconnected5().await, v5::DisconnectReasonCode::ReceiveMaximumExceeded);
    // One that is released makes room for one.
    let mut good = stand.v5("all").await;
    for id in 1..=100 {
        good.send(&publish_once5("t", id, "x")).await;
        good.pubrec5().await;
        good.send(&[0x62, 2, (id >> 8) as u8, id as u8]).await;
        good.pubcomp5().await;
    }
}

#[tokio::test]
async fn towards_a_subscriber_each_step_waits_for_the_one_before() {
    let stand = stand();
    let mut board = stand.v5("all").await;
    board.subscribe5("t", Qos5::ExactlyOnce).await;
    let mut client = stand.v5("all-2").await;
    client.send(&publish_once5("t", 1, "x")).await;
    let message = board.message5().await;
    assert_eq!((message.qos, message.dup, message.pkid), (Qos5::ExactlyOnce, false, 1));
    for _ in 0..2 {
        board.send(&[0x50, 2, 0, 1]).await;
        assert!(matches!(board.next5().await, Some(v5::Packet::PubRel(rel)) if rel.pkid == 1));
    }
    board.send(&[0x70, 2, 0, 1]).await;
    // It is done with: nothing comes again, and its id is unknown.
    board.send(&[0x50, 2, 0, 1]).await;
    let Some(v5::Packet::PubRel(rel)) = board.next5().await else { panic!() };
    assert_eq!(rel.reason, v5::PubRelReason::PacketIdentifierNotFound);
}

#[tokio::test]
async fn after_a_reconnect_each_message_goes_on_where_it_was() {
    let stand = stand();
    let mut hello = hello4("board");
    hello.clean_session = false;
    let mut first = stand.socket().await;
    first.hello4(&hello).await;
    first.send(b"\x82\x0d\0\x01\0\x08latest/#\x02").await;
    first.next4().await.unwrap();
    let mut all = stand.v4("all").await;
    for (id, payload) in [(1, "a"), (2, "b")] {
        all.send(&publish_once4("latest/x", id, payload)).await;
        all.pubrec4().await;
    }
    let [a, b] = [first.message4().await, first.message4().await];
    first.send(&[0x50, 2, 0, a.pkid as u8]).await;
    assert!(matches!(first.next4().await, Some(rumqttc::mqttbytes::v4::Packet::PubRel(_))));
    drop(first);
    let mut second = stand.socket().await;
    assert!(second.hello4(&hello).await.session_present);
    let Some(rumqttc::mqttbytes::v4::Packet::PubRel(rel)) = second.next4().await else { panic!() };
    assert_eq!(rel.pkid, a.pkid);
    let again = second.message4().await;
    assert_eq!((again.payload.as_ref(), again.dup, again.pkid), (&b"b"[..], true, b.pkid));
    second.send(&[0x70, 2, 0, a.pkid as u8, 0x50, 2, 0, b.pkid as u8]).await;
    assert!(matches!(second.next4().await, Some(rumqttc::mqttbytes::v4::Packet::PubRel(_))));
    second.send(&[0x70, 2, 0, b.pkid as u8]).await;
    second.nothing_before_ping4().await;
}

#[tokio::test]
async fn an_answer_of_the_wrong_kind_is_a_protocol_error() {
    let stand = stand();
    for (qos, answer) in [
        (Qos5::AtLeastOnce, [0x50, 2, 0, 1]),
        (Qos5::AtLeastOnce, [0x70, 2, 0, 1]),
        (Qos5::ExactlyOnce, [0x40, 2, 0, 1]),
        (Qos5::ExactlyOnce, [0x70, 2, 0, 1]),
    ] {
        let mut board = stand.v5("all").await;
        board.subscribe5("t", qos).await;
        let mut client = stand.v5("all-2").await;
        client.send(&publish_once5("t", 1, "x")).await;
        board.message5().await;
        board.send(&answer).await;
        let code = board.disconnected5().await;
        assert_eq!(code, v5::DisconnectReasonCode::ProtocolError, "{qos:?} {answer:02x?}");
    }
}

#[tokio::test]
async fn a_receive_maximum_counts_both_qos() {
    let stand = stand();
    let mut hello = hello5("board");
    let mut asked = v5::ConnectProperties::new();
    asked.receive_maximum = Some(1);
    hello.properties = Some(asked);
    let mut board = stand.socket().await;
    board.hello5(&hello, None, "board", KEY).await;
    board.subscribe5("latest/#", Qos5::ExactlyOnce).await;
    let mut all = stand.v5("all").await;
    all.send(&publish_once5("latest/a", 1, "first")).await;
    all.pubrec5().await;
    stand.publisher.publish("latest/a", b"second", Keep::Passing);
    let first = board.message5().await;
    assert_eq!(first.qos, Qos5::ExactlyOnce);
    board.send(&[0x50, 2, 0, 1]).await;
    assert!(matches!(board.next5().await, Some(v5::Packet::PubRel(_))));
    // Received is not completed.
    board.send(&[0xC0, 0]).await;
    assert!(matches!(board.next5().await, Some(v5::Packet::PingResp(_))));
    board.send(&[0x70, 2, 0, 1]).await;
    assert_eq!(board.message5().await.payload, "second");
}
