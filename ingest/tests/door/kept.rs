//! The power goes at a moment we choose, and what was promised stands: nothing acknowledged is lost to a client that is
//! away, and nothing with QoS 2 comes twice.

use ingest::mqtt::{Config, Keep, QueuePolicy};
use rumqttc::QoS;
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;
use tokio::net::TcpStream;

use super::stand::*;

/// A client of 3.1.1 whose session lasts; was it there?
pub async fn lasting(stand: &Stand, id: &str) -> (Raw<TcpStream>, bool) {
    let mut raw = stand.socket().await;
    let mut hello = v4::Connect::new(id);
    hello.clean_session = false;
    hello.set_login("all", KEY);
    let ack = raw.hello4(&hello).await;
    assert_eq!(ack.code, v4::ConnectReturnCode::Success);
    (raw, ack.session_present)
}

/// The same with 5.0 for so many seconds.
async fn lasting5(stand: &Stand, id: &str, seconds: u32) -> (Raw<TcpStream>, bool) {
    let mut raw = stand.socket().await;
    let properties = v5::ConnectProperties {
        session_expiry_interval: Some(seconds),
        ..v5::ConnectProperties::new()
    };
    let hello = v5::Connect {
        keep_alive: 60,
        client_id: id.to_owned(),
        clean_start: false,
        properties: Some(properties),
    };
    let ack = raw.hello5(&hello, None, "all", KEY).await;
    (raw, ack.session_present)
}

pub async fn subscribe(raw: &mut Raw<TcpStream>, filter: &str, qos: QoS) {
    let mut packet = v4::Subscribe::new(filter, qos);
    packet.pkid = 1;
    raw.send4(&v4::Packet::Subscribe(packet)).await;
    assert!(matches!(raw.next4().await, Some(v4::Packet::SubAck(_))));
}

fn publish(topic: &str, qos: QoS, id: u16, payload: &str, again: bool) -> v4::Packet {
    let mut packet = v4::Publish::new(topic, qos, payload);
    (packet.pkid, packet.dup) = (id, again);
    v4::Packet::Publish(packet)
}

/// Publishes with QoS 2 as far as the PUBREC.
async fn begin_once(raw: &mut Raw<TcpStream>, id: u16, payload: &str, again: bool) {
    raw.send4(&publish("t/a", QoS::ExactlyOnce, id, payload, again)).await;
    assert_eq!(raw.next4().await, Some(v4::Packet::PubRec(v4::PubRec::new(id))));
}

async fn end_once(raw: &mut Raw<TcpStream>, id: u16) {
    raw.send4(&v4::Packet::PubRel(v4::PubRel::new(id))).await;
    assert_eq!(raw.next4().await, Some(v4::Packet::PubComp(v4::PubComp::new(id))));
}

/// Takes messages with QoS 1 and 2 to their end until `count` are there.
async fn take(raw: &mut Raw<TcpStream>, count: usize) -> Vec<String> {
    let mut taken = Vec::new();
    while taken.len() < count {
        match raw.next4().await.expect("the door is open") {
            v4::Packet::Publish(message) => {
                taken.push(String::from_utf8(message.payload.to_vec()).unwrap());
                let id = message.pkid;
                raw.send4(&match message.qos {
                    QoS::ExactlyOnce => v4::Packet::PubRec(v4::PubRec::new(id)),
                    _ => v4::Packet::PubAck(v4::PubAck::new(id)),
                })
                .await;
            }
            v4::Packet::PubRel(rel) => {
                raw.send4(&v4::Packet::PubComp(v4::PubComp::new(rel.pkid))).await;
            }
            other => panic!("{other:?}"),
        }
    }
    taken
}

#[tokio::test]
async fn who_is_away_gets_everything_that_was_acknowledged_before_the_cut() {
    let stand = remembering(config());
    let (mut board, present) = lasting(&stand, "board").await;
    assert!(!present);
    subscribe(&mut board, "t/#", QoS::ExactlyOnce).await;
    drop(board);
    let mut talker = stand.v4("all").await;
    for id in 1..=20 {
        talker.publish4("t/a", id, &id.to_string()).await;
        assert_eq!(talker.puback4().await, id);
    }
    for id in 21..=40 {
        begin_once(&mut talker, id, &id.to_string(), false).await;
        end_once(&mut talker, id).await;
    }
    let stand = stand.cut(5);
    let (mut board, present) = lasting(&stand, "board").await;
    assert!(present);
    let expected: Vec<_> = (1..=40).map(|n: u16| n.to_string()).collect();
    assert_eq!(take(&mut board, 40).await, expected);
    board.nothing_but_ends().await;
}

