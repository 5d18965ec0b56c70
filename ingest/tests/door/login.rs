use rumqttc::mqttbytes::v4::{self, ConnectReturnCode as Code4};
use rumqttc::v5::mqttbytes::v5::{self, ConnectReturnCode as Code5};

use super::stand::*;

#[tokio::test]
async fn a_wrong_key_and_an_unknown_station_get_the_same_answer() {
    let stand = stand();
    let mut answers = Vec::new();
    for (user, key) in [("vam-kenh", "wrong"), ("nobody", KEY), ("", ""), ("vam-kenh", "")] {
        let mut hello = hello4("vam-kenh");
        hello.login = (!user.is_empty()).then(|| v4::Login::new(user, key));
        let mut raw = stand.socket().await;
        assert_eq!(raw.hello4(&hello).await.code, Code4::NotAuthorized, "{user}");
        assert_eq!(raw.next4().await, None);
        let mut raw = stand.socket().await;
        answers.push(raw.hello5(&hello5("vam-kenh"), None, user, key).await);
        assert_eq!(raw.next5().await, None);
    }
    assert_eq!(answers[0].code, Code5::BadUserNamePassword);
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
}

#[tokio::test]
async fn a_book_that_cannot_be_read_is_no_wrong_key() {
    let stand = stand();
    let ack = stand.socket().await.hello4(&hello4("broken-book")).await;
    assert_eq!(ack.code, Code4::ServiceUnavailable);
}

#[tokio::test]
async fn the_key_that_the_registry_printed_once_opens_the_door() {
    let dir = tempfile::tempdir().unwrap();
    let book = registry::Registry::open(&dir.path().join("registry.sqlite")).await.unwrap();
    let station = domain::Station::new(domain::StationCode::new("vam-kenh").unwrap());
    let key = book.add_station(&station).await.unwrap();
    let stand = stand_behind(config(), std::sync::Arc::new(book.clone()));
    let hello = hello5("vam-kenh");
    let mut raw = stand.socket().await;
    let ack = raw.hello5(&hello, None, "vam-kenh", key.reveal()).await;
    assert_eq!(ack.code, Code5::Success);
    raw.publish5("stations/vam-kenh/readings", 1, REPORT).await;
    assert_eq!(raw.puback5().await.pkid, 1);
    let newer = book.rotate_key(&station.code).await.unwrap();
    for (user, key, code) in [
        ("vam-kenh", key.reveal(), Code5::BadUserNamePassword),
        ("Not A Code", newer.reveal(), Code5::BadUserNamePassword),
        ("vam-kenh", newer.reveal(), Code5::Success),
    ] {
        let ack = stand.socket().await.hello5(&hello, None, user, key).await;
        assert_eq!(ack.code, code, "{user}");
    }
}

#[tokio::test]
async fn a_stations_client_id_is_its_code_or_left_to_us() {
    let stand = stand();
    let mut hello = hello4("vam-kenh");
    hello.client_id = "xuan-hoa".into();
    assert_eq!(stand.socket().await.hello4(&hello).await.code, Code4::BadClientId);
    hello.client_id.clear();
    assert_eq!(stand.socket().await.hello4(&hello).await.code, Code4::Success);
    hello.clean_session = false;
    assert_eq!(stand.socket().await.hello4(&hello).await.code, Code4::BadClientId);

    let mut hello = hello5("vam-kenh");
    hello.client_id = "xuan-hoa".into();
    let ack = stand.socket().await.hello5(&hello, None, "vam-kenh", KEY).await;
    assert_eq!(ack.code, Code5::ClientIdentifierNotValid);
    hello.client_id.clear();
    let ack = stand.socket().await.hello5(&hello, None, "vam-kenh", KEY).await;
    let told = ack.properties.unwrap();
    assert_eq!(told.assigned_client_identifier.as_deref(), Some("vam-kenh"));
    // What is not said is served: QoS 2, shared subscriptions, subscription identifiers.
    assert_eq!((told.max_qos, told.shared_subscription_available), (None, None));
    assert_eq!((told.topic_alias_max, told.receive_max), (Some(16), Some(1_024)));
    assert_eq!(told.max_packet_size, Some(256 * 1024));
}

