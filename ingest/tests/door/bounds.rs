//! Where each limit lies, over a real socket: who is above it is told by name and counted, and everybody else goes on.

use std::time::Duration;

use ingest::mqtt::{Config, Grant, Keep, Rate};
use rumqttc::v5::mqttbytes::v5::SubscribeReasonCode;
use rumqttc::v5::mqttbytes::v5::{DisconnectReasonCode, PubAckReason, PubCompReason};
use tokio::time::{Instant, timeout};

use super::counts::Counts;
use super::stand::*;

const READINGS: &str = "stations/vam-kenh/readings";

#[tokio::test]
async fn there_are_only_so_many_places_and_one_that_is_free_again_is_taken() {
    let (counts, _guard) = Counts::begin();
    let stand = stand_with(Config { connections_max: 2, ..config() });
    let first = stand.v4("vam-kenh").await;
    let mut second = stand.v4("xuan-hoa").await;
    assert_eq!(stand.socket().await.next4().await, None);
    assert_eq!(counts.of("saltline_mqtt_connects_total", "too_many"), 1);
    assert_eq!(counts.of("saltline_mqtt_connections", ""), 2);
    second.nothing_before_ping4().await;
    drop(first);
    let given_back = async {
        while counts.of("saltline_mqtt_connections", "") != 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, given_back).await.expect("the place is given back");
    stand.v4("vam-kenh").await.nothing_before_ping4().await;
}

#[tokio::test]
async fn above_its_rate_of_bytes_a_station_is_slowed_nothing_is_lost_and_nobody_else_pays() {
    let (counts, _guard) = Counts::begin();
    let (burst, patience) = (Duration::from_secs(1), Duration::from_secs(60));
    let rate = Rate { messages_per_s: 1_000_000, bytes_per_s: 20_000, burst, patience };
    let stand = stand_with(Config { rate: Some(rate), ..config() });
    let mut heavy = stand.v4("vam-kenh").await;
    let wide = REPORT.replace(',', &format!(",{}", " ".repeat(500)));
    let began = Instant::now();
    for id in 1..=25 {
        heavy.publish4(READINGS, id, &wide).await;
    }
    // The other one has a budget of its own.
    let mut light = stand.v4("xuan-hoa").await;
    light.publish4("stations/xuan-hoa/readings", 1, REPORT).await;
    assert_eq!(light.puback4().await, 1);
    assert!(began.elapsed() < Duration::from_millis(700), "{:?}", began.elapsed());
    for id in 1..=25 {
        assert_eq!(heavy.puback4().await, id);
    }
    // 25 reports of 1,560 bytes or more: the first 20,000 bytes at once, the others at their rate.
    assert!(Duration::from_millis(700) < began.elapsed(), "{:?}", began.elapsed());
    assert_eq!(stand.journal.durable_end(), 26);
    assert!(1 <= counts.of("saltline_mqtt_slowed_total", ""));
}

#[tokio::test]
async fn who_asks_for_no_keep_alive_gets_one_where_the_configuration_says_so() {
    let anonymous = vec![Grant::parse("readwrite:test/#").unwrap()];
    let base = Config { anonymous, keep_alive_s_max: Some(1), ..config() };
    let stand = stand_with(Config { keep_alive_none: false, ..base.clone() });
    let mut hello = hello5("");
    hello.keep_alive = 0;
    let mut five = stand.socket().await;
    let told = five.hello5(&hello, None, "", "").await.properties.unwrap();
    assert_eq!(told.server_keep_alive, Some(1));
    let mut silent = hello4("vam-kenh");
    silent.keep_alive = 0;
    let mut four = stand.socket().await;
    four.hello4(&silent).await;
    // 3.1.1 cannot be told: silence ends it all the same.
    assert_eq!(five.disconnected5().await, DisconnectReasonCode::KeepAliveTimeout);
    assert_eq!(four.next4().await, None);

    let stand = stand_with(Config { keep_alive_none: true, ..base });
    let mut four = stand.socket().await;
    four.hello4(&silent).await;
    tokio::time::sleep(Duration::from_millis(1_800)).await;
    four.nothing_before_ping4().await;
}

#[tokio::test]
async fn so_many_topics_are_retained_and_one_more_is_passed_on_and_not_kept() {
    let (counts, _guard) = Counts::begin();
    let stand = stand_with(Config { retained_messages_max: 2, ..config() });
    let mut here = stand.v5("board").await;
    here.subscribe5("stations/#", Qos5::AtMostOnce).await;
    let mut all = stand.v4("all").await;
    for (id, (topic, payload)) in
        (1..).zip([("a", "1"), ("b", "2"), ("c", "3"), ("a", "4"), ("b", ""), ("d", "5")])
    {
        all.send(&publish4(&format!("stations/x/{topic}"), id, payload, true)).await;
        assert_eq!(all.puback4().await, id);
        assert_eq!(here.message5().await.payload, payload, "who is here gets every one");
    }
    assert_eq!(counts.of("saltline_mqtt_dropped_total", "retained_full"), 1);
    let mut later = stand.v5("board").await;
    later.subscribe5("stations/#", Qos5::AtMostOnce).await;
    for (topic, payload) in [("stations/x/a", "4"), ("stations/x/d", "5")] {
        let message = later.message5().await;
        assert_eq!((&*message.topic, &*message.payload), (topic.as_bytes(), payload.as_bytes()));
    }
    stand.publisher.publish("stations/x/end", b"!", Keep::Passing);
    assert_eq!(later.message5().await.topic, "stations/x/end");
}

