//! What MQTT 5 adds: groups, identifiers, aliases, expiry, wills with a delay, sessions with an end.

use std::time::Duration;

use ingest::mqtt::{Config, Keep};
use rumqttc::v5::mqttbytes::v5::{self, DisconnectReasonCode as Code};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::stand::*;

/// A guest of 5.0 with these wishes, and whether its session was remembered.
pub async fn guest(
    stand: &Stand,
    user: &str,
    clean: bool,
    wishes: impl FnOnce(&mut v5::ConnectProperties),
) -> (Raw<TcpStream>, bool) {
    let mut hello = hello5(user);
    hello.clean_start = clean;
    let mut properties = v5::ConnectProperties::new();
    wishes(&mut properties);
    hello.properties = Some(properties);
    let mut raw = stand.socket().await;
    let ack = raw.hello5(&hello, None, user, KEY).await;
    (raw, ack.session_present)
}

pub async fn subscribe(raw: &mut Raw<TcpStream>, filter: v5::Filter, id: usize) {
    let properties =
        (id != 0).then(|| v5::SubscribeProperties { id: Some(id), user_properties: Vec::new() });
    let mut packet = v5::Subscribe::new(filter, properties);
    packet.pkid = 5;
    raw.send5(&v5::Packet::Subscribe(packet)).await;
    assert!(matches!(raw.next5().await, Some(v5::Packet::SubAck(_))));
}

pub fn at_least(path: &str) -> v5::Filter {
    v5::Filter::new(path, Qos5::AtLeastOnce)
}

pub async fn nothing_before_ping5(raw: &mut Raw<TcpStream>) {
    raw.send(&[0xC0, 0]).await;
    let next = raw.next5().await;
    assert!(matches!(next, Some(v5::Packet::PingResp(_))), "{next:?}");
}

pub async fn acknowledge(raw: &mut Raw<TcpStream>, id: u16) {
    raw.send5(&v5::Packet::PubAck(v5::PubAck::new(id, None))).await;
}

#[tokio::test]
async fn each_message_goes_to_one_of_the_group_and_in_turn() {
    let stand = stand();
    let mut members = Vec::new();
    for user in ["all", "all-2"] {
        let mut member = stand.v5(user).await;
        subscribe(&mut member, at_least("$share/g/latest/+"), 0).await;
        members.push(member);
    }
    let mut other_group = stand.v4("all-3").await;
    other_group.subscribe4("$share/h/latest/+").await;
    let mut board = stand.v4("board").await;
    board.subscribe4("latest/#").await;
    for number in 0..6 {
        stand.publisher.publish("latest/a", number.to_string().as_bytes(), Keep::Retained);
    }
    for number in 0..6 {
        let of_group = members[number % 2].message5().await;
        assert_eq!(of_group.payload, number.to_string());
        assert_eq!(other_group.message4().await.payload, number.to_string());
        assert_eq!(board.message4().await.payload, number.to_string());
    }
    for member in &mut members {
        nothing_before_ping5(member).await;
        // Nothing retained comes with a shared subscription.
        subscribe(member, at_least("$share/later/latest/+"), 0).await;
        nothing_before_ping5(member).await;
    }
}

#[tokio::test]
async fn what_one_of_the_group_did_not_acknowledge_goes_to_another_when_it_leaves() {
    let stand = stand();
    for expiry in [0, 100] {
        let (mut leaver, _) =
            guest(&stand, "all", true, |it| it.session_expiry_interval = Some(expiry)).await;
        subscribe(&mut leaver, at_least("$share/g/latest/+"), 0).await;
        for number in 0..4 {
            stand.publisher.publish("latest/a", number.to_string().as_bytes(), Keep::Passing);
        }
        let first = leaver.message5().await;
        acknowledge(&mut leaver, first.pkid).await;
        for _ in 1..4 {
            leaver.message5().await;
        }
        nothing_before_ping5(&mut leaver).await;
        let mut stayer = stand.v5("all-2").await;
        subscribe(&mut stayer, at_least("$share/g/latest/+"), 0).await;
        drop(leaver);
        for number in 1..4 {
            let message = stayer.message5().await;
            assert_eq!((message.payload, message.dup), (number.to_string().into(), false));
        }
        // Who comes back finds its session, and none of what another got.
        let (mut back, present) =
            guest(&stand, "all", false, |it| it.session_expiry_interval = Some(expiry)).await;
        assert_eq!(present, expiry != 0);
        nothing_before_ping5(&mut back).await;
        nothing_before_ping5(&mut stayer).await;
    }
}