#[tokio::test]
async fn the_newer_connection_takes_over_and_its_word_stands_last() {
    let stand = stand();
    let mut board = stand.v4("board").await;
    board.subscribe4("stations/+/state").await;
    let will =
        v5::LastWill::new("stations/vam-kenh/state", "offline", Qos5::AtLeastOnce, true, None);
    let mut older = stand.socket().await;
    older.hello5(&hello5("vam-kenh"), Some(will), "vam-kenh", KEY).await;
    let mut newer = stand.v5("vam-kenh").await;
    newer.publish5("stations/vam-kenh/state", 1, "online").await;
    assert_eq!(older.disconnected5().await, v5::DisconnectReasonCode::SessionTakenOver);
    assert_eq!(older.next5().await, None);
    assert_eq!(board.message4().await.payload, "offline");
    assert_eq!(board.message4().await.payload, "online");
    board.nothing_before_ping4().await;
    newer.puback5().await;
}

#[tokio::test]
async fn a_will_may_only_be_on_a_topic_of_ones_own() {
    let stand = stand();
    for topic in ["stations/xuan-hoa/state", "latest/vam-kenh/ph", "stations/vam-kenh/readings"] {
        let will = v5::LastWill::new(topic, "offline", Qos5::AtMostOnce, false, None);
        let mut raw = stand.socket().await;
        let ack = raw.hello5(&hello5("vam-kenh"), Some(will), "vam-kenh", KEY).await;
        assert_eq!(ack.code, Code5::NotAuthorized, "{topic}");
    }
}

#[tokio::test]
async fn versions_we_do_not_speak_are_told_so() {
    let stand = stand();
    let mut raw = stand.socket().await;
    raw.send(b"\x10\x0c\0\x04MQTT\x03\x02\0\x3c\0\0").await;
    let Some(v4::Packet::ConnAck(ack)) = raw.next4().await else { panic!() };
    assert_eq!(ack.code, Code4::RefusedProtocolVersion);
    let mut raw = stand.socket().await;
    raw.send(b"\x10\x0d\0\x04MQTT\x06\x02\0\x3c\0\0\0").await;
    let Some(v5::Packet::ConnAck(ack)) = raw.next5().await else { panic!() };
    assert_eq!(ack.code, Code5::UnsupportedProtocolVersion);
}

#[tokio::test]
async fn without_a_key_one_may_do_what_the_loopback_grants_say() {
    use ingest::mqtt::{Config, Grant, Verb};
    let grants = vec![Grant::new("test/#", Verb::ReadAndWrite).unwrap()];
    let stand = stand_with(Config { anonymous: grants, keep_alive_s_max: Some(60), ..config() });
    let mut hello = hello5("");
    // No keep-alive at all is as good as any, unless the configuration says otherwise.
    for (asked, told) in [(0, None), (60, None)] {
        hello.keep_alive = asked;
        let ack = stand.socket().await.hello5(&hello, None, "", "").await;
        assert_eq!(ack.properties.unwrap().server_keep_alive, told, "{asked}");
    }
    hello.keep_alive = 120;
    let mut raw = stand.socket().await;
    let ack = raw.hello5(&hello, None, "", "").await;
    let told = ack.properties.unwrap();
    assert_eq!((ack.code, told.server_keep_alive), (Code5::Success, Some(60)));
    assert!(told.assigned_client_identifier.is_some());
    let granted = v5::SubscribeReasonCode::Success(Qos5::ExactlyOnce);
    assert_eq!(raw.subscribe5("test/+", Qos5::ExactlyOnce).await, granted);
    let denied = v5::SubscribeReasonCode::NotAuthorized;
    assert_eq!(raw.subscribe5("#", Qos5::AtMostOnce).await, denied);
    // A wrong key is still a wrong key.
    let ack = stand.socket().await.hello5(&hello, None, "vam-kenh", "wrong").await;
    assert_eq!(ack.code, Code5::BadUserNamePassword);
}

