use ingest::mqtt::Keep;
use rumqttc::mqttbytes::v4::{self, SubscribeReasonCode as Code4};
use rumqttc::v5::mqttbytes::v5::{self, SubscribeReasonCode as Code5};

use super::stand::*;

#[tokio::test]
async fn what_is_retained_comes_after_the_suback_until_it_is_taken_away() {
    let stand = stand();
    for (station, value) in [("vam-kenh", "4.1"), ("xuan-hoa", "0.4")] {
        let topic = format!("latest/{station}/salinity");
        stand.publisher.publish(&topic, value.as_bytes(), Keep::Retained);
    }
    let mut board = stand.v4("board").await;
    board.subscribe4("latest/+/salinity").await;
    let first = board.message4().await;
    assert_eq!((first.topic.as_str(), first.retain), ("latest/vam-kenh/salinity", true));
    assert_eq!(board.message4().await.payload, "0.4");
    stand.publisher.publish("latest/vam-kenh/salinity", b"4.2", Keep::Retained);
    let live = board.message4().await;
    assert_eq!((live.payload.as_ref(), live.retain), (&b"4.2"[..], false));
    stand.publisher.publish("latest/vam-kenh/salinity", b"", Keep::Retained);
    assert_eq!(board.message4().await.payload, "");
    let mut later = stand.v5("board").await;
    later.subscribe5("latest/#", Qos5::AtMostOnce).await;
    assert_eq!(later.message5().await.topic, "latest/xuan-hoa/salinity");
    later.send(&[0xC0, 0]).await;
    assert!(matches!(later.next5().await, Some(v5::Packet::PingResp(_))));
}

#[tokio::test]
async fn more_is_retained_than_fits_a_queue_and_all_of_it_arrives() {
    let stand = stand();
    for number in 0..5_000 {
        stand.publisher.publish(&format!("latest/s-{number}/ph"), b"7.0", Keep::Retained);
    }
    let mut board = stand.v4("board").await;
    board.subscribe4("latest/#").await;
    for _ in 0..5_000 {
        let message = board.message4().await;
        board.send4(&v4::Packet::PubAck(v4::PubAck::new(message.pkid))).await;
    }
    board.nothing_before_ping4().await;
}

#[tokio::test]
async fn filters_that_are_not_allowed_are_refused_one_by_one() {
    let stand = stand();
    let mut five = stand.v5("vam-kenh").await;
    for (filter, code) in [
        ("stations/vam-kenh/#", Code5::Success(Qos5::ExactlyOnce)),
        ("stations/vam-kenh/command", Code5::Success(Qos5::ExactlyOnce)),
        ("#", Code5::NotAuthorized),
        ("stations/+/state", Code5::NotAuthorized),
        ("latest/#", Code5::NotAuthorized),
        ("stations/vam-kenh/#/x", Code5::TopicFilterInvalid),
        ("$share/g/stations/vam-kenh/#", Code5::Success(Qos5::ExactlyOnce)),
        ("$share/g/stations/xuan-hoa/#", Code5::NotAuthorized),
        ("$share/g", Code5::TopicFilterInvalid),
        ("$share//stations/vam-kenh/#", Code5::TopicFilterInvalid),
        ("$share/g+/stations/vam-kenh/#", Code5::TopicFilterInvalid),
    ] {
        assert_eq!(five.subscribe5(filter, Qos5::ExactlyOnce).await, code, "{filter}");
    }
    let mut four = stand.v4("xuan-hoa").await;
    assert_eq!(four.subscribe4("#").await, Code4::Failure);
    assert_eq!(four.subscribe4("$share/g/x").await, Code4::Failure);
    let granted = Code4::Success(rumqttc::QoS::AtLeastOnce);
    assert_eq!(four.subscribe4("stations/xuan-hoa/command").await, granted);
}