#[tokio::test]
async fn a_group_of_absent_members_keeps_messages_for_them() {
    let stand = stand();
    let (mut member, _) =
        guest(&stand, "all", true, |it| it.session_expiry_interval = Some(100)).await;
    subscribe(&mut member, at_least("$share/g/latest/+"), 0).await;
    member.send(&[0xE0, 0]).await;
    assert_eq!(member.next5().await, None);
    stand.publisher.publish("latest/a", b"1", Keep::Passing);
    let (mut member, _) =
        guest(&stand, "all", false, |it| it.session_expiry_interval = Some(100)).await;
    assert_eq!(member.message5().await.payload, "1");
    // Without a subscription there is no group.
    let unsubscribe = v5::Unsubscribe {
        pkid: 9,
        filters: vec!["$share/g/latest/+".into(), "$share/g/latest/+".into()],
        properties: None,
    };
    member.send5(&v5::Packet::Unsubscribe(unsubscribe)).await;
    let Some(v5::Packet::UnsubAck(ack)) = member.next5().await else { panic!() };
    let expected = [v5::UnsubAckReason::Success, v5::UnsubAckReason::NoSubscriptionExisted];
    assert_eq!(ack.reasons, expected);
    stand.publisher.publish("latest/a", b"2", Keep::Passing);
    nothing_before_ping5(&mut member).await;
}

#[tokio::test]
async fn no_local_on_a_shared_subscription_is_a_protocol_error() {
    let stand = stand();
    let mut raw = stand.v5("all").await;
    let mut filter = at_least("$share/g/a");
    filter.nolocal = true;
    let mut packet = v5::Subscribe::new(filter, None);
    packet.pkid = 5;
    raw.send5(&v5::Packet::Subscribe(packet)).await;
    assert_eq!(raw.disconnected5().await, Code::ProtocolError);
}

#[tokio::test]
async fn one_copy_carries_the_identifiers_of_all_filters_that_matched() {
    let stand = stand();
    stand.publisher.publish("latest/a/ph", b"7", Keep::Retained);
    let mut board = stand.v5("board").await;
    subscribe(&mut board, at_least("latest/#"), 7).await;
    let ids = |message: v5::Publish| {
        let mut ids = message.properties.unwrap_or_default().subscription_identifiers;
        ids.sort_unstable();
        ids
    };
    assert_eq!(ids(board.message5().await), [7]);
    subscribe(&mut board, at_least("latest/+/ph"), 300_000).await;
    assert_eq!(ids(board.message5().await), [300_000]);
    subscribe(&mut board, at_least("latest/a/+"), 0).await;
    board.message5().await;
    stand.publisher.publish("latest/a/ph", b"8", Keep::Passing);
    assert_eq!(ids(board.message5().await), [7, 300_000]);
    // Subscribing again replaces the identifier.
    subscribe(&mut board, at_least("latest/+/ph"), 9).await;
    board.message5().await;
    stand.publisher.publish("latest/a/ph", b"9", Keep::Passing);
    assert_eq!(ids(board.message5().await), [7, 9]);
}

#[tokio::test]
async fn aliases_stand_for_topics_both_ways() {
    let stand = stand();
    let (mut board, _) = guest(&stand, "board", true, |it| it.topic_alias_max = Some(1)).await;
    subscribe(&mut board, at_least("stations/#"), 0).await;
    let mut client = stand.v5("vam-kenh").await;
    for (topic, alias) in
        [("stations/vam-kenh/log", Some(16)), ("", Some(16)), ("stations/vam-kenh/state", None)]
    {
        let properties = v5::PublishProperties { topic_alias: alias, ..Default::default() };
        let mut publish = v5::Publish::new(topic, Qos5::AtLeastOnce, "x", Some(properties));
        publish.pkid = 1;
        client.send5(&v5::Packet::Publish(publish)).await;
        assert_eq!(client.puback5().await.reason, v5::PubAckReason::Success);
    }
    let mut got = Vec::new();
    for _ in 0..3 {
        let message = board.message5().await;
        let alias = message.properties.and_then(|it| it.topic_alias);
        got.push((String::from_utf8(message.topic.to_vec()).unwrap(), alias));
    }
    let expected = [
        ("stations/vam-kenh/log".to_owned(), Some(1)),
        (String::new(), Some(1)),
        ("stations/vam-kenh/state".to_owned(), None),
    ];
    assert_eq!(got, expected);
}