#[tokio::test]
async fn a_refusal_is_no_larger_than_the_client_takes() {
    let stand = stand();
    for (largest, told) in [(0, Some(true)), (200, Some(true)), (20, Some(false)), (4, None)] {
        let mut hello = hello5("vam-kenh");
        let max_packet_size = (largest != 0).then_some(largest);
        hello.properties =
            Some(v5::ConnectProperties { max_packet_size, ..v5::ConnectProperties::new() });
        let login = v5::Login { username: "vam-kenh".into(), password: "wrong".into() };
        let mut raw = stand.socket().await;
        raw.send5(&v5::Packet::Connect(hello, None, Some(login))).await;
        let said = match raw.next5().await {
            Some(v5::Packet::ConnAck(ack)) => {
                assert_eq!(ack.code, Code5::BadUserNamePassword);
                Some(ack.properties.is_some_and(|properties| properties.reason_string.is_some()))
            }
            other => other.map(|packet| panic!("{packet:?}")),
        };
        assert_eq!(said, told, "{largest}");
    }
}

#[tokio::test]
async fn a_name_of_nobodys_is_anybody_only_where_the_configuration_says_so() {
    use ingest::mqtt::{Config, Grant};
    let (book, _, key, _dir) = super::access::book().await;
    let grants = [registry::TokenGrant {
        verb: "read".to_owned(),
        filter: "latest/#".to_owned(),
        denies: false,
    }];
    book.add_token("board", &grants, None).await.unwrap();
    let anonymous = vec![Grant::parse("readwrite:test/#").unwrap()];
    let base = Config { anonymous, ..config() };
    let strict = stand_behind(base.clone(), std::sync::Arc::new(book.clone()));
    let closed = Config { anonymous: Vec::new(), anonymous_named: true, ..base.clone() };
    let closed = stand_behind(closed, std::sync::Arc::new(book.clone()));
    let open = Config { anonymous_named: true, ..base };
    let open = stand_behind(open, std::sync::Arc::new(book.clone()));
    let (good, bad) = (Code5::Success, Code5::BadUserNamePassword);
    for (stand, user, key, code) in [
        (&strict, "suite", "secret", bad),
        (&closed, "suite", "secret", bad),
        (&open, "suite", "secret", good),
        (&open, "suite", "", good),
        // Somebody's name stays wrong with a wrong key, or none.
        (&open, "vam-kenh", "secret", bad),
        (&open, "vam-kenh", "", bad),
        (&open, "board", "secret", bad),
        (&open, "vam-kenh", &*key, good),
    ] {
        let ack = stand.socket().await.hello5(&hello5(""), None, user, key).await;
        assert_eq!(ack.code, code, "{user} {key}");
    }
    // It may do what anybody may, and nothing of the name that it gave.
    let mut suite = open.socket().await;
    suite.hello5(&hello5("suite"), None, "suite", "secret").await;
    let granted = v5::SubscribeReasonCode::Success(Qos5::AtMostOnce);
    let denied = v5::SubscribeReasonCode::NotAuthorized;
    assert_eq!(suite.subscribe5("test/+", Qos5::AtMostOnce).await, granted);
    assert_eq!(suite.subscribe5("stations/suite/#", Qos5::AtMostOnce).await, denied);
    assert_eq!(suite.subscribe5("latest/#", Qos5::AtMostOnce).await, denied);
    suite.publish5("stations/vam-kenh/readings", 1, REPORT).await;
    assert_eq!(suite.puback5().await.reason, v5::PubAckReason::NotAuthorized);
}
