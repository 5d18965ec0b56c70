//! What a broker must not do, and what happens then: nothing is acknowledged that is not on disk, nothing on another
//! connection than its own, and the client comes back.

use ingest::upstream::{Login, Version};

use crate::scripted::{Broker, Heard, Link, publish};
use crate::stand::{Stand, config, report};

const TOPIC: &str = "province/xuan-hoa/data";
const BOTH: [Version; 2] = [Version::V311, Version::V5];

#[tokio::test]
async fn acknowledgements_come_in_order_and_after_the_disk() {
    for version in BOTH {
        let (broker, at) = Broker::bind(version).await;
        let stand = Stand::start(config(at, version));
        let mut link = broker.welcome(false).await;
        for n in 1..=300 {
            link.publish(TOPIC, report(n), n as u16, 1).await;
        }
        for n in 1..=300 {
            assert_eq!(link.hear().await, Heard::PubAck(n));
            assert!(u64::from(n) <= stand.journal.durable_end(), "{n} is acknowledged too early");
        }
        link.publish(TOPIC, "poison", 301, 1).await;
        assert_eq!(link.hear().await, Heard::PubAck(301));
        assert_eq!(stand.dead.durable_end(), 1);
        stand.stopped().await;
    }
}

#[tokio::test]
async fn what_came_on_one_connection_is_never_acknowledged_on_the_next() {
    for version in BOTH {
        let (broker, at) = Broker::bind(version).await;
        let stand = Stand::start(config(at, version));
        let mut first = broker.welcome(false).await;
        first.publish(TOPIC, report(1), 7, 1).await;
        drop(first);
        let mut second = broker.welcome(true).await;
        // Another message under the same id: an acknowledgement of the first would lose it.
        second.publish(TOPIC, report(2), 7, 1).await;
        let before = stand.journal.durable_end();
        assert_eq!(second.hear().await, Heard::PubAck(7));
        assert!(before < stand.journal.durable_end() || 1 < before);
        second.publish(TOPIC, report(1), 8, 1).await;
        assert_eq!(second.hear().await, Heard::PubAck(8));
        stand.stopped().await;
        assert_eq!(second.hear().await, Heard::Disconnect);
    }
}

#[tokio::test]
async fn a_stop_commits_acknowledges_and_says_goodbye() {
    for version in BOTH {
        let (broker, at) = Broker::bind(version).await;
        let stand = Stand::start(config(at, version));
        let mut link = broker.welcome(false).await;
        for n in 1..=50 {
            link.publish(TOPIC, report(n), n as u16, 1).await;
        }
        assert_eq!(link.hear().await, Heard::PubAck(1));
        stand.stop();
        let mut last = 1;
        loop {
            match link.hear().await {
                Heard::PubAck(id) => {
                    assert_eq!(id, last + 1);
                    last = id;
                }
                Heard::Disconnect => break,
                other => panic!("{other:?}"),
            }
        }
        assert!(u64::from(last) <= stand.journal.durable_end());
        stand.stopped().await;
    }
}

#[tokio::test]
async fn a_message_without_an_end_in_sight_is_thrown_away_and_acknowledged() {
    for version in BOTH {
        let (broker, at) = Broker::bind(version).await;
        let stand = Stand::start(config(at, version));
        let mut link = broker.welcome(false).await;
        link.publish(TOPIC, vec![b'['; 3_000_000], 1, 1).await;
        link.publish(TOPIC, report(2), 2, 1).await;
        assert_eq!(link.hear().await, Heard::PubAck(1));
        assert_eq!(link.hear().await, Heard::PubAck(2));
        stand.holds(1, 1).await;
        stand.stopped().await;
    }
}