#[tokio::test]
async fn a_message_that_waited_says_how_long_it_is_still_good_and_then_is_gone() {
    let stand = stand();
    let (mut board, _) =
        guest(&stand, "board", true, |it| it.session_expiry_interval = Some(100)).await;
    subscribe(&mut board, at_least("latest/#"), 0).await;
    drop(board);
    let mut all = stand.v5("all").await;
    for (id, topic, seconds, retain) in [
        (1, "latest/short", 1, false),
        (2, "latest/long", 100, false),
        (3, "kept/short", 1, true),
        (4, "kept/long", 100, true),
    ] {
        let properties = v5::PublishProperties {
            message_expiry_interval: Some(seconds),
            content_type: Some("text/plain".into()),
            ..Default::default()
        };
        let mut publish = v5::Publish::new(topic, Qos5::AtLeastOnce, "x", Some(properties));
        (publish.pkid, publish.retain) = (id, retain);
        all.send5(&v5::Packet::Publish(publish)).await;
        all.puback5().await;
    }
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let (mut board, present) =
        guest(&stand, "board", false, |it| it.session_expiry_interval = Some(100)).await;
    assert!(present);
    let check = |message: v5::Publish, topic: &str| {
        assert_eq!(message.topic, topic);
        let properties = message.properties.unwrap();
        assert_eq!(properties.content_type.as_deref(), Some("text/plain"));
        let left = properties.message_expiry_interval.unwrap();
        assert!((90..100).contains(&left), "{left}");
    };
    check(board.message5().await, "latest/long");
    nothing_before_ping5(&mut board).await;
    subscribe(&mut all, at_least("kept/#"), 0).await;
    check(all.message5().await, "kept/long");
    nothing_before_ping5(&mut all).await;
}

async fn with_will(stand: &Stand, delay_s: u32, expiry_s: u32) -> Raw<TcpStream> {
    let mut hello = hello5("vam-kenh");
    hello.clean_start = false;
    let mut asked = v5::ConnectProperties::new();
    asked.session_expiry_interval = Some(expiry_s);
    hello.properties = Some(asked);
    let properties = v5::LastWillProperties {
        delay_interval: Some(delay_s),
        payload_format_indicator: Some(1),
        message_expiry_interval: Some(60),
        content_type: Some("text/plain".into()),
        response_topic: None,
        correlation_data: None,
        user_properties: vec![("vi".into(), "mất điện".into())],
    };
    let (topic, qos) = ("stations/vam-kenh/state", Qos5::AtLeastOnce);
    let will = v5::LastWill::new(topic, "offline", qos, true, Some(properties));
    let mut raw = stand.socket().await;
    raw.hello5(&hello, Some(will), "vam-kenh", KEY).await;
    raw
}

#[tokio::test]
async fn a_will_waits_for_its_delay_and_goes_with_its_properties() {
    let stand = stand();
    let mut board = stand.v5("board").await;
    subscribe(&mut board, at_least("stations/+/state"), 0).await;
    let cut = Instant::now();
    drop(with_will(&stand, 1, 100).await);
    let will = board.message5().await;
    assert!(Duration::from_secs(1) <= cut.elapsed(), "{:?}", cut.elapsed());
    assert_eq!(will.payload, "offline");
    let properties = will.properties.unwrap();
    assert_eq!(properties.message_expiry_interval, Some(60));
    assert_eq!(properties.payload_format_indicator, Some(1));
    assert_eq!(properties.user_properties, [("vi".to_owned(), "mất điện".to_owned())]);
}

#[tokio::test]
async fn a_will_is_not_published_when_its_client_comes_back_in_time() {
    let stand = stand();
    let mut board = stand.v5("board").await;
    subscribe(&mut board, at_least("stations/+/state"), 0).await;
    drop(with_will(&stand, 1, 100).await);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut back = with_will(&stand, 1, 100).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    nothing_before_ping5(&mut board).await;
    // A take-over is a client that came back too.
    let mut again = with_will(&stand, 1, 100).await;
    assert_eq!(back.disconnected5().await, Code::SessionTakenOver);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    nothing_before_ping5(&mut board).await;
    // And a goodbye leaves no will, but a goodbye with will does, at once where the session ends with it.
    again.send(&[0xE0, 7, 0x04, 5, 0x11, 0, 0, 0, 0]).await;
    assert_eq!(board.message5().await.payload, "offline");
}