impl Raw<TcpStream> {
    /// Nothing comes but what ends QoS 2, and that is answered.
    async fn nothing_but_ends(&mut self) {
        self.send(&[0xC0, 0]).await;
        loop {
            match self.next4().await.expect("the door is open") {
                v4::Packet::PubRel(rel) => {
                    self.send4(&v4::Packet::PubComp(v4::PubComp::new(rel.pkid))).await;
                }
                v4::Packet::PingResp => return,
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_message_with_qos_2_keeps_its_packet_id_and_its_stage_over_cuts() {
    let stand = remembering(config());
    let (mut board, _) = lasting(&stand, "board").await;
    subscribe(&mut board, "t/#", QoS::ExactlyOnce).await;
    let mut talker = stand.v4("all").await;
    begin_once(&mut talker, 9, "once", false).await;
    let first = board.message4().await;
    assert_eq!((first.qos, first.dup), (QoS::ExactlyOnce, false));
    let stand = stand.cut(1);
    let (mut board, _) = lasting(&stand, "board").await;
    let again = board.message4().await;
    assert_eq!((again.pkid, again.dup, &again.payload), (first.pkid, true, &first.payload));
    board.send4(&v4::Packet::PubRec(v4::PubRec::new(first.pkid))).await;
    let release = Some(v4::Packet::PubRel(v4::PubRel::new(first.pkid)));
    assert_eq!(board.next4().await, release);
    // The client has it: from now on only its id is spoken of, however often the power goes.
    let stand = stand.cut(1);
    let (mut board, _) = lasting(&stand, "board").await;
    assert_eq!(board.next4().await, release);
    let stand = stand.cut(1);
    let (mut board, _) = lasting(&stand, "board").await;
    assert_eq!(board.next4().await, release);
    board.send4(&v4::Packet::PubComp(v4::PubComp::new(first.pkid))).await;
    board.nothing_before_ping4().await;
}

#[tokio::test]
async fn what_a_client_publishes_with_qos_2_is_heard_once_over_cuts() {
    let stand = remembering(config());
    let (mut board, _) = lasting(&stand, "board").await;
    subscribe(&mut board, "t/#", QoS::ExactlyOnce).await;
    drop(board);
    let (mut talker, _) = lasting(&stand, "talker").await;
    begin_once(&mut talker, 7, "one", false).await;
    let stand = stand.cut(1);
    let (mut talker, present) = lasting(&stand, "talker").await;
    assert!(present);
    begin_once(&mut talker, 7, "one", true).await;
    end_once(&mut talker, 7).await;
    // Released: the id stands for another message now, even over a cut.
    let stand = stand.cut(1);
    let (mut talker, _) = lasting(&stand, "talker").await;
    begin_once(&mut talker, 7, "two", false).await;
    end_once(&mut talker, 7).await;
    let (mut board, _) = lasting(&stand, "board").await;
    assert_eq!(take(&mut board, 2).await, ["one", "two"]);
    board.nothing_but_ends().await;
}

#[tokio::test]
async fn a_report_with_qos_2_is_heard_once_over_a_cut() {
    let stand = remembering(config());
    let (mut board, _) = lasting(&stand, "board").await;
    subscribe(&mut board, "stations/+/readings", QoS::ExactlyOnce).await;
    drop(board);
    let hello = || {
        let mut hello = hello4("xuan-hoa");
        hello.clean_session = false;
        hello
    };
    let report = r#"{"time":"2026-03-12T05:00:00+07:00","values":{"ph":7}}"#;
    let topic = "stations/xuan-hoa/readings";
    let mut station = stand.socket().await;
    station.hello4(&hello()).await;
    station.send4(&publish(topic, QoS::ExactlyOnce, 3, report, false)).await;
    assert_eq!(station.next4().await, Some(v4::Packet::PubRec(v4::PubRec::new(3))));
    let stand = stand.cut(1);
    let mut station = stand.socket().await;
    assert!(station.hello4(&hello()).await.session_present);
    station.send4(&publish(topic, QoS::ExactlyOnce, 3, report, true)).await;
    assert_eq!(station.next4().await, Some(v4::Packet::PubRec(v4::PubRec::new(3))));
    end_once(&mut station, 3).await;
    assert_eq!(stand.journal.durable_end(), 1, "the report is stored once");
    let (mut board, _) = lasting(&stand, "board").await;
    assert_eq!(take(&mut board, 1).await, [report]);
    board.nothing_but_ends().await;
}

#[tokio::test]
async fn what_is_retained_and_what_was_taken_away_stay_so() {
    let stand = remembering(config());
    let mut talker = stand.v4("all").await;
    for (id, topic, payload) in
        [(1, "r/a", "old"), (2, "r/a", "new"), (3, "r/b", "x"), (4, "r/b", "")]
    {
        talker.send(&publish4(topic, id, payload, true)).await;
        assert_eq!(talker.puback4().await, id);
    }
    stand.publisher.publish("r/engine", b"says it again itself", Keep::Retained);
    let stand = stand.cut(1);
    let mut reader = stand.v4("all").await;
    reader.subscribe4("r/#").await;
    let message = reader.message4().await;
    assert_eq!((message.topic.as_str(), &message.payload[..]), ("r/a", &b"new"[..]));
    reader.nothing_before_ping4().await;
}

#[tokio::test]
async fn retained_messages_that_a_lasting_subscription_brought_wait_over_a_cut() {
    let stand = remembering(config());
    let mut talker = stand.v4("all").await;
    talker.send(&publish4("t/a", 1, "client's", true)).await;
    assert_eq!(talker.puback4().await, 1);
    stand.publisher.publish("t/b", b"engine's", Keep::Retained);
    let (mut board, _) = lasting(&stand, "board").await;
    subscribe(&mut board, "t/#", QoS::AtLeastOnce).await;
    let stand = stand.cut(1);
    let (mut board, _) = lasting(&stand, "board").await;
    assert_eq!(take(&mut board, 2).await, ["client's", "engine's"]);
}

#[tokio::test]
async fn a_sessions_time_runs_while_the_power_is_away() {
    let stand = remembering(config());
    for (id, seconds) in [("short", 100), ("long", 1_000)] {
        let (mut raw, _) = lasting5(&stand, id, seconds).await;
        assert_eq!(
            raw.subscribe5("t", Qos5::AtLeastOnce).await,
            v5::SubscribeReasonCode::Success(Qos5::AtLeastOnce)
        );
        raw.send5(&v5::Packet::Disconnect(v5::Disconnect::new(
            v5::DisconnectReasonCode::NormalDisconnection,
        )))
        .await;
        assert!(raw.next5().await.is_none());
    }
    stand.sessions.as_ref().unwrap().settle().await.unwrap();
    let stand = stand.cut(90);
    let (_held, present) = lasting5(&stand, "short", 100).await;
    assert!(present, "it had ten seconds left");
    stand.sessions.as_ref().unwrap().settle().await.unwrap();
    // It was connected when the power went: its time runs from the start.
    let stand = stand.cut(150);
    assert!(lasting5(&stand, "short", 100).await.1);
    assert!(lasting5(&stand, "long", 1_000).await.1);
}

#[tokio::test]
async fn a_session_whose_time_ran_out_while_the_power_was_away_is_over() {
    let stand = remembering(config());
    let (mut raw, _) = lasting5(&stand, "short", 100).await;
    raw.send5(&v5::Packet::Disconnect(v5::Disconnect::new(
        v5::DisconnectReasonCode::NormalDisconnection,
    )))
    .await;
    assert!(raw.next5().await.is_none());
    stand.sessions.as_ref().unwrap().settle().await.unwrap();
    let stand = stand.cut(101);
    assert!(!lasting5(&stand, "short", 100).await.1);
}

#[tokio::test]
async fn a_queues_bound_counts_what_waited_before_the_cut() {
    let stand = remembering(Config { queue_messages_max: 10, ..config() });
    let (mut board, _) = lasting(&stand, "board").await;
    subscribe(&mut board, "t/#", QoS::AtLeastOnce).await;
    drop(board);
    let say = async |stand: &Stand, ids: std::ops::RangeInclusive<u16>| {
        let mut talker = stand.v4("all").await;
        for id in ids {
            talker.publish4("t/a", id, &id.to_string()).await;
            assert_eq!(talker.puback4().await, id);
        }
    };
    say(&stand, 1..=6).await;
    let stand = stand.cut(1);
    say(&stand, 7..=12).await;
    let (mut board, _) = lasting(&stand, "board").await;
    let expected: Vec<_> = (1..=10).map(|n: u16| n.to_string()).collect();
    assert_eq!(take(&mut board, 10).await, expected);
    board.nothing_before_ping4().await;
}

#[tokio::test]
async fn a_clean_start_forgets_on_disk_too() {
    let stand = remembering(config());
    let (mut board, _) = lasting(&stand, "all").await;
    subscribe(&mut board, "t/#", QoS::AtLeastOnce).await;
    drop(board);
    let mut again = stand.v4("all").await;
    again.publish4("t/a", 1, "nobody hears it").await;
    assert_eq!(again.puback4().await, 1);
    stand.sessions.as_ref().unwrap().settle().await.unwrap();
    let stand = stand.cut(1);
    assert!(!lasting(&stand, "all").await.1);
}

#[tokio::test]
async fn the_will_of_a_client_that_never_came_back_is_published_after_the_cut() {
    let stand = remembering(config());
    let mut hello = hello4("xuan-hoa");
    hello.last_will =
        Some(v4::LastWill::new("stations/xuan-hoa/state", "offline", QoS::AtLeastOnce, true));
    let mut station = stand.socket().await;
    station.hello4(&hello).await;
    station.send(&publish4("stations/xuan-hoa/state", 1, "online", true)).await;
    assert_eq!(station.puback4().await, 1);
    stand.sessions.as_ref().unwrap().settle().await.unwrap();
    let stand = stand.cut(1);
    let mut board = stand.v4("board").await;
    board.subscribe4("stations/+/state").await;
    assert_eq!(board.message4().await.payload, "online");
    // Its client comes back within the grace and starts anew: the will of the old session is published first.
    let mut station = stand.socket().await;
    station.hello4(&hello).await;
    assert_eq!(board.message4().await.payload, "offline");
    // After a goodbye there is no will any more, whatever happens.
    station.send4(&v4::Packet::Disconnect).await;
    assert!(station.next4().await.is_none());
    stand.sessions.as_ref().unwrap().settle().await.unwrap();
    let stand = stand.cut(1);
    let mut station = stand.socket().await;
    station.hello4(&hello).await;
    let mut board = stand.v4("board").await;
    board.subscribe4("stations/+/state").await;
    let state = board.message4().await;
    assert_eq!((&state.payload[..], state.retain), (&b"offline"[..], true));
    board.nothing_before_ping4().await;
}

#[tokio::test]
async fn a_group_passes_on_what_a_member_who_left_had_and_the_log_knows() {
    let stand = remembering(config());
    let (mut first, _) = lasting(&stand, "first").await;
    subscribe(&mut first, "$share/g/t/#", QoS::AtLeastOnce).await;
    drop(first);
    let mut talker = stand.v4("all").await;
    talker.publish4("t/a", 1, "for the group").await;
    assert_eq!(talker.puback4().await, 1);
    let (mut second, _) = lasting(&stand, "second").await;
    subscribe(&mut second, "$share/g/t/#", QoS::AtLeastOnce).await;
    // The first ends its session: what waited for it goes to the other, and stays there over a cut.
    let mut gone = stand.socket().await;
    let mut hello = v4::Connect::new("first");
    hello.set_login("all", KEY);
    gone.hello4(&hello).await;
    let passed = second.message4().await;
    assert_eq!(passed.payload, "for the group");
    stand.sessions.as_ref().unwrap().settle().await.unwrap();
    let stand = stand.cut(1);
    let (mut second, _) = lasting(&stand, "second").await;
    let again = second.message4().await;
    assert_eq!((again.pkid, again.dup), (passed.pkid, true));
    assert!(!lasting(&stand, "first").await.1);
}

#[tokio::test]
async fn what_nobody_has_to_remember_is_not_written() {
    let stand = remembering(config());
    let mut board = stand.v4("board").await;
    board.subscribe4("stations/+/readings").await;
    let mut station = stand.v4("vam-kenh").await;
    for id in 1..=50 {
        station.publish4("stations/vam-kenh/readings", id, REPORT).await;
        assert_eq!(station.puback4().await, id);
        assert_eq!(board.message4().await.payload, REPORT);
    }
    let log = stand.sessions.as_ref().unwrap();
    log.settle().await.unwrap();
    assert_eq!(log.journal().durable_end(), 0);
}

#[tokio::test]
async fn what_gave_way_in_a_queue_does_not_come_back_after_the_cut() {
    let queue_policy = QueuePolicy::DropOldest;
    let stand = remembering(Config { queue_messages_max: 3, queue_policy, ..config() });
    let (mut board, _) = lasting(&stand, "board").await;
    subscribe(&mut board, "t/#", QoS::AtLeastOnce).await;
    drop(board);
    let mut talker = stand.v4("all").await;
    for id in 1..=5 {
        talker.publish4("t/a", id, &id.to_string()).await;
        assert_eq!(talker.puback4().await, id);
    }
    stand.sessions.as_ref().unwrap().settle().await.unwrap();
    let stand = stand.cut(1);
    let (mut board, _) = lasting(&stand, "board").await;
    assert_eq!(take(&mut board, 3).await, ["3", "4", "5"]);
    board.nothing_before_ping4().await;
}

#[tokio::test]
async fn a_session_that_missed_something_is_not_resumed_after_the_cut_either() {
    let queue_policy = QueuePolicy::Disconnect;
    let stand = remembering(Config { queue_messages_max: 3, queue_policy, ..config() });
    let (mut board, _) = lasting(&stand, "board").await;
    subscribe(&mut board, "t/#", QoS::AtLeastOnce).await;
    drop(board);
    let mut talker = stand.v4("all").await;
    for id in 1..=5 {
        talker.publish4("t/a", id, &id.to_string()).await;
        assert_eq!(talker.puback4().await, id);
    }
    stand.sessions.as_ref().unwrap().settle().await.unwrap();
    let stand = stand.cut(1);
    let (mut board, present) = lasting(&stand, "board").await;
    assert!(!present);
    board.nothing_before_ping4().await;
}
