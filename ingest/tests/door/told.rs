use bytes::{BufMut, Bytes, BytesMut};
use domain::{Reason, Timestamp};
use ingest::{DeadLetter, Decoder, Record};
use rumqttc::v5::mqttbytes::v5::{self, PubAckReason};

use super::stand::*;

const AT: i64 = 1_773_266_340_000;

/// What the journal has at a position: whose, when, which values.
fn stored(stand: &Stand, position: u64) -> (String, Timestamp, Vec<(String, Option<f64>)>) {
    let read = stand.journal.read(position, 1).unwrap();
    match Decoder::default().decode(&read[0].1) {
        Ok(Record::Admitted(it)) => {
            let values = it.values.iter().map(|it| (it.parameter.to_string(), it.value));
            (it.station.to_string(), it.taken_at, values.collect())
        }
        other => panic!("{other:?}"),
    }
}

fn refused(stand: &Stand, position: u64) -> Reason {
    DeadLetter::decode(&stand.dead.read(position, 1).unwrap()[0].1).unwrap().reason
}

async fn say(
    client: &mut Raw<tokio::net::TcpStream>,
    topic: &str,
    id: u16,
    payload: Bytes,
) -> v5::PubAck {
    let mut packet = v5::Publish::new(topic, Qos5::AtLeastOnce, payload, None);
    packet.pkid = id;
    client.send5(&v5::Packet::Publish(packet)).await;
    client.puback5().await
}

#[tokio::test]
async fn a_station_that_speaks_thingsboard_is_itself() {
    let stand = stand();
    let topic = "v1/devices/me/telemetry";
    let mut client = stand.v5("vam-kenh").await;
    let payload = format!(r#"{{"ts":{AT},"values":{{"salinity":8.85,"status":"ok"}}}}"#);
    let ack = say(&mut client, topic, 1, payload.into()).await;
    assert_eq!((ack.reason, ack.properties), (PubAckReason::Success, None));
    let values = vec![("salinity".to_owned(), Some(8.85))];
    assert_eq!(stored(&stand, 0), ("vam-kenh".to_owned(), Timestamp::from_millis(AT), values));
    let ack = say(&mut client, topic, 2, r#"{"EC": 14}"#.into()).await;
    assert_eq!(ack.reason, PubAckReason::PayloadFormatInvalid);
    assert_eq!(refused(&stand, 0), Reason::UnknownParameter);
    let mut guest = stand.v5("gateway").await;
    let ack = say(&mut guest, topic, 1, r#"{"ph": 7}"#.into()).await;
    assert_eq!(ack.reason, PubAckReason::NotAuthorized);
}

#[tokio::test]
async fn a_lorawan_gateway_speaks_for_the_devices_that_the_book_knows() {
    let stand = stand();
    let mut client = stand.v5("gateway").await;
    let uplink = |eui: &str| {
        let text = format!(
            r#"{{"time":"2026-03-11T21:59:00Z","deviceInfo":{{"devEui":"{eui}"}},"fCnt":1,"object":{{"ph":7.1}}}}"#
        );
        Bytes::from(text)
    };
    let topic = |eui: &str| format!("application/7/device/{eui}/event/up");
    let known = "24e124136b502217";
    let ack = say(&mut client, &topic(known), 1, uplink(known)).await;
    assert_eq!(ack.reason, PubAckReason::Success);
    assert_eq!(stored(&stand, 0).0, "vam-kenh");
    let ack = say(&mut client, &topic("0000000000000000"), 2, uplink("0000000000000000")).await;
    assert_eq!(ack.reason, PubAckReason::PayloadFormatInvalid);
    // The code of a station is not a name that a gateway may use.
    say(&mut client, &topic("xuan-hoa"), 3, uplink("xuan-hoa")).await;
    say(&mut client, &topic(known), 4, uplink("0000000000000000")).await;
    let reasons: Vec<_> = (0..3).map(|at| refused(&stand, at)).collect();
    assert_eq!(reasons, [Reason::UnknownStation, Reason::UnknownStation, Reason::ForeignTopic]);
    let other = "application/8/device/24e124136b502217/event/up";
    assert_eq!(say(&mut client, other, 5, uplink(known)).await.reason, PubAckReason::NotAuthorized);
    assert_eq!(stand.journal.durable_end(), 1);
}

#[tokio::test]
async fn a_sparkplug_node_is_asked_for_its_birth_and_then_believed() {
    let stand = stand();
    let mut client = stand.v5("gateway").await;
    client.subscribe5("spBv1.0/tg/NCMD/edge", Qos5::AtLeastOnce).await;
    let data = "spBv1.0/tg/DDATA/edge/pier";
    let mut publish = v5::Publish::new(data, Qos5::AtLeastOnce, payload(5, &[alias(3, 8.5)]), None);
    publish.pkid = 1;
    client.send5(&v5::Packet::Publish(publish)).await;
    // The command goes at once, the answer when the refused bytes are on disk: in this order, or the other.
    let (mut asked, mut answered) = (None, None);
    while asked.is_none() || answered.is_none() {
        match client.next5().await {
            Some(v5::Packet::Publish(command)) => asked = Some(command),
            Some(v5::Packet::PubAck(ack)) => answered = Some(ack),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(answered.unwrap().reason, PubAckReason::PayloadFormatInvalid);
    assert_eq!(asked.unwrap().topic, "spBv1.0/tg/NCMD/edge");
    assert_eq!(refused(&stand, 0), Reason::NoBirth);
    let births = [
        ("spBv1.0/tg/NBIRTH/edge", payload(0, &[named("Node Control/Rebirth", 0, 0.0)])),
        ("spBv1.0/tg/DBIRTH/edge/pier", payload(1, &[named("salinity", 3, 8.0)])),
        (data, payload(2, &[alias(3, 8.5)])),
    ];
    for (id, (topic, payload)) in (2..).zip(births) {
        assert_eq!(
            say(&mut client, topic, id, payload).await.reason,
            PubAckReason::Success,
            "{topic}"
        );
    }
    let values = vec![("salinity".to_owned(), Some(8.5))];
    assert_eq!(stored(&stand, 1), ("vam-kenh".to_owned(), Timestamp::from_millis(AT), values));
}

/// A metric with a name, as births have it: name 1, alias 2, datatype 4 (Double), value 13.
fn named(name: &str, alias: u8, value: f64) -> Vec<u8> {
    let mut out = vec![0x0A, u8::try_from(name.len()).unwrap()];
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(&[0x10, alias, 0x20, 10, 0x69]);
    out.extend_from_slice(&value.to_le_bytes());
    out
}

/// A metric with its alias alone.
fn alias(alias: u8, value: f64) -> Vec<u8> {
    let mut out = vec![0x10, alias, 0x69];
    out.extend_from_slice(&value.to_le_bytes());
    out
}

/// Timestamp 1, metrics 2, seq 3.
fn payload(seq: u8, metrics: &[Vec<u8>]) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(0x08);
    let mut left = AT as u64;
    while 0x7F < left {
        out.put_u8((left & 0x7F) as u8 | 0x80);
        left >>= 7;
    }
    out.put_u8(left as u8);
    for metric in metrics {
        out.put_u8(0x12);
        out.put_u8(u8::try_from(metric.len()).unwrap());
        out.extend_from_slice(metric);
    }
    out.put_u8(0x18);
    out.put_u8(seq);
    out.freeze()
}