#[tokio::test]
async fn a_will_waits_no_longer_than_its_session() {
    let stand = stand();
    let mut board = stand.v5("board").await;
    subscribe(&mut board, at_least("stations/+/state"), 0).await;
    let cut = Instant::now();
    drop(with_will(&stand, 1_000, 0).await);
    assert_eq!(board.message5().await.payload, "offline");
    assert!(cut.elapsed() < Duration::from_secs(5));
    // A clean start ends the session that the will waits in.
    drop(with_will(&stand, 1_000, 100).await);
    tokio::time::sleep(Duration::from_millis(200)).await;
    nothing_before_ping5(&mut board).await;
    stand.v5("vam-kenh").await;
    assert_eq!(board.message5().await.payload, "offline");
}

#[tokio::test]
async fn a_session_ends_when_it_was_to_end() {
    let stand = stand();
    let expires =
        |seconds| move |it: &mut v5::ConnectProperties| it.session_expiry_interval = seconds;
    let (short, _) = guest(&stand, "all", true, expires(Some(1))).await;
    drop(short);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert!(!guest(&stand, "all", false, expires(Some(100))).await.1);
    // DISCONNECT shortens it.
    let (mut long, present) = guest(&stand, "all", false, expires(Some(100))).await;
    assert!(present);
    long.send(&[0xE0, 7, 0, 5, 0x11, 0, 0, 0, 0]).await;
    assert_eq!(long.next5().await, None);
    assert!(!guest(&stand, "all", false, expires(None)).await.1);
    // And cannot make one out of none.
    let (mut none, _) = guest(&stand, "all", true, expires(None)).await;
    none.send(&[0xE0, 7, 0, 5, 0x11, 0, 0, 0, 9]).await;
    assert_eq!(none.disconnected5().await, Code::ProtocolError);
    // Longer than we remember sessions is said at once.
    let config = Config { session_expiry_max: Duration::from_secs(50), ..config() };
    let stand = stand_with(config);
    let mut hello = hello5("all");
    let mut asked = v5::ConnectProperties::new();
    asked.session_expiry_interval = Some(u32::MAX);
    hello.properties = Some(asked);
    let ack = stand.socket().await.hello5(&hello, None, "all", KEY).await;
    assert_eq!(ack.properties.unwrap().session_expiry_interval, Some(50));
}

#[tokio::test]
async fn a_message_larger_than_its_client_takes_is_left_out() {
    let stand = stand();
    let (mut board, _) = guest(&stand, "board", true, |it| it.max_packet_size = Some(100)).await;
    subscribe(&mut board, at_least("latest/#"), 0).await;
    stand.publisher.publish("latest/a", "x".repeat(200).as_bytes(), Keep::Passing);
    stand.publisher.publish("latest/a", b"short", Keep::Passing);
    let message = board.message5().await;
    assert_eq!((message.payload.as_ref(), message.pkid), (&b"short"[..], 2));
}

#[tokio::test]
async fn a_connect_that_is_wrong_inside_is_told_so_in_5_0() {
    let stand = stand();
    for (bytes, code) in [
        (&b"\x10\x0e\0\x04MQTT\x05\x03\0\x3c\0\0\x01a"[..], v5::ConnectReturnCode::MalformedPacket),
        (
            b"\x10\x11\0\x04MQTT\x05\x02\0\x3c\x03\x21\0\0\0\x01a",
            v5::ConnectReturnCode::ProtocolError,
        ),
        (
            b"\x10\x0d\0\x04MQTT\x07\x02\0\x3c\0\0\0",
            v5::ConnectReturnCode::UnsupportedProtocolVersion,
        ),
        (
            b"\x10\x15\0\x04MQTT\x05\x02\0\x3c\x07\x15\0\x04NONE\0\x01a",
            v5::ConnectReturnCode::BadAuthenticationMethod,
        ),
    ] {
        let mut raw = stand.socket().await;
        raw.send(bytes).await;
        let Some(v5::Packet::ConnAck(ack)) = raw.next5().await else { panic!("{bytes:02x?}") };
        assert_eq!(ack.code, code, "{bytes:02x?}");
        assert_eq!(raw.next5().await, None);
    }
}

#[tokio::test]
async fn mqtt_3_1_is_served_without_a_session_present() {
    let stand = stand();
    let hello = b"\x10\x1d\0\x06MQIsdp\x03\xc0\0\x3c\0\x03all\0\x03all\0\x05a-key";
    for _ in 0..2 {
        let mut raw = stand.socket().await;
        raw.send(hello).await;
        let Some(rumqttc::mqttbytes::v4::Packet::ConnAck(ack)) = raw.next4().await else {
            panic!()
        };
        assert_eq!(ack.code, rumqttc::mqttbytes::v4::ConnectReturnCode::Success);
        assert!(!ack.session_present);
        raw.nothing_before_ping4().await;
    }
}