#[tokio::test]
async fn a_session_has_a_bounded_number_of_filters() {
    use ingest::mqtt::Config;
    let stand = stand_with(Config { subscriptions_max: 2, ..config() });
    let mut board = stand.v5("board").await;
    for filter in ["latest/a", "latest/b", "latest/a"] {
        let granted = Code5::Success(Qos5::AtMostOnce);
        assert_eq!(board.subscribe5(filter, Qos5::AtMostOnce).await, granted);
    }
    assert_eq!(board.subscribe5("latest/c", Qos5::AtMostOnce).await, Code5::QuotaExceeded);
}

#[tokio::test]
async fn what_a_subscriber_asked_for_is_kept() {
    let stand = stand();
    let mut all = stand.v5("all").await;
    stand.publisher.publish("t", b"old", Keep::Retained);
    let mut filter = v5::Filter::new("t", Qos5::AtMostOnce);
    filter.nolocal = true;
    filter.preserve_retain = true;
    filter.retain_forward_rule = v5::RetainForwardRule::Never;
    let mut subscribe = v5::Subscribe::new(filter, None);
    subscribe.pkid = 3;
    all.send5(&v5::Packet::Subscribe(subscribe)).await;
    assert!(matches!(all.next5().await, Some(v5::Packet::SubAck(_))));
    // Neither the retained message nor its own comes back; another's does, with its retain flag.
    all.publish5("t", 1, "own").await;
    assert_eq!(all.puback5().await.pkid, 1);
    stand.publisher.publish("t", b"new", Keep::Retained);
    let message = all.message5().await;
    assert_eq!((message.payload.as_ref(), message.retain), (&b"new"[..], true));
}

#[tokio::test]
async fn unsubscribing_is_always_answered() {
    let stand = stand();
    let mut five = stand.v5("board").await;
    five.subscribe5("latest/#", Qos5::AtMostOnce).await;
    let unsubscribe = v5::Unsubscribe {
        pkid: 9,
        filters: vec!["latest/#".into(), "never/there".into()],
        properties: None,
    };
    five.send5(&v5::Packet::Unsubscribe(unsubscribe)).await;
    let Some(v5::Packet::UnsubAck(ack)) = five.next5().await else { panic!() };
    let expected = [v5::UnsubAckReason::Success, v5::UnsubAckReason::NoSubscriptionExisted];
    assert_eq!((ack.pkid, &ack.reasons[..]), (9, &expected[..]));
    let mut four = stand.v4("board").await;
    let mut unsubscribe = v4::Unsubscribe::new("never/there");
    unsubscribe.pkid = 4;
    four.send4(&v4::Packet::Unsubscribe(unsubscribe)).await;
    assert_eq!(four.next4().await, Some(v4::Packet::UnsubAck(v4::UnsubAck::new(4))));
}

#[tokio::test]
async fn the_will_is_published_unless_there_was_a_goodbye() {
    let stand = stand();
    let mut board = stand.v4("board").await;
    board.subscribe4("stations/+/state").await;
    let mut hello = hello4("vam-kenh");
    let topic = "stations/vam-kenh/state";
    hello.last_will = Some(v4::LastWill::new(topic, "offline", rumqttc::QoS::AtLeastOnce, true));
    let mut polite = stand.socket().await;
    polite.hello4(&hello).await;
    polite.send(&[0xE0, 0]).await;
    assert_eq!(polite.next4().await, None);
    let mut cut = stand.socket().await;
    cut.hello4(&hello).await;
    cut.publish4(topic, 1, "online").await;
    assert_eq!(cut.puback4().await, 1);
    drop(cut);
    assert_eq!(board.message4().await.payload, "online");
    assert_eq!(board.message4().await.payload, "offline");
    // It was to be retained.
    let mut later = stand.v5("board").await;
    later.subscribe5(topic, Qos5::AtMostOnce).await;
    assert_eq!(later.message5().await.payload, "offline");
}

#[tokio::test]
async fn silence_beyond_the_keep_alive_ends_the_connection_and_publishes_the_will() {
    let stand = stand();
    let mut board = stand.v4("board").await;
    board.subscribe4("stations/+/state").await;
    let mut hello = hello5("vam-kenh");
    hello.keep_alive = 1;
    let will =
        v5::LastWill::new("stations/vam-kenh/state", "offline", Qos5::AtMostOnce, false, None);
    let mut silent = stand.socket().await;
    silent.hello5(&hello, Some(will), "vam-kenh", KEY).await;
    assert_eq!(silent.disconnected5().await, v5::DisconnectReasonCode::KeepAliveTimeout);
    assert_eq!(board.message4().await.payload, "offline");
}

