//! A group whose members have no room, one of which leaves: what it had is not lost.

use ingest::mqtt::{Config, Keep};
use rumqttc::QoS;
use tokio::net::TcpStream;

use super::five::{acknowledge, at_least, guest, nothing_before_ping5, subscribe};
use super::kept::lasting;
use super::stand::*;

const PATH: &str = "$share/g/latest/+";

fn say(stand: &Stand, texts: std::ops::Range<u32>) {
    for text in texts {
        stand.publisher.publish("latest/a", text.to_string().as_bytes(), Keep::Passing);
    }
}

/// Takes and acknowledges so many, one after the other.
async fn take(raw: &mut Raw<TcpStream>, count: usize) -> Vec<String> {
    let mut taken = Vec::new();
    for _ in 0..count {
        let message = raw.message5().await;
        taken.push(String::from_utf8(message.payload.to_vec()).unwrap());
        acknowledge(raw, message.pkid).await;
    }
    taken
}

#[tokio::test]
async fn what_a_leaver_had_waits_until_somebody_has_room() {
    for (expiry, memory) in [(0, false), (100, false), (0, true), (100, true)] {
        let config = Config { queue_messages_max: 3, ..config() };
        let stand = if memory { remembering(config) } else { stand_with(config) };
        // One that takes one at a time: one is on its way, three wait, and it is full.
        let (mut stayer, _) = guest(&stand, "all-2", true, |it| {
            (it.receive_maximum, it.session_expiry_interval) = (Some(1), Some(100));
        })
        .await;
        subscribe(&mut stayer, at_least(PATH), 0).await;
        say(&stand, 0..1);
        let first = stayer.message5().await;
        assert_eq!(first.payload, "0");
        say(&stand, 1..4);
        let (mut leaver, _) =
            guest(&stand, "all", true, |it| it.session_expiry_interval = Some(expiry)).await;
        subscribe(&mut leaver, at_least(PATH), 0).await;
        say(&stand, 4..7);
        for text in 4..7 {
            assert_eq!(leaver.message5().await.payload, text.to_string());
        }
        drop(leaver);
        // Only now has somebody room, for one after the other.
        acknowledge(&mut stayer, first.pkid).await;
        assert_eq!(take(&mut stayer, 3).await, ["1", "2", "3"]);
        if expiry == 0 {
            assert_eq!(take(&mut stayer, 3).await, ["4", "5", "6"], "{memory}");
        } else {
            // Its session waits, and with it what it did not acknowledge.
            let (mut back, present) =
                guest(&stand, "all", false, |it| it.session_expiry_interval = Some(expiry)).await;
            assert!(present);
            assert_eq!(take(&mut back, 3).await, ["4", "5", "6"], "{memory}");
            nothing_before_ping5(&mut back).await;
        }
        nothing_before_ping5(&mut stayer).await;
    }
}

#[tokio::test]
async fn more_than_one_queue_of_a_leavers_letters_is_dropped_and_counted() {
    let (counts, _guard) = super::counts::Counts::begin();
    let stand = stand_with(Config { queue_messages_max: 3, ..config() });
    let (mut stayer, _) = guest(&stand, "all-2", true, |it| it.receive_maximum = Some(1)).await;
    subscribe(&mut stayer, at_least(PATH), 0).await;
    say(&stand, 0..1);
    let first = stayer.message5().await;
    say(&stand, 1..4);
    let (mut leaver, _) = guest(&stand, "all", true, |_| ()).await;
    subscribe(&mut leaver, at_least(PATH), 0).await;
    for text in 4..9 {
        say(&stand, text..text + 1);
        assert_eq!(leaver.message5().await.payload, text.to_string());
    }
    drop(leaver);
    // As much is kept as a queue holds.
    let gone = async {
        while counts.of("saltline_mqtt_dropped_total", "no_shared_subscriber") != 2 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("two are dropped and counted");
    acknowledge(&mut stayer, first.pkid).await;
    assert_eq!(take(&mut stayer, 6).await, ["1", "2", "3", "4", "5", "6"]);
    nothing_before_ping5(&mut stayer).await;
}

#[tokio::test]
async fn a_letter_of_a_group_is_still_the_groups_after_the_power_was_away() {
    let stand = remembering(config());
    let (mut first, _) = lasting(&stand, "first").await;
    super::kept::subscribe(&mut first, "$share/g/t/#", QoS::AtLeastOnce).await;
    let mut talker = stand.v4("all").await;
    // One went out and was not acknowledged, one waits.
    talker.publish4("t/a", 1, "on its way").await;
    assert_eq!(talker.puback4().await, 1);
    assert_eq!(first.message4().await.payload, "on its way");
    drop(first);
    talker.publish4("t/a", 2, "waiting").await;
    assert_eq!(talker.puback4().await, 2);
    stand.sessions.as_ref().unwrap().settle().await.unwrap();
    let stand = stand.cut(1);
    let (mut second, _) = lasting(&stand, "second").await;
    super::kept::subscribe(&mut second, "$share/g/t/#", QoS::AtLeastOnce).await;
    // The first ends its session.
    let mut hello = rumqttc::mqttbytes::v4::Connect::new("first");
    hello.set_login("all", KEY);
    stand.socket().await.hello4(&hello).await;
    for text in ["on its way", "waiting"] {
        assert_eq!(second.message4().await.payload, text);
    }
    second.nothing_before_ping4().await;
}