#[tokio::test]
async fn a_station_that_asks_is_told_where_its_answers_belong() {
    let stand = stand();
    let mut hello = hello5("vam-kenh");
    let mut asked = v5::ConnectProperties::new();
    asked.request_response_info = Some(1);
    hello.properties = Some(asked);
    let ack = stand.socket().await.hello5(&hello, None, "vam-kenh", KEY).await;
    let told = ack.properties.unwrap().response_information;
    assert_eq!(told.as_deref(), Some("stations/vam-kenh/"));
}

#[tokio::test]
async fn who_wants_no_reasons_gets_codes_only() {
    let stand = stand();
    let mut hello = hello5("vam-kenh");
    let mut asked = v5::ConnectProperties::new();
    asked.request_problem_info = Some(0);
    hello.properties = Some(asked);
    let mut raw = stand.socket().await;
    raw.hello5(&hello, None, "vam-kenh", KEY).await;
    raw.publish5("stations/vam-kenh/readings", 1, "not json").await;
    let ack = raw.puback5().await;
    assert_eq!((ack.reason, ack.properties), (v5::PubAckReason::PayloadFormatInvalid, None));
}

#[tokio::test]
async fn a_payload_that_is_said_to_be_text_is_text() {
    let stand = stand();
    let mut board = stand.v5("board").await;
    subscribe(&mut board, at_least("stations/#"), 0).await;
    let mut client = stand.v5("vam-kenh").await;
    for (id, payload, reason) in [
        (1, &b"m\xe1\xba\xb7n"[..], v5::PubAckReason::Success),
        (2, b"m\xff", v5::PubAckReason::PayloadFormatInvalid),
    ] {
        let properties =
            v5::PublishProperties { payload_format_indicator: Some(1), ..Default::default() };
        let (topic, qos) = ("stations/vam-kenh/log", Qos5::AtLeastOnce);
        let mut publish = v5::Publish::new(topic, qos, payload.to_vec(), Some(properties));
        publish.pkid = id;
        client.send5(&v5::Packet::Publish(publish)).await;
        assert_eq!(client.puback5().await.reason, reason);
    }
    assert_eq!(stand.dead.durable_end(), 1);
    assert_eq!(board.message5().await.payload, "mặn");
    nothing_before_ping5(&mut board).await;
}

/// A book in which a guest loses a right between two logins.
struct Shrinking(std::sync::atomic::AtomicBool);

impl ingest::mqtt::Gatekeeper for Shrinking {
    fn login<'a>(
        &'a self,
        user: &'a str,
        _: &'a [u8],
    ) -> futures_util::future::BoxFuture<'a, Result<ingest::mqtt::Admission, ingest::mqtt::Denied>>
    {
        use ingest::mqtt::{Entry, Grant, Verb};
        let before = self.0.swap(false, std::sync::atomic::Ordering::Relaxed);
        let filter = if before { "latest/#" } else { "latest/mine/#" };
        let grants = vec![Grant::new(filter, Verb::Read).unwrap()];
        let entry = Entry::Guest { name: user.to_owned(), grants };
        Box::pin(async move { Ok(entry.into()) })
    }
}

#[tokio::test]
async fn what_waited_for_a_client_is_not_delivered_once_it_may_not_be_read() {
    let book = Shrinking(std::sync::atomic::AtomicBool::new(true));
    let stand = stand_behind(config(), std::sync::Arc::new(book));
    let (mut before, _) =
        guest(&stand, "board", true, |it| it.session_expiry_interval = Some(100)).await;
    for (filter, id) in [("latest/#", 0), ("latest/mine/+", 3)] {
        subscribe(&mut before, at_least(filter), id).await;
    }
    drop(before);
    for topic in ["latest/other/ph", "latest/mine/ph"] {
        stand.publisher.publish(topic, b"7", Keep::Passing);
    }
    let (mut after, present) =
        guest(&stand, "board", false, |it| it.session_expiry_interval = Some(100)).await;
    assert!(present);
    assert_eq!(after.message5().await.topic, "latest/mine/ph");
    stand.publisher.publish("latest/other/ph", b"8", Keep::Passing);
    nothing_before_ping5(&mut after).await;
}