#[tokio::test]
async fn a_session_waits_for_its_client_and_says_so() {
    let stand = stand();
    let mut hello = hello4("board");
    hello.clean_session = false;
    let mut first = stand.socket().await;
    assert!(!first.hello4(&hello).await.session_present);
    first.subscribe4("latest/#").await;
    stand.publisher.publish("latest/a/ph", b"1", Keep::Passing);
    let unanswered = first.message4().await;
    drop(first);
    stand.publisher.publish("latest/a/ph", b"2", Keep::Passing);
    let mut second = stand.socket().await;
    assert!(second.hello4(&hello).await.session_present);
    let again = second.message4().await;
    assert_eq!((again.payload.as_ref(), again.dup, again.pkid), (&b"1"[..], true, unanswered.pkid));
    let waited = second.message4().await;
    assert_eq!(waited.payload, "2");
    for id in [again.pkid, waited.pkid] {
        second.send4(&v4::Packet::PubAck(v4::PubAck::new(id))).await;
    }
    second.nothing_before_ping4().await;
    // A clean session forgets it all.
    let mut third = stand.socket().await;
    assert!(!third.hello4(&hello4("board")).await.session_present);
    let mut fourth = stand.socket().await;
    assert!(!fourth.hello4(&hello).await.session_present);
}

#[tokio::test]
async fn a_client_holds_no_more_unacknowledged_than_it_asked_for() {
    let stand = stand();
    let mut hello = hello5("board");
    let mut asked = v5::ConnectProperties::new();
    asked.receive_maximum = Some(2);
    hello.properties = Some(asked);
    let mut board = stand.socket().await;
    board.hello5(&hello, None, "board", KEY).await;
    board.subscribe5("latest/#", Qos5::AtLeastOnce).await;
    for number in 0..5 {
        stand.publisher.publish("latest/a/ph", format!("{number}").as_bytes(), Keep::Passing);
    }
    let first = board.message5().await;
    board.message5().await;
    board.send(&[0xC0, 0]).await;
    assert!(matches!(board.next5().await, Some(v5::Packet::PingResp(_))));
    board.send5(&v5::Packet::PubAck(v5::PubAck::new(first.pkid, None))).await;
    assert_eq!(board.message5().await.payload, "2");
}

#[tokio::test]
async fn overlapping_filters_bring_one_copy_with_the_higher_qos() {
    let stand = stand();
    let mut board = stand.v5("board").await;
    board.subscribe5("latest/#", Qos5::AtMostOnce).await;
    board.subscribe5("latest/+/ph", Qos5::AtLeastOnce).await;
    stand.publisher.publish("latest/a/ph", b"7", Keep::Passing);
    assert_eq!(board.message5().await.qos, Qos5::AtLeastOnce);
    stand.publisher.publish("latest/a/b", b"end", Keep::Passing);
    let message = board.message5().await;
    assert_eq!((message.payload.as_ref(), message.qos), (&b"end"[..], Qos5::AtMostOnce));
}

#[tokio::test]
async fn properties_are_passed_on_between_clients_of_mqtt_5() {
    let stand = stand();
    let mut reader = stand.v5("board").await;
    reader.subscribe5("stations/#", Qos5::AtMostOnce).await;
    let mut client = stand.v5("vam-kenh").await;
    let properties = v5::PublishProperties {
        content_type: Some("text/plain".into()),
        correlation_data: Some("c-1".into()),
        user_properties: vec![("ai".into(), "Ba Tư".into())],
        ..Default::default()
    };
    let publish = v5::Publish::new(
        "stations/vam-kenh/log",
        Qos5::AtMostOnce,
        "pin yếu",
        Some(properties.clone()),
    );
    client.send5(&v5::Packet::Publish(publish)).await;
    assert_eq!(reader.message5().await.properties, Some(properties));
}