#[tokio::test]
async fn a_login_is_shown_and_a_shared_subscription_asked_for() {
    for version in BOTH {
        let (broker, at) = Broker::bind(version).await;
        let login = Login { user: "saltline".into(), password: "mặn".into() };
        let share = Some("group".to_owned());
        let stand = Stand::start(ingest::upstream::Config {
            login: Some(login),
            share,
            ..config(at, version)
        });
        let mut link = broker.accept().await;
        let expected = Heard::Connect {
            client_id: "saltline-province".into(),
            clean: false,
            login: Some(("saltline".into(), "mặn".into())),
        };
        assert_eq!(link.hear().await, expected);
        link.connack(true).await;
        let filters = vec!["$share/group/province/+/data".to_owned()];
        assert_eq!(link.hear().await, Heard::Subscribe { filters, qos: 1 });
        stand.stopped().await;
    }
}

/// The client hangs up on this and comes back.
async fn check(version: Version, what: &str, misbehave: impl AsyncFn(&mut Link)) {
    let (broker, at) = Broker::bind(version).await;
    let stand = Stand::start(config(at, version));
    let mut link = broker.welcome(false).await;
    misbehave(&mut link).await;
    assert_eq!(link.hear().await, Heard::End, "{what} of {version:?}");
    let mut again = broker.welcome(true).await;
    again.publish(TOPIC, report(1), 1, 1).await;
    assert_eq!(again.hear().await, Heard::PubAck(1), "after {what} of {version:?}");
    stand.stopped().await;
}

#[tokio::test]
async fn a_broker_that_breaks_the_rules_is_left_and_tried_again() {
    for version in BOTH {
        check(version, "QoS 2", async |link| link.publish(TOPIC, "{}", 1, 2).await).await;
        check(version, "garbage", async |link| link.say(&[0xFF; 64]).await).await;
        check(version, "a length without an end", async |link| {
            link.say(&[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]).await;
        })
        .await;
        check(version, "a second CONNACK", async |link| link.connack(true).await).await;
        check(version, "a client's packet", async |link| link.say(&[0xC0, 0]).await).await;
        check(version, "packet id 0", async |link| {
            let mut bytes = publish(version, TOPIC, "{}", 1, 1);
            let at = 2 + 2 + TOPIC.len();
            bytes[at..at + 2].copy_from_slice(&[0, 0]);
            link.say(&bytes).await;
        })
        .await;
        check(version, "a topic that is not UTF-8", async |link| {
            let mut bytes = publish(version, TOPIC, "{}", 1, 1);
            bytes[5] = 0xFF;
            link.say(&bytes).await;
        })
        .await;
        check(version, "a refused filter", async |link| link.suback(&[0x80]).await).await;
    }
    check(Version::V5, "a topic alias", async |link| link.publish("", "{}", 1, 1).await).await;
    check(Version::V5, "an empty DISCONNECT", async |link| link.say(&[0xE0, 0]).await).await;
    check(Version::V5, "a take-over", async |link| link.say(&[0xE0, 2, 0x8E, 0]).await).await;
}

#[tokio::test]
async fn a_broker_that_turns_us_away_or_says_nothing_is_tried_again() {
    let refusals: [(Version, &[u8]); 3] = [
        (Version::V311, &[0x20, 2, 0, 5]),
        (Version::V5, &[0x20, 3, 0, 0x87, 0]),
        (Version::V5, &[0x30, 3, 0, 1, b'x']),
    ];
    for (version, bytes) in refusals {
        let (broker, at) = Broker::bind(version).await;
        let stand = Stand::start(config(at, version));
        for _ in 0..3 {
            let mut link = broker.accept().await;
            link.hear().await;
            link.say(bytes).await;
            assert_eq!(link.hear().await, Heard::End);
        }
        broker.welcome(false).await;
        stand.stopped().await;
    }
}

#[tokio::test]
async fn a_broker_that_falls_silent_is_left() {
    let (broker, at) = Broker::bind(Version::V5).await;
    let stand = Stand::start(config(at, Version::V5));
    let mut link = broker.accept().await;
    link.hear().await;
    // A server keep-alive of one second.
    link.say(&[0x20, 6, 0, 0, 3, 0x13, 0, 1]).await;
    link.hear().await;
    link.suback(&[1]).await;
    assert_eq!(link.hear().await, Heard::Ping);
    while link.hear().await == Heard::Ping {}
    broker.welcome(true).await;
    stand.stopped().await;
}