#[tokio::test]
async fn when_the_session_log_cannot_be_synced_nothing_that_it_should_hold_is_acknowledged() {
    let stand = remembering(config());
    let lasting = |id: &str| {
        let mut hello = hello4(id);
        hello.set_login("all", KEY);
        hello.clean_session = false;
        hello
    };
    let mut board = stand.socket().await;
    board.hello4(&lasting("board")).await;
    board.subscribe4("t/#").await;
    let mut all = stand.v5("all-2").await;
    all.publish5("t/1", 1, "kept").await;
    assert_eq!(all.puback5().await.reason, PubAckReason::Success);
    assert_eq!(board.message4().await.payload, "kept");
    let log = stand.sessions.as_ref().unwrap();
    log.journal().break_syncs();
    // Somebody lasting has to get it, so its acknowledgement waits for a disk that fails.
    all.publish5("t/2", 2, "not kept").await;
    assert_eq!(all.disconnected5().await, DisconnectReasonCode::ImplementationSpecificError);
    // Nor is a subscription of a lasting session, nor the release of a packet id with QoS 2.
    let mut packet = rumqttc::mqttbytes::v4::Subscribe::new("u/#", rumqttc::QoS::AtLeastOnce);
    packet.pkid = 7;
    board.send4(&rumqttc::mqttbytes::v4::Packet::Subscribe(packet)).await;
    while let Some(packet) = board.next4().await {
        let answer = matches!(packet, rumqttc::mqttbytes::v4::Packet::SubAck(_));
        assert!(!answer, "a subscription was acknowledged that no disk has");
    }
    // And what nobody lasting waits for goes on: a reading has a journal of its own.
    let mut station = stand.v5("vam-kenh").await;
    station.publish5(READINGS, 1, REPORT).await;
    assert_eq!(station.puback5().await.reason, PubAckReason::Success);
}

#[tokio::test]
async fn two_hundred_with_one_client_id_leave_one_who_is_served() {
    let (counts, _guard) = Counts::begin();
    let stand = stand();
    let mut all = Vec::new();
    for _ in 0..200 {
        all.push(stand.v5("vam-kenh").await);
    }
    let mut last = all.pop().unwrap();
    for mut older in all {
        assert_eq!(older.disconnected5().await, DisconnectReasonCode::SessionTakenOver);
        assert_eq!(older.next5().await, None);
    }
    last.publish5(READINGS, 1, REPORT).await;
    assert_eq!(last.puback5().await.reason, PubAckReason::Success);
    assert_eq!(counts.of("saltline_mqtt_sessions", ""), 1);
    assert_eq!(counts.of("saltline_mqtt_connections", ""), 1);
}

#[tokio::test]
async fn a_station_that_subscribes_to_everything_hears_only_itself() {
    let stand = stand();
    let mut station = stand.v5("vam-kenh").await;
    for filter in ["#", "+/+/+", "stations/#", "$share/g/#", "$SYS/#", "stations/+/readings"] {
        let refused = station.subscribe5(filter, Qos5::AtMostOnce).await;
        assert_eq!(refused, SubscribeReasonCode::NotAuthorized, "{filter}");
    }
    let granted = station.subscribe5("stations/vam-kenh/#", Qos5::AtMostOnce).await;
    assert_eq!(granted, SubscribeReasonCode::Success(Qos5::AtMostOnce));
    stand.publisher.publish("stations/xuan-hoa/command", b"hidden", Keep::Passing);
    stand.publisher.publish("latest/vam-kenh/ph", b"hidden", Keep::Passing);
    stand.publisher.publish("stations/vam-kenh/command", b"mine", Keep::Passing);
    assert_eq!(station.message5().await.payload, "mine");
}

#[tokio::test]
async fn a_flood_of_qos_2_without_pubrel_is_bounded_by_the_packet_ids_in_3_1_1_too() {
    let stand = stand_with(Config { in_flight_max: 8, ..config() });
    let mut flood = stand.v4("all").await;
    // 3.1.1 is told no receive maximum, so it is not sent away; what came twice does nothing twice.
    for round in 0..3 {
        for id in 1..=200 {
            flood.send(&publish_once4("t", id, "x")).await;
            assert_eq!(flood.pubrec4().await, id, "round {round}");
        }
    }
    let mut good = stand.v5("vam-kenh").await;
    good.publish5(READINGS, 1, REPORT).await;
    assert_eq!(good.puback5().await.reason, PubAckReason::Success);
    // On a new session nothing of it is left.
    drop(flood);
    let mut again = stand.v4("all").await;
    again.send(&[0x62, 2, 0, 1]).await;
    assert_eq!(again.pubcomp4().await, 1);
}

#[tokio::test]
async fn what_came_before_the_welcome_and_what_comes_in_the_wrong_order_is_not_done() {
    let stand = stand();
    // PUBLISH before CONNECT, and with it in one write.
    let mut raw = stand.socket().await;
    raw.send(&publish4(READINGS, 1, REPORT, false)).await;
    assert_eq!(raw.next4().await, None);
    assert_eq!(stand.journal.durable_end(), 0);
    // A login that is refused takes what was sent behind it along.
    let mut raw = stand.socket().await;
    let mut wrong = hello4("vam-kenh");
    wrong.set_login("vam-kenh", "wrong");
    let mut both = bytes::BytesMut::new();
    wrong.write(&mut both).unwrap();
    both.extend_from_slice(&publish4(READINGS, 1, REPORT, false));
    raw.send(&both).await;
    assert!(raw.next4().await.is_some());
    assert_eq!(raw.next4().await, None);
    assert_eq!(stand.journal.durable_end(), 0);
    // PUBREL for nothing that came is answered.
    let mut five = stand.v5("all").await;
    five.send(&[0x62, 2, 0, 9]).await;
    assert_eq!(five.pubcomp5().await, (9, PubCompReason::PacketIdentifierNotFound));
}
